//! What the command line and HTTP both do to an open tenant: apply a model, load a file.
//!
//! Both are planned against the head and submitted for exactly that head; where another command
//! came first they are planned again, so what is recorded always fits what it was planned on.

use std::collections::BTreeMap;
use std::sync::Arc;

use calc::Revision;
use cube::model::ModelChange;
use cube::{Change, Version};
use protocol::branches::{Branch, Branches};
use protocol::error::SqlError;
use protocol::tenant::{Command, Receipt};
use serde::{Deserialize, Serialize};

use crate::assertions::{self, AssertionResult, AssertionState};
use crate::error::{Result, ServerError, sql_of_calc};
use crate::limits::{PATIENT_ATTEMPTS_MAX, PLAN_ATTEMPTS_MAX};
use crate::load::{self, LoadError, LoadReport, LoadRequest, Stage};
use crate::missing::{self, MissingMember};
use crate::model_files::{self, ModelFiles};
use crate::tenant::command::Refusal;
use crate::tenant::{MAIN, OpenTenant};
use protocol::pools::{Pool, panic_text};

/// Whether a model is applied or only compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ApplyMode {
    /// It is applied.
    #[default]
    Apply,
    /// What would change is shown.
    Plan,
}

/// What applying a model did or would do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApplyReport {
    /// Whether it was applied.
    pub mode: ApplyMode,
    /// The changes, one line each; none where the model is as it should be.
    pub changes: Vec<String>,
    /// What is worth knowing of the changes, one line each.
    #[serde(default)]
    pub warnings: Vec<String>,
    /// The ledger entry, if there was something to apply.
    pub sequence: Option<u64>,
    /// The formulas that ran, and in how many cells each was evaluated, changed or not.
    pub recomputed: BTreeMap<String, u64>,
    /// The model's assertions on what it gives; none of them failed.
    #[serde(default)]
    pub assertions: Vec<AssertionResult>,
    /// Members that formulas name and that are not there.
    #[serde(default)]
    pub missing_members: Vec<MissingMember>,
}

/// What loading a file did.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LoadAnswer {
    /// What was read, and the totals.
    pub report: LoadReport,
    /// The ledger entry; none where the file changed nothing.
    pub sequence: Option<u64>,
    /// The formulas that ran, and in how many cells each was evaluated, changed or not.
    pub recomputed: BTreeMap<String, u64>,
    /// The model's assertions on what it gives; none of them failed.
    #[serde(default)]
    pub assertions: Vec<AssertionResult>,
    /// Members that formulas name and that are not there.
    #[serde(default)]
    pub missing_members: Vec<MissingMember>,
}

/// Who asks, through what, on which branch and why.
#[derive(Debug, Clone)]
pub struct Asking {
    /// The user.
    pub author: String,
    /// `perfos apply`, `http`.
    pub origin: String,
    /// The branch that is read and changed.
    pub branch: String,
    /// Why, in the user's words; may be empty.
    pub reason: String,
}

impl Asking {
    /// A user who acts on `main` and gives no reason.
    pub fn on_main(author: impl Into<String>, origin: impl Into<String>) -> Self {
        let (author, origin) = (author.into(), origin.into());
        Self { author, origin, branch: MAIN.to_owned(), reason: String::new() }
    }

    /// The same on another branch.
    #[must_use]
    pub fn on(mut self, branch: impl Into<String>) -> Self {
        self.branch = branch.into();
        self
    }

    /// The same for a reason.
    #[must_use]
    pub fn because(mut self, reason: impl Into<String>) -> Self {
        self.reason = reason.into();
        self
    }
}

