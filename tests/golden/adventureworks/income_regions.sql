SELECT scenario, organization_l2, date_quarter, measure(net_sales) AS net_sales, measure(gross_margin) AS gross_margin, measure(operating_profit) AS operating_profit,
  measure(net_income) AS net_income, measure(units) AS units, measure(gross_margin_pct) AS gross_margin_pct,
  measure(operating_margin_pct) AS operating_margin_pct, measure(average_unit_price) AS average_unit_price,
  measure(budgeted_sales) AS budgeted_sales, measure(budget_attainment) AS budget_attainment
FROM income GROUP BY scenario, organization_l2, date_quarter ORDER BY scenario, organization_l2, date_quarter
