//! A version: the immutable whole of a tenant's model, members and rows, made of shared pieces.
//!
//! A change makes the next version and leaves this one as it is. Formulas are not known here: the
//! caller fills formula measures in between [`Version::prepare`] and [`Version::with_update`].

mod input;
mod row_pieces;
mod sweep;

use std::collections::BTreeSet;
use std::sync::Arc;

use rayon::prelude::*;

use crate::change::{DatedWrite, MembersWrite, RowsAction, RowsWrite};
use crate::dictionary::{Dictionary, Interner};
use crate::dimension::Dimension;
use crate::error::{CubeError, Result};
use crate::id::{AttributeId, CubeId, DimensionId, HierarchyId, LevelId, MeasureId, MemberId};
use crate::limits::SEGMENT_ROWS_MAX;
use crate::model::{
    Assertion, Cube, CubeDef, CubeKind, DimensionDef, FormulaDef, Model, ModelChange,
};
use crate::region::Region;
use crate::segment::{CubeRows, Location, Patch, Rows, Segment};
use crate::state_hash::{Piece, StateHash};
use crate::value::{Scalar, ValueType};
use crate::value_list::ValueList;

use input::{Input, NewRows};
use row_pieces::RowPieces;

/// The state of a tenant's branch at one point of its ledger.
#[derive(Debug, Clone, Default)]
pub struct Version {
    /// Definitions.
    pub model: Arc<Model>,
    /// Members, by [`DimensionId`].
    pub dimensions: Vec<Arc<Dimension>>,
    /// Rows, by [`CubeId`].
    pub cubes: Vec<Arc<CubeRows>>,
    /// What formulas with regions compute.
    pub regions: Arc<Vec<Region>>,
    /// The texts of text measures, whose stored integers are codes of it.
    pub texts: Arc<Dictionary>,
    hash: StateHash,
}

/// Fewer rows than this are not worth more than one thread.
const ROWS_SIDE_BY_SIDE: usize = 4_096;
/// Rows and members that take no time to speak of to be freed.
const FREED_AT_ONCE_MAX: usize = 4_096;

/// Rows of one cube about to be written: complete rows, old values merged in.
#[derive(Debug, Clone)]
pub struct RowsUpdate {
    /// The cube.
    pub cube: CubeId,
    /// The rows as they will be, sorted by primary key, formula measures as they were.
    pub rows: Rows,
    /// Per row, where it is now; empty where all rows are new.
    pub before: Vec<Option<Location>>,
    /// Rows that go away.
    pub removed: Vec<Location>,
    /// The dictionary of the texts in `rows`: that of the version, and behind its texts new ones.
    pub texts: Arc<Dictionary>,
}

impl Version {
    /// A dimension's members.
    pub fn dimension(&self, id: DimensionId) -> &Dimension {
        &self.dimensions[id.idx()]
    }

    /// A cube's rows.
    pub fn rows(&self, id: CubeId) -> &CubeRows {
        &self.cubes[id.idx()]
    }

    /// Definitions and members alone.
    #[must_use]
    pub fn without_rows(&self) -> Self {
        let cubes = self.cubes.iter().map(|_| Arc::default()).collect();
        Self { cubes, texts: Arc::default(), hash: StateHash::default(), ..self.clone() }
    }

    /// Whether another version has the same definitions and members: those that this one has, not
    /// equal ones.
    pub fn has_members_of(&self, other: &Self) -> bool {
        let pairs = self.dimensions.iter().zip(&other.dimensions);
        Arc::ptr_eq(&self.model, &other.model)
            && self.dimensions.len() == other.dimensions.len()
            && { pairs }.all(|(a, b)| Arc::ptr_eq(a, b))
    }

    /// No rows in the shape of a cube.
    pub fn empty_rows(&self, cube: CubeId) -> Rows {
        let def = self.model.cube_def(cube);
        Rows::empty(def.def.key.len(), def.dimensions.len(), def.def.measures.len())
    }

    /// The hash of model, members and inputs.
    pub fn state_hash(&self) -> StateHash {
        let mut hash = self.hash;
        self.model_pieces().for_each(|piece| hash.add(piece));
        hash
    }

