//! Rows that say their day in a measure are aggregated into months; what is looked up at a named member
//! does not vary over its dimension.

#[path = "support/shop.rs"]
mod shop;

use calc::Revision;
use cube::change::{RowsAction, RowsWrite};
use cube::model::{CalendarDef, CubeKind, ModelChange};
use cube::value::{KeyPart, KeyType};
use cube::{Change, CubeId, MeasureId, MemberId, ValueType};

fn model() -> Revision {
    let item = shop::dimension("item", KeyType::Text, None);
    let mut date = shop::dimension("date", KeyType::Date, None);
    date.calendar = Some(CalendarDef {
        start: "2024-01-01".into(),
        end: "2024-12-31".into(),
        fiscal_start_month: None,
    });
    let mut deals = shop::cube("deals", CubeKind::Records, &["item"], &["amount", "due"]);
    deals.measures[1].value_type = ValueType::Date;
    deals.measures[1].consolidation = cube::model::Consolidation::None;
    let plan =
        shop::cube("plan", CubeKind::Cells, &["item", "date.month"], &["booked", "first", "share"]);
    let members = ["car", "bike"]
        .map(|key| cube::change::MemberWrite { key: key.into(), ..Default::default() });
    let formula = |target: &str, text: &str| {
        Change::Model(ModelChange::SetFormula(shop::formula(target, text)))
    };
    let changes = [
        Change::Model(ModelChange::AddDimension(item)),
        Change::Model(ModelChange::AddDimension(date)),
        Change::Model(ModelChange::AddCube(deals)),
        Change::Model(ModelChange::AddCube(plan)),
        Change::Members(cube::change::MembersWrite {
            dimension: cube::DimensionId(0),
            first_new: MemberId(0),
            members: members.to_vec(),
        }),
        formula("plan.booked", "deals.amount[BY SUM: item, MONTH(deals.due)]"),
        formula("plan.first", "LOOKUP(booked, item: \"car\")[ADD CONSTANT: item]"),
        formula("plan.share", "booked / LOOKUP(booked, item: \"car\")"),
    ];
    Revision::default().apply(&changes).expect("the model is right").0
}

fn write(revision: &Revision, key: &str, item: u32, amount: i64, day: &str) -> Revision {
    let day = cube::value::parse_date(day).expect("a day");
    let row = RowsWrite {
        cube: CubeId(0),
        action: RowsAction::Set,
        measures: vec![MeasureId(0), MeasureId(1)],
        keys: vec![KeyPart::Text(key.into())],
        coordinates: vec![MemberId(item)],
        values: vec![Some(amount * 10_000), Some(i64::from(day))].into(),
    };
    revision.apply(&[Change::Rows(row)]).expect("is written").0
}

fn value(revision: &Revision, item: u32, month: &str, measure: usize) -> Option<i64> {
    let month = revision.version.dimension(cube::DimensionId(1)).find(month).expect("a month");
    let rows = revision.version.rows(CubeId(1));
    rows.value(rows.find_at(&[MemberId(item), month])?, measure).map(|value| value / 10_000)
}

#[test]
fn a_date_that_a_row_says_leads_to_its_month() {
    let revision = write(&model(), "d1", 0, 100, "2024-03-05");
    let revision = write(&revision, "d2", 1, 40, "2024-03-20");
    assert_eq!(value(&revision, 0, "2024-03", 0), Some(100));
    let moved = write(&revision, "d1", 0, 100, "2024-04-01");
    assert_eq!(value(&moved, 0, "2024-03", 0), None);
    assert_eq!(value(&moved, 0, "2024-04", 0), Some(100));
}

#[test]
fn a_looked_up_member_is_not_a_dimension_of_the_result() {
    let revision = write(&model(), "d1", 0, 100, "2024-03-05");
    let revision = write(&revision, "d2", 1, 200, "2024-03-20");
    assert_eq!(value(&revision, 1, "2024-03", 1), Some(100), "the car's, beside the bike");
    assert_eq!(value(&revision, 1, "2024-03", 2), Some(2));
}