/// Makes the tenant's model that of the files, in one ledger entry. Where an assertion does not
/// hold of what that gives, nothing is applied.
pub async fn apply(
    tenant: &OpenTenant,
    asking: &Asking,
    files: ModelFiles,
    mode: ApplyMode,
) -> Result<ApplyReport> {
    let files = Arc::new(files);
    let shared = Arc::clone(&files);
    type Reports = [Vec<String>; 2];
    let plan = move |branches: &Branches, head: &Branch| -> Result<(Vec<Change>, Reports)> {
        let seen = branches.seen_by(&head.name);
        let changes = model_files::difference(&head.revision, &seen, &shared)?;
        let described = changes.iter().map(model_files::describe).collect();
        let warnings = model_files::unit_warnings(&head.revision.version.model, &changes);
        Ok((changes.into_iter().map(Change::Model).collect(), [described, warnings]))
    };
    let refuse = |failed: &[&AssertionResult]| model_files::located(&files, failed).into();
    let checks = Checks::Refuse(&refuse);
    if mode == ApplyMode::Plan {
        let branches = tenant.branches();
        let head = Arc::clone(branches.get(&asking.branch)?);
        let before = Arc::clone(&head);
        let (planned, [changes, warnings]) = compute(move || plan(&branches, &before)).await?;
        let (planned, assertions) = checks.run(tenant, asking, &head, planned).await?;
        let (candidate, _) = candidate(tenant, &head, planned).await?;
        let missing_members = missing_members(candidate.revision).await?;
        return Ok(ApplyReport {
            mode,
            changes,
            warnings,
            sequence: None,
            recomputed: BTreeMap::new(),
            assertions,
            missing_members,
        });
    }
    let Submitted { receipt, report, mut assertions } =
        submit_planned(tenant, asking, plan, checks).await?;
    if receipt.is_none() {
        let head = Arc::clone(tenant.branches().get(&asking.branch)?);
        (_, assertions) = checks.run(tenant, asking, &head, Vec::new()).await?;
    }
    let (sequence, recomputed) = unpack(receipt);
    let [changes, warnings] = report;
    let missing_members = missing_members_now(tenant, asking).await?;
    Ok(ApplyReport { mode, changes, warnings, sequence, recomputed, assertions, missing_members })
}

/// Loads one file, all of it or nothing, in one ledger entry. Where an assertion does not hold of
/// what that gives, nothing is loaded.
pub async fn load(
    tenant: &OpenTenant,
    asking: &Asking,
    request: LoadRequest,
) -> Result<LoadAnswer> {
    let request = Arc::new(request);
    let shared = Arc::clone(&request);
    let plan = move |_: &Branches, head: &Branch| -> Result<(Vec<Change>, LoadReport)> {
        let plan = load::plan(&head.revision, &shared)?;
        shared.progress.begins(Stage::Recording);
        Ok((plan.changes, plan.report))
    };
    let refuse =
        |failed: &[&AssertionResult]| LoadError::of_assertions(&request.file.name, failed).into();
    let Submitted { receipt, report, assertions } =
        submit_planned(tenant, asking, plan, Checks::Refuse(&refuse)).await?;
    let (sequence, recomputed) = unpack(receipt);
    let missing_members = missing_members_now(tenant, asking).await?;
    Ok(LoadAnswer { report, sequence, recomputed, assertions, missing_members })
}

/// What the formulas of a revision name and what is not there.
async fn missing_members(revision: Revision) -> Result<Vec<MissingMember>> {
    compute(move || Ok(missing::missing(&revision, None))).await
}

/// The same of a branch as it is now.
async fn missing_members_now(tenant: &OpenTenant, asking: &Asking) -> Result<Vec<MissingMember>> {
    missing_members(tenant.branches().get(&asking.branch)?.revision.clone()).await
}

/// Makes changes that follow from the head, in one ledger entry.
pub async fn change(
    tenant: &OpenTenant,
    asking: &Asking,
    changes: fn(&Version) -> cube::Result<Vec<Change>>,
) -> Result<()> {
    let plan = move |_: &Branches, head: &Branch| -> Result<(Vec<Change>, ())> {
        Ok((changes(&head.revision.version).map_err(SqlError::from)?, ()))
    };
    submit_planned(tenant, asking, plan, Checks::Skip).await.map(drop)
}

/// A receipt in parts; empty where there was nothing to do.
pub fn unpack(receipt: Option<Receipt>) -> (Option<u64>, BTreeMap<String, u64>) {
    receipt
        .map_or((None, BTreeMap::new()), |receipt| (Some(receipt.sequence), receipt.recomputed.0))
}

