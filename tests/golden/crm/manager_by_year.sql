SELECT manager, date_year, measure(base) AS base, measure(amount) AS amount, measure(all_amounts) AS all_amounts,
  measure(share) AS share
FROM manager_payout GROUP BY manager, date_year ORDER BY manager, date_year
