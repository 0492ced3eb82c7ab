//! Files of cubes that use a dimension at a level above its leaves.

use cube::Version;

use super::{LoadRequest, Target, check, load, request, shop};

fn plan(csv: &str, map: &str) -> LoadRequest {
    request(Target::Cube("plan".into()), csv, map)
}

fn stored_keys(version: &Version) -> Vec<[String; 2]> {
    let cube = version.model.cube("plan").expect("the cube");
    let rows = version.rows(cube).all(version.empty_rows(cube));
    let dimensions = &version.model.cube_def(cube).dimensions;
    let key = |row: usize, at: usize| {
        version.dimension(dimensions[at]).key(rows.coordinates[at][row]).to_string()
    };
    (0..rows.len()).map(|row| [key(row, 0), key(row, 1)]).collect()
}

#[test]
fn a_file_names_the_members_of_the_level() {
    let expected = r#"
file.csv into cube plan: 2 rows read, 2 loaded
  target: source total 12.50 = loaded total 12.50 in 2 values
"#;
    check(&plan("date,product,target\n2026-01,g1,5\n2026-02,g2,7.5\n", ""), expected);
    let map = "[dimensions]\ndate = { text = \"{Year}-{Month}\" }\nproduct = \"Group\"\n\
               [measures]\ntarget = \"Target\"\n";
    check(&plan("Year,Month,Group,Target\n2026,01,g1,5\n2026,02,g2,7.5\n", map), expected);
}

#[test]
fn a_leaf_is_not_taken_for_its_level() {
    check(
        &plan(
            "date,product,target\n2026-01-05,g1,5\n2026-01,1,5\n2026,g1,5\n2026-13,g1,5\n2031-01-01,g1,5\n",
            "",
        ),
        r#"
error: file.csv: 5 of 5 rows cannot be placed; nothing was loaded
  row 2, date "2026-01-05": "2026-01-05" is not a valid month of dimension date: it is on level day, and the cube is at month; level = "month" in the map takes the month it is in
  row 3, product "1": "1" is not a valid group of dimension product: it is on level product, and the cube is at group; level = "group" in the map takes the group it is in
  row 4, date "2026": "2026" is not a valid month of dimension date: it is on level year, and the cube is at month
  row 5, date "2026-13": member "2026-13" of dimension date does not exist; did you mean 2026-01, 2026-03, 2026-02?; the cube is at month
  row 6, date "2031-01-01": 2031-01-01 is outside the calendar of date, which runs from 2026-01-01 to 2026-03-31; the cube is at month
"#,
    );
}

#[test]
fn a_map_takes_leaves_to_their_level() {
    let map = "[dimensions]\n\
               date = { column = \"Day\", format = \"%d.%m.%Y\", level = \"month\" }\n\
               product = { column = \"Product\", level = \"group\" }\n\
               [measures]\ntarget = \"Target\"\n";
    let csv = "Day,Product,Target\n05.01.2026,1,5\n28.02.2026, 03,7.5\n";
    let mut revision = shop();
    load(&mut revision, &plan(csv, map));
    let expected = [["2026-01", "g1"], ["2026-02", "g2"]];
    assert_eq!(stored_keys(&revision.version), expected);
    // two leaves of one member are not added up silently
    check(
        &plan("Day,Product,Target\n05.01.2026,1,5\n06.01.2026,2,6\n", map),
        r#"
error: file.csv: 1 of 2 rows cannot be placed; nothing was loaded
  row 3, date, product "2026-01, g1": the coordinate stands in row 2 already
"#,
    );
    check(
        &plan("Day,Product,Target\n06.01.2026,2,6\n07.01.2026,g2,6\n", map),
        r#"
error: file.csv: 1 of 2 rows cannot be placed; nothing was loaded
  row 3, Product "g2": "g2" is not a valid leaf member of dimension product: it is a consolidated member; facts go to its leaves
"#,
    );
}

#[test]
fn a_map_names_the_level_of_the_cube() {
    let map = "[dimensions]\ndate = { column = \"Day\", level = \"quarter\" }\nproduct = \"Group\"\n\
               [measures]\ntarget = \"Target\"\n";
    check(
        &plan("Day,Group,Target\n", map),
        r#"
error: cube plan is at month of date, and the map says "quarter"
 --> map.toml:2:8
  |
2 | date = { column = "Day", level = "quarter" }
  |        ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
"#,
    );
    let map = map
        .replace("quarter", "month")
        .replace("\"Target\"", "{ column = \"Target\", level = \"month\" }");
    check(
        &plan("Day,Group,Target\n", &map),
        r#"
error: level goes with a dimension that the cube uses at a level
 --> map.toml:5:10
  |
5 | target = { column = "Target", level = "month" }
  |          ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
"#,
    );
}
