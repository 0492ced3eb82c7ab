SELECT date_year, measure(earned) AS earned, measure(effective_rate) AS effective_rate, measure(clawback) AS clawback,
  measure(amount) AS amount, measure(amount_ytd) AS amount_ytd
FROM payout GROUP BY date_year ORDER BY date_year
