//! How large a statement may be, checked on its tokens before anything recurses over its tree.
//!
//! A chain of operators is as deep a tree as it is long, and so is a chain of set operations or of
//! subqueries that read each other. The stacks of the server's threads are made for the limit.

use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::tokenizer::{Token, Tokenizer};

use crate::error::SqlError;

/// Operators of one query string; a SELECT counts as [`SELECT_WEIGHT`].
pub const OPERATORS_MAX: usize = 4_000;
/// What a SELECT counts for: its plan nests deeper than an operator's.
const SELECT_WEIGHT: usize = 20;
/// The stack that a thread needs to plan and run what is within the limit.
pub const STACK_BYTES: usize = 256 << 20;

/// Refuses a query string whose tree would be too deep.
pub fn check(sql: &str) -> Result<(), SqlError> {
    // what cannot be cut into tokens is the parser's to refuse
    let Ok(tokens) = Tokenizer::new(&PostgreSqlDialect {}, sql).tokenize() else { return Ok(()) };
    let mut weight = 0;
    let mut after_operand = false;
    for token in tokens {
        match &token {
            Token::Whitespace(_) => continue,
            Token::Word(word) => {
                weight += keyword_weight(word.keyword);
                after_operand = word.keyword == Keyword::NoKeyword || word.quote_style.is_some();
            }
            Token::Number(..)
            | Token::SingleQuotedString(_)
            | Token::Placeholder(_)
            | Token::RParen
            | Token::RBracket => {
                after_operand = true;
            }
            Token::Comma | Token::LParen | Token::LBracket | Token::SemiColon | Token::Period => {
                after_operand = false;
            }
            // a sign before an operand is no chain
            _ => {
                weight += usize::from(after_operand);
                after_operand = false;
            }
        }
    }
    if weight <= OPERATORS_MAX {
        return Ok(());
    }
    Err(SqlError::new("54001", "statement too complex")
        .with_detail(format!(
            "it has more than {OPERATORS_MAX} operators (a SELECT counts as {SELECT_WEIGHT})"
        ))
        .with_hint("use IN lists, VALUES lists or several statements"))
}

fn keyword_weight(keyword: Keyword) -> usize {
    match keyword {
        Keyword::SELECT => SELECT_WEIGHT,
        Keyword::AND | Keyword::OR | Keyword::NOT | Keyword::CASE | Keyword::WHEN => 1,
        Keyword::UNION | Keyword::EXCEPT | Keyword::INTERSECT | Keyword::JOIN => 5,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chains_are_limited_and_lists_are_not() {
        let chain = |count: usize, link: &str| format!("SELECT 1{}", link.repeat(count));
        for link in [" + 1", " AND true", " || 'a'", " UNION ALL SELECT 1", ", (SELECT 1)", " * -1"]
        {
            let error = check(&chain(5_000, link)).expect_err(link);
            assert_eq!(error.sqlstate, "54001");
            assert_eq!(check(&chain(100, link)), Ok(()), "{link}");
        }
        assert_eq!(check(&chain(100_000, ", -1.5")), Ok(()));
        assert_eq!(
            check(&format!("INSERT INTO t VALUES (1){}", ", (-1, 'a', NULL)".repeat(50_000))),
            Ok(())
        );
        assert_eq!(check("SELECT 'unclosed"), Ok(()));
    }
}
