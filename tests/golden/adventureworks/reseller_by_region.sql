SELECT t.name AS region, r.territory_country, sum(r.sales_amount) AS sales_amount
FROM reseller_sales r JOIN territory t ON t.key = r.territory
WHERE r.territory_group = 'North America'
GROUP BY t.name, r.territory_country ORDER BY t.name
