//! Rollups against a loop over all rows: whatever the segments, level columns and threads, the
//! answer is that of the rows one by one.

#[path = "support/settings.rs"]
mod settings;
#[path = "support/tenant.rs"]
mod tenant;

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, LazyLock};

use cube::aggregate::Key;
use cube::change::{MemberWrite, RowsAction, RowsWrite};
use cube::dimension::Dimension;
use cube::model::{
    CalendarDef, Consolidation, CubeDef, DimensionDef, HierarchyKind, MeasureDef, ModelChange,
};
use cube::rollup::{
    Arithmetic, Axis, Distinct, Filter, Grain, Operator, Output, Request, Rollup, rollup,
};
use cube::segment::{RowSet, SegmentView, ValueRange};
use cube::value::{KeyPart, KeyType};
use cube::view::{Interrupt, Rights};
use cube::{AttributeId, CubeId, HierarchyId, MeasureId, MemberId, Scalar, ValueType, View};
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use rayon::{ThreadPool, ThreadPoolBuilder};
use roaring::RoaringBitmap;
use settings::cases;
use tenant::{Tenant, amounts, dimension, levelled, measure, parent_child};

const SALES: CubeId = CubeId(0);
const FACTOR: AttributeId = AttributeId(0);
const REGIONS: u64 = 5;
const ACCOUNTS: u64 = 70;
/// Keys of rows are below it, in an order that looks random; it is a prime.
const KEYS: u64 = 100_003;
/// Digits that a computed value may have, in bits: sums of so many rows stay within 38 digits.
const COMPUTED_BITS_MAX: u32 = 105;

/// A pool of one thread and one of several.
static POOLS: LazyLock<[ThreadPool; 2]> = LazyLock::new(|| {
    [1, 3].map(|count| ThreadPoolBuilder::new().num_threads(count).build().expect("a pool"))
});

/// Numbers that look random, the same ones for the same seed.
struct Draw(u64);

impl Draw {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let n = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let n = (n ^ (n >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        n ^ (n >> 31)
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }

    fn place(&mut self, count: usize) -> usize {
        self.below(count as u64) as usize
    }

    fn is_one_of(&mut self, count: u64) -> bool {
        self.below(count) == 0
    }

    fn of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.place(choices.len())]
    }

    /// Some of a list that follow each other.
    fn run<'a, T>(&mut self, list: &'a [T]) -> &'a [T] {
        let [a, b] = [self.place(list.len() + 1), self.place(list.len() + 1)];
        &list[a.min(b)..a.max(b)]
    }
}

/// What a cube is made of.
#[derive(Clone, Debug)]
struct Case {
    seed: u64,
    shops: u64,
    /// Rows of the first write.
    rows: u64,
    has_text_keys: bool,
    /// The third dimension, with the level at which the cube uses it.
    dates: Option<&'static str>,
}

fn case() -> impl Strategy<Value = Case> {
    // few and many members, small and large segments, enough rows for several threads
    let sizes = prop_oneof![
        2 => Just((40u64, 150u64)),
        2 => Just((200, 3_000)),
        3 => Just((5_000, 3_000)),
        2 => Just((5_000, 12_500)),
    ];
    let dates = prop_oneof![Just(None), Just(Some("date")), Just(Some("date.month"))];
    (any::<u64>(), sizes, any::<bool>(), dates).prop_map(
        |(seed, (shops, rows), has_text_keys, dates)| Case {
            seed,
            shops,
            rows,
            has_text_keys,
            dates,
        },
    )
}

/// One row: its members and values; measures past the last are blank.
#[derive(Clone)]
struct Fact {
    members: Vec<MemberId>,
    values: Vec<Option<i64>>,
}

impl Fact {
    fn value(&self, measure: MeasureId) -> Option<i64> {
        self.values.get(measure.idx()).copied().flatten()
    }
}

/// How the values of a measure look.
#[derive(Clone)]
struct Shape {
    bits: u32,
    is_negative: bool,
    /// One of so many is blank.
    blanks: u64,
}

impl Shape {
    fn drawn(draw: &mut Draw, bits_max: u32) -> Self {
        let bits = 1 + draw.below(bits_max.into()) as u32;
        let blanks = draw.of(&[1, 2, 9, 60, u64::MAX]);
        Self { bits, is_negative: draw.is_one_of(2), blanks }
    }

    fn value(&self, draw: &mut Draw) -> Option<i64> {
        let magnitude = (draw.next() & ((1 << self.bits) - 1)) as i64;
        let value = if self.is_negative && draw.is_one_of(2) { -magnitude } else { magnitude };
        (!draw.is_one_of(self.blanks)).then_some(value)
    }
}

/// A version beside the rows that it should have.
#[derive(Clone)]
struct World {
    tenant: Tenant,
    facts: BTreeMap<KeyPart, Fact>,
    shapes: Vec<Shape>,
    has_text_keys: bool,
    next_key: u64,
}

fn calendar() -> DimensionDef {
    let calendar = CalendarDef {
        start: "2019-11-10".into(),
        end: "2020-04-05".into(),
        fiscal_start_month: Some(2),
    };
    DimensionDef { key_type: KeyType::Date, calendar: Some(calendar), ..dimension("date") }
}

fn late_measure() -> MeasureDef {
    measure("late", ValueType::Integer, Consolidation::Max)
}

