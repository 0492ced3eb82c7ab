-- Dimension tables list the members that hold facts.
SELECT 'account' AS dimension, count(*) AS members FROM account
UNION ALL SELECT 'currency', count(*) FROM currency
UNION ALL SELECT 'customer', count(*) FROM customer
UNION ALL SELECT 'department', count(*) FROM department
UNION ALL SELECT 'employee', count(*) FROM employee
UNION ALL SELECT 'organization', count(*) FROM organization
UNION ALL SELECT 'product', count(*) FROM product
UNION ALL SELECT 'promotion', count(*) FROM promotion
UNION ALL SELECT 'reseller', count(*) FROM reseller
UNION ALL SELECT 'scenario', count(*) FROM scenario
UNION ALL SELECT 'territory', count(*) FROM territory
ORDER BY 1
