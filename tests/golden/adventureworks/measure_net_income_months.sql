SELECT date_month, measure(amount) AS net_income FROM finance
WHERE account_l1 = 'Net Income' AND scenario = 1 AND date_year IN (2011, 2012)
GROUP BY date_month ORDER BY date_month
