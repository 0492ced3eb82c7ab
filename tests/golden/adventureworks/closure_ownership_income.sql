SELECT c.hierarchy, sum(f.amount * a.weight * c.weight) AS amount
FROM finance f
JOIN account_closure a ON a.descendant = f.account AND a.hierarchy = 'account' AND a.ancestor = 47
JOIN organization_closure c ON c.descendant = f.organization AND c.ancestor = 1
WHERE f.scenario = 1 AND f.date_year = 2011
GROUP BY c.hierarchy ORDER BY c.hierarchy
