//! One record on disk, to the byte. This layout is final: a change means a new format version.
//!
//! All numbers are little endian. A record begins at a multiple of 8 bytes and lies within one
//! segment.
//!
//! | offset | bytes | field |
//! |---:|---:|---|
//! | 0 | 4 | magic, `PfLR` |
//! | 4 | 2 | format version, 1 |
//! | 6 | 2 | kind |
//! | 8 | 8 | sequence: 1 for the first record, without gaps |
//! | 16 | 8 | time: microseconds since 1970-01-01 00:00 UTC, signed |
//! | 24 | 4 | branch |
//! | 28 | 4 | key id: 0 when the payload is not encrypted |
//! | 32 | 2 | semantics version: the rules by which the payload is to be replayed |
//! | 34 | 2 | author length in bytes (a), at most 255 |
//! | 36 | 2 | origin length in bytes (o), at most 1024 |
//! | 38 | 2 | position in its batch: how many records before it were acknowledged together with it |
//! | 40 | 8 | payload length in bytes (p) |
//! | 48 | 8 | reserved, zero |
//! | 56 | 32 | payload hash: SHA-256 of the payload as it is on disk |
//! | 88 | 32 | previous hash: record hash of the record before; zeros for the first |
//! | 120 | a | author, UTF-8 |
//! | 120 + a | o | origin, UTF-8 |
//! | 120 + a + o | p | payload |
//! | 120 + a + o + p | 32 | record hash |
//! | | 0 to 7 | zeros, up to a multiple of 8 bytes |
//!
//! The header is everything before the payload. The record hash is SHA-256 over the byte 0x00 and
//! the header: an RFC 6962 leaf hash, so that Merkle trees over the ledger fit on top. It covers
//! the payload through its hash, hence a payload can be withheld or erased and the chain still
//! verifies.
//!
//! Invariant: every byte of a record is covered by a check, so a change of any byte is noticed.

use crate::error::{Damage, Result, StorageError};
use crate::limits::{AUTHOR_BYTES_MAX, ORIGIN_BYTES_MAX, RECORD_PAYLOAD_BYTES_MAX};
use sha2::{Digest, Sha256};
use std::fmt;

/// The version of record and segment layout that is written, and the newest that is read.
pub const FORMAT_VERSION: u16 = 1;

/// What every record begins with.
pub const MAGIC: [u8; 4] = *b"PfLR";

/// The part of the header whose offsets are fixed.
pub const FIXED_HEADER_BYTES: u64 = 120;

/// Records begin at multiples of this.
pub const ALIGNMENT_BYTES: u64 = 8;

const HASH_BYTES: u64 = 32;
const LEAF_DOMAIN: u8 = 0x00;

/// The number of a record: 1 for the first, without gaps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Sequence(pub u64);

/// A SHA-256 hash, shown in hexadecimal.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hash(pub [u8; 32]);

/// The key a payload is encrypted with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId(pub u32);

/// What the caller gives to be appended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewRecord {
    /// Microseconds since 1970-01-01 00:00 UTC. The ledger does not look at it: clocks may step
    /// back.
    pub time_us: i64,
    /// The branch it belongs to.
    pub branch: u32,
    /// Which kind of payload this is.
    pub kind: u16,
    /// The key the payload is encrypted with, or [`KeyId::NONE`].
    pub key_id: KeyId,
    /// The rules by which the payload is to be replayed.
    pub semantics_version: u16,
    /// Who did it, at most [`AUTHOR_BYTES_MAX`].
    pub author: String,
    /// Through what it was done, at most [`ORIGIN_BYTES_MAX`].
    pub origin: String,
    /// Opaque here.
    pub payload: Vec<u8>,
}

/// What identifies an appended record: the hash commits to it and to all before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct RecordId {
    /// Its number.
    pub sequence: Sequence,
    /// Its record hash.
    pub hash: Hash,
}

/// A record read back and verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Number and hash.
    pub id: RecordId,
    /// The hash of the record before; [`Hash::ZERO`] for the first.
    pub previous_hash: Hash,
    /// The hash of the payload.
    pub payload_hash: Hash,
    /// How many records before it were acknowledged together with it.
    pub batch_position: u16,
    /// What was appended.
    pub content: NewRecord,
}

