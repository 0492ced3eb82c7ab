//! Who wrote what, over loads and writes on a simulated disk.

use std::collections::BTreeMap;
use std::sync::Arc;

use cube::change::{DatedValue, DatedWrite, MemberWrite, MembersWrite, RowsAction, RowsWrite};
use cube::model::ModelChange;
use cube::value::KeyPart;
use cube::{Change, HierarchyId};
use protocol::provenance::{
    Asked, MemberPart, ProvenanceRequest, RowPart, WriteAction, WriteRecord,
};
use protocol::tenant::{Command, Snapshot, Tenant};
use ractor::Actor;
use storage::{LedgerId, LedgerWriter, MemoryDevice};

use crate::auth::Users;
use crate::commands::{self, ApplyMode, Asking};
use crate::load::{LoadFile, LoadRequest, NamedText, Target, Unwatched};
use crate::model_files::ModelFiles;
use crate::tenant::actor::Supervisor;
use crate::tenant::store::Opened;
use crate::tenant::{Authority, MAIN, OpenTenant, TenantOptions};

mod decisions;

const FILES: [(&str, &str); 5] = [
    ("model.toml", "name = \"shop\"\n"),
    (
        "dimensions/rep.toml",
        "name = \"rep\"\n[[attribute]]\nname = \"rate\"\ntype = \"decimal(5,4)\"\n\
         [[hierarchy]]\nname = \"rep\"\nkind = \"parent_child\"\n",
    ),
    (
        "cubes/deals.toml",
        "name = \"deals\"\nkind = \"records\"\nkey = [{ name = \"deal\", type = \"integer\" }]\n\
         dimensions = [\"rep\"]\n[[measure]]\nname = \"amount\"\ntype = \"decimal(18,2)\"\n\
         [[measure]]\nname = \"commission\"\ntype = \"decimal(18,6)\"\n\
         [[measure]]\nname = \"status\"\ntype = \"text\"\n",
    ),
    (
        "cubes/quota.toml",
        "name = \"quota\"\nkind = \"cells\"\ndimensions = [\"rep\"]\n\
         [[measure]]\nname = \"target\"\ntype = \"integer\"\n\
         [[measure]]\nname = \"stretch\"\ntype = \"integer\"\n",
    ),
    (
        "rules/deals.toml",
        "[[formula]]\ntarget = \"deals.commission\"\ntext = \"amount * rep.rate\"\n",
    ),
];

struct Shop {
    tenant: Arc<OpenTenant>,
}

impl Shop {
    async fn new() -> Self {
        Self::of(&FILES).await
    }

    async fn of(files: &[(&str, &str)]) -> Self {
        let device = Arc::new(MemoryDevice::new(1));
        LedgerWriter::create(device.clone(), LedgerId([1; 16]), Default::default()).unwrap();
        let (supervisor, _) = Supervisor::spawn(None, Supervisor, ()).await.unwrap();
        let opened = Opened::read(device.clone()).unwrap();
        let options =
            TenantOptions { authority: Authority::FolderOwner, ..TenantOptions::default() };
        let users = Users::default();
        let tenant = OpenTenant::start(&supervisor, "shop", device, users, opened, &options);
        let shop = Self { tenant: tenant.await.unwrap() };
        let files = files.iter().map(|(path, text)| ((*path).into(), (*text).into()));
        let files = ModelFiles { files: files.collect() };
        let asking = Asking::on_main("ana", "apply");
        commands::apply(&shop.tenant, &asking, files, ApplyMode::Apply).await.unwrap();
        shop
    }

    async fn load(&self, target: Target, name: &str, csv: &str) {
        self.load_by(target, name, csv, None).await;
    }

    async fn load_mapped(&self, target: Target, name: &str, csv: &str, map: &str) {
        let map = NamedText { name: "map.toml".into(), content: map.into() };
        self.load_by(target, name, csv, Some(map)).await;
    }

    async fn load_by(&self, target: Target, name: &str, csv: &str, map: Option<NamedText>) {
        let file = LoadFile::of_bytes(name, csv.as_bytes());
        let (lookups, progress) = (BTreeMap::new(), Arc::new(Unwatched));
        let request = LoadRequest { target, file, map, lookups, progress };
        let asking = Asking::on_main("bob", "http");
        commands::load(&self.tenant, &asking, request).await.unwrap();
    }

    async fn write(&self, changes: Vec<Change>) {
        let (author, origin, branch) = ("eva".into(), "psql".into(), MAIN.into());
        let command = Command {
            author,
            origin,
            reason: String::new(),
            branch,
            branch_number: None,
            changes,
            base: None,
        };
        self.tenant.submit(command).await.unwrap();
    }

