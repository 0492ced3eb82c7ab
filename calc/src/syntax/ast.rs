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
    /// A literal text: `'Won'`.
    Text(String),
    /// `TRUE` or `FALSE`.
    Boolean(bool),
    /// `BLANK`.
    Blank,
    /// A measure, an attribute, a dimension, a member: names joined by dots.
    Path(Vec<Name>),
    /// `-x`.
    Negate(Box<Expression>),
    /// `NOT x`.
    Not(Box<Expression>),
    /// `x + y`.
    Binary(BinaryOperator, Box<Expression>, Box<Expression>),
    /// `x IN (a, b)`.
    In(Box<Expression>, Vec<Expression>),
    /// `f(x, mode: y)`.
    Call(Name, Vec<Argument>),
    /// `x[BY SUM: a, b]`.
    Modified(Box<Expression>, Modifier),
    /// `employee.manager ON date`.
    On(Box<Expression>, Box<Expression>),
}

/// A name as written, and where.
#[derive(Debug, Clone, PartialEq)]
pub struct Name {
    /// The name without quotes.
    pub text: String,
    /// Whether it stood in double quotes.
    pub is_quoted: bool,
    /// Where it stands.
    pub span: Span,
}

impl Name {
    /// The name as definitions spell it: lower case, words joined by `_`.
    pub fn key(&self) -> String {
        self.text.to_lowercase().split_whitespace().collect::<Vec<_>>().join("_")
    }
}

/// An argument, by position or by name.
#[derive(Debug, Clone, PartialEq)]
pub struct Argument {
    /// `mode` in `mode: marginal`.
    pub name: Option<Name>,
    /// Its value.
    pub value: Expression,
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
    /// `^`
    Power,
    /// `&`
    Join,
    /// `=`
    Equal,
    /// `<>`
    NotEqual,
    /// `<`
    Less,
    /// `<=`
    LessOrEqual,
    /// `>`
    Greater,
    /// `>=`
    GreaterOrEqual,
    /// `AND`
    And,
    /// `OR`
    Or,
    /// `??`
    Coalesce,
}

impl BinaryOperator {
    /// The operator as written.
    pub fn symbol(self) -> &'static str {
        match self {
            Self::Add => "+",
            Self::Subtract => "-",
            Self::Multiply => "*",
            Self::Divide => "/",
            Self::Power => "^",
            Self::Join => "&",
            Self::Equal => "=",
            Self::NotEqual => "<>",
            Self::Less => "<",
            Self::LessOrEqual => "<=",
            Self::Greater => ">",
            Self::GreaterOrEqual => ">=",
            Self::And => "AND",
            Self::Or => "OR",
            Self::Coalesce => "??",
        }
    }
}

/// `[KEYWORD AGGREGATOR: path, path BY basis]`.
#[derive(Debug, Clone, PartialEq)]
pub struct Modifier {
    /// `BY`, `REMOVE`, ...
    pub keyword: Name,
    /// `SUM`, ...; absent where the keyword takes none.
    pub aggregator: Option<Name>,
    /// What stands behind the colon.
    pub arguments: Vec<Argument>,
    /// What stands behind an inner `BY`: `[ADD SPLIT: month BY seasonality]`.
    pub basis: Option<Box<Expression>>,
    /// Brackets included.
    pub span: Span,
}
