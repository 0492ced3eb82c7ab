SELECT p.color, count(DISTINCT p.code) AS products, sum(r.sales_amount) AS sales_amount
FROM reseller_sales r JOIN product p ON p.key = r.product
GROUP BY p.color ORDER BY sales_amount DESC
