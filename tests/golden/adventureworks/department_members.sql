SELECT key, name, parent, depth, department_l1, department_l2 FROM department ORDER BY key
