-- The last level has a column too: the leaf member's name.
SELECT territory_region, territory_country, sum(sales_amount) AS sales_amount
FROM reseller_sales WHERE territory_group = 'North America'
GROUP BY territory_region, territory_country ORDER BY territory_region
