SELECT territory_country,
       sum(CASE WHEN date_year = 2012 THEN sales_amount ELSE 0 END) AS sales_2012,
       sum(CASE WHEN date_year = 2013 THEN sales_amount ELSE 0 END) AS sales_2013,
       count(*) FILTER (WHERE order_quantity >= 20) AS large_lines
FROM reseller_sales GROUP BY territory_country ORDER BY territory_country
