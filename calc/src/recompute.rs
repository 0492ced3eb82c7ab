//! Recomputation: from changed rows, members and formulas to exactly the cells that depend on them.
//!
//! A write is merged with what is there. Each formula that reads a changed measure learns at which of
//! its points it may have another value ([`crate::affected`]); then the formulas run in the order of
//! the plan, at those points only, and what changes reaches further. What ran is recorded.

mod difference;
mod due;
mod failed;
mod rows;
mod sums;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use cube::change::{DatedWrite, MembersWrite, RowsAction, RowsWrite};
use cube::dictionary::Interner;
use cube::model::{CubeKind, ModelChange};
use cube::segment::{Patch, Rows};
use cube::version::RowsUpdate;
use cube::{
    AttributeId, CubeError, CubeId, DimensionId, MeasureId, MemberId, ValueList, ValueType, Version,
};
use roaring::RoaringBitmap;

use self::difference::{Changes, Difference, difference, patch, push_points};
use self::rows::{Counting, RowChanges, keys_of};
use self::sums::{Additions, Step};
use crate::affected::{Changed, Dirt};
use crate::branches::{BranchChange, Branches};
use crate::check::Formula;
use crate::cycles;
use crate::error::{CalcError, Result};
use crate::evaluate::assign::{Assigned, interned_all};
use crate::evaluate::support::Filters;
use crate::evaluate::{Session, row_blocks};
use crate::members_change::MembersChange;
use crate::node::Axis;
use crate::plan::{Plan, cycle};
use crate::points::{Block, Points};
use crate::syntax::Span;

/// Which formulas ran, and in how many cells each was evaluated, whether its value changed or not.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Recomputed(pub BTreeMap<String, u64>);

/// A version on its way to the next.
pub struct Recompute {
    version: Version,
    plan: Arc<Plan>,
    ran: Recomputed,
    /// Per formula, by its place in the plan, where it is due.
    pending: BTreeMap<usize, Due>,
    /// Per formula, by its target, where its last computation failed.
    failed: BTreeMap<String, Due>,
    /// Whether a value changed since this was last set back.
    is_changed: bool,
}

/// Where a formula is to be computed again.
#[derive(Debug, Default)]
struct Due {
    /// Cells.
    points: Vec<Points>,
    /// Cells or rows within filters.
    regions: Vec<Filters>,
    /// Rows of a records cube, by key.
    rows: Vec<Arc<Rows>>,
    /// Cells of a sum, with what is added to them.
    additions: Vec<Additions>,
}

/// New values of a formula, and where.
#[derive(Debug, Default)]
struct Outcome {
    patches: Vec<Patch>,
    /// Values of cells that come to be, and their coordinates, a column an axis.
    added: Vec<i64>,
    added_at: Vec<Vec<MemberId>>,
    /// Coordinates of all that changed, a column an axis.
    changed: Vec<Vec<MemberId>>,
    /// By how much each of them did.
    steps: Vec<Step>,
    /// Keys of the rows that changed, where formulas of the same rows read them.
    keys: Option<Rows>,
}

impl Recompute {
    /// Starts from a version that is up to date.
    pub fn new(version: Version, plan: Arc<Plan>) -> Self {
        Self {
            version,
            plan,
            ran: Recomputed::default(),
            pending: BTreeMap::new(),
            failed: BTreeMap::new(),
            is_changed: false,
        }
    }

    /// The new revision and what ran; an error where a formula has one at a cell now that all is done.
    pub fn finish(mut self) -> Result<(crate::Revision, Recomputed)> {
        self.settle()?;
        let version = Arc::new(self.version.swept());
        Ok((crate::Revision { version, plan: self.plan }, self.ran))
    }

