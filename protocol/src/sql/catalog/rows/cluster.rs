//! What belongs to the server rather than to one database: databases, roles, settings, activity.

use super::{Row, row};
use crate::sql::catalog::Catalog;
use crate::sql::catalog::index::{OWNER_NAME, OWNER_OID, oid_of};
use crate::sql::catalog::value::Value;

/// `pg_default`
pub(in crate::sql::catalog) const DEFAULT_TABLESPACE: u32 = 1663;
const UTF8: i32 = 6;
const NO_LIMIT: i32 = -1;

pub(super) fn pg_database(catalog: &Catalog) -> Vec<Row> {
    let database = |(oid, name): &(u32, String)| {
        row! {
            oid: *oid,
            datname: name.as_str(),
            datdba: OWNER_OID,
            encoding: UTF8,
            datlocprovider: "c",
            datallowconn: true,
            datconnlimit: NO_LIMIT,
            datfrozenxid: 3,
            datminmxid: 1,
            dattablespace: DEFAULT_TABLESPACE,
            datcollate: "C.UTF-8",
            datctype: "C.UTF-8",
        }
    };
    catalog.index().databases.iter().map(database).collect()
}

/// A role and whether it can log in: the owner is the server itself, a role is what users have,
/// and of the users only the session's own is seen.
fn roles(catalog: &Catalog) -> impl Iterator<Item = (u32, &str, bool)> {
    let user = catalog.contents().user.as_str();
    catalog
        .index()
        .roles
        .iter()
        .map(move |(oid, name)| (*oid, name.as_str(), name == user || *oid == OWNER_OID))
}

pub(super) fn pg_roles(catalog: &Catalog) -> Vec<Row> {
    let role = |(oid, name, logs_in): (u32, &str, bool)| {
        row! {
            oid: oid,
            rolname: name,
            rolsuper: oid == OWNER_OID,
            rolinherit: true,
            rolcreaterole: oid == OWNER_OID,
            rolcreatedb: oid == OWNER_OID,
            rolcanlogin: logs_in,
            rolreplication: false,
            rolconnlimit: NO_LIMIT,
            rolpassword: "********",
            rolbypassrls: oid == OWNER_OID,
        }
    };
    roles(catalog).map(role).collect()
}

/// As `pg_roles`; passwords are nowhere in the catalogs.
pub(super) fn pg_authid(catalog: &Catalog) -> Vec<Row> {
    let mut rows = pg_roles(catalog);
    for row in &mut rows {
        row.0.retain(|(name, _)| *name != "rolpassword");
    }
    rows
}

pub(super) fn pg_user(catalog: &Catalog) -> Vec<Row> {
    let user = |(oid, name, _): (u32, &str, bool)| {
        row! {
            usename: name,
            usesysid: oid,
            usecreatedb: oid == OWNER_OID,
            usesuper: oid == OWNER_OID,
            userepl: false,
            usebypassrls: oid == OWNER_OID,
            passwd: "********",
        }
    };
    roles(catalog).filter(|(_, _, logs_in)| *logs_in).map(user).collect()
}

pub(super) fn pg_shadow(catalog: &Catalog) -> Vec<Row> {
    let mut rows = pg_user(catalog);
    for row in &mut rows {
        row.0.retain(|(name, _)| *name != "passwd");
    }
    rows
}

pub(super) fn pg_group(catalog: &Catalog) -> Vec<Row> {
    let group = |(oid, name, _): (u32, &str, bool)| {
        row! { groname: name, grosysid: oid, grolist: Value::List(Vec::new()) }
    };
    roles(catalog).filter(|(_, _, logs_in)| !logs_in).map(group).collect()
}

pub(super) fn pg_tablespace(_: &Catalog) -> Vec<Row> {
    [(DEFAULT_TABLESPACE, "pg_default"), (1664, "pg_global")]
        .into_iter()
        .map(|(oid, name)| row! { oid: oid, spcname: name, spcowner: OWNER_OID })
        .collect()
}

pub(super) fn pg_settings(catalog: &Catalog) -> Vec<Row> {
    catalog
        .contents()
        .settings
        .iter()
        .map(|(name, value, description)| {
            let kind = match value.as_str() {
                "on" | "off" => "bool",
                value if value.parse::<i64>().is_ok() => "integer",
                value if value.parse::<f64>().is_ok() => "real",
                _ => "string",
            };
            row! {
                name: name.as_str(),
                setting: value.as_str(),
                category: "Performance OS",
                short_desc: description.as_str(),
                context: "user",
                vartype: kind,
                source: "default",
                boot_val: value.as_str(),
                reset_val: value.as_str(),
                pending_restart: false,
            }
        })
        .collect()
}

pub(super) fn pg_stat_activity(catalog: &Catalog) -> Vec<Row> {
    let contents = catalog.contents();
    let index = catalog.index();
    vec![row! {
        datid: oid_of(&index.databases, &contents.database),
        datname: contents.database.as_str(),
        usesysid: oid_of(&index.roles, &contents.user),
        usename: contents.user.as_str(),
        state: "active",
        backend_type: "client backend",
    }]
}

pub(super) fn pg_stat_gssapi(_: &Catalog) -> Vec<Row> {
    vec![row! { gss_authenticated: false, encrypted: false }]
}

pub(super) fn pg_stat_ssl(_: &Catalog) -> Vec<Row> {
    vec![row! { ssl: false }]
}

pub(super) fn pg_stat_database(catalog: &Catalog) -> Vec<Row> {
    let database = |(oid, name): &(u32, String)| row! { datid: *oid, datname: name.as_str() };
    catalog.index().databases.iter().map(database).collect()
}

/// The zones that have no daylight saving time and so need no table of rules.
pub(super) fn pg_timezone_names(_: &Catalog) -> Vec<Row> {
    ["UTC", "Etc/UTC", "GMT", "Etc/GMT"]
        .into_iter()
        .map(|name| {
            let abbreviation = if name.ends_with("GMT") { "GMT" } else { "UTC" };
            row! { name: name, abbrev: abbreviation, utc_offset: "00:00:00", is_dst: false }
        })
        .collect()
}

pub(super) fn pg_timezone_abbrevs(_: &Catalog) -> Vec<Row> {
    ["UTC", "GMT", "Z"]
        .into_iter()
        .map(|name| row! { abbrev: name, utc_offset: "00:00:00", is_dst: false })
        .collect()
}

/// The owner's name, for views that print it.
pub(super) fn owner() -> &'static str {
    OWNER_NAME
}
