//! Measures of texts: read, filtered, grouped by, written.

use super::{run, session};
use protocol::sql::local::LocalSession;

const GRANTS: &str = "INSERT INTO grants (id, date, value, state) VALUES
    (1, 'FY2025', 10, 'Won'), (2, 'FY2026', 20, 'Lost'), (3, 'FY2025', 5, 'Won'),
    (4, 'FY2025', 1, NULL), (5, 'FY2026', 2, '')";

async fn granted() -> LocalSession {
    let mut session = session().await;
    assert_eq!(run(&mut session, GRANTS).await, ["INSERT 0 5"]);
    session
}

async fn check(sql: &str, expected: &[&str]) {
    let mut session = granted().await;
    assert_eq!(run(&mut session, sql).await, expected, "{sql}");
}

#[tokio::test]
async fn texts_are_read_and_compared_as_texts() {
    check(
        "SELECT id, state, size FROM grants ORDER BY id",
        &[
            "1 | Won | big!",
            "2 | Lost | big!",
            "3 | Won | small!",
            "4 | - | small!",
            "5 |  | small!",
        ],
    )
    .await;
    check("SELECT id FROM grants WHERE state = 'Won' ORDER BY id", &["1", "3"]).await;
    check("SELECT id FROM grants WHERE state LIKE '%o%' ORDER BY id", &["1", "2", "3"]).await;
    check("SELECT id FROM grants WHERE state IN ('Lost', '') ORDER BY id", &["2", "5"]).await;
    check("SELECT id FROM grants WHERE state IS NULL", &["4"]).await;
    check("SELECT id FROM grants WHERE size > 'c' AND state <> 'Won'", &["5"]).await;
    check("SELECT upper(state) || size FROM grants WHERE id = 2", &["LOSTbig!"]).await;
}

#[tokio::test]
async fn grouping_by_a_text_is_right() {
    check(
        "SELECT state, count(*), count(state), sum(value) FROM grants GROUP BY state ORDER BY 1 NULLS FIRST",
        &["- | 1 | 0 | 1", " | 1 | 1 | 2", "Lost | 1 | 1 | 20", "Won | 2 | 2 | 15"],
    )
    .await;
    check(
        "SELECT date_fiscal_year, state, max(value) FROM grants WHERE state > '' GROUP BY 1, 2 ORDER BY 1, 2",
        &["2025 | Won | 10", "2026 | Lost | 20"],
    )
    .await;
    check(
        "SELECT date_fiscal_year, count(state) FROM grants GROUP BY 1 ORDER BY 1",
        &["2025 | 2", "2026 | 2"],
    )
    .await;
    check("SELECT sum(value) FROM grants WHERE state = 'Won'", &["15"]).await;
    check("SELECT count(DISTINCT state), min(state), max(state) FROM grants", &["3 |  | Won"])
        .await;
    check("SELECT DISTINCT size FROM grants ORDER BY 1", &["big!", "small!"]).await;
}

#[tokio::test]
async fn texts_have_no_total() {
    let mut session = granted().await;
    let insert = "INSERT INTO plan (date, account, note) VALUES
        ('2025-01', 2, 'so far'), ('2025-02', 2, 'later')";
    assert_eq!(run(&mut session, insert).await, ["INSERT 0 2"]);
    let steps = [
        ("SELECT measure(state) FROM grants", "-"),
        ("SELECT date, measure(state) FROM grants GROUP BY 1 ORDER BY 1", "FY2025 | -\nFY2026 | -"),
        ("SELECT account, measure(note), count(note) FROM plan GROUP BY 1", "2 | - | 2"),
        (
            "SELECT date, account, measure(note) FROM plan GROUP BY 1, 2 ORDER BY 1",
            "2025-01 | 2 | so far\n2025-02 | 2 | later",
        ),
        ("SELECT sum(state) FROM grants", "error 42883 function sum(text) does not exist"),
        ("SELECT avg(note) FROM plan", "error 42883 function avg(text) does not exist"),
    ];
    for (sql, expected) in steps {
        assert_eq!(run(&mut session, sql).await.join("\n"), expected, "{sql}");
    }
}

