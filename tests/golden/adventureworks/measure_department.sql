-- Corporate's own facts are in the group without a second level.
SELECT department_l1, department_l2, measure(amount) AS net_income FROM finance
WHERE account_l1 = 'Net Income' AND scenario = 1 AND date_year = 2011
GROUP BY department_l1, department_l2 ORDER BY department_l2 NULLS FIRST
