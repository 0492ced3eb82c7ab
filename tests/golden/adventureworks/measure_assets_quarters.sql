-- A stock closes: each leaf's own last day in the quarter.
SELECT date_quarter, measure(amount) AS assets FROM finance
WHERE account_l2 = 'Assets' AND scenario = 1 GROUP BY date_quarter ORDER BY date_quarter
