SELECT count(DISTINCT customer) AS customers, sum(sales_amount) AS sales_amount FROM internet_sales
WHERE date_year = 2013 AND customer IN (SELECT customer FROM internet_sales WHERE date_year = 2011)