    fn set(&self, cube: &str, measure: &str, key: Option<i64>, rep: &str, value: i64) -> Change {
        let version = &self.tenant.head().revision.version;
        let cube = version.model.cube(cube).unwrap();
        let rep = version.dimensions[0].find(rep).unwrap();
        Change::Rows(RowsWrite {
            cube,
            action: RowsAction::Set,
            measures: vec![version.model.cube_def(cube).measure(measure).unwrap()],
            keys: key.into_iter().map(KeyPart::Integer).collect(),
            coordinates: vec![rep],
            values: vec![Some(value)].into(),
        })
    }

    fn cell(&self, measure: &str, rep: &str) -> Asked {
        let version = &self.tenant.head().revision.version;
        let cube = version.model.cube("quota").unwrap();
        let measure = version.model.cube_def(cube).measure(measure).unwrap();
        let coordinate = vec![version.dimensions[0].find(rep).unwrap()];
        Asked::Cell { cube, coordinate, measure }
    }

    fn row(&self, deal: i64, measure: Option<&str>) -> Asked {
        let version = &self.tenant.head().revision.version;
        let cube = version.model.cube("deals").unwrap();
        let def = version.model.cube_def(cube);
        let part = measure.map(|measure| RowPart::Measure(def.measure(measure).unwrap()));
        let part = part.unwrap_or(RowPart::Whole);
        Asked::Row { cube, key: vec![KeyPart::Integer(deal)], part }
    }

    fn member(&self, key: &str, attribute: Option<&str>) -> Asked {
        let version = &self.tenant.head().revision.version;
        let dimension = version.model.dimension("rep").unwrap();
        let def = version.model.dimension_def(dimension);
        let part = attribute.map(|name| MemberPart::Undated(def.attribute(name).unwrap()));
        self.part_of(key, part.unwrap_or(MemberPart::Whole))
    }

    fn part_of(&self, key: &str, part: MemberPart) -> Asked {
        let version = &self.tenant.head().revision.version;
        let dimension = version.model.dimension("rep").unwrap();
        Asked::Member { dimension, key: key.into(), part }
    }

    /// What is known of some things, a line a write.
    async fn shown(&self, asked: Vec<Asked>, limit: usize) -> String {
        let Snapshot { view, lineage, .. } = self.tenant.read("").unwrap().snapshot(MAIN).unwrap();
        let request = ProvenanceRequest { asked, limit, lineage, version: view.version };
        let answers = self.tenant.provenance(request).await.unwrap();
        answers.iter().map(|writes| lines(writes)).collect::<Vec<_>>().join("\n--\n")
    }

    async fn check(&self, asked: Vec<Asked>, limit: usize, expected: &str) {
        let found = self.shown(asked, limit).await;
        assert_eq!(found.trim(), expected.trim(), "\n{found}\n");
    }
}

fn lines(writes: &[WriteRecord]) -> String {
    let line = |write: &WriteRecord| {
        let action = match write.action {
            WriteAction::Set => "set",
            WriteAction::Remove => "removed",
        };
        let values = write
            .values
            .iter()
            .map(|(name, value)| format!(" {name}={}", value.as_deref().unwrap_or("blank")));
        let values: String = values.collect();
        let file = write.file.iter().map(|file| format!(" from {file}")).collect::<String>();
        let row = write.source_row.map(|row| format!(" row {row}")).unwrap_or_default();
        let (sequence, author, origin) = (write.sequence, &write.author, &write.origin);
        format!("#{sequence} {author} {origin} {action}{values}{file}{row}")
    };
    writes.iter().map(line).collect::<Vec<_>>().join("\n")
}

fn reps() -> Target {
    Target::Dimension("rep".into())
}

