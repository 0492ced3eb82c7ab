//! SQL over a small tenant in memory: one `check(statement, expected rows)` a behaviour.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use calc::Revision;
use cube::change::{MemberWrite, MembersWrite};
use cube::model::{CubeDef, DimensionDef, FormulaDef, ModelChange};
use cube::{AttributeId, Change, DimensionId, HierarchyId, LevelId, MemberId, Scalar, View};
use datafusion::arrow::util::display::{ArrayFormatter, FormatOptions};
use futures::TryStreamExt;
use protocol::error::SqlError;
use protocol::sql::local::{LocalSession, SessionOptions};
use protocol::sql::session::{Outcome, Session, TransactionStatus};
use protocol::tenant::{Command, LedgerEntry, Receipt, Snapshot, Tenant};

/// A tenant without a ledger.
struct MemoryTenant {
    revision: Mutex<(Revision, u64)>,
}

#[async_trait]
impl Tenant for MemoryTenant {
    fn name(&self) -> &str {
        "memory"
    }

    fn read(&self, _user: &str, _branch: &str) -> Result<Snapshot, SqlError> {
        let (revision, sequence) = self.revision.lock().unwrap().clone();
        let mut view = View::unrestricted(revision.version);
        view.position.sequence = sequence;
        Ok(Snapshot { view, plan: revision.plan })
    }

    async fn submit(&self, command: Command) -> Result<Receipt, SqlError> {
        let mut head = self.revision.lock().unwrap();
        let (next, recomputed) = head.0.apply(&command.changes)?;
        *head = (next, head.1 + 1);
        Ok(Receipt { sequence: head.1, recomputed })
    }

    async fn ledger(&self, _limit: usize) -> Result<Vec<LedgerEntry>, SqlError> {
        Ok(Vec::new())
    }
}

const ACCOUNT: &str = r#"
name = "account"
key_type = "integer"
[[attribute]]
name = "operator"
type = "text"
[[attribute]]
name = "kind"
type = "text"
[[hierarchy]]
name = "account"
kind = "parent_child"
weight = "operator"
"#;

const DATE: &str = r#"
name = "date"
key_type = "date"
[calendar]
start = "2025-01-01"
end = "2025-12-31"
fiscal_start_month = 7
"#;

const LEDGER: &str = r#"
name = "books"
kind = "cells"
dimensions = ["date", "account"]
[[measure]]
name = "amount"
type = "decimal(18,4)"
[measure.time]
dimension = "date"
by = "account.kind"
rules = { stock = "last" }
[[measure]]
name = "units"
type = "integer"
[[measure]]
name = "price"
type = "decimal(18,6)"
consolidation = "formula"
"#;

fn parse<T: serde::de::DeserializeOwned>(text: &str) -> T {
    toml::from_str(text).unwrap()
}

fn member(key: &str, name: &str, parent: Option<&str>, operator: &str, kind: &str) -> MemberWrite {
    let text = |text: &str| Some(Scalar::Text(text.into()));
    MemberWrite {
        key: key.into(),
        name: Some(name.into()),
        level: None::<LevelId>,
        parents: vec![(HierarchyId(0), parent.map(Into::into))],
        attributes: vec![(AttributeId(0), text(operator)), (AttributeId(1), text(kind))],
    }
}

