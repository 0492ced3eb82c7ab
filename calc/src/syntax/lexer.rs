//! Text to tokens.

use cube::Number;

use super::{Span, SyntaxError};

/// A token and where it stands.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Token {
    pub kind: TokenKind,
    pub span: Span,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum TokenKind {
    Number(Number),
    /// A word.
    Name(String),
    /// A name in double quotes.
    Quoted(String),
    /// A text in single quotes.
    Text(String),
    /// Operators and punctuation, one or two characters.
    Symbol(&'static str),
    End,
}

/// Longest first.
const SYMBOLS: [&str; 20] = [
    "<>", "<=", ">=", "??", "+", "-", "*", "/", "^", "(", ")", "[", "]", ",", ":", ".", "=", "<",
    ">", "&",
];

pub(super) fn tokens(text: &str) -> Result<Vec<Token>, SyntaxError> {
    let mut tokens = Vec::new();
    let mut at = 0;
    while let Some(next) = text[at..].chars().next() {
        if next.is_whitespace() {
            at += next.len_utf8();
            continue;
        }
        let (kind, length) = token(&text[at..], next).map_err(|message| {
            let is_of_number = |c: char| c.is_ascii_digit() || c == '.';
            let rest = text[at..].trim_start_matches(is_of_number);
            let end = (text.len() - rest.len()).max(at + next.len_utf8());
            SyntaxError { span: Span { start: at, end }, message }
        })?;
        tokens.push(Token { kind, span: Span { start: at, end: at + length } });
        at += length;
    }
    tokens.push(Token { kind: TokenKind::End, span: Span { start: at, end: at } });
    Ok(tokens)
}

/// The token at the start of the text, and its length in bytes.
fn token(text: &str, first: char) -> Result<(TokenKind, usize), String> {
    if first.is_ascii_digit() {
        return number(text);
    }
    if first == '"' {
        return quoted(text, '"').map(|(name, length)| (TokenKind::Quoted(name), length));
    }
    if first == '\'' {
        return quoted(text, '\'').map(|(text, length)| (TokenKind::Text(text), length));
    }
    if first.is_alphabetic() || first == '_' {
        let end = text.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(text.len());
        return Ok((TokenKind::Name(text[..end].to_string()), end));
    }
    let symbol = SYMBOLS.into_iter().find(|symbol| text.starts_with(symbol));
    symbol
        .map(|symbol| (TokenKind::Symbol(symbol), symbol.len()))
        .ok_or_else(|| format!("unexpected character {first:?}"))
}

fn number(text: &str) -> Result<(TokenKind, usize), String> {
    let digits_end = |from: usize| {
        text[from..].find(|c: char| !c.is_ascii_digit()).map_or(text.len(), |length| from + length)
    };
    let mut end = digits_end(0);
    if text[end..].starts_with('.') && text[end + 1..].starts_with(|c: char| c.is_ascii_digit()) {
        end = digits_end(end + 1);
    }
    let number = Number::parse(&text[..end]).ok_or_else(|| {
        format!("a number has 38 digits at most, not {}", text[..end].replace('.', "").len())
    })?;
    Ok((TokenKind::Number(number), end))
}

/// What stands between two quotes; a doubled quote stands for one.
fn quoted(text: &str, quote: char) -> Result<(String, usize), String> {
    let mut name = String::new();
    let mut characters = text.char_indices().skip(1).peekable();
    while let Some((at, c)) = characters.next() {
        if c != quote {
            name.push(c);
        } else if characters.next_if(|&(_, next)| next == quote).is_some() {
            name.push(quote);
        } else {
            return Ok((name, at + 1));
        }
    }
    Err(format!("a quoted name is not closed; expected {quote}"))
}
