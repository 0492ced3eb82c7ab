SELECT q.date_year, q.actual_sales, r.sales_amount
FROM (SELECT date_year, sum(actual_sales) AS actual_sales FROM sales_quota GROUP BY date_year) q
JOIN (SELECT date_year, sum(sales_amount) AS sales_amount FROM reseller_sales GROUP BY date_year) r
  ON r.date_year = q.date_year
ORDER BY q.date_year
