-- A dimension table joined with itself.
SELECT e.key, e.name, m.name AS manager, e.depth, e.commission_pct
FROM employee e JOIN employee m ON m.key = e.parent
WHERE e.commission_pct IS NOT NULL ORDER BY e.key
