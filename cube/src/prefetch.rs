//! Asking the CPU for memory before it is read.
//!
//! A scan reads the few rows that it wants of columns far larger than the caches; waiting for one row
//! after the other takes most of its time.

/// Lets the CPU fetch the element at a place, which may be past the end.
#[inline(always)]
pub fn prefetch<T>(slice: &[T], at: usize) {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        let place = slice.as_ptr().wrapping_add(at);
        // SAFETY: a prefetch is a hint that reads nothing and never faults, whatever the address
        unsafe { _mm_prefetch::<_MM_HINT_T0>(place.cast()) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = (slice, at);
}