    /// The version after a change of definitions.
    pub fn with_model(&self, change: &ModelChange) -> Result<Self> {
        let mut next = self.clone();
        let model = self.model.with(change)?;
        match change {
            ModelChange::AddDimension(_) => {
                let def = model.dimensions.last().expect("a dimension was added");
                let dimension = Dimension::new(Arc::clone(def))?;
                next.dimensions.push(Arc::new(dimension));
            }
            ModelChange::AddAttribute { dimension, .. }
            | ModelChange::SetHierarchies { dimension, .. } => {
                let id = model.dimension(dimension)?;
                let def = Arc::clone(&model.dimensions[id.idx()]);
                let dimension = self.dimension(id).with_definition(def)?;
                next.dimensions[id.idx()] = Arc::new(dimension);
            }
            ModelChange::AddCube(_) => next.cubes.push(Arc::default()),
            ModelChange::AddCubeDimension { cube, member, .. } => {
                let id = model.cube(cube)?;
                let member = self.origin(model.cube_def(id), id, member.as_deref())?;
                next.cubes[id.idx()] = Arc::new(self.rows(id).with_dimension(member));
            }
            ModelChange::SetFormula(formula) => {
                let (cube, measure) = self.model.target(&formula.target)?;
                let known = self.model.formulas.iter().any(|old| old.target == formula.target);
                let region = Region::all(&model, &self.dimensions)?;
                let region = region.into_iter().find(|region| region.target == formula.target);
                if !known && self.has_inputs(cube, measure, region.as_ref()) {
                    return Err(CubeError::Definition(format!(
                        "{} holds inputs, which a formula would overwrite: blank them first, with UPDATE ... SET measure = NULL",
                        formula.target
                    )));
                }
            }
            _ => {}
        }
        let moves_regions = matches!(
            change,
            ModelChange::SetFormula(_)
                | ModelChange::RemoveFormula { .. }
                | ModelChange::AddCubeDimension { .. }
        );
        if moves_regions {
            next.regions = Arc::new(Region::all(&model, &self.dimensions)?);
        }
        next.model = Arc::new(model);
        match change {
            ModelChange::AddCube(cube) => next.check_columns(next.model.cube(&cube.name)?)?,
            ModelChange::AddMeasure { cube, .. } | ModelChange::AddCubeDimension { cube, .. } => {
                next.check_columns(next.model.cube(cube)?)?;
            }
            ModelChange::SetHierarchies { dimension, .. } => {
                let dimension = next.model.dimension(dimension)?;
                for at in 0..next.cubes.len() {
                    if next.model.cube_def(CubeId::from_idx(at)).dimensions.contains(&dimension) {
                        next.check_columns(CubeId::from_idx(at))?;
                        // aggregates name levels by their places
                        next.cubes[at] = Arc::new(next.cubes[at].without_aggregates());
                    }
                }
            }
            _ => {}
        }
        Ok(next)
    }

    /// The member of a cube's new, last dimension that its rows are of; any where it has none.
    fn origin(&self, after: &Cube, id: CubeId, key: Option<&str>) -> Result<MemberId> {
        let (Some(&dimension), Some(&level)) = (after.dimensions.last(), after.levels.last())
        else {
            return Err(CubeError::Inconsistent(format!("no dimension in {}", after.def.name)));
        };
        if let Some(key) = key {
            return self.dimension(dimension).resolve_at(level, key);
        }
        if self.rows(id).row_count() == 0 {
            return Ok(MemberId::NONE);
        }
        let name = &self.dimension(dimension).def.name;
        Err(CubeError::Definition(format!(
            "cube {:?} has rows: it must be said which member of {name} they are of",
            after.def.name
        )))
    }

    /// A cube is shown as one table: levels of its dimensions must not be called like its columns.
    fn check_columns(&self, id: CubeId) -> Result<()> {
        let cube = self.model.cube_def(id);
        let keys = cube.def.key.iter().map(|key| key.name.as_str());
        let named: BTreeSet<&str> = keys
            .chain(cube.def.dimension_names())
            .chain(cube.def.measures.iter().map(|measure| measure.name.as_str()))
            .collect();
        for (&dimension, &level) in cube.dimensions.iter().zip(&cube.levels) {
            let dimension = self.dimension(dimension);
            for level in dimension.level_columns_at(level) {
                let column = format!("{}_{}", dimension.def.name, level.name);
                if named.contains(column.as_str()) {
                    return Err(CubeError::Definition(format!(
                        "cube {:?}: {column:?} is the column of a level, name the measure or key otherwise",
                        cube.def.name
                    )));
                }
            }
        }
        Ok(())
    }

