SELECT date_quarter, measure(amount) AS net_sales FROM finance
WHERE account_l4 = 'Net Sales' AND scenario = 1 GROUP BY date_quarter ORDER BY date_quarter