#[tokio::test(flavor = "multi_thread")]
async fn texts_are_shown_as_they_were_written() {
    let shop = Shop::new().await;
    shop.load(reps(), "reps.csv", "key\nada\n").await;
    let deals = "deal,rep,status\n1,ada,Won\n2,ada,\n\n3,ada,\"Lost, twice\"\n4,ada,Won\n";
    shop.load(Target::Cube("deals".into()), "deals.csv", deals).await;
    let texts = Change::Texts(vec!["unused".into(), "Won again".into()]);
    let write = shop.set("deals", "status", Some(3), "ada", 1);
    let other = Change::Texts(vec!["a".into(), "b".into()]);
    let last = shop.set("deals", "status", Some(4), "ada", 1);
    shop.write(vec![texts, write, other, last]).await;
    let asked = vec![shop.row(3, Some("status")), shop.row(4, None), shop.row(2, Some("status"))];
    shop.check(
        asked,
        9,
        r#"
#4 eva psql set status=Won again
#3 bob http set status=Lost, twice from deals.csv row 5
--
#4 eva psql set rep=ada status=b
#3 bob http set rep=ada status=Won from deals.csv row 6
--
#3 bob http set status=blank from deals.csv row 3
"#,
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn loads_know_the_row_of_the_file() {
    let shop = Shop::new().await;
    shop.load(reps(), "reps.csv", "key,rate\nada,0.01\n\nben,0.02\nada,0.01\ncleo,0.05\n").await;
    shop.load(reps(), "more.csv", "key,rate\nada,0.01\nben,\n").await;
    let quota = "rep,target,stretch\nben,10,12\n\nada,,7\ncleo,,\n";
    shop.load(Target::Cube("quota".into()), "quota.csv", quota).await;
    let deals = "deal,rep,amount\n7,ben,1.50\n8,ada,2.50\n\n9,ada,\n";
    shop.load(Target::Cube("deals".into()), "deals.csv", deals).await;
    shop.write(vec![shop.set("quota", "target", None, "ben", 11)]).await;
    shop.write(vec![shop.set("deals", "amount", Some(9), "ada", 5_00)]).await;
    let asked = vec![
        shop.cell("target", "ben"),
        shop.cell("stretch", "ada"),
        shop.row(9, Some("amount")),
        shop.row(8, None),
        shop.member("ben", Some("rate")),
        shop.member("cleo", None),
        Asked::Formula { target: "deals.commission".into() },
        shop.row(70, None),
    ];
    shop.check(
        asked,
        9,
        r#"
#6 eva psql set target=11
#4 bob http set target=10 from quota.csv row 2
--
#4 bob http set stretch=7 from quota.csv row 4
--
#7 eva psql set amount=5.00
#5 bob http set amount=blank from deals.csv row 5
--
#5 bob http set rep=ada amount=2.50 from deals.csv row 3
--
#3 bob http set rate=blank from more.csv row 3
#2 bob http set rate=0.0200 from reps.csv row 4
--
#2 bob http set rate=0.0500 from reps.csv row 6
--
#1 ana apply set text=amount * rep.rate
--
"#,
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn values_that_hold_from_a_day_on_are_writes_of_their_member() {
    let shop = Shop::new().await;
    shop.load(reps(), "reps.csv", "key,rate\nada,0.01\n").await;
    let version = Arc::clone(&shop.tenant.head().revision.version);
    let dimension = version.model.dimension("rep").unwrap();
    let attribute = version.model.dimension_def(dimension).attribute("rate").unwrap();
    let value = DatedValue { member: "ada".into(), valid_from: 366, value: None };
    let write = DatedWrite { dimension, attribute, values: vec![value] };
    shop.write(vec![Change::Dated(write)]).await;
    let asked = vec![
        shop.member("ada", None),
        shop.part_of("ada", MemberPart::Dated(attribute, 366)),
        shop.part_of("ada", MemberPart::Dated(attribute, 367)),
        // what holds before the first day was written by another
        shop.member("ada", Some("rate")),
    ];
    let expected = "\
#3 eva psql set rate from 1971-01-02=blank
#2 bob http set rate=0.0100 from reps.csv row 2
--
#3 eva psql set rate from 1971-01-02=blank
--

--
#2 bob http set rate=0.0100 from reps.csv row 2";
    shop.check(asked, 9, expected).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn parents_and_members_of_rows_have_writes_of_their_own() {
    let shop = Shop::new().await;
    shop.load(reps(), "reps.csv", "key,rate\nada,0.01\nben,0.02\n").await;
    shop.load(reps(), "tree.csv", "key,parent\nall,\nada,all\nben,ada\n").await;
    shop.load(reps(), "rates.csv", "key,rate\nben,0.03\n").await;
    let deals = || Target::Cube("deals".into());
    shop.load(deals(), "deals.csv", "deal,rep,amount\n7,ben,1.50\n8,ada,2.50\n").await;
    shop.write(vec![shop.set("deals", "amount", Some(7), "ada", 1_60)]).await;
    let cube = shop.tenant.head().revision.version.model.cube("deals").unwrap();
    let member =
        |deal| Asked::Row { cube, key: vec![KeyPart::Integer(deal)], part: RowPart::Member(0) };
    let asked = vec![
        shop.part_of("ben", MemberPart::Parent(HierarchyId(0))),
        member(7),
        member(8),
        shop.row(7, Some("amount")),
    ];
    let expected = "\
#3 bob http set parent in rep=ada from tree.csv row 4
--
#6 eva psql set rep=ada
#5 bob http set rep=ben from deals.csv row 2
--
#5 bob http set rep=ada from deals.csv row 3
--
#6 eva psql set amount=1.60
#5 bob http set amount=1.50 from deals.csv row 2";
    shop.check(asked, 9, expected).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_newest_are_found_first_over_windows_of_the_ledger() {
    let shop = Shop::new().await;
    shop.load(reps(), "reps.csv", "key\nada\nben\n").await;
    shop.write(vec![shop.set("quota", "target", None, "ada", 1)]).await;
    for value in 0..300 {
        shop.write(vec![shop.set("quota", "target", None, "ben", value)]).await;
    }
    // two writes of one command: the later one counts as newer
    let twice = [4, 5].map(|value| shop.set("quota", "target", None, "ada", value));
    shop.write(twice.to_vec()).await;
    let remove = Change::Rows(RowsWrite {
        cube: shop.tenant.head().revision.version.model.cube("quota").unwrap(),
        action: RowsAction::Remove,
        measures: Vec::new(),
        keys: Vec::new(),
        coordinates: vec![cube::MemberId(1)],
        values: cube::ValueList::new(),
    });
    shop.write(vec![remove]).await;
    let asked = || vec![shop.cell("target", "ada"), shop.cell("target", "ben")];
    shop.check(
        asked(),
        2,
        r#"
#304 eva psql set target=5
#304 eva psql set target=4
--
#305 eva psql removed
#303 eva psql set target=299
"#,
    )
    .await;
    let found = shop.shown(asked(), 3).await;
    assert!(found.contains("\n#3 eva psql set target=1\n"), "{found}");
    assert_eq!(shop.shown(asked(), 0).await, "\n--\n");
}

/// A dimension that comes later: what was written before is of the member that was said then.
#[tokio::test(flavor = "multi_thread")]
async fn writes_from_before_a_dimension_are_found() {
    let shop = Shop::new().await;
    shop.load(reps(), "reps.csv", "key\nada\nben\n").await;
    let quota = |values: &[i64]| {
        let cells = values.iter().enumerate();
        let write = shop.set("quota", "target", None, "ada", 0);
        let Change::Rows(write) = write else { panic!("it writes rows") };
        let coordinates = cells.map(|(rep, _)| cube::MemberId::from_idx(rep)).collect();
        let values = values.iter().copied().map(Some).collect();
        Change::Rows(RowsWrite { coordinates, values, ..write })
    };
    shop.write(vec![quota(&[1, 2])]).await;
    let dimension = cube::model::DimensionDef {
        name: "scenario".into(),
        description: String::new(),
        key_type: Default::default(),
        attributes: Vec::new(),
        levels: Vec::new(),
        hierarchies: Vec::new(),
        calendar: None,
    };
    let member = |key: &str| MemberWrite { key: key.into(), ..MemberWrite::default() };
    let members = MembersWrite {
        dimension: cube::DimensionId(1),
        first_new: cube::MemberId(0),
        members: vec![member("budget"), member("actual")],
    };
    let more = ModelChange::AddCubeDimension {
        cube: "quota".into(),
        dimension: "scenario".into(),
        member: Some("actual".into()),
    };
    shop.write(vec![
        quota(&[3, 4]),
        Change::Model(ModelChange::AddDimension(dimension)),
        Change::Members(members),
        Change::Model(more),
    ])
    .await;
    let write = |rep: &str, scenario: u32, value: i64| {
        let Change::Rows(mut write) = shop.set("quota", "target", None, rep, value) else {
            panic!("it writes rows")
        };
        write.coordinates.push(cube::MemberId(scenario));
        Change::Rows(write)
    };
    shop.write(vec![write("ada", 0, 50), write("ben", 1, 60)]).await;
    let cell = |rep: u32, scenario: u32| match shop.cell("target", "ada") {
        Asked::Cell { cube, measure, .. } => {
            let coordinate = vec![cube::MemberId(rep), cube::MemberId(scenario)];
            Asked::Cell { cube, coordinate, measure }
        }
        other => other,
    };
    let asked = vec![cell(0, 0), cell(0, 1), cell(1, 0), cell(1, 1)];
    let expected = "\
#5 eva psql set target=50
--
#4 eva psql set target=3
#3 eva psql set target=1
--

--
#5 eva psql set target=60
#4 eva psql set target=4
#3 eva psql set target=2";
    shop.check(asked, 9, expected).await;
}
