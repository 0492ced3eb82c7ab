//! Texts in cells and rows: read and computed by formulas, kept up to date, listed, and never known by
//! anything but themselves. Expected values are worked out by hand.

#[path = "support/shop.rs"]
mod shop;

use std::sync::Arc;

use calc::{CalcError, Revision};
use cube::change::{MemberWrite, MembersWrite, RowsAction, RowsWrite};
use cube::model::{CalendarDef, Consolidation, CubeKind, DimensionDef, MeasureDef, ModelChange};
use cube::value::{KeyPart, KeyType};
use cube::{Change, CubeId, DimensionId, MeasureId, MemberId, ValueType};
use rayon::ThreadPoolBuilder;

const DEALS: CubeId = CubeId(0);
const PLAN: CubeId = CubeId(1);

/// A deal: its id, representative, day, amount and status.
type Deal<'a> = (i64, &'a str, &'a str, i64, Option<&'a str>);

fn text_measure(name: &str) -> MeasureDef {
    MeasureDef { value_type: ValueType::Text, ..shop::measure(name, Consolidation::None) }
}

/// Deals by representative and day, a plan by representative and month.
fn model(formulas: &[(&str, &str)]) -> Result<Revision, CalcError> {
    let calendar = CalendarDef {
        start: "2024-01-01".into(),
        end: "2024-02-29".into(),
        fiscal_start_month: None,
    };
    let date =
        DimensionDef { calendar: Some(calendar), ..shop::dimension("date", KeyType::Date, None) };
    let mut deals = shop::cube("deals", CubeKind::Records, &["rep", "date"], &["amount"]);
    deals.key[0].key_type = KeyType::Integer;
    deals.measures.extend(["status", "band", "label"].map(text_measure));
    let mut plan = shop::cube("plan", CubeKind::Cells, &["rep", "date.month"], &["won", "ratio"]);
    plan.measures
        .extend(["list", "first", "last", "least", "most", "note", "tag"].map(text_measure));
    let changes = [
        ModelChange::AddDimension(shop::dimension("rep", KeyType::Text, None)),
        ModelChange::AddDimension(date),
        ModelChange::AddCube(deals),
        ModelChange::AddCube(plan),
    ];
    let set = |(target, text): &(&str, &str)| ModelChange::SetFormula(shop::formula(target, text));
    let members = MembersWrite {
        dimension: DimensionId(0),
        first_new: MemberId(0),
        members: ["ana", "bob"]
            .map(|key| MemberWrite { key: key.into(), ..MemberWrite::default() })
            .into(),
    };
    let changes: Vec<Change> = changes
        .into_iter()
        .chain(formulas.iter().map(set))
        .map(Change::Model)
        .chain([Change::Members(members)])
        .collect();
    Ok(Revision::default().apply(&changes)?.0)
}

fn member(revision: &Revision, dimension: u32, key: &str) -> MemberId {
    revision.version.dimension(DimensionId(dimension)).find(key).expect("the member is there")
}

