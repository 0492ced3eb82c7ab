-- Assets less liabilities and equity: nothing, on every posting day.
SELECT date, measure(amount) AS balance_sheet FROM finance
WHERE account_l1 = 'Balance Sheet' AND scenario = 1 GROUP BY date ORDER BY date
