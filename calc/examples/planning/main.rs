//! A planning model of 50 million cells: `cargo xtask bench planning` runs it beside the same computation in Polars
//! (`xtask/peers/planning_polars.py`).
//!
//!     planning [COMBINATIONS]

mod model;
mod queries;

use std::fmt::Write;
use std::sync::Arc;
use std::time::{Duration, Instant};

use calc::{Measured, Query, Revision, run};
use cube::change::{MemberWrite, MembersWrite, RowsAction, RowsWrite};
use cube::model::{AttributeDef, DimensionDef, LevelDef, MeasureDef, ModelChange};
use cube::value::KeyType;
use cube::{Change, CubeId, DimensionId, HierarchyId, MeasureId, MemberId, ValueType, View};

use model::{BUDGET, COMPANY, DEPARTMENT, ENTITY, FX, MONTHS, ROWS_EACH, SUMMARY, draw};

/// As in `perfos`.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// Read by the allocator when the program begins.
#[unsafe(export_name = "_rjem_malloc_conf")]
pub static ALLOCATOR_OPTIONS: &[u8; 31] = b"thp:always,metadata_thp:always\0";

const COMBINATIONS: u64 = 87_000;

fn main() {
    let combinations = std::env::args().nth(1).and_then(|n| n.parse().ok()).unwrap_or(COMBINATIONS);
    let (started, before) = (Instant::now(), resident_bytes());
    let inputs = match model::load(combinations) {
        Ok(inputs) => inputs,
        Err(error) => panic!("{error} {:?}", error.detail()),
    };
    let load = started.elapsed();
    eprintln!(
        "loaded in {load:.1?}: {} MB, {} MB resident",
        size(&inputs) >> 20,
        (resident_bytes() - before) >> 20
    );
    if std::env::var("PER_FORMULA").is_ok() {
        let mut revision = inputs.clone();
        for formula in model::formulas() {
            let (time, next) = timed(&revision, std::slice::from_ref(&formula));
            eprintln!("{time:.1?} {formula:?}");
            revision = next;
        }
    }
    let mut full = Vec::new();
    let mut revision = inputs.clone();
    for _ in 0..3 {
        let (time, computed) = timed(&inputs, &model::formulas());
        eprintln!(
            "computed in {time:.1?}: {} MB, {} MB resident",
            size(&computed) >> 20,
            (resident_bytes() - before) >> 20
        );
        full.push(time);
        revision = computed;
    }
    full.sort();
    let rows = revision.version.rows(BUDGET).row_count();
    for cube in [BUDGET, SUMMARY, ENTITY, DEPARTMENT, COMPANY] {
        let rows = revision.version.rows(cube).row_count();
        eprintln!("{}: {rows} rows", revision.version.model.cube_def(cube).def.name);
    }
    let dimension = one_more_dimension(&inputs);
    eprintln!("a dimension more, of cells without formulas {dimension:.1?}");
    drop(inputs);
    let mut asked = String::new();
    for (at, query) in (1..).zip(queries::ask(&revision)) {
        let (groups, total, time) = (query.groups, query.total, ms(query.median));
        write!(asked, " q{at}_groups={groups} q{at}={total} q{at}_ms={time:.2}").expect("a text");
    }
    let one = one_cell(&revision, combinations);
    eprintln!("one cell p50 {:.1?} p99 {:.1?}", one.0, one.1);
    let currency =
        model::coordinates(model::combination(0), 0, model::month_members(&revision)[0])[7];
    let rate =
        cells(FX, 0, vec![currency, model::month_members(&revision)[0]], vec![Some(777_777)]);
    let fx = median(&revision, rate);
    eprintln!("a rate changed {fx:.1?}");
    let price = prices(&revision, combinations);
    let price = median(&revision, price);
    eprintln!("prices of a product changed {price:.1?}");
    on_the_fly(&revision);
    let branches = branches(&revision, combinations);
    println!(
        "planning rows={rows} {} load_s={:.1} full_ms={:.0} one_cell_p50_us={:.0} one_cell_p99_us={:.0} rate_ms={:.1} prices_ms={:.1} branch_us={:.2} branch_kb={}{asked}",
        totals(&revision),
        load.as_secs_f64(),
        ms(full[1]),
        one.0.as_secs_f64() * 1e6,
        one.1.as_secs_f64() * 1e6,
        ms(fx),
        ms(price),
        branches.0.as_secs_f64() * 1e6,
        branches.1 >> 10,
    );
}

