//! Cases of loading, each with the exact answer.

mod adventureworks;
mod attributes;
mod inputs;
mod levels;
mod parquet;

use std::sync::Arc;

use calc::Revision;
use calc::branches::Alone;
use cube::Change;

use super::{LoadFile, LoadRequest, NamedText, Target, Unwatched, plan, read_request};
use crate::model_files::{ModelFiles, difference};

const MODEL: [(&str, &str); 8] = [
    ("model.toml", "name = \"shop\"\n"),
    (
        "dimensions/date.toml",
        "name = \"date\"\nkey_type = \"date\"\n[calendar]\nstart = 2026-01-01\nend = 2026-03-31\n",
    ),
    (
        "dimensions/product.toml",
        "name = \"product\"\nkey_type = \"integer\"\n\
         [[attribute]]\nname = \"price\"\ntype = \"decimal(9,2)\"\n\
         [[attribute]]\nname = \"since\"\ntype = \"date\"\n\
         [[attribute]]\nname = \"sold\"\ntype = \"boolean\"\n\
         [[level]]\nname = \"group\"\n[[level]]\nname = \"product\"\n\
         [[hierarchy]]\nname = \"group\"\nlevels = [\"group\", \"product\"]\n",
    ),
    (
        "dimensions/account.toml",
        "name = \"account\"\n[[attribute]]\nname = \"operator\"\ntype = \"text\"\n\
         [[hierarchy]]\nname = \"account\"\nkind = \"parent_child\"\nweight = \"operator\"\n\
         [[hierarchy]]\nname = \"plain\"\nkind = \"parent_child\"\nsame_as = \"account\"\n",
    ),
    (
        "cubes/sales.toml",
        "name = \"sales\"\nkind = \"records\"\nkey = [ { name = \"id\", type = \"integer\" } ]\n\
         dimensions = [\"date\", \"product\"]\n\
         [[measure]]\nname = \"units\"\ntype = \"integer\"\n\
         [[measure]]\nname = \"price\"\ntype = \"decimal(9,2)\"\nrounding = \"half_up\"\n\
         [[measure]]\nname = \"amount\"\ntype = \"decimal(18,2)\"\n",
    ),
    (
        "cubes/ledger.toml",
        "name = \"ledger\"\nkind = \"cells\"\ndimensions = [\"date\", \"account\"]\n\
         [[measure]]\nname = \"debit\"\ntype = \"decimal(18,2)\"\n\
         [[measure]]\nname = \"credit\"\ntype = \"decimal(18,2)\"\n\
         [[measure]]\nname = \"due\"\ntype = \"date\"\nconsolidation = \"max\"\n\
         [[measure]]\nname = \"memo\"\ntype = \"text\"\n",
    ),
    (
        "dimensions/rep.toml",
        "name = \"rep\"\n[[attribute]]\nname = \"manager\"\ntype = \"member of rep\"\n\
         [[attribute]]\nname = \"favourite\"\ntype = \"member of product\"\n\
         [[attribute]]\nname = \"rate\"\ntype = \"decimal(9,4)\"\n",
    ),
    (
        "cubes/plan.toml",
        "name = \"plan\"\nkind = \"cells\"\ndimensions = [\"date.month\", \"product.group\"]\n\
         [[measure]]\nname = \"target\"\ntype = \"decimal(18,2)\"\n",
    ),
];

const RULES: &str = "[[formula]]\ntarget = \"sales.amount\"\ntext = \"units * price\"\n";
const SALES: &str = "[key]\nid = \"Id\"\n[dimensions]\ndate = \"Day\"\nproduct = \"Product\"\n\
                     [measures]\nunits = \"Units\"\nprice = \"Price\"\n";
const LEDGER: &str = "[dimensions]\ndate = \"Day\"\naccount = \"Account\"\n\
                      [measures]\ndebit = \"Debit\"\ncredit = \"Credit\"\n";

