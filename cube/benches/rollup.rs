//! What each kernel of a rollup takes a row, over about a million rows and on one thread.

#[path = "../tests/support/tenant.rs"]
mod tenant;

use std::hint::black_box;
use std::iter::once;
use std::sync::Arc;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use cube::change::MemberWrite;
use cube::dimension::Dimension;
use cube::limits::SEGMENT_ROWS_MAX;
use cube::model::{Consolidation, CubeDef, MeasureDef, TimeDef, TimeSummary};
use cube::rollup::{Arithmetic, Axis, Filter, Grain, Operator, Output, Request, rollup, selector};
use cube::segment::{CubeRows, Ints, RowSet, Rows, ValueRange};
use cube::value::{KeyPart, KeyType};
use cube::{AttributeId, CubeId, HierarchyId, MeasureId, MemberId, Scalar, ValueType, View};
use rayon::{ThreadPool, ThreadPoolBuilder};
use tenant::{Tenant, amounts, dimension, levelled, measure, parent_child};

const ROWS: usize = 16 * SEGMENT_ROWS_MAX;
const SALES: CubeId = CubeId(0);
const LEDGER: CubeId = CubeId(1);
const BALANCE: CubeId = CubeId(2);
const BY_DAY: CubeId = CubeId(3);
const SCATTERED: CubeId = CubeId(4);
const INVENTORY: CubeId = CubeId(5);

const PRODUCT: usize = 0;
const STORE: usize = 1;
const CUSTOMER: usize = 2;
const FAMILIES: usize = 20;
const BRANDS: usize = 400;
const PRODUCTS: usize = 20_000;
const STORES: usize = 128;
const CUSTOMERS: usize = 50_000;
const ACCOUNTS: usize = 64;
const DAYS: usize = ROWS / ACCOUNTS / STORES;
/// Days of a product in a store; of so many products in stores there are cells, of all that there may be.
const INVENTORY_DAYS: usize = 8;

const AMOUNT: MeasureId = MeasureId(0);
const PIECES: MeasureId = MeasureId(1);
const DISCOUNT: MeasureId = MeasureId(2);

/// The position of brands below families.
const BRAND: (HierarchyId, usize) = (HierarchyId(0), 1);

