//! Whether what a command writes was changed since the version it was made on.
//!
//! Compared are the leaf values that the command writes, whether its rows exist, where records lie,
//! and what it says of members; anything else may have changed without a conflict.

use std::collections::BTreeSet;
use std::sync::Arc;

use cube::change::{DatedValue, DatedWrite, MemberWrite, MembersWrite, RowsAction, RowsWrite};
use cube::dimension::Dimension;
use cube::segment::{Location, Rows};
use cube::{Change, CubeId, MeasureId, MemberId, Version};
use protocol::error::SqlError;

/// Refuses with 40001 where `changes`, made on `base`, write what is different in `head`.
pub fn check_base(changes: &[Change], base: &Version, head: &Version) -> Result<(), SqlError> {
    for change in changes {
        match change {
            Change::Rows(write) => check_rows(write, base, head)?,
            Change::Members(write) => check_members(write, base, head)?,
            Change::Dated(write) => check_dated(write, base, head)?,
            Change::Model(_) if !Arc::ptr_eq(&base.model, &head.model) => {
                return Err(conflict("the model was changed"));
            }
            Change::Model(_) | Change::Source(_) | Change::Texts(_) => {}
        }
    }
    Ok(())
}

/// Refuses with 40001 a command that gives new members ids which others have by now.
pub fn check_new_members(changes: &[Change], head: &Version) -> Result<(), SqlError> {
    let mut seen = BTreeSet::new();
    for change in changes {
        let Change::Members(write) = change else { continue };
        // Later writes to the same dimension count on the members that the first one adds, and a
        // dimension that the command itself adds is not in the head.
        if !seen.insert(write.dimension) {
            continue;
        }
        let Some(dimension) = head.dimensions.get(write.dimension.idx()) else { continue };
        let adds = write.members.iter().any(|member| dimension.find(&member.key).is_none());
        if adds && write.first_new.idx() != dimension.member_count() {
            return Err(conflict(&format!(
                "members were added to dimension {}",
                dimension.def.name
            )));
        }
    }
    Ok(())
}

fn conflict(what: &str) -> SqlError {
    SqlError::new("40001", "could not serialize access due to concurrent update")
        .with_detail(format!("{what} since the transaction began"))
        .with_hint("run the transaction again")
}

fn check_rows(write: &RowsWrite, base: &Version, head: &Version) -> Result<(), SqlError> {
    let (Some(before), Some(after)) =
        (base.cubes.get(write.cube.idx()), head.cubes.get(write.cube.idx()))
    else {
        return Ok(());
    };
    // Nobody wrote to the cube: the usual case, at no cost.
    if Arc::ptr_eq(before, after) {
        return Ok(());
    }
    let [old, new] = [base, head].map(|version| &version.model.cube_def(write.cube).def);
    if old.dimensions != new.dimensions {
        return Err(conflict(&format!("{} got other dimensions", new.name)));
    }
    let probes = probes(write, head);
    let compared =
        Compared { cube: write.cube, base, head, measures: compared_measures(write, head) };
    for row in 0..probes.len() {
        let now = after.find(&probes, row);
        if now.is_some_and(|at| before.shares(after, at)) {
            continue;
        }
        if !compared.is_same((before.find(&probes, row), now)) {
            let place = head.describe_row(write.cube, &probes, row);
            let name = &head.model.cube_def(write.cube).def.name;
            return Err(conflict(&format!("{name} {place} was changed")));
        }
    }
    Ok(())
}

/// The measures whose values must not have changed: those that are set, or all inputs of a row that
/// goes away.
fn compared_measures(write: &RowsWrite, head: &Version) -> Vec<MeasureId> {
    match write.action {
        RowsAction::Set => write.measures.clone(),
        RowsAction::Remove => {
            let count = head.model.cube_def(write.cube).def.measures.len();
            let all = (0..count).map(MeasureId::from_idx);
            all.filter(|&measure| head.model.is_input(write.cube, measure)).collect()
        }
    }
}

/// Rows with the primary keys that are written, to find them by. What does not fit the cube's shape
/// is left out: applying the change refuses it.
fn probes(write: &RowsWrite, head: &Version) -> Rows {
    let def = head.model.cube_def(write.cube);
    let (key_width, dimension_count) = (def.def.key.len(), def.dimensions.len());
    let mut rows = head.empty_rows(write.cube);
    let row_count = write.row_count(key_width, dimension_count);
    for row in 0..row_count {
        for (position, column) in rows.keys.iter_mut().enumerate() {
            column.extend(write.keys.get(row * key_width + position).cloned());
        }
        for (position, column) in rows.coordinates.iter_mut().enumerate() {
            let member = write.coordinates.get(row * dimension_count + position);
            column.push(member.copied().unwrap_or(MemberId::NONE));
        }
    }
    rows.values.iter_mut().for_each(|column| column.fill_up(row_count));
    rows
}

