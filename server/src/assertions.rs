//! Assertions: what a model says must hold of the data, checked by its own SQL.
//!
//! They are checked on a candidate, which nobody else sees: what a command would make of the head.
//! A check reads and never writes. An assertion over tables without rows is pending: there is
//! nothing yet of which it could hold.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use cube::model::{Assertion, AssertionDef, CubeKind, HierarchyKind};
use cube::number::Number;
use cube::{CubeId, MeasureId, Version};
use protocol::branches::{Branch, ReadPoint};
use protocol::error::SqlError;
use protocol::sql::local::{LocalSession, SessionOptions};
use protocol::sql::named_tables::named_tables;
use protocol::sql::session::Session;
use protocol::tenant::{Command, LedgerEntry, NewBranch, OldBranch, Receipt, Tenant};
use serde::{Deserialize, Serialize};

use crate::limits::ASSERTION_WAIT_MS;
use crate::query::{self, QueryResult};
use crate::render::text_of;
use crate::tenant::{MAIN, OpenTenant};

/// What checking an assertion found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AssertionResult {
    /// Its name.
    pub name: String,
    /// Its file, as a path in the model's folder.
    pub file: String,
    /// Its query.
    pub sql: String,
    /// Whether it holds.
    pub state: AssertionState,
    /// What it expects, in words: `5`, `5 within 0.01`, `blank`.
    pub expected: String,
    /// The value that was found, or `blank`; none where the query gave no single value.
    pub found: Option<String>,
    /// Why it is pending, or why there is no single value.
    pub reason: Option<String>,
    /// What to do about it.
    pub hint: Option<String>,
    /// Where in the query its error is, counted in characters from 1.
    pub position: Option<usize>,
}

/// Whether an assertion holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AssertionState {
    /// It holds.
    Passed,
    /// It does not, or cannot be checked.
    Failed,
    /// What it reads holds no rows yet.
    Pending,
}

impl AssertionResult {
    fn new(assertion: &Assertion, state: AssertionState) -> Self {
        let def = &assertion.def;
        let within = def.tolerance.iter().map(|by| format!(" within {by}")).collect::<String>();
        let expected = def.equals.as_deref().unwrap_or(BLANK);
        Self {
            name: def.name.clone(),
            file: assertion.file.clone(),
            sql: one_line(&def.sql),
            state,
            expected: format!("{expected}{within}"),
            found: None,
            reason: None,
            hint: None,
            position: None,
        }
    }

    /// What is wrong, in one sentence.
    pub fn message(&self) -> String {
        let Self { name, sql, expected, .. } = self;
        match (&self.found, &self.reason) {
            (Some(found), _) => {
                format!("assertion {name:?}: expected {expected}, found {found}: {sql}")
            }
            (None, Some(reason)) => format!("assertion {name:?}: {reason}: {sql}"),
            (None, None) => format!("assertion {name:?}: {sql}"),
        }
    }
}

/// One line for people: the state, the name, and what is to be known about it.
impl fmt::Display for AssertionResult {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let reason = self.reason.as_deref().unwrap_or_default();
        match self.state {
            AssertionState::Passed => write!(f, "passed   {}", self.name),
            AssertionState::Pending => write!(f, "pending  {}: {reason}", self.name),
            AssertionState::Failed => write!(f, "failed   {}: {}", self.file, self.message()),
        }
    }
}

/// Why nothing was done: which assertions would fail, one a line, behind what nothing was done to.
pub fn refusal(failed: &[&AssertionResult], nothing: &str) -> String {
    let noun = if failed.len() == 1 { "assertion fails" } else { "assertions fail" };
    let mut message = format!("{} {noun}; {nothing}", failed.len());
    for result in failed {
        message.push_str(&format!("\n  {}: {}", result.file, result.message()));
    }
    message
}

/// How many of some results are in a state.
pub fn count(results: &[AssertionResult], state: AssertionState) -> usize {
    results.iter().filter(|result| result.state == state).count()
}

/// Says of what fails now and failed before that it did: another change is to blame.
pub fn note_failed_before(results: &mut [AssertionResult], before: &[AssertionResult]) {
    let is_failed = |result: &AssertionResult| result.state == AssertionState::Failed;
    for result in results.iter_mut().filter(|result| is_failed(result)) {
        let mut older = before.iter().filter(|older| older.name == result.name);
        if older.any(|older| older.sql == result.sql && is_failed(older)) {
            let hint = "it fails on what the tenant holds already; see perfos test".to_owned();
            result.hint.get_or_insert(hint);
        }
    }
}

