//! Assertions that travel with a model: pending on empty cubes, checked by apply and load, and
//! refusing what would break them; on every branch by itself.

use std::fs;
use std::path::Path;

use anyhow::{Result, ensure};
use postgres::{Client, NoTls};
use tempfile::TempDir;
use tests::{DataFolder, PASSWORD, USER, root, text_of};

const ASSERTIONS: &str = r#"
[[assertion]]
name = "what Ben sold"
sql = "SELECT measure(amount) FROM deals WHERE rep = 2"
equals = "100.5"

[[assertion]]
name = "nobody has a quota of March"
sql = "SELECT measure(quota_amount) FROM quota WHERE date_month = '2026-03'"
equals_blank = true
"#;
const DEALS: &str = "deal,rep,date,amount\n1,2,2026-03-01,100.25\n2,2,2026-03-02,0.25\n";

/// The small model with assertions and files to load, in a folder of its own.
struct Model(TempDir);

impl Model {
    fn new() -> Result<Self> {
        let model = Self(tempfile::tempdir()?);
        copy(&root().join("tests/models/small"), model.0.path())?;
        model.assert(ASSERTIONS)?;
        fs::write(model.0.path().join("maps/deals.csv"), DEALS)?;
        Ok(model)
    }

    fn assert(&self, text: &str) -> Result<()> {
        fs::create_dir_all(self.0.path().join("tests"))?;
        Ok(fs::write(self.0.path().join("tests/deals.toml"), text)?)
    }

    fn path(&self, path: &str) -> String {
        self.0.path().join(path).to_string_lossy().into_owned()
    }
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let (path, target) = (entry.path(), to.join(entry.file_name()));
        if path.is_dir() {
            copy(&path, &target)?;
        } else {
            fs::copy(&path, &target)?;
        }
    }
    Ok(())
}

/// What a command that must fail printed.
fn refused(data: &DataFolder, arguments: &[&str]) -> Result<String> {
    let output = data.command(arguments)?.output()?;
    ensure!(!output.status.success(), "{arguments:?} succeeded:\n{}", text_of(&output));
    Ok(text_of(&output))
}

fn has(printed: &str, expected: &[&str]) -> Result<()> {
    for text in expected {
        ensure!(printed.contains(text), "{text:?} is missing in:\n{printed}");
    }
    Ok(())
}

fn load_reps(data: &DataFolder, model: &Model) -> Result<String> {
    let (file, map) = (model.path("maps/reps.csv"), model.path("maps/reps.toml"));
    data.run(&["load", &file, "--dimension", "rep", "--map", &map])
}

#[test]
fn assertions_wait_for_data_and_then_guard_it() -> Result<()> {
    let (data, model) = (DataFolder::new("small")?, Model::new()?);
    let folder = model.path("");
    let plan = data.run(&["apply", &folder, "--plan"])?;
    has(&plan, &["~ assertion \"what Ben sold\": SELECT measure(amount) FROM deals", "pending"])?;
    let applied = data.run(&["apply", &folder])?;
    has(&applied, &["assertion \"what Ben sold\" is pending: deals holds no rows yet"])?;
    has(&data.run(&["apply", &folder])?, &["up to date", "is pending"])?;
    has(&load_reps(&data, &model)?, &["is pending"])?;

    // a load that would break what waits for it is refused, and nothing of it stays
    let deals = model.path("maps/deals.csv");
    fs::write(&deals, DEALS.replace("100.25", "101.25"))?;
    let printed = refused(&data, &["load", &deals, "--cube", "deals"])?;
    let expected = "tests/deals.toml: assertion \"what Ben sold\": expected 100.5, found 101.50";
    has(&printed, &["1 assertion fails; nothing was loaded", expected])?;
    fs::write(&deals, DEALS)?;
    has(&data.run(&["load", &deals, "--cube", "deals"])?, &["1 assertion holds"])?;
    let tested = data.run(&["test"])?;
    has(&tested, &["passed   what Ben sold", "1 passed, 0 failed, 1 pending"])?;
    formulas_are_guarded(&data, &model)?;
    ensure!(data.verify()?.starts_with("verified 7 entries"), "{}", data.verify()?);
    Ok(())
}

