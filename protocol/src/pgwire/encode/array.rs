//! Lists as PostgreSQL's arrays, of any number of dimensions, and the two vector types.

use bytes::{BufMut, BytesMut};
use datafusion::arrow::array::{Array, ArrayRef, AsArray};
use datafusion::arrow::datatypes::{DataType, Field};
use postgres_types::Type;
use std::sync::Arc;

use super::{Writer, cast, is_list, no_binary, no_values, plain, put, text, writer};
use crate::error::SqlError;
use crate::pgwire::output::Format;
use crate::pgwire::types::{element_of, type_of};

/// How the elements are counted.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Subscripts {
    /// From 1; an empty array has no dimension.
    Array,
    /// From 0, always in one dimension.
    Vector,
}

impl Subscripts {
    fn first(self) -> i32 {
        match self {
            Self::Array => 1,
            Self::Vector => 0,
        }
    }
}

/// How deep PostgreSQL's arrays go.
const DIMENSIONS_MAX: usize = 6;

/// One level of lists, all in one layout: the values of every list, and where each begins.
struct Level {
    offsets: Vec<usize>,
    nulls: Option<datafusion::arrow::buffer::NullBuffer>,
}

impl Level {
    /// The values of the list at a row.
    fn range(&self, row: usize) -> std::ops::Range<usize> {
        self.offsets[row]..self.offsets[row + 1]
    }

    fn is_null(&self, row: usize) -> bool {
        self.nulls.as_ref().is_some_and(|nulls| nulls.is_null(row))
    }
}

/// Lists of lists taken apart: the levels from outside in, and the writer of what is inside.
struct Nested {
    levels: Vec<Level>,
    element: Type,
    element_nulls: Option<datafusion::arrow::buffer::NullBuffer>,
    write: Writer,
}

impl Nested {
    fn new(array: &ArrayRef, element: Option<Type>, format: Format) -> Result<Self, SqlError> {
        let mut levels = Vec::new();
        let mut values = ArrayRef::clone(array);
        while is_list(values.data_type()) {
            if levels.len() == DIMENSIONS_MAX {
                return Err(SqlError::new("54000", "an array has at most 6 dimensions"));
            }
            let (level, inner) = one_level(&values)?;
            levels.push(level);
            values = plain(&inner)?;
        }
        let element = element.unwrap_or_else(|| type_of(values.data_type()));
        let write = writer(&values, &element, format)?;
        Ok(Self { levels, element, element_nulls: values.logical_nulls(), write })
    }

    fn element_is_null(&self, row: usize) -> bool {
        self.element_nulls.as_ref().is_some_and(|nulls| nulls.is_null(row))
    }
}

/// Takes one level of lists off.
fn one_level(array: &ArrayRef) -> Result<(Level, ArrayRef), SqlError> {
    let field: &Arc<Field> = match array.data_type() {
        DataType::List(_) => {
            let lists = array.as_list::<i32>();
            let offsets = lists.value_offsets().iter().map(|offset| *offset as usize).collect();
            let level = Level { offsets, nulls: lists.nulls().cloned() };
            return Ok((level, ArrayRef::clone(lists.values())));
        }
        DataType::LargeList(field)
        | DataType::ListView(field)
        | DataType::LargeListView(field)
        | DataType::FixedSizeList(field, _) => field,
        _ => return Ok((Level { offsets: vec![0; array.len() + 1], nulls: None }, no_values())),
    };
    one_level(&cast(array, &DataType::List(Arc::clone(field)))?)
}

/// The writer of lists as arrays of `pg_type`.
pub(super) fn writer_of_lists(
    array: &ArrayRef,
    pg_type: &Type,
    format: Format,
) -> Result<Writer, SqlError> {
    if matches!(*pg_type, Type::INT2_VECTOR | Type::OID_VECTOR) {
        return vector(array, pg_type, format);
    }
    let nested = Nested::new(array, element_of(pg_type), format)?;
    Ok(match format {
        Format::Text => Box::new(move |row, body| put_text(&nested, 0, row, body)),
        Format::Binary => {
            Box::new(move |row, body| put_binary(&nested, row, Subscripts::Array, body))
        }
    })
}

/// Prints `{1,2,NULL}`, elements in quotes where PostgreSQL puts them.
fn put_text(
    nested: &Nested,
    depth: usize,
    row: usize,
    body: &mut BytesMut,
) -> Result<(), SqlError> {
    body.put_u8(b'{');
    let range = nested.levels[depth].range(row);
    let first = range.start;
    for position in range {
        if position > first {
            body.put_u8(b',');
        }
        match nested.levels.get(depth + 1) {
            Some(inner) if inner.is_null(position) => body.put_slice(b"NULL"),
            Some(_) => put_text(nested, depth + 1, position, body)?,
            None if nested.element_is_null(position) => body.put_slice(b"NULL"),
            None => {
                let mut element = BytesMut::new();
                (nested.write)(position, &mut element)?;
                put_quoted(body, &element);
            }
        }
    }
    body.put_u8(b'}');
    Ok(())
}

fn put_quoted(body: &mut BytesMut, element: &[u8]) {
    let special = |byte: &u8| {
        matches!(byte, b'"' | b'\\' | b'{' | b'}' | b',' | b' ' | b'\t' | b'\n' | b'\r' | 11 | 12)
    };
    let bare = !element.is_empty()
        && !element.eq_ignore_ascii_case(b"null")
        && !element.iter().any(special);
    if bare {
        body.put_slice(element);
        return;
    }
    body.put_u8(b'"');
    for byte in element {
        if matches!(byte, b'"' | b'\\') {
            body.put_u8(b'\\');
        }
        body.put_u8(*byte);
    }
    body.put_u8(b'"');
}

