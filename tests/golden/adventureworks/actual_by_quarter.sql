SELECT employee, date_quarter, sum(actual_sales) AS actual_sales FROM sales_quota
WHERE date_year = 2011 AND actual_sales IS NOT NULL GROUP BY employee, date_quarter ORDER BY employee, date_quarter
