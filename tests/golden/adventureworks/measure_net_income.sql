SELECT date_year, measure(amount) AS net_income FROM finance
WHERE account_l1 = 'Net Income' AND scenario = 1 GROUP BY date_year ORDER BY date_year
