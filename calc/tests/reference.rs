//! The engine against a naive reference: random models, random changes, random queries, each
//! answered a second time by brute force from the text of the model's contract, to the last digit.

#[path = "reference/calendar.rs"]
mod calendar;
#[path = "reference/engine.rs"]
mod engine;
#[path = "../../cube/tests/support/exact.rs"]
mod exact;
#[path = "reference/formula.rs"]
mod formula;
#[path = "reference/naive.rs"]
mod naive;
#[path = "reference/question.rs"]
mod question;
#[path = "../../cube/tests/support/settings.rs"]
mod settings;
#[path = "reference/steps.rs"]
mod steps;
#[path = "reference/universe.rs"]
mod universe;

use std::collections::BTreeMap;
use std::sync::OnceLock;

use calc::CalcError;
use cube::CubeError;
use cube::limits::WRITE_MERGED_ROWS_MAX;
use engine::Engine;
use formula::Trouble;
use naive::{Action, Formula, MemberEdit, RowEdit, Tables, World};
use proptest::prelude::*;
use question::{Answer, Asked, Asking, Question, weight};
use rayon::{ThreadPool, ThreadPoolBuilder};
use settings::cases;
use steps::{RawQuestion, Step};
use universe::{Choice, PLAN, SALES, Universe};

/// One, two and eight threads.
fn pools() -> &'static [ThreadPool] {
    static POOLS: OnceLock<Vec<ThreadPool>> = OnceLock::new();
    POOLS.get_or_init(|| {
        let pool =
            |threads| ThreadPoolBuilder::new().num_threads(threads).build().expect("threads start");
        [1, 2, 8].map(pool).into()
    })
}

/// The engine and the reference, side by side.
struct Pair {
    world: World,
    engine: Engine,
    tables: Tables,
    steps: usize,
    /// Which inputs every state hash so far stood for.
    states: BTreeMap<String, String>,
}

impl Pair {
    fn new(choice: &Choice) -> Self {
        let universe = Universe::new(choice);
        let mut pair = Self {
            engine: Engine::new(&universe),
            world: World::new(universe),
            tables: Tables::default(),
            steps: 0,
            states: BTreeMap::new(),
        };
        for action in steps::first_members(&pair.world) {
            pair.apply(&action);
        }
        pair
    }

    /// Applies an action to both, or sees both refuse it.
    fn apply(&mut self, action: &Action) {
        self.steps += 1;
        let pool = &pools()[self.steps % 3];
        let found = pool.install(|| self.engine.after(&self.world, action));
        let expected = self.world.after(action).map(|world| {
            let (tables, mut trouble) = world.compute();
            trouble.wide |= has_long_weights(&world);
            (world, tables, trouble)
        });
        match (found, expected) {
            (Ok((engine, _)), Ok((world, tables, trouble))) => {
                assert!(!trouble.overflow, "{action:?} does not fit and was done");
                (self.engine, self.world, self.tables) = (engine, world, tables);
                self.check();
            }
            (Err(error), Ok((_, _, trouble))) => {
                let may_be = is_overflow(&error) && (trouble.overflow || trouble.wide);
                assert!(may_be, "{action:?} was refused: {error}");
            }
            (Ok(_), Err(reason)) => panic!("{action:?} was done: {reason}"),
            (Err(_), Err(_)) => {}
        }
    }

    fn check(&mut self) {
        assert_eq!(self.engine.tables(), self.tables);
        check_segments(&self.engine);
        let state = inputs_of(&self.world);
        let hash = self.engine.hash();
        let before = self.states.insert(hash.clone(), state.clone());
        assert!(before.is_none_or(|before| before == state), "two states have the hash {hash}");
    }

    /// The same inputs in another order and in other batches give the same tables and hash.
    fn check_rebuilt(&self) {
        for (order, pool) in [Order::RowsFirst, Order::FormulasFirst].into_iter().zip(pools()) {
            let again = pool.install(|| rebuilt(&self.world, order));
            assert_eq!(again.tables(), self.tables, "{order:?}");
            assert_eq!(again.hash(), self.engine.hash(), "{order:?}");
        }
    }

