//! Rows that a statement gives itself: the same as when a query finds or makes them, whatever is written there.

use cube::model::{CubeDef, ModelChange};
use datafusion::common::ScalarValue;
use protocol::sql::local::LocalSession;
use protocol::sql::session::{Outcome, Session};

use super::{parse, run, session_with};

const STOCK: &str = r#"
name = "stock"
kind = "cells"
dimensions = ["rep", "account"]
measure = [
    { name = "amount", type = "decimal(9,2)" },
    { name = "pieces", type = "integer" },
    { name = "note", type = "text", consolidation = "none" },
    { name = "since", type = "date", consolidation = "max" },
]
"#;

async fn stock() -> LocalSession {
    let mut session = session_with(vec![ModelChange::AddCube(parse::<CubeDef>(STOCK))]).await;
    let rows = [
        "INSERT INTO stock (rep, account, amount, pieces, note) VALUES ('ana', 2, 10.50, 1, 'x'), \
         ('ana', 3, 20, NULL, NULL), ('bob', 2, NULL, 7, 'é')",
        "INSERT INTO grants (id, date, value, state) VALUES (1, 'FY2025', 5, 'new'), (-7, 'FY2026', 9, 'old')",
        "INSERT INTO plan (date, account, target, note) VALUES ('2025-01', 2, 5, 'a'), ('2025-02', 3, 6, 'b')",
    ];
    for insert in rows {
        assert!(run(&mut session, insert).await[0].starts_with("INSERT 0"), "{insert}");
    }
    session
}

const ALL: [&str; 3] = [
    "SELECT rep, account, amount, pieces, note, since FROM stock ORDER BY 1, 2",
    "SELECT id, date, value, state, size FROM grants ORDER BY 1",
    "SELECT date, account, target, note FROM plan ORDER BY 1, 2",
];

/// Runs a statement as it is, and on the other session so that a query finds or makes its rows: all has to be the
/// same.
async fn check(point: &mut LocalSession, query: &mut LocalSession, sql: &str) -> String {
    let (start, end) = sql.split_once(" ON CONFLICT").unwrap_or((sql, ""));
    let by_query = match sql.starts_with("INSERT") {
        true if end.is_empty() => format!("{start} LIMIT 1000"),
        true => format!("{start} LIMIT 1000 ON CONFLICT{end}"),
        false => format!("{sql} AND 1 = 1"),
    };
    let found = run(point, sql).await;
    assert_eq!(found, run(query, &by_query).await, "{sql}");
    for all in ALL {
        assert_eq!(run(point, all).await, run(query, all).await, "{sql}");
    }
    found.concat()
}

#[tokio::test]
async fn a_row_named_by_its_key_is_updated_as_one_that_a_query_finds() {
    let (mut point, mut query) = (stock().await, stock().await);
    let values = ["amount = 3", "amount = -1.5", "amount = 1.50, pieces = 4", "pieces = NULL"];
    let refused =
        ["amount = 1.234", "amount = 12345678", "pieces = 1.5", "pieces = 99999999999999999999"];
    let texts = [
        "note = 'new'",
        "note = ''",
        "note = NULL, amount = 7",
        "since = '2025-03-01'",
        "amount = amount * 2",
    ];
    let keys = [
        "rep = 'ana' AND account = 2",
        "account = 3 AND (rep = 'ana')",
        "2 = account AND 'bob' = stock.rep",
        "rep = 'eva' AND account = 2",
        "rep = 'nobody' AND account = 2",
        "rep = 'ana' AND account = 1",
        "rep = 'ana' AND account = 99999999999",
        "rep = 'ana' AND account = 2.0",
        "rep = 'ana' AND account = 2 AND rep = 'bob'",
        "rep = 'ana'",
        "rep = NULL AND account = 2",
        "rep = 'ana' AND account = -2",
    ];
    let mut updated = 0;
    for key in keys {
        for value in values.iter().chain(&refused).chain(&texts) {
            let sql = format!("UPDATE stock SET {value} WHERE {key}");
            updated += usize::from(check(&mut point, &mut query, &sql).await == "UPDATE 1");
        }
    }
    assert!(updated > 20, "{updated}");
    for sql in [
        "UPDATE grants SET value = 11 WHERE id = 1",
        "UPDATE grants SET value = 3, state = 'bob''s' WHERE -7 = id",
        "UPDATE grants SET value = 1 WHERE id = 2",
        "UPDATE grants AS g SET value = 8 WHERE g.id = 1",
        "UPDATE grants AS g SET value = 8 WHERE grants.id = 1",
        "UPDATE plan SET target = 1.25 WHERE date = '2025-01' AND account = 2",
        "UPDATE plan SET note = 'c' WHERE date = '2025-02' AND account = 3",
        "UPDATE plan SET target = 1 WHERE date = '2025-1' AND account = 2",
        "UPDATE \"public\".\"plan\" SET \"target\" = 9 WHERE \"plan\".\"date\" = '2025-01' AND ACCOUNT = 2",
        "UPDATE books SET price = 1 WHERE date = '2025-01-31' AND account = 2",
        "UPDATE books SET amount = 1, amount = 2 WHERE date = '2025-01-31' AND account = 2",
    ] {
        check(&mut point, &mut query, sql).await;
    }
}

