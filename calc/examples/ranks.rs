//! How long formulas take whose values depend on the order of many: a rank among the members of a long
//! axis, and the last value of the rows of each member.
//! `cargo run --release -p calc --example ranks [members]`

use std::time::Instant;

use calc::Revision;
use cube::change::{MemberWrite, MembersWrite, RowsAction, RowsWrite};
use cube::model::{
    Consolidation, CubeDef, CubeKind, DimensionDef, FormulaDef, KeyDef, MeasureDef, ModelChange,
};
use cube::number::Rounding;
use cube::value::{KeyPart, KeyType};
use cube::{Change, CubeId, DimensionId, MeasureId, MemberId, ValueType};

/// Rows of a member.
const ROWS_PER_MEMBER: usize = 20;

fn main() {
    let members = std::env::args().nth(1).and_then(|n| n.parse().ok()).unwrap_or(20_000);
    let mut revision = inputs(members);
    for (what, target, text) in [
        ("rank", "score.rank", "RANK(points, player)"),
        ("last", "score.last", "games.points[BY LAST: player]"),
    ] {
        let change = Change::Model(ModelChange::SetFormula(FormulaDef {
            target: target.into(),
            text: text.into(),
            description: String::new(),
            at_or_above: Default::default(),
        }));
        let started = Instant::now();
        revision = apply(&revision, &[change]);
        println!("{what} members={members} ms={:.1}", started.elapsed().as_secs_f64() * 1e3);
    }
}

fn apply(revision: &Revision, changes: &[Change]) -> Revision {
    match revision.apply(changes) {
        Ok((revision, _)) => revision,
        Err(error) => panic!("{error} {:?}", error.detail()),
    }
}

/// Points of players, and games with points.
fn inputs(members: usize) -> Revision {
    let player = |at: usize| MemberWrite { key: format!("p{at}"), ..MemberWrite::default() };
    let revision = apply(
        &Revision::default(),
        &[
            Change::Model(ModelChange::AddDimension(DimensionDef {
                name: "player".into(),
                description: String::new(),
                key_type: KeyType::Text,
                attributes: Vec::new(),
                levels: Vec::new(),
                hierarchies: Vec::new(),
                calendar: None,
            })),
            cube("score", CubeKind::Cells, &["points", "rank", "last"]),
            cube("games", CubeKind::Records, &["points"]),
            Change::Members(MembersWrite {
                dimension: DimensionId(0),
                first_new: MemberId(0),
                members: (0..members).map(player).collect(),
            }),
        ],
    );
    let rows = members * ROWS_PER_MEMBER;
    let points = |at: usize| Some((at.wrapping_mul(7_919) % 1_000_003) as i64);
    let write = |cube: u32, keys: Vec<KeyPart>, count: usize| {
        Change::Rows(RowsWrite {
            cube: CubeId(cube),
            action: RowsAction::Set,
            measures: vec![MeasureId(0)],
            keys,
            coordinates: (0..count).map(|at| MemberId((at % members) as u32)).collect(),
            values: (0..count).map(points).collect(),
        })
    };
    let keys = (0..rows).map(|row| KeyPart::Integer(row as i64)).collect();
    apply(&revision, &[write(0, Vec::new(), members), write(1, keys, rows)])
}

fn cube(name: &str, kind: CubeKind, measures: &[&str]) -> Change {
    let measure = |name: &&str| MeasureDef {
        name: String::from(*name),
        value_type: ValueType::Decimal { precision: 18, scale: 2 },
        consolidation: Consolidation::Sum,
        rounding: Rounding::HalfEven,
        description: String::new(),
        time: None,
    };
    let key = || KeyDef { name: "game".into(), key_type: KeyType::Bigint };
    Change::Model(ModelChange::AddCube(CubeDef {
        name: name.into(),
        kind,
        description: String::new(),
        dimensions: vec!["player".into()],
        key: (kind == CubeKind::Records).then(key).into_iter().collect(),
        measures: measures.iter().map(measure).collect(),
    }))
}
