SELECT min(date) AS first_day, max(date) AS last_day, count(DISTINCT date) AS days, sum(sales_amount) AS sales_amount
FROM reseller_sales WHERE date BETWEEN DATE '2011-03-01' AND DATE '2011-08-29'
