//! Parameters in both formats, fitted to planned types.

use std::sync::Arc;

use datafusion::arrow::array::Array;
use datafusion::arrow::datatypes::{Field, TimeUnit};

use super::super::verifier::from_hex;
use super::*;

fn text(value: &str, declared: Option<&Type>, planned: &DataType) -> Result<ScalarValue, SqlError> {
    let bytes = Bytes::copy_from_slice(value.as_bytes());
    parameter(Some(&bytes), declared, Format::Text, planned)
}

fn binary(hex: &str, declared: &Type, planned: &DataType) -> Result<ScalarValue, SqlError> {
    let bytes = Bytes::from(from_hex(hex).unwrap());
    parameter(Some(&bytes), Some(declared), Format::Binary, planned)
}

fn refused(result: Result<ScalarValue, SqlError>) -> &'static str {
    result.expect_err("a value was taken").sqlstate
}

const MONEY: DataType = DataType::Decimal128(10, 2);
const STAMP: DataType = DataType::Timestamp(TimeUnit::Microsecond, None);

fn money(unscaled: i128) -> ScalarValue {
    ScalarValue::Decimal128(Some(unscaled), 10, 2)
}

#[test]
fn decimals_are_taken_exactly_or_not_at_all() {
    for (written, unscaled) in [
        ("0", 0),
        ("-0.00", 0),
        ("1", 100),
        ("1.5", 150),
        ("+1.50000", 150),
        ("-.5", -50),
        ("5.", 500),
        ("12e3", 1_200_000),
        ("1200e-4", 12),
        ("99999999.99", 9_999_999_999),
        (" 7 ", 700),
    ] {
        assert_eq!(text(written, None, &MONEY).unwrap(), money(unscaled), "{written}");
    }
    for written in ["0.001", "100000000", "1e9", "1e2000000000", "NaN", "Infinity", "-inf"] {
        assert_eq!(refused(text(written, None, &MONEY)), "22003", "{written}");
    }
    for written in ["", ".", "1.2.3", "e5", "1e", "1e99999999999", "0x10", "--1", "1 2", "é"] {
        assert_eq!(refused(text(written, None, &MONEY)), "22P02", "{written}");
    }
}

#[test]
fn numbers_of_every_type_fit_a_numeric() {
    assert_eq!(binary("0007", &Type::INT2, &MONEY).unwrap(), money(700));
    assert_eq!(binary("fffffff9", &Type::INT4, &MONEY).unwrap(), money(-700));
    assert_eq!(binary("0000000000000007", &Type::INT8, &MONEY).unwrap(), money(700));
    assert_eq!(binary("3fb999999999999a", &Type::FLOAT8, &MONEY).unwrap(), money(10));
    assert_eq!(binary("3dcccccd", &Type::FLOAT4, &MONEY).unwrap(), money(10));
    for (hex, unscaled) in [
        ("0000000000000000", 0),
        ("00010000000000000001", 100),
        ("0001ffff0000000203e8", 10),
        ("0001ffff400000011388", -50),
        ("000200010000000004d2162e", 1_234_567_800),
    ] {
        assert_eq!(binary(hex, &Type::NUMERIC, &MONEY).unwrap(), money(unscaled), "{hex}");
    }
    for hex in ["00000000c0000000", "00000000d0000020", "0001fff6000000260064"] {
        assert_eq!(refused(binary(hex, &Type::NUMERIC, &MONEY)), "22003", "{hex}");
    }
    for hex in
        ["", "0001", "00010000000000002710", "0001000000000000000100", "00010000123400000001"]
    {
        assert_eq!(refused(binary(hex, &Type::NUMERIC, &MONEY)), "22P03", "{hex}");
    }
}

#[test]
fn integers_fit_or_do_not() {
    let int = DataType::Int16;
    assert_eq!(text("7", None, &int).unwrap(), ScalarValue::Int16(Some(7)));
    assert_eq!(text("7.0", Some(&Type::NUMERIC), &int).unwrap(), ScalarValue::Int16(Some(7)));
    assert_eq!(binary("00000007", &Type::INT4, &int).unwrap(), ScalarValue::Int16(Some(7)));
    assert_eq!(refused(text("32768", None, &int)), "22003");
    assert_eq!(refused(text("7.5", Some(&Type::FLOAT8), &int)), "22003");
    assert_eq!(refused(text("7.5", None, &int)), "22P02");
    assert_eq!(refused(binary("0007", &Type::INT4, &int)), "22P03");
    let float = DataType::Float64;
    assert_eq!(text("0.1", None, &float).unwrap(), ScalarValue::Float64(Some(0.1)));
    assert_eq!(text("Infinity", None, &float).unwrap(), ScalarValue::Float64(Some(f64::INFINITY)));
    assert_eq!(refused(text("1e400", None, &float)), "22003");
    let unsigned = DataType::UInt64;
    let largest = ScalarValue::UInt64(Some(u64::MAX));
    assert_eq!(text("18446744073709551615", None, &unsigned).unwrap(), largest);
}