fn size(revision: &Revision) -> usize {
    revision.version.cubes.iter().map(|cube| cube.size_bytes()).sum()
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

fn timed(revision: &Revision, changes: &[Change]) -> (Duration, Revision) {
    let started = Instant::now();
    match revision.apply(changes) {
        Ok((next, _)) => (started.elapsed(), next),
        Err(error) => panic!("{error} {:?}", error.detail()),
    }
}

/// The cells without formulas, when they get one more dimension.
fn one_more_dimension(inputs: &Revision) -> Duration {
    let definition = DimensionDef { name: "version".into(), ..scenario_like(inputs) };
    let members = MembersWrite {
        dimension: DimensionId::from_idx(inputs.version.dimensions.len()),
        first_new: MemberId(0),
        members: vec![MemberWrite { key: "first".into(), ..MemberWrite::default() }],
    };
    let more = ModelChange::AddCubeDimension {
        cube: "budget".into(),
        dimension: "version".into(),
        member: Some("first".into()),
    };
    let dimension = Change::Model(ModelChange::AddDimension(definition));
    let (_, inputs) = timed(inputs, &[dimension, Change::Members(members)]);
    timed(&inputs, &[Change::Model(more)]).0
}

fn scenario_like(inputs: &Revision) -> DimensionDef {
    DimensionDef::clone(&inputs.version.model.dimensions[0])
}

/// Changes of the model while all cells are there: each on the state before, once.
fn on_the_fly(revision: &Revision) {
    let product = DimensionId(3);
    let member = |key: &str, category: u32| {
        let first_new = revision.version.dimension(product).member_count();
        Change::Members(MembersWrite {
            dimension: product,
            first_new: MemberId::from_idx(first_new),
            members: vec![MemberWrite {
                key: key.into(),
                parents: vec![(HierarchyId(0), Some(format!("category {category}")))],
                ..MemberWrite::default()
            }],
        })
    };
    let def = revision.version.dimension(product).def.as_ref();
    let (mut levels, mut hierarchies) = (def.levels.clone(), def.hierarchies.clone());
    levels.push(LevelDef { name: "family".into(), key_type: KeyType::Text });
    hierarchies[0].levels.insert(1, "family".into());
    let measure = revision.version.model.cube_def(BUDGET).def.measures[0].clone();
    let changes = [
        ("a member more", member("product 2000", 3)),
        ("a member moved, 20 formulas follow", member("product 7", 3)),
        (
            "an attribute",
            Change::Model(ModelChange::AddAttribute {
                dimension: "product".into(),
                attribute: AttributeDef::new("colour", ValueType::Text),
            }),
        ),
        (
            "a level within a hierarchy",
            Change::Model(ModelChange::SetHierarchies {
                dimension: "product".into(),
                levels,
                hierarchies,
            }),
        ),
        (
            "a measure",
            Change::Model(ModelChange::AddMeasure {
                cube: "budget".into(),
                measure: MeasureDef { name: "note".into(), ..measure },
            }),
        ),
    ];
    for (what, change) in changes {
        eprintln!("{what}: {:.1?}", timed(revision, &[change]).0);
    }
}

/// The median time to begin a branch, and the memory of one in which a cell is written.
fn branches(revision: &Revision, combinations: u64) -> (Duration, u64) {
    const BRANCHES: usize = 2_000;
    let (before, mut times) = (resident_bytes(), Vec::new());
    let mut all = Vec::new();
    for turn in 0..BRANCHES {
        let started = Instant::now();
        let branch = revision.clone();
        times.push(started.elapsed());
        all.push(timed(&branch, &[one_value(&branch, combinations, turn as u64)]).1);
    }
    times.sort();
    (times[BRANCHES / 2], resident_bytes().saturating_sub(before) / BRANCHES as u64)
}

/// The median time of a change, each on the same state.
fn median(revision: &Revision, change: Change) -> Duration {
    let mut times: Vec<Duration> =
        (0..11).map(|_| timed(revision, std::slice::from_ref(&change)).0).collect();
    times.sort();
    times[times.len() / 2]
}

/// Median and 99th percentile of writing one cell and reading the company's cash of the last month.
fn one_cell(revision: &Revision, combinations: u64) -> (Duration, Duration) {
    let mut revision = revision.clone();
    let mut times = Vec::new();
    for turn in 0..1_000 {
        let write = one_value(&revision, combinations, turn);
        let started = Instant::now();
        let (_, next) = timed(&revision, &[write]);
        total(&next, COMPANY, 3);
        times.push(started.elapsed());
        revision = next;
    }
    times.sort();
    (times[times.len() / 2], times[times.len() * 99 / 100])
}

/// Units of one cell of the budget.
fn one_value(revision: &Revision, combinations: u64, turn: u64) -> Change {
    let months = model::month_members(revision);
    let row = draw(20, turn, combinations * ROWS_EACH);
    let (at, scenario, month) = (row / ROWS_EACH, row % ROWS_EACH / MONTHS, row % MONTHS);
    let place = model::coordinates(model::combination(at), scenario, months[month as usize]);
    cells(BUDGET, 0, place.to_vec(), vec![Some(draw(21, turn, 500) as i64)])
}

/// New prices of one product, everywhere.
fn prices(revision: &Revision, combinations: u64) -> Change {
    let months = model::month_members(revision);
    let (mut places, mut values) = (Vec::new(), Vec::new());
    for at in (0..combinations).step_by(model::PRODUCTS as usize) {
        for scenario in 0..model::SCENARIOS {
            for &month in &months {
                places.extend(model::coordinates(model::combination(at), scenario, month));
                values.push(Some(4_321));
            }
        }
    }
    cells(BUDGET, 1, places, values)
}

fn cells(
    cube: CubeId,
    measure: u32,
    coordinates: Vec<MemberId>,
    values: Vec<Option<i64>>,
) -> Change {
    Change::Rows(RowsWrite {
        cube,
        action: RowsAction::Set,
        measures: vec![MeasureId(measure)],
        keys: Vec::new(),
        coordinates,
        values: values.into(),
    })
}

fn total(revision: &Revision, cube: CubeId, measure: u32) -> i128 {
    let view = View::unrestricted(Arc::clone(&revision.version));
    let query =
        Query { outputs: vec![Measured::Consolidated(MeasureId(measure))], ..Query::of(cube) };
    let rollup = run(&view, &revision.plan, &query).expect("the total is computed");
    rollup.columns[0].values[0].unwrap_or(0)
}

/// Totals as the peer prints them.
fn totals(revision: &Revision) -> String {
    format!(
        "net={} margin={} sales={} department={} income={}",
        total(revision, BUDGET, 6),
        total(revision, BUDGET, 7),
        total(revision, ENTITY, 0),
        total(revision, DEPARTMENT, 0),
        total(revision, COMPANY, 1),
    )
}

/// Memory of this process, by the kernel's count.
fn resident_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok()).unwrap_or(0)
        * 1024
}
