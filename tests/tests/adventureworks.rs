//! The example model on the real AdventureWorks files, asked by psql and psycopg.

use anyhow::{Context, Result, ensure};
use tests::{
    DataFolder, Server, example_maps, example_script, load_example, root, sample_data, succeed,
    text_of, without_assertions,
};

fn loaded() -> Result<Option<(DataFolder, std::path::PathBuf)>> {
    let Some(source) = sample_data("adventureworks") else { return Ok(None) };
    let data = DataFolder::new("adventureworks")?;
    load_example(&data, "adventureworks", &source)?;
    Ok(Some((data, source)))
}

fn run_program(server: &Server, program: &str, source: &std::path::Path) -> Result<()> {
    let output = server.python(program, &[("PERFOS_TEST_DATA", &source.to_string_lossy())])?;
    println!("{program}: {}", text_of(&output));
    ensure!(output.status.success(), "{program} failed");
    Ok(())
}

/// One load serves all client programs: each leaves the data as it found it.
#[test]
fn clients_see_the_figures_of_the_files() -> Result<()> {
    let Some((data, source)) = loaded()? else { return Ok(()) };
    let model = root().join("examples/adventureworks");
    let again = data.run(&["apply", &model.to_string_lossy()])?;
    ensure!(again.contains("up to date"), "a second apply changes something: {again}");
    let before = data.verify()?;
    let server = data.serve()?;
    for program in [
        "test_psql.py",
        "test_golden.py",
        "test_cells.py",
        "test_totals.py",
        "test_writeback.py",
        "test_ledger.py",
    ] {
        run_program(&server, program, &source)?;
    }
    server.kill()?;
    ensure!(before.starts_with("verified "), "{before}");
    let after = data.verify()?;
    ensure!(after.starts_with("verified "), "{after}");
    let answer =
        data.run(&["query", "SELECT sum(sales_amount) FROM reseller_sales", "--format", "csv"])?;
    ensure!(answer.lines().last() == Some("80450596.9823"), "{answer}");
    data.run(&["apply", &without_assertions("adventureworks")?.path().to_string_lossy()])?;
    let others = with_other_members(&source)?;
    for (dimension, file) in
        [("account", "DimAccount.csv"), ("organization", "DimOrganization.csv")]
    {
        let map = example_maps("adventureworks").join(format!("{dimension}.toml"));
        let (file, map) = (others.path().join(file), map.to_string_lossy().into_owned());
        data.run(&["load", &file.to_string_lossy(), "--dimension", dimension, "--map", &map])?;
    }
    run_program(&data.serve()?, "test_cells.py", others.path())
}

/// The files, with other operators, parents, types, shares and currencies of accounts and organizations.
fn with_other_members(source: &std::path::Path) -> Result<tempfile::TempDir> {
    let folder = tempfile::tempdir()?;
    for file in std::fs::read_dir(source)? {
        let file = file?;
        std::fs::copy(file.path(), folder.path().join(file.file_name()))?;
    }
    let change = |file: &str, changes: &[(&str, &str)]| -> Result<()> {
        let mut text = std::fs::read_to_string(source.join(file))?;
        for (from, to) in changes {
            ensure!(text.matches(from).count() == 1, "{file}: {from}");
            text = text.replace(from, to);
        }
        Ok(std::fs::write(folder.path().join(file), text)?)
    };
    change(
        "DimAccount.csv",
        &[
            ("Returns and Adjustments,Expenditures,-", "Returns and Adjustments,Expenditures,+"),
            (
                "\n60,59,6000,600,Salaries,Expenditures,+",
                "\n60,50,6000,600,Salaries,Expenditures,-",
            ),
            ("Variances,Expenditures", "Variances,Assets"),
        ],
    )?;
    change(
        "DimOrganization.csv",
        &[
            ("\n13,10,.50,", "\n13,10,.40,"),
            ("Canadian Division,19", "Canadian Division,36"),
            ("\n10,1,.75,", "\n10,9,.75,"),
        ],
    )?;
    Ok(folder)
}

/// The same load through a running server gives the same state.
#[test]
fn loading_into_a_server_gives_the_same_state() -> Result<()> {
    let Some((offline, source)) = loaded()? else { return Ok(()) };
    let online = DataFolder::new("adventureworks")?;
    let server = online.serve()?;
    let mut script = example_script("adventureworks", &source)?;
    script.env("PERFOS_SERVER", format!("http://{}", server.http));
    script.env("PERFOS_USER", tests::USER).env("PERFOS_PASSWORD", tests::PASSWORD);
    succeed(script)?;
    server.kill()?;
    let state = |line: &str| {
        line.rsplit_once("state ").map(|(_, hash)| hash.to_string()).context("a state hash")
    };
    ensure!(state(&online.verify()?)? == state(&offline.verify()?)?, "the states differ");
    Ok(())
}
