SELECT product, measure(gross_margin) AS gross_margin, sum(gross_profit) AS gross_profit FROM reseller_sales
WHERE product_subcategory = 'Helmets' GROUP BY product ORDER BY product
