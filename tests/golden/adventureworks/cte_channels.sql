WITH reseller AS (
    SELECT date_year, sum(sales_amount) AS amount FROM reseller_sales GROUP BY date_year
), internet AS (
    SELECT date_year, sum(sales_amount) AS amount FROM internet_sales GROUP BY date_year
)
SELECT i.date_year, r.amount AS reseller, i.amount AS internet, coalesce(r.amount, 0) + i.amount AS total
FROM internet i LEFT JOIN reseller r ON r.date_year = i.date_year
ORDER BY i.date_year
