//! Cases of model files, each with the exact answer.

use calc::Revision;
use calc::branches::Alone;
use cube::change::{MemberWrite, MembersWrite, RowsAction, RowsWrite};
use cube::{Change, MemberId};

mod dimensions;
mod units;

use super::{ModelFiles, describe, difference, read_folder};

const MODEL: [(&str, &str); 5] = [
    ("model.toml", "name = \"shop\"\n"),
    (
        "dimensions/date.toml",
        "name = \"date\"\nkey_type = \"date\"\n[calendar]\nstart = 2026-01-01\nend = \"2026-03-31\"\n",
    ),
    (
        "dimensions/product.toml",
        "name = \"product\"\n[[attribute]]\nname = \"price\"\ntype = \"decimal(9,2)\"\n\
         [[level]]\nname = \"group\"\n[[level]]\nname = \"product\"\n\
         [[hierarchy]]\nname = \"group\"\nlevels = [\"group\", \"product\"]\n",
    ),
    (
        "cubes/sales.toml",
        "name = \"sales\"\nkind = \"cells\"\ndimensions = [\"date\", \"product\"]\n\
         [[measure]]\nname = \"units\"\ntype = \"integer\"\n\
         [[measure]]\nname = \"revenue\"\ntype = \"decimal(18,2)\"\n\
         [[measure]]\nname = \"cost\"\ntype = \"decimal(18,2)\"\n\
         [[measure]]\nname = \"margin\"\ntype = \"decimal(18,6)\"\nconsolidation = \"formula\"\n",
    ),
    (
        "rules/sales.toml",
        "[[formula]]\ntarget = \"sales.margin\"\ntext = \"1 - cost / revenue\"\n\n\
         [[formula]]\ntarget = \"sales.revenue\"\ntext = \"units * product.price\"\n",
    ),
];

fn shop() -> ModelFiles {
    let files = MODEL.iter().map(|(path, text)| ((*path).to_string(), (*text).to_string()));
    ModelFiles { files: files.collect() }
}

/// The shop with one file's text changed: every `from` becomes `to`. No path: as it is.
fn shop_with(path: &str, from: &str, to: &str) -> ModelFiles {
    let mut files = shop();
    if let Some(text) = files.files.get_mut(path) {
        assert!(text.contains(from), "{path} has {from:?}");
        *text = text.replace(from, to);
    }
    files
}

fn applied(revision: &Revision, files: &ModelFiles) -> Revision {
    let changes = difference(revision, &Alone, files).unwrap_or_else(|error| panic!("{error}"));
    let changes: Vec<Change> = changes.into_iter().map(Change::Model).collect();
    revision.apply(&changes).unwrap_or_else(|error| panic!("{error}")).0
}

/// Compares texts by their lines.
fn same(found: &str, expected: &str) {
    assert_eq!(found.trim(), expected.trim(), "\n{found}\n");
}

/// What applying files would do, or what is wrong with them.
fn shown(revision: &Revision, files: &ModelFiles) -> String {
    match difference(revision, &Alone, files) {
        Ok(changes) => changes.iter().map(describe).collect::<Vec<_>>().join("\n"),
        Err(error) => error.to_string(),
    }
}

/// Files over an empty tenant.
fn check(path: &str, from: &str, to: &str, expected: &str) {
    let found = shown(&Revision::default(), &shop_with(path, from, to));
    same(&found, expected);
}

/// Files over a tenant that has the shop.
fn check_later(path: &str, from: &str, to: &str, expected: &str) {
    let revision = applied(&Revision::default(), &shop());
    let found = shown(&revision, &shop_with(path, from, to));
    same(&found, expected);
}

#[test]
fn a_new_model_is_all_additions() {
    check(
        "",
        "",
        "",
        r#"
~ model shop
+ dimension date (calendar 2026-01-01 to 2026-03-31)
+ dimension product (hierarchy group; 1 attribute)
+ cube sales (cells by date, product; 4 measures)
~ formula sales.margin = 1 - cost / revenue
~ formula sales.revenue = units * product.price
"#,
    );
}

