SELECT date_year, measure(amount) AS amount, measure(amount_ytd) AS amount_ytd, measure(previous_year) AS previous_year,
  measure(change) AS change
FROM statement WHERE scenario = 1 AND account_l1 = 'Net Income' GROUP BY date_year ORDER BY date_year
