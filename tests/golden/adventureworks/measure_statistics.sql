-- Headcount is a stock, units are a flow; neither enters its parent.
SELECT account_l2, date_year, measure(amount) AS amount FROM finance
WHERE account_l2 IN ('Headcount', 'Units', 'Square Footage') AND scenario = 1
GROUP BY account_l2, date_year ORDER BY account_l2, date_year
