//! A million deals, five formulas deep: how long the engine takes. `cargo xtask bench formulas` runs it
//! beside the same computation in Polars (`xtask/peers/formulas_polars.py`, which describes the data).

use std::time::{Duration, Instant};

use calc::{Measured, Query, Revision, run};
use cube::change::{MemberWrite, MembersWrite, RowsAction, RowsWrite};
use cube::model::{
    CalendarDef, Consolidation, CubeDef, CubeKind, DimensionDef, FormulaDef, HierarchyDef,
    HierarchyKind, KeyDef, LevelDef, MeasureDef, ModelChange,
};
use cube::number::Rounding;
use cube::value::{KeyPart, KeyType};
use cube::{
    Change, CubeId, DimensionId, HierarchyId, LevelId, MeasureId, MemberId, ValueType, View,
};

const REPS: u64 = 2000;
const MONTHS: u64 = 36;
const PRODUCTS: u64 = 50;
const PRODUCT_RATE: CubeId = CubeId(0);
const TIERS: CubeId = CubeId(1);
const DEALS: CubeId = CubeId(2);
const PERFORMANCE: CubeId = CubeId(3);
const COMPANY: CubeId = CubeId(5);

/// The generator that the peer's file describes.
struct Generator(u64);

impl Generator {
    fn below(&mut self, n: u64) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) * n) >> 31
    }
}