/// The form of `array_send`: dimensions, a flag for NULLs, the element type, then each dimension's
/// length and first subscript, then the elements.
fn put_binary(
    nested: &Nested,
    row: usize,
    subscripts: Subscripts,
    body: &mut BytesMut,
) -> Result<(), SqlError> {
    let mut lengths = Vec::new();
    let mut positions = vec![row];
    for (depth, level) in nested.levels.iter().enumerate() {
        let length = positions.first().map_or(0, |position| level.range(*position).len());
        let ragged = positions.iter().any(|position| {
            (depth > 0 && level.is_null(*position)) || level.range(*position).len() != length
        });
        if ragged {
            return Err(SqlError::new(
                "2202E",
                "a list of lists of different lengths has no binary form",
            )
            .with_hint("ask for this column in text format"));
        }
        lengths.push(
            i32::try_from(length)
                .map_err(|_| SqlError::new("54000", "an array has at most 2147483647 elements"))?,
        );
        positions = positions.into_iter().flat_map(|position| level.range(position)).collect();
    }
    if positions.is_empty() && subscripts == Subscripts::Array {
        lengths.clear();
    }
    let has_nulls = positions.iter().any(|position| nested.element_is_null(*position));
    body.put_i32(i32::try_from(lengths.len()).unwrap_or(0));
    body.put_i32(i32::from(has_nulls));
    body.put_u32(nested.element.oid());
    for length in lengths {
        body.put_i32(length);
        body.put_i32(subscripts.first());
    }
    for position in positions {
        if nested.element_is_null(position) {
            body.put_i32(-1);
            continue;
        }
        let mut element = BytesMut::new();
        (nested.write)(position, &mut element)?;
        put_element(body, &element)?;
    }
    Ok(())
}

fn put_element(body: &mut BytesMut, element: &[u8]) -> Result<(), SqlError> {
    body.put_i32(
        i32::try_from(element.len())
            .map_err(|_| SqlError::new("54000", "a value is longer than 2 GiB"))?,
    );
    put(body, element)
}

/// `int2vector` and `oidvector`: numbers with spaces between in text, an array from subscript 0 in
/// binary. The session gives a list or the text itself.
pub(super) fn vector(array: &ArrayRef, pg_type: &Type, format: Format) -> Result<Writer, SqlError> {
    let element = if *pg_type == Type::INT2_VECTOR { Type::INT2 } else { Type::OID };
    if is_list(array.data_type()) {
        let nested = Nested::new(array, Some(element), format)?;
        return Ok(match format {
            Format::Text => Box::new(move |row, body| {
                let range = nested.levels[0].range(row);
                let first = range.start;
                for position in range {
                    if position > first {
                        body.put_u8(b' ');
                    }
                    (nested.write)(position, body)?;
                }
                Ok(())
            }),
            Format::Binary => {
                Box::new(move |row, body| put_binary(&nested, row, Subscripts::Vector, body))
            }
        });
    }
    if format == Format::Text {
        return text(array);
    }
    let texts = super::strings(array)?;
    Ok(Box::new(move |row, body| {
        let text = texts.value(row);
        let numbers: Vec<u32> = text
            .split_ascii_whitespace()
            .map(|number| number.parse().map_err(|_| no_binary(text)))
            .collect::<Result<_, _>>()?;
        put_vector_header(body, &element, numbers.len())?;
        for number in numbers {
            if element == Type::INT2 {
                let number = i16::try_from(number).map_err(|_| no_binary(text))?;
                put_element(body, &number.to_be_bytes())?;
            } else {
                put_element(body, &number.to_be_bytes())?;
            }
        }
        Ok(())
    }))
}

/// The header of a vector.
fn put_vector_header(body: &mut BytesMut, element: &Type, length: usize) -> Result<(), SqlError> {
    body.put_i32(1);
    body.put_i32(0);
    body.put_u32(element.oid());
    body.put_i32(
        i32::try_from(length)
            .map_err(|_| SqlError::new("54000", "an array has at most 2147483647 elements"))?,
    );
    body.put_i32(Subscripts::Vector.first());
    Ok(())
}

/// The binary form of arrays the session gives as text: of texts only, and the empty one.
pub(super) fn from_text(array: &ArrayRef, pg_type: &Type) -> Result<Writer, SqlError> {
    let element = element_of(pg_type).unwrap_or(Type::TEXT);
    let texts = super::strings(array)?;
    Ok(Box::new(move |row, body| {
        let text = texts.value(row);
        let elements = crate::pgwire::decode::split_array(text).ok_or_else(|| no_binary(text))?;
        let as_text = matches!(
            element,
            Type::TEXT | Type::VARCHAR | Type::NAME | Type::BPCHAR | Type::ACLITEM
        );
        if !as_text && !elements.is_empty() {
            return Err(no_binary(text));
        }
        body.put_i32(i32::from(!elements.is_empty()));
        body.put_i32(i32::from(elements.iter().any(Option::is_none)));
        body.put_u32(element.oid());
        if !elements.is_empty() {
            body.put_i32(i32::try_from(elements.len()).unwrap_or(i32::MAX));
            body.put_i32(1);
        }
        for element in elements {
            match element {
                Some(element) => put_element(body, element.as_bytes())?,
                None => body.put_i32(-1),
            }
        }
        Ok(())
    }))
}
