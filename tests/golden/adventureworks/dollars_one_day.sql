SELECT account, department, amount, amount_usd, owned_usd, minority_usd FROM finance
WHERE date = '2013-06-30' AND organization = 12 AND amount_usd IS NOT NULL ORDER BY account, department
