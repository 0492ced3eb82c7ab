//! Who wrote what: questions about the past, and what a ledger answers.

use std::sync::Arc;

use cube::value::KeyPart;
use cube::{AttributeId, CubeId, DimensionId, HierarchyId, MeasureId, MemberId, Version};

use crate::branches::Lineage;

/// Questions that are answered in one pass over a ledger.
#[derive(Debug, Clone)]
pub struct ProvenanceRequest {
    /// What is asked about.
    pub asked: Vec<Asked>,
    /// Writes of each that are wanted; the newest ones.
    pub limit: usize,
    /// The ledger entries that are looked at.
    pub lineage: Lineage,
    /// The state they led to, or a later one of the branch: what names, types and ids mean.
    pub version: Arc<Version>,
}

/// Something that commands write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Asked {
    /// A measure of a leaf cell.
    Cell {
        /// A cube of cells.
        cube: CubeId,
        /// Its member in each dimension.
        coordinate: Vec<MemberId>,
        /// The measure.
        measure: MeasureId,
    },
    /// A row.
    Row {
        /// A cube of records.
        cube: CubeId,
        /// The row's key.
        key: Vec<KeyPart>,
        /// What of it.
        part: RowPart,
    },
    /// A member.
    Member {
        /// Its dimension.
        dimension: DimensionId,
        /// Its key.
        key: String,
        /// What of it.
        part: MemberPart,
    },
    /// A formula's text.
    Formula {
        /// `cube.measure`.
        target: String,
    },
}

/// A part of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RowPart {
    /// All of it.
    Whole,
    /// A measure.
    Measure(MeasureId),
    /// Its member of a dimension, by the dimension's position in the cube.
    Member(usize),
}

/// A part of a member.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MemberPart {
    /// All of it, dated values included.
    Whole,
    /// The value of an attribute that holds before all dated ones.
    Undated(AttributeId),
    /// The value of an attribute that holds from a day on, in days since 1970-01-01.
    Dated(AttributeId, i32),
    /// Its parent in a hierarchy.
    Parent(HierarchyId),
}

/// One write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WriteRecord {
    /// The ledger entry.
    pub sequence: u64,
    /// When it was recorded, in microseconds since 1970-01-01 UTC.
    pub time_us: i64,
    /// Who asked for it.
    pub author: String,
    /// What the author did it through.
    pub origin: String,
    /// The file, where it was loaded from one.
    pub file: Option<String>,
    /// The row of that file; its header is row 1.
    pub source_row: Option<u64>,
    /// What happened.
    pub action: WriteAction,
    /// What was written, by name; none is blank. Of a whole row its members, too.
    pub values: Vec<(String, Option<String>)>,
}

/// What a write did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WriteAction {
    /// It gave values.
    Set,
    /// It took the cell, row or formula away.
    Remove,
}
