-- Products without a subcategory have no category either.
SELECT product_category, count(product_subcategory) AS with_subcategory, count(list_price) AS with_list_price,
       count(*) AS members
FROM product GROUP BY product_category ORDER BY product_category NULLS FIRST
