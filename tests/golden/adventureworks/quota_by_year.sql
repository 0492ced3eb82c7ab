SELECT date_year, sum(sales_amount_quota) AS quota, count(sales_amount_quota) AS quotas
FROM sales_quota GROUP BY date_year ORDER BY date_year
