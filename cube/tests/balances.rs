//! Opening and closing balances against a loop over all cells: of each leaf in each group the first or last date
//! counts, whatever the order of dimensions, the segments, the members asked for and the threads.

#[path = "support/settings.rs"]
mod settings;
#[path = "support/tenant.rs"]
mod tenant;

use std::cell::Cell;
use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use cube::change::{MemberWrite, RowsAction, RowsWrite};
use cube::dimension::Dimension;
use cube::model::{CalendarDef, Consolidation, CubeDef, DimensionDef, TimeDef, TimeSummary};
use cube::rollup::{Axis, Filter, Grain, Output, Request, rollup};
use cube::segment::{RowSet, SegmentView, ValueRange};
use cube::value::KeyType;
use cube::{AttributeId, CubeId, HierarchyId, MeasureId, MemberId, Scalar, ValueType};
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use rayon::{ThreadPool, ThreadPoolBuilder};
use settings::cases;
use tenant::{Tenant, amounts, dimension, levelled, measure, parent_child};

const BALANCE: CubeId = CubeId(0);
const FACTOR: AttributeId = AttributeId(0);
/// Weights of accounts, which choose the rule of one measure too.
const FACTORS: [Option<i64>; 5] = [None, Some(1), Some(-1), Some(2), Some(0)];

static POOLS: LazyLock<[ThreadPool; 2]> = LazyLock::new(|| {
    [1, 3].map(|count| ThreadPoolBuilder::new().num_threads(count).build().expect("a pool"))
});

/// Numbers that look random, the same ones for the same seed.
struct Draw(u64);

impl Draw {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let n = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let n = (n ^ (n >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((n ^ (n >> 31)) % limit as u64) as usize
    }

    fn is_one_of(&mut self, count: usize) -> bool {
        self.below(count) == 0
    }

    fn of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len())]
    }
}

#[derive(Clone, Debug)]
struct Case {
    seed: u64,
    shops: usize,
    units: usize,
    cells: usize,
    /// The dimensions in the order of coordinates; the date at a level perhaps.
    dimensions: Vec<&'static str>,
}

fn case() -> impl Strategy<Value = Case> {
    // few and many leaves for the cells there are, small and large cubes
    let sizes = prop_oneof![
        3 => Just((12, 3, 400)),
        3 => Just((400, 90, 900)),
        2 => Just((12, 2, 9_000)),
        2 => Just((12, 9, 30_000)),
        3 => Just((900, 90, 24_000)),
    ];
    let date = prop_oneof![4 => Just("date"), 1 => Just("date.month")];
    let order = Just(["shop", "account", "unit"]).prop_shuffle();
    (any::<u64>(), sizes, date, order, 0..4usize).prop_map(
        |(seed, (shops, units, cells), date, order, place)| {
            let mut dimensions = order.to_vec();
            dimensions.insert(place, date);
            Case { seed, shops, units, cells, dimensions }
        },
    )
}

/// Values of one cell, one a measure.
type Values = [Option<i64>; 3];

/// A version beside the cells that it should have.
#[derive(Clone)]
struct World {
    tenant: Tenant,
    cells: BTreeMap<Vec<MemberId>, Values>,
    /// Positions of the date and of accounts.
    date: usize,
    account: usize,
}

fn balance(dimensions: &[&str]) -> CubeDef {
    let along = |name: &str, default, by: Option<&str>| {
        let rules =
            [("1", TimeSummary::Last), ("-1", TimeSummary::First), ("0", TimeSummary::Last)];
        let rules = rules.map(|(value, rule)| (value.to_string(), rule)).into();
        let mut def = measure(name, ValueType::Integer, Consolidation::Sum);
        let by = by.map(String::from);
        def.time = Some(TimeDef { dimension: "date".into(), by, default, rules });
        def
    };
    let measures = vec![
        along("closing", TimeSummary::Last, None),
        along("opening", TimeSummary::First, None),
        along("mixed", TimeSummary::Sum, Some("account.factor")),
    ];
    CubeDef { measures, ..amounts("balance", dimensions, None) }
}

