//! Ratios that read another cube: `measure(x)` by GROUP BY, WHERE and HAVING, and on branches.

use super::{parse, run, session_with};
use cube::model::{CubeDef, FormulaDef, ModelChange};
use protocol::sql::local::LocalSession;

/// Days and accounts as `books` has them, the other way round.
const FORECAST: &str = r#"
name = "forecast"
kind = "cells"
dimensions = ["account", "date"]
[[measure]]
name = "amount"
type = "decimal(18,4)"
[[measure]]
name = "hit"
type = "decimal(9,4)"
consolidation = "formula"
[[measure]]
name = "gap"
type = "decimal(18,4)"
consolidation = "formula"
"#;

fn ratio(target: &str, text: &str, at_or_above: Option<&str>) -> ModelChange {
    ModelChange::SetFormula(FormulaDef {
        target: target.into(),
        text: text.into(),
        description: String::new(),
        at_or_above: at_or_above.map(|level| ("date".into(), level.into())).into_iter().collect(),
    })
}

/// Books are 100.50, 200 and 50 of sales, 40 and 60.25 of costs, and cash that closes at 900.
async fn forecast() -> LocalSession {
    let mut session = session_with(vec![
        ModelChange::AddCube(parse::<CubeDef>(FORECAST)),
        ratio("forecast.hit", "books.amount / amount - 1", None),
        ratio("forecast.gap", "books.amount - amount", Some("quarter")),
    ])
    .await;
    let rows = "INSERT INTO forecast (account, date, amount) VALUES
        (2, '2025-01-31', 100), (2, '2025-02-15', 150), (3, '2025-01-31', 50), (2, '2025-09-30', 80)";
    assert_eq!(run(&mut session, rows).await, ["INSERT 0 4"]);
    session
}

async fn check(sql: &str, expected: &[&str]) {
    let mut session = forecast().await;
    assert_eq!(run(&mut session, sql).await, expected, "{sql}");
}

#[tokio::test]
async fn groups_are_those_of_both_cubes() {
    // sales 300.50 by 250, 50 by none, none by 80
    check(
        "SELECT date_quarter, measure(amount), measure(hit), measure(gap) FROM forecast WHERE account = 2 GROUP BY 1 ORDER BY 1",
        &[
            "2025-Q1 | 250.0000 | 0.2020 | 50.5000",
            "2025-Q2 | - | - | 50.0000",
            "2025-Q3 | 80.0000 | - | -80.0000",
        ],
    )
    .await;
    // a group without a value of the ratio is none of it
    check(
        "SELECT date_quarter, measure(hit), count(*) FROM forecast WHERE account = 2 GROUP BY 1 ORDER BY 1",
        &["2025-Q1 | 0.2020 | 2", "2025-Q3 | - | 1"],
    )
    .await;
    check(
        "SELECT date_quarter, measure(gap), count(*) FROM forecast WHERE account = 2 GROUP BY 1 ORDER BY 1",
        &["2025-Q1 | 50.5000 | 2", "2025-Q2 | 50.0000 | 0", "2025-Q3 | -80.0000 | 1"],
    )
    .await;
}

#[tokio::test]
async fn weights_and_stocks_are_those_of_each_cube() {
    // (300.50 - 100.25) by (250 - 50) less 1 is 0.00125, half to even; cash closes at 1200 and at 900
    check(
        "SELECT account_l1, measure(hit), measure(gap) FROM forecast WHERE date_quarter = '2025-Q1' GROUP BY 1 ORDER BY 1",
        &["Balance | - | 1200.0000", "Income | 0.0012 | 0.2500"],
    )
    .await;
    check(
        "SELECT account_l2, measure(gap) FROM forecast WHERE date_year = 2025 GROUP BY 1 ORDER BY 1",
        &["Cash | 900.0000", "Costs | 50.2500", "Sales | 20.5000"],
    )
    .await;
    check("SELECT measure(hit), measure(gap) FROM forecast", &["-0.1062 | -29.7500"]).await;
}

#[tokio::test]
async fn conditions_filter_both_cubes() {
    check("SELECT measure(hit) FROM forecast WHERE account = 3", &["1.0050"]).await;
    check(
        "SELECT measure(gap) FROM forecast WHERE account IN (2, 3) AND date_quarter <> '2025-Q1'",
        &["-30.0000"],
    )
    .await;
    check(
        "SELECT account_l2, measure(gap) AS g FROM forecast GROUP BY 1 HAVING measure(gap) > 50 ORDER BY g",
        &["Costs | 50.2500", "Cash | 900.0000"],
    )
    .await;
    check(
        "SELECT account, date, hit FROM forecast WHERE hit IS NOT NULL ORDER BY 1, 2",
        &["2 | 2025-01-31 | 0.0050", "3 | 2025-01-31 | -0.2000"],
    )
    .await;
    let refused = "error 42P16 forecast.hit reads books, of which conditions on single rows say nothing; filter by dimensions, one in each condition";
    check("SELECT measure(hit) FROM forecast WHERE amount > 60", &[refused]).await;
    check(
        "SELECT measure(hit) FROM forecast WHERE account = 2 OR date_quarter = '2025-Q1'",
        &[refused],
    )
    .await;
    // what does not ask for the ratio is not concerned
    check("SELECT measure(amount) FROM forecast WHERE amount > 90 AND account = 2", &["250.0000"])
        .await;
}

#[tokio::test]
async fn a_branch_reads_its_own_cubes() {
    let mut session = forecast().await;
    for (sql, expected) in [
        ("CREATE SCHEMA whatif", "CREATE SCHEMA"),
        ("UPDATE whatif.books SET amount = amount * 2 WHERE account = 2", "UPDATE 3"),
        (
            "SELECT measure(hit) FROM whatif.forecast WHERE date_quarter = '2025-Q1' AND account = 2",
            "1.4040",
        ),
        ("SELECT hit FROM whatif.forecast WHERE account = 2 AND date = '2025-01-31'", "1.0100"),
        (
            "SELECT measure(hit) FROM forecast WHERE date_quarter = '2025-Q1' AND account = 2",
            "0.2020",
        ),
        (
            "SELECT label, value, kind FROM perfos.explain_cell('forecast.hit[account=2, date_quarter=2025-Q1]')
             WHERE depth <= 1 ORDER BY label",
            "books.amount | 300.5000 | consolidation\nforecast.amount | 250.0000 | consolidation\nforecast.hit | 0.2020 | formula",
        ),
    ] {
        assert_eq!(run(&mut session, sql).await.join("\n"), expected, "{sql}");
    }
}
