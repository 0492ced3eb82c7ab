SELECT account_l2, date_fiscal_year, measure(amount) AS amount FROM finance
WHERE account_l1 = 'Balance Sheet' AND scenario = 1
GROUP BY account_l2, date_fiscal_year ORDER BY account_l2, date_fiscal_year