/// The shop with two groups, three products, two accounts.
fn shop() -> Revision {
    let files = MODEL.iter().chain([&("rules/sales.toml", RULES)]);
    let files = files.map(|(path, text)| ((*path).to_string(), (*text).to_string()));
    let files = ModelFiles { files: files.collect() };
    let revision = Revision::default();
    let changes = difference(&revision, &Alone, &files).unwrap_or_else(|error| panic!("{error}"));
    let changes: Vec<Change> = changes.into_iter().map(Change::Model).collect();
    let mut revision = revision.apply(&changes).expect("the model was tried").0;
    load(&mut revision, &groups("key,name\ng1,Bikes\ng2,Parts\n"));
    let products = "Id,Name,Group\n1,Road,g1\n2,Trail,g1\n3,Bell,g2\n";
    load(&mut revision, &members("product", products, PRODUCTS));
    load(
        &mut revision,
        &request(Target::Dimension("account".into()), "key,name\nA,Sales\nB,Costs\n", ""),
    );
    revision
}

const PRODUCTS: &str = "[members]\nkey = \"Id\"\nname = \"Name\"\nparent = { group = \"Group\" }\n";

fn request(target: Target, csv: &str, map: &str) -> LoadRequest {
    request_of(target, LoadFile::of_bytes("file.csv", csv.as_bytes()), map)
}

fn request_of(target: Target, file: LoadFile, map: &str) -> LoadRequest {
    let map = NamedText { name: "map.toml".into(), content: map.into() };
    let map = Some(map).filter(|map| !map.content.is_empty());
    let lookups = std::collections::BTreeMap::new();
    LoadRequest { target, file, map, lookups, progress: Arc::new(Unwatched) }
}

fn members(dimension: &str, csv: &str, map: &str) -> LoadRequest {
    request(Target::Dimension(dimension.into()), csv, map)
}

fn groups(csv: &str) -> LoadRequest {
    members("product", csv, "[members]\nkey = \"key\"\nname = \"name\"\nlevel = \"group\"\n")
}

fn sales(csv: &str, map: &str) -> LoadRequest {
    request(Target::Cube("sales".into()), csv, map)
}

fn ledger(csv: &str, map: &str) -> LoadRequest {
    request(Target::Cube("ledger".into()), csv, map)
}

fn load(revision: &mut Revision, request: &LoadRequest) {
    let plan = plan(revision, request).unwrap_or_else(|error| panic!("{error}"));
    *revision = revision.apply(&plan.changes).unwrap_or_else(|error| panic!("{error}")).0;
}

/// Compares texts by their lines.
fn same(found: &str, expected: &str) {
    assert_eq!(found.trim(), expected.trim(), "\n{found}\n");
}

/// Loads into a revision: what the report or the error says.
fn check_in(revision: &Revision, request: &LoadRequest, expected: &str) {
    let found = match plan(revision, request) {
        Ok(plan) => {
            revision.apply(&plan.changes).unwrap_or_else(|error| panic!("{error}"));
            plan.report.to_string()
        }
        Err(error) => error.to_string(),
    };
    same(&found, expected);
}

fn check(request: &LoadRequest, expected: &str) {
    check_in(&shop(), request, expected);
}

#[test]
fn rows_are_loaded_with_certificates() {
    let csv = "Id,Day,Product,Units,Price\n1,2026-01-05,1,2,10.50\n2,2026-01-06, 03 ,,3\n";
    check(
        &sales(csv, SALES),
        r#"
file.csv into cube sales: 2 rows read, 2 loaded
  units: source total 2 = loaded total 2 in 1 values
  price: source total 13.50 = loaded total 13.50 in 2 values
"#,
    );
    // without a map, columns are what they are named; columns may stand in any order
    check(
        &sales("product,date,id,units\n1,2026-01-05,7,2\n", ""),
        r#"
file.csv into cube sales: 1 row read, 1 loaded
  units: source total 2 = loaded total 2 in 1 values
"#,
    );
    check(
        &ledger("date,account,debit,credit\n2026-01-05,A,1,\n2026-01-05,B,,\n", ""),
        r#"
file.csv into cube ledger: 2 rows read, 1 loaded, 1 blank
  debit: source total 1.00 = loaded total 1.00 in 1 values
  credit: source total 0.00 = loaded total 0.00 in 0 values
"#,
    );
    check(
        &ledger("date,account,due\n2026-01-05,A,2026-02-01\n", ""),
        "file.csv into cube ledger: 1 row read, 1 loaded",
    );
    check(
        &ledger("date,account,debit\n", ""),
        r#"
file.csv into cube ledger: 0 rows read, 0 loaded
  debit: source total 0.00 = loaded total 0.00 in 0 values
"#,
    );
}

