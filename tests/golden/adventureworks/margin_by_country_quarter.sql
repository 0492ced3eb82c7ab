SELECT territory_country, date_quarter, measure(gross_margin) AS gross_margin FROM reseller_sales
WHERE territory_group = 'Europe' GROUP BY territory_country, date_quarter ORDER BY territory_country, date_quarter