fn sales(case: &Case) -> CubeDef {
    let key = if case.has_text_keys { KeyType::Text } else { KeyType::Bigint };
    let dimensions: Vec<&str> = ["shop", "account"].into_iter().chain(case.dates).collect();
    let decimal = |precision, scale| ValueType::Decimal { precision, scale };
    let measures = vec![
        measure("amount", decimal(18, 2), Consolidation::Sum),
        measure("price", decimal(9, 4), Consolidation::Average),
        measure("pieces", ValueType::Integer, Consolidation::Min),
    ];
    CubeDef { measures, ..amounts("sales", &dimensions, Some(key)) }
}

impl World {
    fn new(case: &Case, draw: &mut Draw) -> Self {
        let account = parent_child("account", ValueType::Integer);
        let dimensions =
            vec![levelled("shop", &[&["region", "city", "shop"]]), account, calendar()];
        let mut world = Self {
            tenant: Tenant::new(dimensions, vec![sales(case)]),
            facts: BTreeMap::new(),
            shapes: [59, 29, 60].map(|bits| Shape::drawn(draw, bits)).to_vec(),
            has_text_keys: case.has_text_keys,
            next_key: 0,
        };
        world.add_shops(case.shops, draw);
        world.add_accounts(draw);
        world
    }

    /// Regions, cities and shops, some without a member on the level above or on any.
    fn add_shops(&mut self, shops: u64, draw: &mut Draw) {
        let cities = draw.of(&[shops / 100 + 2, shops / 12, shops / 3]);
        let is_scattered = draw.is_one_of(2);
        let regions = (0..REGIONS).map(|region| (format!("r{region}"), None)).collect();
        let city = |city: u64| {
            let region = draw.below(REGIONS);
            (format!("c{city}"), (!draw.is_one_of(9)).then(|| format!("r{region}")))
        };
        let of_cities = (0..cities).map(city).collect();
        let shop = |shop: u64| {
            let city = if is_scattered { draw.below(cities) } else { shop * cities / shops };
            let parent = match draw.below(30) {
                0 => None,
                1 => Some(format!("r{}", draw.below(REGIONS))),
                _ => Some(format!("c{city}")),
            };
            (format!("s{shop}"), parent)
        };
        let of_shops = (0..shops).map(shop).collect();
        self.add_level("region", regions);
        self.add_level("city", of_cities);
        self.add_level("shop", of_shops);
    }

    fn add_level(&mut self, level: &str, members: Vec<(String, Option<String>)>) {
        let members: Vec<_> =
            members.iter().map(|(key, parent)| (key.as_str(), parent.as_deref())).collect();
        self.tenant.level_members("shop", level, 0, &members).expect("members of a level");
    }

    /// Accounts under any earlier ones, weighted.
    fn add_accounts(&mut self, draw: &mut Draw) {
        let account = |account: u64| {
            let parent = (account > 2 && !draw.is_one_of(20))
                .then(|| format!("a{}", draw.below(account.min(20))));
            let factor = draw.of(&[None, Some(1), Some(-1), Some(2), Some(0)]);
            MemberWrite {
                key: format!("a{account}"),
                parents: parent.map(|parent| (HierarchyId(0), Some(parent))).into_iter().collect(),
                attributes: vec![(FACTOR, factor.map(Scalar::Stored))],
                ..MemberWrite::default()
            }
        };
        let accounts = (0..ACCOUNTS).map(account).collect();
        self.tenant.write_members("account", accounts).expect("accounts");
    }

    fn dimension_count(&self) -> usize {
        self.tenant.version.model.cube_def(SALES).dimensions.len()
    }

    fn dimension(&self, position: usize) -> &Dimension {
        let cube = self.tenant.version.model.cube_def(SALES);
        self.tenant.version.dimension(cube.dimensions[position])
    }

    /// The members that rows may name.
    fn leaves(&self, position: usize) -> Vec<MemberId> {
        let members = self.dimension(position).members();
        let version = &self.tenant.version;
        members.filter(|&member| version.holds_facts(SALES, position, member)).collect()
    }

    fn measures(&self) -> Vec<MeasureId> {
        (0..self.shapes.len()).map(MeasureId::from_idx).collect()
    }

    fn key(&self, n: u64) -> KeyPart {
        let mixed = n * 7_919 % KEYS;
        match self.has_text_keys {
            true => KeyPart::Text(format!("k{mixed}").into()),
            false => KeyPart::Integer(mixed as i64 - 50_000),
        }
    }

    fn add_rows(&mut self, count: u64, draw: &mut Draw) {
        let keys = (self.next_key..self.next_key + count).map(|n| self.key(n)).collect();
        self.next_key += count;
        self.set_rows(keys, draw);
    }

