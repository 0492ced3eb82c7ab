//! Schemas as branches: what statements read and write.

use super::{run, session};
use protocol::sql::local::LocalSession;
use protocol::sql::session::Session;

/// Runs statements one after the other; each answers one line, or an error that begins so.
async fn script(session: &mut LocalSession, steps: &[(&str, &str)]) {
    for (sql, expected) in steps {
        let found = run(session, sql).await.join("\n");
        match expected.starts_with("error ") {
            true => assert!(found.starts_with(expected), "{sql}\n{found}"),
            false => assert_eq!(&found, expected, "{sql}"),
        }
    }
}

const UNITS: &str = "SELECT sum(units) FROM books WHERE account = 2";

#[tokio::test]
async fn a_branch_is_a_schema_of_its_own() {
    let mut session = session().await;
    let steps = [
        ("SET perfos.reason = 'what if'", "SET"),
        ("CREATE SCHEMA whatif", "CREATE SCHEMA"),
        ("SELECT sum(units) FROM whatif.books WHERE account = 2", "35"),
        ("UPDATE whatif.books SET units = units * 2 WHERE account = 2", "UPDATE 3"),
        (UNITS, "35"),
        ("SELECT sum(units) FROM \"whatif\".books WHERE account = 2", "70"),
        ("UPDATE books SET units = 1 WHERE account = 2 AND date = '2025-01-31'", "UPDATE 1"),
        ("SELECT sum(units) FROM whatif.books WHERE account = 2", "70"),
        ("SELECT sum(units) FROM main.books WHERE account = 2", "26"),
        ("SELECT sum(units) FROM public.books WHERE account = 2", "26"),
        ("SET search_path TO whatif, public", "SET"),
        (UNITS, "70"),
        ("SELECT current_schema()", "whatif"),
        ("DELETE FROM books WHERE date = '2025-05-31' AND account = 2", "DELETE 1"),
        ("SELECT count(*) FROM books", "7"),
        ("SELECT count(*) FROM public.books", "8"),
        ("INSERT INTO public.books VALUES ('2025-12-31', 2, 7, 1)", "INSERT 0 1"),
        ("SELECT count(*) FROM public.books", "9"),
        ("SELECT count(*) FROM books", "7"),
        (
            "SELECT name, owner, reason, base, base_sequence, head_sequence, entries FROM perfos.branches ORDER BY 1",
            "main | - | - | - | - | 7 | 4\nwhatif | ada | what if | main | 2 | 6 | 2",
        ),
        ("SET search_path TO public", "SET"),
        ("DROP SCHEMA whatif CASCADE", "DROP SCHEMA"),
        ("SELECT count(*) FROM whatif.books", "error 3F000 branch \"whatif\" does not exist"),
    ];
    script(&mut session, &steps).await;
}

#[tokio::test]
async fn branches_are_compared_by_joining_them() {
    let mut session = session().await;
    let steps = [
        ("CREATE SCHEMA whatif", "CREATE SCHEMA"),
        ("UPDATE whatif.books SET amount = amount + 0.5 WHERE account = 2", "UPDATE 3"),
        (
            "SELECT p.date_month, w.amount - p.amount FROM public.books p JOIN whatif.books w
             ON w.date = p.date AND w.account = p.account WHERE w.amount <> p.amount ORDER BY 1",
            "2025-01 | 0.5000\n2025-02 | 0.5000\n2025-05 | 0.5000",
        ),
        (
            "WITH p AS (SELECT date_quarter AS q, measure(amount) AS m FROM public.books GROUP BY 1),
                  w AS (SELECT date_quarter AS q, measure(amount) AS m FROM whatif.books GROUP BY 1)
             SELECT p.q, p.m, w.m FROM p JOIN w ON p.q = w.q ORDER BY 1",
            "2025-Q1 | 200.2500 | 201.2500\n2025-Q2 | 50.0000 | 50.5000",
        ),
        (
            "SELECT (SELECT sum(amount) FROM public.books WHERE account = 2) -
                    (SELECT sum(amount) FROM whatif.books WHERE account = 2)",
            "-1.5000",
        ),
        (
            "INSERT INTO whatif.books (date, account, units) SELECT date, 3, units FROM public.books
             WHERE account = 2 AND date = '2025-05-31'",
            "INSERT 0 1",
        ),
    ];
    script(&mut session, &steps).await;
}

#[tokio::test]
async fn a_prepared_statement_follows_the_branch() {
    let mut session = session().await;
    script(&mut session, &[("CREATE SCHEMA whatif", "CREATE SCHEMA")]).await;
    let parsed = session.parse("SELECT sum(units) FROM whatif.books WHERE account = 2").unwrap();
    let statement = parsed.into_iter().next().unwrap();
    let prepared = session.prepare(statement, &[]).await.unwrap();
    script(&mut session, &[("UPDATE whatif.books SET units = 1 WHERE account = 2", "UPDATE 3")])
        .await;
    assert_eq!(super::execute(&mut session, &prepared).await.unwrap(), ["3"]);
    script(&mut session, &[("DROP SCHEMA whatif", "DROP SCHEMA")]).await;
    let gone = super::execute(&mut session, &prepared).await.unwrap_err();
    assert_eq!(gone.sqlstate, "3F000");
}

