//! Every limit of this crate, by name.

/// Cells that one formula may fill beyond those that its operands hold.
pub const FILLED_POINTS_MAX: usize = 20_000_000;
/// Pairs of states of a dimension of which it is kept which members are the same.
pub const DIMENSION_PAIRS_KEPT: usize = 64;
/// Members of a dimension among which one that looks like a misspelt one is searched.
pub const SUGGESTED_MEMBERS_MAX: usize = 100_000;