    /// Sets some measures of rows, whose members are of a part of each dimension at times.
    fn set_rows(&mut self, keys: Vec<KeyPart>, draw: &mut Draw) {
        let leaves: Vec<Vec<MemberId>> = (0..self.dimension_count())
            .map(|position| {
                let all = self.leaves(position);
                let some = draw.run(&all).to_vec();
                if some.is_empty() || draw.is_one_of(2) { all } else { some }
            })
            .collect();
        let first = draw.place(self.shapes.len());
        let measures: Vec<MeasureId> =
            self.measures().into_iter().filter(|m| m.idx() >= first || draw.is_one_of(2)).collect();
        let mut write = RowsWrite {
            cube: SALES,
            action: RowsAction::Set,
            measures: measures.clone(),
            keys: keys.clone(),
            coordinates: Vec::new(),
            values: cube::ValueList::new(),
        };
        for key in keys {
            let members: Vec<MemberId> = leaves.iter().map(|leaves| draw.of(leaves)).collect();
            write.coordinates.extend(&members);
            let blank = || Fact { members: Vec::new(), values: Vec::new() };
            let fact = self.facts.entry(key).or_insert_with(blank);
            fact.members = members;
            fact.values.resize(self.shapes.len(), None);
            for measure in &measures {
                let value = self.shapes[measure.idx()].value(draw);
                fact.values[measure.idx()] = value;
                write.values.push(value);
            }
        }
        self.tenant.write(&write).expect("rows");
    }

    /// Some of the keys that are there.
    fn some_keys(&self, draw: &mut Draw) -> Vec<KeyPart> {
        let one_of = draw.of(&[7, 90, 1_500]);
        self.facts.keys().filter(|_| draw.is_one_of(one_of)).cloned().collect()
    }

    fn remove_rows(&mut self, draw: &mut Draw) {
        let keys = self.some_keys(draw);
        keys.iter().for_each(|key| {
            self.facts.remove(key);
        });
        let action = RowsAction::Remove;
        let (measures, coordinates, values) = Default::default();
        let write = RowsWrite { cube: SALES, action, measures, keys, coordinates, values };
        self.tenant.write(&write).expect("rows go away");
    }

    fn declare_measure(&mut self, draw: &mut Draw) {
        let (cube, measure) = ("sales".into(), late_measure());
        self.tenant.model(ModelChange::AddMeasure { cube, measure }).expect("a measure");
        self.shapes.push(Shape::drawn(draw, 60));
    }

    /// Rows in several writes, dead ones among them.
    fn fill(&mut self, rows: u64, draw: &mut Draw) {
        self.add_rows(rows, draw);
        if draw.is_one_of(2) {
            self.declare_measure(draw);
        }
        self.add_rows(rows * 2 / 5, draw);
        for _ in 0..draw.below(4) {
            match draw.below(3) {
                0 => self.remove_rows(draw),
                1 => self.add_rows(3, draw),
                _ => {
                    let keys = self.some_keys(draw);
                    self.set_rows(keys, draw);
                }
            }
        }
    }

    /// Puts a city, some shops and some accounts under other members, and adds new ones.
    fn move_members(&mut self, draw: &mut Draw) {
        let any = |draw: &mut Draw, level: &str| format!("{level}{}", draw.below(2));
        let (region, city) = (any(draw, "r"), any(draw, "c"));
        self.add_level("city", vec![(city.clone(), Some(region)), ("c_new".into(), None)]);
        let cities = [city, "c_new".into(), "r1".into()];
        let moved = (0..3).map(|_| format!("s{}", draw.below(40)));
        let shops: BTreeSet<String> = moved.chain(["s_new".into(), "s_newer".into()]).collect();
        let shop = |shop: String| (shop, Some(cities[draw.place(cities.len())].clone()));
        let shops = shops.into_iter().map(shop).collect();
        self.add_level("shop", shops);
        let last = format!("a{}", ACCOUNTS - 1);
        let accounts = [(last.as_str(), Some("a0")), ("a_new", Some("a1")), ("a2", None)];
        self.tenant.members("account", &accounts).expect("accounts");
    }
}

/// A member and those above it, from the top.
fn path(dimension: &Dimension, hierarchy: HierarchyId, member: MemberId) -> Vec<MemberId> {
    let up = |&member: &MemberId| dimension.parent(hierarchy, member);
    let mut path: Vec<MemberId> = std::iter::successors(Some(member), up).collect();
    path.reverse();
    path
}

/// The member's ancestor at a position of a hierarchy.
fn ancestor(
    dimension: &Dimension,
    (hierarchy, position): (HierarchyId, usize),
    member: MemberId,
) -> Option<MemberId> {
    let def = &dimension.def.hierarchies[hierarchy.idx()];
    let path = path(dimension, hierarchy, member);
    match def.kind {
        HierarchyKind::ParentChild => path.get(position).copied(),
        HierarchyKind::Levels => {
            let level = dimension.def.level(&def.levels[position]).ok();
            path.into_iter().find(|&member| dimension.level(member) == level)
        }
    }
}

/// A level of some hierarchy.
fn any_level(dimension: &Dimension, draw: &mut Draw) -> (HierarchyId, usize) {
    let hierarchy = HierarchyId::from_idx(draw.place(dimension.def.hierarchies.len()));
    (hierarchy, draw.place(dimension.shape(hierarchy).ancestors.len()))
}

/// What is asked of a cube.
struct Ask {
    axes: Vec<Axis>,
    filters: Vec<Filter>,
    rights: Rights,
    ranges: Vec<ValueRange>,
    computed: Vec<Arithmetic>,
    distinct: Vec<Distinct>,
    outputs: Vec<Output>,
    /// Whether only rows with an even or blank number of pieces are wanted.
    is_even: bool,
}

const PIECES: MeasureId = MeasureId(2);

fn is_even(pieces: Option<i64>) -> bool {
    pieces.is_none_or(|pieces| pieces % 2 == 0)
}

