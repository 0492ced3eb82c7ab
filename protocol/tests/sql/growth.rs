//! Functions that make long texts and lists: bounded, counted, given back.

use std::sync::{Arc, Mutex};

use cube::view::MemoryReservation;
use protocol::sql::local::{LocalSession, SessionOptions};

use super::{MemoryTenant, check, opened, run};

const BUDGET: u64 = 48 << 20;

async fn limited() -> (LocalSession, MemoryReservation) {
    let (_, tenant) = opened(Vec::new()).await;
    let branches = Mutex::new(Arc::clone(&tenant.branches.lock().unwrap()));
    let memory = MemoryReservation::new(BUDGET);
    let tenant = Arc::new(MemoryTenant { branches, memory: memory.clone() });
    let options = SessionOptions {
        user: "ada".into(),
        origin: "test".into(),
        backend_pid: 1,
        server_started_us: 0,
    };
    (LocalSession::new(tenant, options).unwrap(), memory)
}

/// Whether nothing is taken any more, once the tasks that a refused statement leaves have ended: some on threads of
/// their own.
async fn is_given_back(memory: &MemoryReservation) -> bool {
    for _ in 0..10_000 {
        if memory.reserve(BUDGET).is_ok() {
            return true;
        }
        tokio::time::sleep(std::time::Duration::from_millis(1)).await;
    }
    false
}

#[tokio::test]
async fn what_is_too_long_is_refused_and_the_budget_given_back() {
    let (mut session, memory) = limited().await;
    for (sql, state) in [
        ("SELECT repeat('x', 2000000000)", "54000"),
        ("SELECT lpad('x', 2000000000)", "54000"),
        ("SELECT length(repeat('x', 16777217))", "54000"),
        ("SELECT replace(repeat('a', 100000), 'a', repeat('b', 100000))", "54000"),
        ("SELECT regexp_replace(repeat('a', 100000), 'a', repeat('b', 100000), 'g')", "54000"),
        ("SELECT length(repeat(repeat(name, 10000), 10000)) FROM account", "54000"),
        ("SELECT concat_ws(repeat('x', 10000000), 'a', 'b', 'c')", "54000"),
        (
            "SELECT length(array_to_string(string_to_array(repeat('a,', 100000), ','), repeat('b', 100000)))",
            "54000",
        ),
        ("SELECT levenshtein('a', 'b')", "42883"),
        (
            "WITH RECURSIVE t AS (SELECT 'x' AS a UNION ALL SELECT a || a FROM t) SELECT max(length(a)) FROM t",
            "53200",
        ),
        ("SELECT repeat(name, 2000000) FROM account", "53200"),
        (
            "SELECT length(string_agg(repeat('x', 100000), ',')) FROM generate_series(1, 10000)",
            "53200",
        ),
        (
            "SELECT array_length(array_agg(repeat('x', 10000) || value)) FROM generate_series(1, 100000)",
            "53200",
        ),
        (
            "SELECT a.x FROM (SELECT repeat(max(name), 100000) AS x FROM account) a, generate_series(1, 100000)",
            "53200",
        ),
        ("SELECT max(repeat(name, 100000)) OVER () FROM account", "53200"),
        (
            "SELECT unnest(string_to_array(repeat('a,', 100000), ',')), repeat(name, 10000) FROM account",
            "53200",
        ),
        (
            "SELECT a || b FROM (VALUES (repeat('x', 16000000), repeat('y', 16000000)), (repeat('x', 16000000), repeat('z', 16000000)), (repeat('u', 16000000), 'v')) t(a, b)",
            "53200",
        ),
        ("SELECT lpad(NULL::text, value) FROM generate_series(2000000000, 2000000005)", "54000"),
        ("SELECT array_repeat(1, 2000000000)", "42883"),
        ("SELECT range(1, 2000000000)", "42883"),
        ("SELECT array_resize(ARRAY[1], 2000000000)", "42883"),
    ] {
        let refused = run(&mut session, sql).await;
        assert!(refused[0].starts_with(&format!("error {state}")), "{sql}: {refused:?}");
        assert!(is_given_back(&memory).await, "{sql}");
    }
    assert_eq!(run(&mut session, "SELECT length(repeat('x', 16777216))").await, ["16777216"]);
    let longest = run(&mut session, "SELECT max(length(repeat(name, 1000))) FROM account").await;
    assert_eq!(longest, ["7000"]);
    assert!(is_given_back(&memory).await);
}

#[tokio::test]
async fn long_constants_work_beside_many_rows() {
    let (mut session, memory) = limited().await;
    for (sql, expected) in [
        (
            "SELECT sum(length(x || value)) FROM (SELECT repeat('x', 100000) x, value FROM generate_series(1, 1000)) t",
            "100002893",
        ),
        (
            "SELECT count(*) FROM generate_series(1, 2000) WHERE repeat('x', 100000) > value::text",
            "2000",
        ),
        (
            "SELECT max(length(CASE WHEN value > 5 THEN repeat('x', 100000) ELSE 'a' END)) FROM generate_series(1, 2000)",
            "100000",
        ),
        (
            "SELECT max(length(coalesce(repeat('x', 100000), value::text))) FROM generate_series(1, 2000)",
            "100000",
        ),
        ("SELECT length(repeat('x', 1000000)) + value FROM generate_series(1, 1)", "1000001"),
        ("SELECT count(*) FROM account WHERE repeat('x', 100000) || name > 'a'", "5"),
        ("SELECT length(column1) FROM (VALUES (repeat('x', 100000))) t", "100000"),
        ("SELECT min(lpad(value::text, 5 - value)) FROM generate_series(1, 4)", "   1"),
    ] {
        assert_eq!(run(&mut session, sql).await, [expected], "{sql}");
        assert!(is_given_back(&memory).await, "{sql}");
    }
}

#[tokio::test]
async fn concatenation_is_the_operator_that_it_was() {
    check(
        "SELECT 'a' || NULL, NULL || 'a', 'a' || 1, 1.5 || 'x', 'a' || ARRAY['b']",
        &["- | - | a1 | 1.5x | [a, b]"],
    )
    .await;
    check("SELECT name || '/' || key FROM account WHERE name || 'x' = 'Salesx'", &["Sales/2"])
        .await;
    check(
        "SELECT account_l1 || '!', sum(amount) FROM books WHERE account = 2 GROUP BY account_l1 || '!'",
        &["Income! | 350.5000"],
    )
    .await;
    check(
        "SELECT date_quarter || '!' AS q, measure(amount) FROM books WHERE account = 2 GROUP BY 1 ORDER BY q",
        &["2025-Q1! | 300.5000", "2025-Q2! | 50.0000"],
    )
    .await;
}
