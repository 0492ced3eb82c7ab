SELECT territory_group, territory_country, sum(sales_amount) AS sales_amount, sum(freight) AS freight
FROM reseller_sales GROUP BY territory_group, territory_country
ORDER BY territory_group, territory_country
