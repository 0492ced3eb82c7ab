-- set perfos.aggregates = cube
SELECT date_quarter, sum(amount) AS assets FROM finance
WHERE account_l2 = 'Assets' AND scenario = 1 GROUP BY date_quarter ORDER BY date_quarter
