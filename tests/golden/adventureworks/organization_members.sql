SELECT key, name, parent, ownership, currency, organization_l1, organization_l2, organization_l3, organization_l4,
       organization_ownership_l2
FROM organization ORDER BY key