fn even_rows(view: &SegmentView, rows: RowSet) -> cube::Result<RowSet> {
    let pieces = &view.segment.values[PIECES.idx()];
    let even = rows.iter().filter(|&row| is_even(pieces.get(row)));
    Ok(RowSet::of_list(even.map(|row| row as u32).collect()))
}

impl World {
    fn drawn_ask(&self, draw: &mut Draw) -> Ask {
        let position = |draw: &mut Draw| draw.place(self.dimension_count());
        let axes = (0..draw.of(&[0, 1, 1, 2, 2, 3])).map(|_| {
            let position = position(draw);
            self.drawn_axis(position, draw)
        });
        let axes = axes.collect();
        let filters = (0..draw.of(&[0, 0, 1, 1, 1, 2, 3])).map(|_| {
            let position = position(draw);
            self.drawn_filter(position, draw)
        });
        let filters = filters.collect();
        let mut rights = Rights::default();
        if draw.is_one_of(3) {
            let position = position(draw);
            let cube = self.tenant.version.model.cube_def(SALES);
            rights.allowed.insert(cube.dimensions[position], self.drawn_rights(position, draw));
        }
        let ranges = (0..draw.of(&[0, 0, 0, 0, 1, 2])).map(|_| self.drawn_range(draw)).collect();
        let computed: Vec<Arithmetic> = (0..draw.below(3)).map(|_| self.arithmetic(draw)).collect();
        let distinct = (0..draw.below(3)).map(|_| {
            let values = self.drawn_axis(position(draw), draw);
            Distinct { values, blank: draw.of(&[None, Some(0), Some(1)]) }
        });
        let distinct: Vec<Distinct> = distinct.collect();
        let mut outputs: Vec<Output> = vec![Output::CountRows];
        for measure in self.measures() {
            let all = [Output::Consolidated, Output::Sum, Output::Count, Output::Min, Output::Max];
            outputs.extend(all.map(|output| output(measure)));
        }
        outputs.retain(|_| draw.is_one_of(2));
        outputs.extend((0..computed.len()).map(Output::SumOf));
        outputs.extend((0..distinct.len()).map(Output::CountDistinct));
        let is_even = draw.is_one_of(4);
        Ask { axes, filters, rights, ranges, computed, distinct, outputs, is_even }
    }

    /// Members of all levels: any, or as many above as there are leaves denied, in their midst.
    fn drawn_rights(&self, position: usize, draw: &mut Draw) -> RoaringBitmap {
        let members: Vec<MemberId> = self.dimension(position).members().collect();
        let leaves: BTreeSet<MemberId> = self.leaves(position).into_iter().collect();
        let among = |m: &MemberId| leaves.first() < Some(m) && Some(m) < leaves.last();
        let above = members.iter().copied().filter(|m| among(m) && !leaves.contains(m));
        let above: Vec<MemberId> = above.collect();
        if above.is_empty() || draw.is_one_of(2) {
            let one_of = draw.of(&[2, 10, 500]);
            let allowed = members.iter().filter(|_| !draw.is_one_of(one_of));
            return allowed.map(|member| member.0).collect();
        }
        let above: BTreeSet<MemberId> = draw.run(&above).iter().copied().collect();
        let denied = draw.place(leaves.len());
        let kept = leaves.iter().enumerate();
        let kept = kept.filter(|(at, _)| !(denied..denied + above.len()).contains(at));
        kept.map(|(_, member)| member).chain(&above).map(|member| member.0).collect()
    }

    /// By a level, by leaves, or by something that is no level.
    fn drawn_axis(&self, position: usize, draw: &mut Draw) -> Axis {
        let dimension = self.dimension(position);
        let count = dimension.member_count() as u32;
        let (codes, cardinality, grain): (Vec<u32>, u32, Grain) = match draw.below(6) {
            0 => ((0..count).collect(), count, Grain::Leaf),
            1 => ((0..count).map(|member| member % 7).collect(), 7, Grain::Free),
            _ => {
                let (hierarchy, at) = any_level(dimension, draw);
                let above = |member| ancestor(dimension, (hierarchy, at), member);
                let codes: Vec<u32> =
                    dimension.members().map(|m| above(m).map_or(count, |a| a.0)).collect();
                let grain = Grain::Level(hierarchy, at);
                match draw.is_one_of(2) {
                    true => (codes, count + 1, grain),
                    false => {
                        let (codes, cardinality) = numbered(&codes);
                        (codes, cardinality, grain)
                    }
                }
            }
        };
        Axis { position, codes: Arc::new(codes), cardinality, grain }
    }

    fn drawn_filter(&self, position: usize, draw: &mut Draw) -> Filter {
        let dimension = self.dimension(position);
        let leaves = self.leaves(position);
        let of_level = draw.below(8) < 5;
        let (members, grain, level): (Vec<MemberId>, Grain, _) = if of_level {
            let level = any_level(dimension, draw);
            let above = |&leaf: &MemberId| ancestor(dimension, level, leaf);
            let names: BTreeSet<Option<MemberId>> = leaves.iter().map(above).collect();
            let names: Vec<_> = names.into_iter().collect();
            let chosen: BTreeSet<_> = match draw.below(3) {
                0 => draw.run(&names).iter().copied().collect(),
                1 => [draw.of(&names)].into(),
                _ => names.into_iter().filter(|_| draw.is_one_of(2)).collect(),
            };
            let is_pinned = !draw.is_one_of(3);
            let grain = if is_pinned { Grain::Level(level.0, level.1) } else { Grain::Free };
            let members = leaves.into_iter().filter(|leaf| chosen.contains(&above(leaf)));
            (members.collect(), grain, Some(level))
        } else {
            let members = match draw.below(4) {
                0 => vec![draw.of(&leaves)],
                1 => (0..4).map(|_| draw.of(&leaves)).collect(),
                2 => draw.run(&leaves).to_vec(),
                _ => leaves.into_iter().filter(|_| draw.is_one_of(3)).collect(),
            };
            (members, Grain::Leaf, None)
        };
        let members = members.into_iter().map(|member| member.0).collect();
        Filter { position, members, grain, level }
    }

