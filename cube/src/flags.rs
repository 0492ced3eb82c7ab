//! Sixty-four flags as the bits of a word, by the CPU's own instruction where the caller is compiled for one.

/// Flags of a word.
pub const COUNT: usize = u64::BITS as usize;

/// Flags, each 0 or 1, as bits: the first flag is the lowest bit.
///
/// To be used within functions of [`multiversion`]: what is best is known in each of their versions.
#[macro_export]
macro_rules! packed_flags {
    ($flags:expr) => {
        ::multiversion::target::match_target! {
            "x86_64+avx512f+avx512bw" => $crate::flags::x86::packed_at_once($flags),
            "x86_64+avx2" => $crate::flags::x86::packed_in_halves($flags),
            _ => $crate::flags::packed($flags),
        }
    };
}

/// For any CPU.
#[inline(always)]
pub fn packed(flags: &[u8; COUNT]) -> u64 {
    let mut word = 0;
    for (idx, bytes) in flags.as_chunks::<8>().0.iter().enumerate() {
        // moves the lowest bit of byte i to bit i of the highest byte
        let bits = u64::from_le_bytes(*bytes).wrapping_mul(0x0102_0408_1020_4080) >> 56;
        word |= bits << (8 * idx);
    }
    word
}

/// For CPUs with wide registers.
#[cfg(target_arch = "x86_64")]
pub mod x86 {
    use std::arch::x86_64::{
        _mm256_movemask_epi8, _mm256_set_epi64x, _mm256_slli_epi16, _mm512_set_epi64,
        _mm512_test_epi8_mask,
    };

    use super::COUNT;

    /// In one register.
    ///
    /// # Safety
    /// The CPU has AVX-512 F and BW; a caller compiled for it knows that.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw")]
    pub fn packed_at_once(flags: &[u8; COUNT]) -> u64 {
        let [a, b, c, d, e, f, g, h] = words(flags);
        let flags = _mm512_set_epi64(h, g, f, e, d, c, b, a);
        _mm512_test_epi8_mask(flags, flags)
    }

    /// In two registers.
    ///
    /// # Safety
    /// The CPU has AVX2; a caller compiled for it knows that.
    #[inline]
    #[target_feature(enable = "avx2")]
    pub fn packed_in_halves(flags: &[u8; COUNT]) -> u64 {
        let [a, b, c, d, e, f, g, h] = words(flags);
        let half = |a, b, c, d| {
            // an instruction takes the highest bit of each byte
            let highest = _mm256_slli_epi16::<7>(_mm256_set_epi64x(d, c, b, a));
            u64::from(_mm256_movemask_epi8(highest).cast_unsigned())
        };
        half(a, b, c, d) | half(e, f, g, h) << u32::BITS
    }

    #[inline(always)]
    fn words(flags: &[u8; COUNT]) -> [i64; COUNT / size_of::<i64>()] {
        let (words, _) = flags.as_chunks();
        std::array::from_fn(|at| i64::from_le_bytes(words[at]))
    }
}

#[cfg(test)]
mod tests {
    use multiversion::multiversion;

    use super::COUNT;

    #[multiversion(targets("x86_64+avx512f+avx512bw", "x86_64+avx2"))]
    fn packed_here(flags: &[u8; COUNT]) -> u64 {
        packed_flags!(flags)
    }

    fn check(word: u64) {
        let flags = std::array::from_fn(|bit| (word >> bit & 1) as u8);
        assert_eq!(packed_here(&flags), word);
        assert_eq!(super::packed(&flags), word);
        #[cfg(target_arch = "x86_64")]
        if std::is_x86_feature_detected!("avx2") {
            // SAFETY: the CPU has the feature
            assert_eq!(unsafe { super::x86::packed_in_halves(&flags) }, word);
        }
    }

    #[test]
    fn each_flag_is_its_bit() {
        (0..COUNT).for_each(|bit| check(1 << bit));
        for word in [0, u64::MAX, 0x8000_0001_7fff_fffe, 0x0123_4567_89ab_cdef] {
            check(word);
        }
    }
}
