-- The source has 0.0093312306960165 and the like, exactly between two neighbours: the even one is kept.
SELECT currency, date, average_rate, end_of_day_rate FROM exchange_rate
WHERE currency = 102 AND date IN (DATE '2011-02-24', DATE '2011-10-08', DATE '2011-10-28', DATE '2013-09-20')
   OR currency = 61 AND date = DATE '2013-11-06'
ORDER BY currency, date
