//! SQL: sessions, the catalog, cubes as tables, aggregations as rollups.

pub mod relation;
pub mod session;
