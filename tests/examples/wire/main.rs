//! The Postgres wire of the real server: latency of prepared queries, a million rows, and queries beside a
//! load. `cargo xtask bench wire` runs it.
//!
//!     wire [SECONDS]
//!
//! A cube of a million cells (500 shops in 50 groups, 100 products in 10 groups, 20 months, 2 measures) is
//! loaded into the server and as a table into PostgreSQL. `pgbench` asks both for totals that aggregates
//! cover, prepared: over one connection as fast as it can, then over eight, 2,000 a second, whose latencies
//! count from when a query was due. A client of our own reads all rows from both, in turns.

#[path = "../beside/postgres.rs"]
mod peer;
#[path = "../beside/pgbench.rs"]
mod pgbench;
mod raw;

use std::fmt::Write;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use postgres::NoTls;
use tests::{DataFolder, PASSWORD, Server, USER, write_file};

use peer::Postgres;
use pgbench::{Bench, Latencies};
use raw::{Format, Raw};

const SHOPS: usize = 500;
const PRODUCTS: usize = 100;
const MONTHS: usize = 20;
const GROUP: usize = 10;
const ROWS: u64 = (SHOPS * PRODUCTS * MONTHS) as u64;
const ROUNDS: usize = 5;
const RATE: u32 = 2_000;

const DIMENSION: &str = "name = \"{name}\"\n[[level]]\nname = \"group\"\n[[level]]\nname = \"{name}\"\n\
     [[hierarchy]]\nname = \"{name}\"\nkind = \"levels\"\nlevels = [\"group\", \"{name}\"]\n";
const CUBE: &str = "name = \"{cube}\"\nkind = \"cells\"\ndimensions = [\"shop\", \"product\", \"month\"]\n\
     [[measure]]\nname = \"amount\"\ntype = \"decimal(18,2)\"\n[[measure]]\nname = \"units\"\ntype = \"integer\"\n";
const FORMULA: &str =
    "[[formula]]\ntarget = \"plan.total\"\ntext = \"plan.amount * 1.1 + plan.units\"\n";
const TABLE: &str = "CREATE TABLE sales (shop text, product text, month int, amount numeric(18,2), units bigint, \
     shop_group text, product_group text)";
const ALL: &str = "SELECT shop, product, month, amount, units FROM sales";
/// Of all months, one at random.
const COVERED: &str = "\\set month random(1, 20)\n\
     SELECT product_group, sum(amount), sum(units) FROM sales WHERE month = :month GROUP BY product_group;\n";
const COVERED_ONCE: &str = "SELECT product_group, sum(amount), sum(units) FROM sales WHERE month = 7 GROUP BY product_group";
/// Queries that take seconds and more.
const LONG: [&str; 3] = [
    "SELECT count(*) FROM sales a JOIN sales b ON a.month = b.month WHERE a.amount < b.amount",
    "SELECT a.shop, b.product, sum(a.units * b.units) FROM sales a, sales b GROUP BY 1, 2 ORDER BY 3",
    "SELECT row_number() OVER (PARTITION BY a.units ORDER BY a.amount, a.shop, a.product, a.month) \
     FROM sales a, generate_series(1, 20) ORDER BY 1",
];
const PATIENCE: Duration = Duration::from_secs(60);

