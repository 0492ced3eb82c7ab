//! How clients speak to a tenant: SQL, the Postgres wire, and the types of the HTTP API.
//!
//! This crate plans and executes queries against a [`calc`] view and sends commands through the
//! [`tenant::Tenant`] trait, which `server` implements. It opens no file and no socket of its own.

pub mod branches;
pub mod compare;
pub mod error;
pub mod explain;
pub mod pgwire;
pub mod pools;
pub mod provenance;
pub mod rules;
pub mod sql;
pub mod tenant;
