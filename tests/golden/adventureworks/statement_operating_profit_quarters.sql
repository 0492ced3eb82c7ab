SELECT organization_l2, date_quarter, measure(amount) AS amount, measure(amount_ytd) AS amount_ytd, measure(previous_year) AS previous_year,
  measure(change) AS change
FROM statement WHERE scenario = 1 AND account_l2 = 'Operating Profit'
GROUP BY organization_l2, date_quarter ORDER BY organization_l2, date_quarter
