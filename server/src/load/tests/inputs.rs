//! Values loaded over formulas that take inputs.

use cube::Change;
use cube::model::{FormulaDef, ModelChange};

use super::{check_in, ledger, load, plan, shop};

#[test]
fn what_is_loaded_over_a_formula_goes_to_its_inputs() {
    let input = ModelChange::AddMeasure {
        cube: "ledger".into(),
        measure: toml::from_str("name = \"credit_input\"\ntype = \"decimal(18,2)\"")
            .expect("it is one"),
    };
    let formula = ModelChange::SetFormula(FormulaDef {
        target: "ledger.credit".into(),
        text: "OVERRIDE(credit_input, debit / 4)".into(),
        description: String::new(),
        at_or_above: Default::default(),
    });
    let mut revision =
        shop().apply(&[Change::Model(input), Change::Model(formula)]).expect("both are right").0;
    let rows = ledger("date,account,debit,credit\n2026-01-05,A,1,\n2026-01-05,B,2,7\n", "");
    check_in(
        &revision,
        &rows,
        r#"
file.csv into cube ledger: 2 rows read, 2 loaded
  debit: source total 3.00 = loaded total 3.00 in 2 values
  credit: source total 7.00 = loaded total 7.00 in 1 values
"#,
    );
    load(&mut revision, &rows);
    let cells = revision.version.rows(revision.version.model.cube("ledger").expect("it is there"));
    let credit = cells.segments().iter().flat_map(|view| {
        view.live_rows().map(|row| view.segment.values[1].get(row)).collect::<Vec<_>>()
    });
    assert_eq!(credit.collect::<Vec<_>>(), [Some(25), Some(700)]);
    check_in(
        &revision,
        &ledger("date,account,credit,credit_input\n2026-01-05,A,1,2\n", ""),
        r#"
error: file.csv: credit_input is loaded twice: by itself and as the inputs of another measure
"#,
    );
}

#[test]
fn what_is_loaded_over_a_region_goes_to_its_inputs() {
    let input = ModelChange::AddMeasure {
        cube: "ledger".into(),
        measure: toml::from_str("name = \"credit_input\"\ntype = \"decimal(18,2)\"")
            .expect("it is one"),
    };
    let formula = |member: &str, text: &str| {
        Change::Model(ModelChange::SetFormula(FormulaDef {
            target: format!("ledger.credit[account: \"{member}\"]"),
            text: text.into(),
            description: String::new(),
            at_or_above: Default::default(),
        }))
    };
    let over = formula("A", "OVERRIDE(credit_input, debit / 4)");
    let revision = shop().apply(&[Change::Model(input), over]).expect("both are right").0;
    let mut loaded = revision.clone();
    load(&mut loaded, &ledger("date,account,debit\n2026-01-05,A,1\n", ""));
    let rows = "date,account,credit\n2026-01-05,B,5\n2026-01-05,A,7\n2026-01-06,A,8\n";
    load(&mut loaded, &ledger(rows, ""));
    let cube = loaded.version.model.cube("ledger").expect("it is there");
    let rows = loaded.version.rows(cube).all(loaded.version.empty_rows(cube)).sorted();
    // days, then accounts: A and B of the 5th, A of the 6th
    assert_eq!(rows.values[1], vec![Some(700), Some(500), Some(800)].into());
    assert_eq!(rows.values[4], vec![Some(700), None, Some(800)].into());
    let again = ledger("date,account,credit\n2026-01-05,A,1\n", "");
    let error = plan(&loaded, &again).expect_err("it holds a value").to_string();
    assert!(error.contains("credit holds a value there already"), "{error}");
    let plain = formula("B", "debit * 2");
    let computed = revision.apply(&[plain]).expect("it is right").0;
    let refused = ledger("date,account,credit\n2026-01-05,A,1\n2026-01-05,B,1\n", "");
    let error = plan(&computed, &refused).expect_err("B is computed").to_string();
    assert!(error.contains("row 3"), "{error}");
    assert!(error.contains("credit is computed by a formula there"), "{error}");
}