impl Sequence {
    /// The number of the first record.
    pub const FIRST: Self = Self(1);

    /// The number after this one.
    pub fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl fmt::Display for Sequence {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

impl Hash {
    /// Stands for "no record before".
    pub const ZERO: Self = Self([0; 32]);

    /// SHA-256 of these bytes.
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    /// SHA-256 of what a reader gives.
    ///
    /// # Errors
    /// Those of the reader.
    pub fn of_reader(mut reader: impl std::io::Read) -> std::io::Result<Self> {
        const CHUNK_BYTES: usize = 1 << 20;
        let (mut hasher, mut buffer) = (Sha256::new(), vec![0; CHUNK_BYTES]);
        loop {
            match reader.read(&mut buffer)? {
                0 => return Ok(Self(hasher.finalize().into())),
                length => hasher.update(&buffer[..length]),
            }
        }
    }

    /// SHA-256 of these bytes behind a byte that says what they are, so that hashes of different
    /// things never meet.
    pub(crate) fn of_domain(domain: u8, bytes: &[u8]) -> Self {
        Self(Sha256::new().chain_update([domain]).chain_update(bytes).finalize().into())
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(formatter, "{byte:02x}"))
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

impl KeyId {
    /// The payload is not encrypted.
    pub const NONE: Self = Self(0);
}

impl NewRecord {
    /// Refuses what is beyond a limit, before anything is written.
    pub(crate) fn check(&self) -> Result<()> {
        let parts = [
            ("author", self.author.len(), AUTHOR_BYTES_MAX),
            ("origin", self.origin.len(), ORIGIN_BYTES_MAX),
            ("payload", self.payload.len(), RECORD_PAYLOAD_BYTES_MAX),
        ];
        let too_large = parts.into_iter().find(|(_, found, limit)| *found as u64 > *limit);
        too_large.map_or(Ok(()), |(part, found, limit)| {
            Err(StorageError::TooLarge { part, unit: "bytes", found: found as u64, limit })
        })
    }

    /// How long the record will be on disk.
    pub(crate) fn encoded_bytes(&self) -> u64 {
        let header_bytes = FIXED_HEADER_BYTES + (self.author.len() + self.origin.len()) as u64;
        (header_bytes + self.payload.len() as u64 + HASH_BYTES).next_multiple_of(ALIGNMENT_BYTES)
    }
}

/// Where a record stands: what its header says beside the contents.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place {
    pub sequence: Sequence,
    pub previous_hash: Hash,
    pub batch_position: u16,
}

/// Appends the encoded record to `target`, whose length is a multiple of the alignment, and returns
/// its hash.
pub(crate) fn encode(record: &NewRecord, place: Place, target: &mut Vec<u8>) -> Hash {
    let start = target.len();
    target.extend_from_slice(&MAGIC);
    target.extend_from_slice(&FORMAT_VERSION.to_le_bytes());
    target.extend_from_slice(&record.kind.to_le_bytes());
    target.extend_from_slice(&place.sequence.0.to_le_bytes());
    target.extend_from_slice(&record.time_us.to_le_bytes());
    target.extend_from_slice(&record.branch.to_le_bytes());
    target.extend_from_slice(&record.key_id.0.to_le_bytes());
    target.extend_from_slice(&record.semantics_version.to_le_bytes());
    target.extend_from_slice(&(record.author.len() as u16).to_le_bytes());
    target.extend_from_slice(&(record.origin.len() as u16).to_le_bytes());
    target.extend_from_slice(&place.batch_position.to_le_bytes());
    target.extend_from_slice(&(record.payload.len() as u64).to_le_bytes());
    target.extend_from_slice(&[0; 8]);
    target.extend_from_slice(&Hash::of(&record.payload).0);
    target.extend_from_slice(&place.previous_hash.0);
    target.extend_from_slice(record.author.as_bytes());
    target.extend_from_slice(record.origin.as_bytes());
    let hash = Hash::of_domain(LEAF_DOMAIN, &target[start..]);
    target.extend_from_slice(&record.payload);
    target.extend_from_slice(&hash.0);
    target.resize(target.len().next_multiple_of(ALIGNMENT_BYTES as usize), 0);
    hash
}

/// The lengths that the fixed header of a record declares, checked against what can be there.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Lengths {
    author_bytes: u64,
    origin_bytes: u64,
    payload_bytes: u64,
}

impl Lengths {
    /// Reads the fixed header of a record that may take up to `available_bytes`.
    pub fn read(
        fixed: &[u8; FIXED_HEADER_BYTES as usize],
        available_bytes: u64,
    ) -> std::result::Result<Self, Damage> {
        if fixed[..4] != MAGIC {
            return Err(Damage::Magic);
        }
        let lengths = Self {
            author_bytes: u16::from_le_bytes(field(fixed, 34)).into(),
            origin_bytes: u16::from_le_bytes(field(fixed, 36)).into(),
            payload_bytes: u64::from_le_bytes(field(fixed, 40)),
        };
        let fits = lengths.payload_bytes <= available_bytes
            && lengths.record_bytes() <= available_bytes
            && lengths.author_bytes <= AUTHOR_BYTES_MAX
            && lengths.origin_bytes <= ORIGIN_BYTES_MAX;
        if fits { Ok(lengths) } else { Err(Damage::Lengths) }
    }

