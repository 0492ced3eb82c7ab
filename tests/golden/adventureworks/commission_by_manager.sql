SELECT employee_l3, sum(commission) AS commission, sum(sales_amount) AS sales_amount
FROM reseller_sales GROUP BY employee_l3 ORDER BY employee_l3
