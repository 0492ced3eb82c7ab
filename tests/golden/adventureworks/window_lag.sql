WITH quarters AS (
    SELECT date_quarter, sum(sales_amount) AS sales_amount FROM internet_sales GROUP BY date_quarter
)
SELECT date_quarter, sales_amount, lag(sales_amount) OVER (ORDER BY date_quarter) AS previous,
       row_number() OVER (ORDER BY sales_amount DESC) AS place
FROM quarters ORDER BY date_quarter
