SELECT date, measure(average_3) AS average_3, measure(sum_12) AS sum_12 FROM statement
WHERE scenario = 1 AND account_l1 = 'Net Income' GROUP BY date ORDER BY date
