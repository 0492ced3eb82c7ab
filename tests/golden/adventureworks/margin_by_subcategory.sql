SELECT product_category, product_subcategory, measure(gross_margin) AS gross_margin
FROM reseller_sales GROUP BY product_category, product_subcategory ORDER BY product_category, product_subcategory
