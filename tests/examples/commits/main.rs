//! Durable commits of the real server: one cell an UPDATE over the Postgres wire, beside PostgreSQL on the same
//! disk. `cargo xtask bench commits` runs it.
//!
//!     commits [SECONDS]
//!
//! A million cells (500 shops, 100 products, 20 months) are loaded into the server and as a table with that key into
//! PostgreSQL. `pgbench` updates random cells of both, prepared, with 1, 8 and 64 clients in turns; then of a server
//! whose folder lies in memory, where a sync costs nothing. What a sync of the disk takes is measured beside it. At
//! the end the server is killed, and its ledger has to verify with an entry for every update that was answered.

#[path = "../beside/pgbench.rs"]
mod pgbench;
#[path = "../beside/postgres.rs"]
mod postgres;

use std::fmt::Write;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use tests::{DataFolder, Server, write_file};

use pgbench::{Bench, Latencies};
use postgres::Postgres;

const SHOPS: usize = 500;
const PRODUCTS: usize = 100;
const MONTHS: usize = 20;
const CLIENTS: [u32; 3] = [1, 8, 64];
const ROUNDS: usize = 3;
/// A folder in memory.
const IN_MEMORY: &str = "/dev/shm";
const SYNCS: u64 = 500;
/// What one commit overwrites, about.
const SYNC_BYTES: usize = 512;

const DIMENSIONS: [(&str, usize, usize); 3] =
    [("shop", 0, SHOPS), ("product", 0, PRODUCTS), ("month", 1, MONTHS)];
const CUBE: &str = "name = \"sales\"\nkind = \"cells\"\ndimensions = [\"shop\", \"product\", \"month\"]\n\
     [[measure]]\nname = \"amount\"\ntype = \"decimal(18,2)\"\n[[measure]]\nname = \"units\"\ntype = \"integer\"\n";
const TABLE: &str = "CREATE TABLE sales (shop int, product int, month int, amount numeric(18,2), units bigint, \
     PRIMARY KEY (shop, product, month))";
const UPDATE: &str = "\\set shop random(0, 499)\n\\set product random(0, 99)\n\\set month random(1, 20)\n\
     \\set amount random(1, 1000000)\n\
     UPDATE sales SET amount = :amount WHERE shop = :shop AND product = :product AND month = :month;\n";

fn main() -> Result<()> {
    let seconds: u64 = std::env::args().nth(1).map_or(Ok(6), |text| text.parse())?;
    let folder = tempfile::tempdir()?;
    let folder = folder.path();
    let cells = cells(folder)?;
    let postgres = Postgres::start(&[])?;
    postgres.psql(TABLE)?;
    postgres.psql(&format!("\\copy sales FROM '{cells}' CSV HEADER"))?;
    postgres.psql("VACUUM ANALYZE sales")?;
    let data = loaded(&std::env::temp_dir(), folder, &cells)?;
    let loaded_in_memory = loaded(Path::new(IN_MEMORY), folder, &cells)?;
    let (server, in_memory) = (data.serve()?, loaded_in_memory.serve()?);
    let script = write_file(folder, "update.sql", UPDATE)?;
    let bench = Bench { folder, script: &script, seconds };
    let (mut figures, mut answered) = (String::from("commits"), 0);
    let entries = entry_count(&server)?;
    for clients in CLIENTS {
        let (mut ours, mut theirs, mut unsynced, mut syncs) = Default::default();
        for _ in 0..ROUNDS {
            answered += run(&bench, &server.postgres, "shops", clients, &mut ours)?;
            run(&bench, &postgres.address, "postgres", clients, &mut theirs)?;
            run(&bench, &in_memory.postgres, "shops", clients, &mut unsynced)?;
            sync_times(folder, &mut syncs)?;
        }
        syncs.sort_unstable();
        let sync_us = syncs[syncs.len() / 2];
        println!("{clients} clients; a sync of the disk takes {sync_us} us");
        let names = ["ours", "PostgreSQL", "ours, in memory"];
        let rates: Vec<f64> = names
            .into_iter()
            .zip([ours, theirs, unsynced])
            .map(|(name, rounds)| summed_up(name, rounds, seconds))
            .collect();
        let bound = (f64::from(clients) * 1e6 / sync_us as f64).min(rates[2]);
        write!(
            figures,
            " rate_{clients}={:.0} postgres_{clients}={:.0} in_memory_{clients}={:.0} sync_us_{clients}={sync_us} \
             ratio_{clients}={:.2} of_bound_{clients}={:.2}",
            rates[0],
            rates[1],
            rates[2],
            rates[0] / rates[1],
            rates[0] / bound
        )?;
    }
    let written = entry_count(&server)? - entries;
    server.kill()?;
    let verified = data.verify()?;
    println!("{verified}; {written} of them updates, {answered} of these counted");
    ensure!(written >= answered, "{answered} updates were answered, the ledger has {written}");
    println!("{figures}");
    Ok(())
}