/// The n-th of numbers that look random.
fn mixed(n: usize) -> usize {
    let n = (n as u64 ^ 0x5bd1_e995).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    ((n ^ (n >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 20) as usize
}

fn decimal(precision: u8, scale: u8) -> ValueType {
    ValueType::Decimal { precision, scale }
}

/// Sales in records; a ledger whose accounts are weighted; balances of which the last counts.
fn tenant() -> Tenant {
    let dimensions = vec![
        levelled("product", &[&["family", "brand", "product"]]),
        dimension("store"),
        dimension("customer"),
        parent_child("account", ValueType::Integer),
        dimension("unit"),
        dimension("day"),
    ];
    let sales = CubeDef {
        measures: vec![
            measure("amount", decimal(12, 2), Consolidation::Sum),
            measure("pieces", ValueType::Integer, Consolidation::Sum),
            measure("discount", decimal(4, 2), Consolidation::Sum),
        ],
        ..amounts("sales", &["product", "store", "customer"], Some(KeyType::Bigint))
    };
    let stock = TimeDef {
        dimension: "day".into(),
        by: None,
        default: TimeSummary::Last,
        rules: Default::default(),
    };
    let stock = MeasureDef {
        time: Some(stock),
        ..measure("stock", ValueType::Integer, Consolidation::Sum)
    };
    let stocks = |name: &str, dimensions: [&str; 3]| CubeDef {
        measures: vec![stock.clone()],
        ..amounts(name, &dimensions, None)
    };
    let ledger = amounts("ledger", &["account", "store", "day"], None);
    let balances = [
        stocks("balance", ["unit", "store", "day"]),
        stocks("balance_by_day", ["day", "unit", "store"]),
        stocks("scattered", ["unit", "store", "day"]),
        stocks("inventory", ["day", "product", "store"]),
    ];
    let mut tenant = Tenant::new(dimensions, [sales, ledger].into_iter().chain(balances).collect());
    add_members(&mut tenant);
    let by_leaf: [fn(usize) -> usize; 3] =
        [|n| n / (STORES * DAYS), |n| n / DAYS % STORES, |n| n % DAYS];
    let by_day: [fn(usize) -> usize; 3] =
        [|n| n / (ACCOUNTS * STORES), |n| n / STORES % ACCOUNTS, |n| n % STORES];
    let segments = ROWS / SEGMENT_ROWS_MAX;
    let a_part = |part: usize| (0..ROWS).filter(move |&n| mixed(n) % segments == part);
    let cubes = [
        of_records(ROWS),
        of_cells(once(0..ROWS), by_leaf),
        of_cells(once(0..ROWS), by_leaf),
        of_cells(once(0..ROWS), by_day),
        of_cells((0..segments).map(a_part), by_leaf),
        of_cells(once(0..ROWS), in_inventory()),
    ];
    tenant.version.cubes = cubes.into_iter().map(Arc::new).collect();
    tenant
}

fn add_members(tenant: &mut Tenant) {
    let keys = |prefix: &str, count: usize| -> Vec<String> {
        (0..count).map(|n| format!("{prefix}{n}")).collect()
    };
    let (families, brands, products) =
        (keys("f", FAMILIES), keys("b", BRANDS), keys("p", PRODUCTS));
    let below = |members: &[String], above: &[String], level: &str, tenant: &mut Tenant| {
        let parent = |n: usize| above.get(mixed(n) % above.len().max(1)).map(String::as_str);
        let members: Vec<_> =
            members.iter().enumerate().map(|(n, key)| (key.as_str(), parent(n))).collect();
        tenant.level_members("product", level, 0, &members).expect("members of a level");
    };
    below(&families, &[], "family", tenant);
    below(&brands, &families, "brand", tenant);
    below(&products, &brands, "product", tenant);
    for (name, count) in
        [("store", STORES), ("customer", CUSTOMERS), ("unit", ACCOUNTS), ("day", DAYS)]
    {
        let keys = keys(name, count);
        let members: Vec<_> = keys.iter().map(|key| (key.as_str(), None)).collect();
        tenant.members(name, &members).expect("members");
    }
    let account = |n: usize| MemberWrite {
        key: format!("a{n}"),
        parents: (n > 0)
            .then(|| (HierarchyId(0), Some(format!("a{}", n / 4))))
            .into_iter()
            .collect(),
        attributes: vec![(AttributeId(0), Some(Scalar::Stored([1, -1, 2][n % 3])))],
        ..MemberWrite::default()
    };
    tenant.write_members("account", (0..ACCOUNTS).map(account).collect()).expect("accounts");
}

/// Sales in the order of their keys.
fn of_records(count: usize) -> CubeRows {
    let first_product = FAMILIES + BRANDS;
    let member = |n: usize| MemberId::from_idx(n);
    let each = |column: fn(usize) -> usize| (0..count).map(column);
    let values = |column: fn(usize) -> usize| each(column).map(|n| Some(n as i64)).collect();
    let rows = Rows {
        keys: vec![(0..count as i64).map(KeyPart::Integer).collect()],
        coordinates: vec![
            each(|n| mixed(n) % PRODUCTS).map(|n| member(first_product + n)).collect(),
            each(|n| mixed(n + 1) % STORES).map(member).collect(),
            each(|n| mixed(n + 2) % CUSTOMERS).map(member).collect(),
        ],
        values: vec![
            values(|n| mixed(n + 3) % 1_000_000),
            values(|n| 1 + mixed(n + 4) % 100),
            values(|n| mixed(n + 5) % 50),
        ],
    };
    CubeRows::default().with(&[], &rows)
}

/// Members of the n-th cell of an inventory of few products in each store.
fn in_inventory() -> [fn(usize) -> usize; 3] {
    const LEAVES: usize = ROWS / INVENTORY_DAYS;
    const STEP: usize = PRODUCTS * STORES / LEAVES;
    [
        |n| n / LEAVES,
        |n| FAMILIES + BRANDS + n % LEAVES * STEP / STORES,
        |n| (n % LEAVES * STEP + mixed(n % LEAVES) % STEP) % STORES,
    ]
}

/// Cells in several writes, each in the order of coordinates: of the n-th cell, the place of its member in each
/// dimension.
fn of_cells<W: IntoIterator<Item = usize>>(
    writes: impl IntoIterator<Item = W>,
    places: [fn(usize) -> usize; 3],
) -> CubeRows {
    writes.into_iter().fold(CubeRows::default(), |cells, write| {
        let write: Vec<usize> = write.into_iter().collect();
        let column = |place: &fn(usize) -> usize| {
            write.iter().map(|&n| MemberId::from_idx(place(n))).collect()
        };
        let rows = Rows {
            keys: Vec::new(),
            coordinates: places.iter().map(column).collect(),
            values: vec![write.iter().map(|&n| Some((mixed(n) % 1_000_000) as i64)).collect()],
        };
        assert!(rows.first_duplicate().is_none());
        cells.with(&[], &rows)
    })
}

/// What is measured, on one thread.
struct Bench {
    view: View,
    pool: ThreadPool,
}

impl Bench {
    fn new() -> Self {
        let pool = ThreadPoolBuilder::new().num_threads(1).build().expect("a pool");
        Self { view: tenant().view(), pool }
    }

    fn dimension(&self, cube: CubeId, position: usize) -> &Dimension {
        let version = &self.view.version;
        version.dimension(version.model.cube_def(cube).dimensions[position])
    }

    fn roll_up(&self, criterion: &mut Criterion, group: &str, name: &str, request: &Request<'_>) {
        let mut group = criterion.benchmark_group(group);
        group.throughput(Throughput::Elements(ROWS as u64));
        group.bench_function(name, |bencher| {
            self.pool.install(|| bencher.iter(|| rollup(&self.view, request).expect("a rollup")));
        });
    }

    /// Finds the rows of a request.
    fn select(&self, criterion: &mut Criterion, name: &str, request: &Request<'_>) {
        let mut group = criterion.benchmark_group("filter");
        group.throughput(Throughput::Elements(ROWS as u64));
        let segments = self.view.version.rows(request.cube).segments();
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                let selector = selector(&self.view, request);
                segments.iter().map(|segment| segment.rows_with(&selector).len()).sum::<usize>()
            });
        });
    }

    /// The products whose brand is at a place among brands that is wanted.
    fn brands(&self, is_wanted: impl Fn(u32) -> bool) -> Filter {
        let product = self.dimension(SALES, PRODUCT);
        let groups = product.groups(None, BRAND.0, BRAND.1);
        let leaves = product.members().filter(|&member| product.holds_facts(member));
        let wanted = leaves.filter(|member| is_wanted(groups.codes[member.idx()]));
        Filter {
            position: PRODUCT,
            members: wanted.map(|member| member.0).collect(),
            grain: Grain::Free,
            level: Some(BRAND),
        }
    }

    fn axis(&self, position: usize) -> Axis {
        let cardinality = self.dimension(SALES, position).member_count() as u32;
        Axis {
            position,
            codes: Arc::new((0..cardinality).collect()),
            cardinality,
            grain: Grain::Leaf,
        }
    }

    /// By months of 30 days.
    fn month_axis(&self, cube: CubeId, position: usize) -> Axis {
        let days = self.dimension(cube, position).member_count() as u32;
        Axis {
            position,
            codes: Arc::new((0..days).map(|day| day / 30).collect()),
            cardinality: days.div_ceil(30),
            grain: Grain::Free,
        }
    }

    fn brand_axis(&self) -> Axis {
        let groups = self.dimension(SALES, PRODUCT).groups(None, BRAND.0, BRAND.1);
        Axis {
            position: PRODUCT,
            codes: Arc::new(groups.codes.clone()),
            cardinality: groups.len() as u32,
            grain: Grain::Level(BRAND.0, BRAND.1),
        }
    }
}