/// A formula that would break an assertion is not put in force, nor gone back to.
fn formulas_are_guarded(data: &DataFolder, model: &Model) -> Result<()> {
    let sold = "[[assertion]]\nname = \"Ben's sales\"\n\
                sql = \"SELECT measure(sales) FROM quota WHERE rep = 2\"\nequals = \"100.5\"\n\
                needs = [\"deals\"]\n";
    let (double, plain) =
        ("2 * deals.amount[BY SUM: rep, date]", "deals.amount[BY SUM: rep, date]");
    let set = |text: &'static str| ["rule", "set", "quota.sales", "--reason", "r", "--text", text];
    has(&data.run(&set(double))?, &["version 2 is in force", "evaluated quota.sales in 2 cells"])?;
    has(&data.run(&set(plain))?, &["version 3 is in force", "1 assertion holds"])?;
    model.assert(&format!("{ASSERTIONS}{sold}"))?;
    // cells without a quota hold nothing but results: the table counts as empty
    data.run(&[
        "query",
        "INSERT INTO quota (rep, date, quota_amount) VALUES (3, '2026-05-01', 10)",
    ])?;
    has(&data.run(&["apply", &model.path("")])?, &["3 assertions hold"])?;
    let before = data.verify()?;
    let back = ["rule", "rollback", "quota.sales", "--to", "2", "--reason", "r"];
    for arguments in [&set(double)[..], &back] {
        let printed = refused(data, arguments)?;
        let expected = "tests/deals.toml: assertion \"Ben's sales\": expected 100.5, found 201.00";
        has(&printed, &["quota.sales: 1 assertion fails; the formula in force stays", expected])?;
    }
    ensure!(data.verify()? == before, "something was recorded");
    Ok(())
}

#[test]
fn a_model_whose_assertions_fail_is_not_applied() -> Result<()> {
    let (data, model) = (DataFolder::new("small")?, Model::new()?);
    let folder = model.path("");
    model.assert("")?;
    data.run(&["apply", &folder])?;
    load_reps(&data, &model)?;
    data.run(&["load", &model.path("maps/deals.csv"), "--cube", "deals"])?;
    let before = data.verify()?;
    model.assert(&format!(
        "{}\n[[assertion]]\nname = \"rows\"\nsql = \"SELECT count(amoun) FROM deals\"\nequals = \"2\"\n",
        ASSERTIONS.replace("100.5", "100.75")
    ))?;
    for arguments in [&["apply", &folder, "--plan"][..], &["apply", &folder]] {
        let printed = refused(&data, arguments)?;
        let sold = "assertion \"what Ben sold\": expected 100.75, found 100.50: SELECT measure";
        has(&printed, &[sold, "--> tests/deals.toml:3:8", "--> tests/deals.toml:14:"])?;
    }
    ensure!(data.verify()? == before, "something was applied");

    // the same through a server, and a write that breaks an assertion is seen by `perfos test`
    model.assert(ASSERTIONS)?;
    let server = data.serve()?;
    let url = format!("http://{}", server.http);
    let on_server = |arguments: &[&str]| {
        let mut command = data.command(arguments)?;
        command.env_remove("PERFOS_DATA").env("PERFOS_SERVER", &url).env("PERFOS_USER", USER);
        Ok::<_, anyhow::Error>(text_of(&command.env("PERFOS_PASSWORD", PASSWORD).output()?))
    };
    has(&on_server(&["apply", &folder])?, &["1 assertion holds", "2 changes applied"])?;
    has(&on_server(&["test"])?, &["1 passed, 0 failed, 1 pending"])?;
    server.rows("UPDATE deals SET amount = 7 WHERE deal = 1")?;
    let printed = on_server(&["test"])?;
    has(&printed, &["failed   tests/deals.toml: assertion", "found 7.25", "exit status: 1"])?;
    let printed = on_server(&["apply", &folder])?;
    has(&printed, &["expected 100.5, found 7.25", "it fails on what the tenant holds already"])?;
    Ok(())
}

