//! Texts that nobody means: random ones and formulas cut, joined and changed. Nothing panics, nothing
//! takes long, and an error points into the text. `HOSTILE_CASES` asks for more.

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

use std::time::{Duration, Instant};

use calc::functions::FUNCTIONS;
use calc::{CalcError, Revision};
use dice::Dice;
use model::Choice;
use world::{World, set_formula};

/// Numbers of a linear congruence: the same on every run.
struct Noise(u64);

impl Noise {
    fn next(&mut self) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        self.0 >> 33
    }

    fn below(&mut self, count: usize) -> usize {
        (self.next() as usize) % count.max(1)
    }

    fn bytes(&mut self, count: usize) -> Vec<u8> {
        (0..count).map(|_| self.next() as u8).collect()
    }
}

const PIECES: &[&str] = &[
    "a",
    "plan.a",
    "deals.value",
    "product",
    "date",
    "date.month",
    "product.size",
    "\"p1\"",
    "'x'",
    "'",
    "\"",
    "(",
    ")",
    "[",
    "]",
    ",",
    ":",
    ".",
    "+",
    "-",
    "*",
    "/",
    "^",
    "&",
    "=",
    "<>",
    "<",
    ">=",
    "??",
    "AND",
    "OR",
    "NOT",
    "IN",
    "ON",
    "BY",
    "SUM",
    "[BY SUM: ",
    "[REMOVE AVG: ",
    "[SELECT: ",
    "[FILTER: ",
    "[ADD SPLIT: ",
    "[ON x]",
    "[AS OF y]",
    "TRUE",
    "BLANK",
    "0",
    "1",
    "2147483647",
    "1e9",
    "0.5",
    "99999999999999999999999999999999999999",
    "ä",
    "日本",
    "\u{1F600}",
    "\u{301}",
    "\u{0}",
    "\n",
    "\t",
    ";",
    "mode: marginal",
];

fn text(noise: &mut Noise) -> String {
    let bytes = noise.bytes(48);
    let recipe = |choice: u8, bytes: &[u8]| {
        recipe::formula(Choice(choice), recipe::Formulas::Failing, &mut Dice(bytes)).1
    };
    let mut text = match noise.below(4) {
        0 => (0..noise.below(14))
            .map(|_| PIECES[noise.below(PIECES.len())])
            .collect::<Vec<_>>()
            .join(" "),
        1 => FUNCTIONS[noise.below(FUNCTIONS.len())].example.0.to_string(),
        _ => recipe(bytes[0] % 32, &bytes),
    };
    for _ in 0..noise.below(4) {
        let places: Vec<usize> =
            text.char_indices().map(|(at, _)| at).chain([text.len()]).collect();
        let (a, b) = (places[noise.below(places.len())], places[noise.below(places.len())]);
        let (start, end) = (a.min(b), a.max(b));
        let piece = PIECES[noise.below(PIECES.len())];
        match noise.below(5) {
            0 => text.replace_range(start..end, ""),
            1 => text.insert_str(start, piece),
            2 => {
                let part = text[start..end].to_string();
                text.insert_str(end, &part);
            }
            3 => {
                text = format!("{}({text}, {piece})", FUNCTIONS[noise.below(FUNCTIONS.len())].name)
            }
            _ => text = format!("({text}) {piece} ({})", recipe(bytes[1] % 32, &bytes[8..])),
        }
        while !text.is_char_boundary(text.len().min(600)) {
            text.pop();
        }
        text.truncate(600.min(text.len()));
    }
    text
}

/// A model with some values.
fn filled(choice: Choice, noise: &mut Noise) -> World {
    let mut world = World::new(choice, model::definitions(choice));
    for kind in [0, 0, 0, 0, 8, 8, 8, 0, 0, 0, 0, 0] {
        let mut step = noise.bytes(40);
        step[0] = kind;
        if let Some(change) = world.change(&step) {
            world.apply(&change).expect("inputs are right");
        }
    }
    world
}

fn check(revision: &Revision, target: &str, text: &str) {
    let Err(error) = revision.apply(&[set_formula(target, text)]) else { return };
    if let CalcError::Formula { text: of, span, .. } = &error {
        assert!(of.get(span.start..span.end).is_some(), "{span:?} is not a part of {of:?}");
        assert!(error.detail().is_some() && !error.to_string().is_empty());
    }
}

#[test]
fn no_text_is_a_panic() {
    let count =
        std::env::var("HOSTILE_CASES").ok().and_then(|text| text.parse().ok()).unwrap_or(6_000);
    let mut noise = Noise(0x5EED);
    let worlds: Vec<World> =
        (0..8).map(|choice| filled(Choice(choice * 5 % 32), &mut noise)).collect();
    let mut slowest = (Duration::ZERO, String::new());
    for idx in 0..count {
        let text = text(&mut noise);
        let (_, target, _) = recipe::TARGETS[noise.below(recipe::TARGETS.len())];
        let start = Instant::now();
        check(&worlds[idx % worlds.len()].revision, target, &text);
        if start.elapsed() > slowest.0 {
            slowest = (start.elapsed(), text);
        }
    }
    println!("{count} texts; the slowest took {:?}: {}", slowest.0, slowest.1);
    assert!(slowest.0 < Duration::from_secs(10), "{:?}: {}", slowest.0, slowest.1);
}

#[test]
fn deep_nesting_is_an_error() {
    let world = World::new(Choice(0), model::definitions(Choice(0)));
    for open in ["(", "-", "NOT ", "ABS(", "a[BY SUM: ", "IF(", "a ?? (", "[", "product.size ON "] {
        for count in [90, 150, 10_000] {
            let text = format!("{}a", open.repeat(count));
            let error = world.revision.apply(&[set_formula("plan.p1", &text)]).err();
            assert!(count == 90 || error.is_some(), "{open} {count} times was taken");
        }
    }
    let sum = |count: usize| vec!["a"; count].join(" + ");
    let set = |text: &str| world.revision.apply(&[set_formula("plan.p1", text)]).map(|_| ());
    assert!(
        set(&sum(900)).is_err_and(|error| error.to_string().contains("more than 200 operators"))
    );
    set(&sum(190)).expect("a long sum is a formula");
    set(&format!("({})[BY SUM: date.quarter] * a", sum(180))).expect("so is one aggregated");
    let nested = (0..90).fold("a".to_string(), |text, _| format!("PREVIOUS({text})"));
    set(&nested).expect("it looks far back");
    let modified = (0..95).fold("a".to_string(), |text, _| format!("({text})[SELECT: date - 1]"));
    set(&modified).expect("it looks as far back");
    let totals = (0..95).fold("a".to_string(), |text, _| format!("{text}[BY SUM: product]"));
    set(&totals).expect("a total of a total");
}