/// What no value is called.
const BLANK: &str = "blank";

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Checks all assertions of a branch's model on that branch, which need not be published, one after
/// the other.
///
/// # Errors
/// A session that cannot be opened. Whatever is wrong with an assertion is its own result.
pub async fn check(
    tenant: &OpenTenant,
    state: &Branch,
    user: &str,
) -> Result<Vec<AssertionResult>, SqlError> {
    let assertions = &state.revision.version.model.assertions;
    if assertions.is_empty() {
        return Ok(Vec::new());
    }
    let published = tenant.read(user)?;
    let branches = Arc::new(published.branches.with(state.clone()));
    let point = ReadPoint { branches, ..published };
    let candidate = Arc::new(Candidate { name: tenant.name().to_owned(), point });
    let options = SessionOptions {
        user: user.to_owned(),
        origin: "assertions".to_owned(),
        backend_pid: 0,
        server_started_us: 0,
    };
    let mut session = LocalSession::new(candidate, options)?;
    if state.name.as_ref() != MAIN {
        session.set("search_path", &state.name)?;
    }
    session.set("default_transaction_read_only", "on")?;
    session.set("statement_timeout", &ASSERTION_WAIT_MS.to_string())?;
    let mut results = Vec::with_capacity(assertions.len());
    for assertion in assertions {
        results.push(check_one(&mut session, state, assertion).await);
    }
    Ok(results)
}

async fn check_one(
    session: &mut LocalSession,
    state: &Branch,
    assertion: &Assertion,
) -> AssertionResult {
    let version = &state.revision.version;
    let result = |state| AssertionResult::new(assertion, state);
    let checked = match pending(state, &assertion.def) {
        Ok(None) => value(session, &assertion.def.sql).await.map(|found| compare(assertion, found)),
        Ok(Some(reason)) => planned(session, version, &assertion.def.sql).await.map(|()| {
            let reason = Some(reason);
            AssertionResult { reason, ..result(AssertionState::Pending) }
        }),
        Err(error) => Err(error),
    };
    checked.unwrap_or_else(|error| AssertionResult {
        reason: Some(error.message),
        hint: error.hint,
        position: error.position,
        ..result(AssertionState::Failed)
    })
}

/// Which table the query reads, or the assertion needs, that holds no rows yet, in words.
fn pending(state: &Branch, def: &AssertionDef) -> Result<Option<String>, SqlError> {
    let version = &state.revision.version;
    for needed in &def.needs {
        version.model.cube(needed).map_err(SqlError::from)?;
    }
    let tables = def.needs.iter().cloned().chain(named_tables(&def.sql)?);
    let empty = tables.into_iter().find(|table| is_empty(state, table));
    Ok(empty.map(|table| format!("{table} holds no rows yet")))
}

fn is_empty(state: &Branch, table: &str) -> bool {
    let version = &state.revision.version;
    if let Ok(cube) = version.model.cube(table) {
        return !holds_inputs(state, cube);
    }
    let dimension = version.model.dimension(table.strip_suffix("_closure").unwrap_or(table));
    dimension.is_ok_and(|dimension| version.dimension(dimension).member_count() == 0)
}

/// Whether somebody brought rows: a cube of cells may hold what formulas fetch from other cubes.
/// What a formula computed once, and does no more, is not waited for.
fn holds_inputs(state: &Branch, cube: CubeId) -> bool {
    let version = &state.revision.version;
    let (def, rows) = (&version.model.cube_def(cube).def, version.rows(cube));
    let measures = (0..def.measures.len()).map(MeasureId::from_idx);
    let was_computed = |measure: &MeasureId| {
        let target = format!("{}.{}", def.name, def.measures[measure.idx()].name);
        state.rules.of(&target).next().is_some()
    };
    let inputs: Vec<MeasureId> = measures
        .filter(|&measure| version.model.is_input(cube, measure))
        .filter(|measure| !was_computed(measure))
        .collect();
    if def.kind == CubeKind::Records || inputs.is_empty() {
        return rows.row_count() > 0;
    }
    rows.segments().iter().any(|view| {
        let columns = inputs.iter().filter_map(|input| view.segment.values.get(input.idx()));
        let columns: Vec<_> = columns.collect();
        view.live_rows().any(|row| columns.iter().any(|column| column.get(row).is_some()))
    })
}

/// Plans a query that is not run yet, so that it is known to be one. Columns may be missing as long
/// as a dimension has no members: its depth is not known before.
async fn planned(session: &mut LocalSession, version: &Version, sql: &str) -> Result<(), SqlError> {
    let grows = |dimension: &cube::dimension::Dimension| {
        let mut hierarchies = dimension.def.hierarchies.iter();
        dimension.member_count() == 0
            && hierarchies.any(|hierarchy| hierarchy.kind == HierarchyKind::ParentChild)
    };
    let Ok([statement]) = <[_; 1]>::try_from(session.parse(sql)?) else {
        return Err(no_query());
    };
    match session.prepare(statement, &[]).await {
        Ok(prepared) if prepared.columns.is_none() => Err(no_query()),
        Err(error)
            if error.sqlstate != "42703"
                || !version.dimensions.iter().any(|dimension| grows(dimension)) =>
        {
            Err(error)
        }
        _ => Ok(()),
    }
}

