//! SHA-256 of many messages side by side: each lane of a wide register works on a message of its own.
//!
//! Where the processor has wide registers this is faster than its own instructions for one message.

use multiversion::multiversion;

/// Bytes of a block.
pub(super) const BLOCK_BYTES: usize = 64;
/// Messages that are worked on together.
const LANES: usize = 16;
/// Fewer messages than this leave too many lanes idle.
const MESSAGES_MIN: usize = 2 * LANES;

/// What every hash begins with.
const INITIAL: [u32; 8] = [
    0x6a09_e667,
    0xbb67_ae85,
    0x3c6e_f372,
    0xa54f_f53a,
    0x510e_527f,
    0x9b05_688c,
    0x1f83_d9ab,
    0x5be0_cd19,
];

const ROUND_CONSTANTS: [u32; 64] = [
    0x428a_2f98,
    0x7137_4491,
    0xb5c0_fbcf,
    0xe9b5_dba5,
    0x3956_c25b,
    0x59f1_11f1,
    0x923f_82a4,
    0xab1c_5ed5,
    0xd807_aa98,
    0x1283_5b01,
    0x2431_85be,
    0x550c_7dc3,
    0x72be_5d74,
    0x80de_b1fe,
    0x9bdc_06a7,
    0xc19b_f174,
    0xe49b_69c1,
    0xefbe_4786,
    0x0fc1_9dc6,
    0x240c_a1cc,
    0x2de9_2c6f,
    0x4a74_84aa,
    0x5cb0_a9dc,
    0x76f9_88da,
    0x983e_5152,
    0xa831_c66d,
    0xb003_27c8,
    0xbf59_7fc7,
    0xc6e0_0bf3,
    0xd5a7_9147,
    0x06ca_6351,
    0x1429_2967,
    0x27b7_0a85,
    0x2e1b_2138,
    0x4d2c_6dfc,
    0x5338_0d13,
    0x650a_7354,
    0x766a_0abb,
    0x81c2_c92e,
    0x9272_2c85,
    0xa2bf_e8a1,
    0xa81a_664b,
    0xc24b_8b70,
    0xc76c_51a3,
    0xd192_e819,
    0xd699_0624,
    0xf40e_3585,
    0x106a_a070,
    0x19a4_c116,
    0x1e37_6c08,
    0x2748_774c,
    0x34b0_bcb5,
    0x391c_0cb3,
    0x4ed8_aa4a,
    0x5b9c_ca4f,
    0x682e_6ff3,
    0x748f_82ee,
    0x78a5_636f,
    0x84c8_7814,
    0x8cc7_0208,
    0x90be_fffa,
    0xa450_6ceb,
    0xbef9_a3f7,
    0xc671_78f2,
];

/// Whether lanes are faster than one message after the other.
pub(super) fn are_faster(messages: usize) -> bool {
    #[cfg(target_arch = "x86_64")]
    let has_wide_registers = std::is_x86_feature_detected!("avx512f")
        || std::is_x86_feature_detected!("avx2") && !std::is_x86_feature_detected!("sha");
    #[cfg(not(target_arch = "x86_64"))]
    let has_wide_registers = false;
    messages >= MESSAGES_MIN && has_wide_registers
}

/// What a lane works on.
#[derive(Clone, Copy, Default)]
struct Lane {
    /// The next block of its message.
    next: usize,
    /// Behind its last block; where there is none left, the lane is idle.
    end: usize,
}

/// Calls a function with the hash of each message, in any order. Messages lie one behind the other in whole
/// blocks, and each ends before a block.
pub(super) fn digests(
    blocks: &[[u8; BLOCK_BYTES]],
    ends: &[usize],
    mut found: impl FnMut([u32; 8]),
) {
    let starts = std::iter::once(0).chain(ends.iter().copied());
    let mut waiting = starts.zip(ends.iter().copied());
    let mut states = [[0; LANES]; 8];
    let mut words = [[0; LANES]; 16];
    let mut lanes = [Lane::default(); LANES];
    loop {
        let mut is_idle = true;
        for (at, lane) in lanes.iter_mut().enumerate() {
            if lane.next == lane.end {
                let Some((next, end)) = waiting.next() else { continue };
                *lane = Lane { next, end };
                states.iter_mut().zip(INITIAL).for_each(|(state, word)| state[at] = word);
            }
            let (bytes, _) = blocks[lane.next].as_chunks();
            let words = words.iter_mut().zip(bytes);
            words.for_each(|(word, bytes)| word[at] = u32::from_be_bytes(*bytes));
            is_idle = false;
        }
        if is_idle {
            return;
        }
        compress(&mut states, &words);
        for (at, lane) in lanes.iter_mut().enumerate().filter(|(_, lane)| lane.next < lane.end) {
            lane.next += 1;
            if lane.next == lane.end {
                found(states.map(|state| state[at]));
            }
        }
    }
}