    fn check_question(&self, raw: &RawQuestion) {
        let question = raw.question(&self.world);
        let asking = Asking { world: &self.world, tables: &self.tables, question: &question };
        let (expected, trouble) = asking.answer();
        for pool in pools() {
            match pool.install(|| self.engine.answer(&self.world, &question)) {
                Ok(found) if trouble == Trouble::default() || !trouble.overflow => {
                    compare(&question, &found, &expected);
                    self.check_plain_sums(&question, &found);
                }
                Ok(_) => panic!("{question:?} does not fit and was answered"),
                Err(error) => {
                    assert!(
                        is_overflow(&error) && (trouble.overflow || trouble.wide),
                        "{question:?}: {error}"
                    );
                }
            }
        }
    }
}

impl Pair {
    /// A plain sum that is not called misleading is the measure's own.
    fn check_plain_sums(&self, question: &Question, found: &Answer) {
        let place = |asked: Asked| question.asked.iter().position(|other| *other == asked);
        for measure in 0..self.world.universe.cubes[question.cube].measures.len() {
            let own = place(Asked::Consolidated(measure));
            let (Some(own), Some(plain)) = (own, place(Asked::Sum(measure))) else { continue };
            if self.engine.is_misleading(&self.world, question, measure) {
                continue;
            }
            for (group, values) in found {
                assert_eq!(
                    values[own], values[plain],
                    "measure {measure} of {group:?} in {question:?}"
                );
            }
        }
    }
}

/// Shows the first value that differs.
fn compare(question: &Question, found: &Answer, expected: &Answer) {
    let shape = Question { asked: Vec::new(), ..question.clone() };
    let groups = |answer: &Answer| answer.keys().cloned().collect::<Vec<_>>();
    assert_eq!(groups(found), groups(expected), "{shape:?}");
    for (group, values) in expected {
        for (idx, value) in values.iter().enumerate() {
            let asked = question.asked[idx];
            assert_eq!(&found[group][idx], value, "{asked:?} of {group:?} in {shape:?}");
        }
    }
}

fn is_overflow(error: &CalcError) -> bool {
    matches!(
        error,
        CalcError::Cell { source: CubeError::Overflow(_), .. }
            | CalcError::Cube(CubeError::Overflow(_))
    )
}

/// Whether path weights are longer than the engine keeps.
fn has_long_weights(world: &World) -> bool {
    let dimensions = world.universe.dimensions.iter().enumerate();
    dimensions.flat_map(|(idx, spec)| (0..spec.hierarchies.len()).map(move |h| (idx, h))).any(
        |(idx, hierarchy)| {
            world.members[idx]
                .keys()
                .any(|key| weight(world, idx, hierarchy, None, key).fraction_digits() > 12)
        },
    )
}

/// Everything that the state hash covers, as text.
fn inputs_of(world: &World) -> String {
    format!("{:?}", (&world.members, &world.cells, &world.rows, &world.formulas))
}

