//! How many bytes a function makes at most, from its arguments.

use std::borrow::Cow;
use std::sync::Arc;

use datafusion::arrow::array::{
    Array, ArrayRef, AsArray, Int64Array, LargeStringArray, StringArray, StringViewArray,
};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Int64Type};
use datafusion::common::ScalarValue;
use datafusion::error::Result;
use datafusion::logical_expr::ColumnarValue;

use super::concatenation::Concatenation;

/// What a row takes where a function makes something short of anything.
const ROW_BYTES: u64 = 64;
/// A number as text has fewer.
const NUMBER_BYTES: u64 = 400;
/// How much longer a text is in other letters, or as other bytes.
const LINEAR: u64 = 3;
/// What a directive of two characters stands for in `to_char` has fewer.
const DIRECTIVE_BYTES: u64 = 64;
/// What an element takes beside its text: offsets, a view, a bit.
const ELEMENT_BYTES: u64 = 32;

/// Functions that make no text or list, or hand on what they are given, and are not looked at.
const NOT_COUNTED: [&str; 19] = [
    "arrow_field",
    "arrow_metadata",
    "arrow_typeof",
    "ascii",
    "coalesce",
    "file_row_index",
    "get_field",
    "input_file_name",
    "named_struct",
    "nullif",
    "nvl",
    "nvl2",
    "struct",
    "to_timestamp",
    "union_extract",
    "union_tag",
    "version",
    "with_metadata",
    "random",
];

/// At most so much is made for all rows, and for one text where that is more than linear.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Bound {
    pub total: u64,
    pub longest: u64,
}

impl Bound {
    fn of_rows(rows: usize, bytes_of: impl Fn(usize) -> u64) -> Self {
        (0..rows).map(bytes_of).fold(Self::default(), |bound, bytes| Self {
            total: bound.total.saturating_add(bytes).saturating_add(ROW_BYTES),
            longest: bound.longest.max(bytes),
        })
    }

    /// Of many values, of which not each is a text of its own.
    fn of_all(total: u64, rows: usize) -> Self {
        let rows = (rows as u64).saturating_mul(ROW_BYTES);
        Self { total: total.saturating_add(rows), longest: 0 }
    }
}

/// Whether a function is one of those that are counted.
pub fn makes_texts_or_lists(name: &str) -> bool {
    name == Concatenation::NAME
        || name == "to_char"
        || is_stock(name) && !NOT_COUNTED.contains(&name)
}

/// Functions of numbers and dates make values of one size.
fn is_stock(name: &str) -> bool {
    use datafusion::functions::{core, encoding, regex, string, unicode};
    use datafusion::functions_nested::all_default_nested_functions;
    static NAMES: std::sync::LazyLock<std::collections::HashSet<String>> =
        std::sync::LazyLock::new(|| {
            let groups = [
                core::functions(),
                encoding::functions(),
                regex::functions(),
                string::functions(),
                unicode::functions(),
                all_default_nested_functions(),
            ];
            groups.into_iter().flatten().map(|function| function.name().to_owned()).collect()
        });
    NAMES.contains(name)
}

/// Whether values of a type differ in size.
pub fn is_variable(data_type: &DataType) -> bool {
    !(data_type.is_primitive() || matches!(data_type, DataType::Boolean | DataType::Null))
}

/// What a function takes that makes values of one size: constants may be repeated beside rows.
pub fn of_arguments(args: &[ColumnarValue], rows: usize) -> Bound {
    let constants = args.iter().filter(|arg| matches!(arg, ColumnarValue::Scalar(_)));
    let total = constants.map(|arg| bytes_of(arg, rows)).fold(0, u64::saturating_add);
    Bound { total, longest: 0 }
}

