//! Expected texts and bytes are what PostgreSQL 15 prints and sends.

use std::sync::Arc;

use datafusion::arrow::array::{
    Date32Array, Decimal128Array, Decimal256Array, DurationMicrosecondArray, FixedSizeListArray,
    Float32Array, Float64Array, Int16Array, Int32Array, Int64Array, IntervalDayTimeArray,
    IntervalMonthDayNanoArray, IntervalYearMonthArray, LargeListArray, LargeStringArray, ListArray,
    ListBuilder, StringBuilder, StringViewArray, StructArray, Time64NanosecondArray,
    TimestampMicrosecondArray, TimestampNanosecondArray, TimestampSecondArray, UInt32Array,
    UInt64Array,
};
use datafusion::arrow::datatypes::{Field, IntervalDayTime, IntervalMonthDayNano, i256};

use super::super::types::{column_of, type_of};
use super::super::verifier::to_hex;
use super::*;

fn encode(array: &ArrayRef, pg_type: &Type, format: Format) -> Result<Vec<Vec<u8>>, SqlError> {
    let array = plain(array)?;
    let write = writer(&array, pg_type, format)?;
    (0..array.len())
        .map(|row| {
            let mut body = BytesMut::new();
            write(row, &mut body)?;
            Ok(body.to_vec())
        })
        .collect()
}

fn text_as(array: impl Array + 'static, pg_type: &Type) -> Vec<String> {
    let values = encode(&(Arc::new(array) as ArrayRef), pg_type, Format::Text).unwrap();
    values.into_iter().map(|value| String::from_utf8(value).unwrap()).collect()
}

fn hex_as(array: impl Array + 'static, pg_type: &Type) -> Vec<String> {
    let values = encode(&(Arc::new(array) as ArrayRef), pg_type, Format::Binary).unwrap();
    values.iter().map(|value| to_hex(value)).collect()
}

/// Checks both formats of an array under the type it means.
fn check(array: impl Array + Clone + 'static, expected: &[(&str, &str)]) {
    let pg_type = type_of(array.data_type());
    check_as(array, &pg_type, expected);
}

fn check_as(array: impl Array + Clone + 'static, pg_type: &Type, expected: &[(&str, &str)]) {
    let (texts, bytes): (Vec<_>, Vec<_>) = expected.iter().copied().unzip();
    assert_eq!(text_as(array.clone(), pg_type), texts);
    assert_eq!(hex_as(array, pg_type), bytes);
}

fn decimals(precision: u8, scale: i8, values: &[i128]) -> Decimal128Array {
    Decimal128Array::from(values.to_vec()).with_precision_and_scale(precision, scale).unwrap()
}

#[test]
fn numerics_are_exact() {
    check(
        decimals(9, 0, &[0, 1, -1, 10_000, 9_999, 12_345_678, 1_234_500]),
        &[
            ("0", "0000000000000000"),
            ("1", "00010000000000000001"),
            ("-1", "00010000400000000001"),
            ("10000", "00010001000000000001"),
            ("9999", "0001000000000000270f"),
            ("12345678", "000200010000000004d2162e"),
            ("1234500", "0002000100000000007b1194"),
        ],
    );
    check(
        decimals(9, 2, &[0, 10]),
        &[("0.00", "0000000000000002"), ("0.10", "0001ffff0000000203e8")],
    );
    check(decimals(9, 1, &[-5]), &[("-0.5", "0001ffff400000011388")]);
    check(decimals(9, 3, &[-12_345_678]), &[("-12345.678", "0003000140000003000109291a7c")]);
    check(
        decimals(9, 4, &[1, 50_000_000]),
        &[("0.0001", "0001ffff000000040001"), ("5000.0000", "00010000000000041388")],
    );
    check(decimals(9, 5, &[1]), &[("0.00001", "0001fffe0000000503e8")]);
    let nines = 99_999_999_999_999_999_999_999_999_999_999_999_999;
    check(
        decimals(38, 0, &[nines]),
        &[(
            "99999999999999999999999999999999999999",
            "000a0009000000000063270f270f270f270f270f270f270f270f270f",
        )],
    );
    check(
        decimals(38, 38, &[1]),
        &[("0.00000000000000000000000000000000000001", "0001fff6000000260064")],
    );
    // A negative scale counts zeros before the point.
    check(
        decimals(9, -4, &[10_000, 0]),
        &[("100000000", "00010002000000000001"), ("0", "0000000000000000")],
    );
}

