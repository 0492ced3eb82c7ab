//! Branches and rules from end to end: the command line, psql, HTTP, restarts and `kill -9`.

use anyhow::{Result, ensure};
use postgres::{Client, NoTls};
use tests::{DataFolder, Server, USER, root, text_of};

const DEALS: &str = "INSERT INTO deals (deal, rep, date, amount) VALUES \
    (1, 2, '2026-03-01', 100), (2, 3, '2026-03-02', 50), (3, 2, '2026-04-01', 10)";
const AMOUNT: &str = "SELECT sum(amount) FROM deals";

fn small_tenant() -> Result<DataFolder> {
    let data = DataFolder::new("small")?;
    let model = root().join("tests/models/small");
    data.run(&["apply", &model.to_string_lossy(), "--reason", "the first model"])?;
    let (reps, map) = (model.join("maps/reps.csv"), model.join("maps/reps.toml"));
    let (reps, map) = (reps.to_string_lossy(), map.to_string_lossy());
    data.run(&["load", &reps, "--dimension", "rep", "--map", &map])?;
    data.run(&["query", DEALS])?;
    Ok(data)
}

fn ok(data: &DataFolder, server: &Server, arguments: &[&str]) -> Result<String> {
    let output = server.run(data, arguments)?;
    ensure!(output.status.success(), "{arguments:?}\n{}", text_of(&output));
    Ok(String::from_utf8(output.stdout)?)
}

fn contains(text: &str, parts: &[&str]) -> Result<()> {
    for part in parts {
        ensure!(text.contains(part), "{part:?} is missing:\n{text}");
    }
    Ok(())
}

#[test]
fn a_planner_tries_something_on_a_branch() -> Result<()> {
    let data = small_tenant()?;
    let server = data.serve()?;
    ok(&data, &server, &["branch", "create", "whatif", "--reason", "more deals"])?;
    server.rows("UPDATE whatif.deals SET amount = amount * 2 WHERE rep = 2")?;
    ensure!(server.rows(AMOUNT)? == ["160.00"], "main stays");
    ensure!(server.rows("SELECT sum(amount) FROM whatif.deals")? == ["270.00"]);
    ensure!(server.rows("SELECT sum(sales) FROM whatif.quota")? == ["270.00"], "recomputed");
    // the connection option, as tools set it
    let connection = format!("{} options='-c search_path=whatif'", server.connection_string());
    let mut client = Client::connect(&connection, NoTls)?;
    let row = client.query_one("SELECT count(*) FROM deals WHERE amount > 150", &[])?;
    ensure!(row.get::<_, i64>(0) == 1);
    client.execute(
        "INSERT INTO deals (deal, rep, date, amount) VALUES (9, 3, '2026-05-01', 1)",
        &[],
    )?;
    let joined = server.rows(
        "SELECT w.deal, w.amount - p.amount FROM whatif.deals w JOIN public.deals p \
         ON p.deal = w.deal WHERE p.amount <> w.amount ORDER BY 1",
    )?;
    ensure!(joined == ["1,100.00", "3,10.00"], "{joined:?}");
    let schemas = server.rows("SELECT nspname FROM pg_namespace WHERE nspname = 'whatif'")?;
    ensure!(schemas == ["whatif"]);
    let compared = ok(
        &data,
        &server,
        &["branch", "compare", "main", "whatif", "--cube", "deals", "--limit", "2"],
    )?;
    contains(
        &compared,
        &[
            "271.00      111.00",
            "2 rows changed, 0 only in main, 1 only in whatif; 6 cells differ",
            "the 2 largest of 6 follow",
        ],
    )?;
    let equal = ok(&data, &server, &["branch", "compare", "whatif", "whatif"])?;
    contains(&equal, &["whatif and whatif are equal"])?;
    let listed = ok(&data, &server, &["branch", "list"])?;
    contains(&listed, &["whatif", "more deals", USER, "main@3"])?;
    ok(&data, &server, &["branch", "drop", "whatif"])?;
    let gone = server.run(&data, &["query", "--branch", "whatif", AMOUNT])?;
    ensure!(!gone.status.success());
    contains(&text_of(&gone), &["branch \"whatif\" does not exist", "hint: "])
}

#[test]
fn branches_survive_kill_and_restart() -> Result<()> {
    let data = small_tenant()?;
    let server = data.serve()?;
    server.rows("CREATE SCHEMA gone")?;
    server.rows("CREATE SCHEMA whatif")?;
    server.rows("UPDATE whatif.deals SET amount = 7 WHERE deal = 1")?;
    server.rows("DROP SCHEMA gone CASCADE")?;
    server.rows("UPDATE deals SET amount = 101 WHERE deal = 1")?;
    server.kill()?;
    let verified = data.run(&["verify"])?;
    contains(&verified, &["small: branch whatif, 1 entries, state ", "verified 8 entries"])?;
    let server = data.serve()?;
    ensure!(server.rows(AMOUNT)? == ["161.00"]);
    ensure!(server.rows("SELECT sum(amount) FROM whatif.deals")? == ["67.00"]);
    server.rows(
        "INSERT INTO whatif.deals (deal, rep, date, amount) VALUES (4, 2, '2026-06-01', 3)",
    )?;
    server.rows("CREATE SCHEMA gone")?;
    ensure!(server.rows("SELECT sum(amount) FROM gone.deals")? == ["161.00"]);
    server.kill()?;
    let offline = data.run(&["query", "--branch", "whatif", "--format", "csv", AMOUNT])?;
    ensure!(offline.ends_with("\n70.00\n"), "{offline}");
    let compared = data.run(&["branch", "compare", "main", "whatif", "--format", "json"])?;
    let total = r#"{"measure":"amount","from":"161.00","to":"70.00","difference":"-91.00"}"#;
    // the order of an object's members is nobody's promise
    let parts = total.trim_matches(['{', '}']).split(',').collect::<Vec<_>>();
    contains(&compared, &parts)
}