/// What a function makes of so many rows at most.
pub fn bound(name: &str, args: &[ColumnarValue], rows: usize) -> Result<Bound> {
    let linear = || Bound::of_all(bytes_of_all(args, rows).saturating_mul(LINEAR), rows);
    Ok(match (name, args) {
        ("repeat", [text, count]) => {
            let (text, count) = (Texts::of(text)?, Numbers::of(count)?);
            Bound::of_rows(rows, |row| text.bytes(row).saturating_mul(count.at(row)))
        }
        ("lpad" | "rpad", [text, length, fill @ ..]) => {
            let (text, length) = (Texts::of(text)?, Numbers::of(length)?);
            let fill = fill.first().map(Texts::of).transpose()?;
            // the engine takes memory for the length beside NULL too
            let width = |row| {
                fill.as_ref().map_or(1, |fill| fill.at(row).map_or(1, longest_character).max(1))
            };
            Bound::of_rows(rows, |row| {
                text.bytes(row).saturating_add(length.at(row).saturating_mul(width(row)))
            })
        }
        ("replace", [text, from, to]) => {
            let (text, from, to) = (Texts::of(text)?, Texts::of(from)?, Texts::of(to)?);
            Bound::of_rows(rows, |row| replaced(&text, &from, &to, row))
        }
        ("translate", [text, from, to]) => {
            let (text, from, to) = (Texts::of(text)?, Texts::of(from)?, Texts::of(to)?);
            Bound::of_rows(rows, |row| match (from.at(row), to.at(row)) {
                (Some(_), Some(to)) => text.bytes(row).saturating_mul(longest_character(to).max(1)),
                _ => 0,
            })
        }
        ("regexp_replace", [text, _, to, flags @ ..]) => {
            let (text, to) = (Texts::of(text)?, Texts::of(to)?);
            let flags = flags.first().map(Texts::of).transpose()?;
            let is_global = |row| {
                let flags = flags.as_ref().and_then(|flags| flags.at(row));
                flags.is_some_and(|flags| flags.contains('g'))
            };
            Bound::of_rows(rows, |row| {
                let (bytes, to) = (text.bytes(row), to.at(row).unwrap_or_default());
                let matches = if is_global(row) { bytes.saturating_add(1) } else { 1 };
                let references = to.matches(['$', '\\']).count() as u64;
                // matches do not overlap, so a group of all of them is no longer than the text
                bytes
                    .saturating_add(matches.saturating_mul(to.len() as u64))
                    .saturating_add(references.saturating_mul(bytes))
            })
        }
        ("regexp_match", [text, pattern, ..]) => {
            let (text, pattern) = (Texts::of(text)?, Texts::of(pattern)?);
            let total = Bound::of_rows(rows, |row| {
                let groups = pattern.at(row).map_or(0, |pattern| pattern.matches('(').count());
                let each = text.bytes(row).saturating_add(ELEMENT_BYTES);
                each.saturating_mul(groups as u64 + 1)
            });
            Bound { longest: 0, ..total }
        }
        ("concat" | "concat_ws" | "overlay" | Concatenation::NAME, args)
            if args.iter().all(Texts::are) =>
        {
            let texts = args.iter().map(Texts::of).collect::<Result<Vec<_>>>()?;
            let gaps = texts.len().saturating_sub(2) as u64;
            let separators = if name == "concat_ws" { gaps } else { 0 };
            Bound::of_rows(rows, |row| {
                let sum = texts.iter().map(|text| text.bytes(row)).sum::<u64>();
                let separator = texts.first().map_or(0, |text| text.bytes(row));
                sum.saturating_add(separator.saturating_mul(separators))
            })
        }
        ("array_to_string", [list, texts @ ..]) => {
            let elements = per_row(list, rows, leaves);
            let total = bytes_of(list, rows).saturating_add(elements.saturating_mul(NUMBER_BYTES));
            let each = texts.iter().map(|text| Ok(Texts::of(text)?.longest(rows)));
            let each = each.sum::<Result<u64>>()?;
            Bound::of_all(total.saturating_add(elements.saturating_mul(each)), rows)
        }
        ("array_replace" | "array_replace_n" | "array_replace_all", [list, _, to, ..]) => {
            let elements = per_row(list, rows, leaves);
            let of_one = bytes_of_longest(to);
            let grown = elements.saturating_mul(of_one.saturating_add(ELEMENT_BYTES));
            Bound::of_all(linear().total.saturating_add(grown), rows)
        }
        ("string_to_array", _) => {
            Bound::of_all(bytes_of_all(args, rows).saturating_mul(ELEMENT_BYTES), rows)
        }
        ("to_char", _) => {
            Bound::of_all(bytes_of_all(args, rows).saturating_mul(DIRECTIVE_BYTES), rows)
        }
        _ => linear(),
    })
}

fn replaced(text: &Texts<'_>, from: &Texts<'_>, to: &Texts<'_>, row: usize) -> u64 {
    let (Some(text), Some(from), Some(to)) = (text.at(row), from.at(row), to.at(row)) else {
        return 0;
    };
    let matches = match to.len() > from.len() {
        true => text.matches(from).count() as u64,
        false => 0,
    };
    (text.len() as u64).saturating_add(matches.saturating_mul(to.len() as u64))
}

/// Bytes of the longest of what the engine takes for one character, a cluster of any length.
fn longest_character(text: &str) -> u64 {
    if text.is_ascii() && !text.contains('\r') { 1 } else { text.len() as u64 }
}

fn bytes_of_all(args: &[ColumnarValue], rows: usize) -> u64 {
    args.iter().map(|arg| bytes_of(arg, rows)).fold(0, u64::saturating_add)
}

fn bytes_of(value: &ColumnarValue, rows: usize) -> u64 {
    match value {
        ColumnarValue::Scalar(scalar) => scalar_bytes(scalar).saturating_mul(rows as u64),
        ColumnarValue::Array(array) => array_bytes(array),
    }
}

fn bytes_of_longest(value: &ColumnarValue) -> u64 {
    match value {
        ColumnarValue::Scalar(scalar) => scalar_bytes(scalar),
        ColumnarValue::Array(array) => array_bytes(array),
    }
}

/// What a value takes beside its type.
pub fn scalar_bytes(value: &ScalarValue) -> u64 {
    match value.try_as_str() {
        Some(text) => text.map_or(0, |text| text.len() as u64),
        None => value.size() as u64,
    }
}