async fn session() -> LocalSession {
    let formula = FormulaDef {
        target: "books.price".into(),
        text: "amount / units".into(),
        description: String::new(),
        at_or_above: [("date".to_string(), "quarter".to_string())].into(),
    };
    let members = vec![
        member("1", "Income", None, "+", "flow"),
        member("2", "Sales", Some("1"), "+", "flow"),
        member("3", "Costs", Some("1"), "-", "flow"),
        member("4", "Balance", None, "~", "stock"),
        member("5", "Cash", Some("4"), "+", "stock"),
    ];
    let changes = vec![
        Change::Model(ModelChange::AddDimension(parse::<DimensionDef>(DATE))),
        Change::Model(ModelChange::AddDimension(parse::<DimensionDef>(ACCOUNT))),
        Change::Model(ModelChange::AddCube(parse::<CubeDef>(LEDGER))),
        Change::Model(ModelChange::SetFormula(formula)),
        Change::Members(MembersWrite {
            dimension: DimensionId(1),
            first_new: MemberId(0),
            members,
        }),
    ];
    let (revision, _) = Revision::default().apply(&changes).unwrap();
    let tenant = Arc::new(MemoryTenant { revision: Mutex::new((revision, 1)) });
    let options = SessionOptions {
        user: "ada".into(),
        origin: "test".into(),
        backend_pid: 1,
        server_started_us: 0,
    };
    let mut session = LocalSession::new(tenant, options).unwrap();
    let rows = "INSERT INTO books (date, account, amount, units) VALUES
        ('2025-01-31', 2, 100.50, 10), ('2025-01-31', 3, 40, NULL), ('2025-01-31', 5, 1000, NULL),
        ('2025-02-28', 2, 200, 20), ('2025-02-28', 3, 60.25, NULL), ('2025-02-28', 5, 1200, NULL),
        ('2025-05-31', 2, 50, 5), ('2025-05-31', 5, 900, NULL)";
    assert_eq!(run(&mut session, rows).await, ["INSERT 0 8"]);
    session
}

/// The rows of a statement, one a line, or its command tag, or `error SQLSTATE message`.
async fn run(session: &mut LocalSession, sql: &str) -> Vec<String> {
    match rows(session, sql).await {
        Ok(rows) => rows,
        Err(error) => vec![format!("error {} {}", error.sqlstate, error.message)],
    }
}

async fn rows(session: &mut LocalSession, sql: &str) -> Result<Vec<String>, SqlError> {
    let statement = session.parse(sql)?.remove(0);
    let prepared = session.prepare(statement, &[]).await?;
    match session.execute(&prepared, Vec::new()).await? {
        Outcome::Done { tag } => Ok(vec![tag]),
        Outcome::Rows { stream, .. } => {
            let batches: Vec<_> = stream
                .try_collect()
                .await
                .map_err(|error| protocol::sql::sqlstate::from_engine(&error, sql))?;
            let mut lines = Vec::new();
            for batch in batches {
                let options = FormatOptions::default().with_null("-");
                let columns: Vec<_> = batch
                    .columns()
                    .iter()
                    .map(|c| ArrayFormatter::try_new(c, &options).unwrap())
                    .collect();
                for row in 0..batch.num_rows() {
                    let values: Vec<String> =
                        columns.iter().map(|c| c.value(row).to_string()).collect();
                    lines.push(values.join(" | "));
                }
            }
            Ok(lines)
        }
    }
}

async fn check(sql: &str, expected: &[&str]) {
    let mut session = session().await;
    assert_eq!(run(&mut session, sql).await, expected, "{sql}");
}

#[tokio::test]
async fn operators_apply_on_the_way_up() {
    check("SELECT account_l1, measure(amount) FROM books WHERE date_quarter = '2025-Q1' GROUP BY 1 ORDER BY 1", &["Balance | 1200.0000", "Income | 200.2500"]).await;
    check("SELECT account_l2, measure(amount) FROM books WHERE date_year = 2025 GROUP BY 1 ORDER BY 1", &["Cash | 900.0000", "Costs | 100.2500", "Sales | 350.5000"]).await;
    check("SELECT measure(amount) FROM books", &["250.2500"]).await;
    check("SELECT measure(amount) FROM books WHERE account_l1 = 'Balance'", &["900.0000"]).await;
}

#[tokio::test]
async fn stocks_close_and_flows_add() {
    check(
        "SELECT date_quarter, measure(amount) FROM books WHERE account = 5 GROUP BY date_quarter ORDER BY 1",
        &["2025-Q1 | 1200.0000", "2025-Q2 | 900.0000"],
    )
    .await;
    check(
        "SELECT date_trunc('quarter', date) AS q, measure(amount) FROM books WHERE account = 5 GROUP BY q ORDER BY q",
        &["2025-01-01T00:00:00 | 1200.0000", "2025-04-01T00:00:00 | 900.0000"],
    )
    .await;
}

