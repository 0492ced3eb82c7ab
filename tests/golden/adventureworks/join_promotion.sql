SELECT p.name, p.discount_pct, p.start_date, p.end_date, p.max_quantity, sum(r.sales_amount) AS sales_amount
FROM reseller_sales r JOIN promotion p ON p.key = r.promotion
GROUP BY p.key, p.name, p.discount_pct, p.start_date, p.end_date, p.max_quantity ORDER BY p.key