/// One turn of a server: adds its latencies, and says how many updates were answered.
fn run(
    bench: &Bench<'_>,
    address: &str,
    database: &str,
    clients: u32,
    rounds: &mut Vec<Latencies>,
) -> Result<u64> {
    let clients = [format!("--client={clients}"), format!("--jobs={}", clients.min(2))];
    let found = bench.latencies(address, database, &[&clients[0], &clients[1]])?;
    let count = found.0.len() as u64;
    rounds.push(found);
    Ok(count)
}

/// Prints what came of some rounds; the median of their rates.
fn summed_up(name: &str, mut rounds: Vec<Latencies>, seconds: u64) -> f64 {
    rounds.sort_unstable_by_key(|round| round.0.len());
    let median = &rounds[rounds.len() / 2];
    // the first second does not count
    let rate = median.0.len() as f64 / (seconds - 1) as f64;
    median.print(&format!("  {name}: {rate:.0} a second"));
    rate
}

/// Overwrites a part of a file and syncs it, again and again.
fn sync_times(folder: &Path, times_us: &mut Vec<u64>) -> Result<()> {
    let file = File::create(folder.join("synced"))?;
    let length = SYNCS as usize * SYNC_BYTES;
    file.write_all_at(&vec![1; length], 0)?;
    file.sync_all()?;
    for at in 0..SYNCS {
        let started = Instant::now();
        file.write_all_at(&[2; SYNC_BYTES], at * SYNC_BYTES as u64)?;
        file.sync_data()?;
        times_us.push(u64::try_from(started.elapsed().as_micros())?);
    }
    Ok(())
}

fn entry_count(server: &Server) -> Result<u64> {
    let rows = server.rows("SELECT max(sequence) FROM perfos.ledger")?;
    rows.first().and_then(|row| row.parse().ok()).context("the ledger has no entries")
}

/// A file of all cells.
fn cells(folder: &Path) -> Result<String> {
    let mut cells = String::from("shop,product,month,amount,units\n");
    for shop in 0..SHOPS {
        for product in 0..PRODUCTS {
            for month in 1..=MONTHS {
                let amount = (shop * 7 + product * 13 + month * 17) % 9_973;
                writeln!(cells, "{shop},{product},{month},{amount}.25,{}", amount % 97)?;
            }
        }
    }
    write_file(folder, "cells.csv", &cells)
}

/// A data folder with the cells.
fn loaded(parent: &Path, folder: &Path, cells: &str) -> Result<DataFolder> {
    let data = DataFolder::within(parent, "shops")?;
    write_file(folder, "model/model.toml", "name = \"shops\"\n")?;
    write_file(folder, "model/cubes/sales.toml", CUBE)?;
    for (name, ..) in DIMENSIONS {
        let dimension = format!("name = \"{name}\"\nkey_type = \"integer\"\n");
        write_file(folder, &format!("model/dimensions/{name}.toml"), &dimension)?;
    }
    data.run(&["apply", &folder.join("model").to_string_lossy()])?;
    for (name, first, count) in DIMENSIONS {
        let mut members = String::from("key\n");
        (first..first + count).try_for_each(|key| writeln!(members, "{key}"))?;
        let file = write_file(folder, "members.csv", &members)?;
        data.run(&["load", &file, "--dimension", name])?;
    }
    data.run(&["load", cells, "--cube", "sales"])?;
    Ok(data)
}