#[test]
fn wide_numerics_and_unsigned_integers() {
    let value = i256::from_string(&format!("-{}", "9".repeat(76))).unwrap();
    let array = Decimal256Array::from(vec![value]).with_precision_and_scale(76, 70).unwrap();
    let text = format!("-999999.{}", "9".repeat(70));
    assert_eq!(text_as(array.clone(), &Type::NUMERIC), [text]);
    let hex = hex_as(array, &Type::NUMERIC);
    assert!(hex[0].starts_with("0014000140000046" /* 20 groups */) && hex[0].ends_with("26ac"));
    check(
        UInt64Array::from(vec![u64::MAX]),
        &[(
            "18446744073709551615",
            "000500040000000007381a0f1ca10ccf064f"
                .replace("07381a0f1ca10ccf064f", &groups())
                .as_str(),
        )],
    );
}

/// 1844 6744 0737 0955 1615 in base 10000.
fn groups() -> String {
    [1844_u16, 6744, 737, 955, 1615].map(|group| format!("{group:04x}")).concat()
}

#[test]
fn integers_of_every_width() {
    check(Int16Array::from(vec![-2]), &[("-2", "fffe")]);
    check(Int32Array::from(vec![7]), &[("7", "00000007")]);
    check(Int64Array::from(vec![i64::MIN]), &[("-9223372036854775808", "8000000000000000")]);
    check(UInt32Array::from(vec![u32::MAX]), &[("4294967295", "00000000ffffffff")]);
    let oids = UInt32Array::from(vec![u32::MAX]);
    check_as(oids, &Type::OID, &[("4294967295", "ffffffff")]);
    check_as(Int64Array::from(vec![5]), &Type::OID, &[("5", "00000005")]);
    check_as(Int64Array::from(vec![5]), &Type::INT4, &[("5", "00000005")]);
    check_as(Int64Array::from(vec![5]), &Type::NUMERIC, &[("5", "00010000000000000005")]);
    let large: ArrayRef = Arc::new(Int64Array::from(vec![1 << 40]));
    let refused = encode(&large, &Type::INT4, Format::Text).unwrap_err();
    assert_eq!(refused.sqlstate, "22003");
}

#[test]
fn floats_have_the_fewest_digits() {
    let values = vec![
        0.0,
        -0.0,
        1.0,
        0.1,
        1e14,
        1e15,
        123_456_789_012_345_678.0,
        1e-4,
        1e-5,
        1e300,
        5e-324,
        100.0,
        1.5,
        f64::NAN,
        f64::NEG_INFINITY,
        123_456.789,
        1e-7,
        99_999_999_999_999.9,
    ];
    check(
        Float64Array::from(values),
        &[
            ("0", "0000000000000000"),
            ("-0", "8000000000000000"),
            ("1", "3ff0000000000000"),
            ("0.1", "3fb999999999999a"),
            ("100000000000000", "42d6bcc41e900000"),
            ("1e+15", "430c6bf526340000"),
            ("1.2345678901234568e+17", "437b69b4ba630f35"),
            ("0.0001", "3f1a36e2eb1c432d"),
            ("1e-05", "3ee4f8b588e368f1"),
            ("1e+300", "7e37e43c8800759c"),
            ("5e-324", "0000000000000001"),
            ("100", "4059000000000000"),
            ("1.5", "3ff8000000000000"),
            ("NaN", "7ff8000000000000"),
            ("-Infinity", "fff0000000000000"),
            ("123456.789", "40fe240c9fbe76c9"),
            ("1e-07", "3e7ad7f29abcaf48"),
            ("99999999999999.9", "42d6bcc41e8ffffa"),
        ],
    );
    let values = vec![0.1_f32, 1e5, 1e6, 1_234_567.0, 1e-4, 1e-5, f32::MAX, 16_777_216.0, 1e-45];
    assert_eq!(
        text_as(Float32Array::from(values), &Type::FLOAT4),
        [
            "0.1",
            "100000",
            "1e+06",
            "1.234567e+06",
            "0.0001",
            "1e-05",
            "3.4028235e+38",
            "1.6777216e+07",
            "1e-45",
        ]
    );
    check_as(
        Float64Array::from(vec![0.1, f64::NAN, f64::INFINITY, -1e20]),
        &Type::NUMERIC,
        &[
            ("0.1", "0001ffff0000000103e8"),
            ("NaN", "00000000c0000000"),
            ("Infinity", "00000000d0000020"),
            ("-100000000000000000000", "00010005400000000001"),
        ],
    );
}

