//! One cell written, its hash taken in, and then the totals of a pivot read: in process, without a ledger, on one
//! thread. An aggregate has the totals before the write.

#[path = "../tests/support/tenant.rs"]
mod tenant;

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use cube::aggregate::Key;
use cube::change::{RowsAction, RowsWrite};
use cube::rollup::{Arithmetic, Axis, Filter, Grain, Output, Request, rollup};
use cube::segment::{CubeRows, Rows};
use cube::view::Interrupt;
use cube::{CubeId, HierarchyId, MeasureId, MemberId, Version, View};
use rayon::ThreadPoolBuilder;
use tenant::{Tenant, amounts, dimension, levelled};

const PLAN: CubeId = CubeId(0);
const AMOUNT: MeasureId = MeasureId(0);
const PRODUCT: usize = 0;
const MONTH: usize = 2;
const GROUPS: usize = 100;
const PRODUCTS: usize = 2_000;
const STORES: usize = 50;
const MONTHS: usize = 12;
/// Products in groups.
const GROUP: (HierarchyId, usize) = (HierarchyId(0), 0);
/// Writes between two turns of what `perfos` does in the background.
const MAINTAINED_AFTER: u64 = 64;
const TURNS: u64 = 20_000;

/// As in `perfos`.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// The n-th of numbers that look random.
fn mixed(n: u64) -> u64 {
    let n = (n ^ 0x5bd1_e995).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (n ^ (n >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 20
}

/// A plan of 1.2 million cells, and totals by group and month that are kept.
fn plan() -> Version {
    let dimensions =
        vec![levelled("product", &[&["group", "product"]]), dimension("store"), dimension("month")];
    let cube = amounts("plan", &["product", "store", "month"], None);
    let mut tenant = Tenant::new(dimensions, vec![cube]);
    let keys =
        |name: &str, count: usize| (0..count).map(|n| format!("{name}{n}")).collect::<Vec<_>>();
    let (groups, products) = (keys("g", GROUPS), keys("p", PRODUCTS));
    let named: Vec<_> = groups.iter().map(|key| (key.as_str(), None)).collect();
    tenant.level_members("product", "group", 0, &named).expect("groups");
    let named: Vec<_> = products.iter().enumerate().collect();
    let named: Vec<_> =
        named.iter().map(|(n, key)| (key.as_str(), Some(groups[n % GROUPS].as_str()))).collect();
    tenant.level_members("product", "product", 0, &named).expect("products");
    for (name, count) in [("store", STORES), ("month", MONTHS)] {
        let keys = keys(name, count);
        let named: Vec<_> = keys.iter().map(|key| (key.as_str(), None)).collect();
        tenant.members(name, &named).expect("members");
    }
    let all = 0..PRODUCTS * STORES * MONTHS;
    let column = |of: fn(usize) -> usize| all.clone().map(|n| MemberId::from_idx(of(n))).collect();
    let rows = Rows {
        keys: Vec::new(),
        coordinates: vec![
            column(|n| GROUPS + n / (STORES * MONTHS)),
            column(|n| n / MONTHS % STORES),
            column(|n| n % MONTHS),
        ],
        values: vec![all.clone().map(|n| Some(mixed(n as u64) as i64 % 1_000_000)).collect()],
    };
    let mut version = tenant.version;
    version.cubes[PLAN.idx()] = Arc::new(CubeRows::default().with(&[], &rows));
    let keys = [Key::Level(PRODUCT, GROUP.0, GROUP.1), Key::Members(MONTH)];
    let aggregates = Arc::clone(version.rows(PLAN).aggregates());
    let is_made = aggregates.add(&keys, &[Arithmetic::Measure(AMOUNT)], &version, PLAN);
    assert!(is_made.expect("totals"), "an aggregate");
    version
}

/// A value for some cell.
fn write(turn: u64) -> RowsWrite {
    let n = mixed(turn) as usize;
    let coordinate = [GROUPS + n % PRODUCTS, n / PRODUCTS % STORES, n / 100_000 % MONTHS];
    RowsWrite {
        cube: PLAN,
        action: RowsAction::Set,
        measures: vec![AMOUNT],
        keys: Vec::new(),
        coordinates: coordinate.map(MemberId::from_idx).to_vec(),
        values: vec![Some(turn as i64)].into(),
    }
}

/// Totals by group, of one month.
fn pivot(version: &Version, month: u32) -> Request<'static> {
    let groups = version.dimension(version.model.cube_def(PLAN).dimensions[PRODUCT]);
    let groups = groups.groups(None, GROUP.0, GROUP.1);
    let axis = Axis {
        position: PRODUCT,
        codes: Arc::new(groups.codes.clone()),
        cardinality: groups.len() as u32,
        grain: Grain::Level(GROUP.0, GROUP.1),
    };
    let filter = Filter {
        position: MONTH,
        members: std::iter::once(month).collect(),
        grain: Grain::Leaf,
        level: None,
    };
    Request {
        axes: vec![axis],
        filters: vec![filter],
        outputs: vec![Output::Sum(AMOUNT)],
        ..Request::of(PLAN)
    }
}

/// The n-th percentile of some times, in microseconds.
fn percentile(times: &mut [Duration], percent: usize) -> f64 {
    times.sort_unstable();
    times[(times.len() - 1) * percent / 100].as_secs_f64() * 1e6
}

fn run() {
    let mut version = plan();
    let request = pivot(&version, 3);
    let (mut writes, mut both) = (Vec::new(), Vec::new());
    for turn in 0..TURNS {
        let write = write(turn);
        let started = Instant::now();
        let update = version.prepare(&write, &[]).expect("a cell");
        let next = Arc::new(version.with_update(&update));
        writes.push(started.elapsed());
        let view = View::unrestricted(Arc::clone(&next));
        black_box(rollup(&view, &request).expect("totals"));
        both.push(started.elapsed());
        drop(view);
        version = Arc::unwrap_or_clone(next);
        if turn % MAINTAINED_AFTER == 0 {
            let aggregates = Arc::clone(version.rows(PLAN).aggregates());
            let interrupt = Interrupt::default();
            aggregates.maintain(&version, PLAN, usize::MAX, &interrupt).expect("it can be kept");
        }
    }
    for (name, times) in [("written", &mut writes), ("written, totals read", &mut both)] {
        let (median, late) = (percentile(times, 50), percentile(times, 99));
        println!("one cell {name}: median {median:.1} us, 99th percentile {late:.1} us");
    }
}

fn main() {
    let pool = ThreadPoolBuilder::new().num_threads(1).build().expect("a pool");
    pool.install(run);
}