    /// From one value that is there to another, in any order.
    fn drawn_range(&self, draw: &mut Draw) -> ValueRange {
        let measure = draw.of(&self.measures());
        let values: Vec<i64> =
            self.facts.values().filter_map(|fact| fact.value(measure)).chain([0]).collect();
        let [low, high] = match draw.below(4) {
            0 => [draw.of(&values); 2],
            1 => [i64::MIN, draw.of(&values)],
            _ => [draw.of(&values), draw.of(&values)],
        };
        ValueRange { measure, low, high }
    }

    fn arithmetic(&self, draw: &mut Draw) -> Arithmetic {
        let drawn = self.drawn_arithmetic(3, draw);
        match self.bits(&drawn) {
            ..=COMPUTED_BITS_MAX => drawn,
            _ => Arithmetic::Measure(draw.of(&self.measures())),
        }
    }

    fn drawn_arithmetic(&self, depth: u32, draw: &mut Draw) -> Arithmetic {
        match draw.below(6) {
            0 => Arithmetic::Constant(draw.below(2_000) as i64 - 1_000, draw.below(4) as u32),
            1 | 2 => Arithmetic::Measure(draw.of(&self.measures())),
            _ if depth == 0 => Arithmetic::Measure(draw.of(&self.measures())),
            _ => {
                let operator = draw.of(&[Operator::Plus, Operator::Minus, Operator::Times]);
                let [a, b] = [0; 2].map(|_| Box::new(self.drawn_arithmetic(depth - 1, draw)));
                Arithmetic::Binary(operator, a, b)
            }
        }
    }

    /// Bits that its values, and those on the way, have at most.
    fn bits(&self, arithmetic: &Arithmetic) -> u32 {
        match arithmetic {
            Arithmetic::Measure(measure) => self.shapes[measure.idx()].bits,
            Arithmetic::Constant(..) => 10,
            Arithmetic::Binary(Operator::Times, a, b) => self.bits(a) + self.bits(b),
            Arithmetic::Binary(_, a, b) => {
                // ten needs less than four bits
                let digits = self.scale(a).abs_diff(self.scale(b));
                self.bits(a).max(self.bits(b)) + 1 + 4 * digits
            }
        }
    }

    fn measure_scale(&self, measure: MeasureId) -> u32 {
        self.tenant.version.model.cube_def(SALES).measure_def(measure).value_type.scale()
    }

    fn scale(&self, arithmetic: &Arithmetic) -> u32 {
        match arithmetic {
            Arithmetic::Measure(measure) => self.measure_scale(*measure),
            Arithmetic::Constant(_, scale) => *scale,
            Arithmetic::Binary(Operator::Times, a, b) => self.scale(a) + self.scale(b),
            Arithmetic::Binary(_, a, b) => self.scale(a).max(self.scale(b)),
        }
    }

    fn computed(&self, arithmetic: &Arithmetic, fact: &Fact) -> Option<i128> {
        match arithmetic {
            Arithmetic::Measure(measure) => fact.value(*measure).map(i128::from),
            Arithmetic::Constant(value, _) => Some(i128::from(*value)),
            Arithmetic::Binary(operator, a, b) => {
                let values = (self.computed(a, fact)?, self.computed(b, fact)?);
                let scale = self.scale(arithmetic);
                let unit = |operand| 10i128.pow(scale - self.scale(operand));
                Some(match operator {
                    Operator::Times => values.0 * values.1,
                    Operator::Plus => values.0 * unit(a) + values.1 * unit(b),
                    Operator::Minus => values.0 * unit(a) - values.1 * unit(b),
                })
            }
        }
    }
}

/// Codes counted from zero, in their order, and how many there are.
fn numbered(codes: &[u32]) -> (Vec<u32>, u32) {
    let all: BTreeSet<u32> = codes.iter().copied().collect();
    let numbers: BTreeMap<u32, u32> = all.into_iter().zip(0..).collect();
    (codes.iter().map(|code| numbers[code]).collect(), numbers.len() as u32)
}

/// By the codes of each group, a value an output.
type Groups = BTreeMap<Vec<u32>, Vec<Option<i128>>>;

impl Ask {
    fn is_wanted(&self, world: &World, fact: &Fact) -> bool {
        let cube = world.tenant.version.model.cube_def(SALES);
        let is_allowed = cube.dimensions.iter().zip(&fact.members).all(|(dimension, member)| {
            let allowed = self.rights.allowed.get(dimension);
            allowed.is_none_or(|allowed| allowed.contains(member.0))
        });
        let mut filters = self.filters.iter();
        let mut ranges = self.ranges.iter();
        is_allowed
            && filters.all(|filter| filter.members.contains(fact.members[filter.position].0))
            && ranges.all(|range| {
                fact.value(range.measure).is_some_and(|v| range.low <= v && v <= range.high)
            })
            && (!self.is_even || is_even(fact.value(PIECES)))
    }

