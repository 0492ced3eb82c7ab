//! Branches of a tenant: what is shared, what is not, and what the ledger keeps of them.

use super::*;
use crate::tenant::command::Refusal;
use crate::tenant::replay::VerifiedBranch;
use cube::model::FormulaDef;
use protocol::branches::Branch;

fn new_branch(name: &str, from: &str) -> NewBranch {
    NewBranch {
        author: "ana".into(),
        origin: "test".into(),
        reason: format!("why {name}"),
        name: name.into(),
        from: from.into(),
    }
}

fn old_branch(name: &str) -> OldBranch {
    OldBranch {
        author: "ana".into(),
        origin: "test".into(),
        reason: "done".into(),
        name: name.into(),
    }
}

fn on(branch: &str, changes: Vec<Change>) -> Command {
    Command { branch: branch.into(), ..command(changes) }
}

fn branch(tenant: &OpenTenant, name: &str) -> Arc<Branch> {
    Arc::clone(tenant.branches().get(name).unwrap())
}

/// The amount of a representative on a branch.
fn amount_on(tenant: &OpenTenant, name: &str, member: u32) -> Option<i64> {
    amount_in(&branch(tenant, name).revision.version, member)
}

fn hash_of(tenant: &OpenTenant, name: &str) -> [u8; 32] {
    branch(tenant, name).revision.version.state_hash().to_bytes()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_branch_and_its_base_do_not_see_each_other() {
    let tenant = start_with_model(Arc::new(MemoryDevice::new(1)), &options()).await;
    tenant.submit(command(vec![cell(0, 0, Some(5)), cell(1, 0, Some(6))])).await.unwrap();
    let receipt = tenant.create_branch(new_branch("whatif", MAIN)).await.unwrap();
    assert_eq!(receipt.sequence, 3);
    // nothing is copied
    let (main, whatif) = (tenant.head(), branch(&tenant, "whatif"));
    assert!(Arc::ptr_eq(&main.revision.version, &whatif.revision.version));
    assert_eq!((whatif.sequence, whatif.entry_count), (2, 0));
    tenant.submit(on("whatif", vec![cell(0, 0, Some(50))])).await.unwrap();
    tenant.submit(command(vec![cell(1, 0, Some(60))])).await.unwrap();
    assert_eq!((amount_on(&tenant, MAIN, 0), amount_on(&tenant, MAIN, 1)), (Some(5), Some(60)));
    let on_branch = (amount_on(&tenant, "whatif", 0), amount_on(&tenant, "whatif", 1));
    assert_eq!(on_branch, (Some(50), Some(6)));
    assert_eq!((tenant.head().sequence, branch(&tenant, "whatif").sequence), (5, 4));
    // a branch of a branch begins with that one's head
    tenant.create_branch(new_branch("worse", "whatif")).await.unwrap();
    assert_eq!(amount_on(&tenant, "worse", 0), Some(50));
    let base = branch(&tenant, "worse").base.clone().unwrap();
    assert_eq!((base.name.as_ref(), base.number, base.sequence), ("whatif", 1, 4));
}

#[tokio::test(flavor = "multi_thread")]
async fn members_and_model_of_a_branch_are_its_own() {
    let tenant = start_with_model(Arc::new(MemoryDevice::new(1)), &options()).await;
    tenant.create_branch(new_branch("whatif", MAIN)).await.unwrap();
    tenant.submit(on("whatif", vec![members(3, &["zoe"])])).await.unwrap();
    tenant.submit(command(vec![members(3, &["max"])])).await.unwrap();
    tenant.submit(on("whatif", vec![cell(3, 0, Some(9))])).await.unwrap();
    let key = |name: &str| {
        branch(&tenant, name).revision.version.dimension(DimensionId(0)).key(MemberId(3)).to_owned()
    };
    assert_eq!((key(MAIN), key("whatif")), ("max".into(), "zoe".into()));
    assert_eq!((amount_on(&tenant, MAIN, 3), amount_on(&tenant, "whatif", 3)), (None, Some(9)));
}

#[tokio::test(flavor = "multi_thread")]
async fn replay_brings_branches_back_with_the_same_hashes() {
    let device = Arc::new(MemoryDevice::new(1));
    let tenant = start_with_model(device.clone(), &options()).await;
    tenant.submit(command(vec![cell(0, 0, Some(5))])).await.unwrap();
    tenant.create_branch(new_branch("gone", MAIN)).await.unwrap();
    tenant.submit(on("gone", vec![cell(0, 0, Some(1))])).await.unwrap();
    tenant.create_branch(new_branch("whatif", "gone")).await.unwrap();
    tenant.drop_branch(old_branch("gone")).await.unwrap();
    tenant.submit(on("whatif", vec![cell(2, 0, Some(7))])).await.unwrap();
    tenant.submit(command(vec![cell(1, 0, Some(8))])).await.unwrap();
    let hashes = [MAIN, "whatif"].map(|name| hash_of(&tenant, name));
    tenant.close().await;
    let verified = verify(device.clone()).unwrap();
    assert_eq!((verified.entry_count, verified.state_hash.0), (8, hashes[0]));
    let [VerifiedBranch { name, entry_count: 1, state_hash }] = &verified.branches[..] else {
        panic!("{:?}", verified.branches)
    };
    assert_eq!((name.as_str(), state_hash.0), ("whatif", hashes[1]));
    let again = start(device.clone(), &options()).await;
    assert_eq!([MAIN, "whatif"].map(|name| hash_of(&again, name)), hashes);
    let whatif = branch(&again, "whatif");
    assert_eq!((whatif.owner.as_str(), whatif.reason.as_str()), ("ana", "why whatif"));
    assert_eq!((whatif.number, whatif.sequence, whatif.entry_count), (2, 7, 1));
    assert_eq!(whatif.base.as_ref().unwrap().name.as_ref(), "gone");
    // and they are written on after the restart
    again.submit(on("whatif", vec![cell(2, 0, Some(70))])).await.unwrap();
    assert_eq!((amount_on(&again, "whatif", 2), amount_on(&again, MAIN, 2)), (Some(70), None));
    again.create_branch(new_branch("gone", MAIN)).await.unwrap();
    assert_eq!(branch(&again, "gone").number, 3);
    assert_eq!(amount_on(&again, "gone", 0), Some(5));
    assert_eq!(verify(device).unwrap().branches.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dropped_branch_frees_its_memory_and_its_name() {
    let tenant = start_with_model(Arc::new(MemoryDevice::new(1)), &options()).await;
    tenant.create_branch(new_branch("whatif", MAIN)).await.unwrap();
    tenant.submit(on("whatif", vec![cell(0, 0, Some(1))])).await.unwrap();
    let version = Arc::downgrade(&branch(&tenant, "whatif").revision.version);
    tenant.drop_branch(old_branch("whatif")).await.unwrap();
    // the actor lets go of the state before once the next group is computed
    tenant.submit(command(vec![cell(0, 0, Some(2))])).await.unwrap();
    assert!(version.upgrade().is_none(), "nobody holds it");
    let gone = tenant.submit(on("whatif", vec![cell(0, 0, Some(1))])).await.unwrap_err();
    assert_eq!(gone.sqlstate, "3F000");
    tenant.create_branch(new_branch("whatif", MAIN)).await.unwrap();
    assert_eq!((branch(&tenant, "whatif").number, amount_on(&tenant, "whatif", 0)), (2, Some(2)));
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_made_on_a_branch_do_not_land_on_another_of_its_name() {
    let tenant = start_with_model(Arc::new(MemoryDevice::new(1)), &options()).await;
    tenant.create_branch(new_branch("whatif", MAIN)).await.unwrap();
    let before = branch(&tenant, "whatif").number;
    tenant.drop_branch(old_branch("whatif")).await.unwrap();
    tenant.create_branch(new_branch("whatif", MAIN)).await.unwrap();
    let late = Command { branch_number: Some(before), ..on("whatif", vec![cell(0, 0, Some(1))]) };
    assert_eq!(tenant.submit(late).await.unwrap_err().sqlstate, "40001");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_with_a_branch_is_refused_and_not_recorded() {
    let device = Arc::new(MemoryDevice::new(1));
    let tenant = start_with_model(device.clone(), &options()).await;
    tenant.create_branch(new_branch("whatif", MAIN)).await.unwrap();
    let long = "a".repeat(64);
    let cases = [
        ("whatif", MAIN, "42P06"),
        ("main", MAIN, "42939"),
        ("public", MAIN, "42939"),
        ("pg_x", MAIN, "42939"),
        ("", MAIN, "42602"),
        ("What", MAIN, "42602"),
        ("main@2026", MAIN, "42602"),
        (&long, MAIN, "42602"),
        ("other", "missing", "3F000"),
    ];
    for (name, from, sqlstate) in cases {
        let refused = tenant.create_branch(new_branch(name, from)).await.unwrap_err();
        assert_eq!(refused.sqlstate, sqlstate, "{name}");
        assert!(refused.hint.is_some(), "{name}: {refused}");
    }
    let wordy = NewBranch { reason: "x".repeat(5_000), ..new_branch("other", MAIN) };
    assert_eq!(tenant.create_branch(wordy).await.unwrap_err().sqlstate, "54000");
    for (name, sqlstate) in [("missing", "3F000"), (MAIN, "42939")] {
        let refused = tenant.drop_branch(old_branch(name)).await.unwrap_err();
        assert_eq!(refused.sqlstate, sqlstate, "{name}");
    }
    let impossible = tenant.submit(on("whatif", vec![cell(99, 0, Some(5))])).await;
    assert!(impossible.is_err());
    assert_eq!(verify(device).unwrap().entry_count, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_ledger_tells_who_made_and_dropped_branches_and_why() {
    let tenant = start_with_model(Arc::new(MemoryDevice::new(1)), &options()).await;
    tenant.create_branch(new_branch("whatif", MAIN)).await.unwrap();
    let with_reason =
        Command { reason: "a guess".into(), ..on("whatif", vec![cell(0, 0, Some(1))]) };
    tenant.submit(with_reason).await.unwrap();
    tenant.drop_branch(old_branch("whatif")).await.unwrap();
    let line = |entry: &LedgerEntry| {
        format!("{} | {} | {} | {}", entry.sequence, entry.branch, entry.summary, entry.reason)
    };
    let newest = tenant.ledger(3).await.unwrap();
    let expected = [
        "4 | whatif | branch whatif dropped | done",
        "3 | whatif | quota: 1 set | a guess",
        "2 | whatif | branch whatif made from main | why whatif",
    ];
    assert_eq!(newest.iter().map(line).collect::<Vec<_>>(), expected);
    // from the ledger itself: what the branch called things is gone with it
    tenant.entries.lock().unwrap().clear();
    tenant.submit(command(vec![cell(0, 0, Some(1))])).await.unwrap();
    let older = tenant.ledger(4).await.unwrap();
    assert_eq!(older.iter().map(|entry| entry.sequence).collect::<Vec<_>>(), [5, 4, 3, 2]);
    assert_eq!(line(&older[1]), expected[0]);
    assert_eq!(line(&older[2]), "3 | whatif | rows | a guess");
    assert_eq!(line(&older[3]), expected[2]);
}

#[tokio::test(flavor = "multi_thread")]
async fn owners_and_administrators_drop_branches() {
    let tenant = {
        let device: Arc<dyn Device> = Arc::new(MemoryDevice::new(1));
        start_with_model(Arc::clone(&device), &options()).await.close().await;
        let options = TenantOptions { authority: Authority::Users, ..options() };
        start(device, &options).await
    };
    let add = |users: Users, name, role| users.with(name, role, "12345678").unwrap();
    let users = add(Users::default(), "ana", Role::Preparer);
    let users = add(users, "eva", Role::Preparer);
    let users = add(users, "rita", Role::Reader);
    let users = add(users, "root", Role::Administrator);
    *tenant.users.write().unwrap() = Arc::new(users);
    let make = |name, author: &str| NewBranch { author: author.into(), ..new_branch(name, MAIN) };
    let drop = |name, author: &str| OldBranch { author: author.into(), ..old_branch(name) };
    assert_eq!(tenant.create_branch(make("a", "rita")).await.unwrap_err().sqlstate, "42501");
    assert_eq!(tenant.create_branch(make("a", "who")).await.unwrap_err().sqlstate, "42501");
    tenant.create_branch(make("a", "ana")).await.unwrap();
    tenant.create_branch(make("b", "ana")).await.unwrap();
    assert_eq!(tenant.drop_branch(drop("a", "eva")).await.unwrap_err().sqlstate, "42501");
    tenant.drop_branch(drop("a", "ana")).await.unwrap();
    tenant.drop_branch(drop("b", "root")).await.unwrap();
    assert_eq!(tenant.branches().count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn branches_are_made_written_and_dropped_in_one_group() {
    let device = Arc::new(MemoryDevice::new(1));
    let tenant = start_with_model(device.clone(), &options()).await;
    let work = (0..20).map(|n: i64| {
        let tenant = Arc::clone(&tenant);
        async move {
            let name = format!("b{n}");
            tenant.create_branch(new_branch(&name, MAIN)).await.unwrap();
            tenant.submit(on(&name, vec![cell(0, 0, Some(n))])).await.unwrap();
            tenant.submit(command(vec![cell(0, 0, Some(n))])).await.unwrap();
            assert_eq!(amount_on(&tenant, &name, 0), Some(n));
            if n % 2 == 0 {
                tenant.drop_branch(old_branch(&name)).await.unwrap();
            }
        }
    });
    futures::future::join_all(work).await;
    assert_eq!(tenant.branches().count(), 11);
    let verified = verify(device).unwrap();
    assert_eq!((verified.entry_count, verified.branches.len()), (71, 10));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_answered_on_a_branch_survives_a_crash() {
    let device = Arc::new(MemoryDevice::new(1));
    let tenant = start_with_model(device.clone(), &options()).await;
    for n in 0..10u64 {
        let name = format!("b{n}");
        tenant.create_branch(new_branch(&name, MAIN)).await.unwrap();
        let crashed = verify(Arc::new(device.crash(n))).unwrap();
        assert_eq!(crashed.branches.len() as u64, n + 1);
        tenant.submit(on(&name, vec![cell(0, 0, Some(1))])).await.unwrap();
        let crashed = start(Arc::new(device.crash(n)), &options()).await;
        assert_eq!(amount_on(&crashed, &name, 0), Some(1));
        assert_eq!(hash_of(&crashed, &name), hash_of(&tenant, &name));
    }
}

/// A ledger of the time before branches: payloads of version 1, which end with the state hash.
#[tokio::test(flavor = "multi_thread")]
async fn ledgers_from_before_branches_are_read_and_written_on() {
    let device = Arc::new(MemoryDevice::new(1));
    let id = LedgerId(*b"a ledger of test");
    let mut writer = LedgerWriter::create(device.clone(), id, Default::default()).unwrap();
    let mut revision = calc::Revision::default();
    for changes in [model(), vec![cell(0, 0, Some(5))]] {
        revision = revision.apply(&changes).unwrap().0;
        let hash = revision.version.state_hash().to_bytes();
        let mut payload = storage::Entry::encode_parts(&changes, &hash, "").unwrap();
        // the length of no reason
        assert_eq!((payload[0], payload.pop()), (2, Some(0)));
        payload[0] = 1;
        let record = storage::NewRecord {
            time_us: 0,
            branch: 0,
            kind: 1,
            key_id: storage::KeyId::NONE,
            semantics_version: 1,
            author: "ana".into(),
            origin: "test".into(),
            payload,
        };
        writer.append_batch(&[record]).unwrap();
    }
    drop(writer);
    assert_eq!(verify(device.clone()).unwrap().entry_count, 2);
    let tenant = start(device.clone(), &options()).await;
    tenant.create_branch(new_branch("whatif", MAIN)).await.unwrap();
    tenant.submit(on("whatif", vec![cell(0, 0, Some(6))])).await.unwrap();
    assert_eq!((amount_on(&tenant, MAIN, 0), amount_on(&tenant, "whatif", 0)), (Some(5), Some(6)));
    assert_eq!(verify(device).unwrap().entry_count, 4);
}

#[test]
fn branch_records_that_do_not_fit_are_found() {
    use storage::entry::{BranchCreated, BranchDropped, KIND_BRANCH_CREATED, KIND_BRANCH_DROPPED};
    let hash = cube::Version::default().state_hash().to_bytes();
    let created = |base, base_sequence, state_hash| {
        let reason = String::new();
        let name = "b".to_owned();
        BranchCreated { name, base, base_sequence, state_hash, reason }.encode().unwrap()
    };
    let dropped = BranchDropped { state_hash: hash, reason: String::new() }.encode().unwrap();
    let check = |branch: u32, kind: u16, payload: Vec<u8>, expected: &str| {
        let device: Arc<dyn Device> = Arc::new(MemoryDevice::new(1));
        let id = LedgerId(*b"a ledger of test");
        let mut writer = LedgerWriter::create(Arc::clone(&device), id, Default::default()).unwrap();
        let record = storage::NewRecord {
            time_us: 0,
            branch,
            kind,
            key_id: storage::KeyId::NONE,
            semantics_version: storage::entry::SEMANTICS_VERSION,
            author: "ana".into(),
            origin: "test".into(),
            payload,
        };
        writer.append_batch(&[record]).unwrap();
        let found = verify(device).map(|_| String::new()).unwrap_or_else(|e| e.to_string());
        assert!(found.contains(expected), "{found}");
    };
    check(1, KIND_BRANCH_CREATED, created(0, 0, hash), "");
    check(2, KIND_BRANCH_CREATED, created(0, 0, hash), "makes branch 2 where branch 1 is the next");
    check(1, KIND_BRANCH_CREATED, created(7, 0, hash), "branch 7 is unknown");
    check(1, KIND_BRANCH_CREATED, created(0, 3, hash), "the base's last entry is 0, it was 3");
    check(1, KIND_BRANCH_CREATED, created(0, 0, [1; 32]), "the state is ");
    check(5, KIND_BRANCH_DROPPED, dropped, "branch 5 is unknown");
    let entry = storage::Entry::encode_parts(&[], &hash, "").unwrap();
    check(5, 1, entry, "branch 5 is unknown");
}

fn formula(target: &str, text: &str) -> Change {
    let (target, text) = (target.into(), text.into());
    let def = FormulaDef { target, text, description: String::new(), at_or_above: <_>::default() };
    Change::Model(ModelChange::SetFormula(def))
}

/// The bonus of a representative on a branch, which formulas compute here.
fn bonus_on(tenant: &OpenTenant, name: &str, member: u32) -> Option<i64> {
    let version = &branch(tenant, name).revision.version;
    let at = version.rows(CubeId(0)).find_at(&[MemberId(member)])?;
    version.rows(CubeId(0)).value(at, 1)
}

#[tokio::test(flavor = "multi_thread")]
async fn formulas_follow_the_branches_that_they_read() {
    let device = Arc::new(MemoryDevice::new(1));
    let tenant = start_with_model(device.clone(), &options()).await;
    tenant.submit(command(vec![cell(0, 0, Some(5)), cell(1, 0, Some(6))])).await.unwrap();
    tenant.create_branch(new_branch("whatif", MAIN)).await.unwrap();
    let text = "amount[ON whatif] - amount";
    tenant.submit(command(vec![formula("quota.bonus", text)])).await.unwrap();
    assert_eq!(bonus_on(&tenant, MAIN, 0), Some(0));
    // one entry of the one branch gives both their heads
    let before = tenant.head();
    let receipt = tenant.submit(on("whatif", vec![cell(0, 0, Some(50))])).await.unwrap();
    assert_eq!(receipt.recomputed.0, [("main: quota.bonus".to_string(), 1)].into());
    assert_eq!((bonus_on(&tenant, MAIN, 0), amount_on(&tenant, MAIN, 0)), (Some(45), Some(5)));
    let after = tenant.head();
    assert_eq!((after.sequence, after.moved_at), (before.sequence, receipt.sequence));
    // what was planned on the head before is planned again
    let planned = command(vec![cell(1, 0, Some(7))]);
    let moved = tenant.submit_expecting(planned, Some(before.moved_at)).await;
    assert!(matches!(moved, Err(Refusal::Moved)));
    // a branch of a branch that reads another goes on to read it
    tenant.create_branch(new_branch("copy", MAIN)).await.unwrap();
    tenant.submit(on("whatif", vec![cell(2, 0, Some(3))])).await.unwrap();
    assert_eq!((bonus_on(&tenant, MAIN, 2), bonus_on(&tenant, "copy", 2)), (Some(3), Some(3)));
    let entry = &tenant.ledger(1).await.unwrap()[0];
    assert_eq!(entry.recomputed, "main: quota.bonus 1; copy: quota.bonus 1");
    // a restart computes the same
    tenant.close().await;
    let again = start(device.clone(), &options()).await;
    for name in [MAIN, "copy"] {
        let bonuses = [0, 1, 2].map(|member| bonus_on(&again, name, member));
        assert_eq!(bonuses, [Some(45), Some(0), Some(3)], "{name}");
    }
    again.submit(on("whatif", vec![cell(1, 0, Some(16))])).await.unwrap();
    assert_eq!((bonus_on(&again, MAIN, 1), bonus_on(&again, "copy", 1)), (Some(10), Some(10)));
    assert_eq!(verify(device).unwrap().entry_count, 8);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chain_of_branches_is_computed_in_its_order() {
    let tenant = start_with_model(Arc::new(MemoryDevice::new(1)), &options()).await;
    tenant.submit(command(vec![cell(0, 0, Some(1))])).await.unwrap();
    for name in ["a", "b", "c"] {
        tenant.create_branch(new_branch(name, MAIN)).await.unwrap();
    }
    let set = |name, text| on(name, vec![formula("quota.bonus", text)]);
    tenant.submit(set("c", "amount[ON main] * 2")).await.unwrap();
    tenant.submit(set("a", "bonus[ON c] + amount[ON main]")).await.unwrap();
    tenant.submit(set("b", "bonus[ON a] * 10 + bonus[ON c]")).await.unwrap();
    tenant.submit(command(vec![cell(0, 0, Some(4))])).await.unwrap();
    let bonuses = ["c", "a", "b"].map(|name| bonus_on(&tenant, name, 0));
    assert_eq!(bonuses, [Some(8), Some(12), Some(128)]);
    // a circle is refused wherever it would be closed
    let refused = tenant.submit(set(MAIN, "bonus[ON b]")).await.unwrap_err();
    assert!(refused.message.contains("branch b reads main"), "{refused:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_formula_of_another_branch_cannot_take_is_refused() {
    let tenant = start_with_model(Arc::new(MemoryDevice::new(1)), &options()).await;
    tenant.submit(command(vec![cell(0, 0, Some(1))])).await.unwrap();
    tenant.create_branch(new_branch("whatif", MAIN)).await.unwrap();
    let text = "amount[ON whatif] * 1000000000000";
    tenant.submit(command(vec![formula("quota.bonus", text)])).await.unwrap();
    let too_large = on("whatif", vec![cell(0, 0, Some(1_000_000_000_000))]);
    let refused = tenant.submit(too_large).await.unwrap_err();
    assert_eq!(refused.sqlstate, "22003");
    assert!(refused.message.starts_with("on branch main"), "{}", refused.message);
    assert_eq!(amount_on(&tenant, "whatif", 0), Some(1));
    let refused = tenant.drop_branch(old_branch("whatif")).await.unwrap_err();
    assert_eq!(refused.sqlstate, "2BP01");
    assert_eq!(refused.detail.as_deref(), Some("quota.bonus on branch \"main\""));
    let remove = ModelChange::RemoveFormula { target: "quota.bonus".into() };
    tenant.submit(command(vec![Change::Model(remove)])).await.unwrap();
    tenant.drop_branch(old_branch("whatif")).await.unwrap();
}
