SELECT sum(sales_amount) AS sales_amount, sum(total_product_cost) AS total_product_cost,
       sum(tax_amt) AS tax_amt, sum(freight) AS freight, sum(order_quantity) AS order_quantity,
       count(DISTINCT order_number) AS orders
FROM reseller_sales