/// Rows of deals with the table of their texts.
fn deals(revision: &Revision, deals: &[Deal<'_>]) -> Vec<Change> {
    let mut table = cube::dictionary::TextTable::default();
    let mut write = RowsWrite {
        cube: DEALS,
        action: RowsAction::Set,
        measures: vec![MeasureId(0), MeasureId(1)],
        keys: Vec::new(),
        coordinates: Vec::new(),
        values: cube::ValueList::new(),
    };
    for (id, rep, day, amount, status) in deals {
        write.keys.push(KeyPart::Integer(*id));
        write.coordinates.extend([member(revision, 0, rep), member(revision, 1, day)]);
        let status = status.map(|status| table.position(status).expect("a short text"));
        write.values.extend([Some(amount * 10_000), status]);
    }
    table.into_change().into_iter().chain([Change::Rows(write)]).collect()
}

fn note(revision: &Revision, rep: &str, month: &str, text: Option<&str>) -> Vec<Change> {
    let measure = revision.version.model.cube_def(PLAN).measure("note").expect("it is there");
    let write = RowsWrite {
        cube: PLAN,
        action: RowsAction::Set,
        measures: vec![measure],
        keys: Vec::new(),
        coordinates: vec![member(revision, 0, rep), member(revision, 1, month)],
        values: vec![text.map(|_| 0)].into(),
    };
    let texts = Change::Texts(text.map(Arc::from).into_iter().collect());
    vec![texts, Change::Rows(write)]
}

const FIRST: [Deal<'static>; 5] = [
    (1, "ana", "2024-01-20", 500, Some("Won")),
    (2, "ana", "2024-01-03", 1_500, Some("Lost")),
    (3, "ana", "2024-01-03", 10, None),
    (4, "ana", "2024-02-01", 2_000, Some("Won")),
    (5, "bob", "2024-01-09", 70, None),
];

fn apply(revision: &mut Revision, changes: &[Change]) -> Vec<(String, u64)> {
    let (next, recomputed) = revision.apply(changes).expect("the change is valid");
    *revision = next;
    shop::listed(recomputed)
}

/// The text of a measure of a deal.
fn of_deal(revision: &Revision, id: i64, measure: &str) -> Option<String> {
    let version = &revision.version;
    let mut probe = version.empty_rows(DEALS);
    probe.keys[0].push(KeyPart::Integer(id));
    probe.coordinates.iter_mut().for_each(|column| column.push(MemberId(0)));
    let at = version.rows(DEALS).find(&probe, 0)?;
    let measure = version.model.cube_def(DEALS).measure(measure).expect("it is there");
    version.value(DEALS, measure, at).map(|value| value.format(ValueType::Text))
}

/// The value of a measure of the plan, as text.
fn of_plan(revision: &Revision, rep: &str, month: &str, measure: &str) -> Option<String> {
    let version = &revision.version;
    let at = [member(revision, 0, rep), member(revision, 1, month)];
    let at = version.rows(PLAN).find_at(&at)?;
    let measure = version.model.cube_def(PLAN).measure(measure).expect("it is there");
    let value_type = version.model.cube_def(PLAN).measure_def(measure).value_type;
    version.value(PLAN, measure, at).map(|value| value.format(value_type))
}

#[test]
fn texts_are_read_computed_and_kept_up_to_date() {
    let mut revision = model(&[
        ("deals.band", "IF(amount > 1000, 'large', 'small')"),
        ("deals.label", "SWITCH(status, 'Won', 'w', 'Lost', 'l', '?') & '-' & LEFT(band, 2)"),
        ("plan.won", "deals.amount[FILTER: deals.status = 'Won'][BY SUM: rep, date.month]"),
    ])
    .unwrap();
    let write = deals(&revision, &FIRST);
    apply(&mut revision, &write);
    let labels = |revision: &Revision| [1, 2, 3, 4, 5].map(|id| of_deal(revision, id, "label"));
    let texts = |texts: [&str; 5]| texts.map(|text| Some(text.to_string()));
    assert_eq!(labels(&revision), texts(["w-sm", "l-la", "sm", "w-la", "sm"]));
    assert_eq!(of_plan(&revision, "ana", "2024-01", "won").as_deref(), Some("500.0000"));
    assert_eq!(of_plan(&revision, "ana", "2024-02", "won").as_deref(), Some("2000.0000"));
    assert_eq!(of_plan(&revision, "bob", "2024-01", "won"), None);

    // another status: the row's label and the month, and nothing else
    let write = deals(&revision, &[(3, "ana", "2024-01-03", 10, Some("Won"))]);
    let ran = apply(&mut revision, &write);
    assert_eq!(ran, [("deals.label".into(), 1), ("plan.won".into(), 1)]);
    assert_eq!(labels(&revision), texts(["w-sm", "l-la", "w-sm", "w-la", "sm"]));
    assert_eq!(of_plan(&revision, "ana", "2024-01", "won").as_deref(), Some("510.0000"));

    // the same text again changes nothing, whatever its position
    let write = [
        Change::Texts(vec!["never used".into(), "Won".into()]),
        Change::Rows(RowsWrite {
            cube: DEALS,
            action: RowsAction::Set,
            measures: vec![MeasureId(1)],
            keys: vec![KeyPart::Integer(3)],
            coordinates: vec![member(&revision, 0, "ana"), member(&revision, 1, "2024-01-03")],
            values: vec![Some(1)].into(),
        }),
    ];
    let hash = revision.version.state_hash();
    assert_eq!(apply(&mut revision, &write), []);
    assert_eq!(revision.version.state_hash(), hash);
}

#[test]
fn lists_stand_in_the_order_of_first_and_last_with_repeats() {
    let by = |aggregator: &str| format!("deals.status[BY {aggregator}: rep, date.month]");
    let texts = [
        ("plan.list", by("TEXTLIST")),
        ("plan.first", by("FIRSTNONBLANK")),
        ("plan.last", by("LAST")),
        ("plan.least", by("MIN")),
        ("plan.most", by("MAX")),
        ("plan.won", by("COUNT")),
        ("plan.tag", "list & '; ' & note".into()),
    ];
    let formulas: Vec<(&str, &str)> = texts.iter().map(|(t, text)| (*t, text.as_str())).collect();
    let mut revision = model(&formulas).unwrap();
    let write = deals(&revision, &FIRST);
    apply(&mut revision, &write);
    let check = |revision: &Revision, rep: &str, expected: [Option<&str>; 6]| {
        let measures = ["list", "first", "last", "least", "most", "won"];
        let found = measures.map(|measure| of_plan(revision, rep, "2024-01", measure));
        assert_eq!(found.each_ref().map(Option::as_deref), expected, "{rep}");
    };
    let both = [Some("Lost, Won"), Some("Lost"), Some("Won"), Some("Lost"), Some("Won")];
    let with_count = |texts: [Option<&'static str>; 5], count: Option<&'static str>| {
        [texts[0], texts[1], texts[2], texts[3], texts[4], count]
    };
    check(&revision, "ana", with_count(both, Some("2.0000")));
    check(&revision, "bob", with_count([None; 5], None));

    // on one day the key decides, and an empty text is a text
    let write = deals(
        &revision,
        &[
            (6, "ana", "2024-01-20", 1, Some("Won")),
            (7, "ana", "2024-01-20", 1, Some("")),
            (3, "ana", "2024-01-03", 10, Some("Won")),
        ],
    );
    apply(&mut revision, &write);
    let more = [Some("Lost, Won, Won, Won, "), Some("Lost"), Some(""), Some(""), Some("Won")];
    check(&revision, "ana", with_count(more, Some("5.0000")));

    let write = note(&revision, "bob", "2024-01", Some("wait, see"));
    let ran = apply(&mut revision, &write);
    assert_eq!(ran, [("plan.tag".into(), 1)]);
    let tag = |revision: &Revision, rep| of_plan(revision, rep, "2024-01", "tag");
    assert_eq!(tag(&revision, "bob").as_deref(), Some("wait, see"));
    assert_eq!(tag(&revision, "ana").as_deref(), Some("Lost, Won, Won, Won, ; "));
    let write = note(&revision, "bob", "2024-01", None);
    apply(&mut revision, &write);
    assert_eq!(tag(&revision, "bob"), None);
}

#[test]
fn the_order_of_writes_and_threads_leave_no_trace() {
    let formulas = [
        ("deals.label", "status & TEXT(amount)"),
        ("plan.list", "deals.label[BY TEXTLIST: rep, date.month]"),
        ("plan.tag", "UPPER(list)"),
    ];
    let base = model(&formulas).unwrap();
    let built = |order: &[usize], threads: usize| {
        let pool = ThreadPoolBuilder::new().num_threads(threads).build().expect("threads start");
        pool.install(|| {
            let mut revision = base.clone();
            for &at in order {
                let write = deals(&revision, &FIRST[at..=at]);
                apply(&mut revision, &write);
            }
            revision
        })
    };
    let all = |revision: &Revision| {
        let labels = [1, 2, 3, 4, 5].map(|id| of_deal(revision, id, "label"));
        let months = [("ana", "2024-01"), ("ana", "2024-02"), ("bob", "2024-01")];
        let lists = months.map(|(rep, month)| of_plan(revision, rep, month, "tag"));
        (labels, lists, revision.version.state_hash().to_string())
    };
    let forwards = built(&[0, 1, 2, 3, 4], 1);
    assert_eq!(
        of_plan(&forwards, "ana", "2024-01", "tag").as_deref(),
        Some("LOST1500, 10, WON500")
    );
    assert_eq!(all(&forwards), all(&built(&[4, 3, 2, 1, 0], 8)));
    let codes = |revision: &Revision| revision.version.texts.code("Won");
    assert_ne!(codes(&forwards), codes(&built(&[1, 0], 1)));

    // the hash is of the texts
    let hash = |status| {
        let mut revision = base.clone();
        let write = deals(&revision, &[(1, "ana", "2024-01-20", 500, status)]);
        apply(&mut revision, &write);
        revision.version.state_hash()
    };
    assert_ne!(hash(Some("Won")), hash(Some("won")));
    assert_ne!(hash(Some("")), hash(None));
}

fn refused(target: &str, text: &str, expected: &str) {
    let error = model(&[(target, text)]).expect_err(text);
    assert!(error.to_string().contains(expected), "{text}: {error}");
}

#[test]
fn what_is_no_text_and_what_texts_cannot_do_is_refused() {
    refused("deals.band", "amount", "expected a text, found a number");
    refused("deals.band", "amount > 1", "expected a text, found true or false");
    refused("plan.won", "deals.status[BY SUM: rep, date.month]", "values of this type");
    refused("plan.list", "deals.amount[BY TEXTLIST: rep, date.month]", "values of this type");
    refused("plan.won", "CUMULATE(note)", "expected a number, found a text");
    refused("plan.won", "note + 1", "expected a number, found a text");
    refused("plan.ratio", "IF(note = 'x', won, 2)", "reads numbers, and no texts");
    // a member is its key, a number is written as text
    model(&[("plan.tag", "IF(won > 0, rep)")]).unwrap();
    model(&[("deals.band", "TEXT(amount)")]).unwrap();
}

#[test]
fn a_list_that_is_too_long_names_its_cell_and_changes_nothing() {
    let revision = model(&[("plan.list", "deals.status[BY TEXTLIST: rep, date.month]")]).unwrap();
    let long = "x".repeat(40_000);
    let write = deals(&revision, &[(1, "ana", "2024-01-20", 1, Some(&long))]);
    let mut revision = revision.apply(&write).unwrap().0;
    let write = deals(&revision, &[(2, "ana", "2024-01-21", 1, Some(&long))]);
    let error = revision.apply(&write).expect_err("it is too long");
    assert_eq!(error.sqlstate(), "22001");
    let message = error.to_string();
    assert!(message.contains("80002 bytes") && message.contains("ana"), "{message}");
    let write = deals(&revision, &[(2, "ana", "2024-02-01", 1, Some(&long))]);
    apply(&mut revision, &write);
    let missing = [Change::Rows(RowsWrite {
        cube: DEALS,
        action: RowsAction::Set,
        measures: vec![MeasureId(1)],
        keys: vec![KeyPart::Integer(2)],
        coordinates: vec![member(&revision, 0, "ana"), member(&revision, 1, "2024-02-01")],
        values: vec![Some(0)].into(),
    })];
    let error = revision.apply(&missing).expect_err("there is no such text");
    assert!(error.to_string().contains("no text 0"), "{error}");
}

#[test]
fn leaving_out_unused_texts_changes_no_value() {
    let formulas = [
        ("deals.label", "status & TEXT(amount)"),
        ("plan.list", "deals.label[BY TEXTLIST: rep, date.month]"),
    ];
    let mut revision = model(&formulas).unwrap();
    let others = FIRST.map(|(id, rep, day, amount, _)| (id, rep, day, amount + 1, Some("else")));
    for write in [&others, &FIRST] {
        let write = deals(&revision, write);
        apply(&mut revision, &write);
    }
    let shown = |revision: &Revision| {
        let labels = FIRST.map(|(id, ..)| of_deal(revision, id, "label"));
        let months = [("ana", "2024-01"), ("ana", "2024-02"), ("bob", "2024-01")];
        (labels, months.map(|(rep, month)| of_plan(revision, rep, month, "list")))
    };
    let before = (shown(&revision), revision.version.state_hash());
    let version = Arc::new(cube::Version::clone(&revision.version).with_used_texts());
    let mut kept = Revision { version, ..revision.clone() };
    assert_eq!((shown(&kept), kept.version.state_hash()), before);
    // two statuses, five labels, and of three lists the one that is no label
    assert_eq!(kept.version.texts.len(), 8);
    assert!(kept.version.texts.code("else").is_none() && revision.version.texts.len() > 8);
    // and it goes on from there
    for revision in [&mut kept, &mut revision] {
        let write = deals(revision, &[(2, "ana", "2024-01-03", 7, Some("else"))]);
        apply(revision, &write);
    }
    assert_eq!(shown(&kept), shown(&revision));
    assert_eq!(kept.version.state_hash(), revision.version.state_hash());
}

#[test]
fn texts_that_no_cell_holds_any_more_go_away() {
    let formulas = [("plan.list", "deals.status[BY TEXTLIST: rep, date.month]")];
    let mut revision = model(&formulas).unwrap();
    // each time another text of 60 kilobytes, the one before it is held by no cell any more
    for round in 0..400u32 {
        let text = format!("{round:05}{}", "x".repeat(60_000));
        let write = deals(&revision, &[(1, "ana", "2024-01-20", 1, Some(&text))]);
        apply(&mut revision, &write);
        assert!(revision.version.texts.len() < 600, "{}", revision.version.texts.len());
        let listed = of_plan(&revision, "ana", "2024-01", "list");
        assert_eq!(listed.as_deref(), Some(text.as_str()));
    }
    let mut anew = model(&formulas).unwrap();
    let text = format!("{:05}{}", 399, "x".repeat(60_000));
    let write = deals(&anew, &[(1, "ana", "2024-01-20", 1, Some(&text))]);
    apply(&mut anew, &write);
    assert_eq!(anew.version.state_hash(), revision.version.state_hash());
    assert!(revision.version.texts.len() < 300, "{}", revision.version.texts.len());
}
