SELECT key, name, plan, start_date, end_date, owner_team FROM owner ORDER BY key
