//! TIER and CONVERT: values by tables of rates.

use cube::MeasureId;

use super::word_of;
use crate::check::{Checker, apply, at, literal};
use crate::error::Result;
use crate::functions::{Entry, Function};
use crate::node::{Aggregator, Frame, Kind, Node, Range, Tier, TierMode, Type, Value, WindowHow};
use crate::syntax::Span;
use crate::syntax::ast::Argument;

impl Checker<'_> {
    pub(super) fn tier(
        &mut self,
        entry: &'static Entry,
        arguments: &[Argument],
        frame: &Frame,
        span: Span,
    ) -> Result<Node> {
        let found = self.arguments(entry, arguments, span, 2, &["*"])?;
        let value = self.number(self.required(&found, 0, "x")?, frame)?;
        let table = self.required(&found, 1, "table")?;
        let Some(word) = word_of(table) else {
            let hint = "a rate table is a cube of cells with the measures threshold and rate";
            let message = "expected the cube of the rate table".into();
            return Err(self.error(table.span, message, Some(hint.into())));
        };
        let cube = self.model.cube(&word).map_err(|_| self.unknown_cube(table.span, &word))?;
        let mut mode = TierMode::Marginal;
        let mut chosen: Vec<(usize, Node)> = Vec::new();
        let table_frame = Frame::of_cube(self.model, cube);
        if table_frame.rows.is_some() {
            let message = "a rate table is a cube of cells".into();
            let hint =
                "a step a cell, with the measures threshold and rate; this is a cube of rows";
            return Err(self.error(table.span, message, Some(hint.into())));
        }
        for (name, expression) in &found.named {
            if name.key() == "mode" {
                mode = match word_of(expression).as_deref() {
                    Some("marginal") => TierMode::Marginal,
                    Some("whole") => TierMode::Whole,
                    Some("interpolated") => TierMode::Interpolated,
                    _ => {
                        return Err(self.error(
                            expression.span,
                            "expected mode: marginal, whole or interpolated".into(),
                            Some(
                                "where no mode is named it is marginal: each slice at its own rate"
                                    .into(),
                            ),
                        ));
                    }
                };
                continue;
            }
            let Some(position) = self.axis_named(&table_frame, name) else {
                return Err(self.error(
                    name.span,
                    format!("{} is not a dimension of the table", name.text),
                    Some(self.dimensions_of(&table_frame)),
                ));
            };
            let axis = table_frame.axes[position];
            let member = self.member(expression, axis.dimension, frame)?;
            chosen.push((position, self.at_level(member, axis, span)?));
        }
        for (position, &axis) in table_frame.axes.iter().enumerate() {
            let is_chosen = chosen.iter().any(|(other, _)| *other == position);
            if !is_chosen && frame.position(axis.dimension).is_some() {
                chosen.push((position, self.member_for(axis, frame, table.span)?));
            }
        }
        let is_free = |position: &usize| !chosen.iter().any(|(other, _)| other == position);
        let free: Vec<String> = (0..table_frame.axes.len())
            .filter(is_free)
            .map(|position| self.axis_text(table_frame.axes[position]))
            .collect();
        if free.len() > 1 {
            let free = free.join(" and ");
            return Err(self.error(
                table.span,
                format!("{word} varies over {free}: the steps are one of these, and nothing chooses a member of the other"),
                Some("name the member whose steps they are, as in TIER(x, tiers, plan: owner.plan)".into()),
            ));
        }
        chosen.sort_by_key(|(position, _)| *position);
        let measure = |name: &str| -> Result<MeasureId> {
            let def = self.model.cube_def(cube);
            let message = || format!("cube {word} is no rate table: it has no measure {name}");
            let hint = "a rate table has the measures threshold and rate";
            def.measure(name).map_err(|_| self.error(table.span, message(), Some(hint.into())))
        };
        let (threshold, rate) = (measure("threshold")?, measure("rate")?);
        let is_heavy = value.is_heavy || chosen.iter().any(|(_, node)| node.is_heavy);
        let mask = value.mask;
        let tier = Tier { value, cube, threshold, rate, shared: chosen, mode };
        Ok(Node {
            kind: Kind::Tier(Box::new(tier)),
            value_type: Type::Number,
            mask,
            is_heavy,
            span,
        })
    }

    pub(super) fn convert(
        &mut self,
        entry: &'static Entry,
        arguments: &[Argument],
        frame: &Frame,
        span: Span,
    ) -> Result<Node> {
        let names = ["from", "to", "rate", "on", "missing"];
        let found = self.arguments(entry, arguments, span, 1, &names)?;
        let amount = self.number(self.required(&found, 0, "x")?, frame)?;
        let rate_text = self.required(&found, usize::MAX, "rate")?;
        let mut rate = self.scope(rate_text)?;
        rate.node = self.as_number(rate.node)?;
        let takes_last = match found.get(usize::MAX, "missing").map(word_of) {
            None => false,
            Some(Some(word)) if word == "error" => false,
            Some(Some(word)) if word == "last" => true,
            Some(_) => {
                let hint = "where it is not named, a missing rate is an error";
                let message = "expected missing: error or last".into();
                return Err(self.error(span, message, Some(hint.into())));
            }
        };
        if takes_last {
            let position = self.ordered_axis(&rate.frame, None, rate_text.span)?;
            let last = WindowHow::Aggregate(Aggregator::LastNonBlank);
            rate = self.window_of(rate, position, Range::Cumulate, last, rate_text.span)?;
        }
        let from = self.required(&found, usize::MAX, "from")?;
        let from = self.node(from, frame).map_err(|error| {
            let named = self.currencies_named(from.span, &rate.frame);
            self.lacks_quotes(from, error, &named)
        })?;
        let currency = rate.frame.axes.iter().position(|axis| match from.value_type {
            Type::Member(dimension) => axis.dimension == dimension,
            _ => false,
        });
        let Some(currency) = currency else {
            return Err(self.currency_expected(&from, &rate.frame));
        };
        let dimension = rate.frame.axes[currency].dimension;
        let to = self.member(self.required(&found, usize::MAX, "to")?, dimension, frame)?;
        let mut members = Vec::new();
        for (position, &axis) in rate.frame.axes.clone().iter().enumerate() {
            members.push(if position == currency {
                from.clone()
            } else if let Some(on) =
                found.get(usize::MAX, "on").filter(|_| self.is_calendar(axis.dimension))
            {
                let node = self.node(on, frame)?;
                let node = self.as_member(node, axis.dimension)?;
                self.at_level(node, axis, span)?
            } else {
                self.member_for(axis, frame, rate_text.span)?
            });
        }
        let same = apply(Function::Equal, vec![from, to], Type::Boolean, span);
        let rate = at(rate, members, rate_text.span);
        let mut arguments = vec![amount, same, rate];
        if takes_last {
            // for the error where even the last known rate is missing
            arguments.push(literal(Value::Boolean(true), Type::Boolean, span));
        }
        Ok(apply(Function::Convert, arguments, Type::Number, span))
    }
}