fn main() {
    let deals: u64 = std::env::args().nth(1).and_then(|n| n.parse().ok()).unwrap_or(1_000_000);
    let started = Instant::now();
    let inputs = inputs(deals);
    eprintln!("{deals} deals loaded in {:.1?}", started.elapsed());
    if std::env::var("PER_FORMULA").is_ok() {
        let mut revision = inputs.clone();
        for formula in formulas() {
            let (time, next) = timed(&revision, std::slice::from_ref(&formula));
            eprintln!("{time:.1?}");
            revision = next;
        }
    }
    let full = median(7, || {
        let started = Instant::now();
        let revision = apply(&inputs, &formulas());
        (started.elapsed(), revision)
    });
    let (full, revision) = full;
    let one = one_deal(&revision, deals);
    let (rates, _) = median(7, || timed(&revision, &product_rates(6)));
    let (what_if, _) = median(7, || {
        let started = Instant::now();
        let branch = apply(&revision, &[tier_rate("3", 1000)]);
        let totals = (company_payout(&revision), company_payout(&branch));
        assert!(totals.0 < totals.1, "a higher rate pays more");
        (started.elapsed(), branch)
    });
    println!(
        "formulas deals={deals} {} full_ms={:.1} one_deal_p50_us={:.0} one_deal_p99_us={:.0} rates_ms={:.1} what_if_ms={:.1}",
        totals(&revision),
        ms(full),
        one.0.as_secs_f64() * 1e6,
        one.1.as_secs_f64() * 1e6,
        ms(rates),
        ms(what_if)
    );
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

/// The median time of some runs, after one that is not counted, and the last result.
fn median<T>(runs: usize, mut work: impl FnMut() -> (Duration, T)) -> (Duration, T) {
    let (_, mut last) = work();
    let mut times = Vec::new();
    for _ in 0..runs {
        let (time, result) = work();
        times.push(time);
        last = result;
    }
    times.sort();
    (times[runs / 2], last)
}

fn apply(revision: &Revision, changes: &[Change]) -> Revision {
    match revision.apply(changes) {
        Ok((revision, _)) => revision,
        Err(error) => panic!("{error} {:?}", error.detail()),
    }
}

fn timed(revision: &Revision, changes: &[Change]) -> (Duration, Revision) {
    let started = Instant::now();
    let next = apply(revision, changes);
    (started.elapsed(), next)
}

/// Median and 99th percentile of changing one deal's amount, each on the version before.
fn one_deal(revision: &Revision, deals: u64) -> (Duration, Duration) {
    let mut generator = Generator(4);
    let mut revision = revision.clone();
    let mut times = Vec::new();
    for _ in 0..2_000 {
        let deal = generator.below(deals) as i64;
        let amount = (10_000 + generator.below(990_000)) as i64;
        let coordinates = stored_deal(&revision, deal);
        let write = RowsWrite {
            cube: DEALS,
            action: RowsAction::Set,
            measures: vec![MeasureId(0)],
            keys: vec![KeyPart::Integer(deal)],
            coordinates,
            values: vec![Some(amount)].into(),
        };
        let (time, next) = timed(&revision, &[Change::Rows(write)]);
        times.push(time);
        revision = next;
    }
    times.sort();
    (times[times.len() / 2], times[times.len() * 99 / 100])
}

fn stored_deal(revision: &Revision, deal: i64) -> Vec<MemberId> {
    let mut probe = revision.version.empty_rows(DEALS);
    probe.keys[0].push(KeyPart::Integer(deal));
    probe.coordinates.iter_mut().for_each(|column| column.push(MemberId(0)));
    let rows = revision.version.rows(DEALS);
    let location = rows.find(&probe, 0).expect("the deal is there");
    let mut found = revision.version.empty_rows(DEALS);
    rows.copy_row(location, &mut found);
    found.coordinate(0)
}

fn company_payout(revision: &Revision) -> i128 {
    total(revision, COMPANY, 0)
}

fn total(revision: &Revision, cube: CubeId, measure: u32) -> i128 {
    let view = View::unrestricted(std::sync::Arc::clone(&revision.version));
    let query =
        Query { outputs: vec![Measured::Consolidated(MeasureId(measure))], ..Query::of(cube) };
    let rollup = run(&view, &revision.plan, &query).expect("the total is computed");
    rollup.columns[0].values[0].unwrap_or(0)
}

/// Totals as the peer prints them.
fn totals(revision: &Revision) -> String {
    assert_eq!(total(revision, PERFORMANCE, 4), company_payout(revision));
    format!(
        "credit={} bookings={} attainment={} commission={} payout={}",
        total(revision, DEALS, 1),
        total(revision, PERFORMANCE, 1),
        total(revision, PERFORMANCE, 2),
        total(revision, PERFORMANCE, 3),
        total(revision, PERFORMANCE, 4),
    )
}

fn formulas() -> Vec<Change> {
    let formula = |target: &str, text: &str| {
        Change::Model(ModelChange::SetFormula(FormulaDef {
            target: target.into(),
            text: text.into(),
            description: String::new(),
            at_or_above: Default::default(),
        }))
    };
    vec![
        formula("deals.credit", "amount * product_rate.rate"),
        formula("performance.bookings", "deals.credit[BY SUM: rep, date.month]"),
        formula("performance.attainment", "bookings / quota"),
        formula("performance.commission", "TIER(attainment, tiers, mode: marginal) * quota"),
        formula("performance.payout", "CAP(commission, 3500)"),
        formula("regional.payout", "performance.payout[BY SUM: rep.region]"),
        formula("company.payout", "regional.payout[REMOVE SUM: rep]"),
    ]
}

/// Everything but formulas.
fn inputs(deals: u64) -> Revision {
    let revision = apply(&Revision::default(), &definitions());
    let mut generator = Generator(1);
    let rates = (0..PRODUCTS).map(|_| Some((5_000 + generator.below(5_001)) as i64)).collect();
    let products: Vec<MemberId> = (0..PRODUCTS as u32).map(MemberId).collect();
    let mut generator = Generator(2);
    let (mut coordinates, mut quotas) = (Vec::new(), Vec::new());
    let reps: Vec<MemberId> = members(&revision, 0, REPS, |rep| format!("r{rep:04}"));
    let months = members(&revision, 1, MONTHS, |month| {
        format!("{}-{:02}", 2022 + month / 12, month % 12 + 1)
    });
    for &rep in &reps {
        for &month in &months {
            coordinates.extend([rep, month]);
            quotas.push(Some(((30_000 + generator.below(40_001)) * 100) as i64));
        }
    }
    let changes = [
        cells(PRODUCT_RATE, &[0], products, rates),
        cells(
            TIERS,
            &[0, 1],
            (0..4).map(MemberId).collect(),
            [(0, 200), (500_000, 500), (1_000_000, 800), (1_500_000, 1_200)]
                .into_iter()
                .flat_map(|(threshold, rate)| [Some(threshold), Some(rate)])
                .collect(),
        ),
        cells(PERFORMANCE, &[0], coordinates, quotas),
        deal_rows(deals, &reps, &months),
    ];
    apply(&revision, &changes)
}

fn members(
    revision: &Revision,
    dimension: u32,
    count: u64,
    key: impl Fn(u64) -> String,
) -> Vec<MemberId> {
    let dimension = revision.version.dimension(DimensionId(dimension));
    (0..count).filter_map(|at| dimension.find(&key(at))).collect()
}

fn deal_rows(deals: u64, reps: &[MemberId], months: &[MemberId]) -> Change {
    let mut generator = Generator(3);
    let (mut keys, mut coordinates, mut values) = (Vec::new(), Vec::new(), Vec::new());
    for deal in 0..deals {
        keys.push(KeyPart::Integer(deal as i64));
        let rep = reps[generator.below(REPS) as usize];
        let month = months[generator.below(MONTHS) as usize];
        let product = MemberId(generator.below(PRODUCTS) as u32);
        coordinates.extend([rep, month, product]);
        values.push(Some((10_000 + generator.below(990_000)) as i64));
    }
    Change::Rows(RowsWrite {
        cube: DEALS,
        action: RowsAction::Set,
        measures: vec![MeasureId(0)],
        keys,
        coordinates,
        values: values.into(),
    })
}

fn cells(
    cube: CubeId,
    measures: &[u32],
    coordinates: Vec<MemberId>,
    values: Vec<Option<i64>>,
) -> Change {
    Change::Rows(RowsWrite {
        cube,
        action: RowsAction::Set,
        measures: measures.iter().copied().map(MeasureId).collect(),
        keys: Vec::new(),
        coordinates,
        values: values.into(),
    })
}

/// New rates of some products, of 20,000 deals each.
fn product_rates(products: u32) -> Vec<Change> {
    let rates = (0..products).map(|product| Some(i64::from(6_000 + product * 7))).collect();
    vec![cells(PRODUCT_RATE, &[0], (0..products).map(MemberId).collect(), rates)]
}

fn tier_rate(step: &str, rate: i64) -> Change {
    let step: u32 = step.parse().unwrap_or(0);
    cells(TIERS, &[1], vec![MemberId(step - 1)], vec![Some(rate)])
}

fn definitions() -> Vec<Change> {
    let plain = |name: &str, key_type: KeyType| DimensionDef {
        name: name.into(),
        description: String::new(),
        key_type,
        attributes: Vec::new(),
        levels: Vec::new(),
        hierarchies: Vec::new(),
        calendar: None,
    };
    let level = |name: &str| LevelDef { name: name.into(), key_type: KeyType::Text };
    let mut rep = plain("rep", KeyType::Text);
    rep.levels = vec![level("region"), level("rep")];
    rep.hierarchies = vec![HierarchyDef {
        name: "region".into(),
        kind: HierarchyKind::Levels,
        levels: vec!["region".into(), "rep".into()],
        weight: None,
        same_as: None,
    }];
    let mut date = plain("date", KeyType::Date);
    date.calendar = Some(CalendarDef {
        start: "2022-01-01".into(),
        end: "2024-12-31".into(),
        fiscal_start_month: None,
    });
    let decimal = |name: &str, scale: u8| MeasureDef {
        name: name.into(),
        value_type: ValueType::Decimal { precision: 18, scale },
        consolidation: Consolidation::Sum,
        rounding: Rounding::HalfEven,
        description: String::new(),
        time: None,
    };
    let cube = |name: &str, dimensions: &[&str], measures: Vec<MeasureDef>| CubeDef {
        name: name.into(),
        kind: if name == "deals" { CubeKind::Records } else { CubeKind::Cells },
        description: String::new(),
        dimensions: dimensions.iter().map(|name| String::from(*name)).collect(),
        key: if name == "deals" {
            vec![KeyDef { name: "deal".into(), key_type: KeyType::Bigint }]
        } else {
            Vec::new()
        },
        measures,
    };
    let dimensions = [rep, date, plain("product", KeyType::Text), plain("step", KeyType::Text)];
    let cubes = [
        cube("product_rate", &["product"], vec![decimal("rate", 4)]),
        cube("tiers", &["step"], vec![decimal("threshold", 6), decimal("rate", 4)]),
        cube(
            "deals",
            &["rep", "date.month", "product"],
            vec![decimal("amount", 2), decimal("credit", 2)],
        ),
        cube(
            "performance",
            &["rep", "date.month"],
            vec![
                decimal("quota", 2),
                decimal("bookings", 2),
                decimal("attainment", 6),
                decimal("commission", 2),
                decimal("payout", 2),
            ],
        ),
        cube("regional", &["rep.region", "date.month"], vec![decimal("payout", 2)]),
        cube("company", &["date.month"], vec![decimal("payout", 2)]),
    ];
    let mut changes: Vec<Change> = dimensions
        .into_iter()
        .map(|dimension| Change::Model(ModelChange::AddDimension(dimension)))
        .collect();
    changes.extend(cubes.into_iter().map(|cube| Change::Model(ModelChange::AddCube(cube))));
    let region = |rep: u64| format!("region {:02}", rep / 100);
    let mut reps: Vec<MemberWrite> = (0..REPS / 100)
        .map(|at| MemberWrite {
            key: region(at * 100),
            level: Some(LevelId(0)),
            ..MemberWrite::default()
        })
        .collect();
    reps.extend((0..REPS).map(|rep| MemberWrite {
        key: format!("r{rep:04}"),
        parents: vec![(HierarchyId(0), Some(region(rep)))],
        ..MemberWrite::default()
    }));
    let keyed = |count: u64, prefix: &str| -> Vec<MemberWrite> {
        let key = |at: u64| MemberWrite { key: format!("{prefix}{at}"), ..MemberWrite::default() };
        (0..count).map(key).collect()
    };
    for (dimension, members) in [(0, reps), (2, keyed(PRODUCTS, "p")), (3, keyed(4, "s"))] {
        changes.push(Change::Members(MembersWrite {
            dimension: DimensionId(dimension),
            first_new: MemberId(0),
            members,
        }));
    }
    changes
}
