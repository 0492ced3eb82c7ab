-- The rows of one order, with what formulas make of them.
SELECT order_number, line, date, product, territory, employee, reseller, promotion, currency,
       sales_amount, total_product_cost, tax_amt, freight, order_quantity, gross_profit, gross_margin, commission
FROM reseller_sales WHERE order_number = 'SO43659' ORDER BY line
