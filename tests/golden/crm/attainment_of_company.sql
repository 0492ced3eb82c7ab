SELECT date_year, measure(quota) AS quota, measure(bookings) AS bookings, measure(attainment) AS attainment,
  measure(win_rate) AS win_rate
FROM credit GROUP BY date_year ORDER BY date_year
