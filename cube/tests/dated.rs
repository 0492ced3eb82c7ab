//! Values of attributes that hold from a day on.

#[path = "support/tenant.rs"]
mod tenant;

use cube::change::{DatedValue, DatedWrite};
use cube::model::{AttributeDef, DimensionDef, ModelChange};
use cube::value::parse_date;
use cube::{AttributeId, DimensionId, HierarchyId, Scalar, ValueType};
use tenant::{Tenant, amounts, dimension, parent_child};

const MANAGER: AttributeId = AttributeId(0);

fn day(text: &str) -> i32 {
    parse_date(text).expect(text)
}

fn text(value: &str) -> Option<Scalar> {
    Some(value).filter(|value| !value.is_empty()).map(|value| Scalar::Text(value.into()))
}

/// Reps with a manager; an empty value is blank.
fn tenant() -> Tenant {
    let manager = AttributeDef {
        member_of: Some("rep".into()),
        ..AttributeDef::new("manager", ValueType::Text)
    };
    let rep = DimensionDef { attributes: vec![manager], ..dimension("rep") };
    let mut tenant = Tenant::new(vec![rep], vec![amounts("quota", &["rep"], None)]);
    tenant.members("rep", &[("ana", None), ("bob", None), ("eva", None)]).expect("members");
    tenant
}

fn dated(values: &[(&str, &str, &str)]) -> DatedWrite {
    let value = |&(member, from, value): &(&str, &str, &str)| DatedValue {
        member: member.into(),
        valid_from: day(from),
        value: text(value),
    };
    let values = values.iter().map(value).collect();
    DatedWrite { dimension: DimensionId(0), attribute: MANAGER, values }
}

impl Tenant {
    fn dated(&mut self, values: &[(&str, &str, &str)]) -> cube::Result<()> {
        self.version = self.version.with_dated(&dated(values))?;
        Ok(())
    }

    #[track_caller]
    fn check(&self, member: &str, on: &str, expected: &str) {
        let rep = self.dimension("rep");
        let member = rep.find(member).expect(member);
        assert_eq!(rep.attribute_on(MANAGER, member, day(on)), text(expected).as_ref(), "{on}");
    }
}

#[test]
fn a_value_holds_until_the_next() {
    let mut tenant = tenant();
    tenant.attribute("rep", "eva", text("ana")).expect("undated");
    let values = [("eva", "2026-07-01", "bob"), ("bob", "2026-01-01", "ana")];
    tenant.dated(&values).expect("dated values");
    tenant.dated(&[("eva", "2026-04-01", ""), ("eva", "2026-09-01", "ana")]).expect("more");
    for (on, expected) in [
        ("1999-12-31", "ana"),
        ("2026-03-31", "ana"),
        ("2026-04-01", ""),
        ("2026-06-30", ""),
        ("2026-07-01", "bob"),
        ("2026-08-31", "bob"),
        ("2026-09-01", "ana"),
        ("2999-01-01", "ana"),
    ] {
        tenant.check("eva", on, expected);
    }
    tenant.check("bob", "2025-12-31", "");
    tenant.check("bob", "2026-01-01", "ana");
    tenant.check("ana", "2026-01-01", "");
    tenant.dated(&[("eva", "2026-07-01", "eva")]).expect("another value from the same day");
    tenant.check("eva", "2026-08-31", "eva");
    let rep = tenant.dimension("rep");
    let eva = rep.find("eva").expect("eva");
    assert_eq!(rep.dated(MANAGER, eva).len(), 3);
    assert_eq!(rep.undated(MANAGER, eva), text("ana").as_ref());
}

#[test]
fn without_a_day_the_latest_value_is_read() {
    let mut tenant = tenant();
    let plain = |tenant: &Tenant| {
        let rep = tenant.dimension("rep");
        rep.attribute(MANAGER, rep.find("eva").expect("eva")).cloned()
    };
    tenant.attribute("rep", "eva", text("ana")).expect("undated");
    assert_eq!(plain(&tenant), text("ana"));
    assert!(!tenant.dimension("rep").is_dated(MANAGER));
    tenant.dated(&[("eva", "2026-07-01", "bob"), ("eva", "2026-04-01", "eva")]).expect("dated");
    assert_eq!(plain(&tenant), text("bob"));
    tenant.attribute("rep", "eva", text("eva")).expect("undated");
    assert_eq!(plain(&tenant), text("bob"));
    tenant.dated(&[("eva", "2027-01-01", "")]).expect("blank in the end");
    assert_eq!(plain(&tenant), None);
    assert!(tenant.dimension("rep").is_dated(MANAGER));
}