impl World {
    fn new(case: &Case, draw: &mut Draw) -> Self {
        let calendar = CalendarDef {
            start: "2019-11-10".into(),
            end: "2020-04-05".into(),
            fiscal_start_month: Some(2),
        };
        let calendar =
            DimensionDef { key_type: KeyType::Date, calendar: Some(calendar), ..dimension("date") };
        let dimensions = vec![
            levelled("shop", &[&["city", "shop"]]),
            parent_child("account", ValueType::Integer),
            dimension("unit"),
            calendar,
        ];
        let mut tenant = Tenant::new(dimensions, vec![balance(&case.dimensions)]);
        let city = |city: usize| (format!("c{city}"), None);
        let shop = |shop: usize| (format!("s{shop}"), Some(format!("c{}", shop % 7)));
        let mut add_level = |level: &str, members: Vec<(String, Option<String>)>| {
            let members: Vec<_> = members.iter().map(|(k, p)| (k.as_str(), p.as_deref())).collect();
            tenant.level_members("shop", level, 0, &members).expect("members of a level");
        };
        add_level("city", (0..7).map(city).collect());
        add_level("shop", (0..case.shops).map(shop).collect());
        let account = |account: usize| {
            let parent = (account > 2).then(|| format!("a{}", draw.below(account.min(9))));
            MemberWrite {
                key: format!("a{account}"),
                parents: parent.map(|parent| (HierarchyId(0), Some(parent))).into_iter().collect(),
                attributes: vec![(FACTOR, draw.of(&FACTORS).map(Scalar::Stored))],
                ..MemberWrite::default()
            }
        };
        tenant.write_members("account", (0..20).map(account).collect()).expect("accounts");
        let units: Vec<String> = (0..case.units).map(|unit| format!("u{unit}")).collect();
        let units: Vec<_> = units.iter().map(|unit| (unit.as_str(), None)).collect();
        tenant.members("unit", &units).expect("units");
        let position = |name: &str| case.dimensions.iter().position(|d| d.starts_with(name));
        let [date, account] = ["date", "account"].map(|name| position(name).expect("it is there"));
        Self { tenant, cells: BTreeMap::new(), date, account }
    }

    fn dimension(&self, position: usize) -> &Dimension {
        let version = &self.tenant.version;
        version.dimension(version.model.cube_def(BALANCE).dimensions[position])
    }

    /// The members that cells may name.
    fn leaves(&self, position: usize) -> Vec<MemberId> {
        let members = self.dimension(position).members();
        members.filter(|&m| self.tenant.version.holds_facts(BALANCE, position, m)).collect()
    }

    fn write(&mut self, action: RowsAction, cells: &BTreeMap<Vec<MemberId>, Values>) {
        let measures = match action {
            RowsAction::Remove => Vec::new(),
            _ => [0, 1, 2].map(MeasureId).to_vec(),
        };
        let values = cells.values().filter(|_| !measures.is_empty()).flatten().copied().collect();
        let coordinates = cells.keys().flatten().copied().collect();
        let keys = Vec::new();
        let write = RowsWrite { cube: BALANCE, action, measures, keys, coordinates, values };
        self.tenant.write(&write).expect("cells");
        for (coordinate, values) in cells {
            match values.iter().all(Option::is_none) {
                true => self.cells.remove(coordinate),
                false => self.cells.insert(coordinate.clone(), *values),
            };
        }
    }

    /// Sets so many cells, of a part of each dimension at times.
    fn set_cells(&mut self, count: usize, draw: &mut Draw) {
        let leaves: Vec<Vec<MemberId>> = (0..4)
            .map(|position| {
                let all = self.leaves(position);
                let first = draw.below(all.len() / 2);
                if draw.is_one_of(3) { all[first..].to_vec() } else { all }
            })
            .collect();
        let blanks = [0; 3].map(|_| draw.of(&[2, 9, 1_000]));
        let mut cells = BTreeMap::new();
        for _ in 0..count {
            let coordinate: Vec<MemberId> = leaves.iter().map(|leaves| draw.of(leaves)).collect();
            let value = |blanks: usize| {
                let value = draw.below(2_000_001) as i64 - 1_000_000;
                (!draw.is_one_of(blanks)).then_some(value)
            };
            cells.insert(coordinate, blanks.map(value));
        }
        self.write(RowsAction::Set, &cells);
    }

