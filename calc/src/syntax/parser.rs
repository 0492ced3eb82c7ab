//! Tokens to tree, by precedence climbing. Nesting is limited, so hostile text cannot exhaust the stack.

use super::ast::{BinaryOperator, Expression, ExpressionKind, Modifier, Name};
use super::lexer::{Token, TokenKind, tokens};
use super::{Span, SyntaxError};

/// Brackets and signs may nest this deep.
const NESTING_MAX: usize = 100;
/// A formula is this long at most; a chain of operators is as deep a tree as it is long.
const TOKENS_MAX: usize = 2_000;

/// Reads a formula.
pub fn parse(text: &str) -> Result<Expression, SyntaxError> {
    let tokens = tokens(text)?;
    if let Some(token) = tokens.get(TOKENS_MAX) {
        let message = format!("the formula has more than {TOKENS_MAX} names, numbers and signs");
        return Err(SyntaxError { span: token.span, message });
    }
    let mut parser = Parser { tokens, at: 0, depth: 0 };
    let expression = parser.expression(0)?;
    match &parser.peek().kind {
        TokenKind::End => Ok(expression),
        _ => Err(parser.unexpected("an operator or the end of the formula")),
    }
}

struct Parser {
    tokens: Vec<Token>,
    at: usize,
    depth: usize,
}

impl Parser {
    fn peek(&self) -> &Token {
        &self.tokens[self.at]
    }

    fn take(&mut self) -> Token {
        let token = self.tokens[self.at].clone();
        self.at = (self.at + 1).min(self.tokens.len() - 1);
        token
    }

    fn take_symbol(&mut self, symbol: &str) -> Option<Span> {
        match &self.peek().kind {
            TokenKind::Symbol(found) if *found == symbol => Some(self.take().span),
            _ => None,
        }
    }

    fn expect(&mut self, symbol: &str) -> Result<Span, SyntaxError> {
        self.take_symbol(symbol).ok_or_else(|| self.unexpected(&format!("{symbol:?}")))
    }

    fn unexpected(&self, expected: &str) -> SyntaxError {
        let token = self.peek();
        let found = match &token.kind {
            TokenKind::Number(number) => format!("number {number}"),
            TokenKind::Name(name) => format!("name {name:?}"),
            TokenKind::Symbol(symbol) => format!("{symbol:?}"),
            TokenKind::End => "the end of the formula".into(),
        };
        SyntaxError { span: token.span, message: format!("expected {expected}, found {found}") }
    }

    fn nested<T>(
        &mut self,
        read: impl FnOnce(&mut Self) -> Result<T, SyntaxError>,
    ) -> Result<T, SyntaxError> {
        if self.depth >= NESTING_MAX {
            return Err(SyntaxError {
                span: self.peek().span,
                message: format!("brackets nest deeper than {NESTING_MAX}"),
            });
        }
        self.depth += 1;
        let result = read(self);
        self.depth -= 1;
        result
    }

    /// Operators of at least a precedence: 0 for `+ -`, 1 for `* /`.
    fn expression(&mut self, precedence: u8) -> Result<Expression, SyntaxError> {
        let mut left = self.unary()?;
        loop {
            let (operator, binds) = match &self.peek().kind {
                TokenKind::Symbol("+") => (BinaryOperator::Add, 0),
                TokenKind::Symbol("-") => (BinaryOperator::Subtract, 0),
                TokenKind::Symbol("*") => (BinaryOperator::Multiply, 1),
                TokenKind::Symbol("/") => (BinaryOperator::Divide, 1),
                TokenKind::Symbol(symbol @ ("^" | "=" | "<>" | "<" | "<=" | ">" | ">=" | "??")) => {
                    return Err(SyntaxError {
                        span: self.peek().span,
                        message: format!("operator {symbol:?} is not available yet"),
                    });
                }
                _ => return Ok(left),
            };
            if binds < precedence {
                return Ok(left);
            }
            self.take();
            let right = self.expression(binds + 1)?;
            let span = left.span.to(right.span);
            let kind = ExpressionKind::Binary(operator, Box::new(left), Box::new(right));
            left = Expression { kind, span };
        }
    }

    fn unary(&mut self) -> Result<Expression, SyntaxError> {
        let Some(minus) = self.take_symbol("-") else { return self.postfix() };
        let operand = self.nested(Self::unary)?;
        let span = minus.to(operand.span);
        Ok(Expression { kind: ExpressionKind::Negate(Box::new(operand)), span })
    }

    fn postfix(&mut self) -> Result<Expression, SyntaxError> {
        let mut expression = self.primary()?;
        while let Some(open) = self.take_symbol("[") {
            let modifier = self.nested(|parser| parser.modifier(open))?;
            let span = expression.span.to(modifier.span);
            expression =
                Expression { kind: ExpressionKind::Modified(Box::new(expression), modifier), span };
        }
        Ok(expression)
    }

    fn primary(&mut self) -> Result<Expression, SyntaxError> {
        let token = self.peek().clone();
        match token.kind {
            TokenKind::Number(number) => {
                self.take();
                Ok(Expression { kind: ExpressionKind::Number(number), span: token.span })
            }
            TokenKind::Symbol("(") => {
                self.take();
                let inner = self.nested(|parser| parser.expression(0))?;
                let close = self.expect(")")?;
                Ok(Expression { kind: inner.kind, span: token.span.to(close) })
            }
            TokenKind::Name(_) => self.path_or_call(),
            _ => Err(self.unexpected("a number, a name or a bracket")),
        }
    }

