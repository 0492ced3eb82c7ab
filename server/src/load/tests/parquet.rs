//! Parquet: the same rows as CSV give the same changes, and what no CSV says exactly is refused.

use std::path::Path;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, BinaryArray, BooleanArray, Date32Array, Decimal128Array, Float64Array, Int16Array,
    Int64Array, ListArray, RecordBatch, StringArray, TimestampMicrosecondArray, UInt32Array,
};
use arrow::datatypes::Int32Type;
use cube::Change;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;

use super::super::LoadFile;
use super::{
    LEDGER, LoadRequest, SALES, Target, check, load, members, plan, request, request_of, same, shop,
};

/// 2026-01-05.
const DAY: i32 = 20_458;

fn written(columns: Vec<(&str, ArrayRef)>, compression: Compression) -> Vec<u8> {
    let batch = RecordBatch::try_from_iter_with_nullable(
        columns.into_iter().map(|(name, column)| (name, column, true)),
    );
    let batch = batch.expect("columns of one length");
    // small pages and groups, so that there are several of each
    let properties = WriterProperties::builder()
        .set_compression(compression)
        .set_max_row_group_row_count(Some(3))
        .set_data_page_row_count_limit(2)
        .build();
    let mut bytes = Vec::new();
    let mut writer =
        ArrowWriter::try_new(&mut bytes, batch.schema(), Some(properties)).expect("a writer");
    writer.write(&batch).expect("rows");
    writer.close().expect("a footer");
    bytes
}

fn file(columns: Vec<(&str, ArrayRef)>) -> LoadFile {
    LoadFile::of_bytes("file.csv", &written(columns, Compression::SNAPPY))
}

fn column<A: arrow::array::Array + 'static>(array: A) -> ArrayRef {
    Arc::new(array)
}

/// The columns of a file of sales, of which some are blank.
fn sales_columns() -> Vec<(&'static str, ArrayRef)> {
    let prices = Decimal128Array::from(vec![Some(1050), Some(-300), None, Some(7), Some(0)]);
    vec![
        ("Id", column(Int64Array::from(vec![1, 2, 3, 4, 5]))),
        ("Day", column(Date32Array::from(vec![DAY, DAY + 1, DAY, DAY, DAY + 30]))),
        ("Product", column(UInt32Array::from(vec![1, 3, 2, 1, 1]))),
        ("Units", column(Int16Array::from(vec![Some(2), None, Some(-4), Some(0), Some(9)]))),
        ("Price", column(prices.with_precision_and_scale(9, 2).expect("a decimal"))),
        // what is not mapped is not read
        ("Notes", lists()),
    ]
}

fn lists() -> ArrayRef {
    let lists = vec![Some(vec![Some(1)]), None, None, Some(vec![]), Some(vec![Some(2)])];
    column(ListArray::from_iter_primitive::<Int32Type, _, _>(lists))
}

const SALES_CSV: &str = "Id,Day,Product,Units,Price\n1,2026-01-05,1,2,10.50\n2,2026-01-06,3,,-3.00\n\
                         3,2026-01-05,2,-4,\n4,2026-01-05,1,0,0.07\n5,2026-02-04,1,9,0.00\n";

/// Everything but the digest, which is of different bytes.
fn undigested(mut changes: Vec<Change>) -> Vec<Change> {
    for change in &mut changes {
        if let Change::Source(note) = change {
            assert_ne!(note.digest, [0; 32]);
            note.digest = [0; 32];
        }
    }
    changes
}

fn check_equal(parquet: &LoadRequest, csv: &LoadRequest) {
    let revision = shop();
    let [parquet, csv] = [parquet, csv]
        .map(|request| plan(&revision, request).unwrap_or_else(|error| panic!("{error}")));
    assert!(!csv.changes.is_empty());
    assert_eq!(undigested(parquet.changes), undigested(csv.changes));
    assert_eq!(parquet.report, csv.report);
}

#[test]
fn rows_are_those_of_the_equal_csv_with_certificates_and_row_numbers() {
    let zstd = Compression::ZSTD(ZstdLevel::default());
    let csv = request(Target::Cube("sales".into()), SALES_CSV, SALES);
    for compression in [Compression::UNCOMPRESSED, Compression::SNAPPY, Compression::LZ4_RAW, zstd]
    {
        let bytes = written(sales_columns(), compression);
        let file = LoadFile::of_bytes("file.csv", &bytes);
        check_equal(&request_of(Target::Cube("sales".into()), file, SALES), &csv);
    }
}