    /// Fixed header, author and origin.
    pub fn header_bytes(&self) -> u64 {
        FIXED_HEADER_BYTES + self.author_bytes + self.origin_bytes
    }

    /// Where the record hash is, counted from the start of the record.
    pub fn hash_offset_bytes(&self) -> u64 {
        self.header_bytes() + self.payload_bytes
    }

    /// The whole record with its padding.
    pub fn record_bytes(&self) -> u64 {
        (self.hash_offset_bytes() + HASH_BYTES).next_multiple_of(ALIGNMENT_BYTES)
    }
}

/// Whether this header was written with this record hash, given as it is on disk.
pub(crate) fn is_header_intact(header: &[u8], hash: &[u8]) -> bool {
    Hash::of_domain(LEAF_DOMAIN, header).0 == hash
}

/// What the fixed header says about where the record stands.
pub(crate) fn place(fixed: &[u8; FIXED_HEADER_BYTES as usize]) -> Place {
    Place {
        sequence: Sequence(u64::from_le_bytes(field(fixed, 8))),
        previous_hash: Hash(field(fixed, 88)),
        batch_position: u16::from_le_bytes(field(fixed, 38)),
    }
}

/// Reads a whole record and verifies all that it says about itself; its place in the chain is for
/// the caller to check.
pub(crate) fn decode(bytes: &[u8], lengths: &Lengths) -> std::result::Result<Record, Damage> {
    assert_eq!(
        bytes.len() as u64,
        lengths.record_bytes(),
        "a record is decoded from exactly its bytes"
    );
    let (header, rest) = bytes.split_at(lengths.header_bytes() as usize);
    let (payload, rest) = rest.split_at(lengths.payload_bytes as usize);
    let (hash, padding) = rest.split_at(HASH_BYTES as usize);
    if !is_header_intact(header, hash) {
        return Err(Damage::RecordHash);
    }
    let (fixed, texts) = header.split_at(FIXED_HEADER_BYTES as usize);
    let fixed: &[u8; FIXED_HEADER_BYTES as usize] = &field(fixed, 0);
    if u16::from_le_bytes(field(fixed, 4)) != FORMAT_VERSION {
        return Err(Damage::FormatVersion);
    }
    if field::<8>(fixed, 48) != [0; 8] || padding.iter().any(|byte| *byte != 0) {
        return Err(Damage::Reserved);
    }
    let payload_hash = Hash(field(fixed, 56));
    if Hash::of(payload) != payload_hash {
        return Err(Damage::PayloadHash);
    }
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_owned()).map_err(|_| Damage::Text);
    let (author, origin) = texts.split_at(lengths.author_bytes as usize);
    let Place { sequence, previous_hash, batch_position } = place(fixed);
    let content = NewRecord {
        time_us: i64::from_le_bytes(field(fixed, 16)),
        branch: u32::from_le_bytes(field(fixed, 24)),
        kind: u16::from_le_bytes(field(fixed, 6)),
        key_id: KeyId(u32::from_le_bytes(field(fixed, 28))),
        semantics_version: u16::from_le_bytes(field(fixed, 32)),
        author: text(author)?,
        origin: text(origin)?,
        payload: payload.to_owned(),
    };
    let id = RecordId { sequence, hash: Hash(field(hash, 0)) };
    Ok(Record { id, previous_hash, payload_hash, batch_position, content })
}

