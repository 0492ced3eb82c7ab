//! A tiny seeded generator (SplitMix64, Steele, Lea and Flood 2014) for simulations.
//!
//! Invariant: the same seed gives the same numbers on every machine and in every release, so a
//! failure is replayed by its seed. Never used for anything secret.

#[derive(Debug, Clone)]
pub(crate) struct Generator(u64);

impl Generator {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number in `0..=max`.
    pub(crate) fn up_to(&mut self, max: u64) -> u64 {
        match max.checked_add(1) {
            Some(count) => self.next() % count,
            None => self.next(),
        }
    }

    /// An index below `max_count`, which must not be zero.
    pub(crate) fn index(&mut self, max_count: usize) -> usize {
        assert!(max_count > 0, "an index needs something to point at");
        (self.next() % max_count as u64) as usize
    }

    /// True once in `rarity` times on average.
    pub(crate) fn once_in(&mut self, rarity: u64) -> bool {
        self.next().is_multiple_of(rarity)
    }

    pub(crate) fn bytes(&mut self, length: usize) -> Vec<u8> {
        std::iter::repeat_with(|| self.next() as u8).take(length).collect()
    }
}
