SELECT employee_l3, date_quarter, measure(sales_amount_quota) AS quota, measure(actual_sales) AS actual_sales,
       measure(attainment) AS attainment
FROM sales_quota GROUP BY employee_l3, date_quarter ORDER BY employee_l3, date_quarter
