//! Rows of a write from the columns of a batch, as far as these hold what the cube's own columns hold: types as they
//! are, names looked up once each. What is otherwise, or refused, is left to the way row by row, which knows the
//! words for it.

use std::collections::HashMap;
use std::hash::Hash;
use std::ops::RangeInclusive;

use cube::dictionary::TextTable;
use cube::model::Cube;
use cube::number::power_of_ten;
use cube::value::KeyPart;
use cube::{CubeId, KeyType, MemberId, ValueList, ValueType, Version};
use datafusion::arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use datafusion::arrow::datatypes::{
    DataType, Date32Type, Decimal128Type, Int16Type, Int32Type, Int64Type,
};

use crate::sql::columns::{ColumnSource, key_data_type};

/// Days that a date written as `YYYY-MM-DD` may be, since 1970-01-01: from 0000-01-01 to 9999-12-31.
const DAYS: RangeInclusive<i64> = -719_528..=2_932_896;

/// A column of rows.
pub(super) enum Column {
    Key(usize, Vec<KeyPart>),
    Members(usize, Vec<MemberId>),
    Values(usize, ValueList),
}

/// The columns of a batch; none where one of them needs the way row by row.
pub(super) fn columns_of(
    version: &Version,
    id: CubeId,
    sources: &[ColumnSource],
    batch: &RecordBatch,
    texts: &mut TextTable,
) -> Option<Vec<Column>> {
    let cube = version.model.cube_def(id);
    let named = batch.columns().iter().zip(sources);
    let columns = named.filter(|(_, source)| !matches!(source, ColumnSource::Level(..)));
    let column = |(array, source): (&ArrayRef, &ColumnSource)| match *source {
        ColumnSource::Key(at) => {
            Some(Column::Key(at, key_parts(array, cube.def.key[at].key_type)?))
        }
        ColumnSource::Dimension(at) => {
            Some(Column::Members(at, members(version, id, cube, at, array)?))
        }
        ColumnSource::Measure(measure) => {
            let value_type = cube.measure_def(measure).value_type;
            Some(Column::Values(measure.idx(), values(array, value_type, texts)?))
        }
        ColumnSource::Level(..) => None,
    };
    columns.map(column).collect()
}

/// The integers of a column of keys; none where it holds texts.
fn key_integers(array: &ArrayRef) -> Option<Vec<i64>> {
    Some(match array.data_type() {
        DataType::Int16 => widened(array.as_primitive::<Int16Type>().values()),
        DataType::Int32 => widened(array.as_primitive::<Int32Type>().values()),
        DataType::Int64 => array.as_primitive::<Int64Type>().values().to_vec(),
        DataType::Date32 => widened(array.as_primitive::<Date32Type>().values()),
        _ => return None,
    })
}

fn widened<T: Copy + Into<i64>>(values: &[T]) -> Vec<i64> {
    values.iter().map(|&value| value.into()).collect()
}

fn key_parts(array: &ArrayRef, key_type: KeyType) -> Option<Vec<KeyPart>> {
    if array.null_count() > 0 || *array.data_type() != key_data_type(key_type) {
        return None;
    }
    if let Some(integers) = key_integers(array) {
        if key_type == KeyType::Date && !integers.iter().all(|day| DAYS.contains(day)) {
            return None;
        }
        return Some(integers.into_iter().map(KeyPart::Integer).collect());
    }
    let texts = array.as_string_opt::<i32>()?.iter();
    texts.map(|text| KeyPart::parse(key_type, text?).ok()).collect()
}