    /// What the accounts count for: up to the level that is named, or to the top where none is.
    fn weights(&self, world: &World) -> Vec<i128> {
        let axes = self.axes.iter().map(|axis| (axis.position, axis.grain));
        let filters = self.filters.iter().map(|filter| (filter.position, filter.grain));
        let grains = axes.chain(filters).filter(|(position, _)| *position == 1);
        let grains: Vec<Grain> = grains.map(|(_, grain)| grain).collect();
        let level = |grain: &Grain| match grain {
            Grain::Level(_, position) => Some(*position),
            _ => None,
        };
        let finest = grains.iter().filter_map(level).max();
        let account = world.dimension(1);
        let factor = |member: &MemberId| match account.attribute(FACTOR, *member) {
            Some(Scalar::Stored(factor)) => i128::from(*factor),
            _ => 1,
        };
        let weight = |member: MemberId| {
            let path = path(account, HierarchyId(0), member);
            let below = finest.map_or(0, |level| path.len().min(level + 1));
            path[below..].iter().map(factor).product()
        };
        let is_leaf = grains.contains(&Grain::Leaf);
        account.members().map(|m| if is_leaf { 1 } else { weight(m) }).collect()
    }

    fn expected(&self, world: &World) -> Groups {
        let mut facts: BTreeMap<Vec<u32>, Vec<&Fact>> = BTreeMap::new();
        if self.axes.is_empty() {
            facts.insert(Vec::new(), Vec::new());
        }
        for fact in world.facts.values().filter(|fact| self.is_wanted(world, fact)) {
            let code = |axis: &Axis| axis.codes[fact.members[axis.position].idx()];
            facts.entry(self.axes.iter().map(code).collect()).or_default().push(fact);
        }
        let weights = self.weights(world);
        let outputs = |facts: Vec<&Fact>| {
            let value = |output: &Output| self.value(world, *output, &facts, &weights);
            self.outputs.iter().map(value).collect()
        };
        facts.into_iter().map(|(codes, facts)| (codes, outputs(facts))).collect()
    }

    fn value(
        &self,
        world: &World,
        output: Output,
        facts: &[&Fact],
        weights: &[i128],
    ) -> Option<i128> {
        let values = |measure: MeasureId| {
            facts.iter().filter_map(move |fact| fact.value(measure)).map(i128::from)
        };
        let count = |measure: MeasureId| values(measure).count() as i128;
        match output {
            Output::CountRows => Some(facts.len() as i128),
            Output::CountDistinct(at) => {
                let Distinct { values, blank } = &self.distinct[at];
                let value = |fact: &&Fact| values.codes[fact.members[values.position].idx()];
                let counted: BTreeSet<u32> = facts.iter().map(value).collect();
                Some(counted.iter().filter(|value| Some(**value) != *blank).count() as i128)
            }
            Output::Sum(measure) => sum(values(measure)),
            Output::Count(measure) => Some(count(measure)),
            Output::Min(measure) => values(measure).min(),
            Output::Max(measure) => values(measure).max(),
            Output::SumOf(at) => {
                let arithmetic = &self.computed[at];
                sum(facts.iter().filter_map(|fact| world.computed(arithmetic, fact)))
            }
            Output::Consolidated(measure) => match measure.idx() {
                0 => sum(facts.iter().filter_map(|fact| {
                    let weight = weights[fact.members[1].idx()];
                    let value = fact.value(measure).filter(|_| weight != 0)?;
                    Some(weight * i128::from(value))
                })),
                1 => Some(half_even(sum(values(measure))?, count(measure))),
                2 => values(measure).min(),
                _ => values(measure).max(),
            },
        }
    }

    fn scale(&self, world: &World, output: Output) -> u32 {
        match output {
            Output::CountRows | Output::Count(_) | Output::CountDistinct(_) => 0,
            Output::SumOf(at) => world.scale(&self.computed[at]),
            Output::Sum(measure)
            | Output::Min(measure)
            | Output::Max(measure)
            | Output::Consolidated(measure) => world.measure_scale(measure),
        }
    }

    fn found(&self, view: &View) -> Rollup {
        let request = Request {
            axes: self.axes.clone(),
            filters: self.filters.clone(),
            ranges: self.ranges.clone(),
            selection: if self.is_even { Some(&even_rows) } else { None },
            computed: self.computed.clone(),
            distinct: self.distinct.clone(),
            outputs: self.outputs.clone(),
            ..Request::of(SALES)
        };
        rollup(view, &request).expect("a rollup")
    }
}

fn sum(values: impl Iterator<Item = i128>) -> Option<i128> {
    values.reduce(|a, b| a + b)
}

/// A quotient rounded to the nearest, of two as near to the even one.
fn half_even(sum: i128, count: i128) -> i128 {
    let (whole, rest) = (sum.div_euclid(count), sum.rem_euclid(count));
    let is_up = rest * 2 > count || (rest * 2 == count && whole % 2 != 0);
    whole + i128::from(is_up)
}

impl World {
    fn check(&self, seed: u64) {
        self.check_ask(&self.drawn_ask(&mut Draw(seed)));
    }

