SELECT 'own' AS part, measure(amount) AS net_income FROM finance
WHERE department = 1 AND account_l1 = 'Net Income' AND scenario = 1 AND date_year = 2011
UNION ALL
SELECT 'total', measure(amount) FROM finance
WHERE department_l1 = 'Corporate' AND account_l1 = 'Net Income' AND scenario = 1 AND date_year = 2011
ORDER BY 1
