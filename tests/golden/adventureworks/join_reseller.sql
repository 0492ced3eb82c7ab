SELECT s.business_type, count(DISTINCT r.reseller) AS resellers, sum(r.sales_amount) AS sales_amount
FROM reseller_sales r JOIN reseller s ON s.key = r.reseller
GROUP BY s.business_type ORDER BY s.business_type
