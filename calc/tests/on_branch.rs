//! Formulas that read other branches: values by hand, what is refused, and random writes on the other
//! branch after each of which what followed is compared with what one gets anew.

#[path = "kept/dice.rs"]
mod dice;
#[path = "kept/model.rs"]
#[allow(dead_code)]
mod model;
#[path = "kept/recipe.rs"]
#[allow(dead_code)]
mod recipe;
#[path = "../../cube/tests/support/settings.rs"]
mod settings;
#[path = "support/shop.rs"]
mod shop;
#[path = "kept/world.rs"]
#[allow(dead_code)]
mod world;

use std::collections::BTreeMap;
use std::sync::Arc;

use calc::branches::Branches;
use calc::explain::{CellRef, Options, Place, explain};
use calc::{CalcError, Recomputed, Revision};
use cube::model::{FormulaDef, ModelChange};
use cube::{Change, View};
use model::Choice;
use proptest::prelude::*;
use settings::cases;
use shop::{QUOTA, Shop, formula, listed};
use world::World;

/// Two branches.
struct Two<'a> {
    own: &'a str,
    heads: BTreeMap<Arc<str>, &'a Revision>,
}

impl<'a> Two<'a> {
    fn new(own: &'a str, main: &'a Revision, whatif: &'a Revision) -> Self {
        Self { own, heads: BTreeMap::from([("main".into(), main), ("whatif".into(), whatif)]) }
    }
}

impl Branches for Two<'_> {
    fn own(&self) -> &str {
        self.own
    }

    fn find(&self, name: &str) -> Option<(Arc<str>, Revision)> {
        let (name, head) = self.heads.get_key_value(name)?;
        Some((Arc::clone(name), Revision::clone(head)))
    }

    fn names(&self) -> Vec<Arc<str>> {
        self.heads.keys().cloned().collect()
    }
}

fn set(target: &str, text: &str) -> Change {
    Change::Model(ModelChange::SetFormula(formula(target, text)))
}

/// Sets a formula on main.
fn set_on_main(main: &mut Shop, whatif: &Shop, target: &str, text: &str) -> Result<(), CalcError> {
    let revision = main.revision.clone();
    let two = Two::new("main", &revision, &whatif.revision);
    main.revision = revision.apply_among(&[set(target, text)], &two)?.0;
    Ok(())
}

/// Main after the other branch has got a new head.
fn follow(main: &Revision, whatif: &Revision) -> Result<(Revision, Recomputed), CalcError> {
    let heads = BTreeMap::from([("whatif".into(), Arc::new(whatif.clone()))]);
    main.follow(&heads, &Two::new("main", main, whatif))
}

/// Quotas of two employees on two days, one of them another on the other branch.
fn shops() -> (Shop, Shop) {
    let mut main = Shop::new();
    main.quota(["ann", "2012-01-01"], &[("amount_quota", Some(1_000_000))]);
    main.quota(["bob", "2012-01-01"], &[("amount_quota", Some(2_000_000))]);
    main.quota(["bob", "2012-01-02"], &[("amount_quota", Some(500_000))]);
    let mut whatif = main.clone();
    whatif.quota(["bob", "2012-01-01"], &[("amount_quota", Some(3_000_000))]);
    whatif.quota(["eve", "2012-01-02"], &[("amount_quota", Some(70_000))]);
    (main, whatif)
}

#[test]
fn values_are_those_of_the_other_branch() {
    let (mut main, whatif) = shops();
    set_on_main(&mut main, &whatif, "quota.bonus", "amount_quota[ON whatif] - amount_quota")
        .expect("it is right");
    let bonus = |who: &str, day: &str| main.value(QUOTA, &[who, day], "bonus");
    assert_eq!(bonus("ann", "2012-01-01"), Some(0));
    assert_eq!(bonus("bob", "2012-01-01"), Some(1_000_000));
    assert_eq!(bonus("bob", "2012-01-02"), Some(0));
    // a cell that only the other branch has
    assert_eq!(bonus("eve", "2012-01-02"), Some(70_000));
    assert_eq!(bonus("eve", "2012-01-01"), None);
}