pub fn array_bytes(array: &ArrayRef) -> u64 {
    match array.data_type() {
        DataType::Utf8View => {
            let views = array.as_string_view().views();
            views.iter().map(|view| u64::from(*view as u32) + size_of::<u128>() as u64).sum()
        }
        _ => {
            let data = array.to_data();
            let bytes = data.get_slice_memory_size();
            bytes.unwrap_or_else(|_| array.get_buffer_memory_size()) as u64
        }
    }
}

/// The argument without numbers below zero, which mean zero where a length is meant: the engine
/// panics where it adds them up.
pub fn not_negative(argument: &ColumnarValue) -> ColumnarValue {
    match argument {
        ColumnarValue::Array(array) if array.data_type() == &DataType::Int64 => {
            let lengths = array.as_primitive::<Int64Type>();
            let lengths: Int64Array = lengths.unary(|length| length.max(0));
            ColumnarValue::Array(Arc::new(lengths))
        }
        ColumnarValue::Scalar(ScalarValue::Int64(Some(..0))) => {
            ColumnarValue::Scalar(ScalarValue::from(0_i64))
        }
        other => other.clone(),
    }
}

/// A sum over the rows of a list, which has the same in each where it is a constant.
fn per_row(list: &ColumnarValue, rows: usize, sum: fn(&ArrayRef) -> u64) -> u64 {
    match list {
        ColumnarValue::Array(array) => sum(array),
        ColumnarValue::Scalar(scalar) => {
            let one = scalar.to_array().map_or(0, |array| sum(&array));
            one.saturating_mul(rows as u64)
        }
    }
}

/// Values at the ends of lists of lists.
pub fn leaves(array: &ArrayRef) -> u64 {
    match array.data_type() {
        DataType::List(_) => {
            let list = array.as_list::<i32>();
            let (from, to) = (list.value_offsets()[0], list.value_offsets()[list.len()]);
            leaves(&list.values().slice(from as usize, (to - from) as usize))
        }
        DataType::LargeList(_) => leaves(array.as_list::<i64>().values()),
        DataType::FixedSizeList(..) => leaves(array.as_fixed_size_list().values()),
        _ => array.len() as u64,
    }
}

/// An argument of texts.
enum Texts<'a> {
    One(Option<Cow<'a, str>>),
    Small(&'a StringArray),
    Large(&'a LargeStringArray),
    View(&'a StringViewArray),
    Other(LargeStringArray),
}

impl<'a> Texts<'a> {
    fn are(value: &ColumnarValue) -> bool {
        value.data_type().is_string() || value.data_type().is_null()
    }

    fn of(value: &'a ColumnarValue) -> Result<Self> {
        Ok(match value {
            ColumnarValue::Scalar(scalar) => match scalar.try_as_str() {
                Some(text) => Self::One(text.map(Cow::Borrowed)),
                None => {
                    let text = scalar.cast_to(&DataType::LargeUtf8)?;
                    Self::One(text.try_as_str().flatten().map(|text| text.to_owned().into()))
                }
            },
            ColumnarValue::Array(array) => match array.data_type() {
                DataType::Utf8 => Self::Small(array.as_string()),
                DataType::LargeUtf8 => Self::Large(array.as_string()),
                DataType::Utf8View => Self::View(array.as_string_view()),
                _ => Self::Other(cast(array, &DataType::LargeUtf8)?.as_string().clone()),
            },
        })
    }

    fn at(&self, row: usize) -> Option<&str> {
        match self {
            Self::One(text) => text.as_deref(),
            Self::Small(array) => array.is_valid(row).then(|| array.value(row)),
            Self::Large(array) => array.is_valid(row).then(|| array.value(row)),
            Self::View(array) => array.is_valid(row).then(|| array.value(row)),
            Self::Other(array) => array.is_valid(row).then(|| array.value(row)),
        }
    }

    fn bytes(&self, row: usize) -> u64 {
        self.at(row).map_or(0, |text| text.len() as u64)
    }

    fn longest(&self, rows: usize) -> u64 {
        match self {
            Self::One(_) => self.bytes(0),
            _ => (0..rows).map(|row| self.bytes(row)).max().unwrap_or(0),
        }
    }
}

/// An argument of whole numbers.
enum Numbers {
    One(u64),
    Many(Int64Array),
}

impl Numbers {
    fn of(value: &ColumnarValue) -> Result<Self> {
        let array = match value {
            ColumnarValue::Scalar(scalar) => scalar.to_array()?,
            ColumnarValue::Array(array) => ArrayRef::clone(array),
        };
        let numbers = cast(&array, &DataType::Int64)?.as_primitive::<Int64Type>().clone();
        let numbers = Self::Many(numbers);
        Ok(match value {
            ColumnarValue::Scalar(_) => Self::One(numbers.at(0)),
            ColumnarValue::Array(_) => numbers,
        })
    }

    /// No number is none, and so is less.
    fn at(&self, row: usize) -> u64 {
        match self {
            Self::One(number) => *number,
            Self::Many(array) if array.is_valid(row) => {
                u64::try_from(array.value(row)).unwrap_or(0)
            }
            Self::Many(_) => 0,
        }
    }
}
