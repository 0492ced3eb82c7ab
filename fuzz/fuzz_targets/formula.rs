//! Any text as a formula of a small model: it is parsed, checked and computed. Nothing panics, and an
//! error points into the text. `cargo +nightly fuzz run formula`, or without cargo-fuzz, in `fuzz/`:
//! `RUSTFLAGS="-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table" cargo +nightly build --release --target x86_64-unknown-linux-gnu`.

#![no_main]

#[path = "../../calc/tests/kept/dice.rs"]
#[allow(dead_code)]
mod dice;
#[path = "../../calc/tests/kept/model.rs"]
#[allow(dead_code)]
mod model;
#[path = "../../calc/tests/kept/recipe.rs"]
#[allow(dead_code)]
mod recipe;
#[path = "../../calc/tests/kept/world.rs"]
#[allow(dead_code)]
mod world;

use std::sync::OnceLock;

use calc::CalcError;
use libfuzzer_sys::fuzz_target;
use model::Choice;
use world::{World, set_formula};

/// A model with a few values, made from fixed bytes.
fn world() -> &'static World {
    static WORLD: OnceLock<World> = OnceLock::new();
    WORLD.get_or_init(|| {
        let choice = Choice(7);
        let mut world = World::new(choice, model::definitions(choice));
        for seed in 0..24u8 {
            let mut step: Vec<u8> = (0..40u8).map(|at| seed.wrapping_mul(31) ^ at.wrapping_mul(97)).collect();
            step[0] = if seed % 3 == 0 { 8 } else { 0 };
            if let Some(change) = world.change(&step) {
                let _ = world.apply(&change);
            }
        }
        world
    })
}

fuzz_target!(|data: &[u8]| {
    let Some((first, rest)) = data.split_first() else { return };
    let Ok(text) = std::str::from_utf8(rest) else { return };
    let (_, target, _) = recipe::TARGETS[usize::from(*first) % recipe::TARGETS.len()];
    if let Err(error) = world().revision.apply(&[set_formula(target, text)])
        && let CalcError::Formula { text, span, .. } = &error
    {
        assert!(text.get(span.start..span.end).is_some());
        let _ = error.detail();
    }
});