#[test]
fn floats_choose_among_digits_as_postgresql_does() {
    // Halfway to a neighbour, equally near two choices, and both with a zero in between.
    let values = vec![
        67_354_353_735_454_944.0,
        5_387_787_780_718_066.0 / 8.0,
        -8_799_074_991_457_089.0 / 4.0,
        125_865_078_068_979_010.0,
        -21_406_127_740_768_002_000.0,
    ];
    assert_eq!(
        text_as(Float64Array::from(values), &Type::FLOAT8),
        [
            "6.7354353735454944e+16",
            "673473472589758.2",
            "-2.1997687478642722e+15",
            "1.2586507806897901e+17",
            "-2.1406127740768002e+19",
        ]
    );
    let values = vec![-61_157_632.0, -1_590_045.0 / 8.0, 106_712_896.0];
    assert_eq!(
        text_as(Float32Array::from(values), &Type::FLOAT4),
        ["-6.1157632e+07", "-198755.62", "1.06712896e+08",]
    );
}

#[test]
fn dates_and_times() {
    let days = [("1970-01-01", 0), ("2000-01-01", 10_957), ("0001-01-01", -719_162)];
    let array = Date32Array::from(days.map(|(_, days)| days).to_vec());
    check(
        array,
        &[("1970-01-01", "ffffd533"), ("2000-01-01", "00000000"), ("0001-01-01", "fff4dbf9")],
    );
    check(
        Date32Array::from(vec![-719_163, 2_932_896, 2_932_897, 19_782, -141_427]),
        &[
            ("0001-12-31 BC", "fff4dbf8"),
            ("9999-12-31", "002c95d3"),
            ("10000-01-01", "002c95d4"),
            ("2024-02-29", "00002279"),
            ("1582-10-15", "fffdacc0"),
        ],
    );
    let stamps = vec![0, -1, 1_709_254_923_120_000];
    let expected = [
        ("1970-01-01 00:00:00", "fffca2fec4c82000"),
        ("1969-12-31 23:59:59.999999", "fffca2fec4c81fff"),
        ("2024-03-01 01:02:03.12", "0002b58db14e0d80"),
    ];
    check(TimestampMicrosecondArray::from(stamps.clone()), &expected);
    let zoned = expected.map(|(text, hex)| (format!("{text}+00"), hex));
    let zoned: Vec<_> = zoned.iter().map(|(text, hex)| (text.as_str(), *hex)).collect();
    check(TimestampMicrosecondArray::from(stamps.clone()).with_timezone("Europe/Paris"), &zoned);
    let nanos: Vec<i64> = stamps.iter().map(|micros| micros * 1_000 + 999).collect();
    check(TimestampNanosecondArray::from(nanos), &expected);
    let before_christ = days_of_civil(-43, 3, 15) * 86_400 + 43_200;
    check(
        TimestampSecondArray::from(vec![before_christ]),
        &[("0044-03-15 12:00:00 BC", "ff1af9e8fb46d000")],
    );
    let far: ArrayRef = Arc::new(TimestampSecondArray::from(vec![i64::MAX]));
    assert_eq!(encode(&far, &Type::TIMESTAMP, Format::Text).unwrap_err().sqlstate, "22008");
    check(
        Time64NanosecondArray::from(vec![0, 86_399_000_001_000, 45_000_500_000_000]),
        &[
            ("00:00:00", "0000000000000000"),
            ("23:59:59.000001", "000000141dc81dc1"),
            ("12:30:00.5", "0000000a7a3d2320"),
        ],
    );
}

