SELECT owner, date_quarter, product_category, count(*) AS deals, sum(credit) AS credit, sum(commission) AS commission,
  sum(commission * opportunity_id) AS checksum
FROM deals WHERE status = 'Won' GROUP BY owner, date_quarter, product_category ORDER BY owner, date_quarter, product_category