#[tokio::test]
async fn ratios_are_right_at_every_level_and_blank_below() {
    check("SELECT measure(price) FROM books WHERE account = 2", &["10.014286"]).await;
    check(
        "SELECT date_quarter, measure(price) FROM books WHERE account = 2 GROUP BY 1 ORDER BY 1",
        &["2025-Q1 | 10.016667", "2025-Q2 | 10.000000"],
    )
    .await;
    check("SELECT date_month, measure(price) FROM books WHERE account = 2 AND date_month = '2025-05' GROUP BY 1", &["2025-05 | -"]).await;
    check("SELECT date_fiscal_quarter, measure(price) FROM books WHERE account = 2 AND date_fiscal_year = 2025 GROUP BY 1 ORDER BY 1", &["FY2025-Q3 | 10.016667", "FY2025-Q4 | 10.000000"]).await;
}

#[tokio::test]
async fn plain_sums_that_would_mislead_are_refused() {
    let mut session = session().await;
    let sql = "SELECT sum(amount) FROM books WHERE account = 5";
    let refused = run(&mut session, sql).await;
    assert!(refused[0].starts_with("error 42803 sum(amount) would mislead"), "{refused:?}");
    assert_eq!(
        run(&mut session, "SELECT sum(amount) FROM books WHERE account = 2").await,
        ["350.5000"]
    );
    assert_eq!(run(&mut session, "SELECT sum(b.amount) FROM books b JOIN account a ON a.key = b.account WHERE b.account = 2").await, ["350.5000"]);
    let joined = run(
        &mut session,
        "SELECT a.name, sum(b.amount) FROM books b JOIN account a ON a.key = b.account GROUP BY 1",
    )
    .await;
    assert!(joined[0].starts_with("error 42803"), "{joined:?}");
    assert_eq!(run(&mut session, "SET perfos.aggregates = cube").await, ["SET"]);
    assert_eq!(run(&mut session, sql).await, ["900.0000"]);
    assert_eq!(run(&mut session, "SET perfos.aggregates = leaf").await, ["SET"]);
    assert_eq!(run(&mut session, sql).await, ["3100.0000"]);
}

#[tokio::test]
async fn joins_closures_windows_and_expressions() {
    check(
        "SELECT sum(b.amount * c.weight) FROM books b JOIN account_closure c ON c.descendant = b.account WHERE c.ancestor = 1",
        &["250.2500"],
    )
    .await;
    check(
        "SELECT key, name, parent, depth, weight, account_l1 FROM account ORDER BY key LIMIT 3",
        &[
            "1 | Income | - | 1 | 1 | Income",
            "2 | Sales | 1 | 2 | 1 | Income",
            "3 | Costs | 1 | 2 | -1 | Income",
        ],
    )
    .await;
    check(
        "WITH m AS (SELECT date_month, sum(units) AS u FROM books WHERE account = 2 GROUP BY date_month)
         SELECT date_month, u, sum(u) OVER (ORDER BY date_month) FROM m WHERE u IS NOT NULL ORDER BY 1",
        &["2025-01 | 10 | 10", "2025-02 | 20 | 30", "2025-05 | 5 | 35"],
    )
    .await;
    check(
        "SELECT count(*), count(units), max(amount), min(amount) FROM books WHERE amount > 55",
        &["6 | 2 | 1200.0000 | 60.2500"],
    )
    .await;
    check("SELECT count(*) FROM books WHERE extract(month FROM date) = 2", &["3"]).await;
    check("SELECT count(DISTINCT account) FROM books", &["3"]).await;
    check(
        "SELECT account_l2 FROM books WHERE units > 5 GROUP BY account_l2 HAVING count(*) > 1",
        &["Sales"],
    )
    .await;
}

#[tokio::test]
async fn two_rollups_in_one_query_are_two() {
    check(
        "SELECT (SELECT sum(units) FROM books WHERE account = 2 AND date_quarter = '2025-Q1') -
                (SELECT sum(units) FROM books WHERE account = 2 AND date_quarter = '2025-Q2')",
        &["25"],
    )
    .await;
    check("SELECT count(*), count(*), 1, 1 FROM books", &["8 | 8 | 1 | 1"]).await;
    check(
        "SELECT date_year, date_quarter, count(*) FROM books GROUP BY ROLLUP (date_year, date_quarter) ORDER BY 3, 2, 1",
        &["2025 | 2025-Q2 | 2", "2025 | 2025-Q1 | 6", "2025 | - | 8", "- | - | 8"],
    )
    .await;
}

