//! What runs after a change: exactly the formulas that depend on it, for exactly the cells that do.

#[path = "support/shop.rs"]
mod shop;

use cube::Change;
use cube::model::{CubeKind, ModelChange};
use shop::{QUOTA, SALES, Shop, cube, formula};

const MARCH: &str = "2012-03-01";
const APRIL: &str = "2012-04-01";

/// Two sales of ann and one of bob.
fn shop() -> Shop {
    let mut shop = Shop::new();
    let values = |amount| [("amount", Some(amount)), ("cost", Some(40_000))];
    shop.sale(("s1", ["ann", MARCH, "bike"], &values(100_000)));
    shop.sale(("s2", ["ann", APRIL, "bell"], &values(20_000)));
    shop.sale(("s3", ["bob", MARCH, "bike"], &values(90_000)));
    shop
}

#[track_caller]
fn check(ran: Vec<(String, u64)>, expected: &[(&str, u64)]) {
    let ran: Vec<(&str, u64)> =
        ran.iter().map(|(target, count)| (target.as_str(), *count)).collect();
    assert_eq!(ran, expected);
}

#[test]
fn a_new_sale_runs_its_formulas_once() {
    let ran =
        shop().sale(("s4", ["eve", MARCH, "bell"], &[("amount", Some(1)), ("cost", Some(2))]));
    let row = [("sales.commission", 1), ("sales.gross_margin", 1), ("sales.gross_profit", 1)];
    check(ran, &[&[("quota.actual_sales", 1), ("quota.attainment", 1)], row.as_slice()].concat());
}

#[test]
fn a_changed_amount_runs_one_row_and_one_cell() {
    let mut shop = shop();
    let ran = shop.sale(("s1", ["ann", MARCH, "bike"], &[("amount", Some(110_000))]));
    check(
        ran,
        &[
            ("quota.actual_sales", 1),
            ("quota.attainment", 1),
            ("sales.commission", 1),
            ("sales.gross_margin", 1),
            ("sales.gross_profit", 1),
        ],
    );
    assert_eq!(shop.value(QUOTA, &["ann", MARCH], "actual_sales"), Some(110_000));
    assert_eq!(shop.value(SALES, &["ann", MARCH, "bike"], "commission"), Some(5_500));
}

#[test]
fn a_changed_cost_does_not_run_what_reads_the_amount() {
    let ran = shop().sale(("s1", ["ann", MARCH, "bike"], &[("cost", Some(1))]));
    check(ran, &[("sales.gross_margin", 1), ("sales.gross_profit", 1)]);
}

#[test]
fn an_unrelated_measure_runs_nothing() {
    check(shop().sale(("s1", ["ann", MARCH, "bike"], &[("freight", Some(1))])), &[]);
    check(shop().quota(["ann", MARCH], &[("bonus", Some(1))]), &[]);
}

#[test]
fn a_quota_runs_no_formula_of_sales() {
    let ran = shop().quota(["ann", MARCH], &[("amount_quota", Some(200_000))]);
    check(ran, &[("quota.attainment", 1)]);
}

#[test]
fn a_ratio_of_quarters_does_not_run_at_leaves() {
    let mut shop = shop();
    let mut attainment = formula("quota.attainment", "actual_sales / amount_quota");
    attainment.at_or_above.insert("date".into(), "quarter".into());
    check(shop.model(ModelChange::SetFormula(attainment)), &[]);
    check(shop.quota(["ann", MARCH], &[("amount_quota", Some(200_000))]), &[]);
    assert_eq!(shop.value(QUOTA, &["ann", MARCH], "attainment"), None);
}

#[test]
fn a_ratio_is_read_by_another_cube_at_its_leaves() {
    let mut shop = shop();
    shop.quota(["ann", MARCH], &[("amount_quota", Some(200_000))]);
    shop.model(ModelChange::SetFormula(formula("sales.commission", "amount * quota.attainment")));
    assert_eq!(shop.value(SALES, &["ann", MARCH, "bike"], "commission"), Some(50_000));
    let ran = shop.quota(["ann", MARCH], &[("amount_quota", Some(400_000))]);
    check(ran, &[("quota.attainment", 1), ("sales.commission", 1)]);
    assert_eq!(shop.value(SALES, &["ann", MARCH, "bike"], "commission"), Some(25_000));
}

