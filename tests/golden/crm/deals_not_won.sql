SELECT status, owner, date_quarter, sum(credit) AS credit, sum(credit * opportunity_id) AS checksum
FROM deals WHERE status <> 'Won' GROUP BY status, owner, date_quarter ORDER BY status, owner, date_quarter
