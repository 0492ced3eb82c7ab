//! What apply, load and rules say of members that formulas name and that are not there.

use std::collections::BTreeMap;
use std::fmt;

use calc::missing::{MissingState, missing_members};
use calc::syntax::Span;
use calc::{CalcError, Revision};
use serde::{Deserialize, Serialize};

/// Members and formulas that a line lists.
const LISTED_MAX: usize = 5;

/// A member that a formula names and that is not there. Nothing is refused for it: values follow when
/// the member comes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MissingMember {
    /// The formula's target.
    pub target: String,
    /// The dimension.
    pub dimension: String,
    /// The member as it is named.
    pub member: String,
    /// Whether the dimension holds members of that kind yet.
    pub state: MemberState,
    /// The text that names it: the formula's, or the target.
    pub text: String,
    /// Where in that text, in bytes from 0.
    pub start: usize,
    /// Where it ends.
    pub end: usize,
    /// What to do about it.
    pub hint: Option<String>,
}

/// Why a member is not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MemberState {
    /// The dimension holds none yet.
    Pending,
    /// It holds others: most likely it is misspelt.
    Unknown,
}

/// What the formulas of a revision, or the one of a target, name and what is not there.
pub fn missing(revision: &Revision, target: Option<&str>) -> Vec<MissingMember> {
    let all = missing_members(&revision.version, &revision.plan).into_iter();
    let wanted = all.filter(|found| target.is_none_or(|target| found.target == target));
    let line = |found: calc::missing::MissingMember| MissingMember {
        target: found.target,
        dimension: found.dimension,
        member: found.member,
        state: match found.state {
            MissingState::Pending => MemberState::Pending,
            MissingState::Unknown => MemberState::Unknown,
        },
        text: found.text,
        start: found.span.start,
        end: found.span.end,
        hint: found.hint,
    };
    wanted.map(line).collect()
}

/// A warning as compilers show it.
impl fmt::Display for MissingMember {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { target, dimension, member, .. } = self;
        write!(f, "warning: {target}: {dimension} has no member {member:?}")?;
        let place = CalcError::Formula {
            target: target.clone(),
            text: self.text.clone(),
            span: Span { start: self.start, end: self.end },
            message: String::new(),
            hint: None,
        };
        for line in place.detail().unwrap_or_default().lines() {
            write!(f, "\n  | {line}")?;
        }
        match &self.hint {
            Some(hint) => write!(f, "\n  = help: {hint}"),
            None => Ok(()),
        }
    }
}

/// Warnings, then a line for each dimension that holds no members yet.
pub fn lines(found: &[MissingMember]) -> Vec<String> {
    let unknown = found.iter().filter(|missing| missing.state == MemberState::Unknown);
    let mut lines: Vec<String> = unknown.map(MissingMember::to_string).collect();
    let mut pending: BTreeMap<&str, Vec<&MissingMember>> = BTreeMap::new();
    for missing in found.iter().filter(|missing| missing.state == MemberState::Pending) {
        pending.entry(&missing.dimension).or_default().push(missing);
    }
    for (dimension, named) in pending {
        let members = listed(named.iter().map(|missing| format!("{:?}", missing.member)));
        let targets = listed(named.iter().map(|missing| missing.target.clone()));
        lines.push(format!(
            "pending: members of {dimension} not loaded yet: {members}, in {targets}"
        ));
    }
    lines
}

/// Different texts, the first few of them.
fn listed(texts: impl Iterator<Item = String>) -> String {
    let mut different: Vec<String> = Vec::new();
    texts.for_each(|text| {
        if !different.contains(&text) {
            different.push(text);
        }
    });
    let more = different.len().saturating_sub(LISTED_MAX);
    different.truncate(LISTED_MAX);
    let list = different.join(", ");
    if more > 0 { format!("{list} and {more} more") } else { list }
}
