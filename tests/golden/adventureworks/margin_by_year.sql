SELECT date_year, measure(gross_margin) AS gross_margin FROM internet_sales GROUP BY date_year ORDER BY date_year