#[test]
fn a_ratio_of_quarters_is_not_read_by_another_cube() {
    let mut shop = shop();
    let mut attainment = formula("quota.attainment", "actual_sales / amount_quota");
    attainment.at_or_above.insert("date".into(), "quarter".into());
    shop.model(ModelChange::SetFormula(attainment));
    let reader = formula("sales.commission", "amount * quota.attainment");
    let found = shop.revision.apply(&[Change::Model(ModelChange::SetFormula(reader))]);
    let message = found.map(|_| ()).expect_err("it is blank at the leaves").to_string();
    assert!(message.contains("attainment is blank below a level"), "{message}");
}

#[test]
fn a_row_that_moves_runs_both_cells() {
    let mut shop = shop();
    let ran = shop.sale(("s1", ["eve", MARCH, "bike"], &[]));
    check(
        ran,
        &[
            ("quota.actual_sales", 2),
            ("quota.attainment", 2),
            ("sales.commission", 1),
            ("sales.gross_margin", 1),
            ("sales.gross_profit", 1),
        ],
    );
    assert_eq!(shop.value(QUOTA, &["ann", MARCH], "actual_sales"), None);
    assert_eq!(shop.value(QUOTA, &["eve", MARCH], "actual_sales"), Some(100_000));
    assert_eq!(shop.value(SALES, &["eve", MARCH, "bike"], "commission"), None);
}

#[test]
fn a_row_that_moves_within_a_cell_runs_its_cell_and_nothing_after_it() {
    let ran = shop().sale(("s1", ["ann", MARCH, "bell"], &[]));
    check(
        ran,
        &[
            ("quota.actual_sales", 1),
            ("sales.commission", 1),
            ("sales.gross_margin", 1),
            ("sales.gross_profit", 1),
        ],
    );
}

#[test]
fn a_removed_row_runs_its_cell() {
    let mut shop = shop();
    check(shop.remove_sale("s1"), &[("quota.actual_sales", 1), ("quota.attainment", 1)]);
    assert_eq!(shop.value(QUOTA, &["ann", MARCH], "actual_sales"), None);
    check(shop.remove_sale("s1"), &[]);
}

#[test]
fn a_rate_runs_the_rows_of_its_member() {
    let mut shop = shop();
    check(
        shop.members("employee", &[("ann", Some(2_000)), ("bob", Some(1_000))]),
        &[("sales.commission", 2)],
    );
    assert_eq!(shop.value(SALES, &["ann", APRIL, "bell"], "commission"), Some(4_000));
    check(shop.members("employee", &[("ann", Some(2_000))]), &[]);
    check(shop.members("employee", &[("eve", Some(1))]), &[]);
    check(shop.members("product", &[("bike", Some(1))]), &[]);
}

#[test]
fn a_formula_runs_once_for_every_cell() {
    let mut shop = shop();
    let set = |target, text| ModelChange::SetFormula(formula(target, text));
    check(shop.model(set("sales.commission", "amount * 2")), &[("sales.commission", 3)]);
    let ran = shop.model(set("quota.actual_sales", "sales.cost[BY SUM: employee, date] + bonus"));
    check(ran, &[("quota.actual_sales", 3), ("quota.attainment", 3)]);
    let ran = shop.model(ModelChange::RemoveFormula { target: "sales.gross_profit".into() });
    check(ran, &[("sales.gross_margin", 3)]);
}

#[test]
fn a_removed_cell_keeps_what_formulas_sum_of_other_cubes() {
    let mut shop = shop();
    shop.quota(["ann", MARCH], &[("amount_quota", Some(200_000))]);
    assert_eq!(shop.value(QUOTA, &["ann", MARCH], "attainment"), Some(5_000));
    check(shop.remove_quota(["ann", MARCH]), &[("quota.attainment", 1)]);
    assert_eq!(shop.value(QUOTA, &["ann", MARCH], "actual_sales"), Some(100_000));
    assert_eq!(shop.value(QUOTA, &["ann", MARCH], "attainment"), None);
}