#[test]
fn what_is_applied_is_no_difference() {
    check_later("", "", "", "");
    check_later("cubes/sales.toml", "\n", "\r\n", "");
    // the order of measures is not a difference
    let measure = "[[measure]]\nname = \"cost\"\ntype = \"decimal(18,2)\"\n";
    let text = MODEL[3].1.replace(measure, "") + measure;
    check_later("cubes/sales.toml", MODEL[3].1, &text, "");
}

#[test]
fn the_consolidation_of_a_text_need_not_be_said() {
    let cost = "[[measure]]\nname = \"cost\"";
    let note = "[[measure]]\nname = \"note\"\ntype = \"text\"\n";
    let files = shop_with("cubes/sales.toml", cost, &format!("{note}{cost}"));
    let revision = applied(&Revision::default(), &files);
    let said = format!("{note}consolidation = \"none\"\n{cost}");
    let files = shop_with("cubes/sales.toml", cost, &said);
    same(&shown(&revision, &files), "");
}

#[test]
fn additions_and_formulas_are_applied_to_what_exists() {
    check_later("model.toml", "\n", "\ndescription = \"Sells\"", "~ model shop: Sells");
    let attribute = "[[attribute]]\nname = \"color\"\ntype = \"text\"\n[[level]]\nname = \"group\"";
    check_later(
        "dimensions/product.toml",
        "[[level]]\nname = \"group\"",
        attribute,
        "+ attribute product.color (text)",
    );
    check_later(
        "dimensions/product.toml",
        "levels = [\"group\", \"product\"]\n",
        "levels = [\"group\", \"family\", \"product\"]\n[[level]]\nname = \"family\"\n[[level]]\nname = \"brand\"\n\
         [[hierarchy]]\nname = \"brand\"\nlevels = [\"brand\", \"product\"]\n",
        "~ hierarchies of product (group: group, family, product; brand: brand, product)",
    );
    let measure =
        "[[measure]]\nname = \"returns\"\ntype = \"integer\"\n[[measure]]\nname = \"cost\"";
    check_later(
        "cubes/sales.toml",
        "[[measure]]\nname = \"cost\"",
        measure,
        "+ measure sales.returns (integer)",
    );
    check_later(
        "rules/sales.toml",
        "1 - cost / revenue",
        "(revenue - cost) / revenue",
        "~ formula sales.margin = (revenue - cost) / revenue",
    );
    let one = "[[formula]]\ntarget = \"sales.revenue\"\ntext = \"units * product.price\"\n";
    check_later("rules/sales.toml", one, "", "- formula sales.revenue");
    let grain = "\"1 - cost / revenue\"\nat_or_above = { date = \"month\" }";
    check_later(
        "rules/sales.toml",
        "\"1 - cost / revenue\"",
        grain,
        "~ formula sales.margin = 1 - cost / revenue, date at or above month",
    );
}

