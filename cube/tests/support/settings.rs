//! How long property tests run, and where the seeds of failures are kept.

use proptest::test_runner::{Config, FileFailurePersistence};

/// As many cases, or as many as the variable PROPTEST_CASES asks for.
pub fn cases(count: u32, regressions: &'static str) -> Config {
    let asked = std::env::var("PROPTEST_CASES").ok().and_then(|text| text.parse().ok());
    Config {
        cases: asked.unwrap_or(count),
        max_shrink_iters: 600,
        failure_persistence: Some(Box::new(FileFailurePersistence::Direct(regressions))),
        ..Config::default()
    }
}
