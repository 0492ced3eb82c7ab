SELECT date_year, sum(sales_amount) AS sales_amount, count(*) AS order_lines
FROM reseller_sales GROUP BY date_year ORDER BY date_year
