SELECT date_year, account_l3, measure(amount) AS amount FROM finance
WHERE account_l2 = 'Assets' AND scenario = 1 GROUP BY date_year, account_l3 ORDER BY date_year, account_l3