fn members(
    version: &Version,
    id: CubeId,
    cube: &Cube,
    position: usize,
    array: &ArrayRef,
) -> Option<Vec<MemberId>> {
    let dimension = version.dimension(cube.dimensions[position]);
    let key_type = dimension.key_type_at(cube.levels[position]);
    if array.null_count() > 0 || *array.data_type() != key_data_type(key_type) {
        return None;
    }
    let resolve = |text: &str| version.resolve_fact(id, position, text).ok();
    match key_integers(array) {
        Some(integers) => looked_up(integers.into_iter(), |integer| {
            resolve(&KeyPart::Integer(*integer).format(key_type))
        }),
        None => {
            let texts = array.as_string_opt::<i32>()?;
            looked_up(texts.iter().flatten(), |text| resolve(text))
        }
    }
}

/// The member of each key, each looked up once.
fn looked_up<K: Eq + Hash + Copy>(
    keys: impl Iterator<Item = K>,
    resolve: impl Fn(&K) -> Option<MemberId>,
) -> Option<Vec<MemberId>> {
    let mut known: HashMap<K, MemberId> = HashMap::new();
    let mut last: Option<(K, MemberId)> = None;
    let mut found = Vec::with_capacity(keys.size_hint().0);
    for key in keys {
        // rows that follow each other often name the same
        let member = match last {
            Some((same, member)) if same == key => member,
            _ => match known.get(&key) {
                Some(&member) => member,
                None => *known.entry(key).or_insert(resolve(&key)?),
            },
        };
        last = Some((key, member));
        found.push(member);
    }
    Some(found)
}

fn values(array: &ArrayRef, value_type: ValueType, texts: &mut TextTable) -> Option<ValueList> {
    let all = 0..array.len();
    let filled = |at: &usize| !array.is_null(*at);
    let mut column = ValueList::with_capacity(array.len());
    match (array.data_type(), value_type) {
        (DataType::Decimal128(_, scale), ValueType::Decimal { .. } | ValueType::Integer) => {
            let numbers = array.as_primitive::<Decimal128Type>().values();
            let shift = i32::try_from(value_type.scale()).ok()? - i32::from(*scale);
            let factor = power_of_ten(shift.unsigned_abs())?;
            for at in all {
                let exact = |number: i128| match shift {
                    0.. => number.checked_mul(factor),
                    _ => (number % factor == 0).then(|| number / factor),
                };
                column.push(match filled(&at) {
                    true => Some(value_type.check_range(exact(numbers[at])?).ok()?),
                    false => None,
                });
            }
        }
        (DataType::Int64, ValueType::Integer) => {
            let numbers = array.as_primitive::<Int64Type>().values();
            column.extend(all.map(|at| filled(&at).then(|| numbers[at])));
        }
        (DataType::Int64, ValueType::Decimal { .. }) => {
            let numbers = array.as_primitive::<Int64Type>().values();
            let factor = power_of_ten(value_type.scale())?;
            for at in all {
                let stored = || value_type.check_range(factor * i128::from(numbers[at])).ok();
                column.push(if filled(&at) { Some(stored()?) } else { None });
            }
        }
        (DataType::Date32, ValueType::Date) => {
            let days = array.as_primitive::<Date32Type>().values();
            let day = |at: usize| filled(&at).then(|| i64::from(days[at]));
            if !all.clone().filter_map(day).all(|day| DAYS.contains(&day)) {
                return None;
            }
            column.extend(all.map(day));
        }
        (DataType::Boolean, ValueType::Boolean) => {
            let truths = array.as_boolean();
            column.extend(all.map(|at| filled(&at).then(|| truths.value(at).into())));
        }
        (DataType::Utf8, ValueType::Text) => {
            for text in array.as_string::<i32>() {
                column.push(text.map(|text| texts.position(text)).transpose().ok()?);
            }
        }
        _ => return None,
    }
    Some(column)
}

#[cfg(test)]
mod tests {
    use super::DAYS;
    use cube::value::parse_date;

    #[test]
    fn days_are_those_that_can_be_written() {
        let ends = ["0000-01-01", "9999-12-31"].map(|day| parse_date(day).map(i64::from));
        assert_eq!(ends, [Some(*DAYS.start()), Some(*DAYS.end())]);
    }
}
