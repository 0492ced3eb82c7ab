SELECT product_category, date_year, sum(sales_amount) AS sales_amount, sum(order_quantity) AS order_quantity
FROM reseller_sales GROUP BY product_category, date_year ORDER BY product_category, date_year
