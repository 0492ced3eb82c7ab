//! Calendars: days, months, quarters, years, and fiscal years named after the year in which they end.

#[path = "support/tenant.rs"]
mod tenant;

use cube::HierarchyId;
use cube::dimension::Dimension;
use cube::model::{CalendarDef, DimensionDef, ModelChange};
use cube::value::KeyType;
use tenant::{Tenant, dimension};

const CALENDAR: HierarchyId = HierarchyId(0);
const FISCAL: HierarchyId = HierarchyId(1);

fn calendar(start: &str, end: &str, fiscal_start_month: Option<u32>) -> DimensionDef {
    let calendar = CalendarDef { start: start.into(), end: end.into(), fiscal_start_month };
    DimensionDef { key_type: KeyType::Date, calendar: Some(calendar), ..dimension("date") }
}

fn tenant(start: &str, end: &str, fiscal_start_month: Option<u32>) -> Tenant {
    Tenant::new(vec![calendar(start, end, fiscal_start_month)], Vec::new())
}

/// A day and the periods it is in, from the day up.
fn path(date: &Dimension, hierarchy: HierarchyId, day: &str) -> Vec<String> {
    let day = date.find(day).expect("the day is in the calendar");
    let up = |&member: &cube::MemberId| date.parent(hierarchy, member);
    std::iter::successors(Some(day), up).map(|member| date.key(member).to_string()).collect()
}

#[track_caller]
fn check_fiscal(first_month: u32, day: &str, expected: [&str; 3]) {
    let tenant = tenant("2010-01-01", "2013-12-31", Some(first_month));
    assert_eq!(path(tenant.dimension("date"), FISCAL, day)[1..], expected);
}

#[test]
fn days_are_in_months_quarters_and_years() {
    let tenant = tenant("2011-01-01", "2012-12-31", None);
    let date = tenant.dimension("date");
    assert_eq!(path(date, CALENDAR, "2011-08-15"), ["2011-08-15", "2011-08", "2011-Q3", "2011"]);
    assert_eq!(path(date, CALENDAR, "2012-12-31"), ["2012-12-31", "2012-12", "2012-Q4", "2012"]);
    assert_eq!(date.member_count(), 365 + 366 + 24 + 8 + 2);
    assert!(date.def.hierarchy("fiscal").is_err());
}

#[test]
fn leap_years_have_a_leap_day() {
    for (year, leaps) in [(1900, false), (2000, true), (2011, false), (2012, true), (2100, false)] {
        let tenant = tenant(&format!("{year}-01-01"), &format!("{year}-12-31"), None);
        let leap_day = format!("{year}-02-29");
        assert_eq!(tenant.dimension("date").find(&leap_day).is_some(), leaps, "{year}");
    }
}

#[test]
fn fiscal_years_are_named_after_their_end() {
    check_fiscal(7, "2011-06-30", ["2011-06", "FY2011-Q4", "FY2011"]);
    check_fiscal(7, "2011-07-01", ["2011-07", "FY2012-Q1", "FY2012"]);
    check_fiscal(7, "2012-01-01", ["2012-01", "FY2012-Q3", "FY2012"]);
    check_fiscal(4, "2012-03-31", ["2012-03", "FY2012-Q4", "FY2012"]);
    check_fiscal(4, "2012-04-01", ["2012-04", "FY2013-Q1", "FY2013"]);
    check_fiscal(12, "2011-12-01", ["2011-12", "FY2012-Q1", "FY2012"]);
    check_fiscal(12, "2011-11-30", ["2011-11", "FY2011-Q4", "FY2011"]);
    check_fiscal(2, "2012-01-31", ["2012-01", "FY2012-Q4", "FY2012"]);
    check_fiscal(1, "2012-01-31", ["2012-01", "FY2012-Q1", "FY2012"]);
}

#[test]
fn fiscal_years_read_as_numbers() {
    let tenant = tenant("2011-01-01", "2011-12-31", Some(7));
    let date = tenant.dimension("date");
    let year = date.find("FY2012").expect("the second half is in it");
    assert_eq!(date.name(year), "2012");
    let columns: Vec<&str> =
        date.level_columns().iter().map(|column| column.name.as_str()).collect();
    assert_eq!(columns, ["year", "quarter", "month", "day", "fiscal_year", "fiscal_quarter"]);
}

#[test]
fn only_days_hold_facts_and_days_are_in_order() {
    let tenant = tenant("2011-12-30", "2012-01-02", Some(7));
    let date = tenant.dimension("date");
    let days: Vec<_> = date.members().filter(|&member| date.holds_facts(member)).collect();
    let keys: Vec<&str> = days.iter().map(|&day| date.key(day)).collect();
    assert_eq!(keys, ["2011-12-30", "2011-12-31", "2012-01-01", "2012-01-02"]);
    assert!(days.windows(2).all(|pair| date.order(pair[0]) < date.order(pair[1])));
}

#[test]
fn calendars_that_cannot_be_are_refused() {
    let check = |def: DimensionDef, part: &str| {
        let message =
            Tenant::default().model(ModelChange::AddDimension(def)).expect_err(part).to_string();
        assert!(message.contains(part), "{message}");
    };
    check(calendar("2012-01-02", "2012-01-01", None), "ends before it starts");
    check(calendar("2011-02-29", "2012-01-01", None), "not of the form YYYY-MM-DD");
    check(calendar("2012-01-01", "2012-01-01", Some(13)), "fiscal_start_month is 1 to 12");
    check(calendar("2012-01-01", "2012-01-01", Some(0)), "fiscal_start_month is 1 to 12");
    check(calendar("1000-01-01", "2999-01-01", None), "over 1000 years");
    check(
        DimensionDef { key_type: KeyType::Text, ..calendar("2012-01-01", "2012-01-01", None) },
        "key_type is date",
    );
}
