//! SQL: sessions, the catalog, cubes as tables, aggregations as rollups.
//!
//! DataFusion parses, plans and executes; ours are the tables over a [`cube::View`] and the rule
//! that turns an aggregation over a cube into a rollup.

mod aggregates;
pub mod catalog;
pub mod columns;
pub mod complexity;
pub mod execution;
pub mod explain_cell;
pub mod filter;
mod growth;
pub mod history;
pub mod in_lists;
pub mod local;
pub mod measure;
pub mod members;
mod memory;
mod misread;
pub mod named_tables;
mod pauses;
pub mod relation;
pub mod rewrite;
pub mod rollup_rule;
pub mod session;
pub mod settings;
mod signs;
pub mod sqlstate;
pub mod table;
pub mod tenant_catalog;
pub mod write;