#[test]
fn what_changes_there_is_computed_again_and_nothing_else() {
    let (mut main, mut whatif) = shops();
    set_on_main(&mut main, &whatif, "quota.bonus", "amount_quota[ON whatif] * 2").expect("right");
    whatif.quota(["ann", "2012-01-01"], &[("amount_quota", Some(1_500_000))]);
    let (next, ran) = follow(&main.revision, &whatif.revision).expect("it follows");
    assert_eq!(listed(ran), [("quota.bonus".to_string(), 1)]);
    main.revision = next;
    assert_eq!(main.value(QUOTA, &["ann", "2012-01-01"], "bonus"), Some(3_000_000));
    // what the formula does not read is not looked at
    whatif.sale(("o1", ["ann", "2012-01-01", "bike"], &[("amount", Some(10))]));
    let (_, ran) = follow(&main.revision, &whatif.revision).expect("it follows");
    assert_eq!(listed(ran), []);
}

#[test]
fn members_are_the_same_by_their_keys() {
    let (mut main, mut whatif) = shops();
    // the two add the same employees in another order, so their ids differ
    main.members("employee", &[("kim", None), ("lea", None)]);
    whatif.members("employee", &[("lea", None), ("max", None), ("kim", None)]);
    whatif.quota(["lea", "2012-03-01"], &[("amount_quota", Some(11))]);
    whatif.quota(["max", "2012-03-01"], &[("amount_quota", Some(22))]);
    set_on_main(&mut main, &whatif, "quota.bonus", "amount_quota[ON whatif]").expect("right");
    assert_eq!(main.value(QUOTA, &["lea", "2012-03-01"], "bonus"), Some(11));
    assert_eq!(main.value(QUOTA, &["kim", "2012-03-01"], "bonus"), None);
    whatif.quota(["kim", "2012-03-01"], &[("amount_quota", Some(33))]);
    let (next, ran) = follow(&main.revision, &whatif.revision).expect("it follows");
    assert_eq!(listed(ran), [("quota.bonus".to_string(), 1)]);
    main.revision = next;
    assert_eq!(main.value(QUOTA, &["kim", "2012-03-01"], "bonus"), Some(33));
    // a member that comes here takes what was there already
    main.members("employee", &[("max", None)]);
    assert_eq!(main.value(QUOTA, &["max", "2012-03-01"], "bonus"), Some(22));
}

#[test]
fn totals_and_rows_are_aggregated_where_they_are() {
    let (mut main, mut whatif) = shops();
    whatif.sale(("o1", ["ann", "2012-01-01", "bike"], &[("amount", Some(10))]));
    whatif.sale(("o2", ["ann", "2012-01-01", "bell"], &[("amount", Some(32))]));
    let text = "sales.amount[BY SUM: employee, date][ON whatif]";
    set_on_main(&mut main, &whatif, "quota.bonus", text).expect("it is right");
    assert_eq!(main.value(QUOTA, &["ann", "2012-01-01"], "bonus"), Some(42));
    whatif.remove_sale("o1");
    let (next, ran) = follow(&main.revision, &whatif.revision).expect("it follows");
    main.revision = next;
    assert_eq!(listed(ran), [("quota.bonus".to_string(), 1)]);
    assert_eq!(main.value(QUOTA, &["ann", "2012-01-01"], "bonus"), Some(32));
    let (main_rows, there) = ("sales.amount[ON whatif]", "amount_quota[ON whatif]");
    let error = set_on_main(&mut main, &whatif, "quota.bonus", main_rows).expect_err("rows");
    assert!(error.to_string().contains("is a cube of rows"), "{error}");
    // total over all employees there, beside each of them here
    let text = format!("amount_quota / {there}[REMOVE SUM: employee]");
    set_on_main(&mut main, &whatif, "quota.bonus", &text).expect("it is right");
    // 200 / (100 + 300)
    assert_eq!(main.value(QUOTA, &["bob", "2012-01-01"], "bonus"), Some(5_000));
}

#[test]
fn the_own_branch_is_no_other_one() {
    let (mut main, whatif) = shops();
    set_on_main(&mut main, &whatif, "quota.bonus", "amount_quota - amount_quota[ON main]")
        .expect("it is right");
    assert_eq!(main.value(QUOTA, &["bob", "2012-01-01"], "bonus"), Some(0));
    assert!(!main.revision.plan.reads_branch("main"));
    // on a branch made of it, main is another one: with the same values until one of them changes
    let branched = {
        let two = Two::new("third", &main.revision, &whatif.revision);
        main.revision.branched(&two).expect("its formulas are right there")
    };
    assert!(branched.plan.reads_branch("main"));
    let mut third = Shop { revision: branched };
    assert_eq!(third.value(QUOTA, &["bob", "2012-01-01"], "bonus"), Some(0));
    third.quota(["bob", "2012-01-01"], &[("amount_quota", Some(2_500_000))]);
    assert_eq!(third.value(QUOTA, &["bob", "2012-01-01"], "bonus"), Some(500_000));
    assert_eq!(third.value(QUOTA, &["ann", "2012-01-01"], "bonus"), Some(0));
}

