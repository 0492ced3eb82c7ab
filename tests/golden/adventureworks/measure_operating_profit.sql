-- Each member's own value, before its operator: taxes are positive.
SELECT account_l2, measure(amount) AS amount FROM finance
WHERE account_l1 = 'Net Income' AND scenario = 1 AND date_year = 2011
GROUP BY account_l2 ORDER BY account_l2
