//! Segments: every key lives once, their number stays small, and no answer depends on them.

#[path = "support/settings.rs"]
mod settings;
#[path = "support/tenant.rs"]
mod tenant;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use cube::change::{RowsAction, RowsWrite};
use cube::limits::{SEGMENT_ROWS_MAX, SMALL_SEGMENTS_MAX, WRITE_MERGED_ROWS_MAX};
use cube::rollup::Output;
use cube::value::{KeyPart, KeyType};
use cube::view::Interrupt;
use cube::{CubeId, MemberId};
use proptest::prelude::*;
use settings::cases;
use tenant::{AMOUNT, Tenant, amounts, dimension};

const SHOPS: usize = 5;

/// Orders by shop.
fn tenant() -> Tenant {
    let orders = amounts("orders", &["shop"], Some(KeyType::Bigint));
    let mut tenant = Tenant::new(vec![dimension("shop")], vec![orders]);
    let keys: Vec<String> = (0..SHOPS).map(|idx| format!("shop {idx}")).collect();
    let members: Vec<_> = keys.iter().map(|key| (key.as_str(), None)).collect();
    tenant.members("shop", &members).expect("members");
    tenant
}

/// Orders by id: the shop and the amount.
type Orders = BTreeMap<i64, (u32, i64)>;

fn set(orders: impl IntoIterator<Item = (i64, (u32, i64))>) -> RowsWrite {
    let orders: Vec<_> = orders.into_iter().collect();
    RowsWrite {
        cube: CubeId(0),
        action: RowsAction::Set,
        measures: vec![AMOUNT],
        keys: orders.iter().map(|(id, _)| KeyPart::Integer(*id)).collect(),
        coordinates: orders.iter().map(|(_, (shop, _))| MemberId(*shop)).collect(),
        values: orders.iter().map(|(_, (_, amount))| Some(*amount)).collect(),
    }
}

fn remove(ids: impl Iterator<Item = i64>) -> RowsWrite {
    let keys = ids.map(KeyPart::Integer).collect();
    RowsWrite { action: RowsAction::Remove, measures: Vec::new(), keys, ..set(std::iter::empty()) }
}

/// The rows are the expected ones, each once; segments shrink by more than half from one to the next
/// unless two would be more than a write merges.
fn check(tenant: &Tenant, expected: &Orders) {
    check_rows(tenant, expected);
    let segments = tenant.version.rows(CubeId(0)).segments();
    let counts: Vec<usize> = segments.iter().map(|view| view.segment.row_count()).collect();
    for pair in counts.windows(2) {
        assert!(pair[1] * 2 < pair[0] || pair[0] + pair[1] > WRITE_MERGED_ROWS_MAX, "{counts:?}");
    }
}

/// The rows are the expected ones, each once.
fn check_rows(tenant: &Tenant, expected: &Orders) {
    let rows = tenant.version.rows(CubeId(0));
    let mut found = Orders::new();
    for view in rows.segments() {
        for row in view.live_rows() {
            let KeyPart::Integer(id) = view.segment.keys[0].get(row) else {
                panic!("keys are integers")
            };
            let amount = view.segment.values[0].get(row).expect("it has a value");
            let before = found.insert(id, (view.segment.coordinates[0].get(row).0, amount));
            assert_eq!(before, None, "order {id} lives twice");
        }
    }
    assert!(found == *expected, "the rows differ");
    assert_eq!(rows.row_count(), expected.len());
}

fn check_totals(tenant: &Tenant, expected: &Orders) {
    let mut totals: BTreeMap<u32, (i128, i128)> = BTreeMap::new();
    for (shop, amount) in expected.values() {
        let total = totals.entry(*shop).or_default();
        *total = (total.0 + i128::from(*amount), total.1 + 1);
    }
    for threads in [1, 2, 8] {
        let pool =
            rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("threads start");
        let column = |output| {
            let axes = vec![tenant.leaves("orders", 0)];
            let view = tenant.view();
            let rollup = pool
                .install(|| tenant.roll_up(&view, "orders", axes, Vec::new(), output))
                .expect("it fits");
            assert_eq!(rollup.codes[0], totals.keys().copied().collect::<Vec<_>>());
            rollup.columns[0].values.clone()
        };
        assert_eq!(
            column(Output::Sum(AMOUNT)),
            totals.values().map(|total| Some(total.0)).collect::<Vec<_>>()
        );
        assert_eq!(
            column(Output::CountRows),
            totals.values().map(|total| Some(total.1)).collect::<Vec<_>>()
        );
    }
}

fn order(id: i64) -> (i64, (u32, i64)) {
    (id, ((id % SHOPS as i64) as u32, id * 7 - 100_000))
}

