-- set perfos.aggregates = leaf
SELECT account_l1, sum(amount) AS amount FROM finance
WHERE account_l1 = 'Net Income' AND scenario = 1 AND date = DATE '2011-12-29' GROUP BY account_l1