    /// Writes input rows, whose texts stand in a table, and computes what depends on them.
    pub fn write_rows(&mut self, write: &RowsWrite, texts: &[Arc<str>]) -> Result<()> {
        let removes = write.action == RowsAction::Remove;
        if removes && self.is_cells(write.cube) {
            return self.write_rows(&self.blanking(write), texts);
        }
        self.check_inputs(write)?;
        if !removes
            && self.is_read_by_none(write.cube)
            && let Some(version) = self.version.with_new_rows(write, texts)
        {
            self.version = version;
            return self.drain();
        }
        let update = self.version.prepare(write, texts)?;
        let touched: BTreeSet<MeasureId> = if removes {
            self.all_measures(write.cube)
        } else {
            write.measures.iter().copied().collect()
        };
        self.install(&update, &touched)?;
        self.drain()
    }

    /// Whether no formula reads a cube or computes something of it.
    fn is_read_by_none(&self, cube: CubeId) -> bool {
        let Some(def) = self.version.model.cubes.get(cube.idx()) else { return true };
        let mut measures = (0..def.def.measures.len()).map(MeasureId::from_idx);
        self.plan.of_cube(cube).next().is_none()
            && measures.all(|measure| self.plan.readers(cube, measure).is_empty())
    }

    /// What formulas compute takes no input.
    fn check_inputs(&self, write: &RowsWrite) -> Result<()> {
        let Some(cube) = self.version.model.cubes.get(write.cube.idx()) else { return Ok(()) };
        let width = cube.dimensions.len().max(1);
        for &measure in &write.measures {
            let Some(def) = cube.def.measures.get(measure.idx()) else { continue };
            let refused = |place: String| {
                let message = format!(
                    "measure {:?} is computed by a formula{place} and takes no input",
                    def.name
                );
                Err(CubeError::Definition(message).into())
            };
            if self.plan.formula(write.cube, measure).is_some() {
                return refused(String::new());
            }
            if self.plan.of_measure(write.cube, measure).next().is_none() {
                continue;
            }
            let column = write.measures.iter().position(|&other| other == measure);
            let values =
                write.values.iter().skip(column.unwrap_or(0)).step_by(write.measures.len());
            for (coordinate, value) in write.coordinates.chunks(width).zip(values) {
                let member = |position: usize| coordinate[position];
                if value.is_some() && self.version.is_computed(write.cube, measure, member) {
                    return refused(" at this cell".into());
                }
            }
        }
        Ok(())
    }

    /// Writes members; what reads properties that changed, or lists members, is computed again.
    pub fn write_members(&mut self, write: &MembersWrite) -> Result<()> {
        let mut before = self.version.clone();
        let mut after = before.with_members(write)?;
        self.check_regions(&after)?;
        if after.regions != before.regions {
            self.blank_leaving(&after)?;
            before = self.version.clone();
            after = before.with_members(write)?;
        }
        self.version = after;
        self.regions_changed(&before);
        let id = write.dimension;
        let (old, new) = (before.dimension(id), self.version.dimension(id));
        let mut members = RoaringBitmap::new();
        let mut attributes = BTreeSet::new();
        let mut is_structure = false;
        for member in &write.members {
            let Some(at) = old.find(&member.key) else { continue };
            let changed: Vec<AttributeId> = member
                .attributes
                .iter()
                .map(|(attribute, _)| *attribute)
                .filter(|&attribute| {
                    // before the first dated value, the undated one holds
                    old.attribute(attribute, at) != new.attribute(attribute, at)
                        || old.undated(attribute, at) != new.undated(attribute, at)
                })
                .collect();
            let moved = (0..old.def.hierarchies.len()).any(|idx| {
                let hierarchy = cube::HierarchyId::from_idx(idx);
                old.parent(hierarchy, at) != new.parent(hierarchy, at)
            });
            let renamed = old.name(at) != new.name(at);
            if moved || renamed || !changed.is_empty() {
                members.insert(at.0);
                attributes.extend(changed);
                is_structure |= moved || renamed;
            }
        }
        if is_structure {
            // below what moved, all have other ancestors
            members = (0..old.member_count() as u32).collect();
        }
        self.properties_changed(&before, id, &members, &attributes, is_structure)?;
        for place in 0..self.plan.formulas.len() {
            let change = MembersChange {
                tables: &self.plan.tables,
                before: &before,
                after: &self.version,
                id,
            };
            if change.is_seen_by(&self.plan.formulas[place].node) {
                self.due_everywhere(place);
            }
        }
        let added = new_members(&before, &self.version, id);
        if !added.is_empty() {
            let changed = Changed::NewMembers { dimension: id, members: &added };
            for place in 0..self.plan.formulas.len() {
                self.mark(place, &changed, &self.version.clone())?;
            }
        }
        self.drain()
    }