#[test]
fn a_load_of_several_segments_takes_small_writes() {
    let count = 2 * SEGMENT_ROWS_MAX as i64 + 9_000;
    let mut orders: Orders = (0..count).map(order).collect();
    let mut tenant = tenant();
    tenant.write(&set(orders.clone().into_iter().rev())).expect("a load");
    check(&tenant, &orders);
    assert_eq!(tenant.version.rows(CubeId(0)).segments().len(), 3);
    for step in 0..40 {
        let id = step * 3_301;
        let edits = [(id, (4, step)), (count + step, (0, 1))];
        tenant.write(&set(edits)).expect("a small write");
        orders.extend(edits);
        tenant.write(&remove([id + 1, id + 2].into_iter())).expect("a removal");
        orders.remove(&(id + 1));
        orders.remove(&(id + 2));
    }
    check(&tenant, &orders);
    check_totals(&tenant, &orders);
}

#[test]
fn many_small_writes_make_few_segments_and_the_same_hash() {
    let mut one_by_one = tenant();
    let orders: Orders = (0..1_500).map(|n| order(n * 7_919 % 1_500)).collect();
    for n in 0..1_500 {
        one_by_one.write(&set(std::iter::once(order(n * 7_919 % 1_500)))).expect("one row");
        assert!(one_by_one.version.rows(CubeId(0)).segments().len() <= 11);
    }
    check(&one_by_one, &orders);
    let mut at_once = tenant();
    at_once.write(&set(orders.clone())).expect("all rows");
    assert_eq!(at_once.hash(), one_by_one.hash());
    check_totals(&one_by_one, &orders);
}

#[test]
fn removing_all_leaves_no_segment_and_the_hash_of_nothing() {
    let mut tenant = tenant();
    let empty = tenant.hash();
    for batch in 0..20 {
        tenant.write(&set((batch * 50..batch * 50 + 50).map(order))).expect("a batch");
    }
    tenant.write(&remove((0..1_000).rev())).expect("all");
    assert!(tenant.version.rows(CubeId(0)).segments().is_empty());
    assert_eq!(tenant.hash(), empty);
}

#[test]
fn dead_rows_go_when_segments_are_merged_beside_writers() {
    let count = 3 * SEGMENT_ROWS_MAX as i64;
    let mut orders: Orders = (0..count).map(order).collect();
    let mut tenant = tenant();
    tenant.write(&set(orders.clone())).expect("a load");
    let stored = |tenant: &Tenant| -> usize {
        tenant.version.rows(CubeId(0)).segments().iter().map(|view| view.segment.row_count()).sum()
    };
    // seven of eight rows change their amounts
    for step in 0..7 {
        let edits: Orders =
            (0..count).filter(|id| id % 8 == step + 1).map(|id| (id, (1, step))).collect();
        tenant.write(&set(edits.clone())).expect("an update");
        orders.extend(edits);
    }
    let rows = Arc::clone(&tenant.version.cubes[0]);
    assert!(rows.is_merge_due());
    let (before, wasted) = (tenant.clone(), stored(&tenant) - orders.len());
    assert!(wasted > orders.len() / 2, "{wasted} rows are dead");
    rows.merge(&Interrupt::default());
    assert!(!rows.is_merge_due(), "what is merged is not merged again");
    assert_eq!(stored(&tenant), stored(&before), "no version changes");
    // two of the merged segments, one of them in a row that changed since
    let edits = [(8, (2, 5)), (9, (3, 6))];
    tenant.write(&set(edits)).expect("a small write");
    tenant.write(&remove([16].into_iter())).expect("a removal");
    assert!(stored(&tenant) < orders.len() + orders.len() / 4, "{} rows", stored(&tenant));
    check_rows(&before, &orders);
    orders.extend(edits);
    orders.remove(&16);
    check_rows(&tenant, &orders);
    check_totals(&tenant, &orders);
    let mut again = self::tenant();
    again.write(&set(orders)).expect("all rows");
    assert_eq!(again.hash(), tenant.hash());
}

#[test]
fn small_segments_are_merged_beside_writers() {
    let mut tenant = tenant();
    let mut orders = Orders::new();
    let batch = WRITE_MERGED_ROWS_MAX as i64 - 100;
    let counts = |tenant: &Tenant| -> Vec<usize> {
        let segments = tenant.version.rows(CubeId(0)).segments().iter();
        segments.map(|view| view.segment.row_count()).collect()
    };
    for number in 0..=SMALL_SEGMENTS_MAX as i64 {
        assert!(!tenant.version.rows(CubeId(0)).is_merge_due());
        // neighbours have nothing to do with each other
        let ids = (0..batch).map(|at| at * 100 + number);
        let added: Orders = ids.map(order).collect();
        tenant.write(&set(added.clone())).expect("a batch");
        orders.extend(added);
    }
    assert_eq!(counts(&tenant), vec![batch as usize; SMALL_SEGMENTS_MAX + 1]);
    let rows = Arc::clone(&tenant.version.cubes[0]);
    assert!(rows.is_merge_due());
    rows.merge(&Interrupt::default());
    assert!(!rows.is_merge_due());
    tenant.write(&set([order(50)])).expect("a small write");
    orders.extend([order(50)]);
    let found = counts(&tenant);
    assert!(found.len() < 6 && found[0] > SEGMENT_ROWS_MAX / 2, "{found:?}");
    check_rows(&tenant, &orders);
    check_totals(&tenant, &orders);
}