/// What becomes of a command under which assertions fail.
#[derive(Clone, Copy)]
pub enum Checks<'a> {
    /// Assertions are not looked at.
    Skip,
    /// It is refused with this error.
    Refuse(&'a (dyn Fn(&[&AssertionResult]) -> ServerError + Sync)),
}

impl Checks<'_> {
    /// Checks the assertions on what some changes would make of a state, and gives the changes back.
    async fn run(
        self,
        tenant: &OpenTenant,
        asking: &Asking,
        head: &Branch,
        changes: Vec<Change>,
    ) -> Result<(Vec<Change>, Vec<AssertionResult>)> {
        let sets =
            |change: &Change| matches!(change, Change::Model(ModelChange::SetAssertion { .. }));
        let has_assertions =
            !head.revision.version.model.assertions.is_empty() || changes.iter().any(sets);
        let Self::Refuse(refuse) = self else { return Ok((changes, Vec::new())) };
        if !has_assertions {
            return Ok((changes, Vec::new()));
        }
        let (candidate, changes) = candidate(tenant, head, changes).await?;
        let mut results = assertions::check(tenant, &candidate, &asking.author).await?;
        if assertions::count(&results, AssertionState::Failed) > 0 {
            let before = assertions::check(tenant, head, &asking.author).await?;
            assertions::note_failed_before(&mut results, &before);
        }
        let failed: Vec<&AssertionResult> =
            results.iter().filter(|result| result.state == AssertionState::Failed).collect();
        if failed.is_empty() { Ok((changes, results)) } else { Err(refuse(&failed)) }
    }
}

/// What some changes would make of a branch, and the changes.
async fn candidate(
    tenant: &OpenTenant,
    head: &Branch,
    changes: Vec<Change>,
) -> Result<(Branch, Vec<Change>)> {
    let (head, branches) = (head.clone(), tenant.branches());
    compute(move || {
        let applied = head.revision.apply_among(&changes, &branches.seen_by(&head.name));
        let (revision, _) = applied.map_err(|error| sql_of_calc(&error))?;
        Ok((Branch { revision, ..head }, changes))
    })
    .await
}

/// What came of a planned command.
pub struct Submitted<T> {
    /// None where the plan changes nothing.
    pub receipt: Option<Receipt>,
    /// What the plan says of itself.
    pub report: T,
    /// The assertions that were checked.
    pub assertions: Vec<AssertionResult>,
}

/// Plans against the head, checks assertions on what the plan gives, and submits for that head;
/// again and again while others come first. After some attempts the others wait.
pub async fn submit_planned<T: Send + 'static>(
    tenant: &OpenTenant,
    asking: &Asking,
    plan: impl Fn(&Branches, &Branch) -> Result<(Vec<Change>, T)> + Clone + Send + 'static,
    checks: Checks<'_>,
) -> Result<Submitted<T>> {
    let _planning = tenant.planning.lock().await;
    let mut turn = None;
    for attempt in 0..PLAN_ATTEMPTS_MAX {
        if attempt == PATIENT_ATTEMPTS_MAX {
            turn = Some(tenant.turn.write().await);
        }
        let branches = tenant.branches();
        let head = Arc::clone(branches.get(&asking.branch)?);
        let (plan, before) = (plan.clone(), Arc::clone(&head));
        let (changes, report) = compute(move || plan(&branches, &before)).await?;
        if changes.is_empty() {
            return Ok(Submitted { receipt: None, report, assertions: Vec::new() });
        }
        let (changes, assertions) = checks.run(tenant, asking, &head, changes).await?;
        let command = Command {
            author: asking.author.clone(),
            origin: asking.origin.clone(),
            reason: asking.reason.clone(),
            branch: head.name.to_string(),
            branch_number: Some(head.number),
            changes,
            base: None,
        };
        match tenant.submit_expecting(command, Some(head.moved_at)).await {
            Ok(receipt) => return Ok(Submitted { receipt: Some(receipt), report, assertions }),
            Err(Refusal::Error(error)) => return Err(error.into()),
            Err(Refusal::Moved) => {}
        }
    }
    drop(turn);
    Err(SqlError::new("40001", "others keep changing the tenant")
        .with_detail(format!("the command was planned {PLAN_ATTEMPTS_MAX} times"))
        .with_hint("try again when less is being written")
        .into())
}

