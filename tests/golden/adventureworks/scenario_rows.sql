SELECT s.name, count(*) AS cells, min(f.date) AS first_day, max(f.date) AS last_day, count(DISTINCT f.account) AS accounts
FROM finance f JOIN scenario s ON s.key = f.scenario GROUP BY s.name ORDER BY s.name
