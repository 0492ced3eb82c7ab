SELECT date_quarter, sum(sales_amount) AS sales_amount, sum(order_quantity) AS order_quantity
FROM reseller_sales GROUP BY date_quarter ORDER BY date_quarter
