-- A region's own value, before its own share.
SELECT organization_ownership_l2, measure(amount) AS net_income FROM finance
WHERE account_l1 = 'Net Income' AND scenario = 1 AND date_year = 2013
GROUP BY organization_ownership_l2 ORDER BY organization_ownership_l2
