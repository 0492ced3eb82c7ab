-- set perfos.aggregates = leaf
WITH cells AS (
  SELECT *, CAST(substr(date, 1, 4) AS integer) * 12 + CAST(substr(date, 6, 2) AS integer) - 24131 AS place FROM statement
)
SELECT account, organization, scenario, count(*) AS cells,
  count(amount) AS amounts, sum(amount * place) AS amount_sum,
  count(amount_ytd) AS ytds, sum(amount_ytd * place) AS ytd_sum,
  count(previous_year) AS previous, sum(previous_year * place) AS previous_sum,
  count(change) AS changes, sum(change * place) AS change_sum,
  count(average_3) AS averages, sum(average_3 * place) AS average_sum,
  count(sum_12) AS twelves, sum(sum_12 * place) AS twelve_sum
FROM cells GROUP BY account, organization, scenario ORDER BY account, organization, scenario
