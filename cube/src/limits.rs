//! Every limit of this crate, by name.

/// Rows of a full segment; a scan checks for interruption once a segment.
pub const SEGMENT_ROWS_MAX: usize = 65_536;
/// Rows that a write merges at most; larger segments are merged in the background.
pub const WRITE_MERGED_ROWS_MAX: usize = 8_192;
/// Segments of less than half of what one holds, before these are merged.
pub const SMALL_SEGMENTS_MAX: usize = 24;
/// So many dead rows may take room in segments that have more of them than live ones, before these are merged.
pub const WASTED_ROWS_MAX: usize = 65_536;
/// Members of one dimension.
pub const DIMENSION_MEMBERS_MAX: usize = 100_000_000;
/// Depth of a parent-child hierarchy; each is a column in SQL.
pub const HIERARCHY_DEPTH_MAX: usize = 64;
/// Length of a member's key or name, in bytes.
pub const KEY_BYTES_MAX: usize = 1_024;
/// Length of a text measure's value, in bytes.
pub const TEXT_BYTES_MAX: usize = 65_536;
/// Different texts in the cells and rows of a branch.
pub const TEXTS_MAX: usize = 50_000_000;
/// Length of all of these together, in bytes.
pub const TEXTS_BYTES_MAX: u64 = 1 << 32;
/// Layers of a dictionary are merged up to so many texts.
pub const MERGED_TEXTS_MAX: usize = 1 << 18;
/// Texts that may come, and their bytes, before those that no cell holds any more are looked for.
pub const UNSWEPT_TEXTS: (usize, u64) = (65_536, 1 << 24);
/// Digits of a decimal measure.
pub const DECIMAL_PRECISION_MAX: u8 = 18;
/// Groups are kept in a dense array up to this many, in a hash table beyond.
pub const DENSE_GROUPS_MAX: usize = 65_536;
/// Groups of one rollup.
pub const ROLLUP_GROUPS_MAX: usize = 50_000_000;
/// A segment of up to this many rows is rewritten rather than split, and scanned rather than indexed.
pub const SMALL_SEGMENT_ROWS: usize = 1_024;
/// A larger segment is rewritten where more than one row of so many changes; about there a copied
/// column costs what the moved rows do.
pub const PATCHED_ROWS_SHARE: usize = 256;
/// Postings are read for up to this many members of a dimension.
pub const POSTED_MEMBERS_MAX: u64 = 4_096;
/// Length of a measure's unit, in bytes.
pub const UNIT_BYTES_MAX: usize = 200;
/// Exponent of a factor of a unit.
pub const UNIT_EXPONENT_MAX: i32 = 9;
/// Aggregates of one cube.
pub const AGGREGATES_MAX: usize = 64;
/// Cells of one aggregate.
pub const AGGREGATE_CELLS_MAX: usize = 1 << 24;
/// Different values by which an aggregate may tell rows apart.
pub const AGGREGATE_VALUES_MAX: i64 = 1_024;
