//! Types that meet: a member gives its key, its first day or its total where text, a date or a number
//! is wanted; a literal becomes a member or a date where it meets one.

use cube::DimensionId;
use cube::value::parse_date;

use super::{Checker, apply, literal};
use crate::error::{CalcError, Result};
use crate::functions::Function;
use crate::node::{Kind, MemberText, Node, PeriodEdge, Scope, Type, Value};

impl Checker<'_> {
    fn expected(&self, node: &Node, expected: &str, wanted: Type) -> CalcError {
        let found = self.in_words(node.value_type);
        let message = format!("expected {expected}, found {found}");
        self.error(node.span, message, self.conversion(node, wanted))
    }

    fn in_words(&self, value_type: Type) -> String {
        match value_type {
            Type::Number => "a number".to_string(),
            Type::Text => "a text".to_string(),
            Type::Date => "a date".to_string(),
            Type::Boolean => "true or false".to_string(),
            Type::Member(dimension) => {
                format!("a member of {}", self.model.dimension_def(dimension).name)
            }
            Type::Blank => "BLANK".to_string(),
        }
    }

    /// A number; a member of a dimension of the target stands for the target there.
    pub(super) fn as_number(&self, node: Node) -> Result<Node> {
        match (&node.value_type, &node.kind) {
            (Type::Number | Type::Blank, _) => Ok(node),
            (Type::Member(dimension), Kind::MemberLiteral(_, text)) => {
                self.target_at(*dimension, text.clone(), &node)
            }
            _ => Err(self.expected(&node, "a number", Type::Number)),
        }
    }

    /// The target measure at a member: `account."Net Sales"`.
    fn target_at(&self, dimension: DimensionId, text: String, node: &Node) -> Result<Node> {
        let position = self.frame.position(dimension);
        let (Some(position), Some(cube), Some(measure)) = (position, self.home, self.measure)
        else {
            return Err(self.expected(node, "a number", Type::Number));
        };
        let stored = self.stored(cube, measure, node.span)?;
        let scope = Scope { frame: self.frame.clone(), node: stored };
        let scope = self.slice(scope, position, text, node.span)?;
        self.embed(scope, &self.frame, node.span)
    }

    pub(super) fn as_boolean(&self, node: Node) -> Result<Node> {
        match node.value_type {
            Type::Boolean | Type::Blank => Ok(node),
            _ => Err(self.expected(&node, "a condition", Type::Boolean)),
        }
    }

    pub(super) fn as_text(&self, node: Node) -> Result<Node> {
        match node.value_type {
            Type::Text | Type::Blank => Ok(node),
            Type::Number => {
                let span = node.span;
                Ok(apply(Function::Text, vec![node], Type::Text, span))
            }
            Type::Member(dimension) => Ok(member_text(node, dimension, MemberText::Key)),
            _ => Err(self.expected(&node, "a text", Type::Text)),
        }
    }

    pub(super) fn as_date(&self, node: Node) -> Result<Node> {
        match (&node.value_type, &node.kind) {
            (Type::Date | Type::Blank, _) => Ok(node),
            (Type::Text, Kind::Literal(Value::Text(text))) => match parse_date(text) {
                Some(day) => Ok(literal(Value::Date(day), Type::Date, node.span)),
                None => Err(self.expected(&node, "a date, as in '2024-03-31'", Type::Date)),
            },
            (Type::Member(dimension), _) if self.is_calendar(*dimension) => {
                let dimension = *dimension;
                Ok(period(node, dimension, PeriodEdge::Start))
            }
            _ => Err(self.expected(&node, "a date", Type::Date)),
        }
    }

    /// Whether the members of a dimension are periods.
    pub(super) fn is_calendar(&self, dimension: DimensionId) -> bool {
        let def = self.model.dimension_def(dimension);
        def.calendar.is_some() || def.key_type == cube::KeyType::Date
    }

    /// A member of a dimension.
    pub(super) fn as_member(&self, node: Node, dimension: DimensionId) -> Result<Node> {
        match (&node.value_type, &node.kind) {
            (Type::Member(found), _) if *found == dimension => Ok(node),
            (Type::Text, Kind::Literal(Value::Text(text))) => {
                Ok(self.named_member(dimension, text.to_string(), node.span))
            }
            (Type::Date, _) if self.is_calendar(dimension) => Ok(Node {
                value_type: Type::Member(dimension),
                mask: node.mask,
                is_heavy: node.is_heavy,
                span: node.span,
                kind: Kind::DateMember(Box::new(node), dimension),
            }),
            (Type::Number, Kind::Literal(Value::Number(number))) => {
                Ok(self.named_member(dimension, number.to_string(), node.span))
            }
            _ => {
                let name = &self.model.dimension_def(dimension).name;
                let wanted = Type::Member(dimension);
                Err(self.expected(&node, &format!("a member of {name}"), wanted))
            }
        }
    }

    /// Two values of one type, to be compared or to take each other's place.
    pub(super) fn unified(&self, a: Node, b: Node) -> Result<(Node, Node)> {
        let is_literal = |node: &Node| matches!(node.kind, Kind::Literal(_));
        match (a.value_type, b.value_type) {
            (Type::Blank, _) | (_, Type::Blank) => Ok((a, b)),
            (one, other) if one == other => Ok((a, b)),
            (Type::Date, _) | (_, Type::Date) => Ok((self.as_date(a)?, self.as_date(b)?)),
            (Type::Member(dimension), Type::Text | Type::Number) if is_literal(&b) => {
                Ok((a, self.as_member(b, dimension)?))
            }
            (Type::Text | Type::Number, Type::Member(dimension)) if is_literal(&a) => {
                Ok((self.as_member(a, dimension)?, b))
            }
            (Type::Member(_), Type::Text) | (Type::Text, Type::Member(_)) => {
                Ok((self.as_text(a)?, self.as_text(b)?))
            }
            (Type::Number, _) => Ok((a, self.as_number(b)?)),
            (_, Type::Number) => Ok((self.as_number(a)?, b)),
            _ => {
                let wanted = self.in_words(a.value_type);
                Err(self.expected(&b, &wanted, a.value_type))
            }
        }
    }
}

/// Key or name of a member.
pub(super) fn member_text(node: Node, dimension: DimensionId, what: MemberText) -> Node {
    Node {
        value_type: Type::Text,
        mask: node.mask,
        is_heavy: node.is_heavy,
        span: node.span,
        kind: Kind::MemberText(Box::new(node), dimension, what),
    }
}

/// An edge of the period that a member is.
pub(super) fn period(node: Node, dimension: DimensionId, edge: PeriodEdge) -> Node {
    Node {
        value_type: Type::Date,
        mask: node.mask,
        is_heavy: node.is_heavy,
        span: node.span,
        kind: Kind::Period(Box::new(node), dimension, edge),
    }
}
