//! `kill -9` under write load: everything acknowledged is there, nothing half-written is.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Barrier};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use postgres::{Client, NoTls};
use tests::{DataFolder, Server, root};

const RUNS: u64 = 20;
const WRITERS: u64 = 3;

fn small_tenant() -> Result<DataFolder> {
    let data = DataFolder::new("small")?;
    let model = root().join("tests/models/small");
    data.run(&["apply", &model.to_string_lossy()])?;
    let (reps, map) = (model.join("maps/reps.csv"), model.join("maps/reps.toml"));
    data.run(&[
        "load",
        &reps.to_string_lossy(),
        "--dimension",
        "rep",
        "--map",
        &map.to_string_lossy(),
    ])?;
    Ok(data)
}

/// Inserts pairs of deals until the connection breaks; the number of the last acknowledged pair.
fn write_until_killed(connection: &str, writer: u64, first: u64, acknowledged: &AtomicU64) {
    let Ok(mut client) = Client::connect(connection, NoTls) else { return };
    for pair in first.. {
        let (a, b) = (key(writer, pair, 0), key(writer, pair, 1));
        let sql = format!(
            "INSERT INTO deals (deal, rep, date, amount) VALUES ({a}, 2, '2026-03-0{}', 100.25), ({b}, 3, '2026-03-15', 0.75)",
            pair % 9 + 1
        );
        match client.simple_query(&sql) {
            Ok(_) => acknowledged.store(pair, Ordering::SeqCst),
            Err(_) => return,
        }
    }
}

fn key(writer: u64, pair: u64, part: u64) -> u64 {
    (writer * 1_000_000 + pair) * 2 + part
}

fn pairs_of(server: &Server, writer: u64) -> Result<Vec<u64>> {
    let (from, to) = (key(writer, 0, 0), key(writer + 1, 0, 0));
    let sql = format!("SELECT deal FROM deals WHERE deal >= {from} AND deal < {to} ORDER BY deal");
    server.rows(&sql)?.iter().map(|row| row.parse::<u64>().context("a deal's key")).collect()
}

#[test]
fn every_acknowledged_write_survives_kill() -> Result<()> {
    let data = small_tenant()?;
    let mut last = vec![0u64; WRITERS as usize];
    for run in 0..RUNS {
        let server = data.serve()?;
        let connection = server.connection_string();
        let acknowledged: Vec<Arc<AtomicU64>> =
            last.iter().map(|&pair| Arc::new(AtomicU64::new(pair))).collect();
        let start = Arc::new(Barrier::new(WRITERS as usize + 1));
        let writers: Vec<_> = (0..WRITERS)
            .map(|writer| {
                let (connection, start) = (connection.clone(), Arc::clone(&start));
                let acknowledged = Arc::clone(&acknowledged[writer as usize]);
                let first = last[writer as usize] + 1;
                std::thread::spawn(move || {
                    start.wait();
                    write_until_killed(&connection, writer, first, &acknowledged);
                })
            })
            .collect();
        start.wait();
        // the moment of the kill differs from run to run
        std::thread::sleep(Duration::from_millis(150 + run * 37 % 400));
        server.kill()?;
        writers
            .into_iter()
            .try_for_each(|writer| writer.join())
            .map_err(|_| anyhow::anyhow!("a writer panicked"))?;
        let verified = data.verify()?;
        ensure!(verified.starts_with("verified "), "{verified}");
        check_survivors(&data, &acknowledged, &mut last)?;
    }
    ensure!(last.iter().all(|&pair| pair > 0), "no writer was ever acknowledged: {last:?}");
    println!("acknowledged pairs a writer: {last:?}");
    Ok(())
}

fn check_survivors(
    data: &DataFolder,
    acknowledged: &[Arc<AtomicU64>],
    last: &mut [u64],
) -> Result<()> {
    let server = data.serve()?;
    for (writer, last) in last.iter_mut().enumerate() {
        let keys = pairs_of(&server, writer as u64)?;
        let promised = acknowledged[writer].load(Ordering::SeqCst);
        ensure!(keys.len().is_multiple_of(2), "half a statement survived: {} rows", keys.len());
        let survived = keys.len() as u64 / 2;
        ensure!(
            survived == promised || survived == promised + 1,
            "{promised} acknowledged, {survived} survived"
        );
        let expected: Vec<u64> = (1..=survived)
            .flat_map(|pair| [key(writer as u64, pair, 0), key(writer as u64, pair, 1)])
            .collect();
        ensure!(keys == expected, "writer {writer}: other rows survived than were written");
        *last = survived;
    }
    let sums = server.rows("SELECT count(*), sum(amount), sum(commission) FROM deals")?;
    let pairs: u64 = last.iter().sum();
    let expected = format!("{},{}.00,{}", pairs * 2, pairs * 101, commission(pairs));
    ensure!(pairs == 0 || sums == [expected.clone()], "{sums:?}, expected {expected}");
    let by_formula = server.rows("SELECT sum(sales) FROM quota")?;
    ensure!(pairs == 0 || by_formula == [format!("{}.00", pairs * 101)], "{by_formula:?}");
    Ok(())
}

/// 100.25 at 2 % and 0.75 at 5 % a pair, to six digits.
fn commission(pairs: u64) -> String {
    let millionths = pairs * (2_005_000 + 37_500);
    format!("{}.{:06}", millionths / 1_000_000, millionths % 1_000_000)
}