    /// Whether a measure holds inputs, inside a region where one is given.
    fn has_inputs(&self, cube: CubeId, measure: MeasureId, region: Option<&Region>) -> bool {
        if !self.model.is_input(cube, measure) {
            return false;
        }
        self.rows(cube).segments().iter().any(|view| {
            let Some(values) = view.segment.values.get(measure.idx()) else { return false };
            view.live_rows().filter(|&row| values.get(row).is_some()).any(|row| {
                let member = |position: usize| view.segment.coordinates[position].get(row);
                region.is_none_or(|region| region.contains(member))
                    && !self.is_computed(cube, measure, member)
            })
        })
    }

    /// Whether a formula computes a measure at a coordinate, given by the member of a position.
    pub fn is_computed(
        &self,
        cube: CubeId,
        measure: MeasureId,
        member: impl Fn(usize) -> MemberId,
    ) -> bool {
        let of_measure = |region: &&Region| (region.cube, region.measure) == (cube, measure);
        !self.model.is_input(cube, measure)
            || self.regions.iter().filter(of_measure).any(|region| region.contains(&member))
    }

    /// The version with other values of a computed measure, and rows that it makes.
    pub fn with_computed(
        &self,
        cube: CubeId,
        measure: MeasureId,
        patches: &[Patch],
        added: &Rows,
    ) -> Self {
        let mut next = self.clone();
        let keeps_blank = self.model.cube_def(cube).def.kind == CubeKind::Records;
        let mut rows = Arc::clone(&self.cubes[cube.idx()]);
        if !patches.is_empty() {
            rows = Arc::new(rows.with_values(measure.idx(), patches, keeps_blank));
        }
        if !added.is_empty() {
            rows = Arc::new(rows.with(&[], added));
        }
        next.cubes[cube.idx()] = rows;
        next
    }

    /// Takes regions from members as they are now; rows that come to be inputs, or cease to be, count
    /// otherwise in the hash.
    fn with_regions(mut self, before: &Self) -> Result<Self> {
        let regions = Region::all(&self.model, &self.dimensions)?;
        if regions == *self.regions {
            return Ok(self);
        }
        let cubes: BTreeSet<CubeId> =
            regions.iter().chain(self.regions.iter()).map(|region| region.cube).collect();
        self.regions = Arc::new(regions);
        for cube in cubes {
            let rows = self.rows(cube).all(self.empty_rows(cube));
            let old = RowPieces::new(before, cube, rows.len()).sum(&rows);
            let new = RowPieces::new(&self, cube, rows.len()).sum(&rows);
            self.hash.remove_sum(old);
            self.hash.add_sum(new);
        }
        Ok(self)
    }

    /// The version after members were added and changed.
    pub fn with_members(&self, write: &MembersWrite) -> Result<Self> {
        let before = self.dimensions.get(write.dimension.idx()).ok_or_else(|| {
            CubeError::Inconsistent(format!("no dimension {}", write.dimension.0))
        })?;
        let after = before.with_members(write)?;
        let mut next = self.clone();
        let mut changed: Vec<MemberId> =
            write.members.iter().filter_map(|member| after.find(&member.key)).collect();
        changed.sort_unstable();
        changed.dedup();
        for member in changed {
            if member.idx() < before.member_count() {
                next.hash.remove(member_piece(before, member));
            }
            next.hash.add(member_piece(&after, member));
        }
        let deeper = after.level_columns().len() > before.level_columns().len();
        next.dimensions[write.dimension.idx()] = Arc::new(after);
        if deeper {
            let cubes = (0..next.cubes.len()).map(CubeId::from_idx);
            cubes.into_iter().try_for_each(|cube| next.check_columns(cube))?;
        }
        if self.regions.is_empty() { Ok(next) } else { next.with_regions(self) }
    }

