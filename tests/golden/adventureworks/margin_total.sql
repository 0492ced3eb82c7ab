SELECT measure(gross_profit) AS gross_profit, measure(gross_margin) AS gross_margin FROM reseller_sales
