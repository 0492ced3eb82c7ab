-- A quota is for a quarter: attainment is blank for months and days.
SELECT date_month, measure(sales_amount_quota) AS quota, measure(actual_sales) AS actual_sales,
       measure(attainment) AS attainment
FROM sales_quota WHERE employee = 281 AND date_year = 2012 GROUP BY date_month ORDER BY date_month