    /// Sets or removes some of the cells that are there.
    fn change_cells(&mut self, draw: &mut Draw) {
        let one_of = draw.of(&[3, 40, 700]);
        let some = self.cells.keys().filter(|_| draw.is_one_of(one_of)).cloned();
        let mut some: BTreeMap<_, Values> =
            some.map(|coordinate| (coordinate, [None; 3])).collect();
        let is_set = draw.is_one_of(2);
        if is_set {
            some.values_mut().for_each(|values| values[draw.below(3)] = Some(7));
        }
        self.write(if is_set { RowsAction::Set } else { RowsAction::Remove }, &some);
    }

    /// Members above each, from the top, and itself.
    fn path(&self, position: usize, member: MemberId) -> Vec<MemberId> {
        let up = |&member: &MemberId| self.dimension(position).parent(HierarchyId(0), member);
        let mut path: Vec<MemberId> = std::iter::successors(Some(member), up).collect();
        path.reverse();
        path
    }

    fn factor(&self, account: MemberId) -> Option<i64> {
        match self.dimension(self.account).attribute(FACTOR, account) {
            Some(Scalar::Stored(factor)) => Some(*factor),
            _ => None,
        }
    }
}

struct Ask {
    axes: Vec<Axis>,
    filters: Vec<Filter>,
    ranges: Vec<ValueRange>,
    is_even: bool,
}

fn is_even(values: &[Option<i64>]) -> bool {
    values[0].is_none_or(|value| value % 2 == 0)
}

fn even_rows(view: &SegmentView, rows: RowSet) -> cube::Result<RowSet> {
    let even = rows.iter().filter(|&row| is_even(&[view.segment.values[0].get(row)]));
    Ok(RowSet::of_list(even.map(|row| row as u32).collect()))
}

impl World {
    fn drawn_ask(&self, draw: &mut Draw) -> Ask {
        let axes = (0..draw.of(&[0, 1, 1, 2])).map(|_| {
            let position = draw.of(&[self.date, self.date, 0, 1, 2, 3]);
            self.drawn_axis(position, draw)
        });
        let axes = axes.collect();
        let filters = (0..draw.of(&[0, 0, 1, 1, 2])).map(|_| {
            let position = draw.below(4);
            self.drawn_filter(position, draw)
        });
        let filters = filters.collect();
        let range = ValueRange { measure: MeasureId(1), low: -500_000, high: i64::MAX };
        let ranges = if draw.is_one_of(5) { vec![range] } else { Vec::new() };
        Ask { axes, filters, ranges, is_even: draw.is_one_of(5) }
    }

    /// By a level, by leaves, or by something that is no level.
    fn drawn_axis(&self, position: usize, draw: &mut Draw) -> Axis {
        let dimension = self.dimension(position);
        let count = dimension.member_count() as u32;
        let (codes, cardinality, grain) = match draw.below(5) {
            0 => ((0..count).collect(), count, Grain::Leaf),
            1 => ((0..count).map(|member| member / 5 % 9).collect(), 9, Grain::Free),
            _ if dimension.def.hierarchies.is_empty() => (vec![0; count as usize], 1, Grain::Free),
            _ => {
                let hierarchy = HierarchyId::from_idx(draw.below(dimension.def.hierarchies.len()));
                let at = draw.below(dimension.shape(hierarchy).ancestors.len());
                let level = self.tenant.version.model.cube_def(BALANCE).levels[position];
                let groups = dimension.groups(level, hierarchy, at);
                (groups.codes.clone(), groups.len() as u32, Grain::Level(hierarchy, at))
            }
        };
        Axis { position, codes: Arc::new(codes), cardinality, grain }
    }

