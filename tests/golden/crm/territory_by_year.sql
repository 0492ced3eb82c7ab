SELECT territory_area, date_year, measure(bookings) AS bookings, measure(all_bookings) AS all_bookings,
  measure(share) AS share
FROM territory_bookings GROUP BY territory_area, date_year ORDER BY territory_area, date_year