#[test]
fn formulas_of_one_folder_are_judged_together() {
    let revision = applied(&Revision::default(), &shop());
    let mut files = shop();
    let text = "[[formula]]\ntarget = \"sales.cost\"\ntext = \"revenue / 2\"\n\n";
    let rules = files.files.get_mut("rules/sales.toml").expect("it is there");
    rules.insert_str(0, text);
    let revision = applied(&revision, &files);
    // revenue read units and cost read revenue; now it is the other way round
    let turned = "[[formula]]\ntarget = \"sales.revenue\"\ntext = \"cost * 2\"\n\n\
                  [[formula]]\ntarget = \"sales.cost\"\ntext = \"units * 3\"\n\n\
                  [[formula]]\ntarget = \"sales.margin\"\ntext = \"1 - cost / revenue\"\n";
    files.files.insert("rules/sales.toml".into(), turned.into());
    assert_eq!(
        shown(&revision, &files),
        "~ formula sales.revenue = cost * 2\n~ formula sales.cost = units * 3"
    );
    assert_eq!(shown(&applied(&revision, &files), &files), "");
    // each alone would need itself beside one of before
    let pair = |revenue: &str, cost: &str| {
        let mut files = shop();
        let text = format!(
            "[[formula]]\ntarget = \"sales.revenue\"\ntext = \"{revenue}\"\n\n\
             [[formula]]\ntarget = \"sales.cost\"\ntext = \"{cost}\"\n\n\
             [[formula]]\ntarget = \"sales.margin\"\ntext = \"1 - cost / revenue\"\n"
        );
        files.files.insert("rules/sales.toml".into(), text);
        files
    };
    let earlier = pair("PREVIOUS(cost) + units", "revenue - units");
    let later = pair("LAG(cost, 2) + units", "LEAD(revenue, 1) - units");
    let revision = applied(&applied(&revision, &earlier), &later);
    assert_eq!(shown(&applied(&revision, &earlier), &earlier), "");
}

#[test]
fn a_text_that_cannot_be_read_is_shown() {
    check(
        "model.toml",
        "\"shop\"",
        "\"shop",
        r#"
error: invalid basic string, expected `"`
 --> model.toml:1:13
  |
1 | name = "shop
  |             ^
"#,
    );
    check(
        "model.toml",
        "name",
        "nam",
        r#"
error: unknown field `nam`, expected `name` or `description`
 --> model.toml:1:1
  |
1 | nam = "shop"
  | ^^^
"#,
    );
    check(
        "model.toml",
        "shop",
        "My shop",
        r#"
error: model name "My shop": names are lower-case letters, digits and _, start with a letter and have at most 63 characters
 --> model.toml:1:8
  |
1 | name = "My shop"
  |        ^^^^^^^^^
"#,
    );
    check(
        "cubes/sales.toml",
        "cells",
        "cell",
        r#"
error: unknown variant `cell`, expected `cells` or `records`
 --> cubes/sales.toml:2:8
  |
2 | kind = "cell"
  |        ^^^^^^
"#,
    );
    check(
        "cubes/sales.toml",
        "\"integer\"",
        "\"decimal(20,2)\"",
        r#"
error: decimal(20,2): a decimal has 1 to 18 digits, of which at most all are after the point
 --> cubes/sales.toml:6:8
  |
6 | type = "decimal(20,2)"
  |        ^^^^^^^^^^^^^^^
"#,
    );
    check(
        "dimensions/product.toml",
        "levels",
        "level_names",
        r#"
error: unknown field `level_names`, expected one of `name`, `kind`, `levels`, `weight`, `same_as`
  --> dimensions/product.toml:11:1
   |
11 | level_names = ["group", "product"]
   | ^^^^^^^^^^^
"#,
    );
    check(
        "rules/sales.toml",
        "[[formula]]\ntarget = \"sales.r",
        "[[formulas]]\ntarget = \"sales.r",
        r#"
error: unknown field `formulas`, expected `formula`
 --> rules/sales.toml:5:3
  |
5 | [[formulas]]
  |   ^^^^^^^^
"#,
    );
    check(
        "dimensions/date.toml",
        "2026-01-01",
        "2026-02-30",
        r#"
error: invalid date, expected day between 01 and 28
 --> dimensions/date.toml:4:9
  |
4 | start = 2026-02-30
  |         ^^^^^^^^^^
"#,
    );
}

