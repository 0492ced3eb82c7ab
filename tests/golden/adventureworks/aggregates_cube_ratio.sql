-- set perfos.aggregates = cube
SELECT territory_group, sum(gross_margin) AS gross_margin FROM reseller_sales
GROUP BY territory_group ORDER BY territory_group
