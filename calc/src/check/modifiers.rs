//! Modifiers: `x[BY SUM: ...]` and the like, each a change of frame.

use cube::model::{Consolidation, MeasureDef};
use cube::{DimensionId, Model, Number};

use super::fused::fused;
use super::members::is_flat;
use super::{Checker, apply, at, axis_node, literal, mapped};
use crate::error::Result;
use crate::functions::{Function, Shape, Special, find};
use crate::node::{
    Aggregator, Axis, Frame, Kind, MemberMap, Node, Reduce, Scope, Share, Type, Value,
};
use crate::syntax::Span;
use crate::syntax::ast::{Argument, BinaryOperator, Expression, ExpressionKind, Modifier, Name};

const MODIFIERS: &str =
    "BY, REMOVE, KEEP, SELECT, FILTER, EXCLUDE, ADD CONSTANT, ADD SPLIT, ADD WEIGHT, ON branch";
const AGGREGATORS: &str = "SUM, AVG, WAVG, MIN, MAX, COUNT, COUNTUNIQUE, FIRST, LAST, FIRSTNONBLANK, LASTNONBLANK, ANY, ALL, TEXTLIST";

/// The level of a calendar that a function names.
fn part_of_calendar(name: &Name) -> Option<&'static str> {
    match find(&name.text)?.shape {
        Shape::Special(Special::CalendarPart(_, level)) => Some(level),
        _ => None,
    }
}

/// The definition of a measure where that is all that is read, on whatever branch.
fn read_measure<'m>(node: &'m Node, model: &'m Model) -> Option<&'m MeasureDef> {
    match &node.kind {
        Kind::Stored(cube, measure) => Some(model.cube_def(*cube).measure_def(*measure)),
        Kind::OnBranch(on) => read_measure(&on.scope.node, &on.head.version.model),
        _ => None,
    }
}

