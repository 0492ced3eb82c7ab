SELECT account, organization, scenario, date, amount, amount_ytd, previous_year, change, average_3, sum_12 FROM statement
WHERE organization = 11 AND scenario = 1 AND account IN (4, 57, 60, 92, 96, 97, 98, 101) ORDER BY account, date
