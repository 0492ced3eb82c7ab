//! What a formula reads at one point: each step of its tree as a node with what it is made of.

use cube::number::{Number, Rounding, format_scaled};
use cube::{CubeId, MeasureId, MemberId, Model};

use super::decision::hidden;
use super::{ExplainNode, Explainer, Found, Point};
use crate::column::Column;
use crate::error::Result;
use crate::evaluate::tier::slices;
use crate::functions::Function;
use crate::node::{
    Aggregator, Frame, Kind, Node, Reduce, Tier, TierMode, Type, Value, Window, WindowHow,
};
use crate::points::Block;

/// How many formulas deep each contribution to an aggregation is followed: down to the rows that it
/// is made of, while hundreds of them still fit a page.
pub(super) const CONTRIBUTION_DEPTH: usize = 2;

/// A row of a rate table: a threshold, its rate, and where they stand.
struct Step {
    threshold: Number,
    rate: Number,
    members: Vec<MemberId>,
}

impl Explainer<'_> {
    pub(super) fn value_of(&self, node: &Node, frame: &Frame, block: &Block) -> Result<Column> {
        let mut columns = self.session.evaluate_all(node, frame, std::slice::from_ref(block))?;
        Ok(columns.pop().unwrap_or(Column::Blank(1)))
    }

    pub(super) fn text_of(&self, column: &Column, value_type: Type) -> Option<String> {
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

    /// The value of a node at a point.
    pub(super) fn shown(
        &self,
        node: &Node,
        frame: &Frame,
        block: &Block,
    ) -> Result<Option<String>> {
        Ok(self.digits_of(&self.value_of(node, frame, block)?, node))
    }

    /// A value of a node, with the digits of the measure whose values it gives.
    fn digits_of(&self, value: &Column, node: &Node) -> Option<String> {
        let scale = scale_of(node, &self.view.version.model);
        let scaled = value.number(0).zip(scale).and_then(|(number, scale)| {
            (number.normalized().scale <= scale).then_some(())?;
            Some(format_scaled(number.rescaled(scale, Rounding::HalfEven).ok()?, scale))
        });
        scaled.or_else(|| self.text_of(value, node.value_type))
    }

    /// What an expression reads at a point.
    pub(super) fn expression(&self, node: &Node, at: Point<'_>, found: &mut Found) -> Result<()> {
        let Point { frame, block, depth } = at;
        match &node.kind {
            Kind::Stored(cube, measure) => {
                found.once(self.stored(*cube, *measure, at)?);
            }
            Kind::Axis(axis) => {
                let member = self.row_member(frame, *axis, block);
                member.into_iter().for_each(|member| found.once(member));
            }
            Kind::Map(..) | Kind::Attribute(..) => {
                self.decision(node, at, found)?;
            }
            Kind::Apply(function, arguments) => {
                if *function == Function::Divide {
                    let divisor = self.value_of(&arguments[1], frame, block)?;
                    if divisor.number(0).is_some_and(|divisor| divisor == Number::ZERO) {
                        found.notes.push("division by zero gives blank".into());
                    }
                }
                if let (Function::IsDescendant, [member, ancestor], Type::Member(dimension)) =
                    (function, arguments.as_slice(), arguments[0].value_type)
                {
                    let member = self.value_of(member, frame, block)?.member(0);
                    let ancestor = self.value_of(ancestor, frame, block)?.member(0);
                    self.descent(dimension, member, ancestor, found);
                }
                for argument in self.followed(*function, arguments, frame, block)? {
                    self.expression(argument, at, found)?;
                }
            }
            Kind::At(scope, members) => {
                let mut inner = Vec::with_capacity(members.len());
                for member in members {
                    self.decision(member, at, found)?;
                    let column = self.value_of(member, frame, block)?;
                    inner.push(vec![column.member(0)]);
                }
                let inner = Block::free(inner, 1);
                let there = Point { frame: &scope.frame, block: &inner, depth };
                self.expression(&scope.node, there, found)?;
            }
            Kind::Reduce(reduce) => found.nodes.push(self.reduction(node, reduce, at)?),
            Kind::Window(window) => found.nodes.push(self.range(node, window, at)?),
            Kind::OnBranch(on) => found.nodes.push(self.on_branch(node, on, at)?),
            Kind::Tier(tier) => {
                for (_, shared) in &tier.shared {
                    self.decision(shared, at, found)?;
                }
                found.nodes.push(self.tier(node, tier, at)?);
                self.expression(&tier.value, at, found)?;
            }
            Kind::Share(share) => {
                let mut parts = Found::default();
                self.expression(&share.amount, at, &mut parts)?;
                self.expression(&share.basis, at, &mut parts)?;
                found.notes.append(&mut parts.notes);
                found.nodes.push(ExplainNode {
                    label: "part of an amount in proportion to a basis".into(),
                    kind: "split".into(),
                    value: self.text_of(&self.value_of(node, frame, block)?, node.value_type),
                    children: parts.nodes,
                    ..ExplainNode::default()
                });
            }
            _ => {
                for child in node.children() {
                    self.expression(child, at, found)?;
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
        Point { frame, block, depth }: Point<'_>,
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
        Point { frame, block, depth }: Point<'_>,
    ) -> Result<ExplainNode> {
        let mut sum = ExplainNode {
            label: format!("{:?}", reduce.aggregator).to_uppercase(),
            kind: match reduce.aggregator {
                Aggregator::Sum => "sum".into(),
                other => format!("{other:?}").to_lowercase(),
            },
            place: self.frame_place(frame, block),
            value: self.shown(node, frame, block)?,
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
        if reduce.aggregator.is_ordered() {
            let frame = &reduce.inner.frame;
            found.sort_by_cached_key(|&(at, row)| {
                self.session.order_key(frame, &inner.blocks[at], row)
            });
        } else {
            found.sort_by(|a, b| size(b).cmp(&size(a)).then(a.cmp(b)));
        }
        let shown = found.len().min(self.options.top);
        for &(at, row) in &found[..shown] {
            let point = inner.blocks[at].taken(&[row as u32]);
            let value = inner.values[at].taken(&[row as u32]);
            let value = self.digits_of(&value, &reduce.inner.node);
            sum.children.push(self.contribution(reduce, &point, value, depth)?);
        }
        sum.more = found.len() - shown;
        Ok(sum)
    }

    /// What one point adds to an aggregation, and why it counts there.
    fn contribution(
        &self,
        reduce: &Reduce,
        point: &Block,
        value: Option<String>,
        depth: usize,
    ) -> Result<ExplainNode> {
        let frame = &reduce.inner.frame;
        let at = Point { frame, block: point, depth: depth.min(CONTRIBUTION_DEPTH) };
        let mut parts = Found::default();
        for by in &reduce.by {
            self.decision(by, at, &mut parts)?;
        }
        self.expression(&reduce.inner.node, at, &mut parts)?;
        if let Some(weight) = &reduce.weight {
            self.expression(weight, at, &mut parts)?;
        }
        let mut parts = parts.nodes;
        Ok(match (parts.len(), &reduce.inner.node.kind) {
            (1, Kind::Stored(..)) => parts.remove(0),
            _ => ExplainNode {
                label: "contribution".into(),
                kind: "contribution".into(),
                place: self.frame_place(frame, point),
                value,
                children: parts,
                ..ExplainNode::default()
            },
        })
    }

    pub(super) fn frame_place(&self, frame: &Frame, block: &Block) -> Vec<(String, String)> {
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
        Point { block, depth, .. }: Point<'_>,
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
            value: self.shown(node, frame, block)?,
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
        let mut found = Found::default();
        for block in &points[hidden..] {
            let at = Point { frame, block, depth: depth.min(CONTRIBUTION_DEPTH) };
            self.expression(&window.inner, at, &mut found)?;
        }
        range.children = found.nodes;
        range.more = hidden;
        Ok(range)
    }

    /// A rate table with the slices that the value runs through, each with the cells of the table
    /// that it was read from.
    fn tier(
        &self,
        node: &Node,
        tier: &Tier,
        Point { frame, block, depth }: Point<'_>,
    ) -> Result<ExplainNode> {
        let value = self.value_of(&tier.value, frame, block)?;
        let mut explained = ExplainNode {
            label: self.view.version.model.cube_def(tier.cube).def.name.clone(),
            kind: "tier".into(),
            value: self.text_of(&self.value_of(node, frame, block)?, Type::Number),
            ..ExplainNode::default()
        };
        let mut chosen = Vec::new();
        for (axis, shared) in &tier.shared {
            let column = self.value_of(shared, frame, block)?;
            chosen.push((*axis, column.member(0)));
            if let (Type::Member(dimension), Some(key)) =
                (shared.value_type, self.text_of(&column, shared.value_type))
            {
                let name = self.view.version.dimension(dimension).def.name.clone();
                explained.place.push((name, key));
            }
        }
        let steps = self.steps(tier, &chosen);
        let Some(value) = value.number(0).filter(|_| !steps.is_empty()) else {
            explained.note = Some("no value, or no table".into());
            return Ok(explained);
        };
        explained.note = Some(format!("of {}", value.normalized()));
        let rates = steps.iter().map(|step| (step.threshold, step.rate)).collect();
        let slices = slices(tier.mode, value, &rates)?;
        let reached = steps.iter().take_while(|step| step.threshold <= value).count();
        // a marginal value runs through all steps that it reaches, others stand in the last of them
        let first = reached - slices.len().min(reached);
        for (slice, at) in slices.iter().zip(first..) {
            let to = slice.to.map_or_else(|| "on".into(), |to| format!("to {}", to.normalized()));
            let node = ExplainNode {
                label: format!("{} {to}", slice.from.normalized()),
                kind: "tier slice".into(),
                value: Some(slice.amount.normalized().to_string()),
                note: Some(format!("{} at {}", slice.part.normalized(), slice.rate.normalized())),
                ..ExplainNode::default()
            };
            let used = if tier.mode == TierMode::Interpolated { 2 } else { 1 };
            explained.children.push(self.slice(
                node,
                tier,
                steps[at..].iter().take(used),
                depth,
            )?);
        }
        Ok(explained)
    }

    /// A slice with the thresholds and rates that it uses; as a whole hidden where one of them is.
    fn slice<'s>(
        &self,
        mut slice: ExplainNode,
        tier: &Tier,
        steps: impl Iterator<Item = &'s Step>,
        depth: usize,
    ) -> Result<ExplainNode> {
        for step in steps {
            let block = self.block_at(tier.cube, step.members.clone());
            for measure in [tier.threshold, tier.rate] {
                slice.children.push(self.point(tier.cube, measure, &block, depth)?);
            }
        }
        let is_hidden = slice.children.iter().any(|cell| cell.kind == "hidden");
        Ok(if is_hidden { hidden("slice".into()) } else { slice })
    }

    /// The steps of the table that some members choose, in the order in which evaluation has them.
    fn steps(&self, tier: &Tier, chosen: &[(usize, MemberId)]) -> Vec<Step> {
        let version = &self.view.version;
        let def = version.model.cube_def(tier.cube);
        let scale = |measure: MeasureId| def.measure_def(measure).value_type.scale();
        let mut steps = Vec::new();
        for view in version.rows(tier.cube).segments() {
            let column = |measure: MeasureId| view.segment.values.get(measure.idx());
            let (Some(thresholds), Some(rates)) = (column(tier.threshold), column(tier.rate))
            else {
                continue;
            };
            for row in view.live_rows() {
                let (Some(threshold), Some(rate)) = (thresholds.get(row), rates.get(row)) else {
                    continue;
                };
                let coordinates = &view.segment.coordinates;
                if chosen.iter().any(|&(axis, member)| coordinates[axis].get(row) != member) {
                    continue;
                }
                steps.push(Step {
                    threshold: Number::new(i128::from(threshold), scale(tier.threshold)),
                    rate: Number::new(i128::from(rate), scale(tier.rate)),
                    members: coordinates.iter().map(|column| column.get(row)).collect(),
                });
            }
        }
        steps.sort_by_key(|step| step.threshold);
        steps
    }
}

/// The digits of the measure whose values a node gives, or the sum, the largest or another one of.
fn scale_of(node: &Node, model: &Model) -> Option<u32> {
    let keeps = |aggregator: Aggregator| {
        !matches!(
            aggregator,
            Aggregator::Avg | Aggregator::Wavg | Aggregator::Count | Aggregator::CountUnique
        )
    };
    match &node.kind {
        Kind::Stored(cube, measure) => {
            Some(model.cube_def(*cube).measure_def(*measure).value_type.scale())
        }
        Kind::At(scope, _) => scale_of(&scope.node, model),
        Kind::OnBranch(on) => scale_of(&on.scope.node, &on.head.version.model),
        Kind::Reduce(reduce) if keeps(reduce.aggregator) => scale_of(&reduce.inner.node, model),
        Kind::Window(window) => match window.how {
            WindowHow::Aggregate(aggregator) if keeps(aggregator) => scale_of(&window.inner, model),
            WindowHow::Difference => scale_of(&window.inner, model),
            _ => None,
        },
        _ => None,
    }
}

fn absolute(number: Number) -> Number {
    if number < Number::ZERO { number.negate().unwrap_or(number) } else { number }
}
