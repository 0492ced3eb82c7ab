SELECT c.hierarchy, c.descendant, c.distance, c.weight FROM organization_closure c
WHERE c.ancestor = 1 AND c.descendant IN (3, 8, 11, 12, 13) ORDER BY c.hierarchy, c.descendant