/// What is compared of two places of one row.
struct Compared<'a> {
    cube: CubeId,
    base: &'a Version,
    head: &'a Version,
    measures: Vec<MeasureId>,
}

impl Compared<'_> {
    fn is_same(&self, places: (Option<Location>, Option<Location>)) -> bool {
        let (before, after) = match places {
            (None, None) => return true,
            (Some(before), Some(after)) => (before, after),
            // Cells come and go with their values; a cell without any is as good as none.
            (Some(at), None) => return self.is_cells() && self.is_blank(self.base, at),
            (None, Some(at)) => return self.is_cells() && self.is_blank(self.head, at),
        };
        let value =
            |version: &Version, at, measure: MeasureId| version.value(self.cube, measure, at);
        let values_are_same = self
            .measures
            .iter()
            .all(|&measure| value(self.base, before, measure) == value(self.head, after, measure));
        values_are_same
            && (self.is_cells()
                || self.coordinates(self.base, before) == self.coordinates(self.head, after))
    }

    fn is_cells(&self) -> bool {
        self.head.model.cube_def(self.cube).def.key.is_empty()
    }

    fn is_blank(&self, version: &Version, at: Location) -> bool {
        let rows = version.rows(self.cube);
        self.measures.iter().all(|measure| rows.value(at, measure.idx()).is_none())
    }

    fn coordinates(&self, version: &Version, at: Location) -> Vec<MemberId> {
        let mut row = version.empty_rows(self.cube);
        version.rows(self.cube).copy_row(at, &mut row);
        row.coordinates.iter().filter_map(|column| column.first().copied()).collect()
    }
}

fn check_members(write: &MembersWrite, base: &Version, head: &Version) -> Result<(), SqlError> {
    let idx = write.dimension.idx();
    let (Some(before), Some(after)) = (base.dimensions.get(idx), head.dimensions.get(idx)) else {
        return Ok(());
    };
    if Arc::ptr_eq(before, after) {
        return Ok(());
    }
    match write.members.iter().find(|member| !is_same_member(member, before, after)) {
        None => Ok(()),
        Some(member) => {
            let name = &after.def.name;
            Err(conflict(&format!("member {:?} of dimension {name} was changed", member.key)))
        }
    }
}

fn is_same_member(write: &MemberWrite, before: &Dimension, after: &Dimension) -> bool {
    let (old, new) = match (before.find(&write.key), after.find(&write.key)) {
        (None, None) => return true,
        (Some(old), Some(new)) => (old, new),
        _ => return false,
    };
    let parent = |dimension: &Dimension, hierarchy, member| {
        dimension.parent(hierarchy, member).map(|parent| dimension.key(parent).to_owned())
    };
    let attributes_known = before.def.attributes.len();
    (write.name.is_none() || before.name(old) == after.name(new))
        && (write.level.is_none() || before.level(old) == after.level(new))
        && write
            .parents
            .iter()
            .all(|&(hierarchy, _)| parent(before, hierarchy, old) == parent(after, hierarchy, new))
        && write.attributes.iter().all(|&(attribute, _)| {
            attribute.idx() >= attributes_known
                || before.undated(attribute, old) == after.undated(attribute, new)
        })
}

fn check_dated(write: &DatedWrite, base: &Version, head: &Version) -> Result<(), SqlError> {
    let idx = write.dimension.idx();
    let (Some(before), Some(after)) = (base.dimensions.get(idx), head.dimensions.get(idx)) else {
        return Ok(());
    };
    // Nobody wrote to the dimension, or the command itself adds the attribute.
    if Arc::ptr_eq(before, after) || write.attribute.idx() >= before.def.attributes.len() {
        return Ok(());
    }
    let value_of = |dimension: &Dimension, dated: &DatedValue| {
        let values = dimension.dated(write.attribute, dimension.find(&dated.member)?);
        values.iter().find(|(from, _)| *from == dated.valid_from).cloned()
    };
    let mut values = write.values.iter();
    match values.find(|dated| value_of(before, dated) != value_of(after, dated)) {
        None => Ok(()),
        Some(dated) => {
            let (member, name) = (&dated.member, &after.def.name);
            Err(conflict(&format!("member {member:?} of dimension {name} was changed")))
        }
    }
}
