-- A name may stand for several members.
SELECT name, count(*) AS members, min(key) AS first_key, max(key) AS last_key
FROM account GROUP BY name HAVING count(*) > 1
