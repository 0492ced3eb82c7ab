//! Tokens to tree, by precedence climbing. Nesting is limited, so hostile text cannot exhaust the stack.

use super::ast::{Argument, BinaryOperator, Expression, ExpressionKind, Modifier, Name};
use super::lexer::{Token, TokenKind, tokens};
use super::{Span, SyntaxError};

/// Brackets and signs may nest this deep.
const NESTING_MAX: usize = 100;
/// Operators, calls and modifiers may be inside each other, in a row or in brackets, this deep.
const DEPTH_MAX: usize = 200;
/// A formula is this long at most.
const TOKENS_MAX: usize = 2_000;
/// How tightly NOT and comparisons bind; `OR` binds at 0, `^` at 8.
const PRECEDENCE_NOT: u8 = 2;
const PRECEDENCE_COMPARE: u8 = 3;

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
        TokenKind::End => check_depth(&expression, 0).map(|()| expression),
        _ => Err(parser.unexpected("an operator or the end of the formula")),
    }
}

/// What checks and evaluates a tree goes down it: a chain of operators is as deep as it is long.
fn check_depth(expression: &Expression, depth: usize) -> Result<(), SyntaxError> {
    if depth > DEPTH_MAX {
        let message = format!(
            "more than {DEPTH_MAX} operators follow each other; put a part into a measure of its own"
        );
        return Err(SyntaxError { span: expression.span, message });
    }
    let below = |inner: &Expression| check_depth(inner, depth + 1);
    match &expression.kind {
        ExpressionKind::Number(_)
        | ExpressionKind::Text(_)
        | ExpressionKind::Boolean(_)
        | ExpressionKind::Blank
        | ExpressionKind::Path(_) => Ok(()),
        ExpressionKind::Negate(inner) | ExpressionKind::Not(inner) => below(inner),
        ExpressionKind::Binary(_, a, b) | ExpressionKind::On(a, b) => {
            below(a).and_then(|()| below(b))
        }
        ExpressionKind::In(inner, values) => {
            below(inner).and_then(|()| values.iter().try_for_each(below))
        }
        ExpressionKind::Call(_, arguments) => {
            arguments.iter().try_for_each(|argument| below(&argument.value))
        }
        ExpressionKind::Modified(inner, modifier) => {
            let values = modifier.arguments.iter().map(|argument| &argument.value);
            below(inner).and_then(|()| values.chain(modifier.basis.as_deref()).try_for_each(below))
        }
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
            TokenKind::Name(name) | TokenKind::Quoted(name) => format!("name {name:?}"),
            TokenKind::Text(text) => format!("text '{text}'"),
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

    /// Operators that bind at least as tightly as a precedence.
    fn expression(&mut self, precedence: u8) -> Result<Expression, SyntaxError> {
        let starts_with_minus = self.peek().kind == TokenKind::Symbol("-");
        let mut left = self.unary(precedence)?;
        loop {
            if precedence <= PRECEDENCE_COMPARE && self.at_word("IN") {
                left = self.membership(left)?;
                continue;
            }
            let Some((operator, binds)) = self.binary_operator() else { return Ok(left) };
            if binds < precedence {
                return Ok(left);
            }
            if operator == BinaryOperator::Power && starts_with_minus {
                return Err(SyntaxError {
                    span: self.peek().span,
                    message: "-x ^ y can be read in two ways; expected (-x) ^ y or -(x ^ y)".into(),
                });
            }
            self.take();
            let right = self.nested(|parser| parser.expression(binds + 1))?;
            let span = left.span.to(right.span);
            let kind = ExpressionKind::Binary(operator, Box::new(left), Box::new(right));
            left = Expression { kind, span };
        }
    }

    fn binary_operator(&self) -> Option<(BinaryOperator, u8)> {
        use BinaryOperator as O;
        Some(match &self.peek().kind {
            TokenKind::Name(word) if word.eq_ignore_ascii_case("OR") => (O::Or, 0),
            TokenKind::Name(word) if word.eq_ignore_ascii_case("AND") => (O::And, 1),
            TokenKind::Symbol("=") => (O::Equal, PRECEDENCE_COMPARE),
            TokenKind::Symbol("<>") => (O::NotEqual, PRECEDENCE_COMPARE),
            TokenKind::Symbol("<") => (O::Less, PRECEDENCE_COMPARE),
            TokenKind::Symbol("<=") => (O::LessOrEqual, PRECEDENCE_COMPARE),
            TokenKind::Symbol(">") => (O::Greater, PRECEDENCE_COMPARE),
            TokenKind::Symbol(">=") => (O::GreaterOrEqual, PRECEDENCE_COMPARE),
            TokenKind::Symbol("??") => (O::Coalesce, 4),
            TokenKind::Symbol("&") => (O::Join, 5),
            TokenKind::Symbol("+") => (O::Add, 6),
            TokenKind::Symbol("-") => (O::Subtract, 6),
            TokenKind::Symbol("*") => (O::Multiply, 7),
            TokenKind::Symbol("/") => (O::Divide, 7),
            TokenKind::Symbol("^") => (O::Power, 8),
            _ => return None,
        })
    }

    /// `x IN (a, b)`.
    fn membership(&mut self, left: Expression) -> Result<Expression, SyntaxError> {
        self.take();
        self.expect("(")?;
        let list = self.nested(|parser| parser.list(")"))?;
        let close = self.expect(")")?;
        let span = left.span.to(close);
        let values = list.into_iter().map(|argument| argument.value).collect();
        Ok(Expression { kind: ExpressionKind::In(Box::new(left), values), span })
    }

    fn unary(&mut self, precedence: u8) -> Result<Expression, SyntaxError> {
        if precedence <= PRECEDENCE_NOT && self.at_word("NOT") {
            let not = self.take().span;
            let operand = self.nested(|parser| parser.expression(PRECEDENCE_NOT))?;
            let span = not.to(operand.span);
            return Ok(Expression { kind: ExpressionKind::Not(Box::new(operand)), span });
        }
        let Some(minus) = self.take_symbol("-") else { return self.postfix() };
        let operand = self.nested(|parser| parser.unary(u8::MAX))?;
        let span = minus.to(operand.span);
        Ok(Expression { kind: ExpressionKind::Negate(Box::new(operand)), span })
    }

    fn postfix(&mut self) -> Result<Expression, SyntaxError> {
        let mut expression = self.primary()?;
        loop {
            if let Some(open) = self.take_symbol("[") {
                let modifier = self.nested(|parser| parser.modifier(open))?;
                let span = expression.span.to(modifier.span);
                let kind = ExpressionKind::Modified(Box::new(expression), modifier);
                expression = Expression { kind, span };
            } else if self.at_word("ON") {
                self.take();
                let date = self.nested(Self::primary)?;
                let span = expression.span.to(date.span);
                let kind = ExpressionKind::On(Box::new(expression), Box::new(date));
                expression = Expression { kind, span };
            } else {
                return Ok(expression);
            }
        }
    }

    fn primary(&mut self) -> Result<Expression, SyntaxError> {
        let token = self.peek().clone();
        let literal = |kind| Ok(Expression { kind, span: token.span });
        match token.kind {
            TokenKind::Number(number) => {
                self.take();
                literal(ExpressionKind::Number(number))
            }
            TokenKind::Text(text) => {
                self.take();
                literal(ExpressionKind::Text(text))
            }
            TokenKind::Symbol("(") => {
                self.take();
                let inner = self.nested(|parser| parser.expression(0))?;
                let close = self.expect(")")?;
                let span = token.span.to(close);
                Ok(Expression { kind: inner.kind, span })
            }
            TokenKind::Name(word) if !self.is_call() => match word.to_uppercase().as_str() {
                "BLANK" => {
                    self.take();
                    literal(ExpressionKind::Blank)
                }
                "TRUE" | "FALSE" => {
                    self.take();
                    literal(ExpressionKind::Boolean(word.eq_ignore_ascii_case("TRUE")))
                }
                _ => self.path(),
            },
            TokenKind::Name(_) => self.call(),
            TokenKind::Quoted(_) => self.path(),
            _ => Err(self.unexpected("a number, a name or a bracket")),
        }
    }

    fn is_call(&self) -> bool {
        let next = self.tokens.get(self.at + 1);
        next.is_some_and(|token| token.kind == TokenKind::Symbol("("))
    }

    fn at_word(&self, wanted: &str) -> bool {
        matches!(&self.peek().kind, TokenKind::Name(word) if word.eq_ignore_ascii_case(wanted))
    }

    /// One word.
    fn word(&mut self) -> Result<Name, SyntaxError> {
        let token = self.peek().clone();
        let (text, is_quoted) = match token.kind {
            TokenKind::Name(text) => (text, false),
            TokenKind::Quoted(text) => (text, true),
            _ => return Err(self.unexpected("a name")),
        };
        self.take();
        Ok(Name { text, is_quoted, span: token.span })
    }

    /// A name: words that follow each other are one, as in `Close Date`.
    fn name(&mut self) -> Result<Name, SyntaxError> {
        let mut name = self.word()?;
        while !name.is_quoted && !self.is_call() {
            match &self.peek().kind {
                TokenKind::Name(word) if !is_keyword(word) => {
                    name.text = format!("{} {word}", name.text);
                    name.span = name.span.to(self.take().span);
                }
                _ => break,
            }
        }
        Ok(name)
    }

    fn call(&mut self) -> Result<Expression, SyntaxError> {
        let function = self.word()?;
        self.expect("(")?;
        let arguments = self.nested(|parser| parser.list(")"))?;
        let close = self.expect(")")?;
        let span = function.span.to(close);
        Ok(Expression { kind: ExpressionKind::Call(function, arguments), span })
    }

    fn path(&mut self) -> Result<Expression, SyntaxError> {
        let first = self.name()?;
        let start = first.span;
        let mut path = vec![first];
        while self.take_symbol(".").is_some() {
            path.push(self.name()?);
        }
        let end = path.last().map_or(start, |name| name.span);
        Ok(Expression { kind: ExpressionKind::Path(path), span: start.to(end) })
    }

    /// Arguments with commas between them, up to a closing symbol that stays.
    fn list(&mut self, close: &'static str) -> Result<Vec<Argument>, SyntaxError> {
        let mut list = Vec::new();
        if self.peek().kind == TokenKind::Symbol(close) {
            return Ok(list);
        }
        loop {
            let next = self.tokens.get(self.at + 1).map(|token| &token.kind);
            let name = match next {
                Some(TokenKind::Symbol(":")) => {
                    let name = self.word()?;
                    self.take();
                    Some(name)
                }
                _ => None,
            };
            list.push(Argument { name, value: self.expression(0)? });
            if self.take_symbol(",").is_none() {
                return Ok(list);
            }
        }
    }

    /// The name of a branch ends where the bracket closes.
    fn whole_name(&mut self, name: &Name) -> Result<(), SyntaxError> {
        if self.peek().kind != TokenKind::Symbol("-") {
            return Ok(());
        }
        let mut span = name.span;
        while !matches!(self.peek().kind, TokenKind::Symbol("]") | TokenKind::End) {
            span = span.to(self.take().span);
        }
        let message = "a branch's name with a - stands in double quotes".into();
        Err(SyntaxError { span, message })
    }

    fn modifier(&mut self, open: Span) -> Result<Modifier, SyntaxError> {
        let keyword = self.word()?;
        let mut modifier =
            Modifier { keyword, aggregator: None, arguments: Vec::new(), basis: None, span: open };
        if matches!(self.peek().kind, TokenKind::Name(_) | TokenKind::Quoted(_)) {
            let name = self.name()?;
            if modifier.keyword.text.eq_ignore_ascii_case("ON") && !name.is_quoted {
                self.whole_name(&name)?;
            }
            modifier.aggregator = Some(name);
        }
        if self.take_symbol(":").is_some() {
            modifier.arguments = self.list("]")?;
            if self.at_word("BY") {
                self.take();
                modifier.basis = Some(Box::new(self.expression(0)?));
            }
        } else if !["ON", "AS"].contains(&modifier.keyword.text.to_uppercase().as_str()) {
            return Err(self.unexpected("\":\""));
        } else if modifier.keyword.text.eq_ignore_ascii_case("AS") {
            while !matches!(self.peek().kind, TokenKind::Symbol(_) | TokenKind::End) {
                self.take();
            }
        }
        let close = self.expect("]")?;
        modifier.span = open.to(close);
        Ok(modifier)
    }
}

/// Words that end a name.
fn is_keyword(word: &str) -> bool {
    let keywords = ["AND", "OR", "NOT", "IN", "ON", "BY", "AS"];
    keywords.iter().any(|keyword| word.eq_ignore_ascii_case(keyword))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The tree with brackets around everything, to see precedence.
    fn shape(expression: &Expression) -> String {
        let names =
            |path: &[Name]| path.iter().map(|n| n.text.as_str()).collect::<Vec<_>>().join(".");
        let argument = |argument: &Argument| match &argument.name {
            Some(name) => format!("{}: {}", name.text, shape(&argument.value)),
            None => shape(&argument.value),
        };
        let list = |list: &[Argument]| list.iter().map(argument).collect::<Vec<_>>().join(", ");
        match &expression.kind {
            ExpressionKind::Number(number) => number.to_string(),
            ExpressionKind::Text(text) => format!("'{text}'"),
            ExpressionKind::Boolean(value) => value.to_string(),
            ExpressionKind::Blank => "blank".into(),
            ExpressionKind::Path(path) => names(path),
            ExpressionKind::Negate(inner) => format!("-{}", shape(inner)),
            ExpressionKind::Not(inner) => format!("(NOT {})", shape(inner)),
            ExpressionKind::Binary(operator, a, b) => {
                format!("({} {} {})", shape(a), operator.symbol(), shape(b))
            }
            ExpressionKind::In(inner, values) => {
                let values = values.iter().map(shape).collect::<Vec<_>>().join(", ");
                format!("({} IN {values})", shape(inner))
            }
            ExpressionKind::On(inner, date) => format!("({} ON {})", shape(inner), shape(date)),
            ExpressionKind::Call(name, arguments) => format!("{}({})", name.text, list(arguments)),
            ExpressionKind::Modified(inner, modifier) => {
                let aggregator = modifier.aggregator.as_ref().map_or("", |name| name.text.as_str());
                let basis = modifier.basis.as_ref();
                format!(
                    "{}[{} {}: {}{}]",
                    shape(inner),
                    modifier.keyword.text,
                    aggregator,
                    list(&modifier.arguments),
                    basis.map_or_else(String::new, |basis| format!(" BY {}", shape(basis)))
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
        check("a + b * c ^ d", "(a + (b * (c ^ d)))");
        check("not a = 1 and b or c", "(((NOT (a = 1)) AND b) OR c)");
        check("a & 'x' = b ?? 2", "((a & 'x') = (b ?? 2))");
        check("Close Date in (a, b) and c", "((Close Date IN a, b) AND c)");
        check("(-a) ^ 2", "(-a ^ 2)");
        check("TIER(a, b, mode: marginal)", "TIER(a, b, mode: marginal)");
        check("rep.manager on date", "(rep.manager ON date)");
        check(
            "x[ADD SPLIT: month BY w][SELECT: month - 1]",
            "x[ADD SPLIT: month BY w][SELECT : (month - 1)]",
        );
    }

    #[test]
    fn errors_say_where_and_what_was_expected() {
        check("a +", "3..3: expected a number, a name or a bracket, found the end of the formula");
        check("a 2", "2..3: expected an operator or the end of the formula, found number 2");
        check("(a", "2..2: expected \")\", found the end of the formula");
        check("a ; b", "2..3: unexpected character ';'");
        check("\"a", "0..1: a quoted name is not closed; expected \"");
        check("a[BY SUM x]", "10..11: expected \":\", found \"]\"");
        check("-a ^ 2", "3..4: -x ^ y can be read in two ways; expected (-x) ^ y or -(x ^ y)");
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
