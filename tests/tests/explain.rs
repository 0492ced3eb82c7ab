//! Explanations through every door: the command line, SQL on the wire and HTTP.

use std::fs;
use std::process::Command;

use anyhow::{Result, ensure};
use tests::{DataFolder, PASSWORD, USER, root, succeed, text_of};

const DEALS: &str = "deal,rep,date,amount\n1,2,2026-03-01,100.25\n\n2,2,2026-03-02,0.25\n";
const CELL: &str = "deals.amount[deal=2]";

fn loaded() -> Result<DataFolder> {
    let data = DataFolder::new("small")?;
    let model = root().join("tests/models/small");
    let path = |path: &str| model.join(path).to_string_lossy().into_owned();
    data.run(&["apply", &path("")])?;
    let (reps, map) = (path("maps/reps.csv"), path("maps/reps.toml"));
    data.run(&["load", &reps, "--dimension", "rep", "--map", &map])?;
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("deals.csv");
    fs::write(&file, DEALS)?;
    data.run(&["load", &file.to_string_lossy(), "--cube", "deals"])?;
    Ok(data)
}

fn has(printed: &str, expected: &[&str]) -> Result<()> {
    for text in expected {
        ensure!(printed.contains(text), "{text:?} is missing in:\n{printed}");
    }
    Ok(())
}

#[test]
fn a_row_is_traced_to_the_row_of_its_file() -> Result<()> {
    let data = loaded()?;
    let place = "deals.amount[deal=2, rep=2, date=2026-03-02] = 0.25  (input)";
    has(&data.run(&["explain", CELL])?, &[place, "@ #3 ", "deals.csv row 4: 0.25"])?;
    has(&data.run(&["explain", CELL, "--format", "json"])?, &["\"source_row\":4"])?;
    // a total, a formula over it, and a formula of a row end at the same rows of files
    let total = data.run(&["explain", "quota.sales[rep=Ben, date_year=2026]"])?;
    has(&total, &["= 100.50", "deals.csv row 2: 100.25", "deals.csv row 4: 0.25"])?;
    let commission = data.run(&["explain", "deals.commission[deal=2]"])?;
    has(&commission, &["= 0.005000", ": amount * rep.rate", "deals.csv row 4", "reps.csv row 3"])?;
    let output = data.command(&["explain", CELL, "--as-of", "2026-01-01"])?.output()?;
    ensure!(!output.status.success(), "history is served");
    has(&text_of(&output), &["explain --as-of", "is not available yet", "hint: --writes N"])?;
    let output = data.command(&["explain", "deals.amount[deel=2]"])?.output()?;
    ensure!(!output.status.success(), "an unknown column is no error");
    has(&text_of(&output), &["\"deel\" does not exist", "did you mean deal?"])?;

    let server = data.serve()?;
    server.rows("UPDATE deals SET amount = 7 WHERE deal = 2")?;
    let sql = format!(
        "SELECT depth, label, kind, value, sequence, author, origin, source_row \
         FROM perfos.explain_cell('{CELL}') WHERE depth = 0"
    );
    let rows = server.rows(&sql)?;
    ensure!(rows == ["0,deals.amount,input,7.00,4,tester,psql,"], "{rows:?}");
    let mut remote = data.command(&["explain", CELL, "--writes", "9"])?;
    remote.env_remove("PERFOS_DATA").env("PERFOS_SERVER", format!("http://{}", server.http));
    let printed = succeed(remote_as_user(remote))?;
    has(&printed, &["= 7.00", "@ #4 tester", "psql: 7.00", "@ #3 ", "row 4: 0.25"])?;
    Ok(())
}

fn remote_as_user(mut command: Command) -> Command {
    command.env("PERFOS_USER", USER).env("PERFOS_PASSWORD", PASSWORD);
    command
}
