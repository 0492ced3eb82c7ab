SELECT date_year, count(DISTINCT customer) AS customers, count(DISTINCT order_number) AS orders
FROM internet_sales GROUP BY date_year ORDER BY date_year
