//! Replacing one measure, finding cells and selecting rows by members, against a map of cells.

#[path = "support/settings.rs"]
mod settings;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use cube::MemberId;
use cube::limits::{SEGMENT_ROWS_MAX, SMALL_SEGMENT_ROWS};
use cube::segment::{CubeRows, Location, Patch, RowSet, Rows};
use proptest::prelude::*;
use roaring::RoaringBitmap;
use settings::cases;

const DIMENSIONS: usize = 3;
type Coordinate = [u32; DIMENSIONS];
/// Values by measure; measures past the last are blank.
type Cells = BTreeMap<Coordinate, Vec<Option<i64>>>;

fn members(coordinate: &Coordinate) -> Vec<MemberId> {
    coordinate.iter().copied().map(MemberId).collect()
}

fn coordinate_of(rows: &CubeRows, at: Location) -> Coordinate {
    let columns = &rows.segments()[at.segment].segment.coordinates;
    std::array::from_fn(|position| columns[position].get(at.row).0)
}

/// The n-th of numbers that look random.
fn mixed(n: u64) -> u64 {
    let n = (n ^ (n >> 31)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let n = (n ^ (n >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    n ^ (n >> 32)
}

/// One of few, of some and of many members that are far apart.
fn coordinate(seed: u64) -> Coordinate {
    let n = mixed(seed);
    [(n % 7) as u32, (n >> 8) as u32 % 300, ((n >> 24) as u32 % 900) * 40_000]
}

fn table(cells: &Cells, measure_count: usize) -> Rows {
    let mut rows = Rows::empty(0, DIMENSIONS, measure_count);
    for (coordinate, values) in cells {
        for (column, &member) in rows.coordinates.iter_mut().zip(coordinate) {
            column.push(MemberId(member));
        }
        for (measure, column) in rows.values.iter_mut().enumerate() {
            column.push(values.get(measure).copied().flatten());
        }
    }
    rows
}

/// Changes as patches: up to 50 rows each, and no list of blanks where there are none.
fn patches(mut changes: Vec<(Location, Option<i64>)>) -> Vec<Patch> {
    changes.sort_by_key(|(at, _)| (at.segment, at.row));
    let of_segments = changes.chunk_by(|a, b| a.0.segment == b.0.segment);
    let patch = |changes: &[(Location, Option<i64>)]| {
        let present: Vec<bool> = changes.iter().map(|(_, value)| value.is_some()).collect();
        Patch {
            segment: changes[0].0.segment,
            rows: RowSet::of_list(changes.iter().map(|(at, _)| at.row as u32).collect()),
            values: changes.iter().map(|(_, value)| value.unwrap_or(0)).collect(),
            present: present.contains(&false).then_some(present),
        }
    };
    of_segments.flat_map(|changes| changes.chunks(50)).map(patch).collect()
}

/// The cube's rows beside the cells they should be.
#[derive(Default)]
struct Pair {
    rows: CubeRows,
    cells: Cells,
    measure_count: usize,
}

impl Pair {
    /// Sets complete cells; a cell without any value goes away.
    fn set(&mut self, mut cells: Cells, keeps_blank: bool) {
        let found = cells.keys().filter_map(|coordinate| self.rows.find_at(&members(coordinate)));
        let replaced: Vec<Location> = found.collect();
        cells.keys().for_each(|coordinate| {
            self.cells.remove(coordinate);
        });
        cells.retain(|_, values| keeps_blank || values.iter().any(Option::is_some));
        self.rows = self.rows.with(&replaced, &table(&cells, self.measure_count));
        self.cells.extend(cells);
    }

    /// Sets one measure of the cells that are there.
    fn set_values(
        &mut self,
        measure: usize,
        changes: &[(Coordinate, Option<i64>)],
        keeps_blank: bool,
    ) {
        let place = |(coordinate, value): &(Coordinate, Option<i64>)| {
            (self.rows.find_at(&members(coordinate)).expect("the cell is there"), *value)
        };
        let located: Vec<_> = changes.iter().map(place).collect();
        self.rows = self.rows.with_values(measure, &patches(located), keeps_blank);
        for (coordinate, value) in changes {
            let values = self.cells.get_mut(coordinate).expect("the cell is there");
            values.resize(values.len().max(measure + 1), None);
            values[measure] = *value;
            if !keeps_blank && values.iter().all(Option::is_none) {
                self.cells.remove(coordinate);
            }
        }
    }

    fn check(&self) {
        let mut found = Cells::new();
        for (segment, view) in self.rows.segments().iter().enumerate() {
            assert!(view.live_count() > 0);
            for row in view.live_rows() {
                let at = Location { segment, row };
                let values =
                    (0..self.measure_count).map(|measure| self.rows.value(at, measure)).collect();
                let before = found.insert(coordinate_of(&self.rows, at), values);
                assert_eq!(before, None, "a cell lives twice");
            }
            view.segment.values.iter().for_each(|values| check_presence(values));
        }
        let full = |(coordinate, values): (&Coordinate, &Vec<Option<i64>>)| {
            let mut values = values.clone();
            values.resize(self.measure_count, None);
            (*coordinate, values)
        };
        assert!(found == self.cells.iter().map(full).collect::<Cells>(), "the cells differ");
        assert_eq!(self.rows.row_count(), self.cells.len());
    }

    /// Every cell is found where it is, and cells that are not there are not.
    fn check_places(&self, seeds: impl Iterator<Item = u64>) {
        let probe = table(&self.cells, self.measure_count);
        for (row, coordinate) in self.cells.keys().enumerate() {
            let at = self.rows.find_at(&members(coordinate)).expect("the cell is there");
            assert_eq!(coordinate_of(&self.rows, at), *coordinate);
            assert_eq!(self.rows.find(&probe, row), Some(at));
        }
        for coordinate in seeds.map(coordinate) {
            let found = self.rows.find_at(&members(&coordinate));
            assert_eq!(found.is_some(), self.cells.contains_key(&coordinate));
        }
    }

    fn check_selection(&self, filters: &[Option<RoaringBitmap>]) {
        let is_wanted = |coordinate: &Coordinate| {
            let mut pairs = filters.iter().zip(coordinate);
            pairs.all(|(filter, member)| filter.as_ref().is_none_or(|f| f.contains(*member)))
        };
        let mut found = BTreeSet::new();
        let selected = self.rows.rows_with(filters);
        assert!(selected.is_sorted_by(|a, b| a.0 < b.0));
        for (segment, rows) in selected {
            assert!(!rows.is_empty() && rows.is_sorted_by(|a, b| a < b));
            for row in rows {
                let at = Location { segment, row: row as usize };
                assert!(!self.rows.segments()[segment].dead.contains(row));
                found.insert(coordinate_of(&self.rows, at));
            }
        }
        let wanted: BTreeSet<_> = self.cells.keys().copied().filter(is_wanted).collect();
        assert!(found == wanted, "the selection differs");
        for limit in [1, 100, SEGMENT_ROWS_MAX] {
            let mut together: BTreeMap<usize, Vec<u32>> = BTreeMap::new();
            for (segment, rows) in self.rows.row_sets_with(filters, limit) {
                assert!((1..=limit).contains(&rows.len()));
                together.entry(segment).or_default().extend(rows.iter().map(|row| row as u32));
            }
            let together: Vec<_> = together.into_iter().collect();
            assert!(together == self.rows.rows_with(filters), "sets of {limit} differ");
        }
    }
}

/// Presence is there exactly where a row is blank, and blanks are zero.
fn check_presence(values: &cube::segment::Values) {
    let row_count = values.ints().len();
    let blank = (0..row_count).filter(|&row| values.get(row).is_none()).count();
    assert_eq!(values.presence().is_some(), blank > 0);
    if let Some(presence) = values.presence() {
        let set: u32 = presence.words().iter().map(|word| word.count_ones()).sum();
        assert_eq!(set as usize, row_count - blank);
        for row in 0..row_count {
            assert!(presence.contains(row) || values.ints().get(row) == 0);
        }
    }
}

/// Something to do to a cube.
#[derive(Clone, Debug)]
enum Step {
    /// Sets as many cells, whose values are blank at times.
    Set { seed: u64, count: u64, blanks: u64 },
    /// Replaces a measure of one cell of so many.
    Replace { seed: u64, measure: usize, one_of: u64, blanks: u64 },
    /// A measure more.
    Declare,
}

/// Set `n`, one of `blanks` being blank; all are where it is one.
fn value(n: u64, blanks: u64) -> Option<i64> {
    (!n.is_multiple_of(blanks)).then_some((n >> 20) as i64 % 1_000)
}

fn step() -> impl Strategy<Value = Step> {
    let count = prop_oneof![3 => 1u64..30, 2 => 500u64..4_000];
    let one_of = prop_oneof![Just(1u64), 2u64..20, 100u64..3_000];
    let blanks = || prop_oneof![Just(1u64), Just(2), Just(50), Just(u64::MAX)];
    prop_oneof![
        3 => (any::<u64>(), count, blanks())
            .prop_map(|(seed, count, blanks)| Step::Set { seed, count, blanks }),
        5 => (any::<u64>(), 0usize..4, one_of, blanks())
            .prop_map(|(seed, measure, one_of, blanks)| Step::Replace { seed, measure, one_of, blanks }),
        1 => Just(Step::Declare),
    ]
}

fn run(pair: &mut Pair, step: &Step, keeps_blank: bool) {
    match *step {
        Step::Declare => pair.measure_count += 1,
        Step::Set { seed, count, blanks } => {
            let measure_count = pair.measure_count as u64;
            let cell = |n: u64| {
                let values = (0..measure_count).map(|m| value(mixed(seed ^ (n << 8) ^ m), blanks));
                (coordinate(seed.wrapping_add(n)), values.collect())
            };
            pair.set((0..count).map(cell).collect(), keeps_blank);
        }
        Step::Replace { seed, measure, one_of, blanks } => {
            let numbered = pair.cells.keys().zip(0u64..);
            let chosen = numbered.filter(|(_, n)| mixed(seed ^ n).is_multiple_of(one_of));
            let mut changes: Vec<_> =
                chosen.map(|(c, n)| (*c, value(mixed(seed.rotate_left(9) ^ n), blanks))).collect();
            changes.sort_by_key(|(coordinate, _)| mixed(seed ^ u64::from(coordinate[2])));
            pair.set_values(measure % pair.measure_count, &changes, keeps_blank);
        }
    }
}

/// Members of the second and third dimension in the units of [`coordinate`], in any number.
fn filters() -> impl Strategy<Value = Vec<Option<RoaringBitmap>>> {
    let some = |limit: u32, unit: u32| {
        let few = prop::collection::btree_set(0..limit, 0..4);
        let many = prop::collection::btree_set(0..limit, 0..limit as usize);
        let set = prop_oneof![3 => few, 1 => many];
        prop::option::of(
            set.prop_map(move |set| set.into_iter().map(|member| member * unit).collect()),
        )
    };
    (some(7, 1), some(310, 1), some(950, 40_000)).prop_map(|(a, b, c)| vec![a, b, c])
}

proptest! {
    #![proptest_config(cases(40, "tests/columns.regressions"))]

    #[test]
    fn cells_are_those_of_a_map(
        steps in prop::collection::vec(step(), 1..12),
        asked in prop::collection::vec(filters(), 6),
        keeps_blank: bool,
    ) {
        let mut pair = Pair { measure_count: 1, ..Pair::default() };
        run(&mut pair, &Step::Set { seed: 1, count: 6_000, blanks: 9 }, keeps_blank);
        for step in &steps {
            run(&mut pair, step, keeps_blank);
            pair.check();
        }
        pair.check_places(0..50);
        for filters in &asked {
            pair.check_selection(filters);
        }
    }
}

fn loaded(count: u64) -> Pair {
    let mut pair = Pair { measure_count: 2, ..Pair::default() };
    run(&mut pair, &Step::Set { seed: 5, count, blanks: u64::MAX }, false);
    pair
}

#[test]
fn many_changes_replace_one_column_and_share_the_others() {
    let mut pair = loaded(3_000);
    let before = pair.rows.clone();
    run(&mut pair, &Step::Replace { seed: 3, measure: 1, one_of: 3, blanks: 5 }, false);
    pair.check();
    let (old, new) = (&before.segments()[0].segment, &pair.rows.segments()[0].segment);
    assert!(Arc::ptr_eq(&old.values[0], &new.values[0]));
    assert!(!Arc::ptr_eq(&old.values[1], &new.values[1]));
    let columns = old.coordinates.iter().zip(&new.coordinates);
    columns.for_each(|(old, new)| assert!(Arc::ptr_eq(old, new)));
    assert_eq!(old.values[1].get(0), before.value(Location { segment: 0, row: 0 }, 1));
}

#[test]
fn few_changes_of_a_large_segment_move_rows_to_a_small_one() {
    let mut pair = loaded(3_000);
    let first: Vec<Coordinate> = pair.cells.keys().copied().take(2).collect();
    pair.set_values(0, &[(first[1], Some(8)), (first[0], Some(7))], false);
    pair.check();
    let counts: Vec<_> = pair.rows.segments().iter().map(|view| view.live_count()).collect();
    assert_eq!(counts, [pair.cells.len() - 2, 2]);
    // the two are in a small segment now, which is patched
    pair.set_values(0, &[(first[0], Some(9))], false);
    assert_eq!(pair.rows.segments()[1].segment.row_count(), 2);
    pair.check();
}

#[test]
fn a_segment_whose_cells_all_go_away_goes_away() {
    let mut pair = loaded(SMALL_SEGMENT_ROWS as u64 * 2);
    for measure in 0..2 {
        run(&mut pair, &Step::Replace { seed: 0, measure, one_of: 1, blanks: 1 }, false);
    }
    pair.check();
    assert!(pair.rows.segments().is_empty() && pair.cells.is_empty());
    pair.set_values(0, &[], false);
}

#[test]
fn selections_agree_over_full_segments() {
    let mut pair = loaded(SEGMENT_ROWS_MAX as u64 + 30_000);
    run(&mut pair, &Step::Replace { seed: 8, measure: 0, one_of: 500, blanks: 3 }, false);
    pair.check();
    let set = |members: &[u32]| Some(members.iter().copied().collect::<RoaringBitmap>());
    let every = |limit: u32, step: u32| Some((0..limit).step_by(step as usize).collect());
    for filters in [
        vec![None, None, None],
        vec![set(&[3]), None, None],
        vec![set(&[]), None, None],
        vec![set(&[1_000]), None, None],
        vec![None, set(&[17]), None],
        vec![None, set(&[17, 18, 40, 299]), set(&[40_000, 80_000])],
        vec![set(&[0, 6]), None, every(36_000_000, 80_000)],
        vec![set(&[0, 6]), every(400, 3), every(36_000_000, 1_000_000)],
        vec![every(7, 1), every(300, 2), None],
    ] {
        pair.check_selection(&filters);
    }
}