#[test]
fn a_measure_is_not_called_like_a_level() {
    let measure: cube::model::MeasureDef = parse("name = \"date_year\"\ntype = \"integer\"");
    let changes = [
        Change::Model(ModelChange::AddDimension(parse::<DimensionDef>(DATE))),
        Change::Model(ModelChange::AddDimension(parse::<DimensionDef>(ACCOUNT))),
        Change::Model(ModelChange::AddCube(parse::<CubeDef>(LEDGER))),
        Change::Model(ModelChange::AddMeasure { cube: "books".into(), measure }),
    ];
    let error = Revision::default().apply(&changes).unwrap_err();
    assert!(error.to_string().contains("\"date_year\" is the column of a level"), "{error}");
}

#[tokio::test]
async fn lists_under_or_keep_the_meaning_of_null() {
    let account = "SELECT count(*) FROM account WHERE";
    let mut session = session().await;
    for (condition, expected) in [
        ("account_l2 NOT IN ('Sales') OR account_l2 NOT IN ('Costs')", "3"),
        ("NOT (account_l2 IN ('Sales') AND account_l2 IN ('Costs'))", "3"),
        ("account_l2 NOT IN ('Sales') OR account_l2 IS NULL", "4"),
        ("account_l2 NOT IN ('Sales', NULL) OR account_l2 NOT IN ('Costs', NULL)", "0"),
        ("account_l2 NOT IN ('Sales', 'Costs')", "1"),
    ] {
        assert_eq!(
            run(&mut session, &format!("{account} {condition}")).await,
            [expected],
            "{condition}"
        );
    }
}

#[tokio::test]
async fn read_only_transactions_and_hostile_statements_are_refused() {
    let mut session = session().await;
    run(&mut session, "BEGIN READ ONLY").await;
    let refused = run(&mut session, "UPDATE books SET units = 1").await;
    assert!(refused[0].starts_with("error 25006"), "{refused:?}");
    run(&mut session, "ROLLBACK").await;
    run(&mut session, "SET default_transaction_read_only = on").await;
    assert!(run(&mut session, "DELETE FROM books").await[0].starts_with("error 25006"));
    run(&mut session, "RESET default_transaction_read_only").await;
    let mut check = async |sql: String, state: &str| {
        let found = run(&mut session, &sql).await.join("; ");
        assert!(found.starts_with(&format!("error {state}")), "{sql:.60}\n{found}");
    };
    check("SELECT $70000000000".into(), "42P02").await;
    check(format!("SELECT 1{}", "+1".repeat(5_000)), "54001").await;
    check(format!("SELECT {}1{}", "(".repeat(200), ")".repeat(200)), "54001").await;
    check("SELECT * FROM books FOR UPDATE".into(), "0A000").await;
    check("UPDATE books SET units = 1, units = 2".into(), "42601").await;
    check("SELECT sum(amount) OVER () FROM books".into(), "42803").await;
    check("SELECT sum(amount) FILTER (WHERE units > 1) FROM books".into(), "42803").await;
    check("SELECT sum(DISTINCT amount) FROM books".into(), "42803").await;
}

#[tokio::test]
async fn literals_are_exact() {
    let mut session = session().await;
    run(&mut session, "UPDATE books SET amount = 12345678901234.5678 WHERE account = 2").await;
    let found = run(
        &mut session,
        "SELECT DISTINCT amount + 0.0001 FROM books WHERE amount = 12345678901234.5678",
    )
    .await;
    assert_eq!(found, ["12345678901234.5679"]);
    assert_eq!(
        run(&mut session, "UPDATE books SET units = units * 1.0 WHERE account = 2").await,
        ["UPDATE 3"]
    );
}

