//! Cells found by name, and hand-made trees joined with a ledger.

use std::sync::Arc;

use async_trait::async_trait;
use calc::Revision;
use cube::change::{MemberWrite, MembersWrite, RowsAction, RowsWrite};
use cube::model::{AttributeDef, CubeDef, DimensionDef, ModelChange};
use cube::value::KeyPart;
use cube::{Change, CubeId, DimensionId, HierarchyId, MeasureId, MemberId, ValueType, View};

use super::{ExplainNode, ExplainOptions, Explained, cell, explain, resolve, with_writes};
use crate::branches::{Lineage, ReadPoint};
use crate::error::SqlError;
use crate::provenance::{Asked, ProvenanceRequest, WriteAction, WriteRecord};
use crate::tenant::{Command, LedgerEntry, NewBranch, OldBranch, Receipt, Snapshot, Tenant};

/// A tenant whose ledger answers every question with the question.
struct Echo;

#[async_trait]
impl Tenant for Echo {
    fn name(&self) -> &str {
        "echo"
    }

    fn read(&self, _user: &str) -> Result<ReadPoint, SqlError> {
        Err(SqlError::new("0A000", "nothing is read here"))
    }

    async fn submit(&self, _command: Command) -> Result<Receipt, SqlError> {
        Err(SqlError::new("25006", "nothing is written here"))
    }

    async fn create_branch(&self, _branch: NewBranch) -> Result<Receipt, SqlError> {
        Err(SqlError::new("25006", "nothing is written here"))
    }

    async fn drop_branch(&self, _branch: OldBranch) -> Result<Receipt, SqlError> {
        Err(SqlError::new("25006", "nothing is written here"))
    }

    async fn ledger(&self, _limit: usize) -> Result<Vec<LedgerEntry>, SqlError> {
        Ok(Vec::new())
    }

    async fn provenance(
        &self,
        request: ProvenanceRequest,
    ) -> Result<Vec<Vec<WriteRecord>>, SqlError> {
        let write = |(number, asked): (u64, &Asked)| {
            vec![WriteRecord {
                sequence: number,
                time_us: 0,
                author: format!("{asked:?}").split([' ', '{']).next().unwrap_or("").to_owned(),
                origin: "test".into(),
                file: None,
                source_row: None,
                action: WriteAction::Set,
                values: Vec::new(),
            }]
        };
        Ok((1..).zip(&request.asked).map(write).collect())
    }
}

fn dimension(name: &str, hierarchy: &str) -> ModelChange {
    let text = format!(
        "{{\"name\":\"{name}\",\"attribute\":[{{\"name\":\"rate\",\"type\":\"decimal(5,4)\"}}],\
         \"hierarchy\":[{{\"name\":\"{name}\",\"kind\":\"{hierarchy}\"}}]}}"
    );
    let def: DimensionDef = serde_json::from_str(&text).expect("a dimension");
    assert_eq!(def.attributes.first().map(|a: &AttributeDef| a.value_type.is_number()), Some(true));
    ModelChange::AddDimension(def)
}

fn cube(text: &str) -> ModelChange {
    let def: CubeDef = serde_json::from_str(text).expect("a cube");
    ModelChange::AddCube(def)
}