#[test]
fn a_version_keeps_its_rows_while_the_next_changes_them() {
    let mut tenant = tenant();
    let orders: Orders = (0..300).map(order).collect();
    tenant.write(&set(orders.clone())).expect("a load");
    let before = tenant.clone();
    tenant.write(&set((0..300).map(|id| (id, (0, 0))))).expect("an update");
    tenant.write(&remove(0..150)).expect("a removal");
    check(&before, &orders);
    check_totals(&before, &orders);
}

/// A write that is not yet tied to what is there.
#[derive(Clone, Debug)]
enum Step {
    Set(Vec<(i64, u32, i64)>),
    Remove(Vec<i64>),
    Many(i64, i64),
    /// Merges in the background; the next write puts them in place.
    Merge,
    /// Makes the other branch one of this one.
    Branch,
    /// Goes on with the other branch.
    Switch,
}

/// The shops of orders that are not the same in both.
fn shops_that_differ(before: &Orders, after: &Orders) -> BTreeSet<u32> {
    let differs = |id: &&i64| before.get(id) != after.get(id);
    let ids: BTreeSet<&i64> = before.keys().chain(after.keys()).filter(differs).collect();
    let rows = ids.iter().flat_map(|id| before.get(id).into_iter().chain(after.get(id)));
    rows.map(|(shop, _)| *shop).collect()
}

fn step() -> impl Strategy<Value = Step> {
    let row = (0i64..60, 0..SHOPS as u32, -1_000i64..1_000);
    prop_oneof![
        4 => prop::collection::vec(row, 1..8).prop_map(Step::Set),
        2 => prop::collection::vec(0i64..80, 1..12).prop_map(Step::Remove),
        1 => (0i64..60, 1i64..60).prop_map(|(from, count)| Step::Many(from, count)),
        2 => Just(Step::Merge),
        1 => Just(Step::Branch),
        1 => Just(Step::Switch),
    ]
}

proptest! {
    #![proptest_config(cases(60, "tests/segments.regressions"))]

    #[test]
    fn rows_are_those_of_a_map(steps in prop::collection::vec(step(), 1..30)) {
        let (mut tenant, mut orders) = (tenant(), Orders::new());
        let mut other = (tenant.clone(), orders.clone());
        let mut earlier = Vec::new();
        let mut is_merged = false;
        for step in steps {
            earlier.push((tenant.clone(), orders.clone()));
            let write = match step {
                Step::Set(rows) => {
                    let rows: Orders = rows.into_iter().map(|(id, shop, amount)| (id, (shop, amount))).collect();
                    orders.extend(rows.clone());
                    set(rows)
                }
                Step::Many(from, count) => {
                    orders.extend((from..from + count).map(order));
                    set((from..from + count).map(order))
                }
                Step::Remove(mut ids) => {
                    ids.sort_unstable();
                    ids.dedup();
                    ids.iter().for_each(|id| { orders.remove(id); });
                    remove(ids.into_iter())
                }
                Step::Merge => {
                    tenant.version.rows(CubeId(0)).merge(&Interrupt::default());
                    is_merged = true;
                    continue;
                }
                Step::Branch => {
                    other = (tenant.clone(), orders.clone());
                    continue;
                }
                Step::Switch => {
                    std::mem::swap(&mut tenant, &mut other.0);
                    std::mem::swap(&mut orders, &mut other.1);
                    continue;
                }
            };
            tenant.write(&write).expect("the write is valid");
            match is_merged {
                true => check_rows(&tenant, &orders),
                false => check(&tenant, &orders),
            }
            check_rows(&other.0, &other.1);
        }
        for (before, orders_before) in &earlier {
            let found = tenant.version.rows(CubeId(0)).changed_at(before.version.rows(CubeId(0)), AMOUNT, 1);
            let found: BTreeSet<u32> = found[0].iter().map(|shop| shop.0).collect();
            prop_assert_eq!(found, shops_that_differ(orders_before, &orders));
        }
        let mut again = self::tenant();
        again.write(&set(orders.clone())).expect("all rows");
        prop_assert_eq!(again.hash(), tenant.hash());
        check_totals(&tenant, &orders);
    }
}
