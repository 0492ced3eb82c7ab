//! The Star Schema Benchmark in our engine: `cargo xtask bench ssb` runs it beside its peers.
//!
//!     ssb SCALE random|date FILE THREADS
//!
//! makes the rows, writes them to FILE for other engines, loads the cube and says so in a line of
//! JSON. Then each line of the input is a query, and each line of the output its answer: the rows and
//! the time from the text to the rows. It ends with its input.

mod data;
mod file;
mod lineorder;

use std::error::Error;
use std::io::{BufRead, Write, stdin, stdout};
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use arrow::array::RecordBatch;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use async_trait::async_trait;
use calc::Revision;
use cube::view::MemoryReservation;
use futures::TryStreamExt;
use protocol::branches::{Branch, Branches, ReadPoint};
use protocol::error::SqlError;
use protocol::sql::local::{LocalSession, SessionOptions};
use protocol::sql::session::{Outcome, Session};
use protocol::tenant::{Command, LedgerEntry, NewBranch, OldBranch, Receipt, Tenant};
use serde_json::{Value, json};

use data::{Dimensions, Order};

/// As in `perfos`.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// Read by the allocator when the program begins.
#[unsafe(export_name = "_rjem_malloc_conf")]
pub static ALLOCATOR_OPTIONS: &[u8; 31] = b"thp:always,metadata_thp:always\0";

type Result<T> = std::result::Result<T, Box<dyn Error>>;

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [scale, order, path, threads] = arguments.as_slice() else {
        return Err("usage: ssb SCALE random|date FILE THREADS".into());
    };
    let order = match order.as_str() {
        "random" => Order::Random,
        "date" => Order::Date,
        other => return Err(format!("rows come in the order random or date, not {other:?}").into()),
    };
    let threads: usize = threads.parse()?;
    rayon::ThreadPoolBuilder::new().num_threads(threads).build_global()?;
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(threads).enable_all().build()?;
    let dimensions = Dimensions::new(scale.parse()?, order);
    file::write(&dimensions, Path::new(path))?;
    let (started, before) = (Instant::now(), resident_bytes()?);
    let revision = lineorder::load(&dimensions)?;
    let load_s = started.elapsed().as_secs_f64();
    let bytes = resident_bytes()?.saturating_sub(before);
    let rows: usize = revision.version.cubes.iter().map(|cube| cube.row_count()).sum();
    let mut session = session(revision)?;
    println!("{}", json!({ "rows": rows, "load_s": load_s, "bytes": bytes }));
    for line in stdin().lock().lines() {
        let answer = match runtime.block_on(answer(&mut session, &line?)) {
            Ok(answer) => answer,
            Err(error) => json!({ "error": error.to_string() }),
        };
        println!("{answer}");
        stdout().flush()?;
    }
    Ok(())
}

/// The rows of a query as texts, and its time in nanoseconds.
async fn answer(session: &mut LocalSession, sql: &str) -> Result<Value> {
    let started = Instant::now();
    let statement = session.parse(sql)?.pop().ok_or("no statement")?;
    let prepared = session.prepare(statement, &[]).await?;
    let Outcome::Rows { stream, .. } = session.execute(&prepared, Vec::new()).await? else {
        return Err("the statement is no query".into());
    };
    let batches: Vec<RecordBatch> = stream.try_collect().await?;
    let time = u64::try_from(started.elapsed().as_nanos())?;
    let mut rows = Vec::new();
    for batch in &batches {
        let options = FormatOptions::default();
        let columns =
            batch.columns().iter().map(|column| ArrayFormatter::try_new(column, &options));
        let columns = columns.collect::<std::result::Result<Vec<_>, _>>()?;
        for row in 0..batch.num_rows() {
            let texts = columns.iter().map(|column| column.value(row).to_string());
            rows.push(texts.collect::<Vec<_>>());
        }
    }
    Ok(json!({ "ns": time, "rows": rows }))
}

/// Memory of this process, by the kernel's count.
fn resident_bytes() -> Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok());
    Ok(kilobytes.ok_or("no VmRSS in /proc/self/status")? * 1024)
}

fn session(revision: Revision) -> Result<LocalSession> {
    let branches = Branches::default();
    let main = Branch { revision, ..Branch::clone(branches.main()) };
    let tenant = Loaded(Arc::new(branches.with(main)));
    let options = SessionOptions {
        user: "benchmark".into(),
        origin: "benchmark".into(),
        backend_pid: 1,
        server_started_us: 0,
    };
    Ok(LocalSession::new(Arc::new(tenant), options)?)
}

/// A tenant that is only read.
struct Loaded(Arc<Branches>);

fn read_only<T>() -> std::result::Result<T, SqlError> {
    Err(SqlError::new("25006", "the benchmark's tenant is only read"))
}

#[async_trait]
impl Tenant for Loaded {
    fn name(&self) -> &str {
        "benchmark"
    }

    fn read(&self, _user: &str) -> std::result::Result<ReadPoint, SqlError> {
        Ok(ReadPoint {
            branches: Arc::clone(&self.0),
            rights: Arc::default(),
            memory: MemoryReservation::new(u64::MAX / 2),
        })
    }

    async fn submit(&self, _command: Command) -> std::result::Result<Receipt, SqlError> {
        read_only()
    }

    async fn create_branch(&self, _branch: NewBranch) -> std::result::Result<Receipt, SqlError> {
        read_only()
    }

    async fn drop_branch(&self, _branch: OldBranch) -> std::result::Result<Receipt, SqlError> {
        read_only()
    }

    async fn ledger(&self, _limit: usize) -> std::result::Result<Vec<LedgerEntry>, SqlError> {
        Ok(Vec::new())
    }
}
