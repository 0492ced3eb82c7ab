//! Small cases of what random ones have found: what members and regions do to computed cells.

#[path = "kept/dice.rs"]
#[allow(dead_code)]
mod dice;
#[path = "kept/model.rs"]
#[allow(dead_code)]
mod model;
#[path = "kept/recipe.rs"]
#[allow(dead_code)]
mod recipe;
#[path = "kept/world.rs"]
#[allow(dead_code)]
mod world;

use cube::change::{MemberWrite, RowsAction, RowsWrite};
use cube::model::ModelChange;
use cube::{Change, CubeId, HierarchyId, MemberId};
use model::{Choice, PLAN, PRODUCT, SCENARIO};
use world::{World, set_formula};

/// Plan by product, month and scenario.
fn world() -> World {
    let choice = Choice(2);
    World::new(choice, model::definitions(choice))
}

fn coordinate(world: &World, keys: [&str; 3]) -> Vec<MemberId> {
    let version = &world.revision.version;
    let dimensions = &version.model.cube_def(CubeId::from_idx(PLAN)).dimensions;
    let find = |(id, key): (&cube::DimensionId, &str)| {
        version.dimension(*id).find(key).expect("it is there")
    };
    dimensions.iter().zip(keys).map(find).collect()
}

fn write(world: &World, keys: [&str; 3], measure: &str, value: Option<i64>) -> Change {
    let cube = CubeId::from_idx(PLAN);
    let measure =
        world.revision.version.model.cube_def(cube).measure(measure).expect("it is there");
    let coordinates = coordinate(world, keys);
    Change::Rows(RowsWrite {
        cube,
        action: RowsAction::Set,
        measures: vec![measure],
        keys: vec![],
        coordinates,
        values: vec![value].into(),
    })
}

fn set(world: &mut World, keys: [&str; 3], measure: &str, value: i64) {
    let change = write(world, keys, measure, Some(value));
    world.apply(&change).expect("it takes input");
}

fn value(world: &World, keys: [&str; 3], measure: &str) -> Option<i64> {
    let version = &world.revision.version;
    let cube = CubeId::from_idx(PLAN);
    let measure = version.model.cube_def(cube).measure(measure).expect("it is there");
    let rows = version.rows(cube);
    rows.value(rows.find_at(&coordinate(world, keys))?, measure.idx())
}

fn formula(world: &mut World, target: &str, text: &str) {
    world.apply(&set_formula(target, text)).expect("the formula is right");
}

fn moved(world: &mut World, product: &str, category: &str) {
    let count = world.revision.version.dimension(PRODUCT).member_count();
    let parents = vec![(HierarchyId(0), Some(category.into()))];
    let change = MemberWrite { key: product.into(), parents, ..MemberWrite::default() };
    world.apply(&model::members(PRODUCT, count, vec![change])).expect("it moves");
}

fn remove(world: &mut World, target: &str) {
    let change = ModelChange::RemoveFormula { target: target.into() };
    world.apply(&Change::Model(change)).expect("it is there");
}

const P0: [&str; 3] = ["p0", "2024-01", "actual"];
const P2: [&str; 3] = ["p2", "2024-01", "actual"];
const C0: &str = "plan.mix[product: \"c0\"]";

#[test]
fn a_member_that_leaves_a_region_leaves_no_values_behind() {
    let mut world = world();
    set(&mut world, P0, "a", 70_000);
    formula(&mut world, C0, "a * 2");
    assert_eq!(value(&world, P0, "mix"), Some(140_000));
    moved(&mut world, "p0", "c1");
    assert_eq!(value(&world, P0, "mix"), None);
    world.check_inputs();
    formula(&mut world, "plan.mix", "a * 3");
    assert_eq!(value(&world, P0, "mix"), Some(210_000));
    moved(&mut world, "p0", "c0");
    assert_eq!(value(&world, P0, "mix"), Some(140_000));
    moved(&mut world, "p0", "c1");
    assert_eq!(value(&world, P0, "mix"), Some(210_000));
}

#[test]
fn a_formula_that_goes_gives_its_cells_back() {
    let mut world = world();
    set(&mut world, P0, "a", 70_000);
    set(&mut world, P2, "a", 10_000);
    formula(&mut world, "plan.mix", "a * 3");
    formula(&mut world, C0, "a * 2");
    formula(&mut world, "plan.mix[product: \"p0\"]", "a");
    remove(&mut world, C0);
    assert_eq!(value(&world, P0, "mix"), Some(70_000));
    remove(&mut world, "plan.mix[product: \"p0\"]");
    assert_eq!(value(&world, P0, "mix"), Some(210_000));
    formula(&mut world, C0, "a * 2");
    remove(&mut world, "plan.mix");
    assert_eq!((value(&world, P0, "mix"), value(&world, P2, "mix")), (Some(140_000), None));
}

