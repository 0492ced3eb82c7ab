//! Cases of model files, each with the exact answer.

use calc::Revision;
use cube::change::{MemberWrite, MembersWrite, RowsAction, RowsWrite};
use cube::{Change, MemberId};

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
    let changes = difference(revision, files).unwrap_or_else(|error| panic!("{error}"));
    let changes: Vec<Change> = changes.into_iter().map(Change::Model).collect();
    revision.apply(&changes).unwrap_or_else(|error| panic!("{error}")).0
}

/// What applying files would do, or what is wrong with them.
fn shown(revision: &Revision, files: &ModelFiles) -> String {
    match difference(revision, files) {
        Ok(changes) => changes.iter().map(describe).collect::<Vec<_>>().join("\n"),
        Err(error) => error.to_string(),
    }
}

/// Files over an empty tenant.
fn check(path: &str, from: &str, to: &str, expected: &str) {
    let found = shown(&Revision::default(), &shop_with(path, from, to));
    assert_eq!(found.trim(), expected.trim(), "\n{found}\n");
}

/// Files over a tenant that has the shop.
fn check_later(path: &str, from: &str, to: &str, expected: &str) {
    let revision = applied(&Revision::default(), &shop());
    let found = shown(&revision, &shop_with(path, from, to));
    assert_eq!(found.trim(), expected.trim(), "\n{found}\n");
}

#[test]
fn a_new_model_is_all_additions() {
    check("", "", "", "@1");
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
fn additions_and_formulas_are_applied_to_what_exists() {
    check_later("model.toml", "\n", "\ndescription = \"Sells\"", "@2");
    let attribute = "[[attribute]]\nname = \"color\"\ntype = \"text\"\n[[level]]\nname = \"group\"";
    check_later("dimensions/product.toml", "[[level]]\nname = \"group\"", attribute, "@3");
    let measure = "[[measure]]\nname = \"returns\"\ntype = \"integer\"\n[[measure]]\nname = \"cost\"";
    check_later("cubes/sales.toml", "[[measure]]\nname = \"cost\"", measure, "@4");
    check_later("rules/sales.toml", "1 - cost / revenue", "(revenue - cost) / revenue", "@5");
    let one = "[[formula]]\ntarget = \"sales.revenue\"\ntext = \"units * product.price\"\n";
    check_later("rules/sales.toml", one, "", "@6");
    let grain = "\"1 - cost / revenue\"\nat_or_above = { date = \"month\" }";
    check_later("rules/sales.toml", "\"1 - cost / revenue\"", grain, "@7");
}

#[test]
fn formulas_are_set_after_what_they_read() {
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
        "~ formula sales.cost = units * 3\n~ formula sales.revenue = cost * 2"
    );
    assert_eq!(shown(&applied(&revision, &files), &files), "");
}

#[test]
fn a_text_that_cannot_be_read_is_shown() {
    check("model.toml", "\"shop\"", "\"shop", "@10");
    check("model.toml", "name", "nam", "@11");
    check("model.toml", "shop", "My shop", "@12");
    check("cubes/sales.toml", "cells", "cell", "@13");
    check("cubes/sales.toml", "\"integer\"", "\"decimal(20,2)\"", "@14");
    check("dimensions/product.toml", "levels", "level_names", "@15");
    check("rules/sales.toml", "[[formula]]\ntarget = \"sales.r", "[[formulas]]\ntarget = \"sales.r", "@16");
    check("dimensions/date.toml", "2026-01-01", "2026-02-30", "@17");
}

