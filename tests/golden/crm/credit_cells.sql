SELECT owner, date, full_quota, quota, bookings, attainment, won, lost, win_rate FROM credit ORDER BY owner, date
