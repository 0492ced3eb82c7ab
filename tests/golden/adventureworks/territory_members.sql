-- NA is a name, at every level.
SELECT name, parent, territory_group, territory_country FROM territory
WHERE territory_group IN ('Europe', 'NA') ORDER BY territory_group, territory_country NULLS FIRST, parent
