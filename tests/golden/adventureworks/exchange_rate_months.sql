-- An average of days, rounded once to the measure's 15 digits.
SELECT date_month, measure(average_rate) AS average_rate FROM exchange_rate
WHERE currency = 36 AND date_year = 2012 GROUP BY date_month ORDER BY date_month
