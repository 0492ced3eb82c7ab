//! Units in model files.

use super::*;
use crate::model_files::unit_warnings;

/// The shop whose product has a currency; `units` are the units of units, revenue and cost.
fn priced(units: [&str; 3], revenue: &str) -> ModelFiles {
    let mut files = shop();
    let mut put = |path: &str, from: &str, to: &str| {
        let text = files.files.get_mut(path).expect("it is there");
        assert!(text.contains(from), "{path} has {from:?}");
        *text = text.replace(from, to);
    };
    let attribute = "[[attribute]]\nname = \"currency\"\ntype = \"text\"\n[[attribute]]\n";
    put("dimensions/product.toml", "[[attribute]]\n", attribute);
    for (measure, unit) in ["units", "revenue", "cost"].into_iter().zip(units) {
        let type_of = if measure == "units" { "integer" } else { "decimal(18,2)" };
        let from = format!("name = \"{measure}\"\ntype = \"{type_of}\"\n");
        let declared = if unit.is_empty() { "" } else { &format!("unit = \"{unit}\"\n") };
        put("cubes/sales.toml", &from, &format!("{from}{declared}"));
    }
    put("rules/sales.toml", "units * product.price", revenue);
    files
}

#[test]
fn units_are_set_once() {
    let files = priced(["piece", "EUR", " EUR * 1 "], "cost + 1");
    let found = shown(&Revision::default(), &files);
    let units: Vec<&str> = found.lines().filter(|line| line.contains("unit ")).collect();
    let expected =
        ["~ unit sales.units = piece", "~ unit sales.revenue = EUR", "~ unit sales.cost = EUR"];
    assert_eq!(units, expected, "{found}");
    let revision = applied(&Revision::default(), &files);
    same(&shown(&revision, &files), "");
    same(&shown(&revision, &priced(["piece", "EUR", "EUR"], "cost + 1")), "");
}

#[test]
fn a_unit_changes_later_and_goes_away() {
    let revision = applied(&Revision::default(), &priced(["piece", "EUR", "EUR"], "cost + 1"));
    same(&shown(&revision, &priced(["", "EUR", "EUR"], "cost + 1")), "- unit sales.units");
    let dollars = priced(["piece", "USD", "USD"], "cost + 1");
    same(&shown(&revision, &dollars), "~ unit sales.revenue = USD\n~ unit sales.cost = USD");
    same(&shown(&applied(&revision, &dollars), &dollars), "");
    // what was right before and will be right after need not be so in between
    let pieces = priced(["piece", "piece", "EUR"], "units + 1");
    same(
        &shown(&revision, &pieces),
        "~ unit sales.revenue = piece\n~ formula sales.revenue = units + 1",
    );
    applied(&revision, &pieces);
}

#[test]
fn a_formula_that_no_longer_fits_is_refused_with_its_place() {
    let revision = applied(&Revision::default(), &priced(["piece", "EUR", "EUR"], "cost + 1"));
    same(
        &shown(&revision, &priced(["piece", "EUR", "piece"], "cost + 1")),
        "
error: the result is in piece, but sales.revenue is in EUR
 --> rules/sales.toml:7:9
  |
7 | text = \"cost + 1\"
  |         ^^^^^^^^
  = help: multiply cost + 1 by a measure whose unit is EUR/piece, or change a unit",
    );
}

#[test]
fn a_unit_that_cannot_be_is_refused_with_its_place() {
    for (unit, expected) in [
        (
            "product.curency",
            "
error: attribute \"curency\" does not exist
 --> cubes/sales.toml:7:8
  |
7 | unit = \"product.curency\"
  |        ^^^^^^^^^^^^^^^^^
  = help: did you mean currency?",
        ),
        (
            "EUR/",
            "
error: unit \"EUR/\": a name is missing; a unit is written EUR, piece, EUR/piece, organization.currency, or 1 for a pure number
 --> cubes/sales.toml:7:8
  |
7 | unit = \"EUR/\"
  |        ^^^^^^",
        ),
    ] {
        let found = shown(&Revision::default(), &priced([unit, "", ""], "cost + 1"));
        same(&found, expected);
    }
}

#[test]
fn totals_that_would_mix_units_are_warned_of() {
    let files = priced(["piece", "product.currency", "product.currency"], "cost + 1");
    let changes = difference(&Revision::default(), &calc::branches::Alone, &files)
        .expect("the files are right");
    let found = unit_warnings(&Revision::default().version.model, &changes);
    let expected = "sales.revenue, sales.cost are in product.currency: totals over product mix units; look at one product at a time, or at a measure that is converted";
    assert_eq!(found, [expected]);
    let revision = applied(&Revision::default(), &files);
    assert!(unit_warnings(&revision.version.model, &[]).is_empty(), "once is enough");
}
