//! Dimensions of cubes: at a level, and more of them.

use super::*;

#[test]
fn a_cube_uses_a_dimension_at_a_level() {
    let at = |axis: &str| format!("[\"{axis}\", \"product\"]");
    let days = "[\"date\", \"product\"]";
    let months = shop_with("cubes/sales.toml", days, &at("date.month"));
    let revision = applied(&Revision::default(), &months);
    same(&shown(&revision, &months), "");
    let cube = revision.version.model.cubes[0].clone();
    assert!(cube.levels[0].is_some() && cube.levels[1].is_none());
    same(
        &shown(&revision, &shop()),
        r#"
error: cube "sales": dimensions is ["date.month", "product"] in the tenant and ["date", "product"] in the file
 --> cubes/sales.toml:3:14
  |
3 | dimensions = ["date", "product"]
  |              ^^^^^^^^^^^^^^^^^^^
  = help: dimensions that a cube has stay in their order; others are added behind them
"#,
    );
    check(
        "cubes/sales.toml",
        days,
        &at("date.months"),
        r#"
error: level "months" does not exist
 --> cubes/sales.toml:3:15
  |
3 | dimensions = ["date.months", "product"]
  |               ^^^^^^^^^^^^^
  = help: did you mean month?
"#,
    );
    check(
        "dimensions/product.toml",
        "[[level]]\nname = \"group\"",
        "[[level]]\nname = \"brand\"\n[[level]]\nname = \"group\"",
        &shown(&Revision::default(), &shop()),
    );
}

/// A folder whose sales have one more dimension.
fn with_scenarios(dimensions: &str) -> ModelFiles {
    let mut files =
        shop_with("cubes/sales.toml", "dimensions = [\"date\", \"product\"]", dimensions);
    let scenario = "name = \"scenario\"\n[[attribute]]\nname = \"note\"\ntype = \"text\"\n";
    files.files.insert("dimensions/scenario.toml".into(), scenario.into());
    files
}

#[test]
fn a_cube_with_cells_gets_a_dimension() {
    let same_as_before = "dimensions = [\"date\", \"product\"]";
    let more = "dimensions = [\"date\", \"product\", \"scenario\"]";
    let said = format!("{more}\nearlier_rows = {{ scenario = \"actual\" }}");
    let revision = applied(&Revision::default(), &with_scenarios(same_as_before));
    // an empty cube needs nothing said
    same(&shown(&revision, &with_scenarios(more)), "+ dimension scenario of sales");
    let product = |key: &str, level| MemberWrite {
        key: key.into(),
        level: Some(cube::LevelId(level)),
        ..MemberWrite::default()
    };
    let product = MembersWrite {
        dimension: cube::DimensionId(1),
        first_new: MemberId(0),
        members: vec![product("bell", 1)],
    };
    let scenario = MemberWrite { key: "actual".into(), ..MemberWrite::default() };
    let scenario = MembersWrite {
        dimension: cube::DimensionId(2),
        first_new: MemberId(0),
        members: vec![scenario],
    };
    let day = revision.version.dimensions[0].find("2026-01-01").expect("a day");
    let cell = RowsWrite {
        cube: cube::CubeId(0),
        action: RowsAction::Set,
        measures: vec![cube::MeasureId(0)],
        keys: Vec::new(),
        coordinates: vec![day, MemberId(0)],
        values: vec![Some(5)].into(),
    };
    let changes = [Change::Members(product), Change::Members(scenario), Change::Rows(cell)];
    let revision = revision.apply(&changes).expect("a cell").0;
    same(
        &shown(&revision, &with_scenarios(more)),
        r#"
error: cube "sales" has rows: it must be said which member of scenario they are of
 --> cubes/sales.toml:3:34
  |
3 | dimensions = ["date", "product", "scenario"]
  |                                  ^^^^^^^^^^
  = help: add a line behind dimensions: earlier_rows = { scenario = "KEY" }
"#,
    );
    same(
        &shown(&revision, &with_scenarios(&said.replace("actual", "actuals"))),
        r#"
error: member "actuals" does not exist
 --> cubes/sales.toml:4:29
  |
4 | earlier_rows = { scenario = "actuals" }
  |                             ^^^^^^^^^
  = help: did you mean actual?
"#,
    );
    same(
        &shown(&revision, &with_scenarios(&said.replace("{ scenario", "{ scenarios"))),
        r#"
error: earlier_rows: the cube has no dimension "scenarios"
 --> cubes/sales.toml:4:30
  |
4 | earlier_rows = { scenarios = "actual" }
  |                              ^^^^^^^^
  = help: its dimensions are date, product, scenario
"#,
    );
    let files = with_scenarios(&said);
    same(&shown(&revision, &files), "+ dimension scenario of sales (earlier rows: actual)");
    let revision = applied(&revision, &files);
    same(&shown(&revision, &files), "");
    same(&shown(&revision, &with_scenarios(more)), "");
}