#[test]
fn a_branch_takes_models_and_files() -> Result<()> {
    let data = small_tenant()?;
    let server = data.serve()?;
    server.rows("CREATE SCHEMA whatif")?;
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("deals.csv");
    std::fs::write(&file, "deal,rep,date,amount\n5,2,2026-03-05,5.50\n")?;
    let file = file.to_string_lossy();
    ok(&data, &server, &["load", &file, "--cube", "deals", "--branch", "whatif"])?;
    ensure!(server.rows("SELECT sum(amount) FROM whatif.deals")? == ["165.50"]);
    ensure!(server.rows(AMOUNT)? == ["160.00"]);
    let unknown = server.run(&data, &["load", &file, "--cube", "deals", "--branch", "x"])?;
    contains(&text_of(&unknown), &["branch \"x\" does not exist"])?;
    let model = root().join("tests/models/small");
    let model = model.to_string_lossy();
    let applied = ok(&data, &server, &["apply", &model, "--branch", "whatif"])?;
    contains(&applied, &["the model is up to date"])
}

#[test]
fn a_rule_is_tried_set_and_put_back() -> Result<()> {
    let data = small_tenant()?;
    let server = data.serve()?;
    let commission = "SELECT sum(commission) FROM deals";
    let before = server.rows(commission)?;
    let entries = server.rows("SELECT count(*) FROM perfos.ledger")?;
    let text = "amount * rep.rate * 2";
    let tried = ok(&data, &server, &["rule", "compare", "deals.commission", "--text", text])?;
    contains(&tried, &["rule deals.commission: main: amount * rep.rate; ", "3 cells differ"])?;
    ensure!(server.rows("SELECT count(*) FROM perfos.ledger")? == entries, "no trace");
    ensure!(server.rows(commission)? == before, "nothing changed");
    // the marks stand under the text, whatever a door writes before it
    let wrong = ["rule", "compare", "deals.commission", "--text", "amount * rep.rat"];
    let marked = text_of(&server.run(&data, &wrong)?);
    contains(&marked, &["\namount * rep.rat\n             ^^^\nhint: did you mean rate?"])?;
    let set = ["rule", "set", "deals.commission", "--text", text, "--reason", "agreed on 12 May"];
    contains(&ok(&data, &server, &set)?, &["version 2 is in force"])?;
    ensure!(server.rows(commission)? != before);
    let back =
        ok(&data, &server, &["rule", "rollback", "deals.commission", "--reason", "too much"])?;
    contains(&back, &["version 3 is in force, the formula of version 1"])?;
    ensure!(server.rows(commission)? == before);
    let versions = "SELECT version, text, author, reason, active FROM perfos.rules \
                    WHERE target = 'deals.commission' ORDER BY 1";
    let expected = [
        format!("1,amount * rep.rate,{},the first model,f", login()),
        format!("2,amount * rep.rate * 2,{USER},agreed on 12 May,f"),
        format!("3,amount * rep.rate,{USER},too much,t"),
    ];
    let found = server.rows(versions)?;
    ensure!(found == expected, "{found:?}");
    let reasons = "SELECT reason FROM perfos.ledger WHERE reason IS NOT NULL ORDER BY sequence";
    let found = server.rows(reasons)?;
    ensure!(found == ["the first model", "agreed on 12 May", "too much"], "{found:?}");
    let removed = server.run(&data, &["rule", "rollback", "quota.sales", "--reason", "x"])?;
    contains(&text_of(&removed), &["rule quota.sales has no earlier version"])?;
    let ran = "SELECT recomputed FROM perfos.ledger ORDER BY sequence DESC LIMIT 1";
    let found = server.rows(ran)?;
    ensure!(found[0].starts_with("main: deals.commission "), "{found:?}");
    // what cannot be said so
    for (refused, expected) in [
        (
            ["rule", "set", "deals.commission", "--text", text, "--reason", " "],
            "the reason is empty",
        ),
        (
            ["rule", "set", "commission", "--text", text, "--reason", "x"],
            "did you mean deals.commission?",
        ),
    ] {
        contains(&text_of(&server.run(&data, &refused)?), &[expected])?;
    }
    let remove = ["rule", "remove", "deals.commission", "--reason", "typed in from now on"];
    contains(&ok(&data, &server, &remove)?, &["version 4 has no formula, ledger entry"])?;
    contains(&ok(&data, &server, &remove)?, &["version 4 has no formula already"])?;
    let never = ["rule", "remove", "deals.amount", "--reason", "x"];
    contains(&text_of(&server.run(&data, &never)?), &["rule deals.amount does not exist"])?;
    let ratio = ["rule", "remove", "quota.attainment", "--reason", "x"];
    contains(
        &text_of(&server.run(&data, &ratio)?),
        &["quota.attainment consolidates by its formula and cannot be without one"],
    )?;
    server.kill()?;
    let listed = data.run(&["rule", "list", "deals.commission"])?;
    contains(&listed, &["agreed on 12 May", "too much", "(removed)", "typed in from now on"])?;
    ensure!(!listed.contains("active"), "{listed}");
    Ok(())
}

/// Who the offline commands of a test say they are.
fn login() -> String {
    let user = std::env::var("USER").ok().filter(|name| !name.is_empty());
    user.unwrap_or_else(|| "offline".to_owned())
}
