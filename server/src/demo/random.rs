//! Deterministic random numbers for the demo.
//!
//! SplitMix64 (Steele, Lea, Flood: Fast Splittable Pseudorandom Number Generators, OOPSLA 2014):
//! a counter and a mixing function. The same seed gives the same company on every machine.

/// A stream of numbers.
#[derive(Debug, Clone)]
pub(super) struct Random {
    state: u64,
}

impl Random {
    /// The stream of a seed.
    pub fn new(seed: u64) -> Self {
        Self { state: seed }
    }

    fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number from `low` to `high`, both included.
    pub fn between(&mut self, low: i64, high: i64) -> i64 {
        let count = u128::from(high.abs_diff(low)) + 1;
        let drawn = (u128::from(self.next()) * count) >> 64;
        low + i64::try_from(drawn).unwrap_or(0)
    }

    /// A position drawn by weights, given as running totals.
    pub fn weighted(&mut self, running: &[u64]) -> usize {
        let total = running.last().copied().unwrap_or(0);
        let drawn = (u128::from(self.next()) * u128::from(total)) >> 64;
        running.partition_point(|&limit| u128::from(limit) <= drawn)
    }
}

/// Running totals of weights, for [`Random::weighted`].
pub(super) fn running(weights: impl Iterator<Item = u64>) -> Vec<u64> {
    let mut total = 0;
    let add = |weight| {
        total += weight;
        total
    };
    weights.map(add).collect()
}

#[cfg(test)]
mod tests {
    use super::{Random, running};

    #[test]
    fn the_stream_is_that_of_the_reference_implementation() {
        let mut random = Random::new(1_234_567);
        let first: Vec<u64> = (0..3).map(|_| random.next()).collect();
        assert_eq!(
            first,
            [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423]
        );
    }

    #[test]
    fn draws_keep_their_bounds() {
        let mut random = Random::new(1);
        let limits = running([0, 3, 0, 1].into_iter());
        for _ in 0..1_000 {
            assert!((-2..=5).contains(&random.between(-2, 5)));
            assert!([1, 3].contains(&random.weighted(&limits)));
        }
    }
}
