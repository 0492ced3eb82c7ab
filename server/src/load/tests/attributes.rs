//! Files of members with attributes that name members.

use cube::{AttributeId, Scalar};

use super::{LoadRequest, check, check_in, load, members, shop};

const MANAGER: AttributeId = AttributeId(0);
const FAVOURITE: AttributeId = AttributeId(1);

fn reps(csv: &str) -> LoadRequest {
    members("rep", csv, "")
}

#[test]
fn attributes_name_members_by_their_keys() {
    let mut revision = shop();
    let csv = "key,manager,favourite\nana,,1\nbob,ana, 03\neva,bob,g1\n";
    check(
        &reps(csv),
        "file.csv into dimension rep: 3 rows read, 3 members added, 0 changed, 0 as they were",
    );
    load(&mut revision, &reps(csv));
    let version = &revision.version;
    let rep = version.dimension(version.model.dimension("rep").expect("a dimension"));
    let value = |attribute, key: &str| {
        let value = rep.attribute(attribute, rep.find(key).expect(key))?;
        Some(value.format(cube::ValueType::Text))
    };
    assert_eq!(value(MANAGER, "ana"), None);
    assert_eq!(value(MANAGER, "eva").as_deref(), Some("bob"));
    // the key in its one spelling
    assert_eq!(value(FAVOURITE, "bob").as_deref(), Some("3"));
    assert_eq!(
        rep.attribute(MANAGER, rep.find("bob").expect("bob")),
        Some(&Scalar::Text("ana".into()))
    );
}

#[test]
fn members_that_are_not_there_yet_are_pending() {
    check(
        &reps("key,manager,favourite\nana,zoe,9\nbob,ana,99\neva,,3\n"),
        r#"
file.csv into dimension rep: 3 rows read, 3 members added, 0 changed, 0 as they were
  pending: 1 value names no member of rep yet in manager, such as "zoe"
  pending: 2 values name no member of product yet in favourite, such as "9"
"#,
    );
}

const DATED: &str = "[members]\nkey = \"Rep\"\nvalid_from = { column = \"From\", format = \"%d.%m.%Y\" }\n\
                     [attributes]\nmanager = \"Manager\"\nrate = \"Rate\"\n";

fn dated(csv: &str) -> LoadRequest {
    members("rep", csv, DATED)
}

/// The managers of a rep: undated, then each with the day.
fn managers(revision: &calc::Revision, key: &str) -> Vec<String> {
    let version = &revision.version;
    let rep = version.dimension(version.model.dimension("rep").expect("a dimension"));
    let id = rep.find(key).expect(key);
    let text = |value: Option<&Scalar>| match value {
        Some(value) => value.format(cube::ValueType::Text),
        None => "-".into(),
    };
    let dated = rep.dated(MANAGER, id).iter().map(|(from, value)| {
        format!("{} {}", cube::value::format_date(*from), text(value.as_ref()))
    });
    std::iter::once(text(rep.undated(MANAGER, id))).chain(dated).collect()
}

#[test]
fn rows_say_from_which_day_attributes_hold() {
    let mut revision = shop();
    load(&mut revision, &reps("key,manager\nana,\nbob,ana\n"));
    let csv = "Rep,From,Manager,Rate\nbob,01.07.2026,eva,0.5\nbob,01.01.2026,,0.25\n\
               eva,,ana,1\neva,01.03.2026,bob,1\nbob,01.07.2026,eva,0.5\n";
    check_in(
        &revision,
        &dated(csv),
        "file.csv into dimension rep: 5 rows read, 1 members added, 1 changed, 0 as they were; 6 dated values",
    );
    load(&mut revision, &dated(csv));
    assert_eq!(managers(&revision, "bob"), ["ana", "2026-01-01 -", "2026-07-01 eva"]);
    assert_eq!(managers(&revision, "eva"), ["ana", "2026-03-01 bob"]);
    // the same again changes nothing, another value from the same day takes its place
    check_in(
        &revision,
        &dated(csv),
        "file.csv into dimension rep: 5 rows read, 0 members added, 0 changed, 2 as they were",
    );
    let hash = revision.version.state_hash();
    load(&mut revision, &dated(csv));
    assert_eq!(revision.version.state_hash(), hash);
    load(&mut revision, &members("rep", "key,valid_from,manager\nbob,2026-07-01,zoe\n", ""));
    assert_eq!(managers(&revision, "bob"), ["ana", "2026-01-01 -", "2026-07-01 zoe"]);
    // a file without days sets the undated values
    load(&mut revision, &reps("key,manager\nbob,eva\n"));
    assert_eq!(managers(&revision, "bob"), ["eva", "2026-01-01 -", "2026-07-01 zoe"]);
}

#[test]
fn days_that_cannot_be_are_refused() {
    check(
        &dated("Rep,From,Manager,Rate\nbob,2026-01-01,,1\nana,01.01.2026,,1\nana,01.01.2026,,2\n"),
        r#"
error: file.csv: 2 of 3 rows cannot be placed; nothing was loaded
  row 2, From "2026-01-01": it is not a date of the form %d.%m.%Y
  row 4, key "ana": row 3 says otherwise from the same day on
"#,
    );
    check(
        &members("rep", "key,valid_from,manager\nbob,1.1.2026,\n", ""),
        r#"
error: file.csv: 1 of 1 row cannot be placed; nothing was loaded
  row 2, valid_from "1.1.2026": expected YYYY-MM-DD; format in the map reads other forms
"#,
    );
    check(
        &members("rep", "key,from\n", "[members]\nkey = \"key\"\nvalid_from = \"from\"\n"),
        r#"
error: valid_from is of attributes, and the map has no [attributes]
 --> map.toml:3:14
  |
3 | valid_from = "from"
  |              ^^^^^^
"#,
    );
}
