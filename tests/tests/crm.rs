//! The commission example on the real CRM files, every computed cell compared with what Python makes of the files.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use tests::{
    DataFolder, Server, example_maps, load_example, load_unchecked, root, sample_data, text_of,
    without_assertions,
};

const FIRST_BATCH_ROWS: usize = 7_000;

fn run_program(server: &Server, program: &str, source: &Path) -> Result<()> {
    let source = source.to_string_lossy();
    let environment = [("PERFOS_TEST_GOLDEN", "crm"), ("PERFOS_TEST_DATA", &source)];
    let output = server.python(program, &environment)?;
    println!("{program}: {}", text_of(&output));
    ensure!(output.status.success(), "{program} failed");
    Ok(())
}

#[test]
fn every_cell_is_what_the_files_and_the_plan_make() -> Result<()> {
    let Some(source) = sample_data("crm") else { return Ok(()) };
    let data = DataFolder::new("crm")?;
    load_example(&data, "crm", &source)?;
    let again = data.run(&["apply", &root().join("examples/crm").to_string_lossy()])?;
    ensure!(again.contains("up to date"), "a second apply changes something: {again}");
    let server = data.serve()?;
    for program in ["test_cells.py", "test_golden.py", "test_commissions.py"] {
        run_program(&server, program, &source)?;
    }
    server.kill()?;
    let verified = data.verify()?;
    ensure!(verified.starts_with("verified "), "{verified}");
    assertions_outlast_a_formula(&data)?;
    data.run(&["apply", &without_assertions("crm")?.path().to_string_lossy()])?;
    other_owners(&data)?;
    run_program(&data.serve()?, "test_owners.py", &source)
}

/// A formula that goes takes no assertion with it, though the measure is an input that nobody filled then.
fn assertions_outlast_a_formula(data: &DataFolder) -> Result<()> {
    let remove = ["rule", "remove", "payout.amount_before", "--reason", "no longer needed"];
    let removed = data.run(&remove)?;
    ensure!(removed.contains("9 assertions hold"), "{removed}");
    let text = "CAP(commission, credit.quota * 0.1)";
    let set = ["rule", "set", "payout.earned", "--text", text, "--reason", "a cap"];
    let output = data.command(&set)?.output()?;
    let printed = text_of(&output);
    ensure!(!output.status.success() && printed.contains("paid for 2021"), "{printed}");
    let back = ["rule", "rollback", "payout.amount_before", "--reason", "needed after all"];
    let back = data.run(&back)?;
    ensure!(back.contains("9 assertions hold"), "{back}");
    Ok(())
}

/// Loads the changed members that `test_owners.py` names.
fn other_owners(data: &DataFolder) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let load = |file: &str, text: String, map: &str| {
        let path = folder.path().join(file);
        std::fs::write(&path, text)?;
        let (path, map) = (path.to_string_lossy(), example_maps("crm").join(map));
        data.run(&["load", &path, "--dimension", "owner", "--map", &map.to_string_lossy()])
    };
    let owners = std::fs::read_to_string(root().join("examples/crm/plan/owners.csv"))?;
    let owners = owners.replace("7,hunter,", "7,partner,");
    let owners = owners.replace("14,farmer,2019-06-01", "14,farmer,2019-11-20");
    load("owners.csv", owners, "owner_plan.toml")?;
    let managers =
        "owner_id,manager,valid_from\n16,Amelie Garner,2021-02-10\n20,Peyton Davis,2020-11-16\n";
    load("managers.csv", managers.into(), "owner_reassignment.toml")?;
    Ok(())
}

/// The same deals in another order and in two batches pay the same.
#[test]
fn other_batches_pay_the_same() -> Result<()> {
    let Some(source) = sample_data("crm") else { return Ok(()) };
    let batches = tempfile::tempdir()?;
    for file in std::fs::read_dir(&source)? {
        let file = file?;
        std::fs::copy(file.path(), batches.path().join(file.file_name()))?;
    }
    let deals = std::fs::read_to_string(source.join("opportunities.csv"))?;
    let (header, rows) = deals.split_once('\n').context("a header")?;
    let rows: Vec<&str> = rows.lines().rev().collect();
    let (first, second) = rows.split_at(FIRST_BATCH_ROWS);
    let write = |name: &str, rows: &[&str]| {
        std::fs::write(batches.path().join(name), format!("{header}\n{}\n", rows.join("\n")))
    };
    write("opportunities.csv", first)?;
    write("second.csv", second)?;
    let data = DataFolder::new("crm")?;
    load_unchecked(&data, "crm", batches.path())?;
    let second = batches.path().join("second.csv").to_string_lossy().into_owned();
    let maps = example_maps("crm");
    let map = |name: &str| maps.join(name).to_string_lossy().into_owned();
    data.run(&["load", &second, "--dimension", "status", "--map", &map("status.toml")])?;
    data.run(&["load", &second, "--cube", "deals", "--map", &map("deals.toml")])?;
    let server = data.serve()?;
    run_program(&server, "test_cells.py", &source)
}
