SELECT c.code, count(*) AS order_lines, sum(i.sales_amount) AS sales_amount
FROM internet_sales i JOIN currency c ON c.key = i.currency
GROUP BY c.code ORDER BY c.code
