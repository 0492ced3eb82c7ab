//! What the command line and HTTP both do with formulas as versions: list, set, remove, go back, compare.
//!
//! A formula that is set and one that is gone back to are the same kind of ledger entry: the
//! formula in force from then on, with who and why.

use calc::Revision;
use cube::Change;
use cube::model::{Consolidation, FormulaDef, ModelChange};
use protocol::branches::{Branch, Branches};
use protocol::compare::{Comparison, compare};
use protocol::error::SqlError;
use protocol::rules::RuleHistory;
use protocol::tenant::{Snapshot, Tenant};
use serde::{Deserialize, Serialize};

use crate::assertions::{self, AssertionResult};
use crate::branches::CompareRequest;
use crate::commands::{Asking, Checks, Submitted, compute, submit_planned, unpack};
use crate::error::{Result, sql_of_calc};
use crate::missing::{MissingMember, missing};
use crate::tenant::OpenTenant;
use crate::timestamp::format_timestamp;

/// A version of a formula, as the command line and HTTP show it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuleLine {
    /// `cube.measure`.
    pub target: String,
    /// Counted from 1 for each target.
    pub version: u32,
    /// The formula; none where it was removed.
    pub text: Option<String>,
    /// One line for people.
    pub description: Option<String>,
    /// Who set it.
    pub author: String,
    /// When.
    pub time: String,
    /// The ledger entry.
    pub sequence: u64,
    /// Why.
    pub reason: Option<String>,
    /// Whether it is in force.
    pub active: bool,
}

/// A formula that was set, or gone back to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuleAnswer {
    /// `cube.measure`.
    pub target: String,
    /// The version in force now.
    pub version: u32,
    /// The version whose formula it took, where it went back.
    pub of_version: Option<u32>,
    /// The ledger entry; none where that formula was in force already.
    pub sequence: Option<u64>,
    /// The formulas that ran, and in how many cells each was evaluated, changed or not.
    pub recomputed: std::collections::BTreeMap<String, u64>,
    /// The model's assertions on what it gives; none of them failed.
    #[serde(default)]
    pub assertions: Vec<AssertionResult>,
    /// Members that the formula names and that are not there.
    #[serde(default)]
    pub missing_members: Vec<MissingMember>,
}

/// What a formula would change, and what it names that is not there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuleComparison {
    /// The branch as it is, and as it would be.
    #[serde(flatten)]
    pub comparison: Comparison,
    /// Members that the formula names and that are not there.
    #[serde(default)]
    pub missing_members: Vec<MissingMember>,
}

/// A formula to be tried: a text, or a version there was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Candidate {
    /// A text.
    Text(String),
    /// A version.
    Version(u32),
}

/// All versions of a target, or of all targets, of a branch, the oldest first.
pub fn list(tenant: &OpenTenant, branch: &str, target: Option<&str>) -> Result<Vec<RuleLine>> {
    let branches = tenant.branches();
    let rules = &branches.get(branch)?.rules;
    let wanted = rules.iter().filter(|rule| target.is_none_or(|target| rule.target == target));
    let filled = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
    let line = |rule: &protocol::rules::RuleVersion| RuleLine {
        target: rule.target.clone(),
        version: rule.version,
        text: rule.formula.as_ref().map(|formula| formula.text.clone()),
        description: rule.formula.as_ref().and_then(|formula| filled(&formula.description)),
        author: rule.author.clone(),
        time: format_timestamp(rule.time_us),
        sequence: rule.sequence,
        reason: filled(&rule.reason),
        active: rules.is_active(rule),
    };
    let lines: Vec<RuleLine> = wanted.map(line).collect();
    match target {
        Some(target) if lines.is_empty() => Err(rules.unknown(target).into()),
        _ => Ok(lines),
    }
}

/// Puts a formula in force. What it does not say stays: the description, the levels. Where an
/// assertion does not hold of what that gives, the formula in force stays, here and when going back.
pub async fn set(
    tenant: &OpenTenant,
    asking: &Asking,
    target: &str,
    text: &str,
) -> Result<RuleAnswer> {
    let branch = tenant.branches().get(&asking.branch)?.clone();
    check(&branch, asking, target)?;
    let formula = with_text(&branch, target, text);
    put_in_force(tenant, asking, target, Some(formula), None).await
}

/// Takes a formula away: a new version without one, after which the measure is an input.
pub async fn remove(tenant: &OpenTenant, asking: &Asking, target: &str) -> Result<RuleAnswer> {
    let branch = tenant.branches().get(&asking.branch)?.clone();
    check(&branch, asking, target)?;
    if branch.rules.of(target).next().is_none() {
        return Err(branch.rules.unknown(target).into());
    }
    put_in_force(tenant, asking, target, None, None).await
}

/// Puts an earlier version in force: the one that is named, or the newest that says something else.
pub async fn roll_back(
    tenant: &OpenTenant,
    asking: &Asking,
    target: &str,
    to: Option<u32>,
) -> Result<RuleAnswer> {
    let branch = tenant.branches().get(&asking.branch)?.clone();
    check(&branch, asking, target)?;
    let version = match to {
        Some(version) => branch.rules.version(target, version)?,
        None => branch.rules.previous(target)?,
    };
    put_in_force(tenant, asking, target, version.formula.clone(), Some(version.version)).await
}

