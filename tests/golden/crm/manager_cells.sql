SELECT manager, date, base, amount, all_amounts, share FROM manager_payout ORDER BY manager, date
