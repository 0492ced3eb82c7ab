//! Statements about the session itself: transactions, settings.

use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::sql::sqlparser::ast::{
    Expr, Ident, Reset, Set, Statement, TransactionAccessMode, TransactionMode, Value,
};

use super::branch::{self, Insistence};
use super::output::rows_of_text;
use super::{Access, LocalSession, Transaction};
use crate::error::SqlError;
use crate::sql::session::{Outcome, TransactionStatus};

/// A statement about the session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Control {
    Begin(Option<Access>),
    Access(Access),
    Commit,
    Rollback,
    Set {
        name: String,
        value: Option<String>,
    },
    Reset(String),
    ResetAll,
    Show(String),
    Discard,
    /// From the current branch where no other is named.
    CreateBranch {
        name: String,
        from: Option<String>,
        insistence: Insistence,
    },
    DropBranches {
        names: Vec<String>,
        insistence: Insistence,
    },
    /// Accepted without effect, with this tag.
    Nothing(&'static str),
}

impl Control {
    /// The columns of its rows.
    pub fn columns(&self) -> Option<SchemaRef> {
        let Self::Show(name) = self else { return None };
        Some(Arc::new(Schema::new(vec![Field::new(name, DataType::Utf8, true)])))
    }
}

/// The control statement that a statement is, if it is one.
pub(super) fn control(statement: &Statement) -> Result<Option<Control>, SqlError> {
    Ok(Some(match statement {
        Statement::StartTransaction { modes, .. } => Control::Begin(access_of(modes)),
        Statement::Commit { .. } => Control::Commit,
        Statement::Rollback { savepoint: None, .. } => Control::Rollback,
        Statement::Savepoint { .. }
        | Statement::ReleaseSavepoint { .. }
        | Statement::Rollback { .. } => {
            return Err(SqlError::new("0A000", "savepoints are not supported yet"));
        }
        Statement::Set(set) => set_control(set)?,
        Statement::Reset(reset) => match &reset.reset {
            Reset::ALL => Control::ResetAll,
            Reset::ConfigurationParameter(name) => Control::Reset(name.to_string()),
        },
        Statement::ShowVariable { variable } => Control::Show(setting_name(variable)),
        Statement::Discard { .. } => Control::Discard,
        Statement::Deallocate { .. } => Control::Nothing("DEALLOCATE"),
        other => return branch::control(other),
    }))
}

fn access_of(modes: &[TransactionMode]) -> Option<Access> {
    modes.iter().find_map(|mode| match mode {
        TransactionMode::AccessMode(TransactionAccessMode::ReadOnly) => Some(Access::ReadOnly),
        TransactionMode::AccessMode(TransactionAccessMode::ReadWrite) => Some(Access::ReadWrite),
        TransactionMode::IsolationLevel(_) => None,
    })
}

fn setting_name(variable: &[Ident]) -> String {
    let words: Vec<String> = variable.iter().map(|ident| ident.value.to_lowercase()).collect();
    match words.join(" ").as_str() {
        "transaction isolation level" => "transaction_isolation".into(),
        "time zone" => "timezone".into(),
        _ => words.join("."),
    }
}

fn set_control(set: &Set) -> Result<Control, SqlError> {
    match set {
        Set::SingleAssignment { variable, values, .. } => {
            let texts: Vec<String> = values.iter().map(value_text).collect();
            let is_default = matches!(values.as_slice(), [Expr::Identifier(word)] if word.value.eq_ignore_ascii_case("default"));
            let name = variable.to_string().to_lowercase();
            Ok(Control::Set { name, value: (!is_default).then(|| texts.join(", ")) })
        }
        Set::SetTimeZone { value, .. } => {
            Ok(Control::Set { name: "timezone".into(), value: Some(value_text(value)) })
        }
        Set::SetNames { charset_name, .. } => Ok(Control::Set {
            name: "client_encoding".into(),
            value: Some(charset_name.value.clone()),
        }),
        Set::SetTransaction { modes, session, .. } => Ok(match (access_of(modes), session) {
            (Some(access), false) => Control::Access(access),
            (Some(access), true) => {
                let value = if access == Access::ReadOnly { "on" } else { "off" };
                Control::Set {
                    name: "default_transaction_read_only".into(),
                    value: Some(value.into()),
                }
            }
            (None, _) => Control::Nothing("SET"),
        }),
        other => Err(SqlError::new("0A000", format!("{other} is not supported"))),
    }
}

