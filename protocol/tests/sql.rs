//! SQL over a small tenant in memory: one `check(statement, expected rows)` a behaviour.

#[path = "sql/aggregates.rs"]
mod aggregates;
#[path = "sql/branches.rs"]
mod branches;
#[path = "sql/given.rs"]
mod given;
#[path = "sql/growth.rs"]
mod growth;
#[path = "sql/overrides.rs"]
mod overrides;
#[path = "sql/prepared.rs"]
mod prepared;
#[path = "sql/ratios.rs"]
mod ratios;
#[path = "sql/rollups.rs"]
mod rollups;
#[path = "sql/texts.rs"]
mod texts;

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use calc::{Recomputed, Revision};
use cube::change::{DatedValue, DatedWrite, MemberWrite, MembersWrite};
use cube::model::{CubeDef, DimensionDef, FormulaDef, ModelChange};
use cube::view::MemoryReservation;
use cube::{AttributeId, Change, DimensionId, HierarchyId, LevelId, MemberId, Scalar};
use datafusion::arrow::util::display::{ArrayFormatter, FormatOptions};
use futures::TryStreamExt;
use protocol::branches::{Branches, MAIN, ReadPoint};
use protocol::error::SqlError;
use protocol::sql::local::{LocalSession, SessionOptions};
use protocol::sql::session::{Outcome, Prepared, Session, TransactionStatus};
use protocol::tenant::{Command, LedgerEntry, NewBranch, OldBranch, Receipt, Tenant};

/// A tenant without a ledger.
struct MemoryTenant {
    branches: Mutex<Arc<Branches>>,
    memory: MemoryReservation,
}

impl MemoryTenant {
    fn entry(&self, author: String, branch: &str, reason: String) -> LedgerEntry {
        LedgerEntry {
            sequence: self.branches.lock().unwrap().sequence + 1,
            time_us: 0,
            branch: branch.to_owned(),
            author,
            origin: String::new(),
            reason,
            summary: String::new(),
            recomputed: String::new(),
        }
    }
}

#[async_trait]
impl Tenant for MemoryTenant {
    fn name(&self) -> &str {
        "memory"
    }

    fn read(&self, _user: &str) -> Result<ReadPoint, SqlError> {
        Ok(ReadPoint {
            branches: Arc::clone(&self.branches.lock().unwrap()),
            rights: Arc::default(),
            memory: self.memory.clone(),
        })
    }

    async fn submit(&self, command: Command) -> Result<Receipt, SqlError> {
        let entry = self.entry(command.author, &command.branch, command.reason);
        let mut branches = self.branches.lock().unwrap();
        let branch = Arc::clone(branches.get(&command.branch)?);
        assert_eq!(command.branch_number, Some(branch.number));
        let advanced = branches.advanced(&branch, &command.changes)?;
        let recomputed = advanced.all_recomputed();
        Arc::make_mut(&mut branches).commit(branch.number, advanced, &command.changes, &entry);
        Ok(Receipt { sequence: entry.sequence, recomputed })
    }

    async fn create_branch(&self, new: NewBranch) -> Result<Receipt, SqlError> {
        let entry = self.entry(new.author, &new.name, new.reason);
        let mut branches = self.branches.lock().unwrap();
        branches.check_new_name(&new.name)?;
        let base = Arc::clone(branches.get(&new.from)?);
        let revision = branches.first_revision(&base, &new.name)?;
        Arc::make_mut(&mut branches).create(&base, revision, &entry);
        Ok(Receipt { sequence: entry.sequence, recomputed: Recomputed::default() })
    }

