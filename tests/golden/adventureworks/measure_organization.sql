SELECT organization_l2, organization_l3, measure(amount) AS net_income FROM finance
WHERE account_l1 = 'Net Income' AND scenario = 1 AND date_year = 2013
GROUP BY organization_l2, organization_l3 ORDER BY organization_l2, organization_l3