#[test]
fn a_branch_is_checked_and_explained_by_itself() -> Result<()> {
    let (data, model) = (DataFolder::new("small")?, Model::new()?);
    let folder = model.path("");
    data.run(&["apply", &folder])?;
    load_reps(&data, &model)?;
    let deals = model.path("maps/deals.csv");
    data.run(&["load", &deals, "--cube", "deals"])?;
    data.run(&["branch", "create", "whatif", "--reason", "another deal"])?;
    data.run(&["query", "UPDATE deals SET amount = 7 WHERE deal = 2"])?;
    has(&refused(&data, &["test"])?, &["expected 100.5, found 107.25"])?;
    has(&data.run(&["test", "--branch", "whatif"])?, &["1 passed, 0 failed, 1 pending"])?;

    // a load and a model are checked on what they would make of the branch
    let on_branch = |arguments: &[&'static str]| [arguments, &["--branch", "whatif"]].concat();
    fs::write(&deals, "deal,rep,date,amount\n5,2,2026-03-05,0.50\n")?;
    let load = [&["load", &deals][..], &on_branch(&["--cube", "deals"])].concat();
    has(&refused(&data, &load)?, &["expected 100.5, found 101.00", "nothing was loaded"])?;
    model.assert("")?;
    let apply = [&["apply", &folder][..], &on_branch(&[])].concat();
    data.run(&apply)?;
    has(&data.run(&load)?, &["ledger entry 7"])?;
    model.assert(&ASSERTIONS.replace("100.5", "101.5"))?;
    let printed = refused(&data, &apply)?;
    has(&printed, &["expected 101.5, found 101.00", "--> tests/deals.toml:3:8"])?;
    model.assert(&ASSERTIONS.replace("100.5", "101"))?;
    has(&data.run(&apply)?, &["1 assertion holds", "ledger entry 8"])?;
    has(&refused(&data, &["test"])?, &["expected 100.5, found 107.25"])?;

    // the entries that led to a branch explain it, also where its base is gone
    data.run(&["branch", "create", "later", "--from", "whatif", "--reason", "further"])?;
    data.run(&["query", "UPDATE whatif.deals SET amount = 9 WHERE deal = 2"])?;
    data.run(&["branch", "drop", "whatif"])?;
    let explain = |cell| ["explain", cell, "--writes", "9", "--branch", "later"];
    let (old, new) = ("deals.amount[deal=2]", "deals.amount[deal=5]");
    let shown = "deals.amount[deal=5, rep=2, date=2026-03-05] = 0.50  (input)\n  @ #7 ";
    has(&data.run(&explain(new))?, &[shown, "deals.csv row 2: 0.50\n"])?;
    let printed = data.run(&explain(old))?;
    has(&printed, &["= 0.25", "@ #3 ", "deals.csv row 3: 0.25\n"])?;
    ensure!(printed.matches("@ #").count() == 1, "writes of other branches:\n{printed}");
    let printed = data.run(&["explain", old, "--writes", "9"])?;
    has(&printed, &["= 7.00", "@ #5 ", "@ #3 "])?;
    ensure!(printed.matches("@ #").count() == 2, "writes of other branches:\n{printed}");
    let commission = data.run(&explain("deals.commission[deal=5]"))?;
    has(&commission, &["@ #1 ", "@ #7 ", "@ #2 ", "reps.csv row 3"])?;
    let unknown = refused(&data, &["explain", old, "--branch", "whatif"])?;
    has(&unknown, &["branch \"whatif\" does not exist"])?;

    // the other doors
    let server = data.serve()?;
    let url = format!("http://{}", server.http);
    let on_server = |arguments: &[&str]| {
        let mut command = data.command(arguments)?;
        command.env_remove("PERFOS_DATA").env("PERFOS_SERVER", &url).env("PERFOS_USER", USER);
        Ok::<_, anyhow::Error>(text_of(&command.env("PERFOS_PASSWORD", PASSWORD).output()?))
    };
    has(&on_server(&explain(new))?, &[shown])?;
    has(&on_server(&["test", "--branch", "later"])?, &["1 passed, 0 failed, 1 pending"])?;
    has(&on_server(&["test"])?, &["expected 100.5, found 107.25"])?;
    let connection = format!("{} options='-c search_path=later'", server.connection_string());
    let mut client = Client::connect(&connection, NoTls)?;
    let sql = format!("SELECT value, sequence FROM perfos.explain_cell('{old}')");
    let row = client.query_one(&sql, &[])?;
    ensure!((row.get::<_, &str>(0), row.get::<_, i64>(1)) == ("0.25", 3), "{row:?}");
    let rows = server.rows(&sql)?;
    ensure!(rows == ["7.00,5"], "{rows:?}");
    Ok(())
}
