//! Loading from end to end: CSV and Parquet files of three writers, offline and through a server, which
//! must give the same state; files that are cut off change nothing.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use tests::{DataFolder, PASSWORD, USER, root, succeed, text_of};

/// The same 400 deals; 57 of them have no amount.
const FILES: [&str; 4] =
    ["deals.csv", "deals-polars.parquet", "deals-pyarrow.parquet", "deals-duckdb.parquet"];
const CERTIFICATE: &str = "amount: source total 25421.73 = loaded total 25421.73 in 343 values";

fn small() -> PathBuf {
    root().join("tests/models/small")
}

fn path(name: &str) -> String {
    small().join("files").join(name).to_string_lossy().into_owned()
}

/// The small model with its three reps.
fn tenant() -> Result<DataFolder> {
    let data = DataFolder::new("small")?;
    data.run(&["apply", &small().to_string_lossy()])?;
    let (reps, map) = (small().join("maps/reps.csv"), small().join("maps/reps.toml"));
    let (reps, map) = (reps.to_string_lossy(), map.to_string_lossy());
    data.run(&["load", &reps, "--dimension", "rep", "--map", &map])?;
    Ok(data)
}

/// `state HASH` of what `verify` says.
fn state(data: &DataFolder) -> Result<String> {
    let verified = data.verify()?;
    Ok(verified.rsplit_once("state ").context("no state")?.1.to_string())
}

fn file_count(folder: &Path) -> Result<usize> {
    let mut count = 0;
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        count += if path.is_dir() { file_count(&path)? } else { 1 };
    }
    Ok(count)
}

#[test]
fn files_of_every_writer_give_the_same_state_offline_and_through_a_server() -> Result<()> {
    let mut states = Vec::new();
    for file in FILES {
        let offline = tenant()?;
        let printed = offline.run(&["load", &path(file), "--cube", "deals"])?;
        ensure!(printed.contains(CERTIFICATE), "{printed}");
        ensure!(printed.contains("400 rows read, 400 loaded"), "{printed}");
        states.push(state(&offline)?);
        let piped = tenant()?;
        let mut command = piped.command(&["load", "/dev/stdin", "--cube", "deals"])?;
        let mut cat = std::process::Command::new("cat");
        let mut cat = cat.arg(path(file)).stdout(std::process::Stdio::piped()).spawn()?;
        command.stdin(cat.stdout.take().context("standard output is piped")?);
        ensure!(succeed(command)?.contains(CERTIFICATE));
        cat.wait()?;
        states.push(state(&piped)?);
        let served = tenant()?;
        let server = served.serve()?;
        let output = server.run(&served, &["load", &path(file), "--cube", "deals"])?;
        ensure!(output.status.success(), "{}", text_of(&output));
        ensure!(output.stderr.is_empty(), "a bar is for terminals:\n{}", text_of(&output));
        ensure!(String::from_utf8(output.stdout)?.contains(CERTIFICATE));
        // deal 5 stands in row 6, whatever the file
        let explained = ["explain", "deals.amount[deal=5]"];
        let explained = server.run(&served, &explained)?;
        let explained = text_of(&explained);
        ensure!(explained.contains(&format!("{file} row 6")), "{explained}");
        server.kill()?;
        states.push(state(&served)?);
    }
    states.dedup();
    ensure!(states.len() == 1, "{states:?}");
    Ok(())
}

#[test]
fn a_file_that_is_cut_off_changes_nothing() -> Result<()> {
    let data = tenant()?;
    let before = state(&data)?;
    let server = data.serve()?;
    let files_before = file_count(data.path())?;
    let folder = tempfile::tempdir()?;
    for (name, expected) in [
        ("deals-pyarrow.parquet", "it is no complete Parquet file"),
        ("deals.csv", "the row has 3 fields where the header has 4"),
    ] {
        let mut bytes = fs::read(path(name))?;
        let end = bytes.len() * 2 / 3;
        let end = bytes[..end].iter().rposition(|&byte| byte == b',').unwrap_or(end);
        bytes.truncate(end);
        let cut = folder.path().join(name);
        fs::write(&cut, bytes)?;
        let cut = cut.to_string_lossy().into_owned();
        let output = server.run(&data, &["load", &cut, "--cube", "deals"])?;
        ensure!(!output.status.success(), "{}", text_of(&output));
        ensure!(text_of(&output).contains(expected), "{}", text_of(&output));
    }
    ensure!(server.rows("SELECT count(*) FROM deals")? == ["0"]);
    ensure!(file_count(data.path())? == files_before, "an upload was left behind");
    server.kill()?;
    ensure!(state(&data)? == before);
    Ok(())
}

/// A server that says no does so before it has all of a large file, and is heard.
#[test]
fn who_may_not_load_is_told_so() -> Result<()> {
    const LARGE_BYTES: u64 = 256 << 20;
    let data = tenant()?;
    let server = data.serve()?;
    let folder = tempfile::tempdir()?;
    let large = folder.path().join("large.csv");
    fs::File::create(&large)?.set_len(LARGE_BYTES)?;
    let mut command = data.command(&["load", &large.to_string_lossy(), "--cube", "deals"])?;
    command.env_remove("PERFOS_DATA").env("PERFOS_SERVER", format!("http://{}", server.http));
    command.env("PERFOS_USER", USER).env("PERFOS_PASSWORD", "wrong horse battery");
    let printed = text_of(&command.output()?);
    ensure!(printed.contains("wrong user or password"), "{printed}");
    Ok(())
}

/// What `curl` would be told: the address takes parts, and says which are missing.
#[test]
fn other_clients_send_parts() -> Result<()> {
    let data = tenant()?;
    let server = data.serve()?;
    let post = |arguments: &[&str]| -> Result<String> {
        let mut command = std::process::Command::new("curl");
        command.args(["-sS", "-u", &format!("{USER}:{PASSWORD}")]).args(arguments);
        command.arg(format!("http://{}/api/v1/tenants/small/load", server.http));
        succeed(command)
    };
    let words = "load={\"target\":{\"cube\":\"deals\"},\"reason\":\"by hand\"}";
    let file = format!("file=@{}", path("deals-duckdb.parquet"));
    let json = post(&["--json", "{}"])?;
    ensure!(json.contains("\"status\":415") && json.contains("multipart/form-data"), "{json}");
    let lacking = post(&["-F", words])?;
    ensure!(lacking.contains("\"status\":400") && lacking.contains("file is missing"), "{lacking}");
    let odd = post(&["-F", words, "-F", "files=x"])?;
    ensure!(odd.contains("\"status\":400") && odd.contains("files"), "{odd}");
    let unmapped = post(&["-F", words, "-F", &file, "-F", "map=[key]"])?;
    ensure!(unmapped.contains("\"status\":422"), "{unmapped}");
    let loaded = post(&["-F", &file, "-F", words])?;
    ensure!(loaded.contains("\"rows_loaded\":400"), "{loaded}");
    ensure!(server.rows("SELECT count(*) FROM deals")? == ["400"]);
    Ok(())
}
