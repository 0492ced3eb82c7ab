SELECT CAST(extract(month FROM date) AS integer) AS month, sum(sales_amount) AS sales_amount
FROM internet_sales WHERE extract(year FROM date) = 2012 GROUP BY 1 ORDER BY 1