#[test]
fn texts_are_taken_as_what_is_meant() {
    let word = |word: &str| ScalarValue::Utf8(Some(word.to_owned()));
    assert_eq!(text("é", None, &DataType::Utf8).unwrap(), word("é"));
    assert_eq!(text("5", Some(&Type::INT4), &DataType::Utf8).unwrap(), word("5"));
    assert_eq!(text("2024-02-29", Some(&Type::DATE), &DataType::Utf8).unwrap(), word("2024-02-29"));
    let dictionary = DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8));
    let inside = ScalarValue::Dictionary(Box::new(DataType::Int32), Box::new(word("x")));
    assert_eq!(text("x", Some(&Type::VARCHAR), &dictionary).unwrap(), inside);
    assert_eq!(text("7", Some(&Type::TEXT), &MONEY).unwrap(), money(700));
    assert_eq!(refused(text("a\0b", None, &DataType::Utf8)), "22021");
    let id = "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11";
    assert_eq!(binary(&id.replace('-', ""), &Type::UUID, &DataType::Utf8).unwrap(), word(id));
    assert_eq!(
        text(&id.replace('-', "").to_uppercase(), Some(&Type::UUID), &DataType::Utf8).unwrap(),
        word(id)
    );
    // A type the statement left open is the declared one, or text.
    assert_eq!(text("x", None, &DataType::Null).unwrap(), word("x"));
    let int = ScalarValue::Int32(Some(5));
    assert_eq!(text("5", Some(&Type::INT4), &DataType::Null).unwrap(), int);
    let exact = ScalarValue::Decimal128(Some(150), 38, 2);
    assert_eq!(text("1.50", Some(&Type::NUMERIC), &DataType::Null).unwrap().to_string(), "1.5");
    assert_eq!(
        text("0.01", Some(&Type::NUMERIC), &DataType::Null).unwrap().data_type(),
        exact.data_type()
    );
}

#[test]
fn booleans_bytes_and_nulls() {
    let boolean = |value: &str| text(value, None, &DataType::Boolean);
    for value in ["t", "TRUE", "yes", "on", "1", "y"] {
        assert_eq!(boolean(value).unwrap(), ScalarValue::Boolean(Some(true)));
    }
    for value in ["f", "false", "no", "off", "0", "of"] {
        assert_eq!(boolean(value).unwrap(), ScalarValue::Boolean(Some(false)));
    }
    assert_eq!(refused(boolean("o")), "22P02");
    assert_eq!(refused(boolean("")), "22P02");
    let bytes = ScalarValue::Binary(Some(vec![0, 255]));
    assert_eq!(text("\\x00fF", None, &DataType::Binary).unwrap(), bytes);
    assert_eq!(text("\\000\\377", None, &DataType::Binary).unwrap(), bytes);
    assert_eq!(binary("00ff", &Type::BYTEA, &DataType::Binary).unwrap(), bytes);
    for value in ["\\x0", "\\x0g", "\\400", "\\1", "\\"] {
        assert_eq!(refused(text(value, None, &DataType::Binary)), "22P02", "{value}");
    }
    let null = parameter(None, Some(&Type::INT4), Format::Text, &MONEY).unwrap();
    assert_eq!(null, ScalarValue::Decimal128(None, 10, 2));
    let null = parameter(None, None, Format::Text, &DataType::Null).unwrap();
    assert_eq!(null, ScalarValue::Utf8(None));
    assert_eq!(refused(text("t", Some(&Type::BOOL), &MONEY)), "42804");
}

