//! What the command line and HTTP both do with branches: list, create, drop, compare.

use std::sync::Arc;

use cube::Number;
use protocol::branches::Branch;
use protocol::compare::{CompareOptions, Comparison, compare};
use protocol::error::SqlError;
use protocol::tenant::{NewBranch, OldBranch, Snapshot, Tenant};
use serde::{Deserialize, Serialize};

use crate::commands::{Asking, compute};
use crate::error::Result;
use crate::limits::COMPARED_CELLS_MAX;
use crate::tenant::OpenTenant;
use crate::timestamp::format_timestamp;

/// Cells of a cube that a comparison lists, unless asked for otherwise.
const LIMIT_DEFAULT: usize = 100;

/// A branch, as the command line and HTTP show it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BranchLine {
    /// Its name.
    pub name: String,
    /// Who made it; none for `main`.
    pub owner: Option<String>,
    /// Why.
    pub reason: Option<String>,
    /// The branch it began with.
    pub base: Option<String>,
    /// The last ledger entry that it took from there.
    pub base_sequence: Option<u64>,
    /// When it was made.
    pub created_at: Option<String>,
    /// The last ledger entry in it.
    pub head_sequence: u64,
    /// How many entries were written on it.
    pub entries: u64,
}

/// A branch that was made or dropped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BranchAnswer {
    /// Its name.
    pub name: String,
    /// The ledger entry.
    pub sequence: u64,
}

/// What to compare, as the command line and HTTP ask for it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CompareRequest {
    /// One cube; all where there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cube: Option<String>,
    /// One measure.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub measure: Option<String>,
    /// Cells are listed that are farther apart.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tolerance: Option<String>,
    /// How many cells of each cube are listed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
}

impl From<&Arc<Branch>> for BranchLine {
    fn from(branch: &Arc<Branch>) -> Self {
        let filled = |text: &String| Some(text.clone()).filter(|text| !text.is_empty());
        Self {
            name: branch.name.to_string(),
            owner: filled(&branch.owner),
            reason: filled(&branch.reason),
            base: branch.base.as_ref().map(|base| base.name.to_string()),
            base_sequence: branch.base.as_ref().map(|base| base.sequence),
            created_at: branch.created_us.map(format_timestamp),
            head_sequence: branch.sequence,
            entries: branch.entry_count,
        }
    }
}

impl CompareRequest {
    /// What is asked for, within limits.
    pub fn options(&self) -> Result<CompareOptions, SqlError> {
        let tolerance = self.tolerance.as_deref().unwrap_or("0");
        let tolerance = Number::parse(tolerance).ok_or_else(|| {
            SqlError::new("22P02", format!("tolerance {tolerance:?} is not a number"))
                .with_hint("a tolerance is the size of a difference: 0.5")
        })?;
        let limit = self.limit.unwrap_or(LIMIT_DEFAULT);
        if limit > COMPARED_CELLS_MAX {
            let message = format!("limit {limit} is too large");
            return Err(SqlError::new("54000", message).with_hint(format!(
                "at most {COMPARED_CELLS_MAX} cells of a cube are listed; a tolerance, a cube or a \
                 measure makes them fewer"
            )));
        }
        Ok(CompareOptions {
            cube: self.cube.clone(),
            measure: self.measure.clone(),
            tolerance,
            limit,
        })
    }
}

/// All branches, `main` first.
pub fn list(tenant: &OpenTenant) -> Vec<BranchLine> {
    tenant.branches().iter().map(BranchLine::from).collect()
}

/// Makes a branch from the head of the one that is asked on.
pub async fn create(tenant: &OpenTenant, asking: &Asking, name: &str) -> Result<BranchAnswer> {
    let branch = NewBranch {
        author: asking.author.clone(),
        origin: asking.origin.clone(),
        reason: asking.reason.clone(),
        name: name.to_owned(),
        from: asking.branch.clone(),
    };
    let sequence = tenant.create_branch(branch).await?.sequence;
    Ok(BranchAnswer { name: name.to_owned(), sequence })
}

/// Drops a branch.
pub async fn drop_branch(tenant: &OpenTenant, asking: &Asking, name: &str) -> Result<BranchAnswer> {
    let branch = OldBranch {
        author: asking.author.clone(),
        origin: asking.origin.clone(),
        reason: asking.reason.clone(),
        name: name.to_owned(),
    };
    let sequence = tenant.drop_branch(branch).await?.sequence;
    Ok(BranchAnswer { name: name.to_owned(), sequence })
}

/// Compares two branches at one moment.
pub async fn compare_branches(
    tenant: &OpenTenant,
    user: &str,
    (from, to): (&str, &str),
    request: &CompareRequest,
) -> Result<Comparison> {
    let options = request.options()?;
    let point = tenant.read(user)?;
    let end = |name: &str| -> Result<(String, Snapshot), SqlError> {
        let branch = point.branches.get(name)?;
        Ok((branch.name.to_string(), point.snapshot_of(branch)))
    };
    let (from, to) = (end(from)?, end(to)?);
    compute(move || Ok(compare((&from.0, &from.1), (&to.0, &to.1), &options)?)).await
}
