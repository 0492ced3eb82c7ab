-- Adding up closing balances misleads: refused, with a hint.
SELECT date_quarter, sum(amount) AS assets FROM finance
WHERE account_l2 = 'Assets' AND scenario = 1 GROUP BY date_quarter