#[test]
fn dates_and_times() {
    let date = |value: &str| text(value, None, &DataType::Date32);
    assert_eq!(date("2024-02-29").unwrap(), ScalarValue::Date32(Some(19_782)));
    assert_eq!(date("2024-02-29 00:00:00").unwrap(), ScalarValue::Date32(Some(19_782)));
    for value in
        ["2023-02-29", "2024-13-01", "2024-00-01", "0000-01-01", "today", "", "2024-02-29x"]
    {
        assert_eq!(refused(date(value)), "22007", "{value}");
    }
    assert_eq!(
        binary("00000000", &Type::DATE, &DataType::Date32).unwrap(),
        ScalarValue::Date32(Some(10_957))
    );
    assert_eq!(refused(binary("7fffffff", &Type::DATE, &DataType::Date32)), "22008");
    let stamp = |micros| ScalarValue::TimestampMicrosecond(Some(micros), None);
    let expected = stamp(1_709_254_923_120_000);
    for value in
        ["2024-03-01 01:02:03.12", "2024-03-01T01:02:03.120000", "2024-03-01 01:02:03.12+02"]
    {
        assert_eq!(text(value, None, &STAMP).unwrap(), expected, "{value}");
    }
    assert_eq!(binary("0002b58db14e0d80", &Type::TIMESTAMP, &STAMP).unwrap(), expected);
    assert_eq!(
        text("2024-03-01", Some(&Type::DATE), &STAMP).unwrap(),
        stamp(1_709_251_200_000_000)
    );
    assert_eq!(refused(binary("7fffffffffffffff", &Type::TIMESTAMP, &STAMP)), "22008");
    let zoned = DataType::Timestamp(TimeUnit::Nanosecond, Some("+00:00".into()));
    for value in [
        "2024-03-01 03:02:03.12+02",
        "2024-03-01 01:02:03.12Z",
        "2024-02-29 21:32:03.12 -03:30",
        "2024-03-01 01:02:03.12",
    ] {
        let ScalarValue::TimestampNanosecond(Some(nanos), _) = text(value, None, &zoned).unwrap()
        else {
            panic!("not a timestamp")
        };
        assert_eq!(nanos, 1_709_254_923_120_000_000, "{value}");
    }
    assert_eq!(
        refused(text("2024-03-01 01:02:03", Some(&Type::TIMESTAMP), &DataType::Date32)),
        "22008"
    );
    let time = text("12:30:00.5", None, &DataType::Time64(TimeUnit::Microsecond)).unwrap();
    assert_eq!(time, ScalarValue::Time64Microsecond(Some(45_000_500_000)));
    let (months, days, micros) = (14, -3, 14_706_700_000);
    assert_eq!(
        super::time::interval("1 year 2 mons -3 days +04:05:06.7"),
        Some((months, days, micros))
    );
    assert_eq!(super::time::interval("99999999999 days"), None);
}

#[test]
fn arrays() {
    let list = |inner| DataType::List(Arc::new(Field::new_list_field(inner, true)));
    let length = |value: ScalarValue| match value {
        ScalarValue::List(list) => (list.value(0).len(), list.value(0).null_count()),
        other => panic!("not a list: {other:?}"),
    };
    let ints = list(DataType::Int64);
    assert_eq!(length(text("{1,NULL,3}", None, &ints).unwrap()), (3, 1));
    assert_eq!(length(text("{}", None, &ints).unwrap()), (0, 0));
    let words = list(DataType::Utf8);
    assert_eq!(length(text(r#"{a,"NULL","q\"}"}"#, None, &words).unwrap()), (3, 0));
    assert_eq!(length(text("{1.5}", Some(&Type::NUMERIC_ARRAY), &list(MONEY)).unwrap()), (1, 0));
    let hex = "00000001000000010000001700000003000000010000000400000001ffffffff0000000400000003";
    assert_eq!(length(binary(hex, &Type::INT4_ARRAY, &ints).unwrap()), (3, 1));
    assert_eq!(
        length(binary("000000000000000000000017", &Type::INT4_ARRAY, &ints).unwrap()),
        (0, 0)
    );
    for value in ["", "{", "1", "{1,}", "{,1}", "{{1}}", "{\"1}"] {
        assert_eq!(refused(text(value, None, &ints)), "22P02", "{value:?}");
    }
    for cut in (0..hex.len()).step_by(2) {
        assert_eq!(refused(binary(&hex[..cut], &Type::INT4_ARRAY, &ints)), "22P03");
    }
    let many = "0000000100000000000000177fffffff00000001";
    assert_eq!(refused(binary(many, &Type::INT4_ARRAY, &ints)), "22P03");
    assert_eq!(refused(text("{x}", None, &ints)), "22P02");
    assert_eq!(refused(text("{1}", Some(&Type::INT4_ARRAY), &MONEY)), "42804");
}