    /// Checks the part of a question that aggregates can answer.
    fn check_sums(&self, seed: u64) {
        self.check_ask(&self.drawn_ask(&mut Draw(seed)).only_sums());
    }

    fn check_ask(&self, ask: &Ask) {
        let expected = ask.expected(self);
        let mut view = self.tenant.view();
        view.rights = Arc::new(ask.rights.clone());
        for pool in POOLS.iter() {
            let found = pool.install(|| ask.found(&view));
            let codes =
                |group: usize| -> Vec<u32> { found.codes.iter().map(|c| c[group]).collect() };
            let order: Vec<Vec<u32>> = (0..found.group_count).map(codes).collect();
            assert!(order.iter().eq(expected.keys()), "the groups differ");
            for (at, (&output, column)) in ask.outputs.iter().zip(&found.columns).enumerate() {
                assert_eq!(column.scale, ask.scale(self, output), "{output:?}");
                let expected = expected.values().map(|values| values[at]);
                assert!(column.values.iter().copied().eq(expected), "{output:?} differs");
            }
        }
    }
}

proptest! {
    #![proptest_config(cases(80, "tests/rollups.regressions"))]

    #[test]
    fn rollups_are_those_of_a_loop_over_rows(
        case in case(),
        asks in prop::collection::vec(any::<u64>(), 12),
    ) {
        let mut draw = Draw(case.seed);
        let mut world = World::new(&case, &mut draw);
        world.fill(case.rows, &mut draw);
        asks.iter().for_each(|&ask| world.check(ask));
        let before = world.clone();
        world.move_members(&mut draw);
        for &ask in &asks {
            world.check(ask);
            before.check(ask);
        }
        world.add_rows(case.rows / 9, &mut draw);
        asks.iter().for_each(|&ask| world.check(ask));
    }
}

/// Cells of an aggregate in these tests.
const CELLS_MAX: usize = 60_000;

impl Ask {
    /// Without what no aggregate holds.
    fn only_sums(mut self) -> Self {
        self.is_even = false;
        self.distinct.clear();
        let is_sum = |output: &Output| match output {
            Output::CountRows | Output::SumOf(_) | Output::Sum(_) | Output::Count(_) => true,
            Output::Consolidated(measure) => measure.idx() < 2,
            _ => false,
        };
        self.outputs.retain(is_sum);
        self.outputs.push(Output::CountRows);
        self
    }

    /// By what its groups and filters tell rows apart.
    fn keys(&self) -> Vec<Key> {
        let axes = self.axes.iter().map(|axis| match axis.grain {
            Grain::Level(hierarchy, level) => Key::Level(axis.position, hierarchy, level),
            _ => Key::Members(axis.position),
        });
        let filters = self.filters.iter().map(|filter| match filter.level {
            Some((hierarchy, level)) => Key::Level(filter.position, hierarchy, level),
            None => Key::Members(filter.position),
        });
        let ranges = self.ranges.iter().map(|range| Key::Values(range.measure));
        axes.chain(filters).chain(ranges).collect()
    }
}

impl World {
    /// Aggregates for some questions, with the members of accounts where these are weighted.
    fn add_aggregates(&self, asks: &[u64], draw: &mut Draw) {
        for &seed in asks {
            let ask = self.drawn_ask(&mut Draw(seed)).only_sums();
            let mut keys = ask.keys();
            if draw.is_one_of(2) {
                keys.push(Key::Members(1));
            }
            let size = |position: usize| match keys.contains(&Key::Members(position)) {
                true => self.dimension(position).member_count(),
                false => 40,
            };
            if (0..self.dimension_count()).map(size).product::<usize>() > CELLS_MAX {
                continue;
            }
            let measures = self.measures().into_iter().map(Arithmetic::Measure);
            let terms: Vec<Arithmetic> = measures.chain(ask.computed).collect();
            let rows = self.tenant.version.rows(SALES);
            rows.aggregates()
                .add(&keys, &terms, &self.tenant.version, SALES)
                .expect("an aggregate");
        }
    }

    fn maintain(&self) {
        let version = &self.tenant.version;
        let aggregates = version.rows(SALES).aggregates();
        aggregates.maintain(version, SALES, 1 << 24, &Interrupt::default()).expect("maintenance");
    }

    fn merge(&self) {
        self.tenant.version.rows(SALES).merge(&Interrupt::default());
    }

    fn hits(&self) -> u64 {
        let aggregates = self.tenant.version.rows(SALES).aggregates().list();
        aggregates.iter().map(|aggregate| aggregate.hits).sum()
    }

    /// A few rows more, less or otherwise.
    fn change_rows(&mut self, draw: &mut Draw) {
        match draw.below(4) {
            0 => self.remove_rows(draw),
            1 => self.add_rows(draw.of(&[1, 30, 400]), draw),
            _ => {
                let keys = self.some_keys(draw);
                self.set_rows(keys, draw);
            }
        }
    }
}

