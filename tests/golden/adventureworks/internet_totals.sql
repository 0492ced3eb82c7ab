SELECT sum(sales_amount) AS sales_amount, sum(total_product_cost) AS total_product_cost,
       count(DISTINCT order_number) AS orders, count(DISTINCT customer) AS customers
FROM internet_sales
