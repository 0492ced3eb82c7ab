SELECT date_year, measure(closing) AS closing, measure(opening) AS opening, measure(movement) AS movement FROM balance
WHERE account_l2 = 'Assets' GROUP BY date_year ORDER BY date_year