/// The bytes of a field, from a slice known to be long enough.
pub(crate) fn field<const LENGTH: usize>(bytes: &[u8], offset: usize) -> [u8; LENGTH] {
    let mut value = [0; LENGTH];
    value.copy_from_slice(&bytes[offset..offset + LENGTH]);
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    fn example(payload: &[u8]) -> NewRecord {
        NewRecord {
            time_us: -5,
            branch: 3,
            kind: 7,
            key_id: KeyId(9),
            semantics_version: 2,
            author: "amélie".to_owned(),
            origin: "sql".to_owned(),
            payload: payload.to_owned(),
        }
    }

    const PLACE: Place =
        Place { sequence: Sequence(42), previous_hash: Hash([8; 32]), batch_position: 1 };

    fn read(bytes: &[u8]) -> std::result::Result<Record, Damage> {
        let lengths = Lengths::read(&field(bytes, 0), bytes.len() as u64)?;
        decode(&bytes[..lengths.record_bytes() as usize], &lengths)
    }

    #[test]
    fn a_record_is_read_back_as_it_was_given() {
        for length in [0, 1, 7, 8, 9, 1000] {
            let given = example(&vec![5; length]);
            let mut bytes = Vec::new();
            let hash = encode(&given, PLACE, &mut bytes);
            assert_eq!(bytes.len() as u64, given.encoded_bytes());
            let found = read(&bytes).unwrap();
            assert_eq!(found.content, given);
            assert_eq!(found.id, RecordId { sequence: Sequence(42), hash });
            assert_eq!((found.previous_hash, found.batch_position), (Hash([8; 32]), 1));
        }
    }

    #[test]
    fn every_bit_is_covered() {
        let mut bytes = Vec::new();
        encode(&example(b"payload"), PLACE, &mut bytes);
        for bit in 0..bytes.len() * 8 {
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert!(read(&bytes).is_err(), "bit {bit}");
            bytes[bit / 8] ^= 1 << (bit % 8);
        }
    }

    #[test]
    fn the_record_hash_is_a_leaf_hash_of_the_header() {
        let mut bytes = Vec::new();
        let hash = encode(&example(b"payload"), PLACE, &mut bytes);
        let mut leaf = vec![0x00];
        leaf.extend_from_slice(&bytes[..120 + "amélie".len() + "sql".len()]);
        assert_eq!(hash, Hash::of(&leaf));
        assert_eq!(hash.to_string().len(), 64);
    }

    #[test]
    fn what_is_beyond_a_limit_is_refused() {
        let mut record = example(b"");
        record.author = "a".repeat(255);
        record.check().unwrap();
        record.author.push('a');
        let refused = record.check().unwrap_err();
        assert_eq!(refused.code(), "ledger_record_too_large");
        assert_eq!(refused.to_string(), "the author has 256 bytes, the limit is 255");
        record.author.clear();
        record.origin = "o".repeat(1025);
        assert!(record.check().is_err());
    }

    #[test]
    fn absurd_lengths_are_refused_before_they_are_used() {
        let mut bytes = Vec::new();
        encode(&example(b"payload"), PLACE, &mut bytes);
        for length in [u64::MAX, u64::MAX - 200, 1 << 40, 100_000] {
            bytes[40..48].copy_from_slice(&length.to_le_bytes());
            assert_eq!(read(&bytes), Err(Damage::Lengths));
        }
    }
}
