//! How newly computed values differ from those stored, and what is put in their place.

use cube::MemberId;
use cube::segment::{Patch, RowSet, Values};

use crate::check::Formula;
use crate::evaluate::assign::Assigned;
use crate::points::{Block, Origin};

/// All rows of a block are replaced where more than one of so many changes.
const WHOLE_SHARE: usize = 4;

/// How the values of a block differ from those stored.
pub(super) struct Difference {
    /// The places of values that differ; none: all of them.
    pub places: Option<Vec<u32>>,
    /// The values of all places.
    pub values: Assigned,
}

/// How new values of a block differ from those stored: a cell that is not stored is blank.
pub(super) fn difference(formula: &Formula, block: &Block, values: Assigned) -> Difference {
    let origin = block.origin.as_ref();
    let stored = origin
        .and_then(|origin| Some((&origin.rows, origin.segment.values.get(formula.measure.idx())?)));
    let stored = stored.filter(|(rows, stored)| !is_blank(rows, stored));
    let differs: Vec<bool> = match (stored, &values.present) {
        (None, None) => return Difference { places: None, values },
        (None, Some(present)) => present.clone(),
        (Some((rows, stored)), _) => {
            let new = &values.values;
            let mut differs = vec![false; new.len()];
            stored.ints().visit(rows, |at, old| differs[at] = old != new[at]);
            // a blank and a zero are alike so far
            if stored.presence().is_some() || values.present.is_some() {
                for ((at, differs), row) in differs.iter_mut().enumerate().zip(rows.iter()) {
                    let was = stored.presence().is_none_or(|presence| presence.contains(row));
                    *differs |= was != values.is_present(at);
                }
            }
            differs
        }
    };
    let count = differs.iter().filter(|differs| **differs).count();
    if count == block.len {
        return Difference { places: None, values };
    }
    let places = differs.iter().zip(0u32..).filter(|(differs, _)| **differs);
    Difference { places: Some(places.map(|(_, at)| at).collect()), values }
}

/// Whether all rows are blank.
fn is_blank(rows: &RowSet, values: &Values) -> bool {
    values.presence().is_some_and(|presence| rows.iter().all(|row| !presence.contains(row)))
}

/// New values of stored rows: of those that change, or of all where most do.
pub(super) fn patch(origin: &Origin, places: Option<Vec<u32>>, values: Assigned) -> Patch {
    let segment = origin.position;
    let Some(places) = places.filter(|places| places.len() * WHOLE_SHARE < values.values.len())
    else {
        let Assigned { values, present, .. } = values;
        return Patch { segment, rows: origin.rows.clone(), values, present };
    };
    let present = values
        .present
        .as_ref()
        .map(|present| places.iter().map(|&at| present[at as usize]).collect::<Vec<bool>>());
    Patch {
        segment,
        rows: origin.rows.taken(&places),
        values: places.iter().map(|&at| values.values[at as usize]).collect(),
        present: present.filter(|present| present.contains(&false)),
    }
}

/// Places of a block.
pub(super) enum Changes<'a> {
    All,
    Some(&'a [u32]),
}

impl Changes<'_> {
    pub fn iter(&self, len: usize) -> impl Iterator<Item = u32> + '_ {
        let (all, some) = match self {
            Self::All => (0..len as u32, &[] as &[u32]),
            Self::Some(places) => (0..0, *places),
        };
        all.chain(some.iter().copied())
    }
}

/// Appends the members of points to a column an axis.
pub(super) fn push_points(
    columns: &mut Vec<Vec<MemberId>>,
    block: &Block,
    changes: &Changes<'_>,
    axes: usize,
) {
    columns.resize(axes, Vec::new());
    for (axis, column) in columns.iter_mut().enumerate() {
        match changes {
            Changes::All => column.extend_from_slice(&block.axis(axis)),
            Changes::Some(places) => {
                column.extend(places.iter().map(|&at| block.member(axis, at as usize)));
            }
        }
    }
}
