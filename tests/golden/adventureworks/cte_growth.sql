WITH years AS (
    SELECT date_year, sum(sales_amount) AS sales_amount FROM reseller_sales GROUP BY date_year
)
SELECT n.date_year, n.sales_amount, n.sales_amount - p.sales_amount AS growth
FROM years n LEFT JOIN years p ON p.date_year = n.date_year - 1
ORDER BY n.date_year
