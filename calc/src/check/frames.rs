//! The frame of an expression in brackets: what its measures, members and functions vary over, together.

use cube::DimensionId;

use super::Checker;
use crate::error::Result;
use crate::node::{Axis, Frame, Type};
use crate::syntax::Span;
use crate::syntax::ast::{Argument, Expression, ExpressionKind};

impl Checker<'_> {
    /// The union of the frames of what an expression reads.
    pub(super) fn natural_frame(&mut self, expression: &Expression) -> Result<Frame> {
        let mut frame = Frame::default();
        let mut dimensions = Vec::new();
        self.collect_frames(expression, &mut frame, &mut dimensions)?;
        for axis in dimensions {
            if frame.rows.is_none() && frame.position(axis).is_none() {
                frame.axes.push(Axis { dimension: axis, level: None });
            }
        }
        Ok(frame)
    }

    fn collect_frames(
        &mut self,
        expression: &Expression,
        frame: &mut Frame,
        dimensions: &mut Vec<DimensionId>,
    ) -> Result<()> {
        if let Some(scope) = self.source(expression)? {
            return self.join_frames(frame, &scope.frame, expression.span);
        }
        match &expression.kind {
            ExpressionKind::Path(path) => {
                // its own name, or behind that of a cube; what follows a dimension is an attribute
                let mut names = path.iter().map(|name| name.key());
                dimensions.extend(names.find_map(|name| self.model.dimension(&name).ok()));
                Ok(())
            }
            ExpressionKind::Negate(inner) | ExpressionKind::Not(inner) => {
                self.collect_frames(inner, frame, dimensions)
            }
            ExpressionKind::Binary(_, a, b) | ExpressionKind::On(a, b) => {
                self.collect_frames(a, frame, dimensions)?;
                self.collect_frames(b, frame, dimensions)
            }
            ExpressionKind::In(inner, values) => {
                let mut all = std::iter::once(inner.as_ref()).chain(values);
                all.try_for_each(|value| self.collect_frames(value, frame, dimensions))
            }
            ExpressionKind::Call(name, arguments) if name.text.eq_ignore_ascii_case("LOOKUP") => {
                self.collect_lookup(arguments, frame, dimensions)
            }
            ExpressionKind::Call(name, arguments) if name.text.eq_ignore_ascii_case("CONVERT") => {
                self.collect_convert(arguments, frame, dimensions)
            }
            ExpressionKind::Call(_, arguments) => arguments
                .iter()
                .try_for_each(|argument| self.collect_frames(&argument.value, frame, dimensions)),
            _ => Ok(()),
        }
    }

    /// What a LOOKUP varies over: axes that it names come from the members that it gives.
    fn collect_lookup(
        &mut self,
        arguments: &[Argument],
        frame: &mut Frame,
        dimensions: &mut Vec<DimensionId>,
    ) -> Result<()> {
        for argument in arguments {
            if argument.name.is_some() {
                if self.quoted_member(&argument.value).is_some() {
                    continue;
                }
                self.collect_frames(&argument.value, frame, dimensions)?;
                continue;
            }
            let mut looked_up = self.scope(&argument.value)?.frame;
            let named = arguments.iter().filter_map(|argument| argument.name.as_ref());
            let named: Vec<usize> =
                named.filter_map(|name| self.axis_named(&looked_up, name)).collect();
            let mut at = 0;
            looked_up.axes.retain(|_| {
                at += 1;
                !named.contains(&(at - 1))
            });
            self.join_frames(frame, &looked_up, argument.value.span)?;
        }
        Ok(())
    }

    /// What a CONVERT varies over: the rate is that of the currency, and of the day where one is named.
    fn collect_convert(
        &mut self,
        arguments: &[Argument],
        frame: &mut Frame,
        dimensions: &mut Vec<DimensionId>,
    ) -> Result<()> {
        let named = |key: &str| {
            let is_named =
                |argument: &&Argument| argument.name.as_ref().is_some_and(|name| name.key() == key);
            arguments.iter().find(is_named).map(|argument| &argument.value)
        };
        let rest = arguments.iter().filter(|argument| {
            let name = argument.name.as_ref().map(|name| name.key());
            !matches!(name.as_deref(), Some("rate" | "missing" | "to"))
        });
        for argument in rest {
            self.collect_frames(&argument.value, frame, dimensions)?;
        }
        let (Some(rate), Some(from)) = (named("rate"), named("from")) else { return Ok(()) };
        let mut rates = self.scope(rate)?.frame;
        let mut around = frame.clone();
        for &dimension in dimensions.iter() {
            if around.rows.is_none() && around.position(dimension).is_none() {
                around.axes.push(Axis { dimension, level: None });
            }
        }
        let from = self.node(from, &around)?;
        rates.axes.retain(|axis| {
            from.value_type != Type::Member(axis.dimension)
                && !(named("on").is_some() && self.is_calendar(axis.dimension))
        });
        self.join_frames(frame, &rates, rate.span)
    }

    /// Adds the axes of a frame; of two levels of one dimension the finer stays.
    fn join_frames(&self, frame: &mut Frame, other: &Frame, span: Span) -> Result<()> {
        if let Some(rows) = other.rows {
            if frame.rows.is_some_and(|own| own != rows) {
                return Err(self.error(
                    span,
                    "rows of two records cubes do not meet".into(),
                    Some(
                        "aggregate one of them, or both, with BY to dimensions that they share"
                            .into(),
                    ),
                ));
            }
            *frame = other.clone();
            return Ok(());
        }
        if frame.rows.is_some() {
            return Ok(());
        }
        for axis in &other.axes {
            match frame.position(axis.dimension) {
                None => frame.axes.push(*axis),
                Some(at) if self.ancestor_map(*axis, frame.axes[at]).is_some() => {
                    frame.axes[at] = *axis;
                }
                Some(_) => {}
            }
        }
        Ok(())
    }
}
