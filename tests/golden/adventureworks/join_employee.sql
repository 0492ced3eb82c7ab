SELECT r.employee, e.name, e.title, sum(r.sales_amount) AS sales_amount
FROM reseller_sales r JOIN employee e ON e.key = r.employee
WHERE r.date_year = 2013
GROUP BY r.employee, e.name, e.title ORDER BY sales_amount DESC LIMIT 5
