SELECT owner, date_year, measure(quota) AS quota, measure(bookings) AS bookings, measure(attainment) AS attainment,
  measure(win_rate) AS win_rate
FROM credit GROUP BY owner, date_year ORDER BY owner, date_year
