SELECT account, organization, scenario, date, closing, opening, movement FROM balance ORDER BY account, organization, scenario, date