    /// Of two formulas that compute the same cells, one has the smaller region; and none needs itself.
    fn check_regions(&self, version: &Version) -> Result<()> {
        let refused = |target: &str, message: String, hint: &str| {
            let formula = self.plan.formulas.iter().find(|formula| formula.target == target);
            let text = formula.map_or_else(String::new, |formula| formula.text.clone());
            Err(CalcError::Formula {
                target: target.to_string(),
                span: Span { start: 0, end: text.len() },
                text,
                message,
                hint: Some(hint.to_string()),
            })
        };
        let regions = &version.regions;
        for (at, region) in regions.iter().enumerate() {
            if let Some(other) = regions[..at].iter().find(|other| other.conflicts_with(region)) {
                return refused(
                    &region.target,
                    format!(
                        "its region overlaps that of {}, and neither contains the other",
                        other.target
                    ),
                    "name members of which one is below the other, or which have nothing in common",
                );
            }
        }
        if regions.is_empty() {
            return Ok(());
        }
        let formulas: Vec<&Formula> = self.plan.formulas.iter().map(Arc::as_ref).collect();
        match cycles::circular(&formulas, version, &self.plan.tables) {
            None => Ok(()),
            Some(circular) => Err(cycle(&circular)),
        }
    }

    /// Blanks what formulas computed in cells that are in no region any more.
    fn blank_leaving(&mut self, after: &Version) -> Result<()> {
        let plan = Arc::clone(&self.plan);
        for (place, formula) in plan.formulas.iter().enumerate() {
            if formula.region.is_empty() {
                continue;
            }
            let mut outcome = Outcome::default();
            for block in row_blocks(&self.version, formula.cube, &self.inside(formula)) {
                let leaves = |&at: &u32| {
                    let member = |axis: usize| block.member(axis, at as usize);
                    !after.is_computed(formula.cube, formula.measure, member)
                };
                let places: Vec<u32> = (0..block.len as u32).filter(leaves).collect();
                let block = block.taken(&places);
                let difference = difference(formula, &block, Assigned::blank(block.len));
                self.note(formula, &block, difference, &mut outcome);
            }
            self.put(place, formula, outcome)?;
        }
        Ok(())
    }

    /// Cells that have come into a region, or out of it, are computed by another formula.
    fn regions_changed(&mut self, before: &Version) {
        let plan = Arc::clone(&self.plan);
        let regions = Arc::clone(&self.version.regions);
        for (old, new) in before.regions.iter().zip(regions.iter()) {
            for ((axis, old_members), (_, members)) in old.members.iter().zip(&new.members) {
                let changed = old_members ^ members;
                if changed.is_empty() {
                    continue;
                }
                for (place, formula) in plan.formulas.iter().enumerate() {
                    if (formula.cube, formula.measure) == (new.cube, new.measure) {
                        let mut filters: Filters = vec![None; formula.frame.axes.len()];
                        filters[*axis] = Some(changed.clone());
                        self.pending.entry(place).or_default().regions.push(filters);
                    }
                }
            }
        }
    }

    /// Writes dated values of an attribute.
    pub fn write_dated(&mut self, write: &DatedWrite) -> Result<()> {
        let before = self.version.clone();
        self.version = before.with_dated(write)?;
        self.check_regions(&self.version)?;
        let dimension = self.version.dimension(write.dimension);
        let members = write.values.iter().filter_map(|value| dimension.find(&value.member));
        let members: RoaringBitmap = members.map(|member| member.0).collect();
        let attributes = BTreeSet::from([write.attribute]);
        self.properties_changed(&before, write.dimension, &members, &attributes, false)?;
        self.drain()
    }

