SELECT employee_l2, date_year, measure(attainment) AS attainment FROM sales_quota
GROUP BY employee_l2, date_year ORDER BY date_year