fn snapshot() -> Snapshot {
    let calendar = "{\"name\":\"date\",\"key_type\":\"date\",\"calendar\":{\"start\":\"2025-01-01\",\"end\":\"2026-12-31\"}}";
    let calendar: DimensionDef = serde_json::from_str(calendar).expect("a calendar");
    let member = |key: &str, name: &str, parent: Option<&str>| MemberWrite {
        key: key.into(),
        name: Some(name.into()),
        parents: vec![(HierarchyId(0), parent.map(Into::into))],
        ..MemberWrite::default()
    };
    let members = vec![
        member("all", "Everybody", None),
        member("ada", "Ada", Some("all")),
        member("ben", "Ben", Some("all")),
        member("ben2", "Ben", Some("all")),
    ];
    let members = MembersWrite { dimension: DimensionId(0), first_new: MemberId(0), members };
    let row = RowsWrite {
        cube: CubeId(1),
        action: RowsAction::Set,
        measures: vec![MeasureId(0)],
        keys: vec![KeyPart::Integer(7)],
        coordinates: vec![MemberId(1)],
        values: vec![Some(1_50)].into(),
    };
    let changes = [
        Change::Model(dimension("rep", "parent_child")),
        Change::Model(ModelChange::AddDimension(calendar)),
        Change::Model(cube(
            "{\"name\":\"quota\",\"kind\":\"cells\",\"dimensions\":[\"rep\",\"date\"],\
             \"measure\":[{\"name\":\"target\",\"type\":\"integer\"}]}",
        )),
        Change::Model(cube(
            "{\"name\":\"deals\",\"kind\":\"records\",\"key\":[{\"name\":\"deal\",\"type\":\"integer\"}],\
             \"dimensions\":[\"rep\"],\"measure\":[{\"name\":\"amount\",\"type\":\"decimal(18,2)\"}]}",
        )),
        Change::Model(cube(
            "{\"name\":\"plan\",\"kind\":\"cells\",\"dimensions\":[\"date.month\"],\
             \"measure\":[{\"name\":\"target\",\"type\":\"integer\"}]}",
        )),
        Change::Members(members),
        Change::Rows(row),
    ];
    let revision = Revision::default().apply(&changes).expect("a tenant").0;
    assert_eq!(ValueType::Integer.scale(), 0);
    let (view, plan) = (View::unrestricted(revision.version), Arc::clone(&revision.plan));
    Snapshot { view, plan, lineage: Lineage::default(), branches: Arc::default() }
}

/// What a text names, or what is wrong with it.
fn check(text: &str, expected: &str) {
    let snapshot = snapshot();
    let version = &snapshot.view.version;
    let found = cell::parse(text).and_then(|text| resolve(version, &text));
    let found = match found {
        Ok(cell) => match &cell.place {
            super::Place::Row(key) => format!("row {key:?}"),
            super::Place::Cell(place) => {
                let dimensions = &version.model.cube_def(cell.cube).dimensions;
                let keys = place.iter().zip(dimensions).map(|(member, &id)| {
                    member.map_or("*", |member| version.dimension(id).key(member))
                });
                keys.collect::<Vec<_>>().join(" ")
            }
        },
        Err(error) => {
            let hint = error.hint.map(|hint| format!("; {hint}")).unwrap_or_default();
            format!("{} {} at {}{hint}", error.sqlstate, error.message, error.position.unwrap_or(0))
        }
    };
    assert_eq!(found, expected, "{text}");
}

#[test]
fn members_of_any_level_are_found_by_key_or_name() {
    check("quota.target", "* *");
    check("quota.target[rep=ada]", "ada *");
    check("quota.target[date=2026-Q1, rep=Everybody]", "all 2026-Q1");
    check("quota.target[date_year=2026]", "* 2026");
    check("quota.target[date=2026-03-01]", "* 2026-03-01");
    check("quota.target[rep_l2=Ada]", "ada *");
    check("deals.amount[rep=ada]", "ada");
    check("plan.target[date=2026-Q1]", "2026-Q1");
    check("plan.target[date_month=2026-03]", "2026-03");
    check("deals.amount[deal= 7]", "row [Integer(7)]");
}

