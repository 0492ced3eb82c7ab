SELECT organization, measure(amount_usd) AS amount_usd, measure(owned_usd) AS owned_usd, measure(minority_usd) AS minority_usd
FROM finance WHERE scenario = 1 AND account_l1 = 'Net Income' GROUP BY organization ORDER BY organization