/// Each key lives once (reading the tables checks it), and segments shrink by halves.
fn check_segments(engine: &Engine) {
    for rows in &engine.revision.version.cubes {
        for pair in rows.segments().windows(2) {
            let (before, last) = (pair[0].segment.row_count(), pair[1].segment.row_count());
            assert!(
                last * 2 < before || last + before > WRITE_MERGED_ROWS_MAX,
                "{before} rows, then {last}"
            );
        }
        assert!(rows.segments().iter().all(|segment| segment.live_count() > 0));
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Order {
    RowsFirst,
    FormulasFirst,
}

/// A state built anew: members in the opposite order, all rows at once or one by one.
fn rebuilt(world: &World, order: Order) -> Engine {
    let mut engine = Engine::new(&world.universe);
    let members = (0..world.members.len()).map(|dimension| final_members(world, dimension));
    let mut formulas: Vec<Action> =
        world.formulas.iter().map(|(target, formula)| set_formula(*target, formula)).collect();
    let mut actions: Vec<Action> = members.collect();
    match order {
        Order::RowsFirst => {
            actions.extend([all_rows(world, PLAN), all_rows(world, SALES)]);
            formulas.reverse();
            actions.extend(formulas);
        }
        Order::FormulasFirst => {
            actions.extend(formulas);
            actions.extend(one_by_one(all_rows(world, SALES)));
            actions.extend(one_by_one(all_rows(world, PLAN)));
        }
    }
    for action in actions {
        engine = engine.after(world, &action).expect("the state was reached before").0;
    }
    engine
}

fn final_members(world: &World, dimension: usize) -> Action {
    let spec = &world.universe.dimensions[dimension];
    let own = |hierarchy: &usize| spec.hierarchies[*hierarchy].shares.is_none();
    let edit = |key: &String| {
        let member = &world.members[dimension][key];
        let parent = |hierarchy: usize| (hierarchy, member.parents.get(&hierarchy).cloned());
        MemberEdit {
            key: key.clone(),
            name: Some(member.name.clone()),
            level: member.level.clone(),
            parents: (0..spec.hierarchies.len()).filter(own).map(parent).collect(),
            properties: member
                .properties
                .iter()
                .map(|(name, value)| (name.clone(), Some(value.clone())))
                .collect(),
        }
    };
    Action::Members { dimension, edits: world.arrival[dimension].iter().rev().map(edit).collect() }
}

fn set_formula((cube, measure): (usize, usize), formula: &Formula) -> Action {
    Action::SetFormula { cube, measure, formula: formula.clone() }
}

fn all_rows(world: &World, cube: usize) -> Action {
    let count = world.universe.cubes[cube].measures.len();
    let measures: Vec<usize> =
        (0..count).filter(|&m| !world.formulas.contains_key(&(cube, m))).collect();
    let chosen = |values: &naive::Values| measures.iter().map(|&measure| values[measure]).collect();
    let rows = if cube == SALES {
        let row =
            |(key, (coordinate, values)): (&naive::RowKey, &(naive::Coordinate, naive::Values))| {
                RowEdit { key: key.clone(), coordinate: coordinate.clone(), values: chosen(values) }
            };
        world.rows.iter().rev().map(row).collect()
    } else {
        let row = |(coordinate, values): (&naive::Coordinate, &naive::Values)| RowEdit {
            key: (String::new(), 0),
            coordinate: coordinate.clone(),
            values: chosen(values),
        };
        world.cells.iter().rev().map(row).collect()
    };
    Action::Set { cube, measures, rows }
}

fn one_by_one(action: Action) -> Vec<Action> {
    match action {
        Action::Set { cube, measures, rows } => rows
            .into_iter()
            .map(|row| Action::Set { cube, measures: measures.clone(), rows: vec![row] })
            .collect(),
        other => vec![other],
    }
}

fn check(choice: &Choice, steps: &[Step], questions: &[RawQuestion]) {
    let mut pair = Pair::new(choice);
    for (idx, step) in steps.iter().enumerate() {
        if let Some(action) = step.action(&pair.world) {
            pair.apply(&action);
        }
        if let Some(question) = questions.get(idx) {
            pair.check_question(question);
        }
        if idx % 4 == 3 {
            pair.check_rebuilt();
        }
    }
    pair.check_rebuilt();
    questions.iter().for_each(|question| pair.check_question(question));
}

proptest! {
    #![proptest_config(cases(250, "tests/reference.regressions"))]

    #[test]
    fn engine_and_reference_agree(
        choice in steps::choice(),
        steps in prop::collection::vec(steps::step(), 4..24),
        questions in prop::collection::vec(steps::question(), 6),
    ) {
        check(&choice, &steps, &questions);
    }
}
