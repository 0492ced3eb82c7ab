//! Formulas as versions: every text that a formula ever had on a branch, with who gave it and why.
//!
//! Versions follow from the ledger: each time a formula is set or removed is one. The last of a
//! target is in force.

use std::sync::Arc;

use cube::Change;
use cube::model::{FormulaDef, ModelChange};

use crate::error::SqlError;
use crate::tenant::LedgerEntry;

/// One version of a formula.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleVersion {
    /// The formula's target: `cube.measure`.
    pub target: String,
    /// Counted from 1 for each target.
    pub version: u32,
    /// What was set; none where the formula was removed.
    pub formula: Option<FormulaDef>,
    /// Who set it.
    pub author: String,
    /// When, in microseconds since 1970-01-01 UTC.
    pub time_us: i64,
    /// The ledger entry.
    pub sequence: u64,
    /// Why; empty where no reason was given.
    pub reason: String,
}

/// Every version of every formula of a branch, the oldest first. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct RuleHistory(Arc<Vec<RuleVersion>>);

impl RuleHistory {
    /// Takes the formulas that an entry sets or removes in.
    pub fn record(&mut self, changes: &[Change], entry: &LedgerEntry) {
        for change in changes {
            let (target, formula) = match change {
                Change::Model(ModelChange::SetFormula(def)) => (&def.target, Some(def.clone())),
                Change::Model(ModelChange::RemoveFormula { target }) => (target, None),
                _ => continue,
            };
            let version = self.last(target).map_or(1, |last| last.version + 1);
            Arc::make_mut(&mut self.0).push(RuleVersion {
                target: target.clone(),
                version,
                formula,
                author: entry.author.clone(),
                time_us: entry.time_us,
                sequence: entry.sequence,
                reason: entry.reason.clone(),
            });
        }
    }

    /// All versions, the oldest first.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &RuleVersion> {
        self.0.iter()
    }

    /// The versions of one target, the oldest first.
    pub fn of<'a, 'b>(
        &'a self,
        target: &'b str,
    ) -> impl DoubleEndedIterator<Item = &'a RuleVersion> + use<'a, 'b> {
        self.iter().filter(move |rule| rule.target == target)
    }

    /// Whether a version is the one in force.
    pub fn is_active(&self, rule: &RuleVersion) -> bool {
        rule.formula.is_some() && self.last(&rule.target).is_some_and(|last| last == rule)
    }

    /// The formula of a target that is in force.
    pub fn active(&self, target: &str) -> Option<&FormulaDef> {
        self.last(target)?.formula.as_ref()
    }

    /// A version by its number; 42704 where there is none.
    pub fn version(&self, target: &str, version: u32) -> Result<&RuleVersion, SqlError> {
        let count = self.last(target).map_or(0, |last| last.version);
        let found = self.of(target).find(|rule| rule.version == version);
        found.ok_or_else(|| match count {
            0 => self.unknown(target),
            1 => SqlError::new("42704", format!("rule {target} has no version {version}"))
                .with_hint("it has version 1 only"),
            _ => SqlError::new("42704", format!("rule {target} has no version {version}"))
                .with_hint(format!("it has versions 1 to {count}")),
        })
    }

    /// The newest version that says something else than the one in force: where a rollback goes
    /// that names none.
    pub fn previous(&self, target: &str) -> Result<&RuleVersion, SqlError> {
        let last = self.last(target).ok_or_else(|| self.unknown(target))?;
        let previous = self.of(target).rev().find(|rule| rule.formula != last.formula);
        previous.ok_or_else(|| {
            SqlError::new("55000", format!("rule {target} has no earlier version to go back to"))
                .with_hint("its only text is in force; `perfos rule set` gives it another")
        })
    }

    /// That a target never had a formula.
    pub fn unknown(&self, target: &str) -> SqlError {
        let error = SqlError::new("42704", format!("rule {target} does not exist"));
        let near = cube::error::nearest(target, self.iter().map(|rule| rule.target.as_str()));
        if near.is_empty() {
            error.with_hint("perfos.rules lists what there is; a target is CUBE.MEASURE")
        } else {
            error.with_hint(format!("did you mean {}?", near.join(", ")))
        }
    }

    fn last(&self, target: &str) -> Option<&RuleVersion> {
        self.of(target).next_back()
    }
}