#[test]
fn a_member_added_later_is_the_one_that_formulas_name() {
    let mut world = world();
    set(&mut world, P0, "a", 70_000);
    formula(&mut world, "plan.mix[scenario: \"forecast\"]", "a[SELECT: scenario = \"actual\"]");
    formula(&mut world, "plan.p1", "IF(PARENT(product) = \"c9\", 0, a)");
    let forecast = model::member("forecast", None, None);
    world.apply(&model::members(SCENARIO, 2, vec![forecast])).expect("it is new");
    assert_eq!(value(&world, ["p0", "2024-01", "forecast"], "mix"), Some(70_000));
    // a name moves from one member to another
    formula(&mut world, "plan.p2", "a[SELECT: scenario = \"plan\"][ADD CONSTANT: scenario]");
    let named =
        MemberWrite { key: "actual".into(), name: Some("plan".into()), ..MemberWrite::default() };
    world.apply(&model::members(SCENARIO, 3, vec![named])).expect("it takes a name");
    assert_eq!(value(&world, ["p0", "2024-01", "budget"], "p2"), Some(70_000));
}

#[test]
fn a_member_that_is_not_there_equals_no_blank() {
    let mut world = world();
    let count = world.revision.version.dimension(PRODUCT).member_count();
    let orphan = model::members(PRODUCT, count, vec![model::member("px", None, None)]);
    world.apply(&orphan).expect("a product without a category");
    let px = ["px", "2024-01", "actual"];
    set(&mut world, px, "a", 70_000);
    for text in [
        "IF(product.category = \"c9\", 0, a)",
        "IF(\"c9\" = product.category, 0, a)",
        "IF(product.category <> \"c9\", a, 0)",
        "IF(product.category IN (\"c9\", \"c8\"), 0, a)",
        "SWITCH(product.category, \"c9\", 0, a)",
        "a[EXCLUDE: product.category = \"c9\"]",
    ] {
        formula(&mut world, "plan.p1", text);
        assert_eq!(value(&world, px, "p1"), Some(70_000), "{text}");
    }
    // what is blank equals what is blank
    formula(&mut world, "plan.p1", "IF(product.category = BLANK, a, 0)");
    assert_eq!(value(&world, px, "p1"), Some(70_000));
}

#[test]
fn a_blank_written_where_a_formula_computes_changes_nothing() {
    let mut world = world();
    set(&mut world, P0, "a", 70_000);
    formula(&mut world, C0, "a * 2");
    let change = write(&world, P0, "mix", None);
    world.apply(&change).expect("a blank is no input");
    assert_eq!(value(&world, P0, "mix"), Some(140_000));
}

#[test]
fn regions_that_need_themselves_are_refused() {
    let mut world = world();
    set(&mut world, P0, "a", 70_000);
    let refused = |world: &World, target: &str, text: &str| {
        let error = world.revision.apply(&[set_formula(target, text)]).err();
        error.unwrap_or_else(|| panic!("{text} was taken")).to_string()
    };
    let error = refused(&world, "plan.mix[product: \"p0\"]", "a + mix[BY SUM: product.category]");
    assert!(error.contains("formulas need each other"), "{error}");
    formula(&mut world, "plan.mix[product: \"p0\"]", "a + product.\"p1\"");
    let error = refused(&world, "plan.mix[product: \"p1\"]", "a + product.\"p0\"");
    assert!(error.contains("formulas need each other"), "{error}");
    // they share p0 and 2024-01, and neither is within the other
    formula(&mut world, "plan.p1[product: \"c0\", date: \"2024-01\"]", "a");
    let error = refused(&world, "plan.p1[product: \"p0\", date: \"2024\"]", "a");
    assert!(error.contains("overlaps"), "{error}");
}

#[test]
fn a_total_comparison_makes_no_cells_of_its_own() {
    let mut world = world();
    formula(&mut world, "plan.hit", "a IN (1, 2)");
    formula(&mut world, "plan.p1", "(a = 0)[BY COUNTUNIQUE: date]");
    set(&mut world, P0, "b", 10_000);
    assert_eq!((value(&world, P0, "hit"), value(&world, P0, "p1")), (None, None));
    set(&mut world, P0, "a", 10_000);
    assert_eq!((value(&world, P0, "hit"), value(&world, P0, "p1")), (Some(1), Some(10_000)));
}

#[test]
fn a_formula_of_a_cycle_can_be_removed() {
    let mut world = world();
    formula(&mut world, "plan.opening", "PREVIOUS(closing)");
    formula(&mut world, "plan.closing", "opening + a");
    set(&mut world, P0, "a", 10_000);
    assert_eq!(value(&world, ["p0", "2024-02", "actual"], "opening"), Some(10_000));
    remove(&mut world, "plan.opening");
    assert_eq!(value(&world, ["p0", "2024-02", "actual"], "opening"), None);
    assert_eq!(value(&world, P0, "closing"), Some(10_000));
    world.check_inputs();
}