/// Runs a plan, which may take long; a panic in it is an error of this command alone.
pub async fn compute<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    Pool::Background.run(work).await.unwrap_or_else(|panic| {
        Err(SqlError::new("XX000", "internal error").with_detail(panic_text(panic)).into())
    })
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
    use std::time::Duration;

    use super::*;
    use crate::auth::Users;
    use crate::tenant::actor::Supervisor;
    use crate::tenant::store::Opened;
    use crate::tenant::{Authority, TenantOptions};
    use protocol::tenant::Tenant;
    use ractor::Actor;
    use storage::{LedgerId, LedgerWriter, MemoryDevice};

    async fn tenant() -> Arc<OpenTenant> {
        let device = Arc::new(MemoryDevice::new(1));
        LedgerWriter::create(device.clone(), LedgerId([1; 16]), Default::default()).unwrap();
        let (supervisor, _) = Supervisor::spawn(None, Supervisor, ()).await.unwrap();
        let opened = Opened::read(device.clone()).unwrap();
        let options =
            TenantOptions { authority: Authority::FolderOwner, ..TenantOptions::default() };
        let started =
            OpenTenant::start(&supervisor, "acme", device, Users::default(), opened, &options);
        started.await.unwrap()
    }

    fn described(description: String) -> Vec<Change> {
        vec![Change::Model(ModelChange::Describe { name: "m".to_owned(), description })]
    }

    /// Plans that count up what they read: none may be lost.
    #[tokio::test(flavor = "multi_thread")]
    async fn what_is_planned_fits_the_head_it_is_recorded_on() {
        const COMMANDS: usize = 40;
        let tenant = tenant().await;
        let asking = Asking::on_main("ana", "test");
        let count_up = |_: &Branches, head: &Branch| -> Result<(Vec<Change>, ())> {
            let count = head.revision.version.model.description.len();
            Ok((described("x".repeat(count + 1)), ()))
        };
        let planned =
            (0..COMMANDS).map(|_| submit_planned(&tenant, &asking, count_up, Checks::Skip));
        let answers = futures::future::join_all(planned).await;
        assert!(answers.iter().all(Result::is_ok));
        assert_eq!(tenant.head().revision.version.model.description.len(), COMMANDS);
    }

    /// Others write all the time, each faster than this plans.
    #[tokio::test(flavor = "multi_thread")]
    async fn what_is_planned_again_and_again_gets_its_turn() {
        let tenant = tenant().await;
        let asking = Asking::on_main("ana", "test");
        let (is_done, written) = (AtomicBool::new(false), AtomicUsize::new(0));
        let write = async |number: usize| {
            while !is_done.load(Ordering::Relaxed) {
                let command = Command {
                    author: "ana".into(),
                    origin: "test".into(),
                    reason: String::new(),
                    branch: asking.branch.clone(),
                    branch_number: None,
                    changes: described(format!("written by {number}")),
                    base: None,
                };
                tenant.submit(command).await.unwrap();
                written.fetch_add(1, Ordering::Relaxed);
            }
        };
        let plan = |_: &Branches, _: &Branch| -> Result<(Vec<Change>, ())> {
            std::thread::sleep(Duration::from_millis(50));
            Ok((described("planned".to_owned()), ()))
        };
        let planned = async {
            let planned = submit_planned(&tenant, &asking, plan, Checks::Skip).await;
            is_done.store(true, Ordering::Relaxed);
            planned
        };
        let writers = futures::future::join_all((0..4).map(write));
        let (planned, _) = futures::future::join(planned, writers).await;
        assert!(planned.is_ok(), "it has its turn");
        assert!(written.into_inner() > 8, "the others wrote meanwhile");
    }
}
