//! Which tables a query names, found in its text alone: nothing is planned and nothing is run.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{ObjectName, visit_relations};

use super::local::parse_sql;
use crate::error::SqlError;

/// The last parts of all names that stand where a table does, as SQL folds them. A common table
/// expression counts as a table here.
///
/// # Errors
/// A text that is no SQL.
pub fn named_tables(sql: &str) -> Result<BTreeSet<String>, SqlError> {
    let statements = parse_sql(sql)?;
    let mut names = BTreeSet::new();
    let _ = visit_relations(&statements, |name: &ObjectName| {
        names.extend(folded(name));
        ControlFlow::<()>::Continue(())
    });
    Ok(names)
}

/// The table's own name: lower case unless it is quoted.
fn folded(name: &ObjectName) -> Option<String> {
    let ident = name.0.last()?.as_ident()?;
    Some(match ident.quote_style {
        Some(_) => ident.value.clone(),
        None => ident.value.to_lowercase(),
    })
}

#[cfg(test)]
mod tests {
    use super::named_tables;

    fn check(sql: &str, expected: &[&str]) {
        let found = named_tables(sql).unwrap();
        assert_eq!(found.into_iter().collect::<Vec<_>>(), expected, "{sql}");
    }

    #[test]
    fn tables_are_found_wherever_they_stand() {
        check("SELECT 1", &[]);
        check("SELECT count(*) FROM Sales", &["sales"]);
        check("SELECT 1 FROM public.sales s JOIN \"Plan\" p ON true", &["Plan", "sales"]);
        check("WITH a AS (SELECT * FROM x) SELECT (SELECT max(k) FROM y) FROM a", &["a", "x", "y"]);
        assert_eq!(named_tables("SELEC 1").unwrap_err().sqlstate, "42601");
    }
}
