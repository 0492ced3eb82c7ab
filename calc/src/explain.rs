//! Explanation: the walk of evaluation at one cell, written down as a tree that ends at inputs.
//!
//! Here a cell becomes a formula, a total or an input; [`expression`] follows what a formula reads,
//! and [`decision`] names what only decides where it reads: attributes, parents, members of rows.

mod decision;
mod expression;
mod on_branch;

use std::collections::HashMap;
use std::sync::Arc;

use cube::model::Consolidation;
use cube::rollup::Filter;
use cube::segment::{Location, RowSet};
use cube::value::KeyPart;
use cube::{CubeError, CubeId, HierarchyId, MeasureId, MemberId, ValueType, View};

use crate::check::Formula;
use crate::error::Result;
use crate::evaluate::Session;
use crate::node::Frame;
use crate::plan::Plan;
use crate::points::{Block, Origin};
use crate::query::members::{collect_slices, member_filter};
use crate::query::others::positions_in;
use crate::query::{Measured, Query, run};
use expression::CONTRIBUTION_DEPTH;

/// What is explained.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CellRef {
    /// The cube.
    pub cube: CubeId,
    /// The measure.
    pub measure: MeasureId,
    /// Where.
    pub place: Place,
}

/// A cell or a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// One member a dimension, of any level; none is the total.
    Cell(Vec<Option<MemberId>>),
    /// The row of a key.
    Row(Vec<KeyPart>),
}

/// How much of an explanation is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// Contributors shown of each sum, the largest first.
    pub top: usize,
    /// Which page of the contributors of the cell itself, from 0.
    pub page: usize,
    /// How many formulas deep.
    pub depth: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self { top: 10, page: 0, depth: 8 }
    }
}

/// One step of an explanation.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ExplainNode {
    /// `finance.amount`, `sum`, `tier slice 0 to 0.5`.
    pub label: String,
    /// `formula`, `input`, `blank`, `consolidation`, `sum` and other aggregations, `contribution`,
    /// `range`, `tier`, `tier slice`, `attribute`, `parent`, `member`, `split`, `branch`, `hidden`.
    pub kind: String,
    /// The formula's text.
    pub formula: Option<String>,
    /// Dimensions and members.
    pub place: Vec<(String, String)>,
    /// The row's key, where it is a row.
    pub key: Option<Vec<(String, String)>>,
    /// The value; none is blank.
    pub value: Option<String>,
    /// What is worth knowing: a division by zero, a weight.
    pub note: Option<String>,
    /// The branch of what it is made of, where that is another one.
    pub branch: Option<String>,
    /// The day from which a dated value of an attribute holds.
    pub valid_from: Option<String>,
    /// What it is made of.
    pub children: Vec<ExplainNode>,
    /// Contributors that are not shown.
    pub more: usize,
}

/// A point of a frame, and how many formulas deep it is followed.
#[derive(Clone, Copy)]
struct Point<'a> {
    frame: &'a Frame,
    block: &'a Block,
    depth: usize,
}

/// What a point is made of, and what is worth knowing of it.
#[derive(Default)]
struct Found {
    nodes: Vec<ExplainNode>,
    notes: Vec<String>,
}

impl Found {
    /// Adds what an expression reads once, however often it reads it.
    fn once(&mut self, node: ExplainNode) {
        if !self.nodes.contains(&node) {
            self.nodes.push(node);
        }
    }

    fn note(&self) -> Option<String> {
        let mut notes = self.notes.clone();
        notes.dedup();
        (!notes.is_empty()).then(|| notes.join("; "))
    }
}

/// Explains a cell.
pub fn explain(view: &View, plan: &Plan, cell: &CellRef, options: Options) -> Result<ExplainNode> {
    let explainer = Explainer {
        view,
        plan,
        session: Session::new(&view.version, &plan.tables, "explanation"),
        options,
    };
    let tree = match &cell.place {
        Place::Row(key) => explainer.row(cell, key)?,
        Place::Cell(members) => explainer.cell(cell, members)?,
    };
    Ok(taken_apart_once(tree, &mut HashMap::new()))
}

/// The tree with each formula of a cell taken apart where it stands first. `seen` holds what was, as
/// it was: what goes deeper the second time stays.
fn taken_apart_once(mut node: ExplainNode, seen: &mut HashMap<String, ExplainNode>) -> ExplainNode {
    if node.kind == "formula" && !node.children.is_empty() {
        let name = format!("{} {:?} {:?}", node.label, node.place, node.key);
        match seen.get(&name) {
            Some(earlier) if *earlier == node => {
                let note = node.note.map_or_else(String::new, |note| format!("{note}; "));
                let note = Some(format!("{note}explained above"));
                return ExplainNode { note, children: Vec::new(), more: 0, ..node };
            }
            Some(_) => {}
            None => {
                seen.insert(name, node.clone());
            }
        }
    }
    // the same cell of another branch is another one
    let mut there = HashMap::new();
    let seen = if node.branch.is_some() { &mut there } else { seen };
    let children = std::mem::take(&mut node.children);
    node.children = children.into_iter().map(|child| taken_apart_once(child, seen)).collect();
    node
}