fn value_text(value: &Expr) -> String {
    match value {
        Expr::Value(value) => match &value.value {
            Value::SingleQuotedString(text) | Value::DoubleQuotedString(text) => text.clone(),
            other => other.to_string(),
        },
        Expr::Identifier(word) => word.value.clone(),
        other => other.to_string(),
    }
}

impl LocalSession {
    pub(super) async fn run_control(&mut self, control: &Control) -> Result<Outcome, SqlError> {
        let done = |tag: &str| Ok(Outcome::Done { tag: tag.to_string() });
        match control {
            Control::Begin(access) => self.begin(*access),
            Control::Commit => self.commit().await,
            Control::Rollback => {
                self.transaction = None;
                done("ROLLBACK")
            }
            _ => {
                self.refuse_in_failed_transaction()?;
                match control {
                    Control::Set { name, value: Some(value) } => {
                        self.set(name, value)?;
                        done("SET")
                    }
                    Control::Set { name, value: None } => {
                        self.settings().reset(name)?;
                        done("SET")
                    }
                    Control::Reset(name) => {
                        self.settings().reset(name)?;
                        done("RESET")
                    }
                    Control::ResetAll => {
                        self.settings().reset_all();
                        done("RESET")
                    }
                    Control::Discard => self.discard(),
                    Control::Show(name) => self.show(control, name),
                    Control::CreateBranch { name, from, insistence } => {
                        self.create_branch(name, from.as_deref(), *insistence).await
                    }
                    Control::DropBranches { names, insistence } => {
                        self.drop_branches(names, *insistence).await
                    }
                    Control::Nothing(tag) => done(tag),
                    Control::Access(access) => {
                        if let Some(transaction) = &mut self.transaction {
                            transaction.access = *access;
                        }
                        done("SET")
                    }
                    Control::Begin(_) | Control::Commit | Control::Rollback => done(""),
                }
            }
        }
    }

    fn begin(&mut self, access: Option<Access>) -> Result<Outcome, SqlError> {
        self.refuse_in_failed_transaction()?;
        if self.transaction.is_none() {
            let base = self.read_point()?;
            let state = TransactionStatus::Open;
            let by_default = match self.settings().is_on("default_transaction_read_only") {
                true => Access::ReadOnly,
                false => Access::ReadWrite,
            };
            let access = access.unwrap_or(by_default);
            self.transaction =
                Some(Transaction { base, private: None, changes: Vec::new(), state, access });
        }
        Ok(Outcome::Done { tag: "BEGIN".into() })
    }

    async fn commit(&mut self) -> Result<Outcome, SqlError> {
        let Some(transaction) = self.transaction.take() else {
            return Ok(Outcome::Done { tag: "COMMIT".into() });
        };
        if transaction.state == TransactionStatus::Failed {
            return Ok(Outcome::Done { tag: "ROLLBACK".into() });
        }
        if let Some(private) = &transaction.private {
            self.submit(&private.branch, transaction.changes).await?;
        }
        Ok(Outcome::Done { tag: "COMMIT".into() })
    }

    fn discard(&mut self) -> Result<Outcome, SqlError> {
        if self.transaction.is_some() {
            return Err(SqlError::new(
                "25001",
                "DISCARD ALL cannot run inside a transaction block",
            ));
        }
        self.settings().reset_all();
        Ok(Outcome::Done { tag: "DISCARD ALL".into() })
    }

    fn show(&mut self, control: &Control, name: &str) -> Result<Outcome, SqlError> {
        let value = self.settings().get(name)?;
        let columns = control.columns().unwrap_or_else(|| Arc::new(Schema::empty()));
        Ok(Outcome::Rows { verb: "SHOW", stream: rows_of_text(columns, vec![value])? })
    }
}
