SELECT date_month, sum(sales_amount) AS sales_amount,
       sum(sum(sales_amount)) OVER (ORDER BY date_month) AS running_total
FROM reseller_sales WHERE date_year = 2012 GROUP BY date_month ORDER BY date_month
