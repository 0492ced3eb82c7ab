//! What the payload of a ledger record means: the changes of one command and the state after them,
//! or the making and dropping of a branch.
//!
//! A payload is one byte with its format version and then its parts in postcard. The header of the
//! record says who, when, through what and on which branch.
//!
//! Invariant: the same entry gives the same bytes, and bytes of a format that was ever written stay
//! readable. Bytes that are not an entry are an error that says where.

mod rows;

use cube::Change;
use serde::{Deserialize, Serialize};

/// The kind of a record that holds the changes of a command.
pub const KIND_COMMAND: u16 = 1;

/// The kind of a record that makes the branch of its header.
pub const KIND_BRANCH_CREATED: u16 = 2;

/// The kind of a record that drops the branch of its header.
pub const KIND_BRANCH_DROPPED: u16 = 3;

/// The rules by which changes are replayed now. It goes up when the same change means something
/// else; older entries are then replayed by the older rules. Changes of version 1 mean what those of
/// version 2 do, but their state hash was made of whole names.
pub const SEMANTICS_VERSION: u16 = 2;

/// The format in which payloads of commands are written. Version 1 had no reason.
pub const PAYLOAD_VERSION: u8 = 2;

/// The format in which payloads of branch records are written.
pub const BRANCH_PAYLOAD_VERSION: u8 = 1;

/// The number of the branch `main` in a record's header.
pub const BRANCH_MAIN: u32 = 0;

/// The payload of a record of [`KIND_COMMAND`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// What the command changed, in order.
    pub changes: Vec<Change>,
    /// The hash of the branch's state after the changes.
    pub state_hash: [u8; 32],
    /// Why, in the author's words; empty where he gave none.
    pub reason: String,
}

/// The payload of a record of [`KIND_BRANCH_CREATED`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BranchCreated {
    /// The name.
    pub name: String,
    /// The number of the branch whose head it begins with.
    pub base: u32,
    /// The last entry in that head.
    pub base_sequence: u64,
    /// The hash of its state, which is that head's.
    pub state_hash: [u8; 32],
    /// Why, in the author's words.
    pub reason: String,
}

/// The payload of a record of [`KIND_BRANCH_DROPPED`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BranchDropped {
    /// The hash of the state that went away.
    pub state_hash: [u8; 32],
    /// Why, in the author's words; empty where he gave none.
    pub reason: String,
}

/// Why a payload could not be written or read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EntryError {
    /// The payload has no bytes.
    #[error("the payload is empty")]
    Empty,
    /// The payload was written by a newer release.
    #[error("the payload has format {found}, this release reads up to {known}")]
    Format {
        /// The format it declares.
        found: u8,
        /// The newest format that this release reads.
        known: u8,
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
        Self::encode_parts(&self.changes, &self.state_hash, &self.reason)
    }

    /// The payload of an entry that was not put together: changes may be large.
    pub fn encode_parts(
        changes: &[Change],
        state_hash: &[u8; 32],
        reason: &str,
    ) -> Result<Vec<u8>, EntryError> {
        let mut payload = encode(PAYLOAD_VERSION, &changes.len())?;
        for change in changes {
            payload = match change {
                Change::Rows(write) if rows::are_many(write) => rows::append(write, payload),
                _ => postcard::to_extend(change, payload),
            }
            .map_err(EntryError::Encode)?;
        }
        postcard::to_extend(&(state_hash, reason), payload).map_err(EntryError::Encode)
    }

    /// Reads a payload; all of its bytes have to belong to the entry.
    pub fn decode(payload: &[u8]) -> Result<Self, EntryError> {
        let (version, mut reader) = Reader::new(payload, PAYLOAD_VERSION)?;
        let count: u64 = reader.take("the number of changes")?;
        // Every change takes at least one byte, so a count beyond that is found out by reading.
        let mut changes = Vec::with_capacity(reader.rest.len().min(1024).min(count as usize));
        for number in 1..=count {
            changes.push(reader.take(&format!("change {number} of {count}"))?);
        }
        let state_hash = reader.take("the state hash")?;
        let reason = if version == 1 { String::new() } else { reader.take("the reason")? };
        reader.end(Self { changes, state_hash, reason })
    }
}

impl BranchCreated {
    /// The payload.
    pub fn encode(&self) -> Result<Vec<u8>, EntryError> {
        encode(BRANCH_PAYLOAD_VERSION, self)
    }

    /// Reads a payload; all of its bytes have to belong to it.
    pub fn decode(payload: &[u8]) -> Result<Self, EntryError> {
        let (_, mut reader) = Reader::new(payload, BRANCH_PAYLOAD_VERSION)?;
        let created = reader.take("the branch")?;
        reader.end(created)
    }
}

impl BranchDropped {
    /// The payload.
    pub fn encode(&self) -> Result<Vec<u8>, EntryError> {
        encode(BRANCH_PAYLOAD_VERSION, self)
    }

    /// Reads a payload; all of its bytes have to belong to it.
    pub fn decode(payload: &[u8]) -> Result<Self, EntryError> {
        let (_, mut reader) = Reader::new(payload, BRANCH_PAYLOAD_VERSION)?;
        let dropped = reader.take("the branch")?;
        reader.end(dropped)
    }
}

