//! The oid of everything in a database.
//!
//! An oid is a hash of what the object is and of its name, so that it is the same after other
//! objects come and go; what collides takes the next free one, in a fixed order. Oids below
//! [`FIRST_OID`] are PostgreSQL's own.

use std::collections::{HashMap, HashSet};

use super::definitions::{self, INFORMATION_SCHEMA, PG_CATALOG, SystemRelation};
use crate::sql::relation::{CatalogContents, Relation};

/// Where PostgreSQL begins to number what users make.
pub(super) const FIRST_OID: u32 = 16384;
/// The role that owns everything: the server itself.
pub(super) const OWNER_OID: u32 = 10;
pub(super) const OWNER_NAME: &str = "perfos";
/// `pg_catalog`
pub(super) const PG_CATALOG_OID: u32 = 11;
/// `public`
pub(super) const PUBLIC_OID: u32 = 2200;
/// `information_schema`, as PostgreSQL 15 numbers it.
pub(super) const INFORMATION_SCHEMA_OID: u32 = 13259;
/// The functions that this server adds to PostgreSQL's.
pub(super) const MEASURE_OID: u32 = 9000;
pub(super) const MDX_OID: u32 = 9001;

/// A relation of the database with the oids of all that hangs on it.
#[derive(Debug)]
pub(super) struct IndexedRelation {
    pub(super) oid: u32,
    pub(super) namespace: u32,
    /// Its row type in `pg_type`.
    pub(super) row_type: u32,
    /// Its place in `CatalogContents::relations`.
    pub(super) position: usize,
    pub(super) primary_key: Option<PrimaryKey>,
    pub(super) foreign_keys: Vec<Reference>,
}

/// A primary key: its index and its constraint share a name.
#[derive(Debug)]
pub(super) struct PrimaryKey {
    pub(super) name: String,
    pub(super) index: u32,
    pub(super) constraint: u32,
}

/// A foreign key whose target exists.
#[derive(Debug)]
pub(super) struct Reference {
    pub(super) name: String,
    pub(super) constraint: u32,
    /// The referencing column, from 0.
    pub(super) column: usize,
    /// The referenced relation in [`Index::relations`].
    pub(super) target: usize,
    /// The referenced column, from 0.
    pub(super) target_column: usize,
}

/// A row of `pg_class`, found by its oid.
#[derive(Debug, Clone, Copy)]
pub(super) enum Class<'a> {
    /// A table of PostgreSQL's own.
    System(&'static SystemRelation),
    /// A table or a view of the database.
    Relation(&'a IndexedRelation),
    /// The index of a primary key, with its table.
    Key(&'a IndexedRelation, &'a PrimaryKey),
}

/// All oids of a database.
#[derive(Debug)]
pub(super) struct Index {
    pub(super) databases: Vec<(u32, String)>,
    pub(super) roles: Vec<(u32, String)>,
    pub(super) namespaces: Vec<(u32, String)>,
    /// In the order of schema and name.
    pub(super) relations: Vec<IndexedRelation>,
    classes: HashMap<u32, (usize, bool)>,
    classes_by_name: HashMap<(u32, String), u32>,
}

/// Gives out oids.
struct Numbers {
    taken: HashSet<u32>,
}

impl Numbers {
    fn number(&mut self, kind: &str, parts: &[&str]) -> u32 {
        // FNV-1a: short, and the same on every machine and in every version.
        let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
        for part in std::iter::once(&kind).chain(parts) {
            for byte in part.bytes().chain(std::iter::once(0)) {
                hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
            }
        }
        // Below 2^31, so that an oid also fits where a client reads an int4.
        let room = (1 << 31) - u64::from(FIRST_OID);
        let mut place = (hash ^ (hash >> 33)) % room;
        loop {
            let oid = FIRST_OID + place as u32;
            if self.taken.insert(oid) {
                return oid;
            }
            place = (place + 1) % room;
        }
    }
}

impl Index {
    pub(super) fn new(contents: &CatalogContents) -> Self {
        let mut numbers = Numbers { taken: HashSet::new() };
        let databases = numbered(&mut numbers, "database", &databases(contents));
        let mut roles = vec![(OWNER_OID, OWNER_NAME.to_owned())];
        roles.extend(numbered(&mut numbers, "role", &roles_of(contents)));
        let mut namespaces = vec![
            (PG_CATALOG_OID, PG_CATALOG.to_owned()),
            (INFORMATION_SCHEMA_OID, INFORMATION_SCHEMA.to_owned()),
            (PUBLIC_OID, "public".to_owned()),
        ];
        let mut own: Vec<&str> = contents
            .schemas
            .iter()
            .map(String::as_str)
            .filter(|name| !matches!(*name, "public" | PG_CATALOG | INFORMATION_SCHEMA))
            .collect();
        own.sort_unstable();
        own.dedup();
        namespaces.extend(numbered(&mut numbers, "schema", &own));
        let relations = relations(contents, &namespaces, &mut numbers);
        let mut classes = HashMap::new();
        let mut classes_by_name = HashMap::new();
        for (at, entry) in relations.iter().enumerate() {
            classes.insert(entry.oid, (at, false));
            let name = contents.relations[entry.position].name.clone();
            classes_by_name.insert((entry.namespace, name), entry.oid);
            if let Some(key) = &entry.primary_key {
                classes.insert(key.index, (at, true));
                classes_by_name.entry((entry.namespace, key.name.clone())).or_insert(key.index);
            }
        }
        Self { databases, roles, namespaces, relations, classes, classes_by_name }
    }

    /// The relation or index of this oid.
    pub(super) fn class(&self, oid: u32) -> Option<Class<'_>> {
        match self.classes.get(&oid) {
            Some((at, is_index)) => {
                let entry = self.relations.get(*at)?;
                match (is_index, &entry.primary_key) {
                    (true, Some(key)) => Some(Class::Key(entry, key)),
                    _ => Some(Class::Relation(entry)),
                }
            }
            None => definitions::system_relations()
                .iter()
                .find(|relation| relation.oid == oid)
                .map(Class::System),
        }
    }

    /// The oid of a relation or index.
    pub(super) fn class_named(&self, schema: &str, name: &str) -> Option<u32> {
        if let Some(system) = definitions::system_relation(schema, name) {
            return Some(system.oid);
        }
        let namespace = oid_of(&self.namespaces, schema)?;
        self.classes_by_name.get(&(namespace, name.to_owned())).copied()
    }
}

