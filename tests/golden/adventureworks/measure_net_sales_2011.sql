SELECT measure(amount) AS net_sales FROM finance
WHERE account_l4 = 'Net Sales' AND scenario = 1 AND date_year = 2011
