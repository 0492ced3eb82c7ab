SELECT ancestor, distance, weight FROM account_closure
WHERE hierarchy = 'account' AND descendant = 56 AND distance > 0 ORDER BY distance
