//! Keys have one canonical spelling, and members are found in any spelling that their type allows.

#[path = "support/settings.rs"]
mod settings;
#[path = "support/tenant.rs"]
mod tenant;

use cube::CubeError;
use cube::limits::KEY_BYTES_MAX;
use cube::model::DimensionDef;
use cube::value::{KeyPart, KeyType, format_date, parse_date};
use proptest::prelude::*;
use settings::cases;
use tenant::{Tenant, dimension};

#[track_caller]
fn check(key_type: KeyType, text: &str, expected: Option<&str>) {
    assert_eq!(key_type.canonical(text).ok().as_deref(), expected, "{key_type} {text:?}");
}

#[test]
fn integers_have_no_zeros_and_no_plus() {
    for text in ["7", "07", "+7", " 7 ", "0007"] {
        check(KeyType::Integer, text, Some("7"));
    }
    check(KeyType::Integer, "-0", Some("0"));
    for text in ["", "7.0", "7a", "0x7", "1e3", "٧"] {
        check(KeyType::Integer, text, None);
    }
}

#[test]
fn integers_have_the_range_of_their_type() {
    for (key_type, least, greatest) in [
        (KeyType::Smallint, i64::from(i16::MIN), i64::from(i16::MAX)),
        (KeyType::Integer, i64::from(i32::MIN), i64::from(i32::MAX)),
        (KeyType::Bigint, i64::MIN, i64::MAX),
    ] {
        for fits in [least, greatest, least / 2, 0] {
            check(key_type, &fits.to_string(), Some(&fits.to_string()));
        }
        check(key_type, &(i128::from(least) - 1).to_string(), None);
        check(key_type, &(i128::from(greatest) + 1).to_string(), None);
    }
}

#[test]
fn texts_are_composed_and_case_sensitive() {
    check(KeyType::Text, "cafe\u{301}", Some("caf\u{e9}"));
    check(KeyType::Text, "Café", Some("Café"));
    check(KeyType::Text, " a ", Some(" a "));
    check(KeyType::Text, "", None);
}

#[test]
fn dates_have_one_form() {
    check(KeyType::Date, "2012-02-29", Some("2012-02-29"));
    for text in [
        "2011-02-29",
        "2012-2-29",
        "2012-13-01",
        "2012-00-10",
        "20120229",
        "2012/02/29",
        "2012-02-29 ",
        "+012-02-29",
        "2012- 2-29",
    ] {
        check(KeyType::Date, text, None);
    }
}

#[test]
fn members_are_found_in_any_spelling_and_written_in_one() {
    let def = DimensionDef { key_type: KeyType::Integer, ..dimension("order") };
    let mut tenant = Tenant::new(vec![def, dimension("city")], Vec::new());
    tenant.members("order", &[("7", None)]).expect("canonical");
    tenant.members("city", &[("Gen\u{e8}ve", None)]).expect("canonical");
    assert!(tenant.dimension("order").resolve(" 007").is_ok());
    assert!(tenant.dimension("city").resolve("Gene\u{300}ve").is_ok());
    assert!(tenant.dimension("city").resolve("GEN\u{c8}VE").is_err());
    let before = tenant.hash();
    for (dimension, key) in
        [("order", "08"), ("city", "Gene\u{300}ve"), ("order", "x"), ("city", "")]
    {
        assert!(tenant.members(dimension, &[(key, None)]).is_err(), "{key:?}");
    }
    assert_eq!(tenant.hash(), before);
}

#[test]
fn keys_and_names_have_a_length() {
    let mut tenant = Tenant::new(vec![dimension("city")], Vec::new());
    let key = "k".repeat(KEY_BYTES_MAX);
    assert_eq!(tenant.members("city", &[(&key, None)]), Ok(()));
    let longer = "k".repeat(KEY_BYTES_MAX + 1);
    assert!(matches!(tenant.members("city", &[(&longer, None)]), Err(CubeError::Definition(_))));
}

proptest! {
    #![proptest_config(cases(300, "tests/keys.regressions"))]

    #[test]
    fn canonical_keys_stay_as_they_are(text in "\\PC{0,12}|[-+ 0-9]{0,22}|[0-9]{4}-[0-9]{2}-[0-9]{2}") {
        for key_type in [KeyType::Text, KeyType::Smallint, KeyType::Integer, KeyType::Bigint, KeyType::Date] {
            let Ok(canonical) = key_type.canonical(&text) else { continue };
            prop_assert_eq!(key_type.canonical(&canonical), Ok(canonical.clone()));
            let part = KeyPart::parse(key_type, &text).expect("it is canonical");
            prop_assert_eq!(part.format(key_type), canonical);
        }
    }

    #[test]
    fn dates_count_days(day in -700_000i32..2_900_000) {
        let text = format_date(day);
        if text.len() == 10 && !text.starts_with('-') {
            prop_assert_eq!(parse_date(&text), Some(day));
        }
    }
}
