//! What the payload of a ledger record means: the changes of one command, and the state after them.
//!
//! A payload is one byte with its format version and then, in postcard, the list of changes and the
//! 32 bytes of the state hash. The header of the record says who, when and through what.
//!
//! Invariant: the same entry gives the same bytes, and bytes of a format that was ever written stay
//! readable. Bytes that are not an entry are an error that says where.

use cube::Change;
use serde::Deserialize;

/// The kind of a record that holds the changes of a command.
pub const KIND_COMMAND: u16 = 1;

/// The rules by which changes are replayed now. It goes up when the same change means something
/// else; older entries are then replayed by the older rules.
pub const SEMANTICS_VERSION: u16 = 1;

/// The format in which payloads are written.
pub const PAYLOAD_VERSION: u8 = 1;

/// The number of the branch `main` in a record's header.
pub const BRANCH_MAIN: u32 = 0;

/// The payload of a record of [`KIND_COMMAND`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// What the command changed, in order.
    pub changes: Vec<Change>,
    /// The hash of the state after the changes.
    pub state_hash: [u8; 32],
}

/// Why a payload could not be written or read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EntryError {
    /// The payload has no bytes.
    #[error("the payload is empty")]
    Empty,
    /// The payload was written by a newer release.
    #[error("the payload has format {found}, this release reads up to {PAYLOAD_VERSION}")]
    Format {
        /// The format it declares.
        found: u8,
    },
    /// Something that is not a change.
    #[error("{part} at byte {offset_bytes} of the payload cannot be read: {source}")]
    Malformed {
        /// Which part: `change 3 of 7`.
        part: String,
        /// Where the part begins.
        offset_bytes: usize,
        /// What is wrong with it.
        source: postcard::Error,
    },
    /// Bytes behind the end.
    #[error("{count} bytes behind the end of the payload")]
    BehindEnd {
        /// How many.
        count: usize,
    },
    /// An entry that has no encoding.
    #[error("the changes cannot be encoded: {0}")]
    Encode(postcard::Error),
}

impl Entry {
    /// The payload.
    pub fn encode(&self) -> Result<Vec<u8>, EntryError> {
        Self::encode_parts(&self.changes, &self.state_hash)
    }

    /// The payload of an entry that was not put together: changes may be large.
    pub fn encode_parts(changes: &[Change], state_hash: &[u8; 32]) -> Result<Vec<u8>, EntryError> {
        let parts = (changes, state_hash);
        postcard::to_extend(&parts, vec![PAYLOAD_VERSION]).map_err(EntryError::Encode)
    }

    /// Reads a payload; all of its bytes have to belong to the entry.
    pub fn decode(payload: &[u8]) -> Result<Self, EntryError> {
        let (&version, rest) = payload.split_first().ok_or(EntryError::Empty)?;
        if version != PAYLOAD_VERSION {
            return Err(EntryError::Format { found: version });
        }
        let mut reader = Reader { total_bytes: payload.len(), rest };
        let count: u64 = reader.take("the number of changes")?;
        // Every change takes at least one byte, so a count beyond that is found out by reading.
        let mut changes = Vec::with_capacity(reader.rest.len().min(1024).min(count as usize));
        for number in 1..=count {
            changes.push(reader.take(&format!("change {number} of {count}"))?);
        }
        let state_hash = reader.take("the state hash")?;
        match reader.rest.len() {
            0 => Ok(Self { changes, state_hash }),
            count => Err(EntryError::BehindEnd { count }),
        }
    }
}

/// The rest of a payload.
struct Reader<'a> {
    total_bytes: usize,
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    fn take<T: Deserialize<'a>>(&mut self, part: &str) -> Result<T, EntryError> {
        let offset_bytes = self.total_bytes - self.rest.len();
        let (value, rest) = postcard::take_from_bytes(self.rest).map_err(|source| {
            EntryError::Malformed { part: part.to_owned(), offset_bytes, source }
        })?;
        self.rest = rest;
        Ok(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cube::change::{MemberWrite, MembersWrite, RowsAction, RowsWrite};
    use cube::model::{CubeDef, CubeKind, KeyDef, MeasureDef, ModelChange};
    use cube::value::KeyPart;
    use cube::{AttributeId, CubeId, DimensionId, HierarchyId, KeyType, LevelId, MeasureId};
    use cube::{MemberId, Scalar, ValueType};

    fn example() -> Entry {
        let measure = MeasureDef {
            name: "amount".into(),
            value_type: ValueType::Decimal { precision: 12, scale: 2 },
            consolidation: Default::default(),
            rounding: Default::default(),
            description: String::new(),
            time: None,
        };
        let cube = CubeDef {
            name: "deals".into(),
            kind: CubeKind::Records,
            description: "Deals".into(),
            dimensions: vec!["rep".into()],
            key: vec![KeyDef { name: "deal".into(), key_type: KeyType::Integer }],
            measures: vec![measure],
        };
        let member = MemberWrite {
            key: "ana".into(),
            name: Some("Ana".into()),
            level: Some(LevelId(0)),
            parents: vec![(HierarchyId(0), Some("north".into()))],
            attributes: vec![(AttributeId(1), Some(Scalar::Text("x".into())))],
        };
        let rows = RowsWrite {
            cube: CubeId(0),
            action: RowsAction::Set,
            measures: vec![MeasureId(0)],
            keys: vec![KeyPart::Integer(-1)],
            coordinates: vec![MemberId(300)],
            values: vec![Some(12_345)],
        };
        let members = MembersWrite {
            dimension: DimensionId(0),
            first_new: MemberId(3),
            members: vec![member],
        };
        Entry {
            changes: vec![
                Change::Model(ModelChange::AddCube(cube)),
                Change::Members(members),
                Change::Rows(rows),
            ],
            state_hash: [7; 32],
        }
    }

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// Checked in: bytes that were once written are read for ever.
    const GOLDEN: &str = concat!(
        "01030003056465616c7301054465616c73010372657001046465616c020106616d6f756e740d6465",
        "63696d616c2831322c3229000000000100030103616e610103416e610100010001056e6f72746801",
        "0101010178020000010001000101ac020101f2c00107070707070707070707070707070707070707",
        "07070707070707070707070707",
    );

    #[test]
    fn the_bytes_of_an_entry_are_fixed() {
        let bytes = example().encode().unwrap();
        assert_eq!(hex(&bytes), GOLDEN);
        assert_eq!(Entry::decode(&bytes).unwrap(), example());
    }

    #[test]
    fn what_is_not_an_entry_is_an_error_that_says_where() {
        let bytes = example().encode().unwrap();
        assert_eq!(Entry::decode(&[]), Err(EntryError::Empty));
        assert_eq!(Entry::decode(&[9, 0]), Err(EntryError::Format { found: 9 }));
        for length in 1..bytes.len() {
            assert!(matches!(
                Entry::decode(&bytes[..length]),
                Err(EntryError::Malformed { offset_bytes, .. }) if offset_bytes <= length
            ));
        }
        let longer = [&bytes[..], &[0]].concat();
        assert_eq!(Entry::decode(&longer), Err(EntryError::BehindEnd { count: 1 }));
        let located = Entry::decode(&bytes[..60]).unwrap_err().to_string();
        assert!(located.starts_with("change 2 of 3 at byte "), "{located}");
    }
}
