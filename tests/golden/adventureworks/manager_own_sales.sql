-- A manager's own facts are on his own key; his level column holds his name.
SELECT employee, employee_l3, employee_l4, sum(sales_amount) AS sales_amount
FROM reseller_sales WHERE employee IN (272, 290, 294) AND date_year = 2013
GROUP BY employee, employee_l3, employee_l4 ORDER BY employee
