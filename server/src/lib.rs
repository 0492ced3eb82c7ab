//! The server: tenants as actors over their ledgers, the sockets, and the `perfos` command line.
//!
//! Everything that waits is here: sockets, files, clocks, passwords. What is computed is in `cube`
//! and `calc`, what is on disk in `storage`, what clients say in `protocol`.
//!
//! Invariant: a command is acknowledged after it is durable and published, and a tenant's failure
//! is no other tenant's.

pub mod assertions;
pub mod auth;
pub mod branches;
pub mod cli;
pub mod client;
pub mod commands;
pub mod config;
pub mod data_folder;
pub mod demo;
pub mod error;
pub mod explain;
pub mod http;
pub mod limits;
pub mod load;
pub mod missing;
pub mod model_files;
pub mod observe;
pub mod postgres;
pub mod query;
pub mod render;
pub mod rules;
pub mod serve;
pub mod tenant;
pub mod tenants;
pub mod timestamp;
