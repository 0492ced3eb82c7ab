SELECT account, organization, scenario, date, amount FROM statement
WHERE account = 98 AND amount IS NOT NULL ORDER BY organization, scenario, date