#[test]
fn texts_are_loaded_as_they_stand() {
    let csv = "date,account,debit,memo\n2026-01-05,A,1,\"Rent, January\"\n2026-01-05,B,,  é \n\
               2026-01-06,A,,\n2026-01-07,A,2,\n2026-01-08,A,3,  é \n";
    let mut revision = shop();
    check_in(
        &revision,
        &ledger(csv, ""),
        r#"
file.csv into cube ledger: 5 rows read, 4 loaded, 1 blank
  debit: source total 6.00 = loaded total 6.00 in 3 values
"#,
    );
    load(&mut revision, &ledger(csv, ""));
    let version = &revision.version;
    let cube = version.model.cube("ledger").expect("it is there");
    let memo = version.model.cube_def(cube).measure("memo").expect("it is there");
    let mut memos = Vec::new();
    for view in version.rows(cube).segments() {
        let values = &view.segment.values[memo.idx()];
        let codes = view.live_rows().filter_map(|row| values.get(row));
        memos.extend(codes.map(|code| version.texts.text(code).to_string()));
    }
    memos.sort();
    assert_eq!(memos, ["  é ", "  é ", "Rent, January"]);
    assert_eq!(version.texts.len(), 2);
    let long = format!("date,account,memo\n2026-01-05,A,{}\n", "x".repeat(65_537));
    let refused = plan(&shop(), &ledger(&long, "")).expect_err("it is too long").to_string();
    assert!(refused.contains("row 2") && refused.contains("longer than 65536 bytes"), "{refused}");
}

#[test]
fn values_are_made_as_the_map_says() {
    let map = "[key]\nid = \"Id\"\n[dimensions]\ndate = { column = \"Day\", format = \"%d/%m/%Y\" }\n\
               product = { column = \"Product\", values = { road = \"1\", bell = \"3\" }, default = \"2\" }\n\
               [measures]\nunits = { constant = \"4\" }\nprice = { column = \"Price\", round = 2 }\n";
    // half_up is what the measure declares: 0.125 becomes 0.13
    check(
        &sales("Id,Day,Product,Price\n1,05/01/2026,road,0.125\n2,31/03/2026,,1e-1\n", map),
        r#"
file.csv into cube sales: 2 rows read, 2 loaded
  units: source total 8 = loaded total 8 in 2 values
  price: source total 0.23 = loaded total 0.23 in 2 values (0.225 before rounding)
"#,
    );
    check(
        &sales("Id,Day,Product,Price\n1,2026-01-05,road,1\n2,05/01/2026,trail,1\n", map),
        r#"
error: file.csv: 2 of 2 rows cannot be placed; nothing was loaded
  row 2, Day "2026-01-05": it is not a date of the form %d/%m/%Y
  row 3, Product "trail": the map has no value for it; it has bell, road
"#,
    );
    let text = "[dimensions]\ndate = { text = \"{Year}-{Month}-01\" }\naccount = \"Account\"\n\
                [measures]\ndebit = \"Debit\"\n";
    check(
        &ledger("Year,Month,Account,Debit\n2026,02,A,1\n2026,,A,1\n", text),
        r#"
error: file.csv: 1 of 2 rows cannot be placed; nothing was loaded
  row 3, {Year}-{Month}-01 "": the key of dimension date is empty
"#,
    );
}

#[test]
fn numbers_may_have_exponents() {
    check(
        &sales("Id,Day,Product,Units,Price\n1,2026-01-05,1,1e3,-15e-1\n", SALES),
        r#"
file.csv into cube sales: 1 row read, 1 loaded
  units: source total 1000 = loaded total 1000 in 1 values
  price: source total -1.50 = loaded total -1.50 in 1 values
"#,
    );
}