#[test]
fn what_runs_along_members_reaches_new_ones() {
    let mut world = world();
    set(&mut world, P2, "a", 10_000);
    formula(&mut world, "plan.p1", "CUMULATE(a, product)");
    formula(&mut world, "plan.p2", "PREVIOUS(a, product)");
    let count = world.revision.version.dimension(PRODUCT).member_count();
    world
        .apply(&model::members(PRODUCT, count, vec![model::member("p9", Some("c1"), Some(1))]))
        .expect("it is new");
    let new = ["p9", "2024-01", "actual"];
    assert_eq!((value(&world, new, "p1"), value(&world, new, "p2")), (Some(10_000), Some(10_000)));
}

#[test]
fn what_looks_back_and_ahead_again_is_not_earlier() {
    let mut world = world();
    formula(&mut world, "plan.closing", "opening + a");
    for text in ["PREVIOUS(NEXT(closing))", "LAG(LEAD(closing, 5), 2)", "NEXT(PREVIOUS(closing))"] {
        let error = world.revision.apply(&[set_formula("plan.opening", text)]).err();
        let error = error.unwrap_or_else(|| panic!("{text} was taken"));
        assert!(error.to_string().contains("formulas need each other"), "{error}");
    }
    formula(&mut world, "plan.opening", "PREVIOUS(PREVIOUS(closing))");
    set(&mut world, P0, "a", 10_000);
    assert_eq!(value(&world, ["p0", "2024-03", "actual"], "opening"), Some(10_000));
}

/// Formulas that are fine one by one, and one that closes a circle of cells.
fn refused_after(formulas: &[(&str, &str)], (target, text): (&str, &str)) {
    let mut world = world();
    formulas.iter().for_each(|(target, text)| formula(&mut world, target, text));
    let error = world.revision.apply(&[set_formula(target, text)]).err();
    let error = error.unwrap_or_else(|| panic!("{text} was taken after {formulas:?}")).to_string();
    assert!(error.contains("formulas need each other"), "{error}");
}

#[test]
fn looking_ahead_makes_up_for_looking_back() {
    let c1 = "plan.mix[product: \"c1\"]";
    refused_after(&[(C0, "LEAD(p1, 1)")], ("plan.p1", "a + PREVIOUS(mix)"));
    refused_after(&[(C0, "LEAD(p1, 2)")], ("plan.p1", "a + PREVIOUS(mix)"));
    refused_after(&[(C0, "LEAD(p1, 2) + p2")], ("plan.p1", "LAG(mix, 2)"));
    // through another region of the same measure, or the formula of the rest
    let other = "a + NEXT(mix[SELECT: product = \"p0\"])";
    refused_after(
        &[(C0, "p1"), (c1, other)],
        ("plan.p1", "a + PREVIOUS(mix[SELECT: product = \"p2\"])"),
    );
    refused_after(
        &[("plan.mix", "a + PREVIOUS(mix[SELECT: product = \"p0\"])")],
        (C0, "a + NEXT(mix[SELECT: product = \"p2\"])"),
    );
    refused_after(&[], (C0, "a + NEXT(PREVIOUS(mix))"));
    // totals over the dimension are of later members too
    refused_after(&[("plan.p2", "a + p1[REMOVE SUM: date]")], ("plan.p1", "PREVIOUS(p2)"));
    refused_after(&[("plan.p2", "a + MOVINGSUM(p1, 3)")], ("plan.p1", "a + p2"));

    let mut world = world();
    formula(&mut world, C0, "LEAD(p1, 1) + a");
    formula(&mut world, "plan.p1", "LAG(mix, 2)");
    set(&mut world, ["p0", "2024-03", "actual"], "a", 20_000);
    set(&mut world, P0, "a", 10_000);
    // mix of March is that of February, which is that of January, and its own 2
    assert_eq!(value(&world, ["p0", "2024-02", "actual"], "mix"), Some(10_000));
    assert_eq!(value(&world, ["p0", "2024-03", "actual"], "mix"), Some(30_000));
    world.check_inputs();
}

/// Two formulas that go together, before and after: each new one alone would need itself.
#[test]
fn formulas_of_one_command_are_judged_together() {
    let mut world = world();
    let both = |x: &str, y: &str| vec![set_formula("plan.p1", x), set_formula("plan.p2", y)];
    let later = both("LAG(p2, 2) + a", "LEAD(p1, 1) - b");
    let earlier = both("PREVIOUS(p2) + a", "p1 - b");
    set(&mut world, P0, "a", 80_000);
    for changes in [&earlier, &later, &earlier] {
        world.revision = world.revision.apply(changes).expect("they are right together").0;
    }
    assert_eq!(value(&world, ["p0", "2024-03", "actual"], "p2"), Some(80_000));
}