/// One round with a word of the message.
macro_rules! round {
    ($a:ident $b:ident $c:ident $d:ident $e:ident $f:ident $g:ident $h:ident, $word:expr, $at:expr) => {
        let sum = $e.rotate_right(6) ^ $e.rotate_right(11) ^ $e.rotate_right(25);
        let choice = $g ^ ($e & ($f ^ $g));
        let first = $h
            .wrapping_add(sum)
            .wrapping_add(choice)
            .wrapping_add(ROUND_CONSTANTS[$at])
            .wrapping_add($word);
        let sum = $a.rotate_right(2) ^ $a.rotate_right(13) ^ $a.rotate_right(22);
        let majority = ($a & $b) | ($c & ($a | $b));
        $d = $d.wrapping_add(first);
        $h = first.wrapping_add(sum).wrapping_add(majority);
    };
}

/// Eight rounds from one on, after which the words are where they were.
macro_rules! eight_rounds {
    ($a:ident $b:ident $c:ident $d:ident $e:ident $f:ident $g:ident $h:ident, $words:ident, $from:expr) => {
        round!($a $b $c $d $e $f $g $h, $words[$from % 16], $from);
        round!($h $a $b $c $d $e $f $g, $words[($from + 1) % 16], $from + 1);
        round!($g $h $a $b $c $d $e $f, $words[($from + 2) % 16], $from + 2);
        round!($f $g $h $a $b $c $d $e, $words[($from + 3) % 16], $from + 3);
        round!($e $f $g $h $a $b $c $d, $words[($from + 4) % 16], $from + 4);
        round!($d $e $f $g $h $a $b $c, $words[($from + 5) % 16], $from + 5);
        round!($c $d $e $f $g $h $a $b, $words[($from + 6) % 16], $from + 6);
        round!($b $c $d $e $f $g $h $a, $words[($from + 7) % 16], $from + 7);
    };
}

/// The words of the message for the next sixteen rounds, in place.
macro_rules! next_words {
    ($words:ident, $($at:literal)*) => {$(
        let (before, later) = ($words[($at + 1) % 16], $words[($at + 14) % 16]);
        let low = before.rotate_right(7) ^ before.rotate_right(18) ^ (before >> 3);
        let high = later.rotate_right(17) ^ later.rotate_right(19) ^ (later >> 10);
        $words[$at] =
            $words[$at].wrapping_add(low).wrapping_add($words[($at + 9) % 16]).wrapping_add(high);
    )*};
}

/// Takes a block into each lane's hash. The rounds are written out, so that the loop over lanes is the one
/// that the compiler makes wide.
#[multiversion(targets("x86_64+avx512f+avx512bw+avx512vl", "x86_64+avx2"))]
fn compress(states: &mut [[u32; LANES]; 8], words: &[[u32; LANES]; 16]) {
    for lane in 0..LANES {
        let mut w: [u32; 16] = std::array::from_fn(|at| words[at][lane]);
        let [mut a, mut b, mut c, mut d, mut e, mut f, mut g, mut h]: [u32; 8] =
            std::array::from_fn(|at| states[at][lane]);
        eight_rounds!(a b c d e f g h, w, 0);
        eight_rounds!(a b c d e f g h, w, 8);
        next_words!(w, 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15);
        eight_rounds!(a b c d e f g h, w, 16);
        eight_rounds!(a b c d e f g h, w, 24);
        next_words!(w, 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15);
        eight_rounds!(a b c d e f g h, w, 32);
        eight_rounds!(a b c d e f g h, w, 40);
        next_words!(w, 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15);
        eight_rounds!(a b c d e f g h, w, 48);
        eight_rounds!(a b c d e f g h, w, 56);
        for (state, word) in states.iter_mut().zip([a, b, c, d, e, f, g, h]) {
            state[lane] = state[lane].wrapping_add(word);
        }
    }
}
