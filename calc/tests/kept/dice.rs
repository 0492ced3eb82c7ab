//! Choices read from bytes: what proptest shrinks to nothing chooses the first and simplest.

/// Bytes that run out into zeros.
pub struct Dice<'a>(pub &'a [u8]);

impl Dice<'_> {
    pub fn roll(&mut self, sides: usize) -> usize {
        let Some((first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        usize::from(*first) % sides.max(1)
    }

    pub fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.roll(of.len())]
    }
}