#[test]
fn a_definition_that_cannot_be_is_shown() {
    check(
        "cubes/sales.toml",
        "\"product\"]",
        "\"produkt\"]",
        r#"
error: dimension "produkt" does not exist
 --> cubes/sales.toml:3:23
  |
3 | dimensions = ["date", "produkt"]
  |                       ^^^^^^^^^
  = help: did you mean product?
"#,
    );
    check(
        "cubes/sales.toml",
        "name = \"cost\"",
        "name = \"units\"",
        r#"
error: column "units" exists already
  --> cubes/sales.toml:11:8
   |
11 | name = "units"
   |        ^^^^^^^
"#,
    );
    check(
        "cubes/sales.toml",
        "\"decimal(18,2)\"",
        "\"date\"",
        r#"
error: cube "sales", measure "revenue": a date does not add up; choose a consolidation such as none, min or max
 --> cubes/sales.toml:8:8
  |
8 | name = "revenue"
  |        ^^^^^^^^^
"#,
    );
    check(
        "cubes/sales.toml",
        "name = \"cost\"\ntype = \"decimal(18,2)\"",
        "name = \"cost\"\ntype = \"text\"\nconsolidation = \"max\"",
        r#"
error: cube "sales", measure "cost": a text has no total; its consolidation is none, and a formula lists texts with [BY TEXTLIST: ...] or counts them
  --> cubes/sales.toml:11:8
   |
11 | name = "cost"
   |        ^^^^^^
"#,
    );
    check(
        "dimensions/product.toml",
        "[\"group\", \"product\"]",
        "[\"grupe\", \"product\"]",
        r#"
error: level "grupe" does not exist
  --> dimensions/product.toml:11:11
   |
11 | levels = ["grupe", "product"]
   |           ^^^^^^^
   = help: did you mean group?
"#,
    );
    check(
        "dimensions/product.toml",
        "name = \"price\"",
        "name = \"parent\"",
        r#"
error: dimension "product": "parent" is a column of every dimension, name the attribute otherwise
 --> dimensions/product.toml:3:8
  |
3 | name = "parent"
  |        ^^^^^^^^
"#,
    );
    check(
        "dimensions/date.toml",
        "\"2026-03-31\"",
        "2025-03-31",
        r#"
error: dimension "date": the calendar ends before it starts, or spans over 1000 years
 --> dimensions/date.toml:1:8
  |
1 | name = "date"
  |        ^^^^^^
"#,
    );
    check(
        "dimensions/date.toml",
        "key_type = \"date\"",
        "key_type = \"text\"",
        r#"
error: dimension "date": a calendar's key_type is date
 --> dimensions/date.toml:1:8
  |
1 | name = "date"
  |        ^^^^^^
"#,
    );
    check(
        "cubes/sales.toml",
        "name = \"sales\"",
        "name = \"product\"",
        r#"
error: dimension or cube "product" exists already
 --> cubes/sales.toml:1:8
  |
1 | name = "product"
  |        ^^^^^^^^^
"#,
    );
}

