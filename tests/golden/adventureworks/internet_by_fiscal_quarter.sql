SELECT date_fiscal_year, date_fiscal_quarter, min(date) AS first_day, max(date) AS last_day,
       sum(sales_amount) AS sales_amount
FROM internet_sales WHERE date_fiscal_year IN (2012, 2013)
GROUP BY date_fiscal_year, date_fiscal_quarter ORDER BY date_fiscal_quarter
