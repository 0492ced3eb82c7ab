//! Formulas: text to checked plan, and the recomputation that follows a change.
//!
//! A plain library like [`cube`]: no async, no I/O, no clock. [`Revision`] is what a tenant
//! publishes: a version in which every formula is up to date, and the plan that keeps it so.

pub mod affected;
pub mod branches;
pub mod check;
pub mod column;
mod cycles;
pub mod error;
pub mod evaluate;
pub mod explain;
pub mod functions;
mod inputs;
pub mod limits;
mod members_change;
pub mod missing;
pub mod node;
pub mod plan;
pub mod points;
pub mod query;
pub mod recompute;
pub mod revision;
pub mod syntax;
pub mod tables;
pub mod units;

pub use error::{CalcError, Result};
pub use plan::Plan;
pub use query::{Measured, Query, run, source};
pub use recompute::Recomputed;
pub use revision::Revision;
