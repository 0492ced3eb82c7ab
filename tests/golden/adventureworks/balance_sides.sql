SELECT account_l2, date, measure(closing) AS closing, measure(opening) AS opening, measure(movement) AS movement FROM balance
WHERE account_l1 = 'Balance Sheet' GROUP BY account_l2, date ORDER BY account_l2, date
