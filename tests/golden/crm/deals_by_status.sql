SELECT status, count(*) AS deals, sum(value) AS value, sum(credit) AS credit FROM deals GROUP BY status ORDER BY status
