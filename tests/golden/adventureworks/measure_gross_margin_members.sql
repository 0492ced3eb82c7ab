SELECT account_l3, measure(amount) AS amount FROM finance
WHERE account_l2 = 'Operating Profit' AND scenario = 1 AND date_year = 2011
GROUP BY account_l3 ORDER BY account_l3