/// A quarter of the rows each time.
fn filters(criterion: &mut Criterion) {
    let bench = Bench::new();
    let first = (FAMILIES + BRANDS) as u32;
    let leaves = Filter {
        position: PRODUCT,
        members: (first..first + PRODUCTS as u32 / 4).collect(),
        grain: Grain::Leaf,
        level: None,
    };
    let run = bench.brands(|brand| (100..100 + BRANDS as u32 / 4).contains(&brand));
    let scattered = bench.brands(|brand| brand % 4 == 0);
    for (name, filter) in
        [("leaf range", leaves), ("level run", run), ("level scattered", scattered)]
    {
        bench.select(criterion, name, &Request { filters: vec![filter], ..Request::of(SALES) });
    }
    for (name, measure, low, high) in
        [("values of 8 bits", PIECES, 1, 25), ("values of 20 bits", AMOUNT, 0, 249_999)]
    {
        let ranges = vec![ValueRange { measure, low, high }];
        bench.select(criterion, name, &Request { ranges, ..Request::of(SALES) });
    }
}

fn groups(criterion: &mut Criterion) {
    let bench = Bench::new();
    for (name, axes) in [
        ("dense, of a level", vec![bench.brand_axis()]),
        ("dense, of two dimensions", vec![bench.axis(STORE), bench.brand_axis()]),
        ("sparse, few seen", vec![bench.axis(PRODUCT), bench.brand_axis()]),
        ("sparse, one a row", vec![bench.axis(CUSTOMER), bench.axis(STORE)]),
    ] {
        let outputs = vec![Output::CountRows];
        let request = Request { axes, outputs, ..Request::of(SALES) };
        bench.roll_up(criterion, "group", name, &request);
    }
}

