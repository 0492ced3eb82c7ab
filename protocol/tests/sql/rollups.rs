//! What is answered within a rollup, and is the same as plain SQL row by row.

use protocol::sql::local::LocalSession;

use super::{run, session};

/// A query is a rollup, and gives what the same query gives where nothing can be pushed down.
async fn check(session: &mut LocalSession, outputs: &str, rest: &str, expected: &[&str]) {
    let sql = format!("SELECT {outputs} FROM books {rest}");
    let plan = run(session, &format!("EXPLAIN {sql}")).await.join("\n");
    assert!(plan.contains("CubeRollup: books"), "{sql}: {plan}");
    assert_eq!(run(session, &sql).await, expected, "{sql}");
    let by_rows = format!("SELECT {outputs} FROM (SELECT DISTINCT * FROM books) AS books {rest}");
    run(session, "SET perfos.aggregates = 'leaf'").await;
    assert_eq!(run(session, &by_rows).await, expected, "{by_rows}");
    run(session, "RESET perfos.aggregates").await;
}

#[tokio::test]
async fn sums_of_products_and_differences() {
    let mut session = session().await;
    check(&mut session, "sum(amount * units)", "", &["5255.0000"]).await;
    check(&mut session, "sum(amount - units)", "", &["315.5000"]).await;
    check(&mut session, "sum(amount * (1 - 0.25))", "WHERE account = 3", &["75.187500"]).await;
    check(&mut session, "sum(units * 2 + 1), count(*)", "", &["73 | 8"]).await;
    check(
        &mut session,
        "account_l2, sum(amount * units)",
        "GROUP BY 1 ORDER BY 1",
        &["Cash | -", "Costs | -", "Sales | 5255.0000"],
    )
    .await;
    check(&mut session, "sum(amount * units)", "WHERE account = 77", &["-"]).await;
}

#[tokio::test]
async fn conditions_on_measures() {
    let mut session = session().await;
    for (condition, count) in [
        ("units < 20", "2"),
        ("units <= 20 AND amount > 60", "2"),
        ("20 > units", "2"),
        ("units BETWEEN 5 AND 10", "2"),
        ("units = 5", "1"),
        ("amount >= 1000.00", "2"),
        ("amount > 60.245 AND amount < 100.5", "1"),
        ("units <> 5", "2"),
        ("units IS NULL", "5"),
        ("units < 100000000000000000000", "3"),
        ("units > 9223372036854775807", "0"),
    ] {
        check(&mut session, "count(*)", &format!("WHERE {condition}"), &[count]).await;
    }
}

#[tokio::test]
async fn distinct_members_are_counted_within_groups() {
    let mut session = session().await;
    check(&mut session, "count(DISTINCT account)", "", &["3"]).await;
    check(
        &mut session,
        "date_quarter, count(DISTINCT account), count(*)",
        "GROUP BY 1 ORDER BY 1",
        &["2025-Q1 | 3 | 6", "2025-Q2 | 2 | 2"],
    )
    .await;
}

#[tokio::test]
async fn cubes_say_what_they_take() {
    let mut session = session().await;
    let sql = "SELECT cube, kind, rows, segments, bytes > 0 FROM perfos.cubes ORDER BY 1";
    let expected = [
        "books | cells | 8 | 1 | true",
        "grants | records | 0 | 0 | false",
        "plan | cells | 0 | 0 | false",
    ];
    assert_eq!(run(&mut session, sql).await, expected);
}

#[tokio::test]
async fn what_would_be_misread_is_refused() {
    let mut session = session().await;
    let check = async |session: &mut LocalSession, sql: &str, expected: &str| {
        let found = run(session, sql).await.join("; ");
        assert!(found.starts_with(expected), "{sql}: {found}");
    };
    let needs = "error 42601 IS DISTINCT FROM needs parentheses";
    for verb in ["DELETE FROM books", "SELECT * FROM books", "UPDATE books SET units = 1"] {
        for condition in [
            "units IS DISTINCT FROM 5 AND account = 2",
            "account = 3 OR units IS NOT DISTINCT FROM 5 OR account = 2",
            "NOT (units > 1 IS DISTINCT FROM true OR false)",
        ] {
            check(&mut session, &format!("{verb} WHERE {condition}"), needs).await;
        }
    }
    let both = "SELECT count(*) FROM books WHERE (units IS DISTINCT FROM 5) AND account = 2";
    check(&mut session, both, "2").await;
    let nested =
        "SELECT count(*) FROM books WHERE units > 9 IS NOT DISTINCT FROM (true AND account = 2)";
    check(&mut session, nested, "2").await;
    check(&mut session, "SELECT sum(units) FROM books TABLESAMPLE SYSTEM (10)", "error 0A000")
        .await;
    check(&mut session, "SELECT count(*) FROM books", "8").await;
}
