SELECT owner, date, commission, accelerator, earned, bookings, effective_rate, clawback, amount, amount_ytd, amount_before
FROM payout ORDER BY owner, date
