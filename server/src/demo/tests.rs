//! The figures that the demo's page states.

use std::time::Instant;

use calc::{Measured, Query, Revision, run};
use cube::rollup::{Filter, Grain};
use cube::{Change, HierarchyId, Number, View};

use super::{changes, generate, model_files};
use crate::model_files::difference;

fn modelled() -> Revision {
    let revision = Revision::default();
    let model = difference(&revision, &model_files()).unwrap_or_else(|error| panic!("{error}"));
    let model: Vec<Change> = model.into_iter().map(Change::Model).collect();
    revision.apply(&model).expect("the model was tried").0
}

fn company() -> Revision {
    let modelled = modelled();
    let start = Instant::now();
    let changes = changes(&modelled.version).expect("the model is there");
    println!("generated in {:.2?}", start.elapsed());
    let (revision, _) = modelled.apply(&changes).unwrap_or_else(|error| panic!("{error}"));
    println!("with applying {:.2?}", start.elapsed());
    revision
}

/// A measure where dimensions are pinned to a member of a hierarchy.
fn total(revision: &Revision, target: &str, pinned: &[(&str, usize, &str)]) -> String {
    let version = &revision.version;
    let (cube, measure) = version.model.target(target).expect(target);
    let def = version.model.cube_def(cube);
    let filter = |&(name, hierarchy, key): &(&str, usize, &str)| {
        let id = version.model.dimension(name).expect(name);
        let position = def.position(id).expect(name);
        let dimension = version.dimension(id);
        let member = dimension.find(key).expect(key);
        if dimension.def.hierarchies.is_empty() {
            return Filter { position, members: [member.0].into_iter().collect(), grain: Grain::Leaf };
        }
        let hierarchy = HierarchyId::from_idx(hierarchy);
        let shape = dimension.shape(hierarchy);
        let at = usize::from(shape.depth[member.idx()]);
        let below = dimension.members().filter(|leaf| shape.ancestors[at][leaf.idx()] == member);
        let members = below.map(|leaf| leaf.0).collect();
        Filter { position, members, grain: Grain::Level(hierarchy, at) }
    };
    let query = Query {
        cube,
        axes: Vec::new(),
        filters: pinned.iter().map(filter).collect(),
        selection: None,
        outputs: vec![Measured::Consolidated(measure)],
    };
    let result = run(&View::unrestricted(version.clone()), &revision.plan, &query).expect(target);
    let column = &result.columns[0];
    let value = column.values[0].map(|value| Number::new(value, column.scale).to_string());
    value.unwrap_or_default()
}

#[test]
fn the_company_has_the_figures_of_its_page() {
    let company = company();
    let check = |target: &str, pinned: &[(&str, usize, &str)], expected: &str| {
        let found = total(&company, target, pinned);
        println!("{target} {pinned:?}: {found}");
        if expected != "?" { assert_eq!(found, expected, "{target} {pinned:?}"); }
    };
    let deals = company.version.model.cube("deals").expect("deals");
    assert_eq!(company.version.rows(deals).row_count(), 50_000);
    check("deals.amount", &[], "?");
    check("deals.cost", &[], "?");
    check("deals.quantity", &[], "?");
    check("deals.margin", &[], "?");
    check("deals.margin_pct", &[], "?");
    check("deals.commission", &[], "?");
    check("deals.amount", &[("date", 0, "2024")], "?");
    check("deals.amount", &[("date", 0, "2025")], "?");
    check("deals.amount", &[("date", 0, "2026")], "?");
    check("deals.amount", &[("date", 1, "FY2026")], "?");
    check("deals.amount", &[("product", 0, "category:software")], "?");
    check("deals.amount", &[("region", 0, "area:americas")], "?");
    check("deals.amount", &[("rep", 0, "M03")], "?");
    check("quota.quota_amount", &[("date", 0, "2026")], "?");
    check("quota.sales", &[("date", 0, "2026")], "?");
    check("quota.attainment", &[("date", 0, "2026")], "?");
    check("quota.attainment", &[("date", 0, "2026-Q4"), ("rep", 0, "M03")], "?");
    let actual = ("scenario", 0, "actual");
    check("finance.amount", &[actual, ("account", 0, "NI"), ("date", 0, "2026")], "?");
    check("finance.amount", &[actual, ("account", 0, "NI"), ("date", 0, "2026"), ("entity", 0, "FR01")], "?");
    check("finance.amount", &[("scenario", 0, "budget"), ("account", 0, "NI"), ("date", 0, "2026"), ("entity", 0, "FR01")], "?");
    check("finance.amount", &[("scenario", 0, "forecast"), ("account", 0, "NI"), ("date", 0, "2026"), ("entity", 0, "FR01")], "?");
    check("finance.amount", &[actual, ("account", 0, "AS"), ("date", 0, "2026"), ("entity", 0, "FR01")], "?");
    check("finance.amount", &[actual, ("account", 0, "1000"), ("date", 0, "2026"), ("entity", 0, "FR01")], "?");
    check("finance.amount", &[actual, ("account", 0, "BS"), ("date", 0, "2026-Q2")], "0.00");
    check("finance.amount", &[actual, ("account", 0, "9000"), ("date", 0, "2026-Q4")], "?");
    check("finance.amount", &[actual, ("account", 0, "4000"), ("date", 0, "2026"), ("entity", 0, "US01")], "?");
    check("finance.amount", &[actual, ("account", 0, "4000"), ("date", 0, "2026"), ("entity", 1, "MER")], "?");
    check("exchange_rate.average_rate", &[("currency", 0, "USD"), ("date", 0, "2026")], "?");
    for hash in [company.version.state_hash()] {
        println!("{hash:?} members/finance rows {}", company.version.rows(company.version.model.cube("finance").expect("f")).row_count());
    }
}

#[test]
fn a_seed_gives_one_company() {
    let modelled = modelled();
    let of = |seed| generate(&modelled.version, seed).expect("the model is there");
    assert_eq!(of(7), of(7));
    assert_ne!(of(7), of(8));
    assert_eq!(difference(&modelled, &model_files()), Ok(Vec::new()));
}