    fn drawn_filter(&self, position: usize, draw: &mut Draw) -> Filter {
        let leaves = self.leaves(position);
        let first = draw.below(leaves.len());
        let members: Vec<MemberId> = match draw.below(4) {
            0 => vec![leaves[first]],
            1 => leaves[first..].to_vec(),
            _ => leaves.into_iter().filter(|_| !draw.is_one_of(3)).collect(),
        };
        let members = members.into_iter().map(|member| member.0).collect();
        let grain = draw.of(&[Grain::Leaf, Grain::Free]);
        Filter { position, members, grain, level: None }
    }
}

/// By the codes of each group, a value a measure.
type Groups = BTreeMap<Vec<u32>, [Option<i128>; 3]>;
/// By measure, group and leaf, the order and the value of the date that counts.
type Kept = BTreeMap<(usize, Vec<u32>, Vec<MemberId>), (u32, i128)>;

impl Ask {
    /// What each account counts for: up to the level that is named, or to the top where none is.
    fn weights(&self, world: &World) -> Vec<i128> {
        let axes = self.axes.iter().map(|axis| (axis.position, axis.grain));
        let filters = self.filters.iter().map(|filter| (filter.position, filter.grain));
        let named: Vec<Grain> = axes
            .chain(filters)
            .filter(|(position, _)| *position == world.account)
            .map(|(_, grain)| grain)
            .collect();
        let level = |grain: &Grain| match grain {
            Grain::Level(_, position) => Some(*position),
            _ => None,
        };
        let finest = named.iter().filter_map(level).max();
        let weight = |member: MemberId| {
            let path = world.path(world.account, member);
            let below = finest.map_or(0, |level| path.len().min(level + 1));
            let factors = path[below..].iter().map(|m| i128::from(world.factor(*m).unwrap_or(1)));
            if named.contains(&Grain::Leaf) { 1 } else { factors.product() }
        };
        world.dimension(world.account).members().map(weight).collect()
    }

    fn is_wanted(&self, coordinate: &[MemberId], values: &Values) -> bool {
        let is_in = |filter: &Filter| filter.members.contains(coordinate[filter.position].0);
        let is_within = |range: &ValueRange| {
            values[range.measure.idx()].is_some_and(|v| range.low <= v && v <= range.high)
        };
        self.filters.iter().all(is_in)
            && self.ranges.iter().all(is_within)
            && (!self.is_even || is_even(values))
    }

    fn expected(&self, world: &World) -> Groups {
        let weights = self.weights(world);
        let mut groups = Groups::new();
        if self.axes.is_empty() {
            groups.insert(Vec::new(), [None; 3]);
        }
        let mut kept = Kept::new();
        for (coordinate, values) in &world.cells {
            if !self.is_wanted(coordinate, values) {
                continue;
            }
            let code = |axis: &Axis| axis.codes[coordinate[axis.position].idx()];
            let codes: Vec<u32> = self.axes.iter().map(code).collect();
            let group = groups.entry(codes.clone()).or_insert([None; 3]);
            let account = coordinate[world.account];
            let weight = weights[account.idx()];
            let order = world.dimension(world.date).order(coordinate[world.date]);
            let mut leaf = coordinate.clone();
            leaf.remove(world.date);
            for (measure, value) in values.iter().enumerate() {
                let Some(value) = value.filter(|_| weight != 0) else { continue };
                let value = weight * i128::from(value);
                // the larger order counts; none where values add up
                let order = match (measure, world.factor(account)) {
                    (0, _) | (2, Some(0 | 1)) => order,
                    (1, _) | (2, Some(-1)) => u32::MAX - order,
                    _ => {
                        *group[measure].get_or_insert(0) += value;
                        continue;
                    }
                };
                let new = (order, value);
                let old = kept.entry((measure, codes.clone(), leaf.clone())).or_insert(new);
                if new.0 > old.0 {
                    *old = new;
                }
            }
        }
        for ((measure, codes, _), (_, value)) in kept {
            let group = groups.get_mut(&codes).expect("a cell is in it");
            *group[measure].get_or_insert(0) += value;
        }
        groups
    }
}

