//! Where fields end: commas and ends of lines in many bytes at once, compiled for several kinds of CPU of
//! which the one that runs is found out at the first call.

use cube::flags::COUNT as BLOCK_BYTES;
use cube::packed_flags;
use multiversion::multiversion;

/// Appends the places of all commas and ends of lines; there are no more bytes than places can say.
#[multiversion(targets("x86_64+avx512f+avx512bw+avx512vl+bmi1+bmi2", "x86_64+avx2+bmi1+bmi2"))]
pub(super) fn append(bytes: &[u8], places: &mut Vec<u32>) {
    let is_separator = |byte: u8| byte == b',' || byte == b'\n';
    let (blocks, rest) = bytes.as_chunks::<BLOCK_BYTES>();
    for (first, block) in (0..).step_by(BLOCK_BYTES).zip(blocks) {
        let mut flags = [0; BLOCK_BYTES];
        for (flag, &byte) in flags.iter_mut().zip(block) {
            *flag = u8::from(is_separator(byte));
        }
        let mut word = packed_flags!(&flags);
        while word != 0 {
            places.push(first + word.trailing_zeros());
            word &= word - 1;
        }
    }
    let first = bytes.len() - rest.len();
    let behind = (first..).zip(rest).filter(|(_, byte)| is_separator(**byte));
    places.extend(behind.map(|(place, _)| place as u32));
}

#[cfg(test)]
mod tests {
    #[test]
    fn all_separators_are_found() {
        let letters = [b',', b'\n', b'a', b'\r', b'"', 0xff, 0x2d, 0x8a];
        for length in [0, 1, 63, 64, 65, 128, 1_000] {
            // every letter at every place of a block
            let bytes: Vec<u8> = (0..length).map(|at| letters[(at * 7 + at / 64) % 8]).collect();
            let mut places = vec![u32::MAX];
            super::append(&bytes, &mut places);
            let expected = (0..length).filter(|&at| matches!(bytes[at], b',' | b'\n'));
            let expected: Vec<u32> =
                [u32::MAX].into_iter().chain(expected.map(|at| at as u32)).collect();
            assert_eq!(places, expected);
        }
    }
}
