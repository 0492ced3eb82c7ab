SELECT date_fiscal_year, measure(attainment) AS attainment FROM sales_quota
GROUP BY date_fiscal_year ORDER BY date_fiscal_year
