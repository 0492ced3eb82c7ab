//! Rows of more than one full segment, with blanks, with numbers whose products and sums need more than
//! 64 bits, written in one batch and in several, rewritten in part: every row and cell is that of a plain
//! loop, with one, two and eight threads.

#[path = "support/shop.rs"]
mod shop;

use std::collections::BTreeMap;

use calc::Revision;
use cube::change::{MemberWrite, MembersWrite, RowsAction, RowsWrite};
use cube::limits::SEGMENT_ROWS_MAX;
use cube::model::{
    CalendarDef, Consolidation, CubeDef, CubeKind, DimensionDef, HierarchyDef, HierarchyKind,
    LevelDef, MeasureDef, ModelChange,
};
use cube::value::{KeyPart, KeyType};
use cube::{Change, CubeId, DimensionId, HierarchyId, LevelId, MeasureId, MemberId, ValueType};
use rayon::{ThreadPool, ThreadPoolBuilder};
use shop::{cube, dimension, formula, measure};

const REPS: usize = 60;
const REGIONS: usize = 4;
const MONTHS: usize = 12;
const PRODUCTS: usize = 30;
const ROWS: usize = SEGMENT_ROWS_MAX + 9_000;

const PRICE: CubeId = CubeId(0);
const DEALS: CubeId = CubeId(1);
const STATS: CubeId = CubeId(2);
const REGIONAL: CubeId = CubeId(3);

/// Amount, weight and size are inputs, the others are formulas.
const DEAL_MEASURES: [(&str, u8); 6] =
    [("amount", 2), ("weight", 3), ("size", 0), ("credit", 2), ("ratio", 6), ("square", 2)];
const STAT_MEASURES: [(&str, u8); 8] = [
    ("total", 2),
    ("average", 4),
    ("least", 2),
    ("largest", 2),
    ("number", 0),
    ("first", 2),
    ("last", 2),
    ("rank", 0),
];
const FORMULAS: [(&str, &str); 12] = [
    ("deals.credit", "amount * price.rate"),
    ("deals.ratio", "amount / weight"),
    ("deals.square", "size * size / 1000000000000000000000"),
    ("stats.total", "deals.credit[BY SUM: rep, date.month]"),
    ("stats.average", "deals.amount[BY AVG: rep, date.month]"),
    ("stats.least", "deals.amount[BY MIN: rep, date.month]"),
    ("stats.largest", "deals.amount[BY MAX: rep, date.month]"),
    ("stats.number", "deals.amount[BY COUNT: rep, date.month]"),
    ("stats.first", "deals.amount[BY FIRST: rep, date.month]"),
    ("stats.last", "deals.amount[BY LASTNONBLANK: rep, date.month]"),
    ("stats.rank", "RANK(total, rep)"),
    ("regional.size", "deals.size[BY SUM: rep.region] / 1000000"),
];