    async fn drop_branch(&self, old: OldBranch) -> Result<Receipt, SqlError> {
        let entry = self.entry(old.author, &old.name, old.reason);
        let mut branches = self.branches.lock().unwrap();
        let number = branches.get(&old.name)?.number;
        Arc::make_mut(&mut branches).remove(number, &entry);
        Ok(Receipt { sequence: entry.sequence, recomputed: Recomputed::default() })
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

/// Months of the calendar, and fiscal years, beside the days of `books`.
const PLAN: &str = r#"
name = "plan"
kind = "cells"
dimensions = ["date.month", "account"]
[[measure]]
name = "target"
type = "decimal(18,2)"
[[measure]]
name = "rate"
type = "decimal(9,4)"
consolidation = "none"
[[measure]]
name = "note"
type = "text"
consolidation = "none"
"#;

const GRANTS: &str = r#"
name = "grants"
kind = "records"
key = [{ name = "id", type = "integer" }]
dimensions = ["date.fiscal_year"]
[[measure]]
name = "value"
type = "integer"
[[measure]]
name = "state"
type = "text"
consolidation = "none"
[[measure]]
name = "size"
type = "text"
consolidation = "none"
"#;

const REP: &str = r#"
name = "rep"
[[attribute]]
name = "manager"
type = "member of rep"
[[attribute]]
name = "grade"
type = "integer"
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

/// A rep with a manager.
fn rep(key: &str, manager: Option<&str>) -> MemberWrite {
    let manager = manager.map(|manager| Scalar::Text(manager.into()));
    let attributes = vec![(AttributeId(0), manager)];
    MemberWrite { key: key.into(), attributes, ..MemberWrite::default() }
}

/// A rep's manager from a day on.
fn managed(member: &str, from: &str, manager: Option<&str>) -> DatedValue {
    let valid_from = cube::value::parse_date(from).unwrap();
    let value = manager.map(|manager| Scalar::Text(manager.into()));
    DatedValue { member: member.into(), valid_from, value }
}

async fn session() -> LocalSession {
    session_with(Vec::new()).await
}

/// The tenant with more in its model.
async fn session_with(more: Vec<ModelChange>) -> LocalSession {
    opened(more).await.0
}

async fn opened(more: Vec<ModelChange>) -> (LocalSession, Arc<MemoryTenant>) {
    let formula = FormulaDef {
        target: "books.price".into(),
        text: "amount / units".into(),
        description: String::new(),
        at_or_above: [("date".to_string(), "quarter".to_string())].into(),
    };
    let size = FormulaDef {
        target: "grants.size".into(),
        text: "IF(value > 8, 'big', 'small') & '!'".into(),
        description: String::new(),
        at_or_above: Default::default(),
    };
    let members = vec![
        member("1", "Income", None, "+", "flow"),
        member("2", "Sales", Some("1"), "+", "flow"),
        member("3", "Costs", Some("1"), "-", "flow"),
        member("4", "Balance", None, "~", "stock"),
        member("5", "Cash", Some("4"), "+", "stock"),
    ];
    let mut changes = vec![
        Change::Model(ModelChange::AddDimension(parse::<DimensionDef>(DATE))),
        Change::Model(ModelChange::AddDimension(parse::<DimensionDef>(ACCOUNT))),
        Change::Model(ModelChange::AddCube(parse::<CubeDef>(LEDGER))),
        Change::Model(ModelChange::AddCube(parse::<CubeDef>(PLAN))),
        Change::Model(ModelChange::AddCube(parse::<CubeDef>(GRANTS))),
        Change::Model(ModelChange::SetFormula(formula)),
        Change::Model(ModelChange::SetFormula(size)),
        Change::Model(ModelChange::AddDimension(parse::<DimensionDef>(REP))),
        Change::Members(MembersWrite {
            dimension: DimensionId(2),
            first_new: MemberId(0),
            members: vec![rep("ana", None), rep("bob", Some("ana")), rep("eva", Some("ana"))],
        }),
        Change::Dated(DatedWrite {
            dimension: DimensionId(2),
            attribute: AttributeId(0),
            values: vec![
                managed("eva", "2025-04-01", Some("bob")),
                managed("eva", "2025-09-01", None),
            ],
        }),
        Change::Members(MembersWrite {
            dimension: DimensionId(1),
            first_new: MemberId(0),
            members,
        }),
    ];
    changes.extend(more.into_iter().map(Change::Model));
    let memory = MemoryReservation::new(u64::MAX / 2);
    let tenant = MemoryTenant { branches: Mutex::default(), memory };
    let entry = tenant.entry("ada".into(), MAIN, "the beginning".into());
    let mut branches = Branches::default();
    let advanced = branches.advanced(branches.main(), &changes).unwrap();
    branches.commit(0, advanced, &changes, &entry);
    *tenant.branches.lock().unwrap() = Arc::new(branches);
    let tenant = Arc::new(tenant);
    let options = SessionOptions {
        user: "ada".into(),
        origin: "test".into(),
        backend_pid: 1,
        server_started_us: 0,
    };
    let mut session = LocalSession::new(Arc::clone(&tenant) as _, options).unwrap();
    let rows = "INSERT INTO books (date, account, amount, units) VALUES
        ('2025-01-31', 2, 100.50, 10), ('2025-01-31', 3, 40, NULL), ('2025-01-31', 5, 1000, NULL),
        ('2025-02-28', 2, 200, 20), ('2025-02-28', 3, 60.25, NULL), ('2025-02-28', 5, 1200, NULL),
        ('2025-05-31', 2, 50, 5), ('2025-05-31', 5, 900, NULL)";
    assert_eq!(run(&mut session, rows).await, ["INSERT 0 8"]);
    (session, tenant)
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
    execute(session, &prepared).await
}

async fn execute(session: &mut LocalSession, prepared: &Prepared) -> Result<Vec<String>, SqlError> {
    match session.execute(prepared, Vec::new()).await? {
        Outcome::Done { tag } => Ok(vec![tag]),
        Outcome::Rows { stream, .. } => {
            let batches: Vec<_> = stream
                .try_collect()
                .await
                .map_err(|error| protocol::sql::sqlstate::from_engine(&error, ""))?;
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
async fn a_measure_of_no_rows_is_blank() {
    for none in ["false", "(date_year = 2022 OR date_year = 2024) AND date_year IN (2023)"] {
        let sql = |what: &str| format!("SELECT {what} FROM books WHERE {none}");
        check(&sql("measure(amount)"), &["-"]).await;
        check(&sql("measure(amount), measure(price), count(*)"), &["- | - | 0"]).await;
        check(&format!("{} GROUP BY 1", sql("account, measure(amount)")), &[]).await;
    }
}

#[tokio::test]
async fn positions_in_grouping_sets_are_refused() {
    for grouping in ["ROLLUP (1)", "CUBE (1)", "GROUPING SETS ((1), ())"] {
        let sql = format!("SELECT account, count(*) FROM books GROUP BY {grouping}");
        let refused = run(&mut session().await, &sql).await;
        assert!(refused[0].starts_with("error 0A000 a position in ROLLUP"), "{refused:?}");
    }
    check(
        "SELECT account, count(*) FROM books GROUP BY ROLLUP (account) ORDER BY 1 NULLS FIRST",
        &["- | 8", "2 | 3", "3 | 2", "5 | 3"],
    )
    .await;
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

/// The session with targets by month and grants by fiscal year.
async fn planned() -> LocalSession {
    let mut session = session().await;
    let targets = "INSERT INTO plan (date, account, target, rate) VALUES
        ('2025-01', 2, 150, 0.5), ('2025-01', 3, 30, NULL), ('2025-02', 2, 250, 0.25),
        ('2025-07', 2, 1000, NULL)";
    assert_eq!(run(&mut session, targets).await, ["INSERT 0 4"]);
    let grants = "INSERT INTO grants VALUES (1, 'FY2025', 10), (2, 'FY2026', 20), (3, 'FY2025', 5)";
    assert_eq!(run(&mut session, grants).await, ["INSERT 0 3"]);
    session
}

async fn check_planned(sql: &str, expected: &[&str]) {
    assert_eq!(run(&mut planned().await, sql).await, expected, "{sql}");
}

#[tokio::test]
async fn a_cube_of_months_has_their_keys_and_the_levels_above() {
    let columns = "SELECT column_name || ' ' || data_type FROM information_schema.columns
        WHERE table_name = 'plan' AND column_name LIKE 'date%' ORDER BY ordinal_position";
    check_planned(
        columns,
        &[
            "date text",
            "date_year integer",
            "date_quarter text",
            "date_month text",
            "date_fiscal_year integer",
            "date_fiscal_quarter text",
        ],
    )
    .await;
    check_planned("SELECT date_day FROM plan", &["error 42703 column \"date_day\" does not exist"])
        .await;
    check_planned(
        "SELECT date, date_quarter, date_month, date_fiscal_year, target FROM plan WHERE account = 2 ORDER BY date",
        &[
            "2025-01 | 2025-Q1 | 2025-01 | 2025 | 150.00",
            "2025-02 | 2025-Q1 | 2025-02 | 2025 | 250.00",
            "2025-07 | 2025-Q3 | 2025-07 | 2026 | 1000.00",
        ],
    )
    .await;
    let keys = "SELECT conrelid::regclass::text || ' ' || confrelid::regclass::text
        FROM pg_constraint WHERE contype = 'f' ORDER BY 1";
    check_planned(keys, &["books account", "books date", "plan account"]).await;
}

#[tokio::test]
async fn a_cube_of_months_rolls_up_and_filters() {
    let check = check_planned;
    check("SELECT measure(target) FROM plan", &["1370.00"]).await;
    check(
        "SELECT date_fiscal_year, account_l1, measure(target) FROM plan GROUP BY 1, 2 ORDER BY 1",
        &["2025 | Income | 370.00", "2026 | Income | 1000.00"],
    )
    .await;
    check(
        "SELECT date, measure(target), measure(rate) FROM plan WHERE account = 2 GROUP BY date ORDER BY 1",
        &["2025-01 | 150.00 | 0.5000", "2025-02 | 250.00 | 0.2500", "2025-07 | 1000.00 | -"],
    )
    .await;
    check("SELECT sum(target) FROM plan WHERE date = '2025-01' AND account = 2", &["150.00"]).await;
    check("SELECT count(*) FROM plan WHERE date = '2025-13'", &["0"]).await;
    check(
        "SELECT measure(rate) FROM plan WHERE date_month = '2025-01' AND account = 2",
        &["0.5000"],
    )
    .await;
    check("SELECT measure(rate) FROM plan WHERE date_quarter = '2025-Q1' AND account = 2", &["-"])
        .await;
    check("SELECT sum(target) FROM plan WHERE date_year = 2025 AND account = 2", &["1400.00"])
        .await;
    check("SELECT left(date, 4), measure(target) FROM plan GROUP BY 1", &["2025 | 1370.00"]).await;
    check(
        "SELECT id, date, date_fiscal_year FROM grants WHERE date = 'FY2025' ORDER BY id",
        &["1 | FY2025 | 2025", "3 | FY2025 | 2025"],
    )
    .await;
    check(
        "SELECT date_fiscal_year, sum(value) FROM grants GROUP BY 1 ORDER BY 1",
        &["2025 | 15", "2026 | 20"],
    )
    .await;
}

#[tokio::test]
async fn cubes_at_two_levels_join_on_the_level_they_share() {
    check_planned(
        "WITH actual AS (SELECT date_month AS month, measure(amount) AS amount FROM books WHERE account = 2 GROUP BY 1),
              target AS (SELECT date_month AS month, measure(target) AS target FROM plan WHERE account = 2 GROUP BY 1)
         SELECT COALESCE(a.month, t.month) AS m, a.amount, t.target FROM actual a FULL JOIN target t ON a.month = t.month ORDER BY m",
        &[
            "2025-01 | 100.5000 | 150.00",
            "2025-02 | 200.0000 | 250.00",
            "2025-05 | 50.0000 | -",
            "2025-07 | - | 1000.00",
        ],
    )
    .await;
}

#[tokio::test]
async fn a_cube_of_months_is_written_at_months() {
    let mut session = planned().await;
    let mut check = async |sql: &str, expected: &str| {
        let found = run(&mut session, sql).await.join("; ");
        assert!(found.starts_with(expected), "{sql}\n{found}");
    };
    check(
        "UPDATE plan SET target = target * 2 WHERE date_quarter = '2025-Q1' AND account = 2",
        "UPDATE 2",
    )
    .await;
    check("SELECT target FROM plan WHERE date = '2025-02' AND account = 2", "500.00").await;
    check("DELETE FROM plan WHERE date = '2025-07'", "DELETE 1").await;
    check("INSERT INTO plan VALUES ('2025-07', 3, 9)", "INSERT 0 1").await;
    check("INSERT INTO plan VALUES ('2025-07', 3, 8)", "error 23505").await;
    check("INSERT INTO plan VALUES ('2025-07', 3, 8) ON CONFLICT (date, account) DO UPDATE SET target = EXCLUDED.target", "INSERT 0 1").await;
    check("SELECT target FROM plan WHERE date = '2025-07'", "8.00").await;
    check(
        "INSERT INTO plan VALUES ('2025-07-31', 3, 9)",
        "error 22P02 \"2025-07-31\" is not a valid month of dimension date: it is on level day, and the cube is at month",
    )
    .await;
    check(
        "INSERT INTO plan VALUES ('2025-13', 3, 9)",
        "error 23503 member \"2025-13\" does not exist",
    )
    .await;
    check("INSERT INTO books VALUES ('2025-07', 3, 9)", "error 22").await;
    check("UPDATE grants SET value = value + 1 WHERE date = 'FY2025'", "UPDATE 2").await;
    check("DELETE FROM grants WHERE date_fiscal_year = 2026", "DELETE 1").await;
    check("SELECT sum(value) FROM grants", "17").await;
    check(
        "INSERT INTO grants VALUES (9, '2025', 1)",
        "error 22P02 \"2025\" is not a valid fiscal_year of dimension date: it is on level year",
    )
    .await;
}

#[tokio::test]
async fn attributes_of_members_and_their_history() {
    check(
        "SELECT key, manager, grade FROM rep ORDER BY key",
        &["ana | - | -", "bob | ana | -", "eva | - | -"],
    )
    .await;
    check(
        "SELECT * FROM rep_history ORDER BY key, valid_from NULLS FIRST",
        &[
            "bob | manager | - | - | ana",
            "eva | manager | - | 2025-04-01 | ana",
            "eva | manager | 2025-04-01 | 2025-09-01 | bob",
            "eva | manager | 2025-09-01 | - | -",
        ],
    )
    .await;
    check(
        "SELECT value FROM rep_history WHERE key = 'eva' AND attribute = 'manager'
            AND COALESCE(valid_from <= DATE '2025-08-31', true) AND COALESCE(valid_to > DATE '2025-08-31', true)",
        &["bob"],
    )
    .await;
    check(
        "SELECT table_name FROM information_schema.tables WHERE table_name LIKE '%history'",
        &["rep_history"],
    )
    .await;
    check(
        "SELECT * FROM account_history",
        &["error 42P01 relation \"account_history\" does not exist"],
    )
    .await;
    check(
        "DELETE FROM rep_history",
        &["error 0A000 dimension table \"rep_history\" is not written by SQL"],
    )
    .await;
}