    /// The version with dated values of an attribute.
    pub fn with_dated(&self, write: &DatedWrite) -> Result<Self> {
        let before = self.dimensions.get(write.dimension.idx()).ok_or_else(|| {
            CubeError::Inconsistent(format!("no dimension {}", write.dimension.0))
        })?;
        let after = before.with_dated(write)?;
        let mut next = self.clone();
        let members: BTreeSet<MemberId> =
            write.values.iter().filter_map(|dated| after.find(&dated.member)).collect();
        for member in members {
            dated_pieces(before, write.attribute, member).for_each(|piece| next.hash.remove(piece));
            dated_pieces(&after, write.attribute, member).for_each(|piece| next.hash.add(piece));
        }
        next.dimensions[write.dimension.idx()] = Arc::new(after);
        Ok(next)
    }

    /// Whether rows of a cube may name a member in the dimension at a position: one of the level at
    /// which the cube uses the dimension.
    pub fn holds_facts(&self, cube: CubeId, position: usize, member: MemberId) -> bool {
        let cube = self.model.cube_def(cube);
        let dimension = self.dimension(cube.dimensions[position]);
        member.idx() < dimension.member_count()
            && dimension.holds_facts_at(cube.levels[position], member)
    }

    /// The member of a key that rows of a cube may name in the dimension at a position.
    pub fn resolve_fact(&self, cube: CubeId, position: usize, key: &str) -> Result<MemberId> {
        let cube = self.model.cube_def(cube);
        self.dimension(cube.dimensions[position]).resolve_at(cube.levels[position], key)
    }

    /// The value of a measure at a location, a text as itself.
    pub fn value(&self, cube: CubeId, measure: MeasureId, at: Location) -> Option<Scalar> {
        let value = self.rows(cube).value(at, measure.idx())?;
        Some(match self.model.cube_def(cube).measure_def(measure).value_type {
            ValueType::Text => Scalar::Text(Arc::clone(self.texts.text(value))),
            _ => Scalar::Stored(value),
        })
    }

    /// Prints a stored integer of a measure.
    pub fn format(&self, value_type: ValueType, value: i64) -> String {
        match value_type {
            ValueType::Text => self.texts.text(value).to_string(),
            other => other.format(value),
        }
    }

    /// Whether much goes away with this version: rows and members that no other has, as far as counts of owners tell.
    pub fn frees_much(&self) -> bool {
        let own = self.cubes.iter().filter(|rows| Arc::strong_count(rows) == 1);
        let views = own.flat_map(|rows| rows.segments());
        let own = views.filter(|view| Arc::strong_count(&view.segment) == 1);
        let rows: usize = own.map(|view| view.segment.row_count()).sum();
        let own = self.dimensions.iter().filter(|dimension| Arc::strong_count(dimension) == 1);
        let members: usize = own.map(|dimension| dimension.member_count()).sum();
        rows + members > FREED_AT_ONCE_MAX
    }

    /// Checks a write of rows, whose texts stand in a table, and merges it with what is there.
    pub fn prepare(&self, write: &RowsWrite, texts: &[Arc<str>]) -> Result<RowsUpdate> {
        let cube = self
            .model
            .cubes
            .get(write.cube.idx())
            .ok_or_else(|| CubeError::Inconsistent(format!("no cube {}", write.cube.0)))?;
        let mut interner = Interner::new(Arc::clone(&self.texts));
        let input = Input::new(self, write, cube)?;
        let sorted = input.rows(texts, &mut interner)?;
        if let Some(row) = input.duplicate() {
            return Err(CubeError::Inconsistent(format!(
                "{} is written twice in one command",
                self.describe_row(write.cube, &sorted, row)
            )));
        }
        let mut update = RowsUpdate {
            cube: write.cube,
            rows: self.empty_rows(write.cube),
            before: Vec::new(),
            removed: Vec::new(),
            texts: interner.finish(),
        };
        let current = self.rows(write.cube);
        let mut found = Vec::new();
        if current.may_have(&sorted) {
            found = current.find_sorted(&sorted);
        }
        if found.iter().all(Option::is_none) {
            // as loads do that bring new rows
            if write.action == RowsAction::Set {
                update.rows = sorted;
            }
            return Ok(update);
        }
        for (row, location) in found.into_iter().enumerate() {
            match (write.action, location) {
                (RowsAction::Remove, Some(location)) => update.removed.push(location),
                (RowsAction::Remove, None) => {}
                (RowsAction::Set, location) => {
                    self.merge_row(&mut update, cube, write, &sorted, row, location)?;
                }
            }
        }
        Ok(update)
    }

