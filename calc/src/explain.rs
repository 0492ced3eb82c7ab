//! Explanation: the walk of evaluation at one cell, written down as a tree that ends at inputs.

use std::sync::Arc;

use cube::model::Consolidation;
use cube::rollup::{Axis as RollupAxis, Filter};
use cube::segment::{Location, RowSet};
use cube::value::KeyPart;
use cube::{CubeError, CubeId, HierarchyId, MeasureId, MemberId, View};

use crate::check::Formula;
use crate::column::Column;
use crate::error::Result;
use crate::evaluate::Session;
use crate::evaluate::tier::slices;
use crate::functions::Function;
use crate::node::{Aggregator, Frame, Kind, Node, Reduce, Tier, Type, Value, Window, WindowHow};
use crate::plan::Plan;
use crate::points::{Block, Origin};
use crate::query::members::{collect_slices, member_filter};
use crate::query::{Measured, Query, run};

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
    /// `formula`, `input`, `blank`, `consolidation`, `sum` and other aggregations, `range`, `tier`,
    /// `tier slice`, `attribute`, `split`, `hidden`.
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
    /// What it is made of.
    pub children: Vec<ExplainNode>,
    /// Contributors that are not shown.
    pub more: usize,
}

/// Explains a cell.
pub fn explain(view: &View, plan: &Plan, cell: &CellRef, options: Options) -> Result<ExplainNode> {
    let explainer = Explainer {
        view,
        plan,
        session: Session::new(&view.version, &plan.tables, "explanation"),
        options,
    };
    match &cell.place {
        Place::Row(key) => explainer.row(cell, key),
        Place::Cell(members) => explainer.cell(cell, members),
    }
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
            for &(_, operand) in &formula.reads {
                let operand = CellRef { measure: operand, ..cell.clone() };
                node.children.push(self.consolidated(&operand, members)?);
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
        found.sort_by_key(|(location, value)| {
            (std::cmp::Reverse(value.unsigned_abs()), location.segment, location.row)
        });
        let start = self.options.top.saturating_mul(self.options.page).min(found.len());
        let end = found.len().min(start + self.options.top);
        for &(location, _) in &found[start..end] {
            let block = self.stored_block(cell.cube, location);
            node.children.push(self.point(cell.cube, cell.measure, &block, 2)?);
        }
        node.more = found.len() - end;
        Ok(())
    }

    fn total(&self, cell: &CellRef, filters: &[Filter]) -> Result<Option<String>> {
        let query = Query {
            cube: cell.cube,
            axes: Vec::<RollupAxis>::new(),
            filters: filters.to_vec(),
            selection: None,
            outputs: vec![Measured::Consolidated(cell.measure)],
        };
        let result = run(self.view, self.plan, &query)?;
        let column = &result.columns[0];
        let value = column.values.first().copied().flatten();
        Ok(value.map(|value| cube::number::format_scaled(value, column.scale)))
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
        node.value = stored.map(|value| def.measure_def(measure).value_type.format(value));
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
            node.note = Some("not followed further".into());
            return Ok(node);
        }
        let mut notes = Vec::new();
        self.expression(
            &formula.node,
            &formula.frame,
            block,
            depth - 1,
            &mut node.children,
            &mut notes,
        )?;
        notes.dedup();
        if !notes.is_empty() {
            node.note = Some(notes.join("; "));
        }
        Ok(node)
    }

    fn key_of(&self, cube: CubeId, block: &Block) -> Option<Vec<(String, String)>> {
        let def = &self.view.version.model.cube_def(cube).def;
        let origin = block.origin.as_ref().filter(|_| !def.key.is_empty())?;
        let row = origin.rows.get(0);
        let parts = def.key.iter().zip(&origin.segment.keys);
        Some(
            parts
                .map(|(def, column)| (def.name.clone(), column[row].format(def.key_type)))
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

    fn value_of(&self, node: &Node, frame: &Frame, block: &Block) -> Result<Column> {
        let mut columns = self.session.evaluate_all(node, frame, std::slice::from_ref(block))?;
        Ok(columns.pop().unwrap_or(Column::Blank(1)))
    }

    fn text_of(&self, column: &Column, value_type: Type) -> Option<String> {
        Some(match column.value(0, value_type)? {
            Value::Number(number) => number.normalized().to_string(),
            Value::Date(day) => cube::value::format_date(day),
            Value::Text(text) => text.to_string(),
            Value::Boolean(flag) => flag.to_string(),
            Value::Member(member) => match value_type {
                Type::Member(dimension) => {
                    self.view.version.dimension(dimension).key(member).into()
                }
                _ => return None,
            },
        })
    }

    /// What an expression reads at a point.
    fn expression(
        &self,
        node: &Node,
        frame: &Frame,
        block: &Block,
        depth: usize,
        into: &mut Vec<ExplainNode>,
        notes: &mut Vec<String>,
    ) -> Result<()> {
        match &node.kind {
            Kind::Stored(cube, measure) => {
                let read = self.stored(*cube, *measure, frame, block, depth)?;
                // what an expression reads twice is shown once
                if !into.contains(&read) {
                    into.push(read);
                }
            }
            Kind::Apply(function, arguments) => {
                if *function == Function::Divide {
                    let divisor = self.value_of(&arguments[1], frame, block)?;
                    if divisor.number(0).is_some_and(|divisor| divisor == cube::Number::ZERO) {
                        notes.push("division by zero gives blank".into());
                    }
                }
                for argument in self.followed(*function, arguments, frame, block)? {
                    self.expression(argument, frame, block, depth, into, notes)?;
                }
            }
            Kind::At(scope, members) => {
                let mut inner = Vec::with_capacity(members.len());
                for member in members {
                    let column = self.value_of(member, frame, block)?;
                    inner.push(vec![column.member(0)]);
                }
                let inner = Block::free(inner, 1);
                self.expression(&scope.node, &scope.frame, &inner, depth, into, notes)?;
            }
            Kind::Attribute(member, dimension, attribute, on) => {
                let def = &self.view.version.dimension(*dimension).def;
                let name = &def.attributes[attribute.idx()].name;
                let key = self.text_of(&self.value_of(member, frame, block)?, member.value_type);
                let note = match on {
                    Some(on) => self
                        .text_of(&self.value_of(on, frame, block)?, on.value_type)
                        .map(|day| format!("on {day}")),
                    None => None,
                };
                into.push(ExplainNode {
                    label: format!("{}.{name}", def.name),
                    kind: "attribute".into(),
                    place: key.map(|key| (def.name.clone(), key)).into_iter().collect(),
                    value: self.text_of(&self.value_of(node, frame, block)?, node.value_type),
                    note,
                    ..ExplainNode::default()
                });
            }
            Kind::Reduce(reduce) => into.push(self.reduction(node, reduce, frame, block, depth)?),
            Kind::Window(window) => into.push(self.range(node, window, block, depth)?),
            Kind::Tier(tier) => {
                into.push(self.tier(node, tier, frame, block)?);
                self.expression(&tier.value, frame, block, depth, into, notes)?;
            }
            Kind::Share(share) => {
                let mut part = ExplainNode {
                    label: "part of an amount in proportion to a basis".into(),
                    kind: "split".into(),
                    value: self.text_of(&self.value_of(node, frame, block)?, node.value_type),
                    ..ExplainNode::default()
                };
                self.expression(&share.amount, frame, block, depth, &mut part.children, notes)?;
                self.expression(&share.basis, frame, block, depth, &mut part.children, notes)?;
                into.push(part);
            }
            _ => {
                for child in node.children() {
                    self.expression(child, frame, block, depth, into, notes)?;
                }
            }
        }
        Ok(())
    }

    /// The arguments that matter: of a choice, what decides and what is chosen.
    fn followed<'n>(
        &self,
        function: Function,
        arguments: &'n [Node],
        frame: &Frame,
        block: &Block,
    ) -> Result<Vec<&'n Node>> {
        let value = |at: usize| -> Result<Option<Value>> {
            let node = &arguments[at];
            Ok(self.value_of(node, frame, block)?.value(0, node.value_type))
        };
        Ok(match function {
            Function::If => {
                let is_true = value(0)? == Some(Value::Boolean(true));
                let chosen = arguments.get(if is_true { 1 } else { 2 });
                std::iter::once(&arguments[0]).chain(chosen).collect()
            }
            Function::Switch => {
                let wanted = value(0)?;
                let mut case = 1;
                while case + 1 < arguments.len() && value(case)? != wanted {
                    case += 2;
                }
                let chosen = if case + 1 < arguments.len() { case + 1 } else { case };
                std::iter::once(&arguments[0]).chain(arguments.get(chosen)).collect()
            }
            _ => arguments.iter().collect(),
        })
    }

    /// A measure at a point of its own frame.
    fn stored(
        &self,
        cube: CubeId,
        measure: MeasureId,
        frame: &Frame,
        block: &Block,
        depth: usize,
    ) -> Result<ExplainNode> {
        if block.origin.as_ref().is_some_and(|origin| origin.cube == cube) {
            return self.point(cube, measure, block, depth);
        }
        let members = (0..frame.axes.len()).map(|axis| block.member(axis, 0)).collect::<Vec<_>>();
        if members.contains(&MemberId::NONE) {
            return self.point(cube, measure, block, depth);
        }
        self.point(cube, measure, &self.block_at(cube, members), depth)
    }

    /// An aggregation with its largest contributors.
    fn reduction(
        &self,
        node: &Node,
        reduce: &Reduce,
        frame: &Frame,
        block: &Block,
        depth: usize,
    ) -> Result<ExplainNode> {
        let mut sum = ExplainNode {
            label: format!("{:?}", reduce.aggregator).to_uppercase(),
            kind: match reduce.aggregator {
                Aggregator::Sum => "sum".into(),
                other => format!("{other:?}").to_lowercase(),
            },
            place: self.frame_place(frame, block),
            value: self.text_of(&self.value_of(node, frame, block)?, node.value_type),
            ..ExplainNode::default()
        };
        let inner = self.session.contributions_at(reduce, block)?;
        let mut found: Vec<(usize, usize)> = Vec::new();
        for (at, column) in inner.values.iter().enumerate() {
            let counts =
                |row: &usize| inner.groups[at][*row] != u32::MAX && column.is_present(*row);
            found.extend((0..column.len()).filter(counts).map(|row| (at, row)));
        }
        let size = |&(at, row): &(usize, usize)| inner.values[at].number(row).map(absolute);
        found.sort_by(|a, b| size(b).cmp(&size(a)).then(a.cmp(b)));
        let shown = found.len().min(self.options.top);
        for &(at, row) in &found[..shown] {
            let point = inner.blocks[at].taken(&[row as u32]);
            let mut parts = Vec::new();
            let mut notes = Vec::new();
            let inner_frame = &reduce.inner.frame;
            self.expression(
                &reduce.inner.node,
                inner_frame,
                &point,
                depth.min(1),
                &mut parts,
                &mut notes,
            )?;
            let value = inner.values[at].taken(&[row as u32]);
            let value = self.text_of(&value, reduce.inner.node.value_type);
            sum.children.push(match (parts.len(), &reduce.inner.node.kind) {
                (1, Kind::Stored(..)) => parts.remove(0),
                _ => ExplainNode {
                    label: "contribution".into(),
                    kind: "contribution".into(),
                    place: self.frame_place(inner_frame, &point),
                    value,
                    children: parts,
                    ..ExplainNode::default()
                },
            });
        }
        sum.more = found.len() - shown;
        Ok(sum)
    }

    fn frame_place(&self, frame: &Frame, block: &Block) -> Vec<(String, String)> {
        let axes = frame.axes.iter().enumerate();
        axes.filter_map(|(position, axis)| {
            let dimension = self.view.version.dimension(axis.dimension);
            let member = block.member(position, 0);
            let key = (member != MemberId::NONE).then(|| dimension.key(member).to_string())?;
            Some((dimension.def.name.clone(), key))
        })
        .collect()
    }

    /// A range with the values in it.
    fn range(
        &self,
        node: &Node,
        window: &Window,
        block: &Block,
        depth: usize,
    ) -> Result<ExplainNode> {
        let frame = &window.frame;
        let axis = frame.axes[window.axis];
        let version = &self.view.version;
        let order = self.plan.tables.order(version, axis);
        let ranges = self.plan.tables.ranges(version, axis, window.range);
        let mut range = ExplainNode {
            label: match window.how {
                WindowHow::Aggregate(aggregator) => {
                    format!("{aggregator:?} over a range").to_lowercase()
                }
                WindowHow::Difference => "difference to the member before".into(),
                WindowHow::Rank { .. } => "rank".into(),
            },
            kind: "range".into(),
            place: self.frame_place(frame, block),
            value: self.text_of(&self.value_of(node, frame, block)?, node.value_type),
            ..ExplainNode::default()
        };
        let Some(position) = order.position(block.member(window.axis, 0)) else { return Ok(range) };
        let (start, end) = ranges.0[position];
        let mut points = Vec::new();
        for position in start..end {
            let members = (0..frame.axes.len()).map(|axis| {
                vec![if axis == window.axis {
                    order.members[position as usize]
                } else {
                    block.member(axis, 0)
                }]
            });
            let point = Block::free(members.collect(), 1);
            if self.value_of(&window.inner, frame, &point)?.is_present(0) {
                points.push(point);
            }
        }
        // the latest are the ones a planner asks about
        let hidden = points.len().saturating_sub(self.options.top.max(12));
        let mut notes = Vec::new();
        for point in &points[hidden..] {
            self.expression(
                &window.inner,
                frame,
                point,
                depth.min(1),
                &mut range.children,
                &mut notes,
            )?;
        }
        range.more = hidden;
        Ok(range)
    }

    /// A rate table with the slices that the value runs through.
    fn tier(&self, node: &Node, tier: &Tier, frame: &Frame, block: &Block) -> Result<ExplainNode> {
        let value = self.value_of(&tier.value, frame, block)?;
        let mut explained = ExplainNode {
            label: self.view.version.model.cube_def(tier.cube).def.name.clone(),
            kind: "tier".into(),
            value: self.text_of(&self.value_of(node, frame, block)?, Type::Number),
            ..ExplainNode::default()
        };
        let mut chosen = Vec::new();
        for (_, shared) in &tier.shared {
            let column = self.value_of(shared, frame, block)?;
            chosen.push(column.member(0));
            if let (Type::Member(dimension), Some(key)) =
                (shared.value_type, self.text_of(&column, shared.value_type))
            {
                let name = self.view.version.dimension(dimension).def.name.clone();
                explained.place.push((name, key));
            }
        }
        let tables = self.session.tier_tables(tier);
        let (Some(value), Some(steps)) = (value.number(0), tables.get(&chosen)) else {
            explained.note = Some("no value, or no table".into());
            return Ok(explained);
        };
        explained.note = Some(format!("of {}", value.normalized()));
        for slice in slices(tier.mode, value, steps)? {
            let to = slice.to.map_or_else(|| "on".into(), |to| format!("to {}", to.normalized()));
            explained.children.push(ExplainNode {
                label: format!("{} {to}", slice.from.normalized()),
                kind: "tier slice".into(),
                value: Some(slice.amount.normalized().to_string()),
                note: Some(format!("{} at {}", slice.part.normalized(), slice.rate.normalized())),
                ..ExplainNode::default()
            });
        }
        Ok(explained)
    }
}

fn absolute(number: cube::Number) -> cube::Number {
    if number < cube::Number::ZERO { number.negate().unwrap_or(number) } else { number }
}
