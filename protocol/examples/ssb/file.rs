//! The rows as an Arrow file for other engines: names as dictionaries, numbers as narrow as they come.

use std::fs::File;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, Date32Array, DictionaryArray, Int32Array, Int64Array, RecordBatch, StringArray,
    UInt8Array, UInt16Array,
};
use arrow::datatypes::UInt16Type;
use arrow::error::ArrowError;
use arrow::ipc::writer::FileWriter;
use cube::value::{format_date, parse_date};

use crate::data::{self, Block, CALENDAR, DAYS, Dimensions, Levels};

const FIRST_YEAR: u16 = 1992;
const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// Writes all rows.
pub fn write(dimensions: &Dimensions, path: &Path) -> Result<(), ArrowError> {
    let names = Names::new();
    let mut writer = None;
    for block in dimensions.blocks() {
        let batch = names.batch(dimensions, &block)?;
        let writer = match &mut writer {
            Some(writer) => writer,
            none => {
                none.insert(FileWriter::try_new_buffered(File::create(path)?, &batch.schema())?)
            }
        };
        writer.write(&batch)?;
    }
    writer.map_or(Ok(()), |mut writer| writer.finish())
}

/// The columns of a day.
#[derive(Clone, Copy)]
struct Day {
    date: i32,
    year: u16,
    /// 199401.
    year_month: i32,
    /// Place among the calendar's months.
    month: u16,
    /// Weeks of seven days from the first of January, the first of them 1.
    week: u8,
}

impl Day {
    fn new(date: i32) -> Self {
        let text = format_date(date);
        let number = |part: Range<usize>| text[part].parse::<u16>().unwrap_or_default();
        let (year, month) = (number(0..4), number(5..7));
        let new_year = parse_date(&format!("{year}-01-01")).unwrap_or_default();
        Self {
            date,
            year,
            year_month: i32::from(year) * 100 + i32::from(month),
            month: (year - FIRST_YEAR) * 12 + month - 1,
            week: ((date - new_year) / 7 + 1) as u8,
        }
    }
}

/// What the codes of the columns stand for.
struct Names {
    places: Vec<ArrayRef>,
    products: Vec<ArrayRef>,
    months: ArrayRef,
    days: Vec<Day>,
}

impl Names {
    fn new() -> Self {
        let texts =
            |names: &Vec<String>| Arc::new(StringArray::from_iter_values(names)) as ArrayRef;
        let levels = |levels: Levels| levels.names.iter().map(texts).collect();
        let months =
            (FIRST_YEAR..).take(7).flat_map(|year| MONTHS.map(|month| format!("{month}{year}")));
        let first = parse_date(CALENDAR.0).unwrap_or_default();
        Self {
            places: levels(data::places()),
            products: levels(data::products()),
            months: texts(&months.collect()),
            days: (first..).take(DAYS as usize).map(Day::new).collect(),
        }
    }

    fn batch(&self, of: &Dimensions, block: &Block) -> Result<RecordBatch, ArrowError> {
        let days = || block.day.iter().map(|&day| self.days[usize::from(day)]);
        let number = |place: &u32| *place as i32 + 1;
        let mut columns: Vec<(String, ArrayRef)> = vec![
            ("lo_orderkey".into(), Arc::new(Int64Array::from(block.order.clone()))),
            ("lo_linenumber".into(), Arc::new(UInt8Array::from(block.line.clone()))),
            (
                "lo_orderdate".into(),
                Arc::new(Date32Array::from_iter_values(days().map(|d| d.date))),
            ),
            ("d_year".into(), Arc::new(UInt16Array::from_iter_values(days().map(|d| d.year)))),
            (
                "d_yearmonthnum".into(),
                Arc::new(Int32Array::from_iter_values(days().map(|d| d.year_month))),
            ),
            ("d_yearmonth".into(), dictionary(&self.months, days().map(|d| d.month))?),
            (
                "d_weeknuminyear".into(),
                Arc::new(UInt8Array::from_iter_values(days().map(|d| d.week))),
            ),
        ];
        let place = ["region", "nation", "city"];
        let product = ["mfgr", "category", "brand"];
        for (prefix, key, leaves, parents, names, levels) in [
            ("c", "custkey", &block.customer, &of.customer_city, &self.places, place),
            ("s", "suppkey", &block.supplier, &of.supplier_city, &self.places, place),
            ("p", "partkey", &block.part, &of.part_brand, &self.products, product),
        ] {
            let keys = Int32Array::from_iter_values(leaves.iter().map(number));
            columns.push((format!("{prefix}_{key}"), Arc::new(keys)));
            for (level, level_names) in levels.iter().zip(names) {
                // all members of a level have as many of the lowest level below them
                let below = names[names.len() - 1].len() / level_names.len();
                let parents = leaves.iter().map(|&leaf| parents[leaf as usize] as usize);
                let codes = parents.map(|parent| (parent / below) as u16);
                columns.push((format!("{prefix}_{level}"), dictionary(level_names, codes)?));
            }
        }
        let small = [
            ("lo_quantity", &block.quantity),
            ("lo_discount", &block.discount),
            ("lo_tax", &block.tax),
        ];
        let prices = [
            ("lo_extendedprice", &block.extended_price),
            ("lo_revenue", &block.revenue),
            ("lo_supplycost", &block.supply_cost),
        ];
        for (name, values) in small {
            columns.push((name.into(), Arc::new(UInt8Array::from(values.clone()))));
        }
        for (name, values) in prices {
            columns.push((name.into(), Arc::new(Int32Array::from(values.clone()))));
        }
        RecordBatch::try_from_iter(columns)
    }
}

fn dictionary(names: &ArrayRef, codes: impl Iterator<Item = u16>) -> Result<ArrayRef, ArrowError> {
    let codes = UInt16Array::from_iter_values(codes);
    Ok(Arc::new(DictionaryArray::<UInt16Type>::try_new(codes, Arc::clone(names))?))
}
