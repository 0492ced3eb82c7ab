SELECT product, sum(order_quantity) AS order_quantity FROM reseller_sales
GROUP BY product ORDER BY order_quantity DESC, product LIMIT 10 OFFSET 2
