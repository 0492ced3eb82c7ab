SELECT s.name, m.net_income
FROM (SELECT scenario, measure(amount) AS net_income FROM finance
      WHERE account_l1 = 'Net Income' AND date_year = 2011 GROUP BY scenario) m
JOIN scenario s ON s.key = m.scenario ORDER BY s.name