#[tokio::test]
async fn texts_are_written_and_formulas_follow() {
    let mut session = granted().await;
    let longest = "UPDATE grants SET state = repeat('x', 65537) WHERE id = 1".to_string();
    let steps = [
        ("UPDATE grants SET state = upper(state) WHERE state = 'Won'", "UPDATE 2"),
        ("UPDATE grants SET state = NULL WHERE id = 2", "UPDATE 1"),
        ("UPDATE grants SET state = id WHERE id = 4", "UPDATE 1"),
        ("UPDATE grants SET value = 9 WHERE id = 3", "UPDATE 1"),
        (
            "INSERT INTO grants (id, date, state) VALUES (5, 'FY2026', 'new'), (6, 'FY2026', 'six') ON CONFLICT DO NOTHING",
            "INSERT 0 1",
        ),
        (
            "INSERT INTO grants (id, date, state) VALUES (6, 'FY2026', 'seven') ON CONFLICT (id) DO UPDATE SET state = EXCLUDED.state",
            "INSERT 0 1",
        ),
        (
            "SELECT id, state, size FROM grants ORDER BY id",
            "1 | WON | big!\n2 | - | big!\n3 | WON | big!\n4 | 4 | small!\n5 |  | small!\n6 | seven | -",
        ),
        ("DELETE FROM grants WHERE state = 'WON'", "DELETE 2"),
        ("SELECT count(*) FROM grants", "4"),
        ("BEGIN", "BEGIN"),
        ("UPDATE grants SET state = 'open' WHERE id = 4", "UPDATE 1"),
        ("INSERT INTO grants (id, date, state) VALUES (9, 'FY2025', 'nine')", "INSERT 0 1"),
        ("SELECT state FROM grants WHERE id IN (4, 9) ORDER BY id", "open\nnine"),
        ("COMMIT", "COMMIT"),
        ("SELECT state FROM grants WHERE id IN (4, 9) ORDER BY id", "open\nnine"),
        (
            "UPDATE grants SET size = 'huge'",
            "error 428C9 column \"size\" is computed by a formula and cannot be written",
        ),
    ];
    for (sql, expected) in steps {
        assert_eq!(run(&mut session, sql).await.join("\n"), expected, "{sql}");
    }
    let refused = run(&mut session, &longest).await.join("\n");
    assert_eq!(refused, "UPDATE 0");
    let longest = longest.replace("id = 1", "id = 4");
    let refused = run(&mut session, &longest).await.join("\n");
    assert!(refused.starts_with("error 22001 a text of 65537 bytes"), "{refused}");
}

#[tokio::test]
async fn branches_know_their_own_texts() {
    let mut session = granted().await;
    let joined = "SELECT a.id, a.state, b.state FROM grants a JOIN whatif.grants b ON a.id = b.id
        WHERE a.state IS DISTINCT FROM b.state ORDER BY 1";
    let steps = [
        ("CREATE SCHEMA whatif", "CREATE SCHEMA"),
        ("UPDATE grants SET state = 'here' WHERE id = 1", "UPDATE 1"),
        ("UPDATE whatif.grants SET state = 'there' WHERE id = 1", "UPDATE 1"),
        ("UPDATE whatif.grants SET state = 'here' WHERE id = 2", "UPDATE 1"),
        ("UPDATE grants SET state = 'here' WHERE id = 2", "UPDATE 1"),
        (joined, "1 | here | there"),
        ("DROP SCHEMA whatif CASCADE", "DROP SCHEMA"),
    ];
    for (sql, expected) in steps {
        assert_eq!(run(&mut session, sql).await.join("\n"), expected, "{sql}");
    }
}
