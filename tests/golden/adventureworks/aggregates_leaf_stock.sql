-- set perfos.aggregates = leaf
SELECT date_quarter, sum(amount) AS amount FROM finance
WHERE account_l2 = 'Assets' AND scenario = 1 GROUP BY date_quarter ORDER BY date_quarter
