//! Tests of the tenant as a whole, on a simulated disk.

mod branches;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use cube::change::{DatedValue, DatedWrite, MemberWrite, MembersWrite, RowsAction, RowsWrite};
use cube::model::{
    AttributeDef, Consolidation, CubeDef, CubeKind, DimensionDef, FormulaDef, KeyDef, MeasureDef,
    ModelChange,
};
use cube::value::KeyPart;
use cube::{CubeId, DimensionId, KeyType, MeasureId, MemberId, ValueType};
use ractor::Actor;
use storage::device::memory::Event;
use storage::{DeviceFile, LedgerId, LedgerWriter, MemoryDevice, StorageError};

use super::actor::Supervisor;
use super::*;
use crate::auth::Role;
use crate::tenant::replay::verify;

fn model() -> Vec<Change> {
    let dimension = DimensionDef {
        name: "rep".into(),
        description: String::new(),
        key_type: KeyType::Text,
        attributes: Vec::new(),
        levels: Vec::new(),
        hierarchies: Vec::new(),
        calendar: None,
    };
    let measure = |name: &str| MeasureDef {
        name: name.into(),
        value_type: ValueType::Integer,
        consolidation: Default::default(),
        rounding: Default::default(),
        description: String::new(),
        time: None,
    };
    let cells = CubeDef {
        name: "quota".into(),
        kind: CubeKind::Cells,
        description: String::new(),
        dimensions: vec!["rep".into()],
        key: Vec::new(),
        measures: vec![measure("amount"), measure("bonus")],
    };
    let records = CubeDef {
        name: "deals".into(),
        kind: CubeKind::Records,
        key: vec![KeyDef { name: "deal".into(), key_type: KeyType::Integer }],
        ..cells.clone()
    };
    let changes = [
        ModelChange::AddDimension(dimension),
        ModelChange::AddCube(cells),
        ModelChange::AddCube(records),
    ];
    changes.into_iter().map(Change::Model).chain([members(0, &["ana", "bob", "eva"])]).collect()
}

fn members(first_new: u32, keys: &[&str]) -> Change {
    let member = |key: &&str| MemberWrite { key: (*key).into(), ..MemberWrite::default() };
    Change::Members(MembersWrite {
        dimension: DimensionId(0),
        first_new: MemberId(first_new),
        members: keys.iter().map(member).collect(),
    })
}

fn cell(member: u32, measure: u32, value: Option<i64>) -> Change {
    Change::Rows(RowsWrite {
        cube: CubeId(0),
        action: RowsAction::Set,
        measures: vec![MeasureId(measure)],
        keys: Vec::new(),
        coordinates: vec![MemberId(member)],
        values: vec![value].into(),
    })
}

fn deal(key: i64, member: u32, value: i64) -> Change {
    Change::Rows(RowsWrite {
        cube: CubeId(1),
        action: RowsAction::Set,
        measures: vec![MeasureId(0)],
        keys: vec![KeyPart::Integer(key)],
        coordinates: vec![MemberId(member)],
        values: vec![Some(value)].into(),
    })
}

fn remove_deal(key: i64) -> Change {
    Change::Rows(RowsWrite {
        cube: CubeId(1),
        action: RowsAction::Remove,
        measures: Vec::new(),
        keys: vec![KeyPart::Integer(key)],
        coordinates: Vec::new(),
        values: cube::ValueList::new(),
    })
}

fn command(changes: Vec<Change>) -> Command {
    Command {
        author: "ana".into(),
        origin: "test".into(),
        reason: String::new(),
        branch: MAIN.into(),
        branch_number: None,
        changes,
        base: None,
    }
}

fn options() -> TenantOptions {
    TenantOptions {
        engine: Engine { clock: || 1_763_856_000_000_000, ..Engine::default() },
        authority: Authority::FolderOwner,
        read_memory_bytes: 1 << 20,
    }
}

