SELECT employee, date, sales_amount_quota, actual_sales, attainment
FROM sales_quota WHERE employee = 282 AND date_year = 2013 ORDER BY date
