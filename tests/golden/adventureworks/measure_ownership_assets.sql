SELECT date_quarter, measure(amount) AS assets FROM finance
WHERE account_l2 = 'Assets' AND organization_ownership_l1 = 'AdventureWorks Cycle' AND scenario = 1
GROUP BY date_quarter ORDER BY date_quarter
