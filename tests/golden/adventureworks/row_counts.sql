-- Every source row is a cell or a row. A quota cube also shows days with sales and no quota.
SELECT 'exchange_rate' AS cube, count(*) AS row_count FROM exchange_rate
UNION ALL SELECT 'finance', count(*) FROM finance
UNION ALL SELECT 'internet_sales', count(*) FROM internet_sales
UNION ALL SELECT 'reseller_sales', count(*) FROM reseller_sales
UNION ALL SELECT 'sales_quota', count(sales_amount_quota) FROM sales_quota
ORDER BY 1