    fn name(&mut self) -> Result<Name, SyntaxError> {
        let token = self.peek().clone();
        let TokenKind::Name(text) = token.kind else { return Err(self.unexpected("a name")) };
        self.take();
        Ok(Name { text, span: token.span })
    }

    fn path_or_call(&mut self) -> Result<Expression, SyntaxError> {
        let first = self.name()?;
        let start = first.span;
        if self.take_symbol("(").is_some() {
            let arguments = self.nested(|parser| parser.list(")"))?;
            let close = self.expect(")")?;
            return Ok(Expression {
                kind: ExpressionKind::Call(first, arguments),
                span: start.to(close),
            });
        }
        let mut path = vec![first];
        while self.take_symbol(".").is_some() {
            path.push(self.name()?);
        }
        let end = path.last().map_or(start, |name| name.span);
        Ok(Expression { kind: ExpressionKind::Path(path), span: start.to(end) })
    }

    /// Expressions with commas between them, up to a closing symbol that stays.
    fn list(&mut self, close: &'static str) -> Result<Vec<Expression>, SyntaxError> {
        let mut list = Vec::new();
        if self.peek().kind == TokenKind::Symbol(close) {
            return Ok(list);
        }
        loop {
            list.push(self.expression(0)?);
            if self.take_symbol(",").is_none() {
                return Ok(list);
            }
        }
    }

    fn modifier(&mut self, open: Span) -> Result<Modifier, SyntaxError> {
        let keyword = self.name()?;
        let aggregator = match &self.peek().kind {
            TokenKind::Name(_) => Some(self.name()?),
            _ => None,
        };
        self.expect(":")?;
        let arguments = self.list("]")?;
        let close = self.expect("]")?;
        Ok(Modifier { keyword, aggregator, arguments, span: open.to(close) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The tree with brackets around everything, to see precedence.
    fn shape(expression: &Expression) -> String {
        let names =
            |path: &[Name]| path.iter().map(|n| n.text.as_str()).collect::<Vec<_>>().join(".");
        let list = |list: &[Expression]| list.iter().map(shape).collect::<Vec<_>>().join(", ");
        match &expression.kind {
            ExpressionKind::Number(number) => number.to_string(),
            ExpressionKind::Path(path) => names(path),
            ExpressionKind::Negate(inner) => format!("-{}", shape(inner)),
            ExpressionKind::Binary(operator, a, b) => {
                let symbol = match operator {
                    BinaryOperator::Add => "+",
                    BinaryOperator::Subtract => "-",
                    BinaryOperator::Multiply => "*",
                    BinaryOperator::Divide => "/",
                };
                format!("({} {symbol} {})", shape(a), shape(b))
            }
            ExpressionKind::Call(name, arguments) => format!("{}({})", name.text, list(arguments)),
            ExpressionKind::Modified(inner, modifier) => {
                let aggregator = modifier.aggregator.as_ref().map_or("", |name| name.text.as_str());
                format!(
                    "{}[{} {}: {}]",
                    shape(inner),
                    modifier.keyword.text,
                    aggregator,
                    list(&modifier.arguments)
                )
            }
        }
    }

    fn check(text: &str, expected: &str) {
        let found = match parse(text) {
            Ok(expression) => shape(&expression),
            Err(error) => format!("{}..{}: {}", error.span.start, error.span.end, error.message),
        };
        assert_eq!(found, expected, "{text}");
    }

    #[test]
    fn precedence_and_grouping() {
        check("a - b - c * 2", "((a - b) - (c * 2))");
        check("a / b / c", "((a / b) / c)");
        check("(a + b) * -c", "((a + b) * -c)");
        check(
            "Deals.Value[BY SUM: Owner, \"Close Date\"]",
            "Deals.Value[BY SUM: Owner, Close Date]",
        );
        check("MAX(a, 1.5)", "MAX(a, 1.5)");
    }

    #[test]
    fn errors_say_where_and_what_was_expected() {
        check("a +", "3..3: expected a number, a name or a bracket, found the end of the formula");
        check("a b", "2..3: expected an operator or the end of the formula, found name \"b\"");
        check("(a", "2..2: expected \")\", found the end of the formula");
        check("a ; b", "2..3: unexpected character ';'");
        check("\"a", "0..1: a quoted name is not closed; expected \"");
        check("a[BY SUM x]", "9..10: expected \":\", found name \"x\"");
        check("a = b", "2..3: operator \"=\" is not available yet");
    }

    #[test]
    fn ten_thousand_brackets_are_an_error() {
        for open in ["(", "-", "f(", "a[BY SUM: "] {
            let error = parse(&open.repeat(10_000)).expect_err("too long");
            assert!(error.message.contains("more than 2000"), "{open}: {}", error.message);
            let error = parse(&open.repeat(150)).expect_err("too deep");
            assert!(error.message.contains("nest deeper"), "{open}: {}", error.message);
        }
    }
}