fn no_query() -> SqlError {
    no_value("the text is not one query".into())
}

/// The one value that a query gives; none where it is NULL.
async fn value(session: &mut LocalSession, sql: &str) -> Result<Option<String>, SqlError> {
    let results = query::run(session, sql).await?;
    let [QueryResult::Rows { schema, batches }] = results.as_slice() else {
        return Err(no_query());
    };
    let rows: usize = batches.iter().map(arrow::array::RecordBatch::num_rows).sum();
    let columns = schema.fields().len();
    if (rows, columns) != (1, 1) {
        return Err(no_value(format!("the query gives {rows} rows with {columns} columns")));
    }
    let Some(batch) = batches.iter().find(|batch| batch.num_rows() == 1) else {
        return Err(no_value("the query gives no row".into()));
    };
    text_of(batch.column(0), 0).map_err(|error| SqlError::new("XX000", error.to_string()))
}

fn no_value(message: String) -> SqlError {
    SqlError::new("21000", message).with_hint("an assertion's query gives one row with one column")
}

fn compare(assertion: &Assertion, found: Option<String>) -> AssertionResult {
    let state = if holds(assertion, found.as_deref()) {
        AssertionState::Passed
    } else {
        AssertionState::Failed
    };
    let found = Some(found.unwrap_or_else(|| BLANK.to_owned()));
    AssertionResult { found, ..AssertionResult::new(assertion, state) }
}

/// Whether a value is the expected one: numbers by their difference, anything else as text.
fn holds(assertion: &Assertion, found: Option<&str>) -> bool {
    let (Some(expected), Some(found)) = (&assertion.def.equals, found) else {
        return assertion.def.equals.is_none() && found.is_none();
    };
    let (Some(wanted), Some(number)) = (Number::parse(expected), Number::parse(found)) else {
        return expected == found;
    };
    let tolerance = assertion.def.tolerance.as_deref().and_then(Number::parse);
    is_within(number, wanted, tolerance.unwrap_or(Number::ZERO)).unwrap_or(false)
}

fn is_within(found: Number, wanted: Number, tolerance: Number) -> cube::Result<bool> {
    let difference = found.minus(wanted)?;
    let size = if difference < Number::ZERO { difference.negate()? } else { difference };
    Ok(size <= tolerance)
}

fn no_write() -> SqlError {
    SqlError::new("25006", "an assertion does not write")
}

/// A state that nobody else sees, for reading.
struct Candidate {
    name: String,
    point: ReadPoint,
}

#[async_trait]
impl Tenant for Candidate {
    fn name(&self) -> &str {
        &self.name
    }

    fn read(&self, _user: &str) -> Result<ReadPoint, SqlError> {
        Ok(self.point.clone())
    }

    async fn submit(&self, _command: Command) -> Result<Receipt, SqlError> {
        Err(no_write())
    }

    async fn create_branch(&self, _branch: NewBranch) -> Result<Receipt, SqlError> {
        Err(no_write())
    }

    async fn drop_branch(&self, _branch: OldBranch) -> Result<Receipt, SqlError> {
        Err(no_write())
    }

    async fn ledger(&self, _limit: usize) -> Result<Vec<LedgerEntry>, SqlError> {
        Ok(Vec::new())
    }
}

#[cfg(test)]
mod tests {
    use cube::model::{Assertion, AssertionDef};

    use super::holds;

    fn check(equals: Option<&str>, tolerance: Option<&str>, found: Option<&str>, expected: bool) {
        let def = AssertionDef {
            name: "a".into(),
            description: String::new(),
            sql: String::new(),
            equals: equals.map(Into::into),
            equals_blank: equals.is_none(),
            tolerance: tolerance.map(Into::into),
            needs: Vec::new(),
        };
        let assertion = Assertion { file: String::new(), def };
        assert_eq!(holds(&assertion, found), expected, "{equals:?} {tolerance:?} {found:?}");
    }

    #[test]
    fn numbers_are_compared_as_numbers_and_the_rest_as_text() {
        check(Some("1.50"), None, Some("1.5"), true);
        check(Some("1.50"), None, Some("1.51"), false);
        check(Some("1.50"), Some("0.01"), Some("1.51"), true);
        check(Some("1.50"), Some("0.01"), Some("1.49"), true);
        check(Some("1.50"), Some("0.01"), Some("1.5100001"), false);
        check(Some("Won"), None, Some("Won"), true);
        check(Some("Won"), None, Some("won"), false);
        check(Some("0"), None, None, false);
        check(None, None, None, true);
        check(None, None, Some("0"), false);
    }
}
