SELECT account_l3, date_year, measure(amount) AS amount, measure(amount_ytd) AS amount_ytd, measure(previous_year) AS previous_year,
  measure(change) AS change
FROM statement WHERE scenario = 1 AND account_l2 = 'Assets' GROUP BY account_l3, date_year ORDER BY account_l3, date_year
