-- Every posting day balances, but a quarter closes each leaf on its own last day: in two quarters
-- some leaves have nothing on the last day and keep an earlier amount.
SELECT date_quarter, measure(amount) AS balance_sheet FROM finance
WHERE account_l1 = 'Balance Sheet' AND scenario = 1 GROUP BY date_quarter ORDER BY date_quarter
