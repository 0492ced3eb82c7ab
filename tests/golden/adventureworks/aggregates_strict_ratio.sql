-- A sum of ratios is no ratio of sums: refused.
SELECT territory_group, sum(gross_margin) AS gross_margin FROM reseller_sales GROUP BY territory_group