#[tokio::test]
async fn explain_says_rollup_or_scan() {
    let mut session = session().await;
    let plan = run(&mut session, "EXPLAIN SELECT account_l1, measure(units) FROM books GROUP BY 1")
        .await
        .join("\n");
    assert!(plan.contains("CubeRollup: books"), "{plan}");
    let plan = run(&mut session, "EXPLAIN SELECT stddev(units) FROM books").await.join("\n");
    assert!(plan.contains("CubeScan: books"), "{plan}");
}

#[tokio::test]
async fn writes_are_exact_or_refused() {
    let mut session = session().await;
    let mut check = async |sql: &str, expected: &str| {
        let found = run(&mut session, sql).await.join("; ");
        assert!(found.starts_with(expected), "{sql}\n{found}");
    };
    check(
        "UPDATE books SET amount = amount * 2 WHERE account = 2 AND date_month = '2025-01'",
        "UPDATE 1",
    )
    .await;
    check("SELECT amount FROM books WHERE account = 2 AND date = '2025-01-31'", "201.0000").await;
    check(
        "UPDATE books SET amount = 1.23456 WHERE account = 2",
        "error 22003 \"1.23456\" is not a valid decimal(18,4)",
    )
    .await;
    check("UPDATE books SET price = 1", "error 428C9 column \"price\" is computed by a formula")
        .await;
    check("UPDATE books SET date_year = 1", "error 428C9 column \"date_year\" is a level").await;
    check("UPDATE books SET amont = 1", "error 42703 column \"amont\"").await;
    check(
        "INSERT INTO books (date, account, amount) VALUES ('2025-01-31', 2, 1)",
        "error 23505 duplicate key",
    )
    .await;
    check("INSERT INTO books (date, account, units) VALUES ('2025-01-31', 3, 7)", "INSERT 0 1")
        .await;
    check("INSERT INTO books (date, account, units) VALUES ('2025-01-31', 3, 8) ON CONFLICT DO NOTHING", "INSERT 0 0").await;
    check("INSERT INTO books (date, account, units) VALUES ('2025-01-31', 3, 9) ON CONFLICT (date, account) DO UPDATE SET units = EXCLUDED.units", "INSERT 0 1").await;
    check("SELECT units FROM books WHERE account = 3 AND date = '2025-01-31'", "9").await;
    check(
        "INSERT INTO books (date, account, amount) VALUES ('2025-01-31', 99, 1)",
        "error 23503 member \"99\" does not exist",
    )
    .await;
    check("INSERT INTO books VALUES ('2025-03-31', 2, 7, 1)", "INSERT 0 1").await;
    check("DELETE FROM books WHERE date = '2025-03-31'", "DELETE 1").await;
    check("SELECT count(*) FROM books", "8").await;
    check("SELECT count(*) FROM bocks", "error 42P01 relation \"bocks\" does not exist").await;
    check("CREATE TABLE x (a int)", "error 0A000").await;
    check("SELEC 1", "error 42601").await;
}

#[tokio::test]
async fn a_transaction_is_private_until_commit() {
    let mut session = session().await;
    assert_eq!(run(&mut session, "BEGIN").await, ["BEGIN"]);
    assert_eq!(
        run(&mut session, "UPDATE books SET units = 0 WHERE account = 2").await,
        ["UPDATE 3"]
    );
    assert_eq!(run(&mut session, "SELECT sum(units) FROM books WHERE account = 2").await, ["0"]);
    assert_eq!(run(&mut session, "ROLLBACK").await, ["ROLLBACK"]);
    assert_eq!(run(&mut session, "SELECT sum(units) FROM books WHERE account = 2").await, ["35"]);
    run(&mut session, "BEGIN").await;
    run(&mut session, "SELECT nothing FROM books").await;
    assert_eq!(session.transaction_status(), TransactionStatus::Failed);
    assert!(run(&mut session, "SELECT 1").await[0].starts_with("error 25P02"));
    assert_eq!(run(&mut session, "COMMIT").await, ["ROLLBACK"]);
    run(&mut session, "BEGIN").await;
    run(&mut session, "UPDATE books SET units = units + 1 WHERE account = 2").await;
    assert_eq!(run(&mut session, "COMMIT").await, ["COMMIT"]);
    assert_eq!(run(&mut session, "SELECT sum(units) FROM books WHERE account = 2").await, ["38"]);
}