#[test]
fn the_hash_is_of_the_values_whatever_their_order() {
    let mut seen = std::collections::BTreeSet::from([tenant().hash()]);
    for value in [
        ("eva", "2026-01-01", "ana"),
        ("bob", "2026-01-01", "ana"),
        ("eva", "2026-01-02", "ana"),
        ("eva", "2026-01-01", "bob"),
        ("eva", "2026-01-01", ""),
    ] {
        let mut tenant = tenant();
        tenant.dated(&[value]).expect("a dated value");
        assert!(seen.insert(tenant.hash()), "{value:?} has the hash of another state");
    }
    let (a, b) = (("eva", "2026-01-01", "ana"), ("eva", "2026-02-01", "bob"));
    let [mut one, mut other] = [tenant(), tenant()];
    one.dated(&[a, b]).expect("both");
    other.dated(&[("eva", "2026-01-01", "eva"), b]).expect("the second");
    other.attribute("rep", "eva", text("ana")).expect("undated");
    other.dated(&[a]).expect("the first");
    assert_ne!(one.hash(), other.hash());
    other.attribute("rep", "eva", None).expect("undated");
    assert_eq!(one.hash(), other.hash());
}

#[test]
fn dated_values_that_cannot_be_are_refused() {
    let mut tenant = tenant();
    let error = tenant.dated(&[("evi", "2026-01-01", "ana")]).expect_err("no such member");
    assert_eq!(error.hint().as_deref(), Some("did you mean eva?"));
    let write = dated(&[("eva", "2026-01-01", "ana")]);
    let refused = |write: DatedWrite| {
        let error = tenant.version.with_dated(&write).expect_err("refused");
        assert_eq!(error.sqlstate(), "XX000", "{error}");
    };
    refused(DatedWrite { attribute: AttributeId(1), ..write.clone() });
    refused(DatedWrite { dimension: DimensionId(1), ..write.clone() });
    let value = |valid_from, value| DatedValue { member: "eva".into(), valid_from, value };
    refused(DatedWrite { values: vec![value(0, Some(Scalar::Stored(1)))], ..write.clone() });
    refused(DatedWrite { values: vec![value(i32::MAX, None)], ..write });
}

#[test]
fn a_later_attribute_can_be_dated_and_members_added_after() {
    let mut tenant = tenant();
    let attribute = AttributeDef::new("rate", ValueType::Integer);
    let change = ModelChange::AddAttribute { dimension: "rep".into(), attribute };
    tenant.model(change).expect("an attribute");
    let value = DatedValue { member: "eva".into(), valid_from: 0, value: Some(Scalar::Stored(7)) };
    let write =
        DatedWrite { dimension: DimensionId(0), attribute: AttributeId(1), values: vec![value] };
    tenant.version = tenant.version.with_dated(&write).expect("a dated value");
    tenant.members("rep", &[("zoe", None)]).expect("another member");
    let rep = tenant.dimension("rep");
    let [eva, zoe] = ["eva", "zoe"].map(|key| rep.find(key).expect(key));
    assert_eq!(rep.attribute_on(AttributeId(1), eva, 0), Some(&Scalar::Stored(7)));
    assert_eq!(rep.attribute_on(AttributeId(1), eva, -1), None);
    assert_eq!(rep.attribute_on(AttributeId(1), zoe, 0), None);
}

#[test]
fn weights_are_the_latest() {
    let dimensions = vec![parent_child("account", ValueType::Integer)];
    let mut tenant = Tenant::new(dimensions, vec![amounts("plan", &["account"], None)]);
    tenant.members("account", &[("net", None), ("costs", Some("net"))]).expect("members");
    let value = Some(Scalar::Stored(-1));
    let values = vec![DatedValue { member: "costs".into(), valid_from: 0, value }];
    let write = DatedWrite { dimension: DimensionId(0), attribute: AttributeId(0), values };
    tenant.version = tenant.version.with_dated(&write).expect("a dated weight");
    let weights = tenant.dimension("account").shape(HierarchyId(0)).weights.as_ref();
    assert_eq!(weights.expect("a weighted hierarchy").own, [1, -1]);
}