impl World {
    fn check(&self, seed: u64) {
        let ask = self.drawn_ask(&mut Draw(seed));
        let expected = ask.expected(self);
        let view = self.tenant.view();
        let request = Request {
            axes: ask.axes.clone(),
            filters: ask.filters.clone(),
            ranges: ask.ranges.clone(),
            selection: if ask.is_even { Some(&even_rows) } else { None },
            outputs: [0, 1, 2].map(|measure| Output::Consolidated(MeasureId(measure))).to_vec(),
            ..Request::of(BALANCE)
        };
        for pool in POOLS.iter() {
            let found = pool.install(|| rollup(&view, &request)).expect("a rollup");
            let group = |group: usize| {
                let codes: Vec<u32> = found.codes.iter().map(|codes| codes[group]).collect();
                let values = [0, 1, 2].map(|at: usize| found.columns[at].values[group]);
                (codes, values)
            };
            let found: Groups = (0..found.group_count).map(group).collect();
            assert!(found == expected, "the balances differ");
        }
    }

    fn size_bytes(&self) -> usize {
        self.tenant.version.rows(BALANCE).size_bytes()
    }
}

#[test]
fn balances_are_those_of_a_loop_over_cells() {
    let numbered = Cell::new(0);
    let asks = prop::collection::vec(any::<u64>(), 6);
    let mut runner = TestRunner::new(cases(36, "tests/balances.regressions"));
    let result = runner.run(&(case(), asks), |(case, asks)| {
        let mut draw = Draw(case.seed);
        let mut world = World::new(&case, &mut draw);
        world.set_cells(case.cells, &mut draw);
        world.set_cells(case.cells * 2 / 5, &mut draw);
        for _ in 0..draw.below(3) {
            world.change_cells(&mut draw);
        }
        let size_bytes = world.size_bytes();
        asks.iter().for_each(|&ask| world.check(ask));
        if world.size_bytes() > size_bytes + 2 * world.cells.len() {
            numbered.set(numbered.get() + 1);
        }
        // leaves of another state and of another branch are numbered alike
        let mut branch = world.clone();
        for world in [&mut world, &mut branch] {
            world.set_cells(case.cells / 9, &mut draw);
            world.change_cells(&mut draw);
        }
        for &ask in &asks[..3] {
            [&world, &branch].iter().for_each(|world| world.check(ask));
        }
        Ok(())
    });
    result.unwrap_or_else(|error| panic!("{error}"));
    assert!(numbered.get() > 5, "leaves were numbered in {} cases only", numbered.get());
}

#[test]
fn leaves_that_are_gone_are_forgotten() {
    const UNITS: usize = 3_000;
    let dimensions = vec!["unit", "shop", "account", "date"];
    let case = Case { seed: 3, shops: 900, units: UNITS, cells: 0, dimensions };
    let mut draw = Draw(case.seed);
    let mut world = World::new(&case, &mut draw);
    let shops = world.leaves(1);
    let [account, date] = [2, 3].map(|position| world.leaves(position)[0]);
    let mut sizes = Vec::new();
    for round in 0..9 {
        let gone = world.cells.keys().map(|coordinate| (coordinate.clone(), [None; 3])).collect();
        world.write(RowsAction::Remove, &gone);
        let cell = |n: usize| {
            let unit = MemberId::from_idx(n % UNITS);
            let shop = shops[(n / UNITS * 140 + round) % shops.len()];
            (vec![unit, shop, account, date], [Some(n as i64), None, Some(1)])
        };
        world.write(RowsAction::Set, &(0..6 * UNITS).map(cell).collect());
        world.check(round as u64);
        let outputs = vec![Output::Consolidated(MeasureId(0))];
        let request = Request { outputs, ..Request::of(BALANCE) };
        rollup(&world.tenant.view(), &request).expect("a rollup");
        sizes.push(world.size_bytes());
    }
    assert!(sizes[8] < sizes[0] * 3, "{sizes:?}");
}
