SELECT employee, date_year, sum(commission) AS commission FROM reseller_sales
GROUP BY employee, date_year ORDER BY employee, date_year