impl Checker<'_> {
    pub(super) fn modified(&mut self, inner: &Expression, modifier: &Modifier) -> Result<Scope> {
        let keyword = modifier.keyword.text.to_uppercase();
        match keyword.as_str() {
            "ON" => return self.on_branch(inner, modifier),
            "AS" => {
                let hint = "put the figures of that day into a measure of their own";
                let message = "AS OF is not available yet".into();
                return Err(self.error(modifier.span, message, Some(hint.into())));
            }
            _ => {}
        }
        let scope = self.scope(inner)?;
        match keyword.as_str() {
            "BY" => self.by(scope, modifier),
            "REMOVE" | "KEEP" => self.remove(scope, modifier, keyword == "KEEP"),
            "SELECT" => self.select(scope, modifier),
            "FILTER" | "EXCLUDE" => self.filter(scope, modifier, keyword == "EXCLUDE"),
            "ADD" => self.add(scope, inner, modifier),
            _ => Err(self.error(
                modifier.keyword.span,
                format!("there is no modifier {keyword}"),
                Some(format!("the modifiers are {MODIFIERS}")),
            )),
        }
    }

    fn aggregator(&self, modifier: &Modifier) -> Result<Aggregator> {
        let Some(name) = &modifier.aggregator else { return Ok(Aggregator::Sum) };
        Ok(match name.text.to_uppercase().as_str() {
            "SUM" => Aggregator::Sum,
            "AVG" => Aggregator::Avg,
            "WAVG" => Aggregator::Wavg,
            "MIN" => Aggregator::Min,
            "MAX" => Aggregator::Max,
            "COUNT" => Aggregator::Count,
            "COUNTUNIQUE" => Aggregator::CountUnique,
            "FIRST" => Aggregator::First,
            "LAST" => Aggregator::Last,
            "FIRSTNONBLANK" => Aggregator::FirstNonBlank,
            "LASTNONBLANK" => Aggregator::LastNonBlank,
            "ANY" => Aggregator::Any,
            "ALL" => Aggregator::All,
            "TEXTLIST" => Aggregator::TextList,
            other => {
                return Err(self.error(
                    name.span,
                    format!("there is no aggregator {other}"),
                    Some(format!("the aggregators are {AGGREGATORS}")),
                ));
            }
        })
    }

    /// `[BY SUM: ...]`: what is listed are the axes of the result; a cells cube keeps its others.
    fn by(&mut self, scope: Scope, modifier: &Modifier) -> Result<Scope> {
        let aggregator = self.aggregator(modifier)?;
        let mut result = Frame::default();
        let mut by = Vec::new();
        let mut taken = Vec::new();
        let mut weight = None;
        for argument in &modifier.arguments {
            if let Some(name) = &argument.name {
                if name.key() != "weight" {
                    let hint =
                        "BY takes dimensions, levels and attributes; WAVG also weight: measure";
                    return Err(self.error(
                        name.span,
                        "expected weight:".into(),
                        Some(hint.into()),
                    ));
                }
                let node = self.node(&argument.value, &scope.frame)?;
                weight = Some(self.as_number(node)?);
                continue;
            }
            let member = self.by_member(&argument.value, &scope.frame)?;
            let axis = self.result_axis(&member, &scope.frame)?;
            if result.position(axis.dimension).is_some() {
                let name = &self.model.dimension_def(axis.dimension).name;
                return Err(self.error(
                    argument.value.span,
                    format!("BY names {name} twice"),
                    Some("name each dimension once, at the level that is wanted".into()),
                ));
            }
            taken.push(self.covered(&member));
            result.axes.push(axis);
            by.push(member);
        }
        if scope.frame.rows.is_none() {
            let used = taken.iter().fold(0, |mask, axes| mask | axes);
            for (position, &axis) in scope.frame.axes.iter().enumerate() {
                if used >> position & 1 == 0 && result.position(axis.dimension).is_none() {
                    result.axes.push(axis);
                    by.push(axis_node(position, axis.dimension, modifier.span));
                }
            }
        }
        self.reduce(scope, result, by, aggregator, weight, Vec::new(), modifier.span)
    }

    /// A member to aggregate by; a date leads to its day, month, quarter or year in the target's
    /// calendar.
    fn by_member(&mut self, expression: &Expression, frame: &Frame) -> Result<Node> {
        let (date, level) = match &expression.kind {
            ExpressionKind::Call(name, arguments) => {
                match (part_of_calendar(name), arguments.as_slice()) {
                    (Some(level), [argument]) => (&argument.value, Some(level)),
                    _ => return self.node(expression, frame),
                }
            }
            _ => (expression, None),
        };
        let node = self.node(date, frame)?;
        if node.value_type != Type::Date {
            return self.node(expression, frame);
        }
        let calendars = self.frame.axes.iter().map(|axis| axis.dimension);
        let Some(calendar) = calendars.into_iter().find(|&dimension| self.is_calendar(dimension))
        else {
            return Err(self.error(
                expression.span,
                "the target has no calendar for this date".into(),
                Some(format!("leave the date out; {}", self.dimensions_of(&self.frame))),
            ));
        };
        let day = self.as_member(node, calendar)?;
        match level {
            Some(level) => self.member_level(day, calendar, level, expression.span),
            None => Ok(day),
        }
    }

    /// The axis whose members a node gives.
    fn result_axis(&self, member: &Node, frame: &Frame) -> Result<Axis> {
        let Type::Member(dimension) = member.value_type else {
            return Err(self.error(
                member.span,
                "expected a dimension, a level, or an attribute that is a member of a dimension"
                    .into(),
                Some("the attribute's type is written \"member of DIMENSION\"".into()),
            ));
        };
        let level = match &member.kind {
            Kind::Axis(position) => frame.axes[*position].level,
            Kind::Map(_, _, MemberMap::Ancestor(hierarchy, position)) => {
                let def = self.model.dimension_def(dimension);
                let hierarchy = &def.hierarchies[hierarchy.idx()];
                let level = hierarchy.levels.get(*position).map(|name| def.level(name));
                level.transpose()?.filter(|&level| def.leaf_level() != Some(level))
            }
            Kind::MemberLiteral(..) => {
                return Err(self.error(
                    member.span,
                    "expected a dimension, found a member".into(),
                    Some("BY keeps all members; choose some with FILTER, or one of a cube of cells with SELECT".into()),
                ));
            }
            _ => None,
        };
        Ok(Axis { dimension, level })
    }

    /// `[REMOVE SUM: ...]` and `[KEEP SUM: ...]`.
    fn remove(&mut self, scope: Scope, modifier: &Modifier, keeps: bool) -> Result<Scope> {
        let aggregator = self.aggregator(modifier)?;
        let mut named = 0u64;
        let mut weight = None;
        for argument in &modifier.arguments {
            if argument.name.as_ref().is_some_and(|name| name.key() == "weight") {
                let node = self.node(&argument.value, &scope.frame)?;
                weight = Some(self.as_number(node)?);
                continue;
            }
            named |= 1 << self.axis_of(&argument.value, &scope.frame)?;
        }
        if named == 0 {
            let message = format!("expected a dimension of {}", self.owner(&scope.frame));
            let hint = self.dimensions_of(&scope.frame);
            return Err(self.error(modifier.span, message, Some(hint)));
        }
        let kept: Vec<usize> = (0..scope.frame.axes.len())
            .filter(|position| (named >> position & 1 == 1) == keeps)
            .collect();
        let axes: Vec<Axis> = kept.iter().map(|&position| scope.frame.axes[position]).collect();
        let by = kept.iter().zip(&axes);
        let by = by.map(|(&position, axis)| axis_node(position, axis.dimension, modifier.span));
        let by = by.collect();
        let result = Frame { axes, rows: None };
        self.reduce(scope, result, by, aggregator, weight, Vec::new(), modifier.span)
    }

    #[allow(clippy::too_many_arguments)]
    fn reduce(
        &self,
        scope: Scope,
        result: Frame,
        by: Vec<Node>,
        aggregator: Aggregator,
        weight: Option<Node>,
        under: Vec<(usize, String)>,
        span: Span,
    ) -> Result<Scope> {
        let wants = match aggregator {
            Aggregator::Sum | Aggregator::Avg | Aggregator::Wavg => Some(Type::Number),
            Aggregator::Any | Aggregator::All => Some(Type::Boolean),
            Aggregator::TextList => Some(Type::Text),
            _ => None,
        };
        let found = scope.node.value_type;
        if wants.is_some_and(|wanted| found != wanted && found != Type::Blank)
            || matches!(found, Type::Member(_))
        {
            return Err(self.error(
                scope.node.span,
                "values of this type do not aggregate so".into(),
                Some(
                    "COUNT, FIRST and LAST take any value but members; ANY and ALL take conditions, TEXTLIST texts"
                        .into(),
                ),
            ));
        }
        if let (Aggregator::Sum, Some(def)) = (aggregator, read_measure(&scope.node, self.model))
            && under.is_empty()
            && def.consolidation == Consolidation::Formula
        {
            let name = &def.name;
            return Err(self.error(
                scope.node.span,
                format!("{name} does not add up: its consolidation is formula"),
                Some("aggregate what it is made of, or say AVG, MIN or MAX".into()),
            ));
        }
        if (aggregator == Aggregator::Wavg) != weight.is_some() {
            return Err(self.error(
                span,
                "WAVG, and only it, takes a weight".into(),
                Some(
                    "add weight: and a measure to WAVG, or leave the weight out and say AVG or SUM"
                        .into(),
                ),
            ));
        }
        let value_type = match aggregator {
            Aggregator::Count | Aggregator::CountUnique => Type::Number,
            _ => found,
        };
        let (scope, by) = if weight.is_none() && under.is_empty() {
            fused(scope, by, aggregator)
        } else {
            (scope, by)
        };
        let mask = (1 << result.axes.len()) - 1;
        let frame = result.clone();
        let reduce = Reduce { inner: scope, result, by, aggregator, weight, under };
        let kind = Kind::Reduce(Box::new(reduce));
        Ok(Scope { frame, node: Node { kind, value_type, mask, is_heavy: true, span } })
    }

    /// `[SELECT: axis + n]` shifts, `[SELECT: axis = member]` takes one member.
    fn select(&mut self, mut scope: Scope, modifier: &Modifier) -> Result<Scope> {
        for Argument { value, .. } in &modifier.arguments {
            scope = self.select_one(scope, value)?;
        }
        Ok(scope)
    }

    fn select_one(&mut self, scope: Scope, choice: &Expression) -> Result<Scope> {
        let expected = || {
            self.error(
                choice.span,
                "expected axis - n, axis + n or axis = member".into(),
                Some("as in SELECT: month - 12, or SELECT: scenario = \"Budget\"".into()),
            )
        };
        match &choice.kind {
            ExpressionKind::Binary(BinaryOperator::Equal, axis, member) => {
                let position = self.axis_of(axis, &scope.frame)?;
                let dimension = scope.frame.axes[position].dimension;
                let member = self.member_text_of(member, dimension)?;
                self.slice(scope, position, member, choice.span)
            }
            ExpressionKind::Binary(
                operator @ (BinaryOperator::Add | BinaryOperator::Subtract),
                axis,
                count,
            ) => {
                let position = self.axis_of(axis, &scope.frame)?;
                let count = self.whole_number(count)?;
                let sign = if *operator == BinaryOperator::Add { 1 } else { -1 };
                self.shifted(scope, position, sign * count, choice.span)
            }
            ExpressionKind::Path(path) => match path.as_slice() {
                [.., dimension, member] if member.is_quoted => {
                    let axis = self.axis_named(&scope.frame, dimension).ok_or_else(expected)?;
                    self.slice(scope, axis, member.text.clone(), choice.span)
                }
                _ => Err(expected()),
            },
            _ => Err(expected()),
        }
    }

    /// The key or name of a member that stands as a literal.
    fn member_text_of(&self, expression: &Expression, dimension: DimensionId) -> Result<String> {
        match &expression.kind {
            ExpressionKind::Text(text) => Ok(text.clone()),
            ExpressionKind::Number(number) => Ok(number.to_string()),
            ExpressionKind::Path(path) => match path.as_slice() {
                [name] if name.is_quoted => Ok(name.text.clone()),
                [.., owner, name]
                    if name.is_quoted
                        && self.model.dimension(&owner.key()).ok() == Some(dimension) =>
                {
                    Ok(name.text.clone())
                }
                _ => Err(self.member_expected(expression, dimension)),
            },
            _ => Err(self.member_expected(expression, dimension)),
        }
    }

    fn member_expected(&self, expression: &Expression, dimension: DimensionId) -> crate::CalcError {
        let message = "expected a member in quotes".into();
        let word = self.text(expression.span);
        let is_name = matches!(&expression.kind, ExpressionKind::Path(path) if path.len() == 1);
        let quoted = is_name.then(|| self.quoted_members(word, Some(dimension)));
        let tried = quoted.and_then(|quoted| self.first_tried(expression.span, &quoted));
        let hint = tried.map_or_else(
            || "a member stands by its key or name in double quotes, as \"Budget\"".to_string(),
            |quoted| format!("write {quoted}"),
        );
        self.error(expression.span, message, Some(hint))
    }

    /// A literal whole number.
    pub(super) fn whole_number(&self, expression: &Expression) -> Result<i32> {
        let (number, sign) = match &expression.kind {
            ExpressionKind::Number(number) => (Some(*number), 1),
            ExpressionKind::Negate(inner) => match inner.kind {
                ExpressionKind::Number(number) => (Some(number), -1),
                _ => (None, 1),
            },
            _ => (None, 1),
        };
        let whole = number.and_then(|number| number.to_string().parse::<i32>().ok());
        whole.map(|whole| sign * whole).ok_or_else(|| {
            let hint = "how far it looks is the same in every cell: a number such as 1 or 12";
            let message = "expected a whole number".into();
            self.error(expression.span, message, Some(hint.into()))
        })
    }

    /// What an expression is at one member of an axis, which goes away; of a consolidated member, its
    /// total.
    pub(super) fn slice(
        &self,
        scope: Scope,
        position: usize,
        member: String,
        span: Span,
    ) -> Result<Scope> {
        if let Some(rows) = scope.frame.rows {
            let name = &self.model.cube_def(rows).def.name;
            return Err(self.error(
                span,
                format!("{name} is a cube of rows"),
                Some(format!(
                    "choose rows with FILTER: {}, then aggregate them with BY",
                    self.text(span)
                )),
            ));
        }
        let dimension = scope.frame.axes[position].dimension;
        let mut axes = scope.frame.axes.clone();
        axes.remove(position);
        let result = Frame { axes, rows: None };
        let named = self.named_member(dimension, member.clone(), span);
        if is_flat(self.model.dimension_def(dimension)) || scope.node.value_type != Type::Number {
            let mut members: Vec<Node> = (0..result.axes.len())
                .map(|axis| axis_node(axis, result.axes[axis].dimension, span))
                .collect();
            members.insert(position, named);
            let node = at(scope, members, span);
            return Ok(Scope { frame: result, node });
        }
        let kept = (0..scope.frame.axes.len()).filter(|&axis| axis != position);
        let by = kept.map(|axis| axis_node(axis, scope.frame.axes[axis].dimension, span)).collect();
        self.reduce(scope, result, by, Aggregator::Sum, None, vec![(position, member)], span)
    }

    /// An expression so many members further along an axis.
    pub(super) fn shifted(
        &self,
        scope: Scope,
        position: usize,
        count: i32,
        span: Span,
    ) -> Result<Scope> {
        let axis = scope.frame.axes[position];
        self.moved(scope, position, MemberMap::Shift(axis.level, count), span)
    }

    /// An expression at another member of an axis.
    pub(super) fn moved(
        &self,
        scope: Scope,
        position: usize,
        map: MemberMap,
        span: Span,
    ) -> Result<Scope> {
        if let Some(rows) = scope.frame.rows {
            let name = &self.model.cube_def(rows).def.name;
            return Err(self.error(
                span,
                format!("{name} is a cube of rows, which have no order along a dimension"),
                Some("aggregate it with BY first".into()),
            ));
        }
        let frame = scope.frame.clone();
        let member = |(idx, axis): (usize, &Axis)| {
            let node = axis_node(idx, axis.dimension, span);
            if idx == position { mapped(node, map.clone(), axis.dimension) } else { node }
        };
        let members = frame.axes.iter().enumerate().map(member).collect();
        let node = at(scope, members, span);
        Ok(Scope { frame, node })
    }

    /// `[FILTER: condition]` and `[EXCLUDE: condition]`.
    fn filter(&mut self, scope: Scope, modifier: &Modifier, excludes: bool) -> Result<Scope> {
        let function = if excludes { Function::Exclude } else { Function::Filter };
        let Scope { frame, mut node } = scope;
        for argument in &modifier.arguments {
            let condition = self.node(&argument.value, &frame)?;
            let condition = self.as_boolean(condition)?;
            let value_type = node.value_type;
            node = apply(function, vec![node, condition], value_type, modifier.span);
        }
        Ok(Scope { frame, node })
    }

    /// `[ADD CONSTANT: axis]`, `[ADD SPLIT: axis BY basis]`, `[ADD WEIGHT: axis BY weight]`.
    fn add(&mut self, scope: Scope, inner: &Expression, modifier: &Modifier) -> Result<Scope> {
        let how = modifier.aggregator.as_ref().map(|name| name.text.to_uppercase());
        let mut frame = scope.frame.clone();
        if frame.rows.is_some() {
            let hint = "aggregate the rows with BY first, then bring the dimension in";
            let message = "rows take no further dimension".into();
            return Err(self.error(modifier.span, message, Some(hint.into())));
        }
        for argument in &modifier.arguments {
            let axis = self.added_axis(&argument.value)?;
            if frame.position(axis.dimension).is_some() {
                let message = format!("{} is there already", self.axis_name(axis));
                let whole = inner.span.to(modifier.span);
                if let Some(without) = self.tried(whole, self.text(inner.span)) {
                    let hint = format!("leave ADD out: write {without}");
                    return Err(self.error(whole, message, Some(hint)));
                }
                let hint = "leave it out of ADD; what varies over a level of it keeps that level";
                return Err(self.error(argument.value.span, message, Some(hint.into())));
            }
            frame.axes.push(axis);
        }
        let group: Vec<usize> = (0..scope.frame.axes.len()).collect();
        let added = frame.full() & !scope.frame.full();
        let mut amount = self.embed(scope, &frame, modifier.span)?;
        let basis = match &modifier.basis {
            Some(basis) => {
                let node = self.node(basis, &frame)?;
                Some(self.as_number(node)?)
            }
            None => None,
        };
        let node = match (how.as_deref(), basis) {
            (Some("CONSTANT"), None) => {
                amount.mask |= added;
                amount
            }
            (Some("WEIGHT"), Some(weight)) => {
                amount.mask |= added;
                let amount = self.as_number(amount)?;
                apply(Function::Multiply, vec![amount, weight], Type::Number, modifier.span)
            }
            (Some("SPLIT"), basis) => {
                let amount = self.as_number(amount)?;
                let basis = basis.unwrap_or_else(|| {
                    let one =
                        literal(Value::Number(Number::new(1, 0)), Type::Number, modifier.span);
                    let inner = Scope { frame: Frame::default(), node: one };
                    Node { mask: added, ..at(inner, Vec::new(), modifier.span) }
                });
                let mask = frame.full();
                let share = Share { amount, basis, frame: frame.clone(), group, scale: None };
                Node {
                    kind: Kind::Share(Box::new(share)),
                    value_type: Type::Number,
                    mask,
                    is_heavy: true,
                    span: modifier.span,
                }
            }
            _ => {
                return Err(self.error(
                    modifier.span,
                    "expected ADD CONSTANT: axis, ADD SPLIT: axis [BY basis] or ADD WEIGHT: axis BY weight".into(),
                    Some("CONSTANT is the same in each member, SPLIT a part, WEIGHT the value times a weight".into()),
                ));
            }
        };
        Ok(Scope { frame, node })
    }

    /// The axis that is brought in: at the level at which the target has the dimension.
    fn added_axis(&self, expression: &Expression) -> Result<Axis> {
        if let Ok(position) = self.axis_of(expression, &self.frame) {
            return Ok(self.frame.axes[position]);
        }
        if let ExpressionKind::Path(path) = &expression.kind
            && let [.., name] = path.as_slice()
            && let Ok(dimension) = self.model.dimension(&name.key())
        {
            return Ok(Axis { dimension, level: None });
        }
        self.axis_of(expression, &self.frame).map(|position| self.frame.axes[position])
    }
}