#[test]
fn a_share_of_last_month_s_total_advances_by_month() {
    let mut world = world();
    let text = "a + PREVIOUS(p1[REMOVE SUM: product]) / 2";
    formula(&mut world, "plan.p1", text);
    set(&mut world, P0, "a", 80_000);
    set(&mut world, P2, "a", 20_000);
    for product in ["p0", "p2"] {
        set(&mut world, [product, "2024-02", "actual"], "a", 10_000);
        set(&mut world, [product, "2024-03", "actual"], "a", 0);
    }
    // January 8 and 2; February 1 and half of 10 for each; March half of 12
    let of = |world: &World, month: &str| value(world, ["p0", month, "actual"], "p1");
    assert_eq!(of(&world, "2024-01"), Some(80_000));
    assert_eq!(of(&world, "2024-02"), Some(60_000));
    assert_eq!(of(&world, "2024-03"), Some(60_000));
    set(&mut world, P2, "a", 40_000);
    assert_eq!(of(&world, "2024-03"), Some(70_000));
}

#[test]
fn large_counts_and_exponents_are_no_trouble() {
    let mut world = world();
    set(&mut world, P0, "a", -10_000);
    formula(&mut world, "plan.p1", "a ^ 2147483647");
    assert_eq!(value(&world, P0, "p1"), Some(-10_000));
    for text in
        ["PARALLEL(a, 2147483647, year)", "PARALLEL(a, -2147483647, month)", "LAG(a, 2147483647)"]
    {
        formula(&mut world, "plan.p1", text);
        assert_eq!(value(&world, P0, "p1"), None);
    }
}

/// A product of category c1 that comes last.
fn added(world: &mut World, product: &str) {
    let count = world.revision.version.dimension(PRODUCT).member_count();
    let write = model::members(PRODUCT, count, vec![model::member(product, Some("c1"), Some(1))]);
    world.apply(&write).expect("it is new");
}

#[test]
fn what_fills_by_month_fills_new_members() {
    let mut world = world();
    set(&mut world, P0, "p2", 20_000);
    set(&mut world, ["p1", "2023-11", "actual"], "a", 70_000);
    formula(&mut world, "plan.p1", "FILL(PREVIOUS(PREVIOUS(a)), (p2)[KEEP SUM: date])");
    // p2 is there in January alone, so January is filled for every product and scenario: p1 has
    // what it had two months before in actual, all else zero, what comes later too
    added(&mut world, "p9");
    let p1 = |product, month, scenario| value(&world, [product, month, scenario], "p1");
    assert_eq!(p1("p1", "2024-01", "actual"), Some(70_000));
    assert_eq!((p1("p9", "2024-01", "actual"), p1("p9", "2024-01", "budget")), (Some(0), Some(0)));
    assert_eq!((p1("p9", "2023-12", "actual"), p1("p9", "2024-02", "actual")), (None, None));
}

#[test]
fn what_is_made_of_filled_cells_counts_those_of_new_members() {
    let mut world = world();
    set(&mut world, P0, "p2", 20_000);
    set(&mut world, P0, "a", 70_000);
    let filled = "FILL(a, p2[KEEP SUM: date])";
    formula(&mut world, "plan.p1", &format!("({filled} + 1) * ({filled})[KEEP COUNT: date]"));
    formula(&mut world, "plan.p3", &format!("FILL(a, ({filled})[KEEP COUNT: date])"));
    formula(&mut world, "plan.mix", &format!("CUMULATE({filled}, product) + 1"));
    // In January each product has two cells, one a scenario: three products make six, four eight.
    // All hold zero but that of p0 in actual, which holds seven.
    for (products, count) in [(&["p2"][..], 60_000), (&["p2", "p9"], 80_000)] {
        if products.len() == 2 {
            added(&mut world, "p9");
        }
        for product in products {
            let at = [*product, "2024-01", "budget"];
            assert_eq!(value(&world, at, "p1"), Some(count), "{product}");
            assert_eq!(value(&world, at, "p3"), Some(0), "{product}");
            // nothing but zeros up to here in budget, and one
            assert_eq!(value(&world, at, "mix"), Some(10_000), "{product}");
            // 7 of p0 up to here in actual, and one
            let at = [*product, "2024-01", "actual"];
            assert_eq!(value(&world, at, "mix"), Some(80_000), "{product}");
        }
        assert_eq!(value(&world, P0, "p1"), Some(8 * count));
    }
}