    fn properties_changed(
        &mut self,
        before: &Version,
        dimension: DimensionId,
        members: &RoaringBitmap,
        attributes: &BTreeSet<AttributeId>,
        is_structure: bool,
    ) -> Result<()> {
        if members.is_empty() {
            return Ok(());
        }
        let changed = Changed::Members { dimension, members, attributes, is_structure };
        let after = self.version.clone();
        for place in 0..self.plan.formulas.len() {
            self.mark(place, &changed, before)?;
            self.mark(place, &changed, &after)?;
        }
        Ok(())
    }

    /// Notes where a formula is due after a change, as seen by a version.
    fn mark(&mut self, place: usize, changed: &Changed<'_>, version: &Version) -> Result<()> {
        if self.is_due_everywhere(place) {
            return Ok(());
        }
        let plan = Arc::clone(&self.plan);
        let formula = &plan.formulas[place];
        let session = Session::new(version, &plan.tables, &formula.target);
        for dirt in session.affected(&formula.node, &formula.frame, changed)? {
            let due = self.pending.entry(place).or_default();
            match dirt {
                Dirt::Points(points) if formula.frame.rows.is_none() => due.points.push(points),
                // rows of its own are noted by key
                Dirt::Points(_) => {}
                Dirt::Region(filters) => due.regions.push(filters),
            }
        }
        Ok(())
    }

    /// Takes new heads of other branches in: what reads them is computed where they differ.
    pub fn follow(
        &mut self,
        heads: &BTreeMap<Arc<str>, Arc<crate::Revision>>,
        branches: &dyn Branches,
    ) -> Result<()> {
        let before = Arc::clone(&self.plan);
        self.plan = Arc::new(before.rebound(&self.version.model, heads, branches)?);
        let plan = Arc::clone(&self.plan);
        for (name, old) in &before.branches {
            let Some(new) = heads.get(name) else { continue };
            let readers = plan.formulas.iter().enumerate();
            let readers = readers.filter(|(_, formula)| formula.branches.contains(name));
            for (place, formula) in readers {
                let expressions = formula.node.on_branches();
                let change = BranchChange::between(name, &old.version, &new.version, &expressions);
                if !change.is_empty() {
                    self.mark(place, &Changed::Branch(&change), &self.version.clone())?;
                }
            }
        }
        self.drain()
    }