#[test]
fn what_cannot_be_is_refused() {
    let (mut main, mut whatif) = shops();
    let refusal = |main: &mut Shop, whatif: &Shop, text: &str| {
        let error = set_on_main(main, whatif, "quota.bonus", text).expect_err(text);
        format!("{error} | {}", error.hint().unwrap_or_default())
    };
    assert_eq!(
        refusal(&mut main, &whatif, "amount_quota[ON whatf]"),
        "formula of quota.bonus: branch whatf does not exist | did you mean whatif?"
    );
    let ratio = "amount_quota[ON whatif] / amount_quota";
    let error = set_on_main(&mut main, &whatif, "quota.attainment", ratio).expect_err("a ratio");
    assert!(error.to_string().contains("reads measures at its own members"), "{error}");
    assert!(refusal(&mut main, &whatif, "amount_quota[ON]").contains("expected the name of a"));
    assert!(refusal(&mut main, &whatif, "amount_quota[ON whatif 3]").contains("expected \"]\""));
    assert!(refusal(&mut main, &whatif, "amont[ON whatif]").contains("did you mean amount_quota?"));
    let there = whatif.revision.clone();
    let two = Two::new("whatif", &main.revision, &there);
    let reads_main = set("quota.bonus", "amount_quota[ON main]");
    whatif.revision = there.apply_among(&[reads_main], &two).expect("it is right").0;
    assert_eq!(
        refusal(&mut main, &whatif, "amount_quota[ON whatif]"),
        "formula of quota.bonus: branch whatif reads main, so main cannot read whatif | \
         compare the two from one side only"
    );
}

#[test]
fn a_name_with_a_hyphen_is_quoted() {
    let revision = Shop::new().revision;
    let two = Two { own: "main", heads: BTreeMap::from([("plan-b".into(), &revision)]) };
    let error = revision.apply_among(&[set("quota.bonus", "amount_quota[ON plan-b]")], &two);
    let error = error.expect_err("it is read as a difference");
    assert_eq!(error.hint().as_deref(), Some("write `\"plan-b\"`"));
}

#[test]
fn a_value_that_does_not_fit_refuses_the_write_there() {
    let (mut main, mut whatif) = shops();
    let text = "amount_quota[ON whatif] * 10000000000";
    set_on_main(&mut main, &whatif, "quota.bonus", text).expect("it is right");
    whatif.quota(["ann", "2012-01-01"], &[("amount_quota", Some(1_000_000_000_000))]);
    let error = follow(&main.revision, &whatif.revision).expect_err("too large");
    assert!(error.to_string().contains("employee=ann"), "{error}");
    assert_eq!(error.sqlstate(), "22003");
}

#[test]
fn an_explanation_goes_on_there() {
    let (mut main, whatif) = shops();
    set_on_main(&mut main, &whatif, "quota.bonus", "amount_quota[ON whatif] - amount_quota")
        .expect("it is right");
    let revision = &main.revision;
    let view = View::unrestricted(Arc::clone(&revision.version));
    let cube = revision.version.model.cube(QUOTA).expect("it exists");
    let def = revision.version.model.cube_def(cube);
    let member = |dimension: usize, key: &str| {
        revision.version.dimension(def.dimensions[dimension]).find(key)
    };
    let measure = def.measure("bonus").expect("it exists");
    let place = Place::Cell(vec![member(0, "bob"), member(1, "2012-01-01")]);
    let cell = CellRef { cube, measure, place };
    let node = explain(&view, &revision.plan, &cell, Options::default()).expect("it explains");
    assert_eq!(node.value.as_deref(), Some("100.0000"));
    let [there, here] = &node.children[..] else { panic!("{node:?}") };
    assert_eq!(
        (there.branch.as_deref(), there.value.as_deref()),
        (Some("whatif"), Some("300.0000"))
    );
    assert_eq!(there.children[0].value.as_deref(), Some("300.0000"));
    assert_eq!((here.kind.as_str(), here.value.as_deref()), ("input", Some("200.0000")));
}

/// Targets of the random models that read cells, and what a branch is put around.
const TARGETS: [(&str, &[&str]); 3] = [
    ("plan.p3", &["a", "b", "p1", "q", "price.p", "daily.amount[BY SUM: date.month]"]),
    ("plan.p2", &["a", "deals.value[BY SUM: product, date.month]", "closing"]),
    ("daily.d2", &["amount", "d1", "deals.units[BY SUM: product, date]"]),
];