/// The name of an oid in a list.
pub(super) fn name_of(list: &[(u32, String)], oid: u32) -> Option<&str> {
    list.iter().find(|(known, _)| *known == oid).map(|(_, name)| name.as_str())
}

/// The oid of a name in a list.
pub(super) fn oid_of(list: &[(u32, String)], name: &str) -> Option<u32> {
    list.iter().find(|(_, known)| known == name).map(|(oid, _)| *oid)
}

fn numbered(numbers: &mut Numbers, kind: &str, names: &[&str]) -> Vec<(u32, String)> {
    names.iter().map(|name| (numbers.number(kind, &[name]), (*name).to_owned())).collect()
}

fn databases(contents: &CatalogContents) -> Vec<&str> {
    let mut names: Vec<&str> = contents.databases.iter().map(String::as_str).collect();
    names.push(&contents.database);
    names.sort_unstable();
    names.dedup();
    names
}

fn roles_of(contents: &CatalogContents) -> Vec<&str> {
    let mut names: Vec<&str> = contents.roles.iter().map(String::as_str).collect();
    names.push(&contents.user);
    names.sort_unstable();
    names.dedup();
    names.retain(|name| *name != OWNER_NAME);
    names
}

fn relations(
    contents: &CatalogContents,
    namespaces: &[(u32, String)],
    numbers: &mut Numbers,
) -> Vec<IndexedRelation> {
    let mut order: Vec<usize> = (0..contents.relations.len()).collect();
    let key = |at: &usize| {
        let relation = &contents.relations[*at];
        (relation.schema.as_str(), relation.name.as_str())
    };
    order.sort_unstable_by(|a, b| key(a).cmp(&key(b)));
    order.dedup_by(|a, b| key(a) == key(b));
    order.retain(|at| oid_of(namespaces, &contents.relations[*at].schema).is_some());
    let places: HashMap<(&str, &str), usize> =
        order.iter().enumerate().map(|(place, at)| (key(at), place)).collect();
    order
        .iter()
        .map(|at| {
            let relation = &contents.relations[*at];
            let name = [relation.schema.as_str(), relation.name.as_str()];
            IndexedRelation {
                oid: numbers.number("relation", &name),
                namespace: oid_of(namespaces, &relation.schema).unwrap_or_default(),
                row_type: numbers.number("row type", &name),
                position: *at,
                primary_key: (!relation.primary_key.is_empty()).then(|| PrimaryKey {
                    name: format!("{}_pkey", relation.name),
                    index: numbers.number("primary key index", &name),
                    constraint: numbers.number("primary key", &name),
                }),
                foreign_keys: references(contents, relation, &order, &places, numbers),
            }
        })
        .collect()
}

fn references(
    contents: &CatalogContents,
    relation: &Relation,
    order: &[usize],
    places: &HashMap<(&str, &str), usize>,
    numbers: &mut Numbers,
) -> Vec<Reference> {
    relation
        .foreign_keys
        .iter()
        .filter_map(|key| {
            let column = relation.columns.get(key.column)?;
            let target = *places.get(&(relation.schema.as_str(), key.table.as_str()))?;
            let target_column = contents.relations[order[target]]
                .columns
                .iter()
                .position(|column| column.name == key.referenced_column)?;
            let name = format!("{}_{}_fkey", relation.name, column.name);
            let parts = [relation.schema.as_str(), relation.name.as_str(), column.name.as_str()];
            Some(Reference {
                constraint: numbers.number("foreign key", &parts),
                name,
                column: key.column,
                target,
                target_column,
            })
        })
        .collect()
}