#[test]
fn a_row_is_counted_once() {
    let mut revision = shop();
    let csv = "Id,Day,Product,Units,Price\n1,2026-01-05,1,2,1\n";
    load(&mut revision, &sales(csv, SALES));
    let twice = "Id,Day,Product,Units,Price\n1,2026-01-05,1,2,1\n1,2026-01-05,1,2,1\n";
    check_in(
        &revision,
        &sales(twice, SALES),
        r#"
error: file.csv: 2 of 2 rows cannot be placed; nothing was loaded
  row 2, id "1": units holds a value there already
  row 3, id "1": the row key stands in row 2 already
"#,
    );
}

#[test]
fn rows_that_cannot_be_placed_are_listed() {
    let csv = "Id,Day,Product,Units,Price\n\
               x,2026-01-05,1,2,1\n1,2026-04-05,1,2,1\n2,2026-01-05,g1,2,1\n3,2026-01-05,Road,2,1\n\
               4,2026-01-05,1,2.5,1\n5,2026-01-05,1,2,1.005\n6,2026-01-05,1,2,12345678.00\n\
               7,2026-01-05,1,2\n8,2026-01-05,,2,1\n,2026-01-05,1,2,1\n9,2026-01-05,1,2,\"1,5\"\n\
               10,2026-01-05,1,2,1\n11,2026-01-05,1,2,1\n10,2026-01-06,1,2,1\n12,2026-01-05,10,2,1\n";
    check(
        &sales(csv, SALES),
        r#"
error: file.csv: 13 of 15 rows cannot be placed; nothing was loaded
  row 2, Id "x": "x" is not a valid key of type integer: expected an integer
  row 3, Day "2026-04-05": 2026-04-05 is outside the calendar of date, which runs from 2026-01-01 to 2026-03-31
  row 4, Product "g1": "g1" is not a valid leaf member of dimension product: it is a consolidated member; facts go to its leaves
  row 5, Product "Road": "Road" is not a valid key of type integer: expected an integer; "1" is the key of what has this name
  row 6, Units "2.5": "2.5" is not a valid integer: digits after the point
  row 7, Price "1.005": "1.005" is not a valid decimal(9,2): more than 2 digits after the point; round = 2 in the map rounds it
  row 8, Price "12345678.00": numeric overflow: 12345678.00 does not fit decimal(9,2)
  row 9: the row has 4 fields where the header has 5
  row 10, Product "": the key of dimension product is empty
  row 11, Id "": "" is not a valid key of type integer: expected an integer
  row 12, Price "1,5": "1,5" is not a valid decimal(9,2)
  row 15, id "10": the row key stands in row 13 already
  row 16, Product "10": member "10" of dimension product does not exist; did you mean 1?
"#,
    );
    let csv = "Day,Account,Debit,Credit\n2026-01-05,A,1,\n2026-01-05,A,,2\n2026-01-05,a,,2\n";
    check(
        &ledger(csv, LEDGER),
        r#"
error: file.csv: 2 of 3 rows cannot be placed; nothing was loaded
  row 3, date, account "2026-01-05, A": the coordinate stands in row 2 already
  row 4, Account "a": member "a" of dimension account does not exist; did you mean A?
"#,
    );
    let many: String = (0..250).map(|id| format!("{id},2026-01-05,9,1,1\n")).collect();
    let refused = plan(&shop(), &sales(&format!("Id,Day,Product,Units,Price\n{many}"), SALES));
    let refused = refused.expect_err("no product 9");
    assert_eq!((refused.rejected_count, refused.rejected.len()), (250, 100));
    assert!(refused.to_string().ends_with("\n  and 150 more"));
}