    /// The version with many rows that are all new and right, made without a table of all of them; none where
    /// they are not, or few, and [`Self::prepare`] is to tell. Nothing may depend on them.
    pub fn with_new_rows(&self, write: &RowsWrite, texts: &[Arc<str>]) -> Option<Self> {
        let cube = self.model.cubes.get(write.cube.idx())?;
        let row_count = write.row_count(cube.def.key.len(), cube.dimensions.len());
        if row_count <= SEGMENT_ROWS_MAX || write.action != RowsAction::Set {
            return None;
        }
        let input = Input::new(self, write, cube).ok()?;
        if input.duplicate().is_some() {
            return None;
        }
        let mut interner = Interner::new(Arc::clone(&self.texts));
        let new_rows = NewRows::new(&input, texts, &mut interner)?;
        let mut next = self.clone();
        next.texts = interner.finish();
        let current = self.rows(write.cube);
        let pieces = RowPieces::new(&next, write.cube, input.row_count);
        let firsts = (0..input.row_count).into_par_iter().step_by(SEGMENT_ROWS_MAX);
        let made = firsts.map(|first| {
            let range = first..input.row_count.min(first + SEGMENT_ROWS_MAX);
            let rows = new_rows.rows(range)?;
            let is_new =
                !current.may_have(&rows) || current.find_sorted(&rows).iter().all(Option::is_none);
            is_new.then(|| (Arc::new(Segment::new(&rows, 0..rows.len())), pieces.sum(&rows)))
        });
        let made = made.collect::<Option<Vec<_>>>()?;
        let (segments, hashes): (Vec<_>, Vec<_>) = made.into_iter().unzip();
        hashes.into_iter().for_each(|hash| next.hash.add_sum(hash));
        let shape = self.empty_rows(write.cube);
        next.cubes[write.cube.idx()] = Arc::new(current.with_segments(segments, &shape));
        Some(next)
    }

    fn merge_row(
        &self,
        update: &mut RowsUpdate,
        cube: &Cube,
        write: &RowsWrite,
        input: &Rows,
        row: usize,
        location: Option<Location>,
    ) -> Result<()> {
        let rows = &mut update.rows;
        match location {
            None => rows.push_from(input, row),
            Some(location) => {
                self.rows(write.cube).copy_row(location, rows);
                let last = rows.len() - 1;
                let has_regions = self.regions.iter().any(|region| region.cube == write.cube);
                let is_computed = |coordinates: &[Vec<MemberId>], measure, at: usize| {
                    let member = |position: usize| coordinates[position][at];
                    has_regions && self.is_computed(write.cube, measure, member)
                };
                for &measure in &write.measures {
                    let value = input.values[measure.idx()].get(row);
                    // a blank leaves alone what a formula computes of the row
                    if value.is_some() || !is_computed(&input.coordinates, measure, row) {
                        rows.values[measure.idx()].set(last, value);
                    }
                }
                if cube.def.kind == CubeKind::Records {
                    let measures = (0..cube.def.measures.len()).map(MeasureId::from_idx);
                    for measure in measures.filter(|_| has_regions) {
                        let was_computed = is_computed(&rows.coordinates, measure, last);
                        let is_written = write.measures.contains(&measure);
                        if was_computed
                            && !is_written
                            && !is_computed(&input.coordinates, measure, row)
                        {
                            rows.values[measure.idx()].set(last, None);
                        }
                    }
                    for (column, from) in rows.coordinates.iter_mut().zip(&input.coordinates) {
                        column[last] = from[row];
                    }
                }
            }
        }
        update.before.push(location);
        Ok(())
    }