#[test]
fn a_rate_that_was_blank_makes_cells_where_there_were_none() {
    let mut shop = shop();
    let text = "sales.amount[BY SUM: employee, product] * employee.commission_pct";
    shop.model(ModelChange::AddCube(cube(
        "pay",
        CubeKind::Cells,
        &["employee", "product"],
        &["amount"],
    )));
    shop.sale(("s4", ["eve", MARCH, "bell"], &[("amount", Some(10_000))]));
    shop.model(ModelChange::SetFormula(formula("pay.amount", text)));
    assert_eq!(shop.value("pay", &["eve", "bell"], "amount"), None);
    let ran = shop.members("employee", &[("eve", Some(5_000))]);
    check(ran, &[("pay.amount", 1), ("sales.commission", 1)]);
    assert_eq!(shop.value("pay", &["eve", "bell"], "amount"), Some(5_000));
}

#[test]
fn a_new_member_runs_the_cells_that_it_brings() {
    let mut shop = shop();
    let pay = cube("pay", CubeKind::Cells, &["employee", "product"], &["amount", "bonus", "cost"]);
    shop.model(ModelChange::AddCube(pay));
    let amount = "sales.amount[BY SUM: employee, product]";
    let by_product = "sales.amount[BY SUM: product]";
    for (target, text) in [
        ("pay.amount", format!("FILL({amount}, {by_product})")),
        ("pay.bonus", format!("{amount} + {by_product}")),
        ("pay.cost", "amount * 2".into()),
    ] {
        shop.model(ModelChange::SetFormula(formula(target, &text)));
    }
    // Bikes and bells were sold: two cells of the new employee are filled, the six of the others
    // stay. A sum of what is by employee and what is not makes no cells of the latter alone.
    let ran = shop.members("employee", &[("joe", None)]);
    check(ran, &[("pay.amount", 2), ("pay.cost", 2)]);
    assert_eq!(shop.value("pay", &["joe", "bike"], "cost"), Some(0));
    // a product that was never sold has no cells
    check(shop.members("product", &[("horn", None)]), &[]);
    assert_eq!(shop.value("pay", &["joe", "horn"], "amount"), None);
}

#[test]
fn removing_what_is_no_formula_leaves_its_inputs() {
    let shop = shop();
    let change = cube::Change::Model(ModelChange::RemoveFormula { target: "sales.amount".into() });
    let error = shop.refusal(change);
    assert_eq!(error.to_string(), "formula \"sales.amount\" does not exist");
    assert_eq!(shop.value(SALES, &["ann", MARCH, "bike"], "amount"), Some(100_000));
}

#[test]
fn a_formula_takes_no_input() {
    let shop = shop();
    let change = shop.row_change(QUOTA, None, &["ann", MARCH], &[("actual_sales", Some(1))]);
    let error = shop.refusal(change);
    assert_eq!(
        error.to_string(),
        "measure \"actual_sales\" is computed by a formula and takes no input"
    );
}

#[test]
fn a_blank_row_that_comes_first_is_seen() {
    let mut shop = Shop::new();
    let first = "sales.cost[BY FIRST: employee, date]";
    shop.model(ModelChange::SetFormula(formula("quota.bonus", first)));
    let place = ["ann", "2012-01-01", "bike"];
    shop.sale(("o2", place, &[("amount", Some(1)), ("cost", Some(5))]));
    let bonus = |shop: &Shop| shop.value(QUOTA, &["ann", "2012-01-01"], "bonus");
    assert_eq!(bonus(&shop), Some(5));
    // rows of one day go by their key: o1 is the first now, and its cost is blank
    shop.sale(("o1", place, &[("amount", Some(1))]));
    assert_eq!(bonus(&shop), None);
    shop.remove_sale("o1");
    assert_eq!(bonus(&shop), Some(5));
}