#[test]
fn a_formula_that_cannot_be_is_shown_where_it_is() {
    check(
        "rules/sales.toml",
        "1 - cost / revenue",
        "1 - coast / revenue",
        r#"
error: measure or dimension "coast" does not exist
 --> rules/sales.toml:3:13
  |
3 | text = "1 - coast / revenue"
  |             ^^^^^
  = help: did you mean cost?
"#,
    );
    check(
        "rules/sales.toml",
        "\"1 - cost / revenue\"",
        "\"\"\"\n  1\n  - coast / revenue\"\"\"",
        r#"
error: measure or dimension "coast" does not exist
 --> rules/sales.toml:5:5
  |
5 |   - coast / revenue"""
  |     ^^^^^
  = help: did you mean cost?
"#,
    );
    check(
        "rules/sales.toml",
        "units * product.price",
        "units * (product.price",
        r#"
error: expected ")", found the end of the formula
 --> rules/sales.toml:7:31
  |
7 | text = "units * (product.price"
  |                               ^
"#,
    );
    check(
        "rules/sales.toml",
        "units * product.price",
        "units * product.prize",
        r#"
error: attribute or level "prize" does not exist
 --> rules/sales.toml:7:25
  |
7 | text = "units * product.prize"
  |                         ^^^^^
  = help: did you mean price?
"#,
    );
    check(
        "rules/sales.toml",
        "sales.revenue",
        "sales.turnover",
        r#"
error: measure "turnover" does not exist
 --> rules/sales.toml:6:10
  |
6 | target = "sales.turnover"
  |          ^^^^^^^^^^^^^^^^
"#,
    );
    check(
        "rules/sales.toml",
        "sales.revenue",
        "sales.margin",
        r#"
error: the formula of "sales.margin" is defined in rules/sales.toml already
 --> rules/sales.toml:6:10
  |
6 | target = "sales.margin"
  |          ^^^^^^^^^^^^^^
"#,
    );
    check(
        "rules/sales.toml",
        "units * product.price",
        "cost * margin",
        r#"
error: formulas need each other: sales.margin, sales.revenue
 --> rules/sales.toml:3:9
  |
3 | text = "1 - cost / revenue"
  |         ^^^^^^^^^^^^^^^^^^
  = help: break the cycle: one of them must not read the others, or only at earlier members of one dimension, as PREVIOUS does
"#,
    );
    let grain = "\"1 - cost / revenue\"\nat_or_above = { date = \"months\" }";
    check(
        "rules/sales.toml",
        "\"1 - cost / revenue\"",
        grain,
        r#"
error: level "months" does not exist
 --> rules/sales.toml:4:24
  |
4 | at_or_above = { date = "months" }
  |                        ^^^^^^^^
  = help: did you mean month?
"#,
    );
    check(
        "rules/sales.toml",
        "[[formula]]\ntarget = \"sales.margin\"\ntext = \"1 - cost / revenue\"\n",
        "",
        r#"
error: sales.margin: its consolidation is formula and it has none
  --> cubes/sales.toml:16:17
   |
16 | consolidation = "formula"
   |                 ^^^^^^^^^
   = help: add a [[formula]] with this target to a file of rules/
"#,
    );
}

#[test]
fn a_difference_that_cannot_be_applied_yet_is_shown() {
    check_later(
        "cubes/sales.toml",
        "\"integer\"",
        "\"decimal(18,0)\"",
        r#"
error: cube "sales", measure "units": type is "integer" in the tenant and "decimal(18,0)" in the file
 --> cubes/sales.toml:6:8
  |
6 | type = "decimal(18,0)"
  |        ^^^^^^^^^^^^^^^
  = help: what exists can get attributes, levels, hierarchies, dimensions, measures, units and formulas; other changes cannot be applied yet
"#,
    );
    check_later(
        "cubes/sales.toml",
        "\"date\", \"product\"",
        "\"product\", \"date\"",
        r#"
error: cube "sales": dimensions is ["date", "product"] in the tenant and ["product", "date"] in the file
 --> cubes/sales.toml:3:14
  |
3 | dimensions = ["product", "date"]
  |              ^^^^^^^^^^^^^^^^^^^
  = help: dimensions that a cube has stay in their order; others are added behind them
"#,
    );
    check_later(
        "cubes/sales.toml",
        "[[measure]]\nname = \"units\"\ntype = \"integer\"\n",
        "",
        r#"
error: cube "sales": measure "units" is in the tenant and not in the file
 --> cubes/sales.toml:1:8
  |
1 | name = "sales"
  |        ^^^^^^^
  = help: what exists can get attributes, levels, hierarchies, dimensions, measures, units and formulas; other changes cannot be applied yet
"#,
    );
    check_later(
        "cubes/sales.toml",
        "name = \"sales\"",
        "name = \"sale\"",
        r#"
error: cube "sales" is in the tenant and in no file
 --> cubes/sales.toml
  = help: what exists can get attributes, levels, hierarchies, dimensions, measures, units and formulas; other changes cannot be applied yet

error: sale.margin: its consolidation is formula and it has none
  --> cubes/sales.toml:16:17
   |
16 | consolidation = "formula"
   |                 ^^^^^^^^^
   = help: add a [[formula]] with this target to a file of rules/
"#,
    );
    check_later(
        "dimensions/product.toml",
        "\"decimal(9,2)\"",
        "\"decimal(9,3)\"",
        r#"
error: dimension "product", attribute "price": type is "decimal(9,2)" in the tenant and "decimal(9,3)" in the file
 --> dimensions/product.toml:4:8
  |
4 | type = "decimal(9,3)"
  |        ^^^^^^^^^^^^^^
  = help: what exists can get attributes, levels, hierarchies, dimensions, measures, units and formulas; other changes cannot be applied yet
"#,
    );
    check_later(
        "dimensions/product.toml",
        "[\"group\", \"product\"]",
        "[\"product\"]",
        r#"
error: dimension "product": a hierarchy keeps its kind and its levels, in their order, and may get others above the last one
 --> dimensions/product.toml:9:1
  |
9 | [[hierarchy]]
  | ^^^^^^^^^^^^^
  = help: levels are added above the last one of a hierarchy, hierarchies behind those that there are
"#,
    );
    check_later(
        "dimensions/product.toml",
        "\n[[attribute]]",
        "\nkey_type = \"integer\"\n[[attribute]]",
        r#"
error: dimension "product": key_type is "text" in the tenant and "integer" in the file
 --> dimensions/product.toml:2:12
  |
2 | key_type = "integer"
  |            ^^^^^^^^^
  = help: what exists can get attributes, levels, hierarchies, dimensions, measures, units and formulas; other changes cannot be applied yet
"#,
    );
    check_later(
        "dimensions/date.toml",
        "\"2026-03-31\"",
        "2026-12-31",
        r#"
error: dimension "date": calendar is { end = "2026-03-31", start = "2026-01-01" } in the tenant and { end = "2026-12-31", start = "2026-01-01" } in the file
 --> dimensions/date.toml:3:1
  |
3 | [calendar]
  | ^^^^^^^^^^
  = help: what exists can get attributes, levels, hierarchies, dimensions, measures, units and formulas; other changes cannot be applied yet
"#,
    );
}

#[test]
fn all_files_problems_are_shown_at_once() {
    let mut files = shop_with("cubes/sales.toml", "cells", "cell");
    files.files.insert("dimensions/other.toml".into(), "name = \"product\"\nkind = 1\n".into());
    files.files.insert("dimensions/zone.toml".into(), "name = \"product\"\n".into());
    files.files.insert("units.toml".into(), String::new());
    let found = shown(&Revision::default(), &files);
    same(
        &found,
        r#"
error: not a file of a model
 --> units.toml
  = help: a model has model.toml, dimensions/*.toml, cubes/*.toml, rules/*.toml and tests/*.toml

error: unknown variant `cell`, expected `cells` or `records`
 --> cubes/sales.toml:2:8
  |
2 | kind = "cell"
  |        ^^^^^^

error: unknown field `kind`, expected one of `name`, `description`, `key_type`, `attribute`, `level`, `hierarchy`, `calendar`
 --> dimensions/other.toml:2:1
  |
2 | kind = 1
  | ^^^^

error: dimension "product" is defined in dimensions/product.toml already
 --> dimensions/zone.toml:1:8
  |
1 | name = "product"
  |        ^^^^^^^^^
"#,
    );
}

#[test]
fn a_formula_does_not_take_the_place_of_inputs() {
    let revision = applied(&Revision::default(), &shop());
    let product = revision.version.model.dimension("product").expect("product");
    let cube = revision.version.model.cube("sales").expect("sales");
    let cost = revision.version.model.cube_def(cube).measure("cost").expect("cost");
    let date = revision.version.model.dimension("date").expect("date");
    let day = revision.version.dimension(date).resolve_leaf("2026-01-05").expect("a day");
    let bike = MemberWrite { key: "bike".into(), ..MemberWrite::default() };
    let members = MembersWrite { dimension: product, first_new: MemberId(0), members: vec![bike] };
    let rows = RowsWrite {
        cube,
        action: RowsAction::Set,
        measures: vec![cost],
        keys: Vec::new(),
        coordinates: vec![day, MemberId(0)],
        values: vec![Some(5_00)].into(),
    };
    let changes = [Change::Members(members), Change::Rows(rows)];
    let revision = revision.apply(&changes).expect("a cell").0;
    let mut files = shop();
    let rules = files.files.get_mut("rules/sales.toml").expect("it is there");
    rules.push_str("\n[[formula]]\ntarget = \"sales.cost\"\ntext = \"units * 2\"\n");
    let found = shown(&revision, &files);
    same(
        &found,
        r#"
error: sales.cost holds inputs, which a formula would overwrite: blank them first, with UPDATE ... SET measure = NULL
  --> rules/sales.toml:10:10
   |
10 | target = "sales.cost"
   |          ^^^^^^^^^^^^
"#,
    );
    // a measure that comes later is blank where there are cells already
    let measure =
        "[[measure]]\nname = \"returns\"\ntype = \"integer\"\n[[measure]]\nname = \"cost\"";
    let more = shop_with("cubes/sales.toml", "[[measure]]\nname = \"cost\"", measure);
    assert_eq!(shown(&applied(&revision, &more), &more), "");
}

#[test]
fn a_folder_is_read_without_what_is_no_model() {
    let folder = tempfile::tempdir().expect("a folder");
    let write = |path: &str, bytes: &[u8]| {
        let path = folder.path().join(path);
        std::fs::create_dir_all(path.parent().expect("within")).expect("a folder");
        std::fs::write(path, bytes).expect("a file");
    };
    MODEL.iter().for_each(|(path, text)| write(path, text.as_bytes()));
    write("README.md", b"# shop");
    write("load.sh", b"exit");
    write("maps/sales.toml", b"[members]");
    write(".git/config.toml", b"");
    assert_eq!(read_folder(folder.path()), Ok(shop()));
    write("extra.toml", b"");
    write("dimension/customer.toml", b"name = \"customer\"");
    write("rules/more.toml", b"\n\n# \xff");
    let found = read_folder(folder.path()).expect_err("three problems").to_string();
    same(
        &found,
        r#"
error: not a file of a model
 --> dimension/customer.toml
  = help: a model has model.toml, dimensions/*.toml, cubes/*.toml, rules/*.toml and tests/*.toml

error: not a file of a model
 --> extra.toml
  = help: a model has model.toml, dimensions/*.toml, cubes/*.toml, rules/*.toml and tests/*.toml

error: the file is not UTF-8: line 3 holds other bytes
 --> rules/more.toml
"#,
    );
    let missing = read_folder(&folder.path().join("maps")).expect_err("no model");
    assert_eq!(missing.problems.len(), 2);
}

const ASSERTION: &str = "[[assertion]]\nname = \"units sold\"\n\
    sql = \"SELECT measure(units) FROM sales\"\nequals = \"12\"\ntolerance = \"0.5\"\n";

/// The shop with a file of assertions.
fn shop_asserting(text: &str) -> ModelFiles {
    let mut files = shop();
    files.files.insert("tests/units.toml".into(), text.into());
    files
}

#[test]
fn assertions_are_compared_by_what_they_say_and_where() {
    let before = applied(&Revision::default(), &shop());
    let line = "~ assertion \"units sold\": SELECT measure(units) FROM sales = 12 within 0.5";
    same(&shown(&before, &shop_asserting(ASSERTION)), line);
    let after = applied(&before, &shop_asserting(ASSERTION));
    assert_ne!(before.version.state_hash(), after.version.state_hash());
    assert_eq!(shown(&after, &shop_asserting(ASSERTION)), "");
    let commented = format!("# units\n\n{ASSERTION}");
    assert_eq!(shown(&after, &shop_asserting(&commented)), "");
    let other = ASSERTION.replace("equals = \"12\"\ntolerance = \"0.5\"", "equals_blank = true");
    same(
        &shown(&after, &shop_asserting(&other)),
        "~ assertion \"units sold\": SELECT measure(units) FROM sales = blank",
    );
    let mut moved = shop();
    moved.files.insert("tests/sold.toml".into(), ASSERTION.into());
    same(&shown(&after, &moved), line);
    same(&shown(&after, &shop()), "- assertion \"units sold\"");
    let removed = applied(&after, &shop());
    assert_eq!(removed.version.state_hash(), before.version.state_hash());
}

#[test]
fn an_assertion_says_what_is_expected_once() {
    let check = |from: &str, to: &str, expected: &str| {
        assert!(ASSERTION.contains(from), "{from}");
        let files = shop_asserting(&ASSERTION.replace(from, to));
        same(&shown(&Revision::default(), &files), expected);
    };
    check(
        "equals = \"12\"\n",
        "",
        r#"
error: assertion "units sold": it says what is expected by equals or by equals_blank = true
 --> tests/units.toml:2:8
  |
2 | name = "units sold"
  |        ^^^^^^^^^^^^
"#,
    );
    check(
        "\"0.5\"",
        "\"-1\"",
        r#"
error: assertion "units sold": its tolerance is a number, zero or more
 --> tests/units.toml:2:8
  |
2 | name = "units sold"
  |        ^^^^^^^^^^^^
"#,
    );
    check(
        "equals = \"12\"",
        "equals = \"a dozen\"",
        r#"
error: assertion "units sold": a tolerance goes with equals = a number
 --> tests/units.toml:2:8
  |
2 | name = "units sold"
  |        ^^^^^^^^^^^^
"#,
    );
    let twice = format!("{ASSERTION}{ASSERTION}");
    same(
        &shown(&Revision::default(), &shop_asserting(&twice)),
        r#"
error: assertion "units sold" is defined in tests/units.toml already
 --> tests/units.toml:7:8
  |
7 | name = "units sold"
  |        ^^^^^^^^^^^^
"#,
    );
}

#[test]
fn an_attribute_names_members_of_a_dimension() {
    let attribute = |of: &str| {
        format!("[[attribute]]\nname = \"launch\"\ntype = \"{of}\"\n[[level]]\nname = \"group\"")
    };
    let level = "[[level]]\nname = \"group\"";
    let path = "dimensions/product.toml";
    check_later(
        path,
        level,
        &attribute("member of date"),
        "+ attribute product.launch (member of date)",
    );
    check_later(
        path,
        level,
        &attribute("member of product"),
        "+ attribute product.launch (member of product)",
    );
    let files = shop_with(path, level, &attribute("member of date"));
    let revision = applied(&Revision::default(), &files);
    same(&shown(&revision, &files), "");
    // a dimension may name one that comes after it
    let date = "[[attribute]]\nname = \"best\"\ntype = \"member of product\"\n[calendar]";
    let files = shop_with("dimensions/date.toml", "[calendar]", date);
    applied(&Revision::default(), &files);
    same(
        &shown(&revision, &shop_with(path, level, &attribute("text"))),
        r#"
error: dimension "product", attribute "launch": type is "member of date" in the tenant and "text" in the file
 --> dimensions/product.toml:7:8
  |
7 | type = "text"
  |        ^^^^^^
  = help: what exists can get attributes, levels, hierarchies, dimensions, measures, units and formulas; other changes cannot be applied yet
"#,
    );
    check(
        path,
        level,
        &attribute("member of dates"),
        r#"
error: dimension "dates" does not exist
 --> dimensions/product.toml:7:8
  |
7 | type = "member of dates"
  |        ^^^^^^^^^^^^^^^^^
  = help: did you mean date?
"#,
    );
    check(
        path,
        level,
        &attribute("members of date"),
        r#"
error: unknown type "members of date"; expected decimal(p,s), integer, date, boolean or text, or member of a dimension
 --> dimensions/product.toml:7:8
  |
7 | type = "members of date"
  |        ^^^^^^^^^^^^^^^^^
"#,
    );
}
