-- set perfos.aggregates = leaf
SELECT organization, date, scenario, count(amount_usd) AS cells, sum(amount_usd) AS amount_usd, sum(owned_usd) AS owned_usd,
  sum(minority_usd) AS minority_usd, sum(amount_usd * (account + 100 * department)) AS checksum,
  sum(owned_usd * (account + 100 * department)) AS owned_checksum
FROM finance WHERE amount_usd IS NOT NULL GROUP BY organization, date, scenario ORDER BY organization, date, scenario
