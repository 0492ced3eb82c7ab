//! What is kept up to date is what one gets anew: random models, random formulas of every kind,
//! random changes; after every change the revision is compared with one built from scratch.
//! `PROPTEST_CASES` asks for more cases.

#[path = "kept/dice.rs"]
mod dice;
#[path = "kept/model.rs"]
mod model;
#[path = "kept/recipe.rs"]
mod recipe;
#[path = "../../cube/tests/support/settings.rs"]
mod settings;
#[path = "kept/world.rs"]
mod world;

use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use calc::{CalcError, Revision};
use cube::Change;
use cube::model::ModelChange;
use model::Choice;
use proptest::prelude::*;
use rayon::{ThreadPool, ThreadPoolBuilder};
use settings::cases;
use world::{Step, World};

/// One, two and eight threads.
fn pools() -> &'static [ThreadPool] {
    static POOLS: OnceLock<Vec<ThreadPool>> = OnceLock::new();
    POOLS.get_or_init(|| {
        let pool =
            |threads| ThreadPoolBuilder::new().num_threads(threads).build().expect("threads start");
        [1, 2, 8].map(pool).into()
    })
}

/// The definitions of every choice.
fn definitions(choice: Choice) -> Revision {
    static ALL: OnceLock<Vec<Revision>> = OnceLock::new();
    ALL.get_or_init(|| (0..32).map(|bits| model::definitions(Choice(bits))).collect())
        [usize::from(choice.0)]
    .clone()
}

/// How much was done, to be seen with `--nocapture`.
#[derive(Default)]
struct Counts {
    cases: AtomicUsize,
    changes: AtomicUsize,
    refused: AtomicUsize,
    formulas: AtomicUsize,
    formulas_refused: AtomicUsize,
    rebuilt: AtomicUsize,
    not_rebuilt: AtomicUsize,
}

static COUNTS: Counts = Counts {
    cases: AtomicUsize::new(0),
    changes: AtomicUsize::new(0),
    refused: AtomicUsize::new(0),
    formulas: AtomicUsize::new(0),
    formulas_refused: AtomicUsize::new(0),
    rebuilt: AtomicUsize::new(0),
    not_rebuilt: AtomicUsize::new(0),
};

fn count(counter: &AtomicUsize) {
    counter.fetch_add(1, Ordering::Relaxed);
}

/// A state on the way has values that the last one has not, and these may be errors.
fn is_of_a_cell(error: &CalcError) -> bool {
    matches!(error, CalcError::Cell { .. })
}

fn compare_with(world: &World, what: &str, again: Result<Revision, CalcError>) {
    match again {
        Ok(again) => {
            count(&COUNTS.rebuilt);
            let kept = World::table(&world.revision.version, false);
            world.compare(what, &kept, &World::table(&again.version, false));
            let hashes = [&world.revision, &again].map(|r| r.version.state_hash().to_string());
            assert_eq!(hashes[0], hashes[1], "{what}: state hash\n{}", world.formulas());
        }
        Err(error) if is_of_a_cell(&error) => count(&COUNTS.not_rebuilt),
        Err(error) => panic!("{what}: {error}\n{}", world.formulas()),
    }
}

fn apply(world: &mut World, change: &Change) {
    let is_formula = matches!(change, Change::Model(ModelChange::SetFormula(_)));
    match world.apply(change) {
        Ok(()) => count(if is_formula { &COUNTS.formulas } else { &COUNTS.changes }),
        Err(error) => {
            if is_formula && std::env::var_os("SHOW_REFUSED").is_some() {
                println!("{error}\n{}", error.detail().unwrap_or_default());
            }
            count(if is_formula { &COUNTS.formulas_refused } else { &COUNTS.refused });
        }
    }
}

fn check(choice: Choice, steps: &[Step]) {
    count(&COUNTS.cases);
    let mut world = World::new(choice, definitions(choice));
    for (idx, step) in steps.iter().enumerate() {
        let Some(change) = world.change(step) else { continue };
        let pool = &pools()[idx % 3];
        let context = format!("after {change:?}");
        pool.install(|| apply(&mut world, &change));
        world.check_inputs();
        let other = &pools()[(idx + 1) % 3];
        compare_with(&world, &context, other.install(|| world.rebuilt_at_once()));
        if idx % 6 == 5 {
            compare_with(
                &world,
                &format!("by pieces, {context}"),
                other.install(|| world.rebuilt_by_pieces()),
            );
        }
    }
    compare_with(&world, "by pieces, at the end", world.rebuilt_by_pieces());
    world.check_filled_again();
}

proptest! {
    #![proptest_config(cases(200, "tests/kept.regressions"))]

    #[test]
    fn what_is_kept_is_what_one_gets_anew(
        choice in 0u8..32,
        steps in prop::collection::vec(prop::collection::vec(any::<u8>(), 4..40), 6..26),
    ) {
        check(Choice(choice), &steps);
    }
}

#[test]
fn templates_are_mostly_formulas() {
    // bytes of a linear congruence: the same on every run
    let mut state = 0x2545_F491u32;
    let mut byte = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    let (mut right, mut all) = (0, 0);
    for choice in 0..32 {
        let world = World::new(Choice(choice), definitions(Choice(choice)));
        for _ in 0..40 {
            let bytes: Vec<u8> = (0..60).map(|_| byte()).collect();
            let (target, text) = recipe::formula(Choice(choice), &mut dice::Dice(&bytes));
            let change = world::set_formula(target, &text);
            all += 1;
            match world.revision.apply(&[change]) {
                Ok(_) => right += 1,
                Err(error) if std::env::var_os("SHOW_REFUSED").is_some() => {
                    println!("{choice} {target}: {error}\n{}", error.detail().unwrap_or_default());
                }
                Err(_) => {}
            }
        }
    }
    println!("{right} of {all} formulas are right");
    assert!(right * 2 > all, "{right} of {all}");
}