#[test]
fn a_definition_that_cannot_be_is_shown() {
    check("cubes/sales.toml", "\"product\"]", "\"produkt\"]", "@20");
    check("cubes/sales.toml", "name = \"cost\"", "name = \"units\"", "@21");
    check("cubes/sales.toml", "\"decimal(18,2)\"", "\"date\"", "@22");
    check("dimensions/product.toml", "[\"group\", \"product\"]", "[\"grupe\", \"product\"]", "@23");
    check("dimensions/product.toml", "name = \"price\"", "name = \"parent\"", "@24");
    check("dimensions/date.toml", "\"2026-03-31\"", "2025-03-31", "@25");
    check("dimensions/date.toml", "key_type = \"date\"", "key_type = \"text\"", "@26");
    check("cubes/sales.toml", "name = \"sales\"", "name = \"product\"", "@27");
}

#[test]
fn a_formula_that_cannot_be_is_shown_where_it_is() {
    check("rules/sales.toml", "1 - cost / revenue", "1 - coast / revenue", "@30");
    check("rules/sales.toml", "\"1 - cost / revenue\"", "\"\"\"\n  1\n  - coast / revenue\"\"\"", "@31");
    check("rules/sales.toml", "units * product.price", "units * (product.price", "@32");
    check("rules/sales.toml", "units * product.price", "units * product.prize", "@33");
    check("rules/sales.toml", "sales.revenue", "sales.turnover", "@34");
    check("rules/sales.toml", "sales.revenue", "sales.margin", "@35");
    check("rules/sales.toml", "units * product.price", "cost * margin", "@36");
    let grain = "\"1 - cost / revenue\"\nat_or_above = { date = \"months\" }";
    check("rules/sales.toml", "\"1 - cost / revenue\"", grain, "@37");
    check("rules/sales.toml", "[[formula]]\ntarget = \"sales.margin\"\ntext = \"1 - cost / revenue\"\n", "", "@38");
}

#[test]
fn a_difference_that_cannot_be_applied_yet_is_shown() {
    check_later("cubes/sales.toml", "\"integer\"", "\"decimal(18,0)\"", "@40");
    check_later("cubes/sales.toml", "\"date\", \"product\"", "\"product\", \"date\"", "@41");
    check_later("cubes/sales.toml", "[[measure]]\nname = \"units\"\ntype = \"integer\"\n", "", "@42");
    check_later("cubes/sales.toml", "name = \"sales\"", "name = \"sale\"", "@43");
    check_later("dimensions/product.toml", "\"decimal(9,2)\"", "\"decimal(9,3)\"", "@44");
    check_later("dimensions/product.toml", "[\"group\", \"product\"]", "[\"product\"]", "@45");
    check_later("dimensions/product.toml", "\n[[attribute]]", "\nkey_type = \"integer\"\n[[attribute]]", "@46");
    check_later("dimensions/date.toml", "\"2026-03-31\"", "2026-12-31", "@47");
}

#[test]
fn all_files_problems_are_shown_at_once() {
    let mut files = shop_with("cubes/sales.toml", "cells", "cell");
    files.files.insert("dimensions/other.toml".into(), "name = \"product\"\nkind = 1\n".into());
    files.files.insert("dimensions/zone.toml".into(), "name = \"product\"\n".into());
    files.files.insert("units.toml".into(), String::new());
    let found = shown(&Revision::default(), &files);
    assert_eq!(found.trim(), "@50", "\n{found}\n");
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
        values: vec![Some(5_00)],
    };
    let changes = [Change::Members(members), Change::Rows(rows)];
    let revision = revision.apply(&changes).expect("a cell").0;
    let mut files = shop();
    let rules = files.files.get_mut("rules/sales.toml").expect("it is there");
    rules.push_str("\n[[formula]]\ntarget = \"sales.cost\"\ntext = \"units * 2\"\n");
    let found = shown(&revision, &files);
    assert_eq!(found.trim(), "@60", "\n{found}\n");
    // a measure that comes later is blank where there are cells already
    let measure = "[[measure]]\nname = \"returns\"\ntype = \"integer\"\n[[measure]]\nname = \"cost\"";
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
    assert_eq!(found.trim(), "@70", "\n{found}\n");
    let missing = read_folder(&folder.path().join("maps")).expect_err("no model");
    assert_eq!(missing.problems.len(), 2);
}