fn main() -> Result<()> {
    let seconds: u64 = std::env::args().nth(1).map_or(Ok(10), |text| text.parse())?;
    let folder = tempfile::tempdir()?;
    let folder = folder.path();
    let data = loaded(folder)?;
    let server = data.serve()?;
    let postgres = postgres_loaded(folder)?;
    let rows = million_rows(&server, &postgres)?;
    for (name, (ours, theirs)) in ["text", "binary"].iter().zip(rows) {
        println!("{ROWS} rows, {name}: {ours:.0} ms, PostgreSQL {theirs:.0} ms");
    }
    ask_until_covered(&server)?;
    let script = write_file(folder, "covered.sql", COVERED)?;
    let bench = Bench { folder, script: &script, seconds };
    let alone = ["--client=1", "--jobs=1"];
    let one = bench.latencies(&server.postgres, "shops", &alone)?;
    one.print("one connection");
    bench.latencies(&postgres.address, "postgres", &alone)?.print("one connection, PostgreSQL");
    drop(postgres);
    let rate = format!("--rate={RATE}");
    let open = ["--client=8", "--jobs=2", &rate];
    let quiet = bench.latencies(&server.postgres, "shops", &open)?;
    quiet.print("2,000 queries a second");
    // a load that a formula follows, over and over for as long as queries are asked
    let busy = std::thread::scope(|scope| -> Result<Latencies> {
        let loading = scope.spawn(|| -> Result<usize> {
            let (started, mut loads) = (Instant::now(), 0);
            while started.elapsed() < Duration::from_secs(seconds) {
                let file = folder.join("cells.csv");
                let file = file.to_string_lossy();
                let output = server.run(&data, &["load", &file, "--cube", "plan"])?;
                ensure!(output.status.success(), "{}", tests::text_of(&output));
                server.rows("DELETE FROM plan")?;
                loads += 1;
            }
            Ok(loads)
        });
        let busy = bench.latencies(&server.postgres, "shops", &open);
        let loads = loading.join().map_err(|_| anyhow::anyhow!("the loads panicked"))??;
        println!("{loads} loads of {ROWS} rows meanwhile");
        busy
    })?;
    busy.print("2,000 queries a second beside loads");
    let cancelled = cancelled_after(&server)?;
    println!("cancelled: median {} us, longest {} us", cancelled.at(50), cancelled.at(100));
    let [(text, pg_text), (binary, pg_binary)] = rows;
    println!(
        "wire text_ms={text:.0} text_ratio={:.2} binary_ms={binary:.0} binary_ratio={:.2} one_p50_us={} \
         open_p99_us={} busy_p99_us={} busy_ratio={:.1} cancel_max_us={}",
        pg_text / text,
        pg_binary / binary,
        one.at(50),
        quiet.at(99),
        busy.at(99),
        busy.at(99) as f64 / quiet.at(99) as f64,
        cancelled.at(100),
    );
    Ok(())
}

/// How long it takes until a query that would go on ends with 57014 after it was cancelled: joins, sorts and
/// rollups, each at several moments.
fn cancelled_after(server: &Server) -> Result<Latencies> {
    let mut times = Vec::new();
    for sql in LONG {
        for turn in 0..ROUNDS as u64 {
            let mut client = postgres::Client::connect(&server.connection_string(), NoTls)?;
            let token = client.cancel_token();
            let asked = std::thread::spawn(move || {
                let ended = client.batch_execute(sql);
                (Instant::now(), ended)
            });
            std::thread::sleep(Duration::from_millis(40 + 60 * turn));
            let started = Instant::now();
            token.cancel_query(NoTls)?;
            let (ended, result) =
                asked.join().map_err(|_| anyhow::anyhow!("the client panicked"))?;
            let code = result.err().and_then(|error| Some(error.code()?.code().to_string()));
            ensure!(code.as_deref() == Some("57014"), "{sql}: {code:?}");
            times.push(u64::try_from((ended - started).as_micros())?);
        }
    }
    times.sort_unstable();
    Ok(Latencies(times))
}

/// Asks until the server has chosen an aggregate for it.
fn ask_until_covered(server: &Server) -> Result<()> {
    let (started, sql) = (Instant::now(), COVERED_ONCE);
    while !server.rows(&format!("EXPLAIN {sql}"))?.concat().contains("from aggregate [") {
        ensure!(started.elapsed() < PATIENCE, "no aggregate was chosen");
        server.rows(sql)?;
    }
    Ok(())
}

