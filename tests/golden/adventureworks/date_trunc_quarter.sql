SELECT CAST(date_trunc('quarter', date) AS date) AS quarter_start, count(*) AS order_lines,
       sum(sales_amount) AS sales_amount
FROM reseller_sales WHERE date >= DATE '2012-01-01' AND date < DATE '2013-01-01'
GROUP BY 1 ORDER BY 1
