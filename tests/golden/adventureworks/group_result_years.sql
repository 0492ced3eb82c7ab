SELECT scenario, date_year, measure(net_income) AS net_income, measure(owned) AS owned, measure(minority) AS minority,
  measure(owned_ytd) AS owned_ytd, measure(owned_previous_year) AS owned_previous_year, measure(owned_share) AS owned_share
FROM group_result GROUP BY scenario, date_year ORDER BY scenario, date_year