#[test]
fn what_is_loaded_already_is_refused() {
    let mut revision = shop();
    load(&mut revision, &sales("Id,Day,Product,Units,Price\n1,2026-01-05,1,2,\n", SALES));
    load(&mut revision, &ledger("date,account,debit\n2026-01-05,A,1\n", ""));
    let csv = "Id,Day,Product,Units,Price\n1,2026-01-05,1,2,1\n2,2026-01-05,1,2,1\n";
    check_in(
        &revision,
        &sales(csv, SALES),
        r#"
error: file.csv: 1 of 2 rows cannot be placed; nothing was loaded
  row 2, id "1": units holds a value there already
"#,
    );
    let prices = SALES.replace("units = \"Units\"\n", "");
    check_in(
        &revision,
        &sales("Id,Day,Product,Price\n1,2026-01-05,1,1\n", &prices),
        r#"
file.csv into cube sales: 1 row read, 1 loaded
  price: source total 1.00 = loaded total 1.00 in 1 values
"#,
    );
    check_in(
        &revision,
        &sales("Id,Day,Product,Price\n1,2026-01-05,2,1\n", &prices),
        r#"
error: file.csv: 1 of 1 row cannot be placed; nothing was loaded
  row 2, id "1": the row exists with other members
"#,
    );
    check_in(
        &revision,
        &ledger("date,account,credit\n2026-01-05,A,1\n", ""),
        r#"
file.csv into cube ledger: 1 row read, 1 loaded
  credit: source total 1.00 = loaded total 1.00 in 1 values
"#,
    );
    // a blank would take the place of the value
    let blank = "date,account,debit,credit\n2026-01-05,A,,1\n";
    check_in(
        &revision,
        &ledger(blank, ""),
        r#"
error: file.csv: 1 of 1 row cannot be placed; nothing was loaded
  row 2, date, account "2026-01-05, A": debit holds a value there already
"#,
    );
}

#[test]
fn a_file_that_is_no_table_is_refused() {
    check(&sales("", SALES), "error: file.csv: the file is empty; the first row names the columns");
    check(
        &sales("Id,Day,Product,Units,Price\n1,\"2026-01-05,1,2,1\n", SALES),
        "error: file.csv: row 2: a quoted field is not closed; the file may be cut off",
    );
    check(
        &sales("Id;Day;Product;Units;Price\n1;2026-01-05;1;2;1\n", SALES),
        r#"
error: the file has no column "Id"
 --> map.toml:2:6
  |
2 | id = "Id"
  |      ^^^^
  = help: the columns seem to be separated by ';'; a comma is expected
"#,
    );
    check(
        &sales("id,date,product,units,total\n", ""),
        r#"
error: column "total" is not known
 --> file.csv
  = help: without a map the columns are id, date, product and any of units, price
"#,
    );
    check(
        &sales("id,product,units\n", ""),
        r#"
error: the file has no column "date"
 --> file.csv
  = help: without a map the columns are id, date, product and any of units, price
"#,
    );
    check(
        &request(Target::Cube("sale".into()), "a\n", ""),
        r#"
error: file.csv: cube "sale" does not exist
  = help: did you mean sales?
"#,
    );
    check(
        &members("products", "a\n", ""),
        r#"
error: file.csv: dimension "products" does not exist
  = help: did you mean product?
"#,
    );
    check(
        &members("account", "key,parent_plain\n", ""),
        r#"
error: column "parent_plain" is not known
 --> file.csv
  = help: without a map the columns are key and any of name, parent, operator
"#,
    );
}

