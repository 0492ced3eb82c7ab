SELECT organization, scenario, date, net_sales, gross_margin, operating_profit, net_income, units,
  gross_margin_pct, operating_margin_pct, average_unit_price, budgeted_sales, budget_attainment
FROM income ORDER BY organization, scenario, date
