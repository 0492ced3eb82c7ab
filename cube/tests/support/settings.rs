//! How long property tests run, and where the seeds of failures are kept.

use proptest::test_runner::{Config, FileFailurePersistence, RngSeed};

/// What every run without a wish draws its cases from, so that a run can be repeated.
const SEED: u64 = 7;

/// As many cases, always the same ones; or as many new ones as the variable PROPTEST_CASES asks for.
pub fn cases(count: u32, regressions: &'static str) -> Config {
    let asked = std::env::var("PROPTEST_CASES").ok().and_then(|text| text.parse().ok());
    Config {
        cases: asked.unwrap_or(count),
        rng_seed: if asked.is_some() { RngSeed::Random } else { RngSeed::Fixed(SEED) },
        max_shrink_iters: 600,
        failure_persistence: Some(Box::new(FileFailurePersistence::Direct(regressions))),
        ..Config::default()
    }
}