#[test]
fn days_and_civil_dates_are_inverse() {
    for days in (-800_000..3_000_000).step_by(97) {
        let (year, month, day) = civil_of_days_for_test(days);
        assert_eq!(days_of_civil(year, month, day), days);
    }
}

fn civil_of_days_for_test(days: i64) -> (i64, i64, i64) {
    datetime::civil_of_days(days)
}

#[test]
fn intervals() {
    let interval =
        |months, days, micros: i64| IntervalMonthDayNano::new(months, days, micros * 1_000);
    let array = IntervalMonthDayNanoArray::from(vec![
        interval(0, 0, 0),
        interval(0, 1, 0),
        interval(0, -1, 0),
        interval(14, -3, 14_706_700_000),
        interval(-1, 1, -500_000),
        interval(-12, -1, 1_000_000),
        interval(14, 0, 0),
        interval(0, 0, 360_000_000_000),
        interval(-14, 3, 0),
    ]);
    check(
        array,
        &[
            ("00:00:00", "00000000000000000000000000000000"),
            ("1 day", "00000000000000000000000100000000"),
            ("-1 days", "0000000000000000ffffffff00000000"),
            ("1 year 2 mons -3 days +04:05:06.7", "000000036c966ee0fffffffd0000000e"),
            ("-1 mons +1 day -00:00:00.5", "fffffffffff85ee000000001ffffffff"),
            ("-1 years -1 days +00:00:01", "00000000000f4240fffffffffffffff4"),
            ("1 year 2 mons", "0000000000000000000000000000000e"),
            ("100:00:00", "00000053d1ac10000000000000000000"),
            ("-1 years -2 mons +3 days", "000000000000000000000003fffffff2"),
        ],
    );
    assert_eq!(text_as(IntervalYearMonthArray::from(vec![14]), &Type::INTERVAL), ["1 year 2 mons"]);
    let array = IntervalDayTimeArray::from(vec![IntervalDayTime::new(2, 1_500)]);
    assert_eq!(text_as(array, &Type::INTERVAL), ["2 days 00:00:01.5"]);
    let array = DurationMicrosecondArray::from(vec![90_000_000_000, -1_000_000]);
    assert_eq!(text_as(array, &Type::INTERVAL), ["1 day 01:00:00", "-00:00:01"]);
}

