SELECT opportunity_id, date, closed_on, owner, credit, to_recover FROM cancellations ORDER BY opportunity_id