struct Explainer<'a> {
    view: &'a View,
    plan: &'a Plan,
    session: Session<'a>,
    options: Options,
}

impl Explainer<'_> {
    fn row(&self, cell: &CellRef, key: &[KeyPart]) -> Result<ExplainNode> {
        let version = &self.view.version;
        let mut probe = version.empty_rows(cell.cube);
        for (column, part) in probe.keys.iter_mut().zip(key) {
            column.push(part.clone());
        }
        probe.coordinates.iter_mut().for_each(|column| column.push(MemberId(0)));
        let location = version.rows(cell.cube).find(&probe, 0).ok_or_else(|| {
            let def = &version.model.cube_def(cell.cube).def;
            let parts = def.key.iter().zip(key);
            let parts =
                parts.map(|(def, part)| format!("{}={}", def.name, part.format(def.key_type)));
            CubeError::unknown("row", &parts.collect::<Vec<_>>().join(", "), std::iter::empty())
        })?;
        let block = self.stored_block(cell.cube, location);
        self.point(cell.cube, cell.measure, &block, self.options.depth)
    }

    fn cell(&self, cell: &CellRef, members: &[Option<MemberId>]) -> Result<ExplainNode> {
        let version = &self.view.version;
        let def = version.model.cube_def(cell.cube);
        let is_leaf = |(position, member): (usize, &Option<MemberId>)| {
            member.is_some_and(|member| version.holds_facts(cell.cube, position, member))
                && !self.has_children(cell.cube, position, *member)
        };
        let is_cells = def.def.key.is_empty();
        if is_cells && members.iter().enumerate().all(is_leaf) {
            let members = members.iter().map(|member| member.unwrap_or(MemberId::NONE)).collect();
            let block = self.block_at(cell.cube, members);
            return self.point(cell.cube, cell.measure, &block, self.options.depth);
        }
        self.consolidated(cell, members)
    }

    /// Whether a member has others below it that hold facts.
    fn has_children(&self, cube: CubeId, position: usize, member: Option<MemberId>) -> bool {
        let Some(member) = member else { return true };
        let def = self.view.version.model.cube_def(cube);
        let dimension = self.view.version.dimension(def.dimensions[position]);
        if !dimension.def.levels.is_empty() {
            return !self.view.version.holds_facts(cube, position, member);
        }
        dimension.members().any(|other| {
            (0..dimension.def.hierarchies.len())
                .any(|idx| dimension.parent(HierarchyId::from_idx(idx), other) == Some(member))
        })
    }

    /// A total: its value by the measure's own rule, and the largest cells or rows below.
    fn consolidated(&self, cell: &CellRef, members: &[Option<MemberId>]) -> Result<ExplainNode> {
        let version = &self.view.version;
        let def = version.model.cube_def(cell.cube);
        let measure = def.measure_def(cell.measure);
        let mut filters = Vec::new();
        for (position, member) in members.iter().enumerate() {
            if let Some(member) = member {
                filters.push(member_filter(&self.view.version, cell.cube, position, *member));
            }
        }
        let value = self.total(cell, &filters)?;
        let mut node = ExplainNode {
            label: self.label(cell.cube, cell.measure),
            kind: "consolidation".into(),
            place: self.place_of(cell.cube, members),
            value,
            note: Some(match &def.time[cell.measure.idx()] {
                Some(_) => "sum; along time by the measure's own rule".into(),
                None => format!("{:?}", measure.consolidation).to_lowercase(),
            }),
            ..ExplainNode::default()
        };
        let formula = self.plan.formula(cell.cube, cell.measure);
        if let Some(formula) = formula.filter(|_| measure.consolidation == Consolidation::Formula) {
            node.kind = "formula".into();
            node.formula = Some(formula.text.clone());
            node.note = Some("computed from the totals of its operands".into());
            for &(cube, measure) in &formula.reads {
                let positions = positions_in(&version.model, cell.cube, cube)?;
                let mut there = vec![None; members.len()];
                positions.iter().zip(members).for_each(|(&at, &member)| there[at] = member);
                let operand = CellRef { cube, measure, ..cell.clone() };
                node.children.push(self.cell(&operand, &there)?);
            }
            return Ok(node);
        }
        if let Some((formula, axis)) = self.formula_of_totals(cell, members) {
            node.kind = "formula".into();
            node.formula = Some(formula.text.clone());
            node.note = Some("computed from the totals of the members it reads".into());
            let mut slices = Vec::new();
            collect_slices(&formula.node, axis, &mut slices);
            for (measure, text) in slices {
                let dimension = formula.frame.axes[axis].dimension;
                let mut members = members.to_vec();
                let member = self.plan.tables.literal(version, dimension, &text);
                members[axis] = (member != MemberId::NONE).then_some(member);
                let operand = CellRef { measure, ..cell.clone() };
                if members[axis].is_some() {
                    node.children.push(self.consolidated(&operand, &members)?);
                }
            }
            return Ok(node);
        }
        self.contributors(cell, &filters, &mut node)?;
        Ok(node)
    }

    /// The formula of totals that computes a consolidated cell, and the axis of its region.
    fn formula_of_totals(
        &self,
        cell: &CellRef,
        members: &[Option<MemberId>],
    ) -> Option<(&Formula, usize)> {
        let mut formulas = self.plan.of_measure(cell.cube, cell.measure);
        let formula = formulas.find(|formula| {
            let region = self.view.version.regions.iter().find(|r| r.target == formula.target);
            let inside = region.is_some_and(|region| {
                region.contains(|position| members[position].unwrap_or(MemberId::NONE))
            });
            formula.is_of_totals() && inside
        })?;
        Some((formula, formula.region.first()?.0))
    }

    /// The cells or rows below a total, the largest first, a page of them.
    fn contributors(
        &self,
        cell: &CellRef,
        filters: &[Filter],
        node: &mut ExplainNode,
    ) -> Result<()> {
        let def = self.view.version.model.cube_def(cell.cube);
        let mut wanted = vec![None; def.dimensions.len()];
        for filter in filters {
            wanted[filter.position] = Some(filter.members.clone());
        }
        for (position, &id) in def.dimensions.iter().enumerate() {
            if let Some(allowed) = self.view.allowed(id) {
                wanted[position] = Some(match wanted[position].take() {
                    Some(members) => members & allowed,
                    None => allowed.clone(),
                });
            }
        }
        let rows = self.view.version.rows(cell.cube);
        let mut found: Vec<(Location, i64)> = Vec::new();
        for (segment, chosen) in rows.rows_with(&wanted) {
            let Some(values) = rows.segments()[segment].segment.values.get(cell.measure.idx())
            else {
                continue;
            };
            for row in chosen {
                if let Some(value) = values.get(row as usize) {
                    found.push((Location { segment, row: row as usize }, value));
                }
            }
        }
        if def.measure_def(cell.measure).value_type == ValueType::Text {
            // texts have no size: they stand in the order of the primary key
            found.sort_by_cached_key(|(location, _)| {
                let mut row = self.view.version.empty_rows(cell.cube);
                rows.copy_row(*location, &mut row);
                (row.keys, row.coordinates)
            });
        } else {
            found.sort_by_key(|(location, value)| {
                (std::cmp::Reverse(value.unsigned_abs()), location.segment, location.row)
            });
        }
        let start = self.options.top.saturating_mul(self.options.page).min(found.len());
        let end = found.len().min(start + self.options.top);
        for &(location, _) in &found[start..end] {
            let block = self.stored_block(cell.cube, location);
            node.children.push(self.point(cell.cube, cell.measure, &block, CONTRIBUTION_DEPTH)?);
        }
        node.more = found.len() - end;
        Ok(())
    }

    fn total(&self, cell: &CellRef, filters: &[Filter]) -> Result<Option<String>> {
        let query = Query {
            filters: filters.to_vec(),
            outputs: vec![Measured::Consolidated(cell.measure)],
            ..Query::of(cell.cube)
        };
        let result = run(self.view, self.plan, &query)?;
        let column = &result.columns[0];
        let value = column.values.first().copied().flatten();
        let version = &self.view.version;
        let def = version.model.cube_def(cell.cube).measure_def(cell.measure);
        let is_count = def.consolidation == Consolidation::Count;
        Ok(value.map(|value| match (def.value_type, i64::try_from(value)) {
            (ValueType::Text | ValueType::Date | ValueType::Boolean, Ok(one)) if !is_count => {
                version.format(def.value_type, one)
            }
            _ => cube::number::format_scaled(value, column.scale),
        }))
    }

    fn label(&self, cube: CubeId, measure: MeasureId) -> String {
        let def = self.view.version.model.cube_def(cube);
        format!("{}.{}", def.def.name, def.measure_def(measure).name)
    }

    fn place_of(&self, cube: CubeId, members: &[Option<MemberId>]) -> Vec<(String, String)> {
        let version = &self.view.version;
        let dimensions = version.model.cube_def(cube).dimensions.iter();
        dimensions
            .zip(members)
            .filter_map(|(&id, member)| {
                let dimension = version.dimension(id);
                Some((dimension.def.name.clone(), dimension.key((*member)?).to_string()))
            })
            .collect()
    }

    fn stored_block(&self, cube: CubeId, location: Location) -> Block {
        let segment = &self.view.version.rows(cube).segments()[location.segment].segment;
        let origin = Origin {
            cube,
            position: location.segment,
            segment: Arc::clone(segment),
            rows: RowSet::one(location.row),
        };
        Block { len: 1, members: Vec::new(), origin: Some(origin) }
    }

    fn block_at(&self, cube: CubeId, members: Vec<MemberId>) -> Block {
        match self.view.version.rows(cube).find_at(&members) {
            Some(location) => self.stored_block(cube, location),
            None => Block::free(members.into_iter().map(|member| vec![member]).collect(), 1),
        }
    }

    /// Whether the reader may see a point of a cube.
    fn is_visible(&self, cube: CubeId, block: &Block) -> bool {
        let dimensions = &self.view.version.model.cube_def(cube).dimensions;
        dimensions.iter().enumerate().all(|(position, &id)| {
            let allowed = self.view.allowed(id);
            allowed.is_none_or(|allowed| allowed.contains(block.member(position, 0).0))
        })
    }

    /// A stored value: an input, or a formula with what it reads.
    fn point(
        &self,
        cube: CubeId,
        measure: MeasureId,
        block: &Block,
        depth: usize,
    ) -> Result<ExplainNode> {
        let version = &self.view.version;
        let def = version.model.cube_def(cube);
        let members: Vec<MemberId> =
            (0..def.dimensions.len()).map(|position| block.member(position, 0)).collect();
        if members.contains(&MemberId::NONE) {
            return Ok(ExplainNode {
                label: self.label(cube, measure),
                kind: "blank".into(),
                note: Some("outside the dimension".into()),
                ..ExplainNode::default()
            });
        }
        let place: Vec<Option<MemberId>> = members.iter().copied().map(Some).collect();
        let mut node = ExplainNode {
            label: self.label(cube, measure),
            place: self.place_of(cube, &place),
            key: self.key_of(cube, block),
            ..ExplainNode::default()
        };
        if !self.is_visible(cube, block) {
            node.kind = "hidden".into();
            node.note = Some("the reader's rights do not reach here".into());
            return Ok(node);
        }
        let location = block.location(0);
        let stored = location.and_then(|at| version.rows(cube).value(at, measure.idx()));
        node.value = stored.map(|value| version.format(def.measure_def(measure).value_type, value));
        let Some(formula) = self.formula_at(cube, measure, &members) else {
            node.kind = if stored.is_some() { "input" } else { "blank" }.into();
            return Ok(node);
        };
        node.kind = "formula".into();
        node.formula = Some(formula.text.clone());
        if formula.is_blank_at_leaves(&version.model) {
            node.note = Some("blank below the level at which the formula begins".into());
            return Ok(node);
        }
        if depth == 0 {
            node.note = Some("not followed further: explain it by itself".into());
            return Ok(node);
        }
        let mut found = Found::default();
        let at = Point { frame: &formula.frame, block, depth: depth - 1 };
        self.expression(&formula.node, at, &mut found)?;
        let rows = version.rows(cube);
        let input = formula.inputs.zip(location);
        if input.is_some_and(|(measure, at)| rows.value(at, measure.idx()).is_some()) {
            found.notes.push("an input overrides the formula".into());
        }
        node.note = found.note();
        node.children = found.nodes;
        Ok(node)
    }

    fn key_of(&self, cube: CubeId, block: &Block) -> Option<Vec<(String, String)>> {
        let def = &self.view.version.model.cube_def(cube).def;
        let origin = block.origin.as_ref().filter(|_| !def.key.is_empty())?;
        let row = origin.rows.get(0);
        let parts = def.key.iter().zip(&origin.segment.keys);
        Some(
            parts
                .map(|(def, column)| (def.name.clone(), column.get(row).format(def.key_type)))
                .collect(),
        )
    }

    /// The formula that computes a measure at a coordinate: that of the innermost region.
    fn formula_at(
        &self,
        cube: CubeId,
        measure: MeasureId,
        members: &[MemberId],
    ) -> Option<&Formula> {
        let regions = self.view.version.regions.iter().filter(|region| {
            (region.cube, region.measure) == (cube, measure)
                && region.contains(|position| members[position])
        });
        let innermost = regions.reduce(|a, b| if a.contains_region(b) { b } else { a });
        match innermost {
            Some(region) => {
                let mut formulas = self.plan.of_measure(cube, measure);
                formulas.find(|formula| formula.target == region.target).map(AsRef::as_ref)
            }
            None => self.plan.formula(cube, measure).map(AsRef::as_ref),
        }
    }
}