#[test]
fn texts_days_and_truths_are_those_of_the_equal_csv() {
    let moments = vec![Some(86_400_000_000 * i64::from(DAY)), Some(86_400_000_000 * 20_460 + 1)];
    let columns = vec![
        ("Day", column(TimestampMicrosecondArray::from(moments))),
        ("Account", column(StringArray::from(vec!["A", "B"]))),
        ("Due", column(Date32Array::from(vec![Some(DAY), None]))),
        ("Memo", column(StringArray::from(vec![Some("5\" pipe, \"new\""), Some("")]))),
    ];
    let map = "[dimensions]\ndate = { column = \"Day\", format = \"%Y-%m-%dT%H:%M:%S%.f\" }\n\
               account = \"Account\"\n[measures]\ndue = \"Due\"\nmemo = \"Memo\"\n";
    let csv = "Day,Account,Due,Memo\n2026-01-05T00:00:00,A,2026-01-05,\"5\"\" pipe, \"\"new\"\"\"\n\
               2026-01-07T00:00:00.000001,B,,\n";
    let target = || Target::Cube("ledger".into());
    check_equal(&request_of(target(), file(columns), map), &request(target(), csv, map));
    let columns = vec![
        ("key", column(Int64Array::from(vec![7, 8]))),
        ("sold", column(BooleanArray::from(vec![Some(true), None]))),
        ("since", column(Date32Array::from(vec![None, Some(DAY)]))),
    ];
    let csv = "key,sold,since\n7,true,\n8,,2026-01-05\n";
    let target = || Target::Dimension("product".into());
    check_equal(&request_of(target(), file(columns), ""), &request(target(), csv, ""));
}

#[test]
fn floats_are_taken_where_their_digits_are_declared() {
    let columns = || {
        let amounts = Float64Array::from(vec![Some(0.1), Some(2.675), None, Some(1e-9)]);
        vec![
            ("date", column(Date32Array::from(vec![DAY, DAY + 1, DAY + 2, DAY + 3]))),
            ("account", column(StringArray::from(vec!["A"; 4]))),
            ("debit", column(amounts)),
        ]
    };
    let map = "[dimensions]\ndate = \"date\"\naccount = \"account\"\n\
               [measures]\ndebit = { column = \"debit\", round = 2 }\n";
    let csv = "date,account,debit\n2026-01-05,A,0.1\n2026-01-06,A,2.675\n2026-01-07,A,\n\
               2026-01-08,A,0.000000001\n";
    let target = || Target::Cube("ledger".into());
    check_equal(&request_of(target(), file(columns()), map), &request(target(), csv, map));
    check(
        &request_of(target(), file(columns()), ""),
        r#"
error: column "debit" holds float64 values, which are not exact
 --> file.csv
  = help: a measure or attribute takes them with the digits that are meant, as in { column = "debit", round = 2 }; keys, days and texts are to be written as such
"#,
    );
    let nan = vec![
        ("date", column(Date32Array::from(vec![DAY]))),
        ("account", column(StringArray::from(vec!["A"]))),
        ("debit", column(Float64Array::from(vec![f64::NAN]))),
    ];
    check(
        &request_of(target(), file(nan), map),
        r#"
error: file.csv: 1 of 1 row cannot be placed; nothing was loaded
  row 2, debit "NaN": "NaN" is not a valid decimal(18,2)
"#,
    );
    let keys = vec![("key", column(Float64Array::from(vec![7.0])))];
    let map = "[members]\nkey = { column = \"key\", round = 0 }\n";
    check(
        &request_of(Target::Dimension("product".into()), file(keys), map),
        r#"
error: column "key" holds float64 values, which are not exact
 --> map.toml:2:7
  |
2 | key = { column = "key", round = 0 }
  |       ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
  = help: a measure or attribute takes them with the digits that are meant, as in { column = "key", round = 2 }; keys, days and texts are to be written as such
"#,
    );
}

#[test]
fn a_day_that_has_no_text_is_an_error_of_the_file() {
    let mut columns = sales_columns();
    columns[1].1 = column(Date32Array::from(vec![DAY, DAY, i32::MAX, DAY, DAY]));
    let (target, map) = (Target::Cube("sales".into()), SALES);
    check(
        &request_of(target, file(columns), map),
        r#"
error: file.csv: rows 2 to 6, Day: Cast error: Failed to convert 2147483647 to temporal for Date32
"#,
    );
}

#[test]
fn columns_without_values_are_refused_where_they_are_named() {
    let ledger = |memo: ArrayRef| {
        let columns = vec![
            ("Day", column(Date32Array::from(vec![DAY; memo.len()]))),
            ("Account", column(StringArray::from(vec!["A"; memo.len()]))),
            ("Memo", memo),
        ];
        let map =
            "[dimensions]\ndate = \"Day\"\naccount = \"Account\"\n[measures]\nmemo = \"Memo\"\n";
        request_of(Target::Cube("ledger".into()), file(columns), map)
    };
    check(
        &ledger(lists()),
        r#"
error: column "Memo" holds lists
 --> map.toml:5:8
  |
5 | memo = "Memo"
  |        ^^^^^^
  = help: a column holds one number, text, day or truth a row; write what is needed of it as columns of their own
"#,
    );
    check(
        &ledger(column(BinaryArray::from(vec![&b"x"[..]]))),
        r#"
error: column "Memo" holds bytes that are not said to be text
 --> map.toml:5:8
  |
5 | memo = "Memo"
  |        ^^^^^^
  = help: a column holds one number, text, day or truth a row; write what is needed of it as columns of their own
"#,
    );
}