fn on_branch_text(dice: &mut dice::Dice<'_>) -> (&'static str, String) {
    let (target, sources) = dice.pick(&TARGETS);
    let source = dice.pick(sources);
    let there = format!("{source}[ON whatif]");
    let own = if target.starts_with("plan") { "a" } else { "amount" };
    let text = match dice.roll(6) {
        0 => there,
        1 => format!("{there} - {own}"),
        2 => format!("{own} * {there}"),
        3 => format!("PREVIOUS({there})"),
        4 => format!("CUMULATE({there}) + {own}"),
        _ => format!("({source} + {source} * 2)[ON whatif] ?? {own}"),
    };
    (target, text)
}

fn compare_with_anew(main: &World, whatif: &Revision, what: &str) {
    let mut anew = main.revision.clone();
    for (remove, def) in main.revision.version.model.formulas.iter().flat_map(|def| {
        let on_branch = def.text.contains("[ON whatif]");
        [(true, def), (false, def)].into_iter().filter(move |_| on_branch)
    }) {
        let target = def.target.clone();
        let change = match remove {
            true => ModelChange::RemoveFormula { target },
            false => ModelChange::SetFormula(FormulaDef::clone(def)),
        };
        let two = Two::new("main", &main.revision, whatif);
        match anew.apply_among(&[Change::Model(change)], &two) {
            Ok((next, _)) => anew = next,
            Err(CalcError::Cell { .. }) => return,
            Err(error) => panic!("{what}: {error}"),
        }
    }
    let kept = World::table(&main.revision.version, false);
    main.compare(what, &kept, &World::table(&anew.version, false));
}

/// Sets a formula on main that reads the other branch, where it can be.
fn read_from(main: &mut World, whatif: &World, step: &[u8]) -> bool {
    let (target, text) = on_branch_text(&mut dice::Dice(step));
    let two = Two::new("main", &main.revision, &whatif.revision);
    match main.revision.apply_among(&[world::set_formula(target, &text)], &two) {
        Ok((next, _)) => {
            main.revision = next;
            true
        }
        Err(error) => {
            if std::env::var_os("SHOW_REFUSED").is_some() {
                println!("{target} = {text}: {error}");
            }
            false
        }
    }
}

/// Random writes on both branches, each followed by main; gives how many formulas read.
fn check(choice: Choice, steps: &[world::Step]) -> usize {
    let mut main = World::new(choice, model::definitions(choice));
    let mut whatif = main.clone();
    let (first, rest) = steps.split_at(3.min(steps.len()));
    let mut reading = first.iter().filter(|step| read_from(&mut main, &whatif, step)).count();
    for (idx, step) in rest.iter().enumerate() {
        if idx % 8 == 7 {
            reading += usize::from(read_from(&mut main, &whatif, step));
        }
        if idx % 4 == 3 {
            // on main, where only rows and members are written
            let change = main.change(step);
            if let Some(change @ (Change::Rows(_) | Change::Members(_))) = change
                && let Ok((next, _)) = main.revision.apply(std::slice::from_ref(&change))
            {
                main.revision = next;
                compare_with_anew(&main, &whatif.revision, &format!("on main {change:?}"));
            }
            continue;
        }
        let Some(change) = whatif.change(step) else { continue };
        let earlier = whatif.clone();
        if whatif.apply(&change).is_err() {
            continue;
        }
        match follow(&main.revision, &whatif.revision) {
            Ok((next, _)) => main.revision = next,
            Err(CalcError::Cell { .. }) => {
                whatif = earlier;
                continue;
            }
            Err(error) => panic!("{change:?}: {error}"),
        }
        compare_with_anew(&main, &whatif.revision, &format!("after {change:?}"));
    }
    reading
}

proptest! {
    #![proptest_config(cases(100, "tests/on_branch.regressions"))]

    #[test]
    fn what_followed_is_what_one_gets_anew(
        choice in 0u8..32,
        steps in prop::collection::vec(prop::collection::vec(any::<u8>(), 4..40), 12..36),
    ) {
        check(Choice(choice), &steps);
    }
}

#[test]
fn random_formulas_do_read_the_other_branch() {
    let mut state = 0x1357_9BDFu32;
    let mut byte = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    let steps: Vec<world::Step> = (0..90).map(|_| (0..30).map(|_| byte()).collect()).collect();
    let read: usize = (0..8).map(|choice| check(Choice(choice * 4), &steps)).sum();
    assert!(read > 20, "{read} formulas were accepted");
}