/// What a formula would change on a branch: a comparison with a state that nobody else sees and
/// that leaves no trace.
pub async fn compare_with(
    tenant: &OpenTenant,
    asking: &Asking,
    target: &str,
    candidate: Candidate,
    request: &CompareRequest,
) -> Result<RuleComparison> {
    let options = request.options()?;
    let point = tenant.read(&asking.author)?;
    let branch = point.branches.get(&asking.branch)?.clone();
    check_target(&branch, target)?;
    let (formula, name) = match candidate {
        Candidate::Text(text) => (Some(with_text(&branch, target, &text)), "the new text".into()),
        Candidate::Version(version) => {
            let formula = branch.rules.version(target, version)?.formula.clone();
            (formula, format!("version {version}"))
        }
    };
    let changes = changes(&branch.rules, target, formula);
    let target = target.to_owned();
    let from = point.snapshot_of(&branch);
    compute(move || {
        let seen = point.branches.seen_by(&branch.name);
        let applied = branch.revision.apply_among(&changes, &seen);
        let (revision, _) = applied.map_err(|error| sql_of_calc(&error))?;
        let missing_members = missing(&revision, Some(&target));
        let Revision { version, plan } = revision;
        let mut to = Snapshot { plan, ..from.clone() };
        to.view.version = version;
        let comparison = compare((&branch.name, &from), (&name, &to), &options)?;
        Ok(RuleComparison { comparison, missing_members })
    })
    .await
}

/// Whoever changes a formula says why, and names its cube.
fn check(branch: &Branch, asking: &Asking, target: &str) -> Result<(), SqlError> {
    if asking.reason.trim().is_empty() {
        return Err(SqlError::new("22023", "the reason is empty")
            .with_hint("say why the formula changes: it is shown with each version of the rule"));
    }
    check_target(branch, target)
}

/// A target is a measure with its cube; of a measure alone it is said which there are.
fn check_target(branch: &Branch, target: &str) -> Result<(), SqlError> {
    let (path, region) = target.split_at(target.find('[').unwrap_or(target.len()));
    let measure = path.trim();
    if measure.contains('.') {
        return Ok(());
    }
    let cubes = branch.revision.version.model.cubes.iter();
    let having = cubes.filter(|cube| cube.measure(measure).is_ok());
    let targets = having.map(|cube| format!("{}.{measure}{region}", cube.def.name));
    let targets = targets.collect::<Vec<_>>().join(", ");
    let hint = match targets.is_empty() {
        true => "a target is CUBE.MEASURE".to_owned(),
        false => format!("did you mean {targets}?"),
    };
    Err(SqlError::new("42602", format!("target {target} names no cube")).with_hint(hint))
}

/// A measure that consolidates by its formula has one.
fn check_unneeded(branch: &Branch, target: &str) -> Result<(), SqlError> {
    let model = &branch.revision.version.model;
    let Ok((cube, measure)) = model.target(target) else { return Ok(()) };
    if model.cube_def(cube).measure_def(measure).consolidation != Consolidation::Formula {
        return Ok(());
    }
    let message = format!("{target} consolidates by its formula and cannot be without one");
    Err(SqlError::new("42P16", message).with_hint("set another formula"))
}

/// The formula of a target with another text.
fn with_text(branch: &Branch, target: &str, text: &str) -> FormulaDef {
    let empty = || FormulaDef {
        target: target.to_owned(),
        text: String::new(),
        description: String::new(),
        at_or_above: Default::default(),
    };
    let before = branch.rules.active(target).cloned().unwrap_or_else(empty);
    FormulaDef { text: text.to_owned(), ..before }
}

/// What puts a formula in force, or none; nothing where it is.
fn changes(rules: &RuleHistory, target: &str, formula: Option<FormulaDef>) -> Vec<Change> {
    if rules.active(target) == formula.as_ref() {
        return Vec::new();
    }
    let change = match formula {
        Some(formula) => ModelChange::SetFormula(formula),
        None => ModelChange::RemoveFormula { target: target.to_owned() },
    };
    vec![Change::Model(change)]
}

async fn put_in_force(
    tenant: &OpenTenant,
    asking: &Asking,
    target: &str,
    formula: Option<FormulaDef>,
    of_version: Option<u32>,
) -> Result<RuleAnswer> {
    if formula.is_none() {
        check_unneeded(tenant.branches().get(&asking.branch)?, target)?;
    }
    let name = target.to_owned();
    let plan = move |_: &Branches, head: &Branch| -> Result<(Vec<Change>, u32)> {
        let changes = changes(&head.rules, &name, formula.clone());
        let last = head.rules.of(&name).next_back().map_or(0, |rule| rule.version);
        let version = last + u32::from(!changes.is_empty());
        Ok((changes, version))
    };
    let refuse = |failed: &[&AssertionResult]| refused(target, failed).into();
    let Submitted { receipt, report: version, assertions } =
        submit_planned(tenant, asking, plan, Checks::Refuse(&refuse)).await?;
    let (sequence, recomputed) = unpack(receipt);
    let revision = tenant.branches().get(&asking.branch)?.revision.clone();
    let target = target.to_owned();
    compute(move || {
        let missing_members = missing(&revision, Some(&target));
        let target = target.clone();
        Ok(RuleAnswer {
            target,
            version,
            of_version,
            sequence,
            recomputed,
            assertions,
            missing_members,
        })
    })
    .await
}

/// The error that assertions do not hold of what a formula would give.
fn refused(target: &str, failed: &[&AssertionResult]) -> SqlError {
    let message = assertions::refusal(failed, "the formula in force stays");
    let error = SqlError::new("23514", format!("{target}: {message}"));
    let hint = failed.iter().find_map(|result| result.hint.clone());
    hint.into_iter().fold(error, SqlError::with_hint)
}

/// Exactly one of a text and a version.
pub fn candidate(text: Option<String>, version: Option<u32>) -> Result<Candidate, SqlError> {
    match (text, version) {
        (Some(text), None) => Ok(Candidate::Text(text)),
        (None, Some(version)) => Ok(Candidate::Version(version)),
        _ => Err(SqlError::new("22023", "say what to compare with: a text or a version")),
    }
}
