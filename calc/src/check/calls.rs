//! Calls: each function of the table, checked against its entry.

mod rates;

use cube::error::nearest;
use cube::{DimensionId, HierarchyId, LevelId};

use super::coerce::{member_text, period};
use super::{Checker, apply, at, axis_node, mapped, provided};
use crate::error::Result;
use crate::functions::{Entry, FUNCTIONS, Function, Param, Shape, Special, find};
use crate::node::{
    Aggregator, Axis, Frame, Kind, MemberMap, Node, PeriodEdge, Range, Scope, Share, Type, Window,
    WindowHow,
};
use crate::syntax::Span;
use crate::syntax::ast::{Argument, Expression, ExpressionKind, Name};

/// Arguments by position and by name.
struct Arguments<'a> {
    entry: &'static Entry,
    span: Span,
    positional: Vec<&'a Expression>,
    named: Vec<(&'a Name, &'a Expression)>,
}

impl<'a> Arguments<'a> {
    fn get(&self, position: usize, name: &str) -> Option<&'a Expression> {
        let named = self.named.iter().find(|(given, _)| given.key() == name);
        named.map(|(_, value)| *value).or_else(|| self.positional.get(position).copied())
    }
}

impl Checker<'_> {
    fn entry(&mut self, name: &Name, arguments: &[Argument], span: Span) -> Result<&'static Entry> {
        find(&name.text).ok_or_else(|| {
            let place = Span { start: name.span.start, end: name.span.end + 1 };
            let foreign = self.foreign_call(name, arguments, span);
            if let Some(error) = foreign.or_else(|| self.in_round_brackets(place)) {
                return error;
            }
            let near = nearest(&name.text, FUNCTIONS.iter().map(|entry| entry.name));
            let hint = match near.as_slice() {
                [] => "docs/functions.md lists the functions".to_string(),
                near => format!("did you mean {}?", near.join(", ")),
            };
            let message = format!("there is no function {}", name.text.to_uppercase());
            self.error(name.span, message, Some(hint))
        })
    }

    fn arguments<'a>(
        &self,
        entry: &'static Entry,
        arguments: &'a [Argument],
        span: Span,
        most: usize,
        names: &[&str],
    ) -> Result<Arguments<'a>> {
        let mut found = Arguments { entry, span, positional: Vec::new(), named: Vec::new() };
        for argument in arguments {
            match &argument.name {
                None => found.positional.push(&argument.value),
                Some(name) if names.contains(&name.key().as_str()) || names.contains(&"*") => {
                    found.named.push((name, &argument.value));
                }
                Some(name) => {
                    let message = format!("{} takes no argument {}", entry.name, name.text);
                    return Err(self.error(
                        name.span,
                        message,
                        Some(format!("it is written {}", entry.form)),
                    ));
                }
            }
        }
        if found.positional.len() > most {
            return Err(self.wrong_count(entry, span));
        }
        Ok(found)
    }

    fn wrong_count(&self, entry: &Entry, span: Span) -> crate::CalcError {
        let message = format!("{} has not these arguments", entry.name);
        self.error(span, message, Some(format!("it is written {}", entry.form)))
    }

    fn required<'a>(
        &self,
        arguments: &Arguments<'a>,
        position: usize,
        name: &str,
    ) -> Result<&'a Expression> {
        arguments
            .get(position, name)
            .ok_or_else(|| self.wrong_count(arguments.entry, arguments.span))
    }

    /// A function that is evaluated at the points of a frame.
    pub(super) fn call(
        &mut self,
        name: &Name,
        arguments: &[Argument],
        frame: &Frame,
        span: Span,
    ) -> Result<Node> {
        let entry = self.entry(name, arguments, span)?;
        match entry.shape {
            Shape::Point { .. } => self.point(entry, arguments, frame, span),
            Shape::Special(special) => self.special(entry, special, arguments, frame, span),
        }
    }

    fn point(
        &mut self,
        entry: &'static Entry,
        arguments: &[Argument],
        frame: &Frame,
        span: Span,
    ) -> Result<Node> {
        let Shape::Point { function, required, optional, repeats, result, .. } = entry.shape else {
            return Err(self.wrong_count(entry, span));
        };
        let most = if repeats { usize::MAX } else { required.len() + optional.len() };
        let found = self.arguments(entry, arguments, span, most, &[])?;
        if found.positional.len() < required.len() {
            return Err(self.wrong_count(entry, span));
        }
        let mut nodes: Vec<Node> = Vec::new();
        let mut alike: Vec<usize> = Vec::new();
        for (position, expression) in found.positional.into_iter().enumerate() {
            let param = required.get(position).or_else(|| {
                let further = position - required.len();
                optional.get(further).or(optional.last())
            });
            let node = self.node(expression, frame)?;
            nodes.push(match param {
                Some(Param::Number) => self.as_number(node)?,
                Some(Param::Text) => self.as_text(node)?,
                Some(Param::Date) => self.as_date(node)?,
                Some(Param::Boolean) => self.as_boolean(node)?,
                Some(Param::Same) | None => {
                    alike.push(position);
                    node
                }
            });
        }
        let groups = match function {
            // the value and its cases are of one type, the results of another
            Function::Switch => {
                let has_else = nodes.len().is_multiple_of(2);
                let last = nodes.len() - 1;
                let is_case = |p: &usize| *p == 0 || (p % 2 == 1 && !(has_else && *p == last));
                let (cases, results): (Vec<_>, Vec<_>) = alike.into_iter().partition(is_case);
                vec![cases, results]
            }
            _ => vec![alike],
        };
        let mut same = Type::Blank;
        for group in groups {
            same = self.unify_all(&mut nodes, &group)?;
        }
        let value_type = match result {
            Param::Number => Type::Number,
            Param::Text => Type::Text,
            Param::Date => Type::Date,
            Param::Boolean => Type::Boolean,
            Param::Same => same,
        };
        Ok(apply(function, nodes, value_type, span))
    }

    /// Gives nodes one type.
    fn unify_all(&self, nodes: &mut [Node], alike: &[usize]) -> Result<Type> {
        let Some(&first) = alike.first() else { return Ok(Type::Blank) };
        for &other in &alike[1..] {
            let (a, b) = self.unified(nodes[first].clone(), nodes[other].clone())?;
            nodes[first] = a;
            nodes[other] = b;
        }
        let types = alike.iter().map(|&position| nodes[position].value_type);
        Ok(types.into_iter().find(|found| *found != Type::Blank).unwrap_or(Type::Blank))
    }

    /// A function with a frame of its own; none for others.
    pub(super) fn call_scope(
        &mut self,
        name: &Name,
        arguments: &[Argument],
        span: Span,
    ) -> Result<Option<Scope>> {
        let entry = self.entry(name, arguments, span)?;
        let Shape::Special(special) = entry.shape else { return Ok(None) };
        let names = ["axis", "order", "period"];
        let scope = match special {
            Special::Shift(sign) => {
                let takes_count = entry.name.starts_with('L');
                let found = self.arguments(entry, arguments, span, 3, &names)?;
                let scope = self.scope(self.required(&found, 0, "x")?)?;
                let count = match takes_count {
                    true => self.whole_number(self.required(&found, 1, "n")?)?,
                    false => 1,
                };
                let axis = found.get(1 + usize::from(takes_count), "axis");
                let position = self.ordered_axis(&scope.frame, axis, span)?;
                self.shifted(scope, position, sign * count, span)?
            }
            Special::Parallel => {
                let found = self.arguments(entry, arguments, span, 3, &names)?;
                let scope = self.scope(self.required(&found, 0, "x")?)?;
                let count = self.whole_number(self.required(&found, 1, "n")?)?;
                let position = self.ordered_axis(&scope.frame, None, span)?;
                let axis = scope.frame.axes[position];
                let level = self.level_named(axis, self.required(&found, 2, "period")?)?;
                self.moved(scope, position, MemberMap::Parallel(axis.level, level, -count), span)?
            }
            Special::Cumulate | Special::FillForward | Special::Decumulate => {
                let found = self.arguments(entry, arguments, span, 2, &names)?;
                let how = match special {
                    Special::Cumulate => WindowHow::Aggregate(Aggregator::Sum),
                    Special::FillForward => WindowHow::Aggregate(Aggregator::LastNonBlank),
                    _ => WindowHow::Difference,
                };
                let range = match special {
                    Special::Decumulate => Range::Moving(2),
                    _ => Range::Cumulate,
                };
                self.window(&found, found.get(1, "axis"), range, how)?
            }
            Special::ToDate(level) => {
                let found = self.arguments(entry, arguments, span, 1, &names)?;
                let scope = self.scope(self.required(&found, 0, "x")?)?;
                let position = self.ordered_axis(&scope.frame, None, span)?;
                let level = self.calendar_level(scope.frame.axes[position], level, span)?;
                let sum = WindowHow::Aggregate(Aggregator::Sum);
                self.window_of(scope, position, Range::ToDate(level), sum, span)?
            }
            Special::MovingSum | Special::MovingAvg => {
                let found = self.arguments(entry, arguments, span, 3, &names)?;
                let count = self.required(&found, 1, "n")?;
                let periods = u32::try_from(self.whole_number(count)?).unwrap_or(0);
                if periods == 0 {
                    let hint = "MOVINGSUM(x, 3) is the sum of this period and the two before";
                    let message = "expected 1 or more periods".into();
                    return Err(self.error(count.span, message, Some(hint.into())));
                }
                let aggregator = match special {
                    Special::MovingSum => Aggregator::Sum,
                    _ => Aggregator::Avg,
                };
                let how = WindowHow::Aggregate(aggregator);
                self.window(&found, found.get(2, "axis"), Range::Moving(periods), how)?
            }
            Special::Opening | Special::Closing => {
                let found = self.arguments(entry, arguments, span, 2, &names)?;
                let scope = self.scope(self.required(&found, 0, "x")?)?;
                let position = self.ordered_axis(&scope.frame, None, span)?;
                let level = self
                    .level_named(scope.frame.axes[position], self.required(&found, 1, "period")?)?;
                let range = match special {
                    Special::Opening => Range::PeriodBefore(level),
                    _ => Range::Period(level),
                };
                let last = WindowHow::Aggregate(Aggregator::LastNonBlank);
                self.window_of(scope, position, range, last, span)?
            }
            Special::Rank => {
                let found = self.arguments(entry, arguments, span, 2, &names)?;
                let scope = self.scope(self.required(&found, 0, "x")?)?;
                let ascending = match found.get(usize::MAX, "order").map(word_of) {
                    None => false,
                    Some(Some(word)) if word == "descending" => false,
                    Some(Some(word)) if word == "ascending" => true,
                    Some(_) => {
                        return Err(self.error(
                            span,
                            "expected order: ascending or descending".into(),
                            Some("where no order is named the largest is 1".into()),
                        ));
                    }
                };
                let position = match found.get(1, "axis") {
                    Some(axis) => self.axis_of(axis, &scope.frame)?,
                    None => 0,
                };
                self.window_of(scope, position, Range::All, WindowHow::Rank { ascending }, span)?
            }
            Special::Allocate => self.allocate(entry, arguments, span)?,
            _ => return Ok(None),
        };
        Ok(Some(scope))
    }

    fn window(
        &mut self,
        found: &Arguments<'_>,
        axis: Option<&Expression>,
        range: Range,
        how: WindowHow,
    ) -> Result<Scope> {
        let scope = self.scope(self.required(found, 0, "x")?)?;
        let position = self.ordered_axis(&scope.frame, axis, found.span)?;
        self.window_of(scope, position, range, how, found.span)
    }

    fn window_of(
        &self,
        scope: Scope,
        axis: usize,
        range: Range,
        how: WindowHow,
        span: Span,
    ) -> Result<Scope> {
        let Scope { frame, node } = scope;
        if let Some(rows) = frame.rows {
            let name = &self.model.cube_def(rows).def.name;
            return Err(self.error(
                span,
                format!("{name} is a cube of rows, which have no order along a dimension"),
                Some("aggregate it with BY first".into()),
            ));
        }
        let value_type = node.value_type;
        let takes_any = how == WindowHow::Aggregate(Aggregator::LastNonBlank);
        if !takes_any {
            self.as_number(node.clone())?;
        }
        let value_type = if takes_any { value_type } else { Type::Number };
        let mask = node.mask;
        let window = Window { inner: node, frame: frame.clone(), axis, range, how };
        let kind = Kind::Window(Box::new(window));
        Ok(Scope { frame, node: Node { kind, value_type, mask, is_heavy: true, span } })
    }

    /// The axis that a function of time runs along: the one named, else the calendar's.
    fn ordered_axis(&self, frame: &Frame, axis: Option<&Expression>, span: Span) -> Result<usize> {
        if let Some(axis) = axis {
            return self.axis_of(axis, frame);
        }
        let mut calendars =
            (0..frame.axes.len()).filter(|&at| self.is_calendar(frame.axes[at].dimension));
        match (calendars.next(), calendars.next()) {
            (Some(position), None) => Ok(position),
            (Some(_), Some(_)) => {
                let message = format!("{} has two calendars", self.owner(frame));
                let hint =
                    format!("name the axis as the last argument; {}", self.dimensions_of(frame));
                Err(self.error(span, message, Some(hint)))
            }
            (None, _) => Err(self.error(
                span,
                format!("{} has no calendar", self.owner(frame)),
                Some(format!(
                    "name another axis as the last argument, where the function takes one; {}",
                    self.dimensions_of(frame)
                )),
            )),
        }
    }

    fn level_named(&self, axis: Axis, expression: &Expression) -> Result<LevelId> {
        let Some(word) = word_of(expression) else {
            let levels = self.model.dimension_def(axis.dimension).levels.iter();
            let levels = levels.map(|level| level.name.as_str()).collect::<Vec<_>>().join(", ");
            let message = "expected a level such as year".into();
            return Err(self.error(
                expression.span,
                message,
                Some(format!("the levels are {levels}")),
            ));
        };
        self.calendar_level(axis, &word, expression.span)
    }

    fn calendar_level(&self, axis: Axis, name: &str, span: Span) -> Result<LevelId> {
        let def = self.model.dimension_def(axis.dimension);
        let level = def.level(name).map_err(|_| self.unknown_level(span, axis.dimension, name))?;
        let same = axis.level.or(def.leaf_level()) == Some(level);
        if !same && self.ancestor_map(axis, Axis { level: Some(level), ..axis }).is_none() {
            let message = format!("{name} is not above {}", self.axis_name(axis));
            let is_above = |level: &&cube::model::LevelDef| {
                let level = def.level(&level.name).ok();
                self.ancestor_map(axis, Axis { level, ..axis }).is_some()
            };
            let above = def.levels.iter().filter(is_above).map(|level| level.name.as_str());
            let above = above.collect::<Vec<_>>().join(", ");
            let hint = match above.is_empty() {
                true => format!("no level is above {}", self.axis_name(axis)),
                false => format!("above it are {above}"),
            };
            return Err(self.error(span, message, Some(hint)));
        }
        Ok(level)
    }

    /// `ALLOCATE(amount, basis)`.
    fn allocate(
        &mut self,
        entry: &'static Entry,
        arguments: &[Argument],
        span: Span,
    ) -> Result<Scope> {
        let found = self.arguments(entry, arguments, span, 2, &[])?;
        let amount = self.required(&found, 0, "amount")?;
        let basis = self.required(&found, 1, "basis")?;
        self.allocated(amount, basis, span).map_err(|error| {
            let [first, second] = [basis, amount].map(|argument| self.text(argument.span));
            match self.tried(span, &format!("ALLOCATE({first}, {second})")) {
                Some(swapped) => {
                    let message =
                        "the amount has fewer dimensions than the basis, and stands first";
                    let hint = format!("the basis comes second: write {swapped}");
                    self.error(span, message.into(), Some(hint))
                }
                None => error,
            }
        })
    }

    fn allocated(&mut self, amount: &Expression, basis: &Expression, span: Span) -> Result<Scope> {
        let Scope { frame, node: basis } = self.scope(basis)?;
        let basis = self.as_number(basis)?;
        let amount = self.number(amount, &frame)?;
        let covered = self.covered(&amount);
        let group: Vec<usize> =
            (0..frame.axes.len()).filter(|axis| covered >> axis & 1 == 1).collect();
        if group.len() == frame.axes.len() {
            return Err(self.error(
                span,
                "the amount varies over every dimension of the basis: there is nothing to allocate"
                    .into(),
                Some("the amount has fewer dimensions than the basis, as a total has; take some away with REMOVE".into()),
            ));
        }
        let scale = Some(self.target.value_type.scale());
        let mask = basis.mask | amount.mask;
        let share = Share { amount, basis, frame: frame.clone(), group, scale };
        let kind = Kind::Share(Box::new(share));
        let node = Node { kind, value_type: Type::Number, mask, is_heavy: true, span };
        Ok(Scope { frame, node })
    }

    /// The axes on which a node depends, one to one or not.
    pub(super) fn covered(&self, node: &Node) -> u64 {
        let own = match node.kind {
            Kind::Axis(axis) => 1u64 << axis,
            Kind::Stored(..) | Kind::Reduce(_) | Kind::OnBranch(_) => node.mask,
            _ => 0,
        };
        node.children().into_iter().fold(own, |mask, child| mask | self.covered(child))
    }

    fn special(
        &mut self,
        entry: &'static Entry,
        special: Special,
        arguments: &[Argument],
        frame: &Frame,
        span: Span,
    ) -> Result<Node> {
        match special {
            Special::CalendarPart(function, level) => {
                let found = self.arguments(entry, arguments, span, 1, &[])?;
                let node = self.node(self.required(&found, 0, "x")?, frame)?;
                match node.value_type {
                    Type::Member(dimension) => self.member_level(node, dimension, level, span),
                    _ => {
                        let date = self.as_date(node)?;
                        Ok(apply(function, vec![date], Type::Number, span))
                    }
                }
            }
            Special::Prorata => {
                let found = self.arguments(entry, arguments, span, 2, &[])?;
                let mut nodes = self.period_edges(frame, span)?;
                for (position, name) in [(0, "start"), (1, "end")] {
                    let node = self.node(self.required(&found, position, name)?, frame)?;
                    nodes.push(self.as_date(node)?);
                }
                Ok(apply(Function::Prorata, nodes, Type::Number, span))
            }
            Special::QuotaProrate => {
                let found = self.arguments(entry, arguments, span, 3, &[])?;
                let mut nodes = vec![self.number(self.required(&found, 0, "quota")?, frame)?];
                nodes.extend(self.period_edges(frame, span)?);
                for (position, name) in [(1, "start"), (2, "end")] {
                    let node = self.node(self.required(&found, position, name)?, frame)?;
                    nodes.push(self.as_date(node)?);
                }
                Ok(apply(Function::QuotaProrate, nodes, Type::Number, span))
            }
            Special::DaysInPeriod => {
                self.arguments(entry, arguments, span, 0, &[])?;
                let mut edges = self.period_edges(frame, span)?;
                edges.reverse();
                Ok(apply(Function::Days, edges, Type::Number, span))
            }
            Special::Lookup => self.lookup(entry, arguments, frame, span),
            Special::Parent | Special::Ancestor | Special::IsDescendant => {
                self.kin(entry, special, arguments, frame, span)
            }
            Special::Attr => {
                let found = self.arguments(entry, arguments, span, 2, &[])?;
                let (position, dimension) =
                    self.frame_axis(self.required(&found, 0, "dimension")?, frame)?;
                let name = self.required(&found, 1, "attribute")?;
                let Some(word) = word_of(name) else {
                    return Err(self.error(
                        name.span,
                        "expected the name of an attribute".into(),
                        Some(
                            "it is written ATTR(dimension, attribute), or dimension.attribute"
                                .into(),
                        ),
                    ));
                };
                let attribute = self
                    .model
                    .dimension_def(dimension)
                    .attribute(&word)
                    .map_err(|_| self.unknown_attribute(name.span, dimension, &word))?;
                self.attribute(
                    axis_node(position, dimension, span),
                    dimension,
                    attribute,
                    None,
                    span,
                )
            }
            Special::MemberText(what) => {
                let found = self.arguments(entry, arguments, span, 1, &[])?;
                let (position, dimension) =
                    self.frame_axis(self.required(&found, 0, "dimension")?, frame)?;
                Ok(member_text(axis_node(position, dimension, span), dimension, what))
            }
            Special::Tier => self.tier(entry, arguments, frame, span),
            Special::Convert => self.convert(entry, arguments, frame, span),
            Special::Override => Err(self.error(
                span,
                "OVERRIDE is the whole of a formula, not a part of one".into(),
                Some("IFBLANK(input, x), or input ?? x, is the same within a formula".into()),
            )),
            Special::Fill => {
                let found = self.arguments(entry, arguments, span, 2, &[])?;
                let value = self.number(self.required(&found, 0, "x")?, frame)?;
                let scope = self.node(self.required(&found, 1, "scope")?, frame)?;
                if provided(&scope) == 0 {
                    return Err(self.error(
                        scope.span,
                        "the scope of FILL reads no measure, so that it says of no cell that it is there".into(),
                        Some("name a measure that has a value where there is to be a zero".into()),
                    ));
                }
                Ok(Node {
                    value_type: Type::Number,
                    mask: value.mask | scope.mask,
                    is_heavy: value.is_heavy || scope.is_heavy,
                    span,
                    kind: Kind::Fill(Box::new(value), Box::new(scope)),
                })
            }
            _ => Err(self.wrong_count(entry, span)),
        }
    }

    fn frame_axis(&self, expression: &Expression, frame: &Frame) -> Result<(usize, DimensionId)> {
        let position = self.axis_of(expression, frame)?;
        Ok((position, frame.axes[position].dimension))
    }

    /// The level above of a calendar's member, or itself.
    pub(super) fn member_level(
        &self,
        node: Node,
        dimension: DimensionId,
        level: &str,
        span: Span,
    ) -> Result<Node> {
        let def = self.model.dimension_def(dimension);
        let level = def.level(level).map_err(|_| self.unknown_level(span, dimension, level))?;
        let name = &def.levels[level.idx()].name;
        let found = def.hierarchies.iter().enumerate().find_map(|(idx, hierarchy)| {
            let position = hierarchy.levels.iter().position(|other| other == name)?;
            Some((HierarchyId::from_idx(idx), position))
        });
        let Some((hierarchy, position)) = found else {
            let hint = "put the level into a hierarchy of its dimension";
            let message = format!("no hierarchy has level {name}");
            return Err(self.error(span, message, Some(hint.into())));
        };
        Ok(Node { span, ..mapped(node, MemberMap::Ancestor(hierarchy, position), dimension) })
    }

    /// First day, and day after the last, of the cell's period.
    fn period_edges(&self, frame: &Frame, span: Span) -> Result<Vec<Node>> {
        let position = self.ordered_axis(frame, None, span)?;
        let dimension = frame.axes[position].dimension;
        let member = axis_node(position, dimension, span);
        Ok(vec![
            period(member.clone(), dimension, PeriodEdge::Start),
            period(member, dimension, PeriodEdge::End),
        ])
    }

    fn lookup(
        &mut self,
        entry: &'static Entry,
        arguments: &[Argument],
        frame: &Frame,
        span: Span,
    ) -> Result<Node> {
        let found = self.arguments(entry, arguments, span, 1, &["*"])?;
        let scope = self.scope(self.required(&found, 0, "x")?)?;
        if let Some(rows) = scope.frame.rows {
            let name = &self.model.cube_def(rows).def.name;
            return Err(self.error(
                span,
                format!("{name} is a cube of rows, which have no place to look at"),
                Some("aggregate it with BY to the dimensions that are named, within LOOKUP".into()),
            ));
        }
        let mut members: Vec<Option<Node>> = vec![None; scope.frame.axes.len()];
        for (name, value) in &found.named {
            let Some(position) = self.axis_named(&scope.frame, name) else {
                return Err(self.error(
                    name.span,
                    format!("{} is not a dimension of what is looked up", name.text),
                    Some(self.dimensions_of(&scope.frame)),
                ));
            };
            let dimension = scope.frame.axes[position].dimension;
            members[position] = Some(self.member(value, dimension, frame)?);
        }
        let axes = scope.frame.axes.clone();
        let given = members.into_iter().zip(axes);
        let members = given.map(|(member, axis)| match member {
            Some(member) => self.at_level(member, axis, span),
            None if frame.position(axis.dimension).is_none() => {
                let name = &self.model.dimension_def(axis.dimension).name;
                let owner = self.owner(frame);
                let message =
                    format!("what is looked up varies over {name}, which {owner} does not have");
                let hint = format!(
                    "name it in LOOKUP: {name}: and a member in quotes, or an attribute that leads to one"
                );
                Err(self.error(span, message, Some(hint)))
            }
            None => self.member_for(axis, frame, span),
        });
        let members = members.collect::<Result<Vec<_>>>()?;
        Ok(at(scope, members, span))
    }

    /// A member at the level of an axis, where it may be on one below.
    fn at_level(&self, member: Node, axis: Axis, span: Span) -> Result<Node> {
        match axis.level {
            Some(level) => {
                let name =
                    self.model.dimension_def(axis.dimension).levels[level.idx()].name.clone();
                self.member_level(member, axis.dimension, &name, span)
            }
            None => Ok(member),
        }
    }

    /// PARENT, ANCESTOR, ISDESCENDANT.
    fn kin(
        &mut self,
        entry: &'static Entry,
        special: Special,
        arguments: &[Argument],
        frame: &Frame,
        span: Span,
    ) -> Result<Node> {
        let found = self.arguments(entry, arguments, span, 2, &[])?;
        let (position, dimension) =
            self.frame_axis(self.required(&found, 0, "dimension")?, frame)?;
        let member = axis_node(position, dimension, span);
        match special {
            Special::Parent => {
                let name = found.positional.get(1).and_then(|expression| match &expression.kind {
                    ExpressionKind::Path(path) => path.last(),
                    _ => None,
                });
                let hierarchy = self.hierarchy(dimension, name)?;
                Ok(mapped(member, MemberMap::Parent(hierarchy), dimension))
            }
            Special::Ancestor => {
                let level = self.required(&found, 1, "level")?;
                let Some(word) = word_of(level) else {
                    return Err(self.error(
                        level.span,
                        "expected the name of a level".into(),
                        Some("it is written ANCESTOR(dimension, level); of a parent-child hierarchy the levels are l1, l2 and so on".into()),
                    ));
                };
                let depth = word.strip_prefix('l').and_then(|depth| depth.parse::<usize>().ok());
                match depth.filter(|_| self.model.dimension_def(dimension).levels.is_empty()) {
                    Some(depth) if depth > 0 => {
                        let map = MemberMap::Ancestor(HierarchyId(0), depth - 1);
                        Ok(mapped(member, map, dimension))
                    }
                    _ => self.member_level(member, dimension, &word, level.span),
                }
            }
            _ => {
                let wanted = self.required(&found, 1, "member")?;
                let wanted = self.member(wanted, dimension, frame)?;
                Ok(apply(Function::IsDescendant, vec![member, wanted], Type::Boolean, span))
            }
        }
    }
}

/// A single word, quoted or not.
fn word_of(expression: &Expression) -> Option<String> {
    match &expression.kind {
        ExpressionKind::Path(path) => match path.as_slice() {
            [name] => Some(name.key()),
            _ => None,
        },
        ExpressionKind::Text(text) => Some(text.clone()),
        _ => None,
    }
}