/// A data folder with the cube, and another that a formula computes.
fn loaded(folder: &Path) -> Result<DataFolder> {
    let data = DataFolder::new("shops")?;
    write_file(folder, "model/model.toml", "name = \"shops\"\n")?;
    for name in ["shop", "product"] {
        let path = format!("model/dimensions/{name}.toml");
        write_file(folder, &path, &DIMENSION.replace("{name}", name))?;
    }
    write_file(
        folder,
        "model/dimensions/month.toml",
        "name = \"month\"\nkey_type = \"integer\"\n",
    )?;
    write_file(folder, "model/cubes/sales.toml", &CUBE.replace("{cube}", "sales"))?;
    let plan = CUBE.replace("{cube}", "plan");
    let plan = format!("{plan}[[measure]]\nname = \"total\"\ntype = \"decimal(18,2)\"\n");
    write_file(folder, "model/cubes/plan.toml", &plan)?;
    write_file(folder, "model/rules/plan.toml", FORMULA)?;
    data.run(&["apply", &folder.join("model").to_string_lossy()])?;
    for (name, count) in [("shop", SHOPS), ("product", PRODUCTS)] {
        let mut groups = String::from("key\n");
        (0..count / GROUP).try_for_each(|group| writeln!(groups, "{name} group {group}"))?;
        let file = write_file(folder, "groups.csv", &groups)?;
        let map =
            write_file(folder, "groups.toml", "[members]\nkey = \"key\"\nlevel = \"group\"\n")?;
        data.run(&["load", &file, "--dimension", name, "--map", &map])?;
        let mut members = String::from("key,parent\n");
        (0..count).try_for_each(|n| writeln!(members, "{name} {n},{name} group {}", n / GROUP))?;
        let file = write_file(folder, "members.csv", &members)?;
        data.run(&["load", &file, "--dimension", name])?;
    }
    let mut months = String::from("key\n");
    (1..=MONTHS).try_for_each(|month| writeln!(months, "{month}"))?;
    data.run(&["load", &write_file(folder, "months.csv", &months)?, "--dimension", "month"])?;
    let mut cells = String::from("shop,product,month,amount,units\n");
    let mut rows = String::new();
    for shop in 0..SHOPS {
        for product in 0..PRODUCTS {
            for month in 1..=MONTHS {
                let amount = (shop * 7 + product * 13 + month * 17) % 9_973;
                let cell =
                    format!("shop {shop},product {product},{month},{amount}.25,{}", amount % 97);
                writeln!(cells, "{cell}")?;
                writeln!(
                    rows,
                    "{cell},shop group {},product group {}",
                    shop / GROUP,
                    product / GROUP
                )?;
            }
        }
    }
    write_file(folder, "rows.csv", &rows)?;
    data.run(&["load", &write_file(folder, "cells.csv", &cells)?, "--cube", "sales"])?;
    Ok(data)
}

/// The same as a table of PostgreSQL.
fn postgres_loaded(folder: &Path) -> Result<Postgres> {
    let postgres = Postgres::start(&["fsync=off"])?;
    postgres.psql(TABLE)?;
    let file = folder.join("rows.csv");
    postgres.psql(&format!("\\copy sales FROM '{}' CSV", file.display()))?;
    postgres.psql("VACUUM ANALYZE sales")?;
    Ok(postgres)
}

/// Median milliseconds to read all rows, ours and PostgreSQL's, as text and binary.
fn million_rows(server: &Server, postgres: &Postgres) -> Result<[(f64, f64); 2]> {
    let mut ours = Raw::connect(&server.postgres, USER, "shops", PASSWORD)?;
    let mut theirs = Raw::connect(&postgres.address, USER, "postgres", "")?;
    let mut medians = [(0.0, 0.0); 2];
    for (format, medians) in [Format::Text, Format::Binary].into_iter().zip(&mut medians) {
        let (mut own, mut other) = (Vec::new(), Vec::new());
        for _ in 0..=ROUNDS {
            for (raw, times) in [(&mut ours, &mut own), (&mut theirs, &mut other)] {
                let started = Instant::now();
                let rows = raw.rows(ALL, format)?;
                ensure!(rows == ROWS, "{rows} rows");
                times.push(started.elapsed());
            }
        }
        // the first round warms up
        let median = |mut times: Vec<Duration>| {
            times.remove(0);
            times.sort();
            times[times.len() / 2].as_secs_f64() * 1e3
        };
        *medians = (median(own), median(other));
    }
    Ok(medians)
}