fn encode(version: u8, parts: &impl Serialize) -> Result<Vec<u8>, EntryError> {
    postcard::to_extend(parts, vec![version]).map_err(EntryError::Encode)
}

/// The rest of a payload.
struct Reader<'a> {
    total_bytes: usize,
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// The version of a payload, and what comes behind it.
    fn new(payload: &'a [u8], known: u8) -> Result<(u8, Self), EntryError> {
        let (&version, rest) = payload.split_first().ok_or(EntryError::Empty)?;
        if version == 0 || version > known {
            return Err(EntryError::Format { found: version, known });
        }
        Ok((version, Self { total_bytes: payload.len(), rest }))
    }

    /// What was read, if nothing is left.
    fn end<T>(self, read: T) -> Result<T, EntryError> {
        match self.rest.len() {
            0 => Ok(read),
            count => Err(EntryError::BehindEnd { count }),
        }
    }

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
    use cube::change::{
        DatedValue, DatedWrite, MemberWrite, MembersWrite, RowsAction, RowsWrite, SourceNote,
    };
    use cube::model::{
        AssertionDef, AttributeDef, CubeDef, CubeKind, HierarchyDef, HierarchyKind, KeyDef,
        LevelDef, MeasureDef, ModelChange,
    };
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
            values: vec![Some(12_345)].into(),
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
            reason: "as agreed".into(),
        }
    }

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// Checked in: bytes that were once written are read for ever. This is version 1.
    const GOLDEN_1: &str = concat!(
        "01030003056465616c7301054465616c73010372657001046465616c020106616d6f756e740d6465",
        "63696d616c2831322c3229000000000100030103616e610103416e610100010001056e6f72746801",
        "0101010178020000010001000101ac020101f2c00107070707070707070707070707070707070707",
        "07070707070707070707070707",
    );

    fn bytes(hex: &str) -> Vec<u8> {
        let byte = |at: usize| u8::from_str_radix(&hex[at..at + 2], 16).unwrap();
        (0..hex.len()).step_by(2).map(byte).collect()
    }

    #[test]
    fn the_bytes_of_an_entry_are_fixed() {
        let written = example().encode().unwrap();
        let reason = "09617320616772656564";
        assert_eq!(hex(&written), format!("02{}{reason}", &GOLDEN_1[2..]));
        assert_eq!(Entry::decode(&written).unwrap(), example());
    }

    #[test]
    fn values_are_written_as_a_list_of_optional_integers() {
        #[derive(Debug, PartialEq, Serialize, Deserialize)]
        struct Rows {
            cube: CubeId,
            action: RowsAction,
            measures: Vec<MeasureId>,
            keys: Vec<KeyPart>,
            coordinates: Vec<MemberId>,
            values: Vec<Option<i64>>,
        }
        let some = |n: i64| Some(n * 1_000_003).filter(|_| n % 5 > 0);
        let full: Vec<Option<i64>> = [i64::MIN, -1, 0, 1, i64::MAX].map(Some).to_vec();
        let mixed: Vec<Option<i64>> = (0..200).map(some).collect();
        for values in [Vec::new(), full, vec![None; 130], mixed] {
            let (cube, action) = (CubeId(3), RowsAction::Set);
            let (measures, keys) = (vec![MeasureId(0), MeasureId(7)], vec![KeyPart::Integer(-4)]);
            let coordinates = vec![MemberId(300), MemberId(0)];
            let write = RowsWrite {
                cube,
                action,
                measures: measures.clone(),
                keys: keys.clone(),
                coordinates: coordinates.clone(),
                values: values.clone().into(),
            };
            let rows = Rows { cube, action, measures, keys, coordinates, values };
            let bytes = postcard::to_stdvec(&rows).unwrap();
            assert_eq!(postcard::to_stdvec(&write).unwrap(), bytes);
            assert_eq!(postcard::from_bytes::<RowsWrite>(&bytes).unwrap(), write);
            assert_eq!(postcard::from_bytes::<Rows>(&bytes).unwrap(), rows);
        }
    }

    #[test]
    fn version_1_is_read_without_a_reason() {
        let expected = Entry { reason: String::new(), ..example() };
        assert_eq!(Entry::decode(&bytes(GOLDEN_1)).unwrap(), expected);
    }

    #[test]
    fn the_bytes_of_branch_records_are_fixed() {
        let created = BranchCreated {
            name: "whatif".into(),
            base: 0,
            base_sequence: 300,
            state_hash: [7; 32],
            reason: "why".into(),
        };
        let written = created.encode().unwrap();
        let expected = format!("010677686174696600ac02{}03776879", "07".repeat(32));
        assert_eq!(hex(&written), expected);
        assert_eq!(BranchCreated::decode(&written).unwrap(), created);
        let dropped = BranchDropped { state_hash: [7; 32], reason: "done".into() };
        let written = dropped.encode().unwrap();
        assert_eq!(hex(&written), format!("01{}04646f6e65", "07".repeat(32)));
        assert_eq!(BranchDropped::decode(&written).unwrap(), dropped);
        let newer = Err(EntryError::Format { found: 2, known: 1 });
        assert_eq!(BranchDropped::decode(&[2]), newer);
    }

    #[test]
    fn an_attribute_is_three_texts() {
        let check = |attribute: AttributeDef, type_text: &str| {
            let dimension = "rep".to_string();
            let change = Change::Model(ModelChange::AddAttribute { dimension, attribute });
            let expected = (0u8, 2u8, "rep", ("boss", type_text, "who leads"));
            let bytes = postcard::to_extend(&change, Vec::new()).unwrap();
            assert_eq!(bytes, postcard::to_extend(&expected, Vec::new()).unwrap());
            assert_eq!(postcard::from_bytes::<Change>(&bytes).unwrap(), change);
        };
        let text = AttributeDef {
            description: "who leads".into(),
            ..AttributeDef::new("boss", ValueType::Text)
        };
        check(text.clone(), "text");
        check(AttributeDef { member_of: Some("rep".into()), ..text }, "member of rep");
    }

    #[test]
    fn a_dated_value_is_a_member_a_day_and_a_value() {
        let value = |value| DatedValue { member: "ana".into(), valid_from: -2, value };
        let write = DatedWrite {
            dimension: DimensionId(1),
            attribute: AttributeId(2),
            values: vec![value(Some(Scalar::Text("eva".into()))), value(None)],
        };
        let change = Change::Dated(write);
        let bytes = postcard::to_extend(&change, Vec::new()).unwrap();
        assert_eq!(hex(&bytes), "0301020203616e61030101036576610".to_owned() + "3616e610300");
        assert_eq!(postcard::from_bytes::<Change>(&bytes).unwrap(), change);
    }

    #[test]
    fn a_source_note_is_a_change_a_file_and_runs_of_rows() {
        let runs = SourceNote::runs_of([2, 3, 300]);
        let note = SourceNote { change: 0, file: "a.csv".into(), digest: [7; 32], runs };
        let change = Change::Source(note);
        let bytes = postcard::to_extend(&change, Vec::new()).unwrap();
        let expected = format!("040005612e637376{}02000202ac02", "07".repeat(32));
        assert_eq!(hex(&bytes), expected);
        assert_eq!(postcard::from_bytes::<Change>(&bytes).unwrap(), change);
    }

    #[test]
    fn a_table_of_texts_is_a_list() {
        let change = Change::Texts(vec!["won".into(), "".into(), "é".into()]);
        let bytes = postcard::to_extend(&change, Vec::new()).unwrap();
        assert_eq!(hex(&bytes), "050303776f6e0002c3a9");
        assert_eq!(postcard::from_bytes::<Change>(&bytes).unwrap(), change);
    }

    #[test]
    fn an_assertion_is_a_file_and_seven_fields() {
        let assertion = AssertionDef {
            name: "a".into(),
            description: String::new(),
            sql: "s".into(),
            equals: Some("1".into()),
            equals_blank: false,
            tolerance: None,
            needs: vec!["c".into()],
        };
        let set = ModelChange::SetAssertion { file: "t".into(), assertion };
        let bytes = postcard::to_extend(&Change::Model(set), Vec::new()).unwrap();
        assert_eq!(hex(&bytes), "0007017401610001730101310000010163");
        let remove = ModelChange::RemoveAssertion { name: "a".into() };
        let bytes = postcard::to_extend(&Change::Model(remove), Vec::new()).unwrap();
        assert_eq!(hex(&bytes), "00080161");
    }

    #[test]
    fn a_unit_is_a_cube_a_measure_and_a_text() {
        let (cube, measure, unit) = ("c".into(), "m".into(), "EUR".into());
        let set = Change::Model(ModelChange::SetUnit { cube, measure, unit });
        let bytes = postcard::to_extend(&set, Vec::new()).unwrap();
        assert_eq!(hex(&bytes), "00090163016d03455552");
        assert_eq!(postcard::from_bytes::<Change>(&bytes).unwrap(), set);
    }

    #[test]
    fn hierarchies_are_a_dimension_its_levels_and_its_hierarchies() {
        let levels = vec![LevelDef { name: "l".into(), key_type: KeyType::Text }];
        let hierarchies = vec![HierarchyDef {
            name: "h".into(),
            kind: HierarchyKind::Levels,
            levels: vec!["l".into()],
            weight: None,
            same_as: None,
        }];
        let dimension = "d".to_string();
        let set = Change::Model(ModelChange::SetHierarchies { dimension, levels, hierarchies });
        let bytes = postcard::to_extend(&set, Vec::new()).unwrap();
        assert_eq!(hex(&bytes), "000a016401016c00010168000101".to_owned() + "6c0000");
        assert_eq!(postcard::from_bytes::<Change>(&bytes).unwrap(), set);
    }

    #[test]
    fn what_is_not_an_entry_is_an_error_that_says_where() {
        let bytes = example().encode().unwrap();
        assert_eq!(Entry::decode(&[]), Err(EntryError::Empty));
        assert_eq!(Entry::decode(&[9, 0]), Err(EntryError::Format { found: 9, known: 2 }));
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
