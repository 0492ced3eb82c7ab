//! The Star Schema Benchmark in our engine: `cargo xtask bench ssb` runs it beside its peers.
//!
//!     ssb SCALE random|date FILE THREADS
//!
//! makes the rows, writes them to FILE for other engines, loads the cube and says so in a line of
//! JSON. Then each line of the input is a query or a command, and each line of the output its answer.
//! That of a query is its rows, the time from the text to the rows, and the aggregate that answers it.
//! It ends with its input. Commands:
//!
//!     prepare SQL    the same, with the time of a statement that was prepared before
//!     write N        sets a measure in N rows that lie scattered
//!     choose         makes aggregates for what was asked so far
//!     use on|off     whether aggregates may answer
//!     aggregates     those there are

mod data;
mod file;
mod lineorder;

use std::collections::HashMap;
use std::error::Error;
use std::io::{BufRead, Write, stdin, stdout};
use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Instant;

use arrow::array::RecordBatch;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use async_trait::async_trait;
use calc::Revision;
use cube::CubeId;
use cube::view::{Interrupt, MemoryReservation};
use futures::TryStreamExt;
use protocol::branches::{Branch, Branches, ReadPoint};
use protocol::error::SqlError;
use protocol::sql::local::{LocalSession, SessionOptions};
use protocol::sql::session::{Outcome, Prepared, Session};
use protocol::tenant::{Command, LedgerEntry, NewBranch, OldBranch, Receipt, Tenant};
use serde_json::{Value, json};

use data::{Dimensions, Order};

/// Memory of aggregates, of what the rows take, as in `perfos`.
const AGGREGATES_PERCENT: usize = 28;

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
    let mut bench = Bench::new(revision)?;
    println!("{}", json!({ "rows": rows, "load_s": load_s, "bytes": bytes }));
    for line in stdin().lock().lines() {
        let answer = match runtime.block_on(bench.answer(&line?)) {
            Ok(answer) => answer,
            Err(error) => json!({ "error": error.to_string() }),
        };
        println!("{answer}");
        stdout().flush()?;
    }
    Ok(())
}

/// The loaded tenant and a session with it.
struct Bench {
    tenant: Arc<Loaded>,
    session: LocalSession,
    statements: HashMap<String, Prepared>,
    writes: u64,
}

impl Bench {
    fn new(revision: Revision) -> Result<Self> {
        let branches = Branches::default();
        let main = Branch { revision, ..Branch::clone(branches.main()) };
        let tenant = Arc::new(Loaded(RwLock::new(Arc::new(branches.with(main)))));
        let options = SessionOptions {
            user: "benchmark".into(),
            origin: "benchmark".into(),
            backend_pid: 1,
            server_started_us: 0,
        };
        let session = LocalSession::new(Arc::clone(&tenant) as Arc<dyn Tenant>, options)?;
        Ok(Self { tenant, session, statements: HashMap::new(), writes: 0 })
    }

    async fn answer(&mut self, line: &str) -> Result<Value> {
        let started = Instant::now();
        let done = |more: Value| {
            let mut answer = json!({ "ns": started.elapsed().as_nanos() as u64 });
            let fields = more.as_object().into_iter().flatten();
            fields.for_each(|(name, value)| answer[name.as_str()] = value.clone());
            Ok(answer)
        };
        match line.split_once(' ').unwrap_or((line, "")) {
            ("prepare", sql) => self.prepared(sql).await,
            ("write", count) => {
                self.write(count.parse()?)?;
                done(json!({}))
            }
            ("use", value) => {
                self.session.set("perfos.maintained_aggregates", value)?;
                done(json!({}))
            }
            ("choose", _) => {
                let rows = self.choose()?;
                done(json!({ "rows": rows }))
            }
            ("aggregates", _) => self.query("SELECT * FROM perfos.aggregates").await,
            _ => self.query(line).await,
        }
    }

    /// From the text to the rows.
    async fn query(&mut self, sql: &str) -> Result<Value> {
        let started = Instant::now();
        let statement = self.session.parse(sql)?.pop().ok_or("no statement")?;
        let prepared = self.session.prepare(statement, &[]).await?;
        self.rows(&prepared, started).await
    }

    /// From a statement that was prepared before to the rows.
    async fn prepared(&mut self, sql: &str) -> Result<Value> {
        if !self.statements.contains_key(sql) {
            let statement = self.session.parse(sql)?.pop().ok_or("no statement")?;
            let prepared = self.session.prepare(statement, &[]).await?;
            self.statements.insert(sql.to_string(), prepared);
        }
        let prepared = self.statements[sql].clone();
        self.rows(&prepared, Instant::now()).await
    }

    async fn rows(&mut self, prepared: &Prepared, started: Instant) -> Result<Value> {
        let Outcome::Rows { stream, .. } = self.session.execute(prepared, Vec::new()).await? else {
            return Err("the statement is no query".into());
        };
        let batches: Vec<RecordBatch> = stream.try_collect().await?;
        let time = u64::try_from(started.elapsed().as_nanos())?;
        Ok(json!({ "ns": time, "rows": texts(&batches)? }))
    }

    /// Adds one to the revenue of some rows.
    fn write(&mut self, count: usize) -> Result<()> {
        let branches = self.tenant.branches();
        let revision = &branches.main().revision;
        self.writes += 1;
        let write = lineorder::scattered(&revision.version, count, self.writes);
        let (revision, _) = revision.apply(&[write])?;
        let main = Branch { revision, ..Branch::clone(branches.main()) };
        self.tenant.publish(branches.with(main));
        Ok(())
    }

    /// What `perfos` does in the background.
    fn choose(&self) -> Result<usize> {
        let branches = self.tenant.branches();
        let version = &branches.main().revision.version;
        for (at, rows) in version.cubes.iter().enumerate() {
            rows.merge_if_due(&Interrupt::default());
            let budget = rows.size_bytes() / 100 * AGGREGATES_PERCENT;
            let cube = CubeId::from_idx(at);
            rows.aggregates().maintain(version, cube, budget, &Interrupt::default())?;
        }
        Ok(version.cubes.iter().map(|rows| rows.aggregates().list().len()).sum())
    }
}

/// The rows of batches as texts.
fn texts(batches: &[RecordBatch]) -> Result<Vec<Vec<String>>> {
    let mut rows = Vec::new();
    for batch in batches {
        let options = FormatOptions::default();
        let columns =
            batch.columns().iter().map(|column| ArrayFormatter::try_new(column, &options));
        let columns = columns.collect::<std::result::Result<Vec<_>, _>>()?;
        for row in 0..batch.num_rows() {
            rows.push(columns.iter().map(|column| column.value(row).to_string()).collect());
        }
    }
    Ok(rows)
}

/// Memory of this process, by the kernel's count.
fn resident_bytes() -> Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok());
    Ok(kilobytes.ok_or("no VmRSS in /proc/self/status")? * 1024)
}

/// A tenant whose ledger is left out.
struct Loaded(RwLock<Arc<Branches>>);

impl Loaded {
    fn branches(&self) -> Arc<Branches> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn publish(&self, branches: Branches) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(branches);
    }
}

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
            branches: self.branches(),
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
