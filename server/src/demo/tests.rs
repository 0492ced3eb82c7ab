//! The figures that the demo's page states.

use std::time::Instant;

use calc::branches::Alone;
use calc::{Measured, Query, Revision, run};
use cube::rollup::{Filter, Grain};
use cube::{Change, HierarchyId, Number, View};

use super::{changes, generate, model_files};
use crate::model_files::difference;

fn modelled() -> Revision {
    let revision = Revision::default();
    let model =
        difference(&revision, &Alone, &model_files()).unwrap_or_else(|error| panic!("{error}"));
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

/// A measure where dimensions are pinned to a member, seen through a hierarchy by its position.
pub(crate) fn total(revision: &Revision, target: &str, pinned: &[(&str, usize, &str)]) -> String {
    let version = &revision.version;
    let (cube, measure) = version.model.target(target).expect(target);
    let def = version.model.cube_def(cube);
    let filter = |&(name, hierarchy, key): &(&str, usize, &str)| {
        let id = version.model.dimension(name).expect(name);
        let position = def.position(id).expect(name);
        let dimension = version.dimension(id);
        let member = dimension.find(key).expect(key);
        if dimension.def.hierarchies.is_empty() {
            return Filter {
                position,
                members: [member.0].into_iter().collect(),
                grain: Grain::Leaf,
                level: None,
            };
        }
        let hierarchy = HierarchyId::from_idx(hierarchy);
        let shape = dimension.shape(hierarchy);
        let at = usize::from(shape.depth[member.idx()]);
        let below = dimension.members().filter(|leaf| shape.ancestors[at][leaf.idx()] == member);
        let members = below.map(|leaf| leaf.0).collect();
        Filter { position, members, grain: Grain::Level(hierarchy, at), level: None }
    };
    let query = Query {
        filters: pinned.iter().map(filter).collect(),
        outputs: vec![Measured::Consolidated(measure)],
        ..Query::of(cube)
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
        assert_eq!(total(&company, target, pinned), expected, "{target} {pinned:?}");
    };
    let deals = company.version.model.cube("deals").expect("deals");
    assert_eq!(company.version.rows(deals).row_count(), 50_000);
    check("deals.amount", &[], "301876271.01");
    check("deals.cost", &[], "145588589.56");
    check("deals.quantity", &[], "609873");
    check("deals.margin", &[], "156287681.45");
    check("deals.margin_pct", &[], "0.517721");
    check("deals.commission", &[], "10442459.281675");
    check("deals.amount", &[("date", 0, "2024")], "83858919.81");
    check("deals.amount", &[("date", 0, "2025")], "101847420.59");
    check("deals.amount", &[("date", 0, "2026")], "116169930.61");
    check("deals.amount", &[("date", 1, "FY2026")], "104816564.90");
    check("deals.amount", &[("product", 0, "category:software")], "51146905.34");
    check("deals.amount", &[("region", 0, "area:americas")], "93242168.70");
    check("deals.amount", &[("rep", 0, "M03")], "93242168.70");
    check("quota.quota_amount", &[("date", 0, "2026")], "113045000.00");
    check("quota.sales", &[("date", 0, "2026")], "116169930.61");
    check("quota.attainment", &[("date", 0, "2026")], "1.027643");
    check("quota.attainment", &[("date", 0, "2026-Q4"), ("rep", 0, "M03")], "1.175888");
    let actual = ("scenario", 0, "actual");
    check("finance.amount", &[actual, ("account", 0, "NI"), ("date", 0, "2026")], "470912878.66");
    check(
        "finance.amount",
        &[actual, ("account", 0, "NI"), ("date", 0, "2026"), ("entity", 0, "FR01")],
        "5676022.38",
    );
    check(
        "finance.amount",
        &[
            ("scenario", 0, "budget"),
            ("account", 0, "NI"),
            ("date", 0, "2026"),
            ("entity", 0, "FR01"),
        ],
        "5324737.76",
    );
    check(
        "finance.amount",
        &[
            ("scenario", 0, "forecast"),
            ("account", 0, "NI"),
            ("date", 0, "2026"),
            ("entity", 0, "FR01"),
        ],
        "5311639.62",
    );
    check(
        "finance.amount",
        &[actual, ("account", 0, "AS"), ("date", 0, "2026"), ("entity", 0, "FR01")],
        "38566409.29",
    );
    check(
        "finance.amount",
        &[actual, ("account", 0, "1000"), ("date", 0, "2026"), ("entity", 0, "FR01")],
        "23607544.82",
    );
    check("finance.amount", &[actual, ("account", 0, "BS"), ("date", 0, "2026-Q2")], "0.00");
    check("finance.amount", &[actual, ("account", 0, "9000"), ("date", 0, "2026-Q4")], "727.00");
    check(
        "finance.amount",
        &[actual, ("account", 0, "4000"), ("date", 0, "2026"), ("entity", 0, "US01")],
        "58729693.59",
    );
    check(
        "finance.amount",
        &[actual, ("account", 0, "4000"), ("date", 0, "2026"), ("entity", 1, "MER")],
        "991755174.59708",
    );
    check("exchange_rate.average_rate", &[("currency", 0, "USD"), ("date", 0, "2026")], "0.913120");
    let finance = company.version.model.cube("finance").expect("finance");
    assert_eq!(company.version.rows(finance).row_count(), 8_484);
}

#[test]
fn a_seed_gives_one_company() {
    let modelled = modelled();
    let of = |seed| generate(&modelled.version, seed).expect("the model is there");
    assert_eq!(of(7), of(7));
    assert_ne!(of(7), of(8));
    assert_eq!(difference(&modelled, &Alone, &model_files()), Ok(Vec::new()));
}
