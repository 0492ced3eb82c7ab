//! Cubes: members, segments, rollups.
//!
//! A plain library: no async, no I/O, no clock, no randomness. The same changes give the same
//! [`Version`], and the same [`View`] gives the same answer whatever the number of threads.

pub mod aggregate;
mod blocks;
pub mod change;
pub mod dictionary;
pub mod dimension;
pub mod error;
pub mod flags;
pub mod id;
pub mod limits;
pub mod model;
pub mod number;
pub mod order;
mod prefetch;
pub mod region;
pub mod rollup;
pub mod segment;
pub mod state_hash;
pub mod value;
pub mod value_list;
pub mod version;
pub mod view;

pub use change::Change;
pub use error::{CubeError, Result};
pub use id::{AttributeId, CubeId, DimensionId, HierarchyId, LevelId, MeasureId, MemberId};
pub use model::Model;
pub use number::Number;
pub use value::{KeyType, Scalar, ValueType};
pub use value_list::ValueList;
pub use version::Version;
pub use view::View;