#[test]
fn a_map_that_cannot_be_is_shown() {
    let csv = "Id,Day,Product,Units,Price,Price2,Price2\n";
    let with = |from: &str, to: &str| sales(csv, &SALES.replace(from, to));
    check(
        &with("\"Price\"", "\"Prise\""),
        r#"
error: the file has no column "Prise"
 --> map.toml:8:9
  |
8 | price = "Prise"
  |         ^^^^^^^
  = help: did you mean Price, Price2?
"#,
    );
    check(
        &with("\"Price\"", "\"Price2\""),
        r#"
error: the file has several columns "Price2"
 --> map.toml:8:9
  |
8 | price = "Price2"
  |         ^^^^^^^^
"#,
    );
    check(
        &with("\"Price\"", "{ column = \"Price\", rounded = 2 }"),
        r#"
error: unknown field `rounded`, expected one of `column`, `text`, `constant`, `default`, `values`, `format`, `round`, `level`
 --> map.toml:8:29
  |
8 | price = { column = "Price", rounded = 2 }
  |                             ^^^^^^^
"#,
    );
    check(
        &with("\"Price\"", "{ column = \"Price\", text = \"{Price}\" }"),
        r#"
error: a value comes from one of column, text and constant
 --> map.toml:8:9
  |
8 | price = { column = "Price", text = "{Price}" }
  |         ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
"#,
    );
    check(
        &with("\"Price\"", "{ constant = \"1\", round = 2 }"),
        r#"
error: a constant stands alone: default, values, format, round and level go with columns
 --> map.toml:8:9
  |
8 | price = { constant = "1", round = 2 }
  |         ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
"#,
    );
    check(
        &with("\"Price\"", "{ text = \"{Price\" }"),
        r#"
error: "{Price": a brace is not closed
 --> map.toml:8:9
  |
8 | price = { text = "{Price" }
  |         ^^^^^^^^^^^^^^^^^^^
"#,
    );
    check(
        &with("\"Price\"", "{ text = \"Price\" }"),
        r#"
error: "Price" uses no column
 --> map.toml:8:9
  |
8 | price = { text = "Price" }
  |         ^^^^^^^^^^^^^^^^^^
  = help: name columns in braces, as in "category:{Key}", or say constant
"#,
    );
    check(
        &with("\"Price\"", "3"),
        r#"
error: invalid type: integer `3`, expected a column's name, or a table with column, text or constant
 --> map.toml:8:9
  |
8 | price = 3
  |         ^
"#,
    );
    check(
        &with("\"Day\"", "{ column = \"Day\", format = \"%Q\" }"),
        r#"
error: "%Q" is not the form of a date
 --> map.toml:4:8
  |
4 | date = { column = "Day", format = "%Q" }
  |        ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
  = help: for example "%Y%m%d" for 20261231, "%d/%m/%Y" for 31/12/2026
"#,
    );
    check(
        &with("price =", "prize ="),
        r#"
error: cube sales: measure "prize" does not exist
 --> map.toml:8:1
  |
8 | prize = "Price"
  | ^^^^^
  = help: did you mean price?
"#,
    );
    check(
        &with("price =", "amount ="),
        r#"
error: sales.amount is a formula and is not loaded
 --> map.toml:8:1
  |
8 | amount = "Price"
  | ^^^^^^
  = help: it is units * price
"#,
    );
    check(
        &with("date = \"Day\"\n", ""),
        r#"
error: the map does not say where date of [dimensions] is
 --> map.toml
  = help: [dimensions] of cube sales has date, product
"#,
    );
    check(
        &with("[key]\nid = \"Id\"\n", ""),
        r#"
error: the map does not say where id of [key] is
 --> map.toml
  = help: [key] of cube sales has id
"#,
    );
    check(
        &with("[measures]", "[measure]"),
        r#"
error: unknown field `measure`, expected one of `lookup`, `members`, `attributes`, `key`, `dimensions`, `measures`
 --> map.toml:6:2
  |
6 | [measure]
  |  ^^^^^^^
"#,
    );
    check(
        &with("[measures]", "[members]\nkey = \"Id\"\n[measures]"),
        r#"
error: the file holds cells or rows: [members] goes with a dimension
 --> map.toml:6:1
  |
6 | [members]
  | ^^^^^^^^^
"#,
    );
    check(
        &members("product", "Id\n", SALES),
        r#"
error: the file holds members: [members] and [attributes] are what is mapped
 --> map.toml:2:1
  |
2 | id = "Id"
  | ^^
"#,
    );
    check(
        &members("product", "Id\n", "[members]\nkey = \"Id\"\nlevel = \"groups\"\n"),
        r#"
error: dimension product: level "groups" does not exist
 --> map.toml:3:9
  |
3 | level = "groups"
  |         ^^^^^^^^
  = help: did you mean group?
"#,
    );
    check(
        &members("account", "Id\n", "[members]\nkey = \"Id\"\nparent = { plain = \"Id\" }\n"),
        r#"
error: hierarchy "plain" has the parents of "account"
 --> map.toml:3:12
  |
3 | parent = { plain = "Id" }
  |            ^^^^^
  = help: map the parents of account
"#,
    );
    check(
        &members("account", "Id\n", "[members]\nkey = \"Id\"\n[attributes]\ncolor = \"Id\"\n"),
        r#"
error: dimension account: attribute "color" does not exist
 --> map.toml:4:1
  |
4 | color = "Id"
  | ^^^^^
"#,
    );
    check(
        &members("account", "Id\n", "[attributes]\noperator = \"Id\"\n"),
        r#"
error: the map has no [members], which says where the keys are
 --> map.toml
"#,
    );
}

