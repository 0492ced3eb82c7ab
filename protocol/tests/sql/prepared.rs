//! Statements that run more than once: each time as if for the first.

use protocol::sql::local::LocalSession;
use protocol::sql::session::{Prepared, Session};

use cube::model::{AttributeDef, ModelChange};
use cube::{Change, ValueType};
use protocol::branches::MAIN;
use protocol::tenant::{Command, Tenant};

use super::{execute, opened, run, session};

async fn prepared(session: &mut LocalSession, sql: &str) -> Prepared {
    let statement = session.parse(sql).unwrap().remove(0);
    session.prepare(statement, &[]).await.unwrap()
}

#[tokio::test]
async fn a_statement_that_runs_again_sees_what_was_written_meanwhile() {
    let mut session = session().await;
    let sql =
        "SELECT account_l2, sum(units) FROM books WHERE units > 5 GROUP BY 1 ORDER BY 2 LIMIT 3";
    let sums = prepared(&mut session, sql).await;
    for _ in 0..3 {
        assert_eq!(execute(&mut session, &sums).await.unwrap(), ["Sales | 30"]);
    }
    run(&mut session, "UPDATE books SET units = 7 WHERE date = '2025-05-31' AND account = 2").await;
    for _ in 0..2 {
        assert_eq!(execute(&mut session, &sums).await.unwrap(), ["Sales | 37"]);
    }
}

#[tokio::test]
async fn a_statement_that_runs_again_follows_the_settings() {
    let mut session = session().await;
    let sql = "SELECT sum(amount), current_setting('perfos.reason') FROM books GROUP BY 2";
    let total = prepared(&mut session, sql).await;
    let refused = execute(&mut session, &total).await.unwrap_err();
    assert_eq!(refused.sqlstate, "42803");
    run(&mut session, "SET perfos.aggregates = 'leaf'").await;
    assert_eq!(execute(&mut session, &total).await.unwrap(), ["3550.7500 | "]);
    run(&mut session, "SET perfos.reason = 'audit'").await;
    assert_eq!(execute(&mut session, &total).await.unwrap(), ["3550.7500 | audit"]);
    run(&mut session, "RESET perfos.aggregates").await;
    assert_eq!(execute(&mut session, &total).await.unwrap_err().sqlstate, "42803");
}

#[tokio::test]
async fn a_text_that_comes_again_follows_all_that_changes() {
    let mut session = session().await;
    let sql = "SELECT sum(units) FROM books WHERE account = 2";
    let ledger = "SELECT max(sequence) FROM perfos.ledger";
    for _ in 0..3 {
        assert_eq!(run(&mut session, sql).await, ["35"]);
        assert_eq!(run(&mut session, ledger).await, run(&mut session, ledger).await);
    }
    run(&mut session, "BEGIN").await;
    run(&mut session, "UPDATE books SET units = 1 WHERE account = 2").await;
    assert_eq!(run(&mut session, sql).await, ["3"]);
    run(&mut session, "ROLLBACK").await;
    assert_eq!(run(&mut session, sql).await, ["35"]);
    run(&mut session, "CREATE SCHEMA whatif").await;
    run(&mut session, "UPDATE whatif.books SET units = 2 WHERE account = 2").await;
    assert_eq!(run(&mut session, sql).await, ["35"]);
    run(&mut session, "SET search_path = whatif").await;
    assert_eq!(run(&mut session, sql).await, ["6"]);
    run(&mut session, "RESET search_path").await;
    assert_eq!(run(&mut session, sql).await, ["35"]);
    let sum = "SELECT sum(amount) FROM books WHERE account = 5";
    assert!(run(&mut session, sum).await[0].starts_with("error 42803"));
    run(&mut session, "SET perfos.aggregates = 'leaf'").await;
    assert_eq!(run(&mut session, sum).await, ["3100.0000"]);
    run(&mut session, "SET perfos.aggregates = 'cube'").await;
    assert_eq!(run(&mut session, sum).await, ["900.0000"]);
    assert_eq!(run(&mut session, sum).await, ["900.0000"]);
}

#[tokio::test]
async fn a_statement_whose_columns_have_changed_says_so() {
    let (mut session, tenant) = opened(Vec::new()).await;
    let all = prepared(&mut session, "SELECT * FROM rep WHERE key = 'ana'").await;
    let keys = prepared(&mut session, "SELECT key FROM rep WHERE key = 'ana'").await;
    assert_eq!(execute(&mut session, &all).await.unwrap().len(), 1);
    let attribute = AttributeDef::new("desk", ValueType::Integer);
    let added = ModelChange::AddAttribute { dimension: "rep".into(), attribute };
    let command = Command {
        author: "ada".into(),
        origin: "test".into(),
        reason: String::new(),
        branch: MAIN.into(),
        branch_number: Some(0),
        changes: vec![Change::Model(added)],
        base: None,
    };
    tenant.submit(command).await.unwrap();
    let refused = execute(&mut session, &all).await.unwrap_err();
    assert_eq!(refused.sqlstate, "0A000");
    assert_eq!(execute(&mut session, &keys).await.unwrap(), ["ana"]);
    let again = prepared(&mut session, "SELECT * FROM rep WHERE key = 'ana'").await;
    assert_eq!(execute(&mut session, &again).await.unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_join_without_end_is_stopped() {
    let mut session = session().await;
    run(&mut session, "SET statement_timeout = 300").await;
    // eight rows to the twelfth
    let books: Vec<String> = ('a'..='l').map(|name| format!("books {name}")).collect();
    let sql = format!("SELECT count(*) FROM {}", books.join(", "));
    let stopped = run(&mut session, &sql).await;
    assert!(stopped[0].starts_with("error 57014"), "{stopped:?}");
    let twice = "EXPLAIN SELECT count(*), count(*) FROM books";
    assert!(run(&mut session, twice).await.concat().contains("CubeRollup"));
}