async fn start(device: Arc<dyn Device>, options: &TenantOptions) -> Arc<OpenTenant> {
    if !storage::ledger_exists(&*device).unwrap() {
        let id = LedgerId(*b"a ledger of test");
        LedgerWriter::create(Arc::clone(&device), id, Default::default()).unwrap();
    }
    let (supervisor, _) = Supervisor::spawn(None, Supervisor, ()).await.unwrap();
    let opened = Opened::read(Arc::clone(&device)).unwrap();
    let users = Users::default();
    OpenTenant::start(&supervisor, "acme", device, users, opened, options).await.unwrap()
}

async fn start_with_model(device: Arc<dyn Device>, options: &TenantOptions) -> Arc<OpenTenant> {
    let tenant = start(device, options).await;
    tenant.submit(command(model())).await.unwrap();
    tenant
}

fn amount(tenant: &OpenTenant, member: u32) -> Option<i64> {
    amount_in(&tenant.head().revision.version, member)
}

fn amount_in(version: &cube::Version, member: u32) -> Option<i64> {
    let mut probe = version.empty_rows(CubeId(0));
    probe.coordinates[0].push(MemberId(member));
    probe.values.iter_mut().for_each(|column| column.push(None));
    let rows = version.rows(CubeId(0));
    rows.find(&probe, 0).and_then(|at| rows.value(at, 0))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_is_published_recorded_and_replayed() {
    let device = Arc::new(MemoryDevice::new(1));
    let tenant = start_with_model(device.clone(), &options()).await;
    let receipt = tenant.submit(command(vec![cell(0, 0, Some(5))])).await.unwrap();
    assert_eq!(receipt.sequence, 2);
    assert_eq!(amount(&tenant, 0), Some(5));
    let hash = tenant.head().revision.version.state_hash();
    tenant.close().await;
    let verified = verify(device.clone()).unwrap();
    assert_eq!((verified.entry_count, verified.state_hash.0), (2, hash.to_bytes()));
    let again = start(device, &options()).await;
    assert_eq!(again.head().revision.version.state_hash(), hash);
    assert_eq!(amount(&again, 0), Some(5));
    let ledger = again.ledger(10).await.unwrap();
    assert_eq!(ledger[0].summary, "quota: 1 set");
    assert_eq!(ledger.iter().map(|entry| entry.sequence).collect::<Vec<_>>(), [2, 1]);
}

/// A comment of a deal, and one that a formula makes of it.
fn with_comments() -> Vec<Change> {
    let text = |name: &str| MeasureDef {
        name: name.into(),
        value_type: ValueType::Text,
        consolidation: Consolidation::None,
        rounding: Default::default(),
        description: String::new(),
        time: None,
    };
    let added = ["comment", "shout"]
        .map(|name| ModelChange::AddMeasure { cube: "deals".into(), measure: text(name) });
    let formula = FormulaDef {
        target: "deals.shout".into(),
        text: "UPPER(comment) & '!'".into(),
        description: String::new(),
        at_or_above: Default::default(),
    };
    added.into_iter().chain([ModelChange::SetFormula(formula)]).map(Change::Model).collect()
}

fn comment(key: i64, texts: &[&str], position: i64) -> Vec<Change> {
    let Change::Rows(write) = deal(key, 0, position) else { panic!("rows") };
    let texts = texts.iter().map(|text| (*text).into()).collect();
    vec![Change::Texts(texts), Change::Rows(RowsWrite { measures: vec![MeasureId(2)], ..write })]
}

fn comments(tenant: &OpenTenant) -> Vec<String> {
    let version = &tenant.head().revision.version;
    let mut comments = Vec::new();
    for view in version.rows(CubeId(1)).segments() {
        for row in view.live_rows() {
            let text = |measure: usize| {
                let code = view.segment.values[measure].get(row);
                code.map_or("-", |code| version.texts.text(code)).to_string()
            };
            comments.push(format!("{} {}", text(2), text(3)));
        }
    }
    comments.sort();
    comments
}

#[tokio::test(flavor = "multi_thread")]
async fn texts_are_recorded_and_replayed() {
    let device = Arc::new(MemoryDevice::new(1));
    let tenant = start_with_model(device.clone(), &options()).await;
    tenant.submit(command(with_comments())).await.unwrap();
    tenant.submit(command(comment(1, &["won", "lost"], 1))).await.unwrap();
    // what is refused leaves no text behind
    let none = tenant.submit(command(comment(2, &["x"], 1))).await.unwrap_err();
    assert_eq!(none.sqlstate, "XX000");
    let long = "x".repeat(70_000);
    let refused = tenant.submit(command(comment(2, &["never", &long], 1))).await.unwrap_err();
    assert_eq!(refused.sqlstate, "22001");
    tenant.submit(command(comment(2, &["won"], 0))).await.unwrap();
    tenant.submit(command(comment(1, &["é"], 0))).await.unwrap();
    let expected = ["won WON!", "é É!"];
    assert_eq!(comments(&tenant), expected);
    let hash = tenant.head().revision.version.state_hash();
    let ledger = tenant.ledger(1).await.unwrap();
    assert_eq!(ledger[0].summary, "deals: 1 set");
    tenant.close().await;
    let verified = verify(device.clone()).unwrap();
    assert_eq!((verified.entry_count, verified.state_hash.0), (5, hash.to_bytes()));
    let again = start(device, &options()).await;
    assert_eq!(comments(&again), expected);
    assert!(again.head().revision.version.texts.code("never").is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_computed_is_refused_and_not_recorded() {
    let device = Arc::new(MemoryDevice::new(1));
    let tenant = start_with_model(device.clone(), &options()).await;
    let refused = tenant.submit(command(vec![cell(99, 0, Some(5))])).await;
    assert!(refused.is_err());
    let other_branch = Command { branch: "plan".into(), ..command(vec![cell(0, 0, Some(5))]) };
    assert_eq!(tenant.submit(other_branch).await.unwrap_err().sqlstate, "3F000");
    assert_eq!(tenant.read("ana").unwrap().snapshot("plan").unwrap_err().sqlstate, "3F000");
    let nothing = tenant.submit(command(Vec::new())).await.unwrap();
    assert_eq!((nothing.sequence, verify(device).unwrap().entry_count), (1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_that_wait_become_durable_together() {
    const COMMANDS: u64 = 200;
    let device = Arc::new(MemoryDevice::new(1));
    let tenant = start_with_model(device.clone(), &options()).await;
    let syncs_before = device.sync_count();
    let answers = (0..COMMANDS).map(|n| {
        let value = i64::try_from(n).unwrap();
        tenant.submit(command(vec![cell(0, 0, Some(value))]))
    });
    let answers = futures::future::join_all(answers).await;
    let mut sequences: Vec<u64> =
        answers.into_iter().map(|answer| answer.unwrap().sequence).collect();
    sequences.sort_unstable();
    assert_eq!(sequences, (2..=COMMANDS + 1).collect::<Vec<_>>());
    let syncs = device.sync_count() - syncs_before;
    assert!(syncs < COMMANDS / 4, "{syncs} syncs for {COMMANDS} commands");
    assert_eq!(verify(device).unwrap().entry_count, COMMANDS + 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_answered_before_it_is_durable() {
    let device = Arc::new(MemoryDevice::new(1));
    let tenant = start_with_model(device.clone(), &options()).await;
    for n in 0..20 {
        tenant.submit(command(vec![cell(0, 0, Some(n))])).await.unwrap();
        // Whatever the power takes now, the answered command is there.
        let after = device.crash(n.unsigned_abs());
        let verified = verify(Arc::new(after)).unwrap();
        assert_eq!(verified.entry_count, n.unsigned_abs() + 2);
        let events = device.events();
        let last_write = events.iter().rposition(|event| matches!(event, Event::Write { .. }));
        let last_sync = events.iter().rposition(|event| matches!(event, Event::Sync(_)));
        assert!(last_sync > last_write);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_conflicts_with_what_changed_under_it() {
    let tenant = start_with_model(Arc::new(MemoryDevice::new(1)), &options()).await;
    tenant
        .submit(command(vec![cell(0, 0, Some(1)), deal(7, 0, 70), deal(8, 0, 80)]))
        .await
        .unwrap();
    let base = Arc::clone(&tenant.head().revision.version);
    let meanwhile = vec![cell(0, 0, Some(2)), deal(7, 1, 70), members(3, &["new"])];
    tenant.submit(command(meanwhile)).await.unwrap();
    let check = async |changes: Vec<Change>, expected: Result<(), &str>| {
        let command = Command { base: Some(Arc::clone(&base)), ..command(changes.clone()) };
        let found = tenant.submit(command).await.map(drop).map_err(|error| error.sqlstate);
        assert_eq!(found, expected, "{changes:?}");
    };
    check(vec![cell(0, 0, Some(3))], Err("40001")).await;
    check(vec![cell(0, 1, Some(3))], Ok(())).await;
    check(vec![cell(1, 0, Some(3))], Ok(())).await;
    check(vec![deal(7, 0, 71)], Err("40001")).await;
    check(vec![remove_deal(7)], Err("40001")).await;
    check(vec![remove_deal(8)], Ok(())).await;
    check(vec![deal(8, 0, 81)], Err("40001")).await;
    check(vec![deal(9, 0, 90)], Ok(())).await;
    check(vec![members(3, &["other"])], Err("40001")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_for_another_head_is_told_so() {
    let tenant = start_with_model(Arc::new(MemoryDevice::new(1)), &options()).await;
    let change = || command(vec![cell(0, 0, Some(1))]);
    assert_eq!(tenant.submit_expecting(change(), Some(0)).await.unwrap_err(), Refusal::Moved);
    assert!(tenant.submit_expecting(change(), Some(1)).await.is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panic_in_a_computation_refuses_that_command_alone() {
    let mut options = options();
    options.engine.apply = |branches, branch, changes| {
        assert!(!changes.contains(&cell(2, 0, Some(13))), "thirteen");
        branches.advanced(branch, changes)
    };
    let tenant = start_with_model(Arc::new(MemoryDevice::new(1)), &options).await;
    let commands = [1, 13, 3].map(|value| tenant.submit(command(vec![cell(2, 0, Some(value))])));
    let answers = futures::future::join_all(commands).await;
    assert!(answers[0].is_ok() && answers[2].is_ok());
    assert_eq!(answers[1].as_ref().unwrap_err().sqlstate, "XX000");
    assert_eq!((tenant.head().sequence, amount(&tenant, 2)), (3, Some(3)));
}

#[tokio::test(flavor = "multi_thread")]
async fn storage_that_fails_stops_writes_and_not_reads() {
    let device = Arc::new(MemoryDevice::new(1));
    let tenant = start_with_model(device.clone(), &options()).await;
    device.fail_nth_sync(1);
    for _ in 0..2 {
        let refused = tenant.submit(command(vec![cell(0, 0, Some(1))])).await.unwrap_err();
        assert_eq!(refused.sqlstate, "58030");
    }
    assert_eq!((tenant.head().sequence, amount(&tenant, 0)), (1, None));
    assert_eq!(tenant.read("ana").unwrap().snapshot(MAIN).unwrap().view.position.sequence, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_refuses_until_there_is_space() {
    let device = Arc::new(MemoryDevice::new(1));
    let tenant = start_with_model(device.clone(), &options()).await;
    device.fill_after(0);
    let first = tenant.submit(command(vec![cell(0, 0, Some(1))])).await.unwrap_err();
    assert_eq!(first.sqlstate, "53100");
    assert_eq!(tenant.head().sequence, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_that_changed_conflicts() {
    let tenant = start_with_model(Arc::new(MemoryDevice::new(1)), &options()).await;
    let base = Arc::clone(&tenant.head().revision.version);
    let rename = |key: &str, name: &str| {
        let (key, name) = (key.to_owned(), Some(name.to_owned()));
        let member = MemberWrite { key, name, ..MemberWrite::default() };
        let (dimension, first_new) = (DimensionId(0), MemberId(3));
        let write = MembersWrite { dimension, first_new, members: vec![member] };
        command(vec![Change::Members(write)])
    };
    tenant.submit(rename("ana", "Ana")).await.unwrap();
    let on_base = |command| Command { base: Some(Arc::clone(&base)), ..command };
    let conflict = tenant.submit(on_base(rename("ana", "Anna"))).await.unwrap_err();
    assert_eq!(conflict.sqlstate, "40001");
    assert!(tenant.submit(on_base(rename("bob", "Bob"))).await.is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn dated_values_are_replayed_and_conflict() {
    let device: Arc<dyn Device> = Arc::new(MemoryDevice::new(1));
    let tenant = start_with_model(Arc::clone(&device), &options()).await;
    let attribute = AttributeDef::new("manager", ValueType::Text);
    let change = ModelChange::AddAttribute { dimension: "rep".into(), attribute };
    tenant.submit(command(vec![Change::Model(change)])).await.unwrap();
    let base = Arc::clone(&tenant.head().revision.version);
    let dated = |member: &str, valid_from: i32, value: &str| {
        let value = Some(cube::Scalar::Text(value.into()));
        let values = vec![DatedValue { member: member.into(), valid_from, value }];
        let (dimension, attribute) = (DimensionId(0), cube::AttributeId(0));
        command(vec![Change::Dated(DatedWrite { dimension, attribute, values })])
    };
    tenant.submit(dated("ana", 100, "eva")).await.unwrap();
    let on_base = |command| Command { base: Some(Arc::clone(&base)), ..command };
    let conflict = tenant.submit(on_base(dated("ana", 100, "bob"))).await.unwrap_err();
    assert_eq!(conflict.sqlstate, "40001");
    assert!(tenant.submit(on_base(dated("ana", 200, "bob"))).await.is_ok());
    assert!(tenant.submit(on_base(dated("bob", 100, "eva"))).await.is_ok());
    let summary = tenant.ledger(1).await.unwrap().remove(0).summary;
    assert_eq!(summary, "rep.manager: 1 dated values");
    tenant.close().await;
    assert_eq!(verify(device).unwrap().entry_count, 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dimension_more_is_replayed_and_conflicts() {
    let device: Arc<dyn Device> = Arc::new(MemoryDevice::new(1));
    let tenant = start_with_model(Arc::clone(&device), &options()).await;
    tenant.submit(command(vec![cell(0, 0, Some(1))])).await.unwrap();
    let base = Arc::clone(&tenant.head().revision.version);
    let of = base.model.cubes[0].clone();
    let again = base.model.dimensions[of.dimensions[0].idx()].clone();
    let dimension = DimensionDef { name: "more".into(), ..DimensionDef::clone(&again) };
    let member = MemberWrite { key: "one".into(), ..MemberWrite::default() };
    let write = MembersWrite {
        dimension: DimensionId::from_idx(base.dimensions.len()),
        first_new: MemberId(0),
        members: vec![member],
    };
    let more = ModelChange::AddCubeDimension {
        cube: of.def.name.clone(),
        dimension: "more".into(),
        member: Some("one".into()),
    };
    let changes = vec![
        Change::Model(ModelChange::AddDimension(dimension)),
        Change::Members(write),
        Change::Model(more),
    ];
    tenant.submit(command(changes)).await.unwrap();
    // what was planned with fewer dimensions must be planned again, removals too
    let Change::Rows(write) = cell(0, 0, None) else { panic!("it writes rows") };
    let (action, measures, values) = (RowsAction::Remove, Vec::new(), Default::default());
    let remove = Change::Rows(RowsWrite { action, measures, values, ..write });
    for change in [cell(0, 0, Some(2)), remove] {
        let command = Command { base: Some(Arc::clone(&base)), ..command(vec![change]) };
        assert_eq!(tenant.submit(command).await.unwrap_err().sqlstate, "40001");
    }
    tenant.close().await;
    assert_eq!(verify(device).unwrap().entry_count, 3);
}

#[test]
fn an_entry_that_leads_to_another_state_is_found() {
    let device: Arc<dyn Device> = Arc::new(MemoryDevice::new(1));
    let id = LedgerId(*b"a ledger of test");
    let mut writer = LedgerWriter::create(Arc::clone(&device), id, Default::default()).unwrap();
    let append = |writer: &mut LedgerWriter, semantics_version: u16, payload: Vec<u8>| {
        let record = storage::NewRecord {
            time_us: 0,
            branch: 0,
            kind: storage::entry::KIND_COMMAND,
            key_id: storage::KeyId::NONE,
            semantics_version,
            author: "ana".into(),
            origin: "test".into(),
            payload,
        };
        writer.append_batch(&[record]).unwrap();
    };
    let (revision, _) = calc::Revision::default().apply(&model()).unwrap();
    let hash = revision.version.state_hash().to_bytes();
    let current = storage::entry::SEMANTICS_VERSION;
    append(&mut writer, current, storage::Entry::encode_parts(&model(), &hash, "").unwrap());
    assert_eq!(verify(Arc::clone(&device)).unwrap().entry_count, 1);
    let change = [cell(0, 0, Some(1))];
    let encoded = || storage::Entry::encode_parts(&change, &hash, "").unwrap();
    append(&mut writer, 1, encoded());
    let verified = verify(Arc::clone(&device)).unwrap();
    assert_eq!((verified.entry_count, verified.unchecked_count), (2, 1));
    append(&mut writer, current, encoded());
    let found = verify(Arc::clone(&device)).unwrap_err().to_string();
    assert!(found.starts_with("ledger entry 3 does not replay: the state is "), "{found}");
    assert_eq!(Opened::read(device).map(drop).unwrap_err().code(), "ledger_replay");
}

#[tokio::test(flavor = "multi_thread")]
async fn roles_decide_who_writes() {
    let tenant = {
        let device: Arc<dyn Device> = Arc::new(MemoryDevice::new(1));
        start_with_model(Arc::clone(&device), &options()).await.close().await;
        let options = TenantOptions { authority: Authority::Users, ..options() };
        start(device, &options).await
    };
    let users = Users::default().with("ana", Role::Preparer, "12345678").unwrap();
    let users = users.with("rita", Role::Reader, "12345678").unwrap();
    *tenant.users.write().unwrap() = Arc::new(users);
    let by = |author: &str, changes| Command { author: author.into(), ..command(changes) };
    let cells = || vec![cell(0, 0, Some(1))];
    assert!(tenant.submit(by("ana", cells())).await.is_ok());
    for refused in [by("rita", cells()), by("nobody", cells()), by("ana", model())] {
        assert_eq!(tenant.submit(refused).await.unwrap_err().sqlstate, "42501");
    }
}

/// A disk whose driver panics once when it is told to.
#[derive(Debug)]
struct PanickingDevice {
    inner: MemoryDevice,
    armed: Arc<AtomicBool>,
}

struct PanickingFile {
    inner: Box<dyn DeviceFile>,
    armed: Arc<AtomicBool>,
}

impl PanickingDevice {
    fn wrap(
        &self,
        file: Result<Box<dyn DeviceFile>, StorageError>,
    ) -> Result<Box<dyn DeviceFile>, StorageError> {
        Ok(Box::new(PanickingFile { inner: file?, armed: Arc::clone(&self.armed) }))
    }
}

impl Device for PanickingDevice {
    fn list(&self) -> Result<Vec<String>, StorageError> {
        self.inner.list()
    }

    fn open(&self, name: &str) -> Result<Box<dyn DeviceFile>, StorageError> {
        self.wrap(self.inner.open(name))
    }

    fn create_empty(&self, name: &str) -> Result<Box<dyn DeviceFile>, StorageError> {
        self.wrap(self.inner.create_empty(name))
    }

    fn rename(&self, from: &str, to: &str) -> Result<(), StorageError> {
        self.inner.rename(from, to)
    }

    fn remove(&self, name: &str) -> Result<(), StorageError> {
        self.inner.remove(name)
    }

    fn sync_folder(&self) -> Result<(), StorageError> {
        self.inner.sync_folder()
    }
}

impl DeviceFile for PanickingFile {
    fn length_bytes(&self) -> Result<u64, StorageError> {
        self.inner.length_bytes()
    }

    fn read_at(&self, offset_bytes: u64, buffer: &mut [u8]) -> Result<(), StorageError> {
        self.inner.read_at(offset_bytes, buffer)
    }

    fn write_at(&self, offset_bytes: u64, bytes: &[u8]) -> Result<(), StorageError> {
        assert!(!self.armed.swap(false, Ordering::SeqCst), "the driver panics");
        self.inner.write_at(offset_bytes, bytes)
    }

    fn sync(&self) -> Result<(), StorageError> {
        self.inner.sync()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_actor_that_fails_starts_again_from_the_ledger() {
    let armed = Arc::new(AtomicBool::new(false));
    let device = PanickingDevice { inner: MemoryDevice::new(1), armed: Arc::clone(&armed) };
    let tenant = start_with_model(Arc::new(device), &options()).await;
    for round in 1..=3 {
        armed.store(true, Ordering::SeqCst);
        let lost = tenant.submit(command(vec![cell(0, 0, Some(1))])).await.unwrap_err();
        assert_eq!(lost.sqlstate, "08007");
        // The next command waits for the actor that was started again.
        let receipt = tenant.submit(command(vec![cell(0, 0, Some(round))])).await.unwrap();
        assert_eq!(receipt.sequence, 1 + round.unsigned_abs());
        assert_eq!(amount(&tenant, 0), Some(round));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn closing_finishes_what_waits_and_takes_no_more() {
    static SLOW: AtomicU64 = AtomicU64::new(0);
    let device = Arc::new(MemoryDevice::new(1));
    let mut options = options();
    options.engine.apply = |branches, branch, changes| {
        SLOW.fetch_add(1, Ordering::SeqCst);
        std::thread::sleep(Duration::from_millis(5));
        branches.advanced(branch, changes)
    };
    let tenant = start_with_model(device.clone(), &options).await;
    let submitted = (0..10).map(|n| {
        let tenant = Arc::clone(&tenant);
        tokio::spawn(async move { tenant.submit(command(vec![cell(0, 0, Some(n))])).await })
    });
    let submitted: Vec<_> = submitted.collect();
    while SLOW.load(Ordering::SeqCst) < 2 {
        tokio::task::yield_now().await;
    }
    tenant.close().await;
    let mut accepted = 0;
    for answer in futures::future::join_all(submitted).await {
        match answer.unwrap() {
            Ok(_) => accepted += 1,
            Err(error) => assert_eq!(error.sqlstate, "57P03"),
        }
    }
    assert_eq!(verify(device).unwrap().entry_count, accepted + 1);
    assert_eq!(tenant.submit(command(model())).await.unwrap_err().sqlstate, "57P03");
}

#[tokio::test(flavor = "multi_thread")]
async fn entries_that_are_not_in_memory_are_read_from_the_ledger() {
    let tenant = start_with_model(Arc::new(MemoryDevice::new(1)), &options()).await;
    for n in 0..5 {
        tenant.submit(command(vec![cell(0, 0, Some(n))])).await.unwrap();
    }
    tenant.entries.lock().unwrap().drain(..4);
    let ledger = tenant.ledger(5).await.unwrap();
    assert_eq!(ledger.iter().map(|entry| entry.sequence).collect::<Vec<_>>(), [6, 5, 4, 3, 2]);
    assert!(ledger.iter().all(|entry| entry.summary == "quota: 1 set" && entry.author == "ana"));
    assert_eq!(tenant.ledger(2).await.unwrap().len(), 2);
}
