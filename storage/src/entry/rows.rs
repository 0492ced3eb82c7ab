//! Many rows in the same bytes as any other change, made part by part side by side.

use cube::change::{Change, RowsWrite};
use cube::value_list::ValueList;
use postcard::Result;
use rayon::prelude::*;
use serde::ser::SerializeTuple;
use serde::{Serialize, Serializer};

/// Items of a list that are written together.
const ITEMS_A_PART: usize = 1 << 17;
/// The length of an empty list, as it is written.
const EMPTY: [u8; 1] = [0];

/// Items of a list without its length.
struct Items<I>(I);

impl<T: Serialize, I: ExactSizeIterator<Item = T> + Clone> Serialize for Items<I> {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        let mut tuple = serializer.serialize_tuple(self.0.len())?;
        self.0.clone().try_for_each(|item| tuple.serialize_element(&item))?;
        tuple.end()
    }
}

/// Whether a write is worth more than one thread.
pub(super) fn are_many(write: &RowsWrite) -> bool {
    write.keys.len() + write.coordinates.len() + write.values.len() > ITEMS_A_PART
}

/// Appends a write as the change that it is: its lists come last.
pub(super) fn append(write: &RowsWrite, payload: Vec<u8>) -> Result<Vec<u8>> {
    let RowsWrite { keys, coordinates, values, .. } = write;
    let empty = RowsWrite {
        cube: write.cube,
        action: write.action,
        measures: write.measures.clone(),
        keys: Vec::new(),
        coordinates: Vec::new(),
        values: ValueList::new(),
    };
    let mut payload = postcard::to_extend(&Change::Rows(empty), payload)?;
    payload.truncate(payload.len() - 3 * EMPTY.len());
    let payload = append_list(keys.len(), payload, |part| Items(keys[part].iter()))?;
    let payload = append_list(coordinates.len(), payload, |part| Items(coordinates[part].iter()))?;
    append_list(values.len(), payload, |part| Items(part.map(|at| values.get(at))))
}

/// Appends the length of a list and its items, of which a function gives parts.
fn append_list<T: Serialize>(
    len: usize,
    payload: Vec<u8>,
    items: impl Fn(std::ops::Range<usize>) -> T + Sync,
) -> Result<Vec<u8>> {
    let mut payload = postcard::to_extend(&len, payload)?;
    let starts = (0..len).into_par_iter().step_by(ITEMS_A_PART);
    let part = |start: usize| {
        postcard::to_extend(&items(start..len.min(start + ITEMS_A_PART)), Vec::new())
    };
    let parts: Vec<Vec<u8>> = starts.map(part).collect::<Result<_>>()?;
    payload.reserve(parts.iter().map(Vec::len).sum());
    parts.iter().for_each(|part| payload.extend_from_slice(part));
    Ok(payload)
}

#[cfg(test)]
mod tests {
    use cube::change::RowsAction;
    use cube::value::KeyPart;
    use cube::{CubeId, MeasureId, MemberId};

    use super::*;

    #[test]
    fn parts_are_the_bytes_of_the_whole() {
        for (rows, action) in
            [(0, RowsAction::Set), (3, RowsAction::Remove), (70_001, RowsAction::Set)]
        {
            let key = |row: usize| match row % 3 {
                0 => KeyPart::Text(format!("deal {row}").into()),
                _ => KeyPart::Integer(row as i64 - 50),
            };
            let value = |at: usize| (!at.is_multiple_of(5)).then(|| (at as i64 - 9) << (at % 50));
            let write = RowsWrite {
                cube: CubeId(3),
                action,
                measures: vec![MeasureId(2), MeasureId(0)],
                keys: (0..rows).map(key).collect(),
                coordinates: (0..rows as u32 * 3).map(|at| MemberId(at * 77)).collect(),
                values: (0..rows * 2).map(value).collect(),
            };
            let written = append(&write, vec![7]).expect("a list");
            let whole = postcard::to_extend(&Change::Rows(write), vec![7]).expect("a list");
            assert!(written == whole, "{rows} rows");
        }
    }
}