#[tokio::test]
async fn values_are_inserted_as_those_that_a_query_makes() {
    let (mut point, mut query) = (stock().await, stock().await);
    let mut inserted = 0;
    for sql in [
        "INSERT INTO stock (rep, account, amount) VALUES ('eva', 2, 1.5)",
        "INSERT INTO stock (rep, account, amount) VALUES ('eva', 2, 2)",
        "INSERT INTO stock (rep, account, amount) VALUES ('eva', 2, 2) ON CONFLICT DO NOTHING",
        "INSERT INTO stock (rep, account, amount) VALUES ('eva', 2, 2.25), ('ana', 5, 3) \
         ON CONFLICT (rep, account) DO UPDATE SET amount = EXCLUDED.amount",
        "INSERT INTO stock (account, pieces, rep, note) VALUES (5, 1, 'eva', 'it''s'), (5, -2, 'bob', '')",
        "INSERT INTO stock (rep, account, amount) VALUES ('eva', 3, 1.123)",
        "INSERT INTO stock (rep, account, amount) VALUES ('eva', 3, 99999999)",
        "INSERT INTO stock (rep, account, pieces) VALUES ('nobody', 3, 1)",
        "INSERT INTO stock (rep, account, pieces) VALUES ('eva', 3, 1), ('eva', 3, 2)",
        "INSERT INTO stock (rep, account, pieces) VALUES ('eva', NULL, 1)",
        "INSERT INTO stock (rep, account, pieces) VALUES ('eva', 3, 1.5), ('bob', 3, 2)",
        "INSERT INTO stock (rep, account, pieces) VALUES ('eva', 1, 1)",
        "INSERT INTO stock (rep, account, pieces) VALUES ('eva', 3, NULL)",
        "INSERT INTO stock (rep, account, pieces) VALUES ('eva', 3, 1 + 1)",
        "INSERT INTO stock (rep, account, since) VALUES ('bob', 3, '2025-03-01')",
        "INSERT INTO stock VALUES ('ana', 3, 5)",
        "INSERT INTO stock (rep, account, amount) VALUES ('ana', 3)",
        "INSERT INTO grants (id, date, value) VALUES (3, 'FY2025', 1), (4, 'FY2026', 12)",
        "INSERT INTO grants (id, date, value) VALUES (3, 'FY2025', 1)",
        "INSERT INTO grants (id, date, value) VALUES (99999999999, 'FY2025', 1)",
        "INSERT INTO books (date, account, amount) VALUES ('2025-06-30', 2, 1), ('2025-06-30', 3, 2.5)",
        "INSERT INTO books (date, account, amount) VALUES ('2025-6-30', 2, 1)",
        "INSERT INTO books (date, account, amount) VALUES ('2026-06-30', 2, 1)",
        "INSERT INTO books (date, account, price) VALUES ('2025-06-30', 2, 1)",
        "INSERT INTO plan (date, account, target, note) VALUES ('2025-03', 2, 1.10, 'x'), ('2025-04', 2, 2.2, NULL)",
    ] {
        let tag = check(&mut point, &mut query, sql).await;
        inserted += usize::from(tag.starts_with("INSERT 0 ") && tag != "INSERT 0 0");
    }
    assert!(inserted > 7, "{inserted}");
}

