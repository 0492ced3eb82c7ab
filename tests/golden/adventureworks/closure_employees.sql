-- A member is its own descendant at distance 0: managers sell too.
SELECT CASE WHEN c.distance = 0 THEN 'own' ELSE 'below' END AS part, count(DISTINCT r.employee) AS employees,
       sum(r.sales_amount) AS sales_amount
FROM reseller_sales r JOIN employee_closure c ON c.descendant = r.employee
WHERE c.hierarchy = 'employee' AND c.ancestor = 272 AND r.date_year = 2013
GROUP BY 1 ORDER BY 1
