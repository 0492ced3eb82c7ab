//! Inputs over computed values: OVERRIDE(input, x) as a planner uses it.

use super::{parse, run, session_with};
use cube::model::{CubeDef, FormulaDef, ModelChange};
use protocol::sql::local::LocalSession;

/// Forecasts over whose formulas planners write.
const FORECAST: &str = r#"
name = "forecast"
kind = "cells"
dimensions = ["date.month", "account"]
measure = [
    { name = "base", type = "decimal(18,2)" },
    { name = "value", type = "decimal(18,2)" },
    { name = "value_input", type = "decimal(18,2)" },
    { name = "cost", type = "decimal(18,2)" },
    { name = "cost_input", type = "decimal(18,2)" },
    { name = "due", type = "date", consolidation = "max" },
    { name = "open", type = "boolean", consolidation = "max" },
]
"#;

async fn forecast() -> LocalSession {
    let formula = |target: &str, text: &str| {
        ModelChange::SetFormula(FormulaDef {
            target: target.into(),
            text: text.into(),
            description: String::new(),
            at_or_above: Default::default(),
        })
    };
    session_with(vec![
        ModelChange::AddCube(parse::<CubeDef>(FORECAST)),
        formula("forecast.value", "OVERRIDE(value_input, base * 1.1)"),
        formula("forecast.cost[account: \"3\"]", "OVERRIDE(cost_input, base / 2)"),
        // of another member: it has a value wherever it would have one alone
        formula("forecast.cost[account: \"5\"]", "OVERRIDE(cost_input, account.\"2\" * 1.1)"),
    ])
    .await
}

#[tokio::test]
async fn what_is_written_over_a_formula_wins_until_it_is_blanked() {
    let mut session = forecast().await;
    let mut check = async |sql: &str, expected: &[&str]| {
        assert_eq!(run(&mut session, sql).await, expected, "{sql}");
    };
    check(
        "INSERT INTO forecast (date, account, base) VALUES ('2025-01', 2, 100), ('2025-02', 2, 200)",
        &["INSERT 0 2"],
    )
    .await;
    let months = "SELECT date, value, value_input FROM forecast ORDER BY date";
    check(months, &["2025-01 | 110.00 | -", "2025-02 | 220.00 | -"]).await;
    check("UPDATE forecast SET value = 150 WHERE date = '2025-01'", &["UPDATE 1"]).await;
    check(months, &["2025-01 | 150.00 | 150.00", "2025-02 | 220.00 | -"]).await;
    check("SELECT measure(value) FROM forecast", &["370.00"]).await;
    check(
        "SELECT label, value, note FROM perfos.explain_cell('forecast.value[date=2025-01, account=2]')",
        &[
            "forecast.value | 150.00 | an input overrides the formula",
            "forecast.value_input | 150.00 | -",
            "forecast.base | 100.00 | -",
        ],
    )
    .await;
    // the formula goes on below it
    check("UPDATE forecast SET base = base * 2", &["UPDATE 2"]).await;
    check(months, &["2025-01 | 150.00 | 150.00", "2025-02 | 440.00 | -"]).await;
    check("UPDATE forecast SET value = NULL WHERE date = '2025-01'", &["UPDATE 1"]).await;
    check(months, &["2025-01 | 220.00 | -", "2025-02 | 440.00 | -"]).await;
    // an input of nothing is an input
    check("UPDATE forecast SET value = 0 WHERE date = '2025-01'", &["UPDATE 1"]).await;
    check(months, &["2025-01 | 0.00 | 0.00", "2025-02 | 440.00 | -"]).await;
    // where the formula has no value, a cell comes to be
    let insert = "INSERT INTO forecast (date, account, value) VALUES ('2025-03', 2, 7.5)";
    check(insert, &["INSERT 0 1"]).await;
    check(
        insert,
        &["error 23505 duplicate key value violates unique constraint \"forecast_pkey\""],
    )
    .await;
    check("SELECT value, base FROM forecast WHERE date = '2025-03'", &["7.50 | -"]).await;
    let over = "INSERT INTO forecast (date, account, value) VALUES ('2025-02', 2, 441)";
    check(over, &["INSERT 0 1"]).await;
    check("SELECT value FROM forecast WHERE date = '2025-02'", &["441.00"]).await;
    check("DELETE FROM forecast WHERE date = '2025-03'", &["DELETE 1"]).await;
    check("SELECT value FROM forecast WHERE date = '2025-03'", &[]).await;
    check(
        "UPDATE forecast SET value = 1, value_input = 2",
        &["error 42601 multiple assignments to same column \"value_input\""],
    )
    .await;
    check(
        "UPDATE forecast SET value = 1.234",
        &["error 22003 \"1.234\" is not a valid decimal(18,2): more than 2 digits after the point"],
    )
    .await;
}