#[test]
fn members_are_added_and_changed() {
    let mut revision = shop();
    // Bell moves, Horn is new below a group that is new in the same file of groups
    load(&mut revision, &groups("key,name\ng3,Sound\ng1,Bikes\n"));
    let products = "Id,Name,Group,Price,Since,Sold\n3,Bell,g3,4.50,2026-01-01,true\n04,Horn,g3,,,\n4,Horn,g3,,,\n1,Road,g1,,,\n";
    let map =
        format!("{PRODUCTS}[attributes]\nprice = \"Price\"\nsince = \"Since\"\nsold = \"Sold\"\n");
    let request = members("product", products, &map);
    check_in(
        &revision,
        &request,
        "file.csv into dimension product: 4 rows read, 1 members added, 1 changed, 1 as they were",
    );
    load(&mut revision, &request);
    check_in(
        &revision,
        &request,
        "file.csv into dimension product: 4 rows read, 0 members added, 0 changed, 3 as they were",
    );
    // a parent may stand later in the same file, and a name that is empty is the key
    let accounts = "key,name,parent,operator\nC,,B,-\nD,Other,E,+\nE,All,,\n";
    load(&mut revision, &members("account", accounts, ""));
    let id = revision.version.model.dimension("account").expect("account");
    let account = revision.version.dimension(id);
    let c = account.find("C").expect("C");
    assert_eq!((account.name(c), account.holds_facts(c)), ("C", true));
}

#[test]
fn members_that_cannot_be_placed_are_listed() {
    let products = "Id,Name,Group\nx,Road,g1\n,None,g1\n7,Horn,g9\n8,Bag,3\n9,A,g1\n9,B,g1\ng1,Group,\n99999999999,Far,g1\n";
    check(
        &members("product", products, PRODUCTS),
        r#"
error: file.csv: 7 of 8 rows cannot be placed; nothing was loaded
  row 2, Id "x": "x" is not a valid key of type integer: expected an integer
  row 3, Id "": a member needs a key
  row 4, Group "g9": member "g9" of dimension product does not exist
  row 5, Group "3": member "3" is on level product, which is not above product in hierarchy group
  row 7, key "9": row 6 says otherwise of the same member
  row 8, Id "g1": "g1" is not a valid key of type integer: expected an integer
  row 9, Id "99999999999": "99999999999" is not a valid key of type integer: out of range
"#,
    );
    check(
        &groups("key,name\n1,Bikes\n"),
        r#"
error: file.csv: 1 of 1 row cannot be placed; nothing was loaded
  row 2, key "1": the key is of a member of level product already; keys are unique within a dimension
"#,
    );
    check(
        &members("account", "key,parent\nA,B\nB,C\nC,A\n", ""),
        r#"
error: file.csv: 1 of 3 rows cannot be placed; nothing was loaded
  row 2, key "A": member "A" would be its own ancestor in hierarchy "account"
"#,
    );
    check(
        &members("account", "key,parent\nC,Sales\nD,BB\n", ""),
        r#"
error: file.csv: 2 of 2 rows cannot be placed; nothing was loaded
  row 2, parent "Sales": member "Sales" of dimension account does not exist; "A" is the key of what has this name
  row 3, parent "BB": member "BB" of dimension account does not exist; did you mean B?
"#,
    );
    check(
        &members("account", "key,parent,operator\nE,,*\nF,E,\nG,F,\n", ""),
        r#"
error: file.csv: 2 of 3 rows cannot be placed; nothing was loaded
  row 2, operator "*": an operator is +, - or ~
  row 3, parent "E": the parent's own row 2 cannot be placed
"#,
    );
    check(
        &members("account", "key,operator\nA,*\n", ""),
        r#"
error: file.csv: 1 of 1 row cannot be placed; nothing was loaded
  row 2, operator "*": an operator is +, - or ~
"#,
    );
    check(
        &members("product", "key,price,since,sold\n1,1.234,,\n2,,1.1.2026,\n3,,,maybe\n", ""),
        r#"
error: file.csv: 3 of 3 rows cannot be placed; nothing was loaded
  row 2, price "1.234": "1.234" is not a valid decimal(9,2): more than 2 digits after the point
  row 3, since "1.1.2026": "1.1.2026" is not a valid date: expected YYYY-MM-DD
  row 4, sold "maybe": "maybe" is not a valid boolean: expected true or false
"#,
    );
    check(
        &members("date", "key,name\n2026-04-01,April\n2026-01-01,New Year\n", ""),
        r#"
error: file.csv: 1 of 2 rows cannot be placed; nothing was loaded
  row 2, key "2026-04-01": the calendar has no such member; it makes its members itself
"#,
    );
    let other = "Id\ndemo\n";
    check(
        &members(
            "product",
            other,
            "[members]\nkey = \"Id\"\nlevel = \"group\"\nparent = { group = \"Id\" }\n",
        ),
        r#"
error: file.csv: 1 of 1 row cannot be placed; nothing was loaded
  row 2, Id "demo": member "demo" is on level group, which is not above group in hierarchy group
"#,
    );
}

