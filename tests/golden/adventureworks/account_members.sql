SELECT key, name, parent, depth, weight, account_l1, account_l2, account_l3, account_type, operator
FROM account WHERE parent IN (1, 47, 48, 50) ORDER BY key