impl World {
    /// Two branches that share aggregates: each with changes, members and groups of its own. Says how
    /// many questions aggregates answered.
    fn check_aggregates(&mut self, rows: u64, asks: &[u64], draw: &mut Draw) -> u64 {
        let world = self;
        world.add_aggregates(asks, draw);
        asks.iter().for_each(|&ask| world.check_sums(ask));
        let start = world.clone();
        let mut branch = world.clone();
        for round in 0..4 {
            for world in [&mut *world, &mut branch] {
                world.change_rows(draw);
                asks.iter().step_by(3).for_each(|&ask| world.check_sums(ask));
            }
            match draw.below(4) {
                0 => world.maintain(),
                1 => branch.maintain(),
                2 if round < 2 => branch.move_members(draw),
                2 => world.merge(),
                _ => branch.merge(),
            }
            for &ask in asks.iter().skip(1).step_by(3) {
                [&*world, &branch, &start].iter().for_each(|world| world.check_sums(ask));
            }
        }
        let hits = world.hits();
        world.add_rows(rows / 9, draw);
        asks.iter().for_each(|&ask| world.check_sums(ask));
        world.maintain();
        for &ask in asks {
            [&*world, &start].iter().for_each(|world| world.check_sums(ask));
        }
        hits
    }
}

#[test]
fn aggregates_answer_like_a_loop_over_rows() {
    let hits = Cell::new(0);
    let asks = prop::collection::vec(any::<u64>(), 8);
    let mut runner = TestRunner::new(cases(24, "tests/rollups.regressions"));
    let result = runner.run(&(case(), asks), |(case, asks)| {
        let mut draw = Draw(case.seed);
        let mut world = World::new(&case, &mut draw);
        world.fill(case.rows, &mut draw);
        hits.set(hits.get() + world.check_aggregates(case.rows, &asks, &mut draw));
        Ok(())
    });
    result.unwrap_or_else(|error| panic!("{error}"));
    assert!(hits.get() > 200, "aggregates answered {} questions only", hits.get());
}

#[test]
fn a_group_that_gets_its_first_member_is_counted_by_aggregates() {
    let mut tenant = Tenant::new(
        vec![levelled("shop", &[&["city", "shop"]])],
        vec![amounts("sales", &["shop"], None)],
    );
    tenant.level_members("shop", "city", 0, &[("c0", None), ("c1", None)]).expect("cities");
    tenant.level_members("shop", "shop", 0, &[("s0", Some("c0"))]).expect("a shop");
    let set = |tenant: &mut Tenant, shop: &str, amount: i64| {
        let shop = tenant.dimension("shop").find(shop).expect("it is there");
        let write = RowsWrite {
            cube: SALES,
            action: RowsAction::Set,
            measures: vec![MeasureId(0)],
            keys: Vec::new(),
            coordinates: vec![shop],
            values: vec![Some(amount)].into(),
        };
        tenant.write(&write).expect("a cell");
    };
    set(&mut tenant, "s0", 5);
    let aggregates = Arc::clone(tenant.version.rows(SALES).aggregates());
    let keys = [Key::Level(0, HierarchyId(0), 0)];
    let terms = [Arithmetic::Measure(MeasureId(0))];
    assert!(aggregates.add(&keys, &terms, &tenant.version, SALES).expect("an aggregate"));
    tenant.level_members("shop", "shop", 0, &[("s1", Some("c1"))]).expect("another shop");
    set(&mut tenant, "s1", 7);
    let total = |tenant: &Tenant| {
        let request = Request { outputs: vec![Output::Sum(MeasureId(0))], ..Request::of(SALES) };
        rollup(&tenant.view(), &request).expect("a rollup").columns[0].values.clone()
    };
    assert_eq!(total(&tenant), [Some(12)]);
    // whichever of two states its groups were made for
    aggregates.add(&keys, &terms, &tenant.version, SALES).expect("an aggregate");
    tenant.level_members("shop", "city", 0, &[("a_city", None)]).expect("a city");
    tenant.level_members("shop", "shop", 0, &[("s0", Some("a_city"))]).expect("it moves");
    aggregates.add(&keys, &terms, &tenant.version, SALES).expect("an aggregate");
    set(&mut tenant, "s1", 8);
    assert_eq!(total(&tenant), [Some(13)]);
}

#[test]
fn what_is_blank_does_not_overflow() {
    let mut sales = amounts("sales", &["shop"], Some(KeyType::Bigint));
    sales.measures.push(measure("price", ValueType::Integer, Consolidation::Sum));
    let mut tenant = Tenant::new(vec![dimension("shop")], vec![sales]);
    tenant.members("shop", &[("s0", None)]).expect("a member");
    let [amount, price] = [0, 1].map(MeasureId);
    let mut set = |key: i64, values: [Option<i64>; 2]| {
        tenant.write(&RowsWrite {
            cube: SALES,
            action: RowsAction::Set,
            measures: vec![amount, price],
            keys: vec![KeyPart::Integer(key)],
            coordinates: vec![MemberId(0)],
            values: values.to_vec().into(),
        })
    };
    set(1, [Some(i64::MAX), None]).expect("a row whose amount has no third power");
    set(2, [Some(5), Some(-2)]).expect("a row");
    let times = |a, b| Arithmetic::Binary(Operator::Times, Box::new(a), Box::new(b));
    let factors = [amount, amount, amount, price].map(Arithmetic::Measure);
    let computed = factors.into_iter().reduce(times).into_iter().collect();
    let outputs = vec![Output::SumOf(0)];
    let request = Request { computed, outputs, ..Request::of(SALES) };
    let found = rollup(&tenant.view(), &request).expect("a rollup");
    assert_eq!(found.columns[0].values, [Some(-250)]);
}
