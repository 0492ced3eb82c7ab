-- 2011-Q2 has sales and no quota, 2011-Q3 two quotas.
SELECT employee, date_quarter, measure(sales_amount_quota) AS quota, measure(actual_sales) AS actual_sales,
       measure(attainment) AS attainment
FROM sales_quota WHERE date_year = 2011 GROUP BY employee, date_quarter ORDER BY employee, date_quarter