    /// The version with an update in place. Cells without any value are dropped.
    pub fn with_update(&self, update: &RowsUpdate) -> Self {
        let mut next = self.clone();
        next.texts = Arc::clone(&update.texts);
        let cube = self.model.cube_def(update.cube);
        let current = self.rows(update.cube);
        let mut replaced = update.removed.clone();
        replaced.extend(update.before.iter().flatten());
        let mut old = self.empty_rows(update.cube);
        replaced.iter().for_each(|&location| current.copy_row(location, &mut old));
        let rows = &update.rows;
        let hash = || {
            let gone = RowPieces::new(self, update.cube, old.len()).sum(&old);
            (gone, RowPieces::new(&next, update.cube, rows.len()).sum(rows))
        };
        let added = || match filled_rows(cube, rows) {
            Some(filled) => current.with(&replaced, &rows.taken(&filled)),
            None => current.with(&replaced, rows),
        };
        let ((gone, come), added) = match rows.len() {
            ..ROWS_SIDE_BY_SIDE => (hash(), added()),
            _ => rayon::join(hash, added),
        };
        next.hash.remove_sum(gone);
        next.hash.add_sum(come);
        next.cubes[update.cube.idx()] = Arc::new(added);
        next
    }

    /// A row in words, for errors.
    pub fn describe_row(&self, cube: CubeId, rows: &Rows, row: usize) -> String {
        let def = self.model.cube_def(cube);
        let keys = def.def.key.iter().zip(&rows.keys);
        let mut parts: Vec<String> = keys
            .map(|(key, column)| format!("{}={}", key.name, column[row].format(key.key_type)))
            .collect();
        if parts.is_empty() {
            let coordinates = def.dimensions.iter().zip(&rows.coordinates);
            parts.extend(coordinates.map(|(&id, column)| {
                let dimension = self.dimension(id);
                format!("{}={}", dimension.def.name, dimension.key(column[row]))
            }));
        }
        format!("({})", parts.join(", "))
    }

    /// Per dimension of a cube that came when it had rows, the member that these are of.
    pub fn origins(&self, cube: CubeId) -> Vec<Option<MemberId>> {
        let cube = self.model.cube_def(cube);
        let axes = cube.dimensions.iter().zip(&cube.levels);
        let member =
            |((&dimension, &level), key): ((&DimensionId, &Option<LevelId>), Option<&str>)| {
                self.dimension(dimension).resolve_at(level, key?).ok()
            };
        axes.zip(cube.origins()).map(member).collect()
    }

    /// The hashes of the definitions, each by itself, so that their order does not count.
    fn model_pieces(&self) -> impl Iterator<Item = Piece> + '_ {
        let model = &self.model;
        let itself = Piece::new("model").text(&model.name).text(&model.description);
        let dimensions = model.dimensions.iter().map(|def| dimension_piece(def));
        let cubes = model.cubes.iter().map(|cube| cube_piece(&cube.def));
        let formulas = model.formulas.iter().map(|def| formula_piece(def));
        let assertions = model.assertions.iter().map(|assertion| assertion_piece(assertion));
        let units = model.cubes.iter().flat_map(|cube| unit_pieces(cube));
        let origins = model.cubes.iter().flat_map(|cube| origin_pieces(cube));
        let definitions = std::iter::once(itself).chain(dimensions).chain(cubes).chain(units);
        definitions.chain(origins).chain(formulas).chain(assertions)
    }
}

/// The rows that stay, where some do not: cells without any value.
fn filled_rows(cube: &Cube, rows: &Rows) -> Option<Vec<usize>> {
    if cube.def.kind == CubeKind::Records || rows.values.iter().any(ValueList::is_full) {
        return None;
    }
    let filled: Vec<usize> = (0..rows.len()).filter(|&row| !rows.is_blank(row)).collect();
    (filled.len() < rows.len()).then_some(filled)
}

fn dimension_piece(dimension: &DimensionDef) -> Piece {
    let mut piece = Piece::new("dimension").text(&dimension.name).text(&dimension.description);
    piece = piece.text(&dimension.key_type.to_string());
    for attribute in &dimension.attributes {
        piece = piece.text("attribute").text(&attribute.name).text(&attribute.type_text());
        piece = piece.text(&attribute.description);
    }
    for level in &dimension.levels {
        piece = piece.text("level").text(&level.name).text(&level.key_type.to_string());
    }
    for hierarchy in &dimension.hierarchies {
        piece = piece.text("hierarchy").text(&hierarchy.name).text(&hierarchy.levels.join(" "));
        piece = piece.text(hierarchy.weight.as_deref().unwrap_or_default());
        piece = piece.text(hierarchy.same_as.as_deref().unwrap_or_default());
    }
    if let Some(calendar) = &dimension.calendar {
        piece = piece.text("calendar").text(&calendar.start).text(&calendar.end);
        piece = piece.integer(calendar.fiscal_start_month.unwrap_or(0).into());
    }
    piece
}

