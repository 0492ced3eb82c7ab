-- Plain SQL over leaves: the closure's weight says how a leaf enters the ancestor.
SELECT a.key, a.name, sum(f.amount * c.weight) AS amount
FROM finance f
JOIN account_closure c ON c.descendant = f.account AND c.hierarchy = 'account'
JOIN account a ON a.key = c.ancestor
JOIN scenario s ON s.key = f.scenario
WHERE c.ancestor IN (47, 48, 50) AND s.name = 'Actual' AND f.date_year = 2011
GROUP BY a.key, a.name ORDER BY a.key
