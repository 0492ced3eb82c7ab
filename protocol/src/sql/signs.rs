//! A sign right behind a comparison, `x>-5`: the tokenizer takes both for one operator, PostgreSQL does not.

use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan, Tokenizer, TokenizerError};

/// The tokens of a text, signs apart from the comparisons before them.
pub fn tokens(
    dialect: &PostgreSqlDialect,
    sql: &str,
) -> Result<Vec<TokenWithSpan>, TokenizerError> {
    let tokens = Tokenizer::new(dialect, sql).tokenize_with_location()?;
    let mut apart = Vec::with_capacity(tokens.len());
    for token in tokens {
        match &token.token {
            Token::CustomBinaryOperator(text) => match parts(text) {
                Some(parts) => {
                    let span = token.span;
                    apart.extend(parts.into_iter().map(|token| TokenWithSpan { token, span }));
                }
                None => apart.push(token),
            },
            _ => apart.push(token),
        }
    }
    Ok(apart)
}

/// A comparison and the signs behind it; none of any other operator.
fn parts(operator: &str) -> Option<Vec<Token>> {
    let comparison = operator.trim_end_matches(['+', '-']);
    let first = match comparison {
        ">" => Token::Gt,
        ">=" => Token::GtEq,
        "<" => Token::Lt,
        "<=" => Token::LtEq,
        "=" => Token::Eq,
        "<>" => Token::Neq,
        _ => return None,
    };
    let signs = operator[comparison.len()..].chars();
    let signs = signs.map(|sign| if sign == '-' { Token::Minus } else { Token::Plus });
    Some(std::iter::once(first).chain(signs).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sign_stands_apart() {
        let dialect = PostgreSqlDialect {};
        let spaced = |sql: &str| -> Vec<String> {
            let tokens = tokens(&dialect, sql).unwrap().into_iter();
            let words = tokens.filter(|token| !matches!(token.token, Token::Whitespace(_)));
            words.map(|token| token.token.to_string()).collect()
        };
        for (text, expected) in [
            ("x>-5", "x > - 5"),
            ("x>=-5", "x >= - 5"),
            ("x<>-5", "x <> - 5"),
            ("x>+5", "x > + 5"),
            ("x<-5", "x < - 5"),
            ("a->>'b'", "a ->> 'b'"),
            ("a @> b", "a @> b"),
        ] {
            assert_eq!(spaced(text).join(" "), expected, "{text}");
        }
    }
}
