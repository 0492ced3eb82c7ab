//! Maintained aggregates as a session sees them: the same answers, whatever was written since.

use std::sync::Arc;

use cube::aggregate::Key;
use cube::rollup::Arithmetic;
use protocol::branches::Branches;
use protocol::sql::local::LocalSession;

use super::{MemoryTenant, opened, run};

const BY_MONTH: &str =
    "SELECT date_month, account, sum(units), count(*) FROM books GROUP BY 1, 2 ORDER BY 1, 2";
const BY_QUARTER: &str = "SELECT date_quarter, sum(units), count(units) FROM books WHERE account = 2 GROUP BY 1 ORDER BY 1";

fn branches(tenant: &MemoryTenant) -> Arc<Branches> {
    Arc::clone(&tenant.branches.lock().unwrap())
}

/// Units by month and account.
fn add_aggregate(tenant: &MemoryTenant) {
    let branches = branches(tenant);
    let version = &branches.main().revision.version;
    let books = version.model.cube("books").unwrap();
    let cube = version.model.cube_def(books);
    let date = version.dimension(cube.dimensions[0]);
    let month = date.level_columns().iter().find(|column| column.name == "month").unwrap();
    let keys = [Key::Level(0, month.hierarchy, month.position), Key::Members(1)];
    let units = Arithmetic::Measure(cube.measure("units").unwrap());
    let aggregates = version.rows(books).aggregates();
    assert!(aggregates.add(&keys, &[units], version, books).unwrap());
}

async fn explained(session: &mut LocalSession, sql: &str) -> String {
    run(session, &format!("EXPLAIN {sql}")).await.join("\n")
}

/// The rows of a statement that an aggregate answers, which are those that a scan finds.
async fn covered(session: &mut LocalSession, sql: &str) -> Vec<String> {
    let plan = explained(session, sql).await;
    assert!(plan.contains("from aggregate [date_month, account]"), "{plan}");
    let rows = run(session, sql).await;
    run(session, "SET perfos.maintained_aggregates = off").await;
    let plan = explained(session, sql).await;
    assert!(!plan.contains("aggregate ["), "{plan}");
    assert_eq!(run(session, sql).await, rows, "{sql}");
    run(session, "RESET perfos.maintained_aggregates").await;
    rows
}

#[tokio::test]
async fn an_aggregate_answers_after_writes_on_branches_and_in_transactions() {
    let (mut session, tenant) = opened(Vec::new()).await;
    add_aggregate(&tenant);
    let quarters = covered(&mut session, BY_QUARTER).await;
    assert_eq!(quarters, ["2025-Q1 | 30 | 2", "2025-Q2 | 5 | 1"]);
    covered(&mut session, BY_MONTH).await;
    run(&mut session, "UPDATE books SET units = 12 WHERE date = '2025-01-31' AND account = 2")
        .await;
    run(&mut session, "INSERT INTO books (date, account, units) VALUES ('2025-12-01', 3, 7)").await;
    run(&mut session, "DELETE FROM books WHERE date = '2025-05-31' AND account = 2").await;
    assert_eq!(covered(&mut session, BY_QUARTER).await, ["2025-Q1 | 32 | 2"]);
    covered(&mut session, BY_MONTH).await;
    run(&mut session, "CREATE SCHEMA whatif").await;
    run(&mut session, "UPDATE whatif.books SET units = 100 WHERE account = 2").await;
    let total = "SELECT sum(units) FROM whatif.books WHERE account = 2";
    assert_eq!(covered(&mut session, total).await, ["200"]);
    assert_eq!(covered(&mut session, BY_QUARTER).await, ["2025-Q1 | 32 | 2"]);
    run(&mut session, "BEGIN").await;
    run(&mut session, "UPDATE books SET units = 1 WHERE account = 2").await;
    assert_eq!(covered(&mut session, BY_QUARTER).await, ["2025-Q1 | 2 | 2"]);
    run(&mut session, "ROLLBACK").await;
    assert_eq!(covered(&mut session, BY_QUARTER).await, ["2025-Q1 | 32 | 2"]);
}

#[tokio::test]
async fn what_an_aggregate_does_not_hold_is_looked_for_in_rows() {
    let (mut session, tenant) = opened(Vec::new()).await;
    add_aggregate(&tenant);
    for sql in [
        "SELECT date, sum(units) FROM books WHERE account = 2 GROUP BY 1",
        "SELECT sum(units) FROM books WHERE date = '2025-01-31' AND account = 2",
        "SELECT date_month, max(units) FROM books GROUP BY 1",
        "SELECT date_month, measure(amount) FROM books GROUP BY 1",
        "SELECT sum(units) FROM books WHERE units > 5 AND account = 2",
    ] {
        let plan = explained(&mut session, sql).await;
        assert!(plan.contains("CubeRollup") && !plan.contains("aggregate ["), "{sql}: {plan}");
    }
}

#[tokio::test]
async fn aggregates_are_listed_with_what_they_take_and_gave() {
    let (mut session, tenant) = opened(Vec::new()).await;
    let listed =
        "SELECT cube, columns, sums, cells > 0, bytes > 0, hits, base_rows FROM perfos.aggregates";
    assert!(run(&mut session, listed).await.is_empty());
    add_aggregate(&tenant);
    covered(&mut session, BY_MONTH).await;
    let expected = ["books | date_month, account | units | true | true | 1 | 8"];
    assert_eq!(run(&mut session, listed).await, expected);
    let refused = run(&mut session, "SET perfos.maintained_aggregates = perhaps").await;
    assert!(refused[0].starts_with("error 22023"), "{refused:?}");
}
