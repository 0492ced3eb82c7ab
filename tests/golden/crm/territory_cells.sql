SELECT territory, date, bookings, all_bookings, share FROM territory_bookings ORDER BY territory, date