#[test]
fn lookups_bring_columns_of_other_files() {
    let map = "[lookup.person]\nfile = \"people.csv\"\nmatch = { National = \"National\" }\n\
               [lookup.rate]\nfile = \"rates.csv\"\nmatch = { Person = \"person.Id\" }\n\
               [members]\nkey = \"Id\"\nname = { text = \"{person.Name} {rate.Rate}\" }\n";
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| folder.path().join(name);
    let write = |name: &str, text: &str| std::fs::write(path(name), text).expect("a file");
    write("people.csv", "Id,National,Name\n1,11,Ann\n2,22,Ben\n3,33,Cleo\n4,33,Cleo\n");
    write("map.toml", map);
    write("staff.csv", "Id,National\na,11\nb,\nc,99\n");
    let read = || {
        let target = Target::Dimension("account".into());
        read_request(&path("staff.csv"), target, Some(&path("map.toml")))
    };
    let missing = read().expect_err("no rates").to_string();
    same(
        &missing,
        r#"
error: rates.csv, which is looked up beside the file: the file cannot be read: No such file or directory (os error 2)
 --> map.toml:5:8
  |
5 | file = "rates.csv"
  |        ^^^^^^^^^^^
"#,
    );
    write("rates.csv", "Person,Rate\n1,0.5\n");
    let mut revision = shop();
    load(&mut revision, &read().expect("all files"));
    let id = revision.version.model.dimension("account").expect("account");
    let account = revision.version.dimension(id);
    let name = |key: &str| account.name(account.find(key).expect(key)).to_string();
    assert_eq!((name("a").as_str(), name("b").as_str(), name("c").as_str()), ("Ann 0.5", "b", "c"));
    write("staff.csv", "Id,National\nd,33\n");
    check(
        &read().expect("all files"),
        r#"
error: staff.csv: 1 of 1 row cannot be placed; nothing was loaded
  row 2: several rows of people.csv match person
"#,
    );
    write("map.toml", &map.replace("people.csv", "../people.csv"));
    same(
        &read().expect_err("another folder").to_string(),
        r#"
error: "../people.csv" is not the name of a file beside the one loaded
 --> map.toml:2:8
  |
2 | file = "../people.csv"
  |        ^^^^^^^^^^^^^^^
"#,
    );
    write("map.toml", &map.replace("person.Id", "person.Key"));
    check(
        &read().expect("all files"),
        r#"
error: people.csv has no column "Key"
 --> map.toml:6:20
  |
6 | match = { Person = "person.Key" }
  |                    ^^^^^^^^^^^^
  = help: its columns are Id, National, Name
"#,
    );
    write("map.toml", map);
    std::fs::write(path("staff.csv"), b"Id,National\n\nd,\xff\n").expect("a file");
    check(
        &read().expect("all files"),
        r#"
error: staff.csv: the file is not UTF-8: row 3 holds other bytes
  = help: save it as UTF-8
"#,
    );
}
