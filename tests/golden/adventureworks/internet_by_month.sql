SELECT date_month, sum(sales_amount) AS sales_amount, sum(gross_profit) AS gross_profit
FROM internet_sales WHERE date_year = 2013 GROUP BY date_month ORDER BY date_month
