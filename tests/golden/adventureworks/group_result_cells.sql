SELECT scenario, date, net_income, owned, minority, owned_ytd, owned_previous_year, owned_share FROM group_result ORDER BY scenario, date