#[tokio::test]
async fn a_number_with_an_exponent_is_that_number() {
    let mut session = stock().await;
    for (set, expected) in [
        ("amount = 1e3, pieces = 2e2", "1000.00 | 200 | x"),
        ("amount = 1.5e1, note = 12e20", "15.00 | 200 | 1200000000000000000000"),
        ("pieces = 3e1, amount = '2'", "2.00 | 30 | 1200000000000000000000"),
    ] {
        let sql = format!("UPDATE stock SET {set} WHERE rep = 'ana' AND account = 2");
        assert_eq!(run(&mut session, &sql).await, ["UPDATE 1"], "{sql}");
        let one = "SELECT amount, pieces, note FROM stock WHERE rep = 'ana' AND account = 2";
        assert_eq!(run(&mut session, one).await, [expected], "{sql}");
    }
    let insert = "INSERT INTO stock (rep, account, amount, pieces) VALUES ('eva', 5, 1e3, 1e3)";
    assert_eq!(run(&mut session, insert).await, ["INSERT 0 1"]);
    let one = "SELECT amount, pieces FROM stock WHERE rep = 'eva' AND account = 5";
    assert_eq!(run(&mut session, one).await, ["1000.00 | 1000"]);
}

#[tokio::test]
async fn explain_writes_nothing() {
    let mut session = stock().await;
    let before = run(&mut session, ALL[0]).await;
    for (write, verb) in [
        ("UPDATE stock SET amount = 9 WHERE rep = 'ana' AND account = 2", "UPDATE"),
        ("UPDATE stock SET amount = 9", "UPDATE"),
        ("DELETE FROM stock", "DELETE"),
        ("INSERT INTO stock (rep, account, amount) VALUES ('eva', 5, 1)", "INSERT"),
    ] {
        let refused = format!("error 0A000 EXPLAIN {verb} is not supported yet");
        assert_eq!(run(&mut session, &format!("EXPLAIN {write}")).await, [refused]);
    }
    assert_eq!(run(&mut session, ALL[0]).await, before);
}

#[tokio::test]
async fn a_prepared_update_takes_its_key_and_values_from_parameters() {
    let (mut point, mut query) = (stock().await, stock().await);
    let text = |text: &str| ScalarValue::from(text);
    let key = |key: i32| ScalarValue::from(key);
    let amount = |units: Option<i128>| ScalarValue::Decimal128(units, 9, 2);
    let sets = [
        vec![amount(Some(125)), text("ana"), key(2)],
        vec![amount(None), text("ana"), key(3)],
        vec![amount(Some(-99_999_999_999)), text("ana"), key(2)],
        vec![amount(Some(5)), text("eva"), key(2)],
        vec![amount(Some(5)), text("nobody"), key(2)],
        vec![amount(Some(5)), ScalarValue::Utf8(None), key(2)],
        vec![amount(Some(5)), text("bob"), ScalarValue::Int32(None)],
        vec![amount(Some(7)), text("bob"), key(2)],
    ];
    let sql = "UPDATE stock SET amount = $1 WHERE rep = $2 AND account = $3";
    let mut tags = Vec::new();
    let slow = format!("{sql} AND 1 = 1");
    for parameters in sets {
        let mut found = Vec::new();
        for (session, sql) in [(&mut point, sql), (&mut query, slow.as_str())] {
            let statement = session.parse(sql).unwrap().remove(0);
            let prepared = session.prepare(statement, &[]).await.unwrap();
            found.push(match session.execute(&prepared, parameters.clone()).await {
                Ok(Outcome::Done { tag }) => tag,
                Ok(Outcome::Rows { .. }) => panic!("an UPDATE gave rows"),
                Err(error) => format!("{} {}", error.sqlstate, error.message),
            });
        }
        assert_eq!(found[0], found[1], "{parameters:?}");
        assert_eq!(run(&mut point, ALL[0]).await, run(&mut query, ALL[0]).await, "{parameters:?}");
        tags.push(found.remove(0));
    }
    assert_eq!(tags.iter().filter(|tag| *tag == "UPDATE 1").count(), 3, "{tags:?}");
}

#[tokio::test]
async fn a_transaction_keeps_what_a_point_update_wrote_to_itself() {
    let mut session = stock().await;
    let one = "SELECT amount FROM stock WHERE rep = 'ana' AND account = 2";
    let update = "UPDATE stock SET amount = 99 WHERE rep = 'ana' AND account = 2";
    for (end, after) in [("ROLLBACK", "10.50"), ("COMMIT", "99.00")] {
        run(&mut session, "BEGIN").await;
        assert_eq!(run(&mut session, update).await, ["UPDATE 1"]);
        assert_eq!(run(&mut session, one).await, ["99.00"]);
        run(&mut session, end).await;
        assert_eq!(run(&mut session, one).await, [after]);
    }
}
