//! The whole of the AdventureWorks example, by its own maps, against the totals its source states.

use std::path::{Path, PathBuf};
use std::time::Instant;

use calc::Revision;
use calc::branches::Alone;
use cube::Change;

use super::super::{LoadReport, Target, plan, read_request};
use crate::demo::tests::total;
use crate::model_files::{difference, read_folder};

/// The folder of test data, or none where there is none and that is allowed.
fn data() -> Option<PathBuf> {
    let root =
        Path::new(&std::env::var("CARGO_MANIFEST_DIR").expect("cargo runs tests")).join("..");
    let folder = std::env::var_os("PERFOS_TEST_DATA")
        .map_or_else(|| root.join("../shared/data"), PathBuf::from)
        .join("adventureworks");
    if folder.is_dir() {
        return Some(folder);
    }
    assert!(std::env::var_os("CI").is_none(), "no test data in {}", folder.display());
    println!("skipped: no test data in {}; set PERFOS_TEST_DATA", folder.display());
    None
}

fn example() -> PathBuf {
    Path::new(&std::env::var("CARGO_MANIFEST_DIR").expect("cargo runs tests"))
        .join("../examples/adventureworks")
}

/// The loads of the example's script, in its order: target, file, map.
fn loads() -> Vec<(Target, String, String)> {
    let script = std::fs::read_to_string(example().join("load.sh")).expect("load.sh");
    let lines = script.lines().filter_map(|line| {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words.as_slice() {
            ["dimension", name, file] => Some((Target::Dimension((*name).into()), *file, *name)),
            ["dimension", name, file, map] => {
                Some((Target::Dimension((*name).into()), *file, *map))
            }
            ["cube", name, file] => Some((Target::Cube((*name).into()), *file, *name)),
            _ => None,
        }
    });
    lines
        .map(|(target, file, map)| (target, format!("{file}.csv"), format!("{map}.toml")))
        .collect()
}

fn load(revision: &mut Revision, data: &Path, target: Target, file: &str, map: &str) -> LoadReport {
    let start = Instant::now();
    let map = example().join("maps").join(map);
    let request =
        read_request(&data.join(file), target, Some(&map)).unwrap_or_else(|e| panic!("{e}"));
    let loaded = plan(revision, &request).unwrap_or_else(|error| panic!("{error}"));
    let planned = start.elapsed();
    let (next, _) = revision.apply(&loaded.changes).unwrap_or_else(|error| panic!("{error}"));
    *revision = next;
    println!("planned in {planned:.0?}, with applying {:.0?}: {}", start.elapsed(), loaded.report);
    loaded.report
}

#[test]
fn adventureworks_loads_by_its_maps_to_the_totals_of_its_source() {
    let Some(data) = data() else { return };
    let files = read_folder(&example()).unwrap_or_else(|error| panic!("{error}"));
    let mut revision = Revision::default();
    let start = Instant::now();
    let changes = difference(&revision, &Alone, &files).unwrap_or_else(|error| panic!("{error}"));
    let changes: Vec<Change> = changes.into_iter().map(Change::Model).collect();
    revision = revision.apply(&changes).expect("the changes were tried").0;
    println!("model of {} changes in {:.0?}", changes.len(), start.elapsed());
    assert_eq!(difference(&revision, &Alone, &files), Ok(Vec::new()));
    let mut reports = Vec::new();
    for (target, file, map) in loads() {
        reports.push(load(&mut revision, &data, target, &file, &map));
    }
    assert_eq!(reports.len(), 20);
    check_certificates(&reports);
    assert_eq!(
        reports.iter().map(|report| report.rows_read).sum::<usize>(),
        20_405 + 39_409 + 14_264 + 60_855 + 60_398 + 163
    );
    // the example's own figures, through formulas and weights
    let check = |target: &str, pinned: &[(&str, usize, &str)], expected: &str| {
        assert_eq!(total(&revision, target, pinned), expected, "{target} {pinned:?}");
    };
    check("reseller_sales.gross_profit", &[], "470482.6033");
    let actual = ("scenario", 0, "1");
    check("finance.amount", &[("account", 0, "47"), actual, ("date", 0, "2011")], "5462068.5300");
    check("finance.amount", &[("account", 0, "2"), actual, ("date", 0, "2011-Q1")], "7522877.4100");
    let below_272 = [("employee", 0, "272"), ("date", 0, "2013")];
    check("reseller_sales.sales_amount", &below_272, "23201862.8159");
    check("sales_quota.sales_amount_quota", &[], "95714000.0000");
    check("sales_quota.actual_sales", &[], "80450596.9823");
    assert_eq!(difference(&revision, &Alone, &files), Ok(Vec::new()));
    check_again(&revision, &data);
}

fn check_certificates(reports: &[LoadReport]) {
    let find = |cube: &str, measure: &str| {
        let target = Target::Cube(cube.into());
        let report = reports.iter().find(|report| report.target == target).expect(cube);
        let found = report.certificates.iter().find(|found| found.measure == measure);
        let found = found.expect(measure);
        assert_eq!(found.source_total, found.loaded_total);
        (found.loaded_total.clone(), report.rows_loaded)
    };
    let is = |total: &str, rows: usize| (total.to_string(), rows);
    assert_eq!(find("reseller_sales", "sales_amount"), is("80450596.9823", 60_855));
    assert_eq!(find("reseller_sales", "total_product_cost"), is("79980114.3790", 60_855));
    assert_eq!(find("reseller_sales", "order_quantity"), is("214378", 60_855));
    assert_eq!(find("internet_sales", "sales_amount"), is("29358677.2207", 60_398));
    assert_eq!(find("internet_sales", "total_product_cost"), is("17277793.5757", 60_398));
    assert_eq!(find("finance", "amount").1, 39_409);
    assert_eq!(find("sales_quota", "sales_amount_quota"), is("95714000.0000", 163));
    assert_eq!(find("exchange_rate", "average_rate").1, 14_264);
}

/// A second load of members changes nothing, a second load of rows is refused.
fn check_again(revision: &Revision, data: &Path) {
    let request = |target, file: &str, map: &str| {
        let map = example().join("maps").join(map);
        read_request(&data.join(file), target, Some(&map)).expect("it was read before")
    };
    let members = request(Target::Dimension("employee".into()), "DimEmployee.csv", "employee.toml");
    let again = plan(revision, &members).expect("the same members");
    assert_eq!((again.changes.len(), again.report.members_unchanged), (0, 296));
    let rows =
        request(Target::Cube("sales_quota".into()), "FactSalesQuota.csv", "sales_quota.toml");
    let refused = plan(revision, &rows).expect_err("the same cells");
    assert_eq!(refused.rejected_count, 163);
    assert_eq!(refused.rejected.len(), 100);
    assert_eq!(refused.rejected[0].reason, "sales_amount_quota holds a value there already");
}
