//! The syntax tree of a formula; every node knows where it stands in the text.

use cube::Number;

use super::Span;

/// An expression.
#[derive(Debug, Clone, PartialEq)]
pub struct Expression {
    /// What it is.
    pub kind: ExpressionKind,
    /// Where it stands.
    pub span: Span,
}

/// The kinds of expression.
#[derive(Debug, Clone, PartialEq)]
pub enum ExpressionKind {
    /// A literal number.
    Number(Number),
    /// A measure, an attribute, a dimension: one to three names joined by dots.
    Path(Vec<Name>),
    /// `-x`.
    Negate(Box<Expression>),
    /// `x + y`.
    Binary(BinaryOperator, Box<Expression>, Box<Expression>),
    /// `f(x, y)`.
    Call(Name, Vec<Expression>),
    /// `x[BY SUM: a, b]`.
    Modified(Box<Expression>, Modifier),
}

/// A name as written, and where.
#[derive(Debug, Clone, PartialEq)]
pub struct Name {
    /// The name without quotes.
    pub text: String,
    /// Where it stands.
    pub span: Span,
}

/// Operators between two expressions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BinaryOperator {
    /// `+`
    Add,
    /// `-`
    Subtract,
    /// `*`
    Multiply,
    /// `/`
    Divide,
}

/// `[KEYWORD AGGREGATOR: path, path]`.
#[derive(Debug, Clone, PartialEq)]
pub struct Modifier {
    /// `BY`, `REMOVE`, ...
    pub keyword: Name,
    /// `SUM`, ...; absent where the keyword takes none.
    pub aggregator: Option<Name>,
    /// What stands behind the colon.
    pub arguments: Vec<Expression>,
    /// Brackets included.
    pub span: Span,
}
