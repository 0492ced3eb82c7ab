-- A fiscal year starts in July and has the name of the year in which it ends.
SELECT date_fiscal_year, sum(sales_amount) AS sales_amount
FROM reseller_sales GROUP BY date_fiscal_year ORDER BY date_fiscal_year
