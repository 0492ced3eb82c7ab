SELECT account, date_quarter, measure(amount) AS amount FROM finance
WHERE account IN (4, 60) AND organization = 3 AND department = 7 AND scenario = 1 AND date_year = 2012
GROUP BY account, date_quarter ORDER BY account, date_quarter