    /// Changes definitions; values follow by [`Self::measure_due`].
    pub fn change_model<'c>(
        &mut self,
        changes: impl Iterator<Item = &'c ModelChange>,
        branches: &dyn Branches,
    ) -> Result<()> {
        for change in changes {
            self.version = self.version.with_model(change)?;
        }
        let before = Arc::clone(&self.plan);
        let mut plan = Plan::compile(&self.version.model, branches)?;
        // what follows from members is the same for all formulas
        plan.tables = Arc::clone(&before.tables);
        self.plan = Arc::new(plan);
        let pending = std::mem::take(&mut self.pending).into_iter();
        let still = pending.filter_map(|(place, due)| {
            Some((self.plan.place_of(&before.formulas[place].target)?, due))
        });
        self.pending = still.collect();
        self.check_regions(&self.version)
    }

    /// All formulas of a target's measure are due everywhere: where each computes follows from the
    /// regions of all.
    pub fn measure_due(&mut self, target: &str) -> Result<()> {
        let of = self.version.model.target(target)?;
        let plan = Arc::clone(&self.plan);
        for (place, formula) in plan.formulas.iter().enumerate() {
            if (formula.cube, formula.measure) == of {
                self.due_everywhere(place);
            }
        }
        Ok(())
    }

    /// All formulas of a cube, and those that read it, are due everywhere.
    pub fn cube_due(&mut self, cube: &str) -> Result<()> {
        let cube = self.version.model.cube(cube)?;
        let plan = Arc::clone(&self.plan);
        for (place, formula) in plan.formulas.iter().enumerate() {
            if formula.cube == cube || formula.reads.iter().any(|(read, _)| *read == cube) {
                self.due_everywhere(place);
            }
        }
        Ok(())
    }

    fn due_everywhere(&mut self, place: usize) {
        let axes = self.plan.formulas[place].frame.axes.len();
        self.pending.entry(place).or_default().regions.push(vec![None; axes]);
    }

    fn is_due_everywhere(&self, place: usize) -> bool {
        let regions = self.pending.get(&place).map_or(&[] as &[Filters], |due| &due.regions);
        regions.iter().any(|filters| filters.iter().all(Option::is_none))
    }

    /// Blanks a formula's values before its cells become inputs again; what reads them is due after
    /// the model has changed, when they are not computed any more.
    pub fn blank_formula(&mut self, target: &str) -> Result<()> {
        let plan = Arc::clone(&self.plan);
        let Some(place) = plan.place_of(target) else { return Ok(()) };
        let formula = &plan.formulas[place];
        let filters = self.inside(formula);
        let mut outcome = Outcome::default();
        for block in row_blocks(&self.version, formula.cube, &filters) {
            let difference = difference(formula, &block, Assigned::blank(block.len));
            self.note(formula, &block, difference, &mut outcome);
        }
        self.put(place, formula, outcome)
    }

    fn is_cells(&self, cube: CubeId) -> bool {
        let cube = self.version.model.cubes.get(cube.idx());
        cube.is_some_and(|cube| cube.def.kind == CubeKind::Cells)
    }

    /// Removing cells makes their inputs blank: what formulas read of other cubes is still there.
    fn blanking(&self, write: &RowsWrite) -> RowsWrite {
        let cube = self.version.model.cube_def(write.cube);
        let mut measures: Vec<MeasureId> = self.all_measures(write.cube).into_iter().collect();
        measures.retain(|&measure| self.plan.formula(write.cube, measure).is_none());
        let row_count = write.row_count(0, cube.dimensions.len());
        let values = ValueList::blank(row_count * measures.len());
        RowsWrite { action: RowsAction::Set, measures, values, ..write.clone() }
    }

    fn all_measures(&self, cube: CubeId) -> BTreeSet<MeasureId> {
        (0..self.version.model.cube_def(cube).def.measures.len()).map(MeasureId::from_idx).collect()
    }

    /// Puts input rows in and notes what is due. `touched` are the measures that may have changed.
    fn install(&mut self, update: &RowsUpdate, touched: &BTreeSet<MeasureId>) -> Result<()> {
        let old = self.replaced_rows(update);
        let changes = RowChanges::new(&old, update);
        self.version = self.version.with_update(update);
        let plan = Arc::clone(&self.plan);
        let is_records = !update.rows.keys.is_empty();
        for measure in self.all_measures(update.cube) {
            let is_touched = touched.contains(&measure);
            if plan.readers(update.cube, measure).is_empty() {
                continue;
            }
            let mut readers = plan.readers(update.cube, measure).iter();
            let takes_blanks = |&place: &usize| plan.formulas[place].takes_blanks_of(update.cube);
            let counting =
                if readers.any(takes_blanks) { Counting::Blanks } else { Counting::Values };
            let (points, steps) = changes.points(measure, is_touched, counting, &old, update);
            if points.len > 0 {
                self.propagate(update.cube, measure, &points, &steps)?;
            }
        }
        if is_records && !update.rows.is_empty() && plan.of_cube(update.cube).next().is_some() {
            self.rows_due(update, &changes, &old, touched);
        }
        Ok(())
    }

    /// Formulas of the same row: all of them for rows that are new or have other members, else those
    /// that read what changed.
    fn rows_due(
        &mut self,
        update: &RowsUpdate,
        changes: &RowChanges,
        old: &Rows,
        touched: &BTreeSet<MeasureId>,
    ) {
        let fresh = changes.fresh_rows(update);
        let fresh = (!fresh.is_empty()).then(|| Arc::new(keys_of(&update.rows, &fresh)));
        let mut by_measure: BTreeMap<MeasureId, Arc<Rows>> = BTreeMap::new();
        for &measure in touched {
            let rows = changes.changed_rows(measure, old, update);
            if !rows.is_empty() {
                by_measure.insert(measure, Arc::new(keys_of(&update.rows, &rows)));
            }
        }
        let plan = Arc::clone(&self.plan);
        for place in plan.of_cube(update.cube) {
            let due = self.pending.entry(place).or_default();
            due.rows.extend(fresh.iter().cloned());
            let reads = &plan.formulas[place].reads;
            for (measure, rows) in &by_measure {
                if reads.contains(&(update.cube, *measure)) {
                    due.rows.push(Arc::clone(rows));
                }
            }
        }
    }

    /// The rows that an update removes, then those that it replaces, as they are.
    fn replaced_rows(&self, update: &RowsUpdate) -> Rows {
        let mut old = self.version.empty_rows(update.cube);
        let locations = update.removed.iter().chain(update.before.iter().flatten());
        locations.for_each(|&location| self.version.rows(update.cube).copy_row(location, &mut old));
        old
    }

    /// Tells every formula that reads a measure where it changed, and by how much.
    fn propagate(
        &mut self,
        cube: CubeId,
        measure: MeasureId,
        points: &Points,
        steps: &[Step],
    ) -> Result<()> {
        let plan = Arc::clone(&self.plan);
        let version = self.version.clone();
        let changed = Changed::Values { cube, measure, points };
        for &place in plan.readers(cube, measure) {
            if self.is_due_everywhere(place) || self.add(place, points, steps)? {
                continue;
            }
            self.mark(place, &changed, &version)?;
        }
        Ok(())
    }

    /// Runs what is pending, in the order of the plan.
    pub fn drain(&mut self) -> Result<()> {
        let plan = Arc::clone(&self.plan);
        while let Some((&place, _)) = self.pending.first_key_value() {
            let step = plan.steps[place];
            if let Some(&along) = plan.cycles.get(&step) {
                self.advance(step, along)?;
                continue;
            }
            let Some(mut due) = self.pending.remove(&place) else { continue };
            let additions = match due.is_of_additions() {
                true => std::mem::take(&mut due.additions),
                false => Vec::new(),
            };
            due.points.extend(additions.iter().map(|addition| addition.points.clone()));
            let blocks = self.due_blocks(&plan.formulas[place], due)?;
            self.run(place, &blocks, &additions)?;
        }
        Ok(())
    }

    /// Runs the formulas of a cycle, one member of its dimension after the other.
    fn advance(&mut self, step: usize, along: Axis) -> Result<()> {
        let plan = Arc::clone(&self.plan);
        let places: Vec<usize> =
            (0..plan.formulas.len()).filter(|&place| plan.steps[place] == step).collect();
        // per position along the dimension, per formula, the points that are due
        let mut waiting: BTreeMap<(usize, usize), Vec<Points>> = BTreeMap::new();
        loop {
            for &place in &places {
                let Some(due) = self.pending.remove(&place) else { continue };
                let formula = &plan.formulas[place];
                let blocks = self.due_blocks(formula, due)?;
                let points = Points::of_blocks(&blocks, formula.frame.axes.len());
                self.sort_along(formula, place, along, &points, &mut waiting);
            }
            let Some(((_, place), points)) = waiting.pop_first() else { return Ok(()) };
            let formula = &plan.formulas[place];
            let due = Due { points, ..Due::default() };
            let blocks = self.due_blocks(formula, due)?;
            self.run(place, &blocks, &[])?;
        }
    }

    /// Puts points where they are due along an axis.
    fn sort_along(
        &self,
        formula: &Formula,
        place: usize,
        along: Axis,
        points: &Points,
        waiting: &mut BTreeMap<(usize, usize), Vec<Points>>,
    ) {
        let Some(axis) = formula.frame.position(along.dimension) else { return };
        let order = self.plan.tables.order(&self.version, along);
        let dimension = self.version.dimension(along.dimension);
        let own_level = formula.frame.axes[axis].level;
        let position = |member: MemberId| match along.level {
            Some(level) if own_level != along.level => {
                order.position(dimension.ancestor_at(level, member)?)
            }
            _ => order.position(member),
        };
        let mut by_position: BTreeMap<usize, Vec<u32>> = BTreeMap::new();
        if let Some(column) = &points.columns[axis] {
            for (at, &member) in column.iter().enumerate() {
                // what has no place in the order is before all that have one
                let place = position(member).map_or(0, |position| position + 1);
                by_position.entry(place).or_default().push(at as u32);
            }
        }
        for (position, places) in by_position {
            waiting.entry((position, place)).or_default().push(points.taken(&places));
        }
    }

    /// Computes a formula at some points, of a sum by what is added where that is known, puts what
    /// changed in, and tells its readers.
    fn run(&mut self, place: usize, blocks: &[Block], additions: &[Additions]) -> Result<()> {
        let plan = Arc::clone(&self.plan);
        let formula = &plan.formulas[place];
        let count: u64 = blocks.iter().map(|block| block.len as u64).sum();
        if count == 0 {
            return Ok(());
        }
        let model = &self.version.model;
        let is_blank = formula.is_blank_at_leaves(model);
        let def = model.cube_def(formula.cube).measure_def(formula.measure);
        let assigned_to = (def.value_type, def.rounding);
        let added = match additions {
            [] => None,
            additions => self.added(formula, blocks, additions),
        };
        let differences = if let Some(added) = added {
            added
        } else if is_blank {
            let blank = |block: &Block| difference(formula, block, Assigned::blank(block.len));
            blocks.iter().map(blank).collect()
        } else if def.value_type == ValueType::Text {
            self.text_differences(formula, blocks)?
        } else {
            let session = Session::new(&self.version, &plan.tables, &formula.target);
            let (node, frame) = (&formula.node, &formula.frame);
            let given = session.given(node, frame, blocks)?;
            session.each_block(blocks, |position, block| {
                let at = (position, block);
                let values = session.assigned((node, frame), at, &given, assigned_to);
                difference(formula, block, values)
            })
        };
        let mut outcome = Outcome::default();
        for (block, difference) in blocks.iter().zip(differences) {
            let faults = difference.values.faults.clone();
            self.note(formula, block, difference, &mut outcome);
            if !faults.is_empty() {
                self.note_failed(formula, &block.taken(faults.places()));
            }
        }
        if !is_blank {
            *self.ran.0.entry(formula.target.clone()).or_default() += count;
        }
        self.put(place, formula, outcome)
    }

    /// How texts that a formula gives differ from those stored. They get their codes one after the
    /// other, so that which text is refused first does not depend on threads.
    fn text_differences(&mut self, formula: &Formula, blocks: &[Block]) -> Result<Vec<Difference>> {
        let session = Session::new(&self.version, &self.plan.tables, &formula.target);
        let columns = session.evaluate_all(&formula.node, &formula.frame, blocks)?;
        let mut interner = Interner::new(Arc::clone(&self.version.texts));
        let mut differences = Vec::with_capacity(blocks.len());
        for (column, block) in columns.iter().zip(blocks) {
            let located = |(at, source)| CalcError::Cell {
                target: formula.target.clone(),
                place: session.describe(&formula.frame, block, at),
                source,
            };
            let codes = interned_all(column, &mut interner).map_err(located)?;
            differences.push(difference(formula, block, codes));
        }
        self.version.texts = interner.finish();
        Ok(differences)
    }

    /// Notes the values that differ from those stored.
    fn note(
        &self,
        formula: &Formula,
        block: &Block,
        difference: Difference,
        outcome: &mut Outcome,
    ) {
        let Difference { places, values } = difference;
        if block.len == 0 || places.as_ref().is_some_and(Vec::is_empty) {
            return;
        }
        let axes = formula.frame.axes.len();
        let changed: Changes<'_> = match &places {
            Some(places) => Changes::Some(places),
            None => Changes::All,
        };
        let mut readers = self.plan.readers(formula.cube, formula.measure).iter();
        let has_readers = readers.any(|&reader| !self.is_due_everywhere(reader));
        if has_readers {
            push_points(&mut outcome.changed, block, &changed, axes);
            let stored = block.origin.as_ref().and_then(|origin| {
                Some((&origin.rows, origin.segment.values.get(formula.measure.idx())?))
            });
            outcome.steps.extend(changed.iter(block.len).map(|at| {
                let at = at as usize;
                let before = stored.and_then(|(rows, stored)| stored.get(rows.get(at)));
                Step::new(before, values.get(at))
            }));
        }
        let Some(origin) = &block.origin else {
            push_points(&mut outcome.added_at, block, &changed, axes);
            let places = changed.iter(block.len);
            outcome.added.extend(places.map(|at| values.values[at as usize]));
            return;
        };
        if formula.frame.rows.is_some() && self.has_row_readers(formula) {
            let keys =
                outcome.keys.get_or_insert_with(|| Rows::empty(origin.segment.keys.len(), 1, 0));
            for at in changed.iter(block.len) {
                let row = origin.rows.get(at as usize);
                keys.coordinates[0].push(block.member(0, at as usize));
                for (into, from) in keys.keys.iter_mut().zip(&origin.segment.keys) {
                    into.push(from.get(row));
                }
            }
        }
        outcome.patches.push(patch(origin, places, values));
    }

    /// Whether formulas of the same rows read a formula.
    fn has_row_readers(&self, formula: &Formula) -> bool {
        let mut readers = self.plan.readers(formula.cube, formula.measure).iter();
        readers.any(|&reader| {
            self.plan.formulas[reader].cube == formula.cube && !self.is_due_everywhere(reader)
        })
    }

    /// Puts new values in and tells the readers.
    fn put(&mut self, place: usize, formula: &Formula, outcome: Outcome) -> Result<()> {
        let Outcome { patches, added, added_at, changed, steps, keys } = outcome;
        if patches.is_empty() && added.is_empty() {
            return Ok(());
        }
        self.is_changed = true;
        let mut rows = self.version.empty_rows(formula.cube);
        if !added.is_empty() {
            rows.coordinates = added_at;
            for (idx, column) in rows.values.iter_mut().enumerate() {
                *column = match idx == formula.measure.idx() {
                    true => ValueList::full(added.clone()),
                    false => ValueList::blank(added.len()),
                };
            }
        }
        let rows = rows.sorted();
        self.version = self.version.with_computed(formula.cube, formula.measure, &patches, &rows);
        if changed.is_empty() {
            return Ok(());
        }
        let len = changed.first().map_or(0, Vec::len);
        let points = Points { len, columns: changed.into_iter().map(Some).collect() };
        if let Some(keys) = keys.filter(|keys| !keys.is_empty()) {
            self.same_rows_due(place, formula, keys);
        }
        self.propagate(formula.cube, formula.measure, &points, &steps)
    }

    /// Formulas of the same row that read a formula.
    fn same_rows_due(&mut self, place: usize, formula: &Formula, keys: Rows) {
        let plan = Arc::clone(&self.plan);
        let rows = Arc::new(keys);
        for &reader in plan.readers(formula.cube, formula.measure) {
            if reader != place && plan.formulas[reader].cube == formula.cube {
                self.pending.entry(reader).or_default().rows.push(Arc::clone(&rows));
            }
        }
    }
}

/// The members that a dimension has more.
fn new_members(before: &Version, after: &Version, dimension: DimensionId) -> RoaringBitmap {
    let count = |version: &Version| version.dimension(dimension).member_count() as u32;
    (count(before)..count(after)).collect()
}