#[tokio::test]
async fn a_transaction_sees_all_branches_as_they_were_and_writes_one() {
    let mut session = session().await;
    let steps = [
        ("CREATE SCHEMA whatif", "CREATE SCHEMA"),
        ("BEGIN", "BEGIN"),
        ("UPDATE whatif.books SET units = 0 WHERE account = 2", "UPDATE 3"),
        ("SELECT sum(units) FROM whatif.books WHERE account = 2", "0"),
        (UNITS, "35"),
        (
            "UPDATE books SET units = 0 WHERE account = 2",
            "error 0A000 a transaction writes one branch",
        ),
        ("ROLLBACK", "ROLLBACK"),
        ("SELECT sum(units) FROM whatif.books WHERE account = 2", "35"),
        ("BEGIN", "BEGIN"),
        ("SET search_path = whatif", "SET"),
        ("UPDATE books SET units = 5 WHERE account = 2", "UPDATE 3"),
        ("COMMIT", "COMMIT"),
        (UNITS, "15"),
        ("SELECT sum(units) FROM public.books WHERE account = 2", "35"),
        ("BEGIN", "BEGIN"),
        ("CREATE SCHEMA other", "error 25001 CREATE SCHEMA cannot run inside a transaction"),
        ("ROLLBACK", "ROLLBACK"),
    ];
    script(&mut session, &steps).await;
}

#[tokio::test]
async fn catalogs_list_branches_as_schemas() {
    let mut session = session().await;
    let steps = [
        ("CREATE SCHEMA IF NOT EXISTS whatif", "CREATE SCHEMA"),
        ("CREATE SCHEMA IF NOT EXISTS whatif", "CREATE SCHEMA"),
        (
            "SELECT schema_name FROM information_schema.schemata ORDER BY 1",
            "information_schema\nperfos\npg_catalog\npublic\nwhatif",
        ),
        ("SELECT count(*) FROM pg_namespace WHERE nspname = 'whatif'", "1"),
        (
            "SELECT table_schema FROM information_schema.tables WHERE table_name = 'books' ORDER BY 1",
            "public\nwhatif",
        ),
        ("SELECT 'whatif.books'::regclass = 'public.books'::regclass", "false"),
        ("SELECT pg_table_is_visible('whatif.books'::regclass)", "false"),
        ("SET search_path TO whatif", "SET"),
        ("SELECT pg_table_is_visible('whatif.books'::regclass)", "true"),
    ];
    script(&mut session, &steps).await;
}

#[tokio::test]
async fn mistakes_about_branches_say_what_to_do() {
    let mut session = session().await;
    let steps = [
        ("CREATE SCHEMA whatif", "CREATE SCHEMA"),
        ("CREATE SCHEMA whatif", "error 42P06 branch \"whatif\" exists already"),
        ("CREATE SCHEMA main", "error 42939 \"main\" is reserved"),
        ("CREATE SCHEMA pg_mine", "error 42939"),
        ("CREATE SCHEMA \"What if\"", "error 42602 \"What if\" cannot be the name of a branch"),
        ("CREATE SCHEMA b CLONE nothing", "error 3F000 branch \"nothing\" does not exist"),
        ("CREATE SCHEMA AUTHORIZATION ada", "error 0A000"),
        ("DROP SCHEMA whatiff", "error 3F000 branch \"whatiff\" does not exist"),
        ("DROP SCHEMA IF EXISTS whatiff", "DROP SCHEMA"),
        ("SET search_path TO whatiff", "error 3F000 branch \"whatiff\" does not exist"),
        ("SELECT set_config('search_path', 'whatiff', false)", "error 3F000"),
        ("SELECT * FROM whatiff.books", "error 3F000 branch \"whatiff\" does not exist"),
        ("UPDATE whatiff.books SET units = 1", "error 3F000"),
        ("UPDATE perfos.ledger SET author = ''", "error 42501 perfos.ledger cannot be written"),
        ("SELECT * FROM whatif.bocks", "error 42P01 relation \"whatif.bocks\" does not exist"),
        ("SET search_path TO whatif", "SET"),
        ("DROP SCHEMA whatif", "DROP SCHEMA"),
        (UNITS, "error 3F000 branch \"whatif\" does not exist"),
        ("SET search_path TO public", "SET"),
        (UNITS, "35"),
        ("SET search_path TO ''", "SET"),
        (UNITS, "35"),
        ("SET default_transaction_read_only = on", "SET"),
        ("CREATE SCHEMA b", "error 25006"),
        ("DROP SCHEMA b", "error 25006"),
    ];
    script(&mut session, &steps).await;
    let hint = session.set("search_path", "pulbic").unwrap_err().hint;
    assert!(hint.is_some_and(|hint| hint.contains("did you mean")), "a hint");
}

#[tokio::test]
async fn rules_have_versions() {
    let mut session = session().await;
    let steps = [(
        "SELECT target, version, text, author, sequence, reason, active FROM perfos.rules WHERE target LIKE 'books%'",
        "books.price | 1 | amount / units | ada | 1 | the beginning | true",
    )];
    script(&mut session, &steps).await;
}
