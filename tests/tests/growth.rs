//! Statements that would make more than there is memory for: refused, while the server goes on.

use anyhow::{Result, ensure};
use tests::{DataFolder, text_of};

#[test]
fn no_statement_takes_the_server_down() -> Result<()> {
    let data = DataFolder::new("growth")?;
    let server = data.serve()?;
    for (sql, state) in [
        ("SELECT repeat('x', 2000000000)", "54000"),
        ("SELECT lpad('x', 2000000000, 'ab')", "54000"),
        ("SELECT length(replace(repeat('a', 100000), 'a', repeat('b', 100000)))", "54000"),
        ("SELECT repeat(value::text, 1000000) FROM generate_series(1, 100000)", "54000"),
        (
            "SELECT a || a FROM (SELECT repeat(value::text, 20000) AS a FROM generate_series(1, 100000)) t",
            "53200",
        ),
        ("SELECT string_agg(repeat('x', 1000000), ',') FROM generate_series(1, 100000)", "53200"),
        (
            "SELECT a.x FROM (SELECT repeat('x', 10000000) AS x) a, generate_series(1, 100000) b",
            "53200",
        ),
        ("SELECT x, x, x, x, x, x, x FROM (SELECT repeat('x', 16000000) AS x) t", "54000"),
    ] {
        let output = server.psql(&["-v", "VERBOSITY=verbose", "-c", sql])?;
        let text = text_of(&output);
        ensure!(text.contains(state), "{sql}: {}", text.chars().take(300).collect::<String>());
    }
    let stopped = "SELECT max(repeat('x', 1000000) || value) FROM generate_series(1, 100000000)";
    let output = server.psql(&["-c", "SET statement_timeout = 500", "-c", stopped])?;
    ensure!(text_of(&output).contains("statement timeout"), "{}", text_of(&output));
    ensure!(server.rows("SELECT length(repeat('x', 1000000))")? == ["1000000"]);
    Ok(())
}