fn outputs(criterion: &mut Criterion) {
    let bench = Bench::new();
    let paid = Arithmetic::Binary(
        Operator::Minus,
        Box::new(Arithmetic::Constant(1, 0)),
        Box::new(Arithmetic::Measure(DISCOUNT)),
    );
    let net =
        Arithmetic::Binary(Operator::Times, Box::new(Arithmetic::Measure(AMOUNT)), Box::new(paid));
    for (name, cube, outputs) in [
        ("sum", SALES, vec![Output::Sum(AMOUNT)]),
        ("min and max", SALES, vec![Output::Min(AMOUNT), Output::Max(AMOUNT)]),
        ("count", SALES, vec![Output::Count(AMOUNT)]),
        ("sum of a product", SALES, vec![Output::SumOf(0)]),
        ("sum of cells", LEDGER, vec![Output::Sum(AMOUNT)]),
        ("weighted sum of cells", LEDGER, vec![Output::Consolidated(AMOUNT)]),
    ] {
        let request = Request { computed: vec![net.clone()], outputs, ..Request::of(cube) };
        bench.roll_up(criterion, "output", name, &request);
    }
}

/// Balances of which the last counts, each beside the plain sum of the same cells.
fn lasts(criterion: &mut Criterion) {
    let bench = Bench::new();
    for (name, cube, months) in [
        ("days follow a leaf", BALANCE, None),
        ("days follow a leaf, by month", BALANCE, Some(2)),
        ("leaves follow a day", BY_DAY, None),
        ("leaves follow a day, by month", BY_DAY, Some(0)),
        ("over segments", SCATTERED, None),
        ("few of many leaves", INVENTORY, None),
    ] {
        for (what, output) in [("sum", Output::Sum(AMOUNT)), ("last", Output::Consolidated(AMOUNT))]
        {
            let axes = months.map(|position| bench.month_axis(cube, position)).into_iter();
            let (axes, outputs) = (axes.collect(), vec![output]);
            let request = Request { axes, outputs, ..Request::of(cube) };
            bench.roll_up(criterion, what, name, &request);
        }
    }
}

fn ints(criterion: &mut Criterion) {
    for width in [0, 8, 16, 20, 40, 60] {
        let integers: Vec<i64> = (0..ROWS)
            .map(|n| mixed(n).wrapping_mul(mixed(n + 9)) as i64 & ((1 << width) - 1))
            .collect();
        let mut group = criterion.benchmark_group("ints");
        group.throughput(Throughput::Elements(ROWS as u64));
        group.bench_function(BenchmarkId::new("encode", width), |bencher| {
            bencher.iter(|| Ints::new(black_box(&integers)));
        });
        let ints = Ints::new(&integers);
        let every = RowSet::Run(0..ROWS as u32);
        group.bench_function(BenchmarkId::new("gather a run", width), |bencher| {
            bencher.iter(|| ints.gathered(black_box(&every), |integer| integer));
        });
        let third = RowSet::List((0..ROWS as u32).step_by(3).collect());
        group.throughput(Throughput::Elements(third.len() as u64));
        group.bench_function(BenchmarkId::new("gather a list", width), |bencher| {
            bencher.iter(|| ints.gathered(black_box(&third), |integer| integer));
        });
    }
}

criterion_group!(benches, filters, groups, outputs, lasts, ints);
criterion_main!(benches);