#[test]
fn what_does_not_exist_is_said_with_the_nearest() {
    check("quotas.target", "42P01 cube \"quotas\" does not exist at 1; did you mean quota?");
    check("quota.tarket", "42703 measure \"tarket\" does not exist at 7; did you mean target?");
    check(
        "quota.target[reps=ada]",
        "42703 dimension \"reps\" does not exist at 14; did you mean rep?",
    );
    check(
        "quota.target[rep=Adda]",
        "42704 member \"Adda\" does not exist at 18; did you mean Ada, ada?",
    );
    check("quota.target[rep_l1=Ada]", "42704 member \"Ada\" does not exist at 21");
    for period in ["2031-01-01", "2024-12", "2031-Q2", "2031"] {
        let runs = "which runs from 2025-01-01 to 2026-12-31 at 19";
        let hint = "correct the date, or let the calendar start earlier or end later in the file of its dimension";
        check(
            &format!("quota.target[date={period}]"),
            &format!("42704 {period} is outside the calendar of date, {runs}; {hint}"),
        );
    }
    check(
        "quota.target[rep=Ben]",
        "42702 2 members of rep are called \"Ben\" at 18; name one by its key: ben, ben2",
    );
    check(
        "quota.target[date=2026, date_year=2025]",
        "42601 \"date_year\" is named twice in the name of the cell at 25",
    );
    check("plan.target[date=2026-03-01]", "22023 \"2026-03-01\" is below month of date at 18");
    check("deals.amount[deal=8]", "42704 row deal=8 of deals does not exist at 0");
    check(
        "deals.amount[deal=7, rep=ada]",
        "42703 key column \"rep\" does not exist at 22; a row is named by its key alone: [deal=...]",
    );
}

fn node(
    label: &str,
    kind: &str,
    place: &[(&str, &str)],
    children: Vec<ExplainNode>,
) -> ExplainNode {
    let place = place.iter().map(|(name, key)| ((*name).into(), (*key).into())).collect();
    let (label, kind) = (label.into(), kind.into());
    ExplainNode { label, kind, place, children, ..ExplainNode::default() }
}

fn shown(explained: &Explained, depth: usize, lines: &mut Vec<String>) {
    let indent = "  ".repeat(depth);
    let writes =
        explained.writes.iter().map(|write| format!(" #{} {}", write.sequence, write.author));
    lines.push(format!("{indent}{}{}", explained.node.label, writes.collect::<String>()));
    explained.children.iter().for_each(|child| shown(child, depth + 1, lines));
}

#[tokio::test]
async fn inputs_are_joined_with_their_writes() {
    let row = ExplainNode {
        key: Some(vec![("deal".into(), "7".into())]),
        ..node("deals.amount", "input", &[("rep", "ada")], Vec::new())
    };
    let cell = node("quota.target", "input", &[("rep", "ada"), ("date", "2026-03-01")], Vec::new());
    let tree = node(
        "quota.target",
        "sum",
        &[("rep", "all")],
        vec![
            cell.clone(),
            row,
            node("rep.rate", "attribute", &[("rep", "ada")], Vec::new()),
            node("12", "constant", &[], Vec::new()),
            cell,
        ],
    );
    let explained = with_writes(&Echo, &snapshot(), tree, 1).await.expect("a tree");
    let mut lines = Vec::new();
    shown(&explained, 0, &mut lines);
    let expected = "quota.target\n  quota.target #1 Cell\n  deals.amount #2 Row\n  \
                    rep.rate #3 Member\n  12\n  quota.target #1 Cell";
    assert_eq!(lines.join("\n"), expected);
}

#[tokio::test]
async fn a_row_is_explained_by_its_write() {
    let options = ExplainOptions::default();
    let explained = explain(&Echo, &snapshot(), "deals.amount[deal=7]", options).await;
    let explained = explained.expect("a row");
    assert_eq!(explained.node.value.as_deref(), Some("1.50"));
    assert_eq!(explained.place_in_words().as_deref(), Some("deal=7, rep=ada"));
    assert_eq!(explained.writes.len(), 1);
    let none = ExplainOptions { page: 0, ..options };
    let error =
        explain(&Echo, &snapshot(), "deals.amount[deal=7]", none).await.expect_err("a page");
    assert_eq!(error.sqlstate, "22023");
}
