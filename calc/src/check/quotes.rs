//! Members and texts that lack their quotes, or whose quotes are taken for something else.

use cube::DimensionId;

use super::{Checker, quoted};
use crate::error::{CalcError, Result};
use crate::node::{Axis, Frame, Node, Type};
use crate::syntax::Span;
use crate::syntax::ast::{Expression, ExpressionKind};

impl Checker<'_> {
    /// An operand of a comparison; a name that is nothing may be a text that lacks its quotes.
    pub(super) fn compared(
        &mut self,
        expression: &Expression,
        other: &Expression,
        frame: &Frame,
    ) -> Result<Node> {
        let found = self.node(expression, frame);
        let Err(error) = found else { return found };
        let dimension = match self.node(other, frame).map(|other| other.value_type) {
            Ok(Type::Text) => None,
            Ok(Type::Member(dimension)) => Some(dimension),
            _ => return Err(error),
        };
        let quoted = self.quoted_members(self.text(expression.span), dimension);
        Err(self.lacks_quotes(expression, error, &quoted))
    }

    /// An expression where a member of a dimension is wanted.
    pub(super) fn member(
        &mut self,
        expression: &Expression,
        dimension: DimensionId,
        frame: &Frame,
    ) -> Result<Node> {
        if let Some(text) = self.quoted_member(expression) {
            return Ok(self.named_member(dimension, text, expression.span));
        }
        let node = self.node(expression, frame).map_err(|error| {
            let quoted = self.quoted_members(self.text(expression.span), Some(dimension));
            self.lacks_quotes(expression, error, &quoted)
        })?;
        self.as_member(node, dimension)
    }

    /// What is in double quotes where a member is wanted, is one also where a measure has that name;
    /// but a date leads to its day.
    pub(super) fn quoted_member(&mut self, expression: &Expression) -> Option<String> {
        let text = quoted(expression)?.to_string();
        let scope = self.source(expression).ok()??;
        (scope.node.value_type != Type::Date).then_some(text)
    }

    /// The error of an operand; of a name that is nothing it says what the name is in quotes.
    pub(super) fn lacks_quotes(
        &self,
        expression: &Expression,
        error: CalcError,
        quoted: &[String],
    ) -> CalcError {
        let is_unknown = match &expression.kind {
            ExpressionKind::Path(path) => match path.as_slice() {
                [name] => self.model.dimension(&name.key()).is_err(),
                _ => false,
            },
            _ => false,
        };
        let CalcError::Formula { span, message, hint, .. } = &error else { return error };
        if !is_unknown {
            return error;
        }
        let write = match (self.first_tried(*span, quoted), quoted.first()) {
            (Some(tried), _) => format!(": write {tried}"),
            (None, Some(quoted)) => format!(", as {quoted}"),
            (None, None) => String::new(),
        };
        let or = hint.as_ref().filter(|hint| hint.starts_with("did you mean"));
        let or = or.map_or_else(String::new, |hint| format!("; {hint}"));
        let hint = format!("a text or a member stands in double quotes{write}{or}");
        self.error(*span, message.clone(), Some(hint))
    }

    /// Behind its dimension, a member whose name alone is that of something else; or one like it.
    pub(super) fn behind_dimension(&self, span: Span, dimension: DimensionId) -> Vec<String> {
        let text = self.text(span);
        let quotes = ['"', '\''];
        let word = text.strip_prefix(quotes).and_then(|text| text.strip_suffix(quotes));
        let is_member = word.is_some() || self.holds(dimension, text);
        let quoted = self.quoted_members(word.unwrap_or(text), Some(dimension));
        let name = &self.model.dimension_def(dimension).name;
        let members = quoted.iter().filter(|_| is_member);
        members.map(|member| format!("{name}.{member}")).collect()
    }

    /// What is converted from is no member of what the rates are by.
    pub(super) fn currency_expected(&self, from: &Node, rates: &Frame) -> CalcError {
        let message = "expected a member of a dimension of the rates".into();
        let tried = self.first_tried(from.span, &self.currencies_named(from.span, rates));
        let hint = tried.map_or_else(
            || {
                let axes = self.axes_text(&self.currency_axes(rates));
                format!("name a member of {axes}, or an attribute that is one")
            },
            |text| format!("write {text}"),
        );
        self.error(from.span, message, Some(hint))
    }

    /// The axes of rates of which one can be that of currencies.
    fn currency_axes(&self, rates: &Frame) -> Vec<Axis> {
        rates.axes.iter().copied().filter(|axis| !self.is_calendar(axis.dimension)).collect()
    }

    /// Members of the dimensions of rates that a word may mean.
    pub(super) fn currencies_named(&self, span: Span, rates: &Frame) -> Vec<String> {
        let axes = self.currency_axes(rates);
        axes.iter().flat_map(|axis| self.behind_dimension(span, axis.dimension)).collect()
    }
}