#[tokio::test]
async fn a_write_goes_to_the_inputs_of_the_region_it_is_in() {
    let mut session = forecast().await;
    let mut check = async |sql: &str, expected: &[&str]| {
        assert_eq!(run(&mut session, sql).await, expected, "{sql}");
    };
    check(
        "INSERT INTO forecast (date, account, base) VALUES ('2025-01', 2, 100), ('2025-01', 3, 30)",
        &["INSERT 0 2"],
    )
    .await;
    let accounts = "SELECT account, cost, cost_input FROM forecast ORDER BY account";
    check(accounts, &["2 | - | -", "3 | 15.00 | -"]).await;
    // one statement, one row of each kind
    check("UPDATE forecast SET cost = 9, value = 5", &["UPDATE 2"]).await;
    check(accounts, &["2 | 9.00 | -", "3 | 9.00 | 9.00", "5 | 9.90 | -"]).await;
    check("SELECT value, value_input FROM forecast WHERE account = 3", &["5.00 | 5.00"]).await;
    check("BEGIN", &["BEGIN"]).await;
    check("UPDATE forecast SET cost = 1 WHERE account = 3", &["UPDATE 1"]).await;
    check(accounts, &["2 | 9.00 | -", "3 | 1.00 | 1.00", "5 | 9.90 | -"]).await;
    check("ROLLBACK", &["ROLLBACK"]).await;
    check("UPDATE forecast SET cost = NULL WHERE account = 3", &["UPDATE 1"]).await;
    check(accounts, &["2 | 9.00 | -", "3 | 15.00 | -", "5 | 9.90 | -"]).await;
    check("UPDATE forecast SET cost = 4 WHERE account = 5", &["UPDATE 1"]).await;
    check("DELETE FROM forecast WHERE account = 5", &["DELETE 1"]).await;
    check(accounts, &["2 | 9.00 | -", "3 | 15.00 | -", "5 | 9.90 | -"]).await;
    check("DELETE FROM forecast", &["DELETE 3"]).await;
    check(accounts, &[]).await;
}

#[tokio::test]
async fn on_conflict_sets_what_it_names() {
    let mut session = forecast().await;
    let mut check = async |sql: &str, expected: &[&str]| {
        assert_eq!(run(&mut session, sql).await, expected, "{sql}");
    };
    check(
        "INSERT INTO forecast (date, account, base, cost) VALUES ('2025-01', 2, 100, 5)",
        &["INSERT 0 1"],
    )
    .await;
    let again = "INSERT INTO forecast (date, account, base, cost) VALUES ('2025-01', 2, 7, 66), ('2025-02', 2, 8, 9)
        ON CONFLICT (date, account) DO UPDATE SET base = EXCLUDED.base";
    check(again, &["INSERT 0 2"]).await;
    let all = "SELECT date, base, cost FROM forecast WHERE account = 2 ORDER BY date";
    check(all, &["2025-01 | 7.00 | 5.00", "2025-02 | 8.00 | 9.00"]).await;
    check("INSERT INTO grants VALUES (1, 'FY2025', 10)", &["INSERT 0 1"]).await;
    let moved = "INSERT INTO grants VALUES (1, 'FY2026', 20) ON CONFLICT (id) DO UPDATE SET value = EXCLUDED.value";
    check(moved, &["INSERT 0 1"]).await;
    check("SELECT id, date, value FROM grants", &["1 | FY2025 | 20"]).await;
    // a blank leaves alone what a formula computes
    check("UPDATE forecast SET value = NULL, cost = NULL", &["UPDATE 4"]).await;
}

#[tokio::test]
async fn days_and_truths_consolidate_to_one_of_them() {
    let mut session = forecast().await;
    let mut check = async |sql: &str, expected: &[&str]| {
        assert_eq!(run(&mut session, sql).await, expected, "{sql}");
    };
    check(
        "INSERT INTO forecast (date, account, due, open) VALUES
            ('2025-01', 2, '2025-02-10', false), ('2025-01', 3, '2025-02-28', true),
            ('2025-02', 2, '2025-03-15', NULL)",
        &["INSERT 0 3"],
    )
    .await;
    check(
        "SELECT date, measure(due), measure(open) FROM forecast GROUP BY 1 ORDER BY 1",
        &["2025-01 | 2025-02-28 | true", "2025-02 | 2025-03-15 | -"],
    )
    .await;
    for (cell, value) in [("due", "2025-03-15"), ("open", "true")] {
        let sql =
            format!("SELECT value FROM perfos.explain_cell('forecast.{cell}') WHERE depth = 0");
        check(&sql, &[value]).await;
    }
}
