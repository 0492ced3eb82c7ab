SELECT employee_l2, employee_l3, sum(sales_amount) AS sales_amount, count(DISTINCT employee) AS employees
FROM reseller_sales WHERE date_year = 2013 GROUP BY employee_l2, employee_l3 ORDER BY employee_l3
