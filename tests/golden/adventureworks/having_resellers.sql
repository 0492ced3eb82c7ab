SELECT reseller, count(DISTINCT order_number) AS orders, sum(sales_amount) AS sales_amount
FROM reseller_sales GROUP BY reseller HAVING sum(sales_amount) > 700000 ORDER BY sales_amount DESC
