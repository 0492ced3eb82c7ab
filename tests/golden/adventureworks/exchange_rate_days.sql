-- Rounded half-even to 15 digits where the source has more.
SELECT c.code, r.date, r.average_rate, r.end_of_day_rate
FROM exchange_rate r JOIN currency c ON c.key = r.currency
WHERE r.date IN (DATE '2010-12-29', DATE '2012-06-30', DATE '2014-02-28') ORDER BY c.code, r.date