fn cube_piece(cube: &CubeDef) -> Piece {
    let mut piece = Piece::new("cube").text(&cube.name).text(&cube.description);
    piece = piece.text(&cube.dimensions.join(" "));
    for key in &cube.key {
        piece = piece.text("key").text(&key.name).text(&key.key_type.to_string());
    }
    for measure in &cube.measures {
        piece = piece.text("measure").text(&measure.name).text(&measure.value_type.to_string());
        piece = piece.text(&measure.description);
        piece = piece.integer(measure.consolidation as i64).integer(measure.rounding as i64);
        if let Some(time) = &measure.time {
            piece = piece
                .text("time")
                .text(&time.dimension)
                .text(time.by.as_deref().unwrap_or_default());
            piece = piece.integer(time.default as i64);
            for (value, rule) in &time.rules {
                piece = piece.text("rule").text(value).integer(*rule as i64);
            }
        }
    }
    piece
}

/// The hashes of a cube's units, each by itself: a measure without one leaves no trace.
fn unit_pieces(cube: &Cube) -> impl Iterator<Item = Piece> + '_ {
    cube.def.measures.iter().zip(&cube.units).filter_map(|(measure, unit)| {
        let unit = unit.as_ref()?;
        Some(Piece::new("unit").text(&cube.def.name).text(&measure.name).text(&unit.text))
    })
}

/// The hashes of what rows are of in dimensions that came later, each by itself.
fn origin_pieces(cube: &Cube) -> impl Iterator<Item = Piece> + '_ {
    cube.def.dimension_names().zip(cube.origins()).filter_map(|(dimension, origin)| {
        Some(Piece::new("origin").text(&cube.def.name).text(dimension).text(origin?))
    })
}

fn formula_piece(formula: &FormulaDef) -> Piece {
    let mut piece = Piece::new("formula").text(&formula.target).text(&formula.text);
    piece = piece.text(&formula.description);
    for (dimension, level) in &formula.at_or_above {
        piece = piece.text(dimension).text(level);
    }
    piece
}

fn assertion_piece(assertion: &Assertion) -> Piece {
    let def = &assertion.def;
    let optional = |piece: Piece, text: &Option<String>| match text {
        Some(text) => piece.integer(1).text(text),
        None => piece.integer(0),
    };
    let piece = Piece::new("assertion").text(&def.name).text(&def.description);
    let piece = piece.text(&assertion.file).text(&def.sql);
    let piece = optional(optional(piece, &def.equals), &def.tolerance);
    def.needs.iter().fold(piece, |piece, cube| piece.text(cube))
}

fn member_piece(dimension: &Dimension, member: MemberId) -> Piece {
    let def = &dimension.def;
    let mut piece = Piece::new("member").text(&def.name).text(dimension.key(member));
    piece = piece.text(dimension.name(member));
    let level = dimension.level(member).map(|level| def.levels[level.idx()].name.as_str());
    piece = piece.text(level.unwrap_or_default());
    for idx in 0..def.hierarchies.len() {
        let parent = dimension.parent(HierarchyId::from_idx(idx), member);
        piece = piece.text(parent.map_or("", |parent| dimension.key(parent)));
    }
    for (idx, attribute) in def.attributes.iter().enumerate() {
        // blank attributes leave no trace, so that declaring one changes the model's hash alone
        if let Some(value) = dimension.undated(AttributeId::from_idx(idx), member) {
            piece = piece.text(&attribute.name).text(&value.format(attribute.value_type));
        }
    }
    piece
}

/// The hashes of a member's dated values of an attribute, each by itself.
fn dated_pieces(
    dimension: &Dimension,
    attribute: AttributeId,
    member: MemberId,
) -> impl Iterator<Item = Piece> + '_ {
    let def = &dimension.def.attributes[attribute.idx()];
    dimension.dated(attribute, member).iter().map(move |(from, value)| {
        let piece = Piece::new("dated").text(&dimension.def.name).text(dimension.key(member));
        let piece = piece.text(&def.name).integer((*from).into());
        match value {
            Some(value) => piece.text("value").text(&value.format(def.value_type)),
            None => piece.text("blank"),
        }
    })
}