#[test]
fn rows_that_cannot_be_placed_are_listed_with_their_numbers() {
    let columns = vec![
        ("Day", column(Date32Array::from(vec![Some(DAY), None, Some(DAY), Some(DAY - 30)]))),
        ("Account", column(StringArray::from(vec!["A", "A", "Sales", "B"]))),
        ("Debit", column(StringArray::from(vec!["1", "1", "1", "1"]))),
        ("Credit", column(StringArray::from(vec!["1", "1", "x", "1"]))),
    ];
    check(
        &request_of(Target::Cube("ledger".into()), file(columns), LEDGER),
        r#"
error: file.csv: 3 of 4 rows cannot be placed; nothing was loaded
  row 3, Day "": the key of dimension date is empty
  row 4, Account "Sales": member "Sales" of dimension account does not exist; "A" is the key of what has this name
  row 5, Day "2025-12-06": 2025-12-06 is outside the calendar of date, which runs from 2026-01-01 to 2026-03-31
"#,
    );
}

#[test]
fn files_that_are_cut_off_are_refused() {
    let revision = shop();
    let bytes = written(sales_columns(), Compression::SNAPPY);
    let sales = |bytes: &[u8]| {
        let file = LoadFile::of_bytes("sales.parquet", bytes);
        plan(&revision, &request_of(Target::Cube("sales".into()), file, SALES))
    };
    assert!(sales(&bytes).is_ok());
    for length in 0..bytes.len() {
        assert!(sales(&bytes[..length]).is_err(), "{length} of {} bytes", bytes.len());
    }
    same(
        &sales(&bytes[..bytes.len() - 9]).expect_err("cut off").to_string(),
        "error: sales.parquet: it is no complete Parquet file: Invalid Parquet file. Corrupt footer\n  \
         = help: it may be cut off; write it again, or load it as CSV",
    );
}

/// A file with checksums, altered anywhere before its footer, is refused, or gives the rows that it gave:
/// the byte was about something else. The library panics on some of them.
#[test]
fn damaged_files_are_refused() {
    const MAP: &str = "[key]\nid = \"deal\"\n[dimensions]\ndate = { constant = \"2026-01-05\" }\n\
                       product = \"rep\"\n[measures]\nprice = \"amount\"\n";
    const STEP: usize = 5;
    let revision = shop();
    let path = Path::new(&std::env::var("CARGO_MANIFEST_DIR").expect("cargo runs tests"))
        .join("../tests/models/small/files/deals-pyarrow.parquet");
    let bytes = std::fs::read(path).expect("a file of the end-to-end tests");
    let deals = |bytes: &[u8]| {
        let file = LoadFile::of_bytes("deals.parquet", bytes);
        plan(&revision, &request_of(Target::Cube("sales".into()), file, MAP))
    };
    let whole = deals(&bytes).unwrap_or_else(|error| panic!("{error}"));
    let footer_bytes = bytes[bytes.len() - 8..].first_chunk().expect("a length");
    let footer = bytes.len() - 8 - u32::from_le_bytes(*footer_bytes) as usize;
    let mut refused = 0;
    for place in (0..bytes.len()).step_by(STEP) {
        let mut altered = bytes.clone();
        altered[place] ^= 0x55;
        match deals(&altered) {
            Ok(plan) if place < footer => {
                let changes = undigested(plan.changes);
                assert_eq!(changes, undigested(whole.changes.clone()), "byte {place}");
            }
            Ok(_) => {}
            Err(_) => refused += 1,
        }
    }
    assert!(refused * STEP > footer / 2, "{refused} refused, {footer} bytes before the footer");
}

#[test]
fn lookups_may_be_parquet() {
    let mut revision = shop();
    let people = file(vec![
        ("Id", column(Int64Array::from(vec![1, 2]))),
        ("Name", column(StringArray::from(vec!["Ann", "Ben"]))),
        ("Notes", column(BinaryArray::from(vec![&b"x"[..], &b"y"[..]]))),
    ]);
    let map = "[lookup.person]\nfile = \"people.parquet\"\nmatch = { Id = \"Person\" }\n\
               [members]\nkey = \"Id\"\nname = \"person.Name\"\n";
    let mut request = members("account", "Id,Person\nx,2\ny,3\n", map);
    request.lookups.insert("people.parquet".into(), people);
    load(&mut revision, &request);
    let id = revision.version.model.dimension("account").expect("account");
    let account = revision.version.dimension(id);
    let name = |key: &str| account.name(account.find(key).expect(key)).to_string();
    assert_eq!((name("x").as_str(), name("y").as_str()), ("Ben", "y"));
}