#[test]
fn arrays() {
    let numbers = || vec![Some(vec![Some(1), None, Some(3)]), Some(vec![])];
    let expected = [
        (
            "{1,NULL,3}",
            "00000001000000010000001700000003000000010000000400000001ffffffff0000000400000003",
        ),
        ("{}", "000000000000000000000017"),
    ];
    check(ListArray::from_iter_primitive::<Int32Type, _, _>(numbers()), &expected);
    check(LargeListArray::from_iter_primitive::<Int32Type, _, _>(numbers()), &expected);
    let fixed = FixedSizeListArray::from_iter_primitive::<Int32Type, _, _>(
        vec![Some(vec![Some(1), None, Some(3)])],
        3,
    );
    check(fixed, &expected[..1]);
    // A slice in the middle of the values.
    let sliced = ListArray::from_iter_primitive::<Int32Type, _, _>(
        [vec![Some(vec![Some(9), Some(9)])], numbers()].concat(),
    )
    .slice(1, 2);
    check(sliced, &expected);

    let mut words = ListBuilder::new(StringBuilder::new());
    for word in ["a", "", "null", "b c", "q\"", "c\\d"] {
        words.values().append_value(word);
    }
    words.values().append_null();
    for word in ["x,y", "{z}", "é"] {
        words.values().append_value(word);
    }
    words.append(true);
    assert_eq!(
        text_as(words.finish(), &Type::TEXT_ARRAY),
        [r#"{a,"","null","b c","q\"","c\\d",NULL,"x,y","{z}",é}"#]
    );
}

#[test]
fn arrays_of_arrays() {
    let pairs = |rows: Vec<Vec<Vec<i16>>>| {
        let mut outer =
            ListBuilder::new(ListBuilder::new(datafusion::arrow::array::Int16Builder::new()));
        for row in rows {
            for pair in row {
                outer.values().values().append_slice(&pair);
                outer.values().append(true);
            }
            outer.append(true);
        }
        outer.finish()
    };
    check(
        pairs(vec![vec![vec![1, 2], vec![3, 4]]]),
        &[(
            "{{1,2},{3,4}}",
            "00000002000000000000001500000002000000010000000200000001000000020001000000020002000000020003000000020004",
        )],
    );
    let ragged: ArrayRef = Arc::new(pairs(vec![vec![vec![1, 2], vec![3]]]));
    assert_eq!(encode(&ragged, &Type::INT2_ARRAY, Format::Binary).unwrap_err().sqlstate, "2202E");
    assert_eq!(encode(&ragged, &Type::INT2_ARRAY, Format::Text).unwrap(), [b"{{1,2},{3}}"]);
}

#[test]
fn vectors_and_arrays_given_as_text() {
    let two = "0000000100000000000000150000000200000000000000020001000000020002";
    let none = "0000000100000000000000150000000000000000";
    check_as(StringArray::from(vec!["1 2", ""]), &Type::INT2_VECTOR, &[("1 2", two), ("", none)]);
    let list = ListArray::from_iter_primitive::<Int16Type, _, _>(vec![
        Some(vec![Some(1), Some(2)]),
        Some(vec![]),
    ]);
    check_as(list, &Type::INT2_VECTOR, &[("1 2", two), ("", none)]);
    check_as(
        StringArray::from(vec!["1 70000"]),
        &Type::OID_VECTOR,
        &[(
            "1 70000",
            "0000000100000000000000 1a000000020000000000000004000000010000000400011170"
                .replace(' ', "")
                .as_str(),
        )],
    );
    check_as(
        StringArray::from(vec!["{a,NULL}", "{}"]),
        &Type::TEXT_ARRAY,
        &[
            ("{a,NULL}", "00000001000000010000001900000002000000010000000161ffffffff"),
            ("{}", "000000000000000000000019"),
        ],
    );
}

#[test]
fn texts_and_bytes() {
    check(StringViewArray::from(vec!["é", ""]), &[("é", "c3a9"), ("", "")]);
    check(LargeStringArray::from(vec!["a"]), &[("a", "61")]);
    check(BooleanArray::from(vec![true, false]), &[("t", "01"), ("f", "00")]);
    check(
        BinaryArray::from(vec![b"\x00\xff".as_slice(), b""]),
        &[("\\x00ff", "00ff"), ("\\x", "")],
    );
    check_as(StringArray::from(vec!["r", ""]), &Type::CHAR, &[("r", "72"), ("", "00")]);
    check_as(StringArray::from(vec!["[1]"]), &Type::JSONB, &[("[1]", "015b315d")]);
    let id = "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11";
    check_as(StringArray::from(vec![id]), &Type::UUID, &[(id, &id.replace('-', ""))]);
    check_as(
        StringArray::from(vec!["-", "1259"]),
        &Type::REGCLASS,
        &[("-", "00000000"), ("1259", "000004eb")],
    );
    let name: ArrayRef = Arc::new(StringArray::from(vec!["pg_class"]));
    assert_eq!(encode(&name, &Type::REGCLASS, Format::Text).unwrap(), [b"pg_class"]);
    assert_eq!(encode(&name, &Type::REGCLASS, Format::Binary).unwrap_err().sqlstate, "0A000");
}

#[test]
fn structures_are_printed() {
    let field = Arc::new(Field::new("a", DataType::Int32, true));
    let values: ArrayRef = Arc::new(Int32Array::from(vec![1]));
    let array = StructArray::from(vec![(field, values)]);
    assert_eq!(text_as(array, &Type::TEXT), ["{a: 1}"]);
}

#[test]
fn a_row_is_one_message() {
    let words: ArrayRef = Arc::new(NullArray::new(1));
    let numbers: ArrayRef = Arc::new(Int32Array::from(vec![5]));
    let batch = RecordBatch::try_from_iter([("a", numbers), ("b", words)]).unwrap();
    let columns: Vec<_> = batch.schema().fields().iter().map(|field| column_of(field)).collect();
    let encoder = BatchEncoder::new(&batch, &columns, |_| Format::Text).unwrap();
    let mut output = Output::default();
    encoder.write(0, &mut output).unwrap();
    assert_eq!(output.len(), 1 + 4 + 2 + 4 + 1 + 4);
}
