WITH totals AS (
    SELECT date_year, employee, sum(sales_amount) AS sales_amount
    FROM reseller_sales GROUP BY date_year, employee
), ranked AS (
    SELECT date_year, employee, sales_amount,
           rank() OVER (PARTITION BY date_year ORDER BY sales_amount DESC) AS place
    FROM totals
)
SELECT date_year, place, employee, sales_amount FROM ranked WHERE place <= 3 ORDER BY date_year, place
