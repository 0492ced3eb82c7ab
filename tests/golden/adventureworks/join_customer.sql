SELECT c.country, c.house_owner, count(DISTINCT i.customer) AS customers, sum(i.sales_amount) AS sales_amount
FROM internet_sales i JOIN customer c ON c.key = i.customer
WHERE c.birth_date >= DATE '1970-01-01'
GROUP BY c.country, c.house_owner ORDER BY c.country, c.house_owner