/// The n-th of numbers that look random.
fn mixed(n: u64) -> u64 {
    let n = (n ^ (n >> 31)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let n = (n ^ (n >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    n ^ (n >> 32)
}

#[derive(Clone)]
struct Deal {
    rep: usize,
    month: usize,
    product: usize,
    amount: Option<i64>,
    weight: Option<i64>,
    size: Option<i64>,
}

fn deal(seed: u64) -> Deal {
    let draw = |salt: u64, below: u64| (mixed(seed ^ salt << 40) % below) as i64;
    let unless = |salt: u64, value: i64| (draw(salt, 11) != 0).then_some(value);
    // some sums and products stay within 64 bits, and some do not
    let size = if draw(1, 2) == 0 { draw(2, 90) } else { draw(3, 90_000_000_000_000) * 10_000 };
    Deal {
        rep: draw(4, REPS as u64) as usize,
        month: draw(5, MONTHS as u64) as usize,
        product: draw(6, PRODUCTS as u64) as usize,
        amount: unless(7, draw(8, 9_000_000_000) - 4_000_000_000),
        weight: unless(9, draw(10, 2_000) - 1_000),
        size: unless(11, size),
    }
}

/// The inputs, kept by a plain loop.
struct World {
    deals: Vec<Deal>,
    rates: Vec<Option<i64>>,
}

fn rounded(numerator: i128, denominator: i128) -> i64 {
    let (n, d) = (numerator * denominator.signum(), denominator.abs());
    let (floor, rest) = (n.div_euclid(d), n.rem_euclid(d));
    let up = rest * 2 > d || (rest * 2 == d && floor % 2 != 0);
    i64::try_from(floor + i128::from(up)).expect("it fits")
}

impl World {
    fn credit(&self, deal: &Deal) -> Option<i64> {
        let (amount, rate) = (deal.amount?, self.rates[deal.product]?);
        Some(rounded(i128::from(amount) * i128::from(rate), 10_000))
    }

    fn row(&self, deal: &Deal) -> Vec<Option<i64>> {
        let wide = |value: Option<i64>| value.map(i128::from);
        let ratio = wide(deal.amount).zip(wide(deal.weight)).filter(|(_, weight)| *weight != 0);
        let square = wide(deal.size).map(|size| rounded(size * size * 100, 10i128.pow(21)));
        vec![
            deal.amount,
            deal.weight,
            deal.size,
            self.credit(deal),
            ratio.map(|(amount, weight)| rounded(amount * 10i128.pow(7), weight)),
            square,
        ]
    }

    /// Per rep and month the statistics.
    fn stats(&self) -> BTreeMap<(usize, usize), Vec<Option<i64>>> {
        let mut groups: BTreeMap<(usize, usize), Vec<&Deal>> = BTreeMap::new();
        for deal in &self.deals {
            groups.entry((deal.rep, deal.month)).or_default().push(deal);
        }
        let total = |deals: &[&Deal]| -> Option<i64> {
            deals.iter().filter_map(|deal| self.credit(deal)).reduce(|sum, credit| sum + credit)
        };
        // rows go by date, then by product, then by key
        let totals: BTreeMap<_, _> = groups.iter().map(|(at, deals)| (*at, total(deals))).collect();
        let mut stats = BTreeMap::new();
        for (&(rep, month), deals) in &groups {
            let amounts: Vec<i64> = deals.iter().filter_map(|deal| deal.amount).collect();
            let sum: i128 = amounts.iter().map(|&amount| i128::from(amount)).sum();
            let mut ordered = deals.clone();
            ordered.sort_by_key(|deal| deal.product);
            let own = totals[&(rep, month)];
            let before =
                totals.iter().filter(|((_, other), total)| *other == month && **total > own);
            let row = vec![
                own,
                (!amounts.is_empty()).then(|| rounded(sum * 100, amounts.len() as i128)),
                amounts.iter().min().copied(),
                amounts.iter().max().copied(),
                (!amounts.is_empty()).then_some(amounts.len() as i64),
                ordered[0].amount,
                ordered.iter().rev().find_map(|deal| deal.amount),
                own.map(|_| before.count() as i64 + 1),
            ];
            stats.insert((rep, month), row);
        }
        stats
    }

    fn regional(&self) -> Vec<i64> {
        let mut sums = vec![0i128; REGIONS];
        for deal in &self.deals {
            sums[deal.rep % REGIONS] += i128::from(deal.size.unwrap_or(0));
        }
        sums.into_iter().map(|sum| rounded(sum, 1_000_000)).collect()
    }
}

/// The engine, and the members of its dimensions in the order of the loop.
struct Engine {
    revision: Revision,
    reps: Vec<MemberId>,
    regions: Vec<MemberId>,
    months: Vec<MemberId>,
}

impl Engine {
    fn new() -> Self {
        let mut rep = dimension("rep", KeyType::Text, None);
        let level = |name: &str| LevelDef { name: name.into(), key_type: KeyType::Text };
        rep.levels = vec![level("region"), level("rep")];
        rep.hierarchies = vec![HierarchyDef {
            name: "region".into(),
            kind: HierarchyKind::Levels,
            levels: vec!["region".into(), "rep".into()],
            weight: None,
            same_as: None,
        }];
        let calendar = CalendarDef {
            start: "2024-01-01".into(),
            end: "2024-12-31".into(),
            fiscal_start_month: None,
        };
        let date =
            DimensionDef { calendar: Some(calendar), ..dimension("date", KeyType::Date, None) };
        let measures = |of: &[(&str, u8)]| -> Vec<MeasureDef> {
            let decimal = |&(name, scale): &(&str, u8)| MeasureDef {
                value_type: ValueType::Decimal { precision: 18, scale },
                ..measure(name, Consolidation::Sum)
            };
            of.iter().map(decimal).collect()
        };
        let of = |name: &str, kind, dimensions: &[&str], found: &[(&str, u8)]| {
            let mut def: CubeDef = cube(name, kind, dimensions, &[]);
            def.measures = measures(found);
            Change::Model(ModelChange::AddCube(def))
        };
        let mut changes: Vec<Change> = [rep, date, dimension("product", KeyType::Text, None)]
            .into_iter()
            .map(|def| Change::Model(ModelChange::AddDimension(def)))
            .collect();
        changes.extend([
            of("price", CubeKind::Cells, &["product"], &[("rate", 4)]),
            of("deals", CubeKind::Records, &["rep", "date.month", "product"], &DEAL_MEASURES),
            of("stats", CubeKind::Cells, &["rep", "date.month"], &STAT_MEASURES),
            of("regional", CubeKind::Cells, &["rep.region"], &[("size", 0)]),
        ]);
        let mut members: Vec<MemberWrite> = (0..REGIONS)
            .map(|region| MemberWrite {
                key: format!("region {region}"),
                level: Some(LevelId(0)),
                ..MemberWrite::default()
            })
            .collect();
        members.extend((0..REPS).map(|rep| MemberWrite {
            key: format!("r{rep}"),
            parents: vec![(HierarchyId(0), Some(format!("region {}", rep % REGIONS)))],
            ..MemberWrite::default()
        }));
        let product = |at| MemberWrite { key: format!("p{at}"), ..MemberWrite::default() };
        for (dimension, members) in [(0, members), (2, (0..PRODUCTS).map(product).collect())] {
            changes.push(Change::Members(MembersWrite {
                dimension: DimensionId(dimension),
                first_new: MemberId(0),
                members,
            }));
        }
        let revision = applied(&Revision::default(), &changes);
        let find = |dimension: u32, key: String| {
            revision.version.dimension(DimensionId(dimension)).find(&key).expect("it exists")
        };
        Self {
            reps: (0..REPS).map(|at| find(0, format!("r{at}"))).collect(),
            regions: (0..REGIONS).map(|at| find(0, format!("region {at}"))).collect(),
            months: (0..MONTHS).map(|at| find(1, format!("2024-{:02}", at + 1))).collect(),
            revision,
        }
    }

    fn deals(&self, world: &World, rows: &[usize]) -> Change {
        let deals = || rows.iter().map(|&row| &world.deals[row]);
        let product = |deal: &Deal| MemberId(deal.product as u32);
        Change::Rows(RowsWrite {
            cube: DEALS,
            action: RowsAction::Set,
            measures: (0..3).map(MeasureId).collect(),
            keys: rows.iter().map(|row| KeyPart::Text(format!("d{row:06}").into())).collect(),
            coordinates: deals()
                .flat_map(|deal| [self.reps[deal.rep], self.months[deal.month], product(deal)])
                .collect(),
            values: deals().flat_map(|deal| [deal.amount, deal.weight, deal.size]).collect(),
        })
    }

    fn rates(&self, world: &World) -> Change {
        Change::Rows(RowsWrite {
            cube: PRICE,
            action: RowsAction::Set,
            measures: vec![MeasureId(0)],
            keys: Vec::new(),
            coordinates: (0..PRODUCTS as u32).map(MemberId).collect(),
            values: world.rates.clone().into(),
        })
    }

    fn apply(&mut self, change: Change) {
        self.revision = applied(&self.revision, &[change]);
    }

    /// The rows of a cube by key or, where it has none, by members.
    fn check(&self, world: &World) {
        let version = &self.revision.version;
        let rows = version.rows(DEALS).all(version.empty_rows(DEALS));
        assert_eq!(rows.len(), world.deals.len());
        for row in 0..rows.len() {
            let KeyPart::Text(key) = &rows.keys[0][row] else { panic!("keys are texts") };
            let found: Vec<_> = rows.values.iter().map(|column| column.get(row)).collect();
            let deal = &world.deals[key[1..].parse::<usize>().expect("a number")];
            assert_eq!(found, world.row(deal), "{key}");
        }
        let mut stats: BTreeMap<Vec<MemberId>, Vec<Option<i64>>> = BTreeMap::new();
        let rows = version.rows(STATS).all(version.empty_rows(STATS));
        for row in 0..rows.len() {
            let found = rows.values.iter().map(|column| column.get(row)).collect();
            stats.insert(rows.coordinate(row), found);
        }
        let expected: BTreeMap<_, _> = world
            .stats()
            .into_iter()
            .map(|((rep, month), row)| (vec![self.reps[rep], self.months[month]], row))
            .collect();
        assert_eq!(stats, expected);
        let rows = version.rows(REGIONAL).all(version.empty_rows(REGIONAL));
        let found: BTreeMap<_, _> =
            (0..rows.len()).map(|row| (rows.coordinate(row)[0], rows.values[0].get(row))).collect();
        let sums = self.regions.iter().zip(world.regional());
        assert_eq!(found, sums.map(|(&region, sum)| (region, Some(sum))).collect());
    }
}

fn applied(revision: &Revision, changes: &[Change]) -> Revision {
    match revision.apply(changes) {
        Ok((revision, _)) => revision,
        Err(error) => panic!("{error} {:?}", error.detail()),
    }
}

fn pool(threads: usize) -> ThreadPool {
    ThreadPoolBuilder::new().num_threads(threads).build().expect("threads start")
}

fn world() -> World {
    let rate = |product: u64| {
        (!product.is_multiple_of(7)).then(|| (mixed(product) % 20_000) as i64 - 3_000)
    };
    World {
        deals: (0..ROWS as u64).map(deal).collect(),
        rates: (0..PRODUCTS as u64).map(rate).collect(),
    }
}

/// A loaded engine with all formulas.
fn loaded(world: &World, batches: usize, formulas_first: &[(&str, &str)]) -> Engine {
    let mut engine = Engine::new();
    let set = |(target, text): &(&str, &str)| {
        Change::Model(ModelChange::SetFormula(formula(target, text)))
    };
    formulas_first.iter().for_each(|formula| engine.apply(set(formula)));
    engine.apply(engine.rates(world));
    for batch in 0..batches {
        let rows: Vec<usize> = (0..ROWS).filter(|row| row % batches == batch).collect();
        engine.apply(engine.deals(world, &rows));
    }
    let others = FORMULAS.iter().filter(|formula| !formulas_first.contains(formula));
    others.for_each(|formula| engine.apply(set(formula)));
    engine
}

#[test]
fn every_row_and_cell_is_that_of_a_plain_loop() {
    for (threads, batches, first) in [(1, 1, 0), (2, 3, 5), (8, 2, FORMULAS.len())] {
        pool(threads).install(|| {
            let mut world = world();
            let mut engine = loaded(&world, batches, &FORMULAS[..first]);
            engine.check(&world);
            // some rows are others now: they move, and leave gaps in their segments
            let rewritten: Vec<usize> = (0..ROWS).filter(|row| row % 251 == 3).collect();
            for &row in &rewritten {
                world.deals[row] = deal((row + ROWS) as u64);
            }
            engine.apply(engine.deals(&world, &rewritten));
            engine.check(&world);
            // rates come to be, go away and change
            for (product, rate) in world.rates.iter_mut().enumerate() {
                match product % 5 {
                    0 => *rate = None,
                    1 => *rate = Some(product as i64 * 711),
                    _ => {}
                }
            }
            engine.apply(engine.rates(&world));
            engine.check(&world);
        });
    }
}

#[test]
fn a_sum_that_does_not_fit_names_the_same_cell_whatever_the_threads() {
    let world = world();
    let engine = loaded(&world, 1, &[]);
    let wide = formula("regional.size", "deals.size[BY SUM: rep.region]");
    let message = |threads: usize| {
        let change = Change::Model(ModelChange::SetFormula(wide.clone()));
        let refused = pool(threads).install(|| engine.revision.apply(&[change]));
        let error = refused.expect_err("the sum does not fit");
        format!("{error} {:?}", error.detail())
    };
    let messages = [1, 2, 8].map(message);
    assert!(messages[0].contains("region 0"), "{}", messages[0]);
    assert!(messages.iter().all(|message| *message == messages[0]), "{messages:?}");
}
