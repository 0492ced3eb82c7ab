SELECT product_category, product_subcategory, sum(sales_amount) AS sales_amount, count(*) AS order_lines
FROM internet_sales GROUP BY product_category, product_subcategory
ORDER BY product_category, product_subcategory
