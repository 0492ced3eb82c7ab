SELECT owner_team, date, measure(earned) AS earned, measure(effective_rate) AS effective_rate, measure(clawback) AS clawback,
  measure(amount) AS amount, measure(amount_ytd) AS amount_ytd
FROM payout GROUP BY owner_team, date ORDER BY owner_team, date
