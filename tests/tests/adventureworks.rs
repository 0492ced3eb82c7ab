//! The example model on the real AdventureWorks files, asked by psql and psycopg.

use std::process::Command;

use anyhow::{Context, Result, ensure};
use tests::{DataFolder, Server, binary, root, sample_data, succeed, text_of};

fn load_script(command: &mut Command, source: &std::path::Path) -> Result<()> {
    let folder = binary()?.parent().map(std::path::Path::to_path_buf).unwrap_or_default();
    let path = std::env::var("PATH").unwrap_or_default();
    command.arg(source).env("PATH", format!("{}:{path}", folder.display()));
    Ok(())
}

fn loaded() -> Result<Option<(DataFolder, std::path::PathBuf)>> {
    let Some(source) = sample_data("adventureworks") else { return Ok(None) };
    let data = DataFolder::new("adventureworks")?;
    let mut script = Command::new(root().join("examples/adventureworks/load.sh"));
    load_script(&mut script, &source)?;
    script
        .env("PERFOS_DATA", data.path())
        .env("PERFOS_TENANT", "adventureworks")
        .env_remove("PERFOS_SERVER");
    succeed(script)?;
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
    for program in ["test_psql.py", "test_golden.py", "test_writeback.py"] {
        run_program(&server, program, &source)?;
    }
    server.kill()?;
    ensure!(before.starts_with("verified "), "{before}");
    let after = data.verify()?;
    ensure!(after.starts_with("verified "), "{after}");
    let answer =
        data.run(&["query", "SELECT sum(sales_amount) FROM reseller_sales", "--format", "csv"])?;
    ensure!(answer.lines().last() == Some("80450596.9823"), "{answer}");
    Ok(())
}

/// The same load through a running server gives the same state.
#[test]
fn loading_into_a_server_gives_the_same_state() -> Result<()> {
    let Some((offline, source)) = loaded()? else { return Ok(()) };
    let online = DataFolder::new("adventureworks")?;
    let server = online.serve()?;
    let mut script = Command::new(root().join("examples/adventureworks/load.sh"));
    load_script(&mut script, &source)?;
    script.env_remove("PERFOS_DATA").env("PERFOS_SERVER", format!("http://{}", server.http));
    script
        .env("PERFOS_TENANT", "adventureworks")
        .env("PERFOS_USER", tests::USER)
        .env("PERFOS_PASSWORD", tests::PASSWORD);
    succeed(script)?;
    server.kill()?;
    let state = |line: &str| {
        line.rsplit_once("state ").map(|(_, hash)| hash.to_string()).context("a state hash")
    };
    ensure!(state(&online.verify()?)? == state(&offline.verify()?)?, "the states differ");
    Ok(())
}
