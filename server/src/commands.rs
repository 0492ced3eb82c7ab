//! What the command line and HTTP both do to an open tenant: apply a model, load a file.
//!
//! Both are planned against the head and submitted for exactly that head; where another command
//! came first they are planned again, so what is recorded always fits what it was planned on.

use std::collections::BTreeMap;
use std::sync::Arc;

use calc::Revision;
use cube::{Change, Version};
use protocol::error::SqlError;
use protocol::tenant::{Command, Receipt};
use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::limits::PLAN_ATTEMPTS_MAX;
use crate::load::{self, LoadReport, LoadRequest};
use crate::model_files::{self, ModelFiles};
use crate::tenant::actor::{on_rayon, panic_text};
use crate::tenant::command::Refusal;
use crate::tenant::{MAIN, OpenTenant};

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
    /// The ledger entry, if there was something to apply.
    pub sequence: Option<u64>,
    /// The formulas that ran, and for how many cells.
    pub recomputed: BTreeMap<String, u64>,
}

/// What loading a file did.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LoadAnswer {
    /// What was read, and the totals.
    pub report: LoadReport,
    /// The ledger entry; none where the file changed nothing.
    pub sequence: Option<u64>,
    /// The formulas that ran, and for how many cells.
    pub recomputed: BTreeMap<String, u64>,
}

/// Who asks, and through what.
#[derive(Debug, Clone)]
pub struct Asking {
    /// The user.
    pub author: String,
    /// `perfos apply`, `http`.
    pub origin: String,
}

/// Makes the tenant's model that of the files, in one ledger entry.
pub async fn apply(
    tenant: &OpenTenant,
    asking: &Asking,
    files: ModelFiles,
    mode: ApplyMode,
) -> Result<ApplyReport> {
    let files = Arc::new(files);
    let plan = move |head: &Revision| -> Result<(Vec<Change>, Vec<String>)> {
        let changes = model_files::difference(head, &files)?;
        let described = changes.iter().map(model_files::describe).collect();
        Ok((changes.into_iter().map(Change::Model).collect(), described))
    };
    if mode == ApplyMode::Plan {
        let head = tenant.head().revision.clone();
        let (_, changes) = compute(move || plan(&head)).await?;
        return Ok(ApplyReport { mode, changes, sequence: None, recomputed: BTreeMap::new() });
    }
    let (receipt, changes) = submit_planned(tenant, asking, plan).await?;
    let (sequence, recomputed) = unpack(receipt);
    Ok(ApplyReport { mode, changes, sequence, recomputed })
}

/// Loads one file, all of it or nothing, in one ledger entry.
pub async fn load(
    tenant: &OpenTenant,
    asking: &Asking,
    request: LoadRequest,
) -> Result<LoadAnswer> {
    let request = Arc::new(request);
    let plan = move |head: &Revision| -> Result<(Vec<Change>, LoadReport)> {
        let plan = load::plan(&head.version, &request)?;
        Ok((plan.changes, plan.report))
    };
    let (receipt, report) = submit_planned(tenant, asking, plan).await?;
    let (sequence, recomputed) = unpack(receipt);
    Ok(LoadAnswer { report, sequence, recomputed })
}

/// Makes changes that follow from the head, in one ledger entry.
pub async fn change(
    tenant: &OpenTenant,
    asking: &Asking,
    changes: fn(&Version) -> cube::Result<Vec<Change>>,
) -> Result<()> {
    let plan = move |head: &Revision| -> Result<(Vec<Change>, ())> {
        Ok((changes(&head.version).map_err(SqlError::from)?, ()))
    };
    submit_planned(tenant, asking, plan).await.map(drop)
}

fn unpack(receipt: Option<Receipt>) -> (Option<u64>, BTreeMap<String, u64>) {
    receipt
        .map_or((None, BTreeMap::new()), |receipt| (Some(receipt.sequence), receipt.recomputed.0))
}

/// Plans against the head and submits for that head, again and again while others come first.
/// There is no receipt where the plan changes nothing.
async fn submit_planned<T: Send + 'static>(
    tenant: &OpenTenant,
    asking: &Asking,
    plan: impl Fn(&Revision) -> Result<(Vec<Change>, T)> + Clone + Send + 'static,
) -> Result<(Option<Receipt>, T)> {
    let _planning = tenant.planning.lock().await;
    for _ in 0..PLAN_ATTEMPTS_MAX {
        let head = tenant.head();
        let (plan, revision) = (plan.clone(), head.revision.clone());
        let (changes, report) = compute(move || plan(&revision)).await?;
        if changes.is_empty() {
            return Ok((None, report));
        }
        let command = Command {
            author: asking.author.clone(),
            origin: asking.origin.clone(),
            branch: MAIN.to_owned(),
            changes,
            base: None,
        };
        match tenant.submit_expecting(command, Some(head.sequence)).await {
            Ok(receipt) => return Ok((Some(receipt), report)),
            Err(Refusal::Error(error)) => return Err(error.into()),
            Err(Refusal::Moved) => {}
        }
    }
    Err(SqlError::new("40001", "others keep changing the tenant")
        .with_detail(format!("the command was planned {PLAN_ATTEMPTS_MAX} times"))
        .with_hint("try again when less is being written")
        .into())
}

/// Runs a plan on rayon; a panic in it is an error of this command alone.
async fn compute<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    on_rayon(work).await.unwrap_or_else(|panic| {
        Err(SqlError::new("XX000", "internal error").with_detail(panic_text(panic)).into())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::Users;
    use crate::tenant::actor::Supervisor;
    use crate::tenant::store::Opened;
    use crate::tenant::{Authority, TenantOptions};
    use cube::model::ModelChange;
    use ractor::Actor;
    use storage::{LedgerId, LedgerWriter, MemoryDevice};

    /// Plans that count up what they read: none may be lost.
    #[tokio::test(flavor = "multi_thread")]
    async fn what_is_planned_fits_the_head_it_is_recorded_on() {
        const COMMANDS: usize = 40;
        let device = Arc::new(MemoryDevice::new(1));
        LedgerWriter::create(device.clone(), LedgerId([1; 16]), Default::default()).unwrap();
        let (supervisor, _) = Supervisor::spawn(None, Supervisor, ()).await.unwrap();
        let opened = Opened::read(device.clone()).unwrap();
        let options =
            TenantOptions { authority: Authority::FolderOwner, ..TenantOptions::default() };
        let started =
            OpenTenant::start(&supervisor, "acme", device, Users::default(), opened, &options);
        let tenant = started.await.unwrap();
        let asking = Asking { author: "ana".into(), origin: "test".into() };
        let count_up = |head: &Revision| -> Result<(Vec<Change>, ())> {
            let count = head.version.model.description.len();
            let (name, description) = ("m".to_owned(), "x".repeat(count + 1));
            Ok((vec![Change::Model(ModelChange::Describe { name, description })], ()))
        };
        let planned = (0..COMMANDS).map(|_| submit_planned(&tenant, &asking, count_up));
        let answers = futures::future::join_all(planned).await;
        assert!(answers.iter().all(Result::is_ok));
        assert_eq!(tenant.head().revision.version.model.description.len(), COMMANDS);
    }
}
