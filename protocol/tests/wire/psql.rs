//! The real psql of PostgreSQL.

use std::process::{Command, Output};

use crate::house::{self, House, PASSWORD};

/// Runs psql with commands, one `-c` each.
async fn psql(house: &House, password: &str, commands: &[&str]) -> Output {
    let mut psql = Command::new("psql");
    psql.args(["-X", "-A", "-t", "-h", "127.0.0.1", "-U", "ann", "-d", "acme"])
        .args(["-p", &house.address.port().to_string()])
        .env("PGPASSWORD", password);
    for command in commands {
        psql.args(["-c", command]);
    }
    tokio::task::spawn_blocking(move || psql.output().expect("psql runs")).await.unwrap()
}

#[tokio::test]
async fn psql_connects_and_queries() {
    let house = house::open().await;
    let done = psql(
        &house,
        PASSWORD,
        &[
            "SELECT region, amount FROM sales ORDER BY region",
            "BEGIN; SELECT 1; ROLLBACK",
            "SELECT * FROM types LIMIT 1",
        ],
    )
    .await;
    let (shown, errors) =
        (String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
    assert!(done.status.success(), "{errors}");
    assert_eq!(
        shown,
        "north|10.50\nsouth|-3.25\nwest|\nBEGIN\n1\nROLLBACK\n\
         t|0.1|-12345.678|word|2024-03-01 01:02:03.123456+00|\\x00ff|{1,NULL,3}|4000000000|\
         pg_class|r\n"
    );
}

#[tokio::test]
async fn psql_shows_errors_with_their_hint_and_place() {
    let house = house::open().await;
    let done = psql(&house, PASSWORD, &["SELECT * FROM nowhere"]).await;
    let errors = String::from_utf8_lossy(&done.stderr);
    assert!(!done.status.success());
    assert!(errors.contains("ERROR:") && errors.contains("HINT:  look again"), "{errors}");
    assert!(errors.contains("LINE 1: SELECT * FROM nowhere\n               ^"), "{errors}");
}

#[tokio::test]
async fn psql_is_refused_with_a_wrong_password() {
    let house = house::open().await;
    let done = psql(&house, "wrong", &["SELECT 1"]).await;
    let errors = String::from_utf8_lossy(&done.stderr);
    assert_eq!(done.status.code(), Some(2));
    assert!(errors.contains("password authentication failed for user \"ann\""), "{errors}");
}
