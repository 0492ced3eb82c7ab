//! Schemas as branches: which one a statement is about, and CREATE and DROP SCHEMA.

use std::sync::Arc;

use datafusion::sql::sqlparser::ast::{ObjectName, ObjectType, SchemaName, Statement};

use super::control::Control;
use super::{LocalSession, Scope};
use crate::branches::{Branch, Branches, ReadPoint};
use crate::error::SqlError;
use crate::sql::session::Outcome;
use crate::sql::settings::path_of;
use crate::sql::tenant_catalog::{Private, SYSTEM_SCHEMA};
use crate::sql::write;
use crate::tenant::{NewBranch, OldBranch};

/// Whether what is there already, or is missing already, is an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Insistence {
    /// It is.
    Strict,
    /// `IF EXISTS`, `IF NOT EXISTS`: it is not.
    IfNeeded,
}

/// The branch of names without a schema: the first one of the search path, `main` where it names
/// none. What the path names has to exist, else a misspelt branch would be `main`.
pub(super) fn current(path: &[String], branches: &Branches) -> Result<Arc<Branch>, SqlError> {
    let is_branch = |name: &&String| {
        let name = name.as_str();
        !name.starts_with("pg_") && !["$user", SYSTEM_SCHEMA, "information_schema"].contains(&name)
    };
    let mut named = path.iter().filter(is_branch);
    let first = named.next().map_or(Ok(branches.main()), |name| branches.get(name))?;
    named.try_for_each(|name| branches.get(name).map(drop))?;
    Ok(Arc::clone(first))
}

/// Whether a scope shows what a statement is to see now.
pub(super) fn is_same(
    scope: &Scope,
    point: &ReadPoint,
    current: &Branch,
    private: Option<&Private>,
) -> bool {
    let is_same_private = match (&scope.private, private) {
        (None, None) => true,
        (Some(a), Some(b)) => Arc::ptr_eq(&a.revision.version, &b.revision.version),
        _ => false,
    };
    is_same_private
        && Arc::ptr_eq(&scope.point.branches, &point.branches)
        && scope.current.number == current.number
}

/// The branch that a statement writes; the current one where it writes none.
pub(super) fn written(scope: &Scope, statement: &Statement) -> Result<Arc<Branch>, SqlError> {
    let Some(name) = write::target_name(statement) else { return Ok(Arc::clone(&scope.current)) };
    let parts = write::parts_of(name);
    let Some(schema) = parts.len().checked_sub(2).map(|idx| parts[idx].as_str()) else {
        return Ok(Arc::clone(&scope.current));
    };
    if [SYSTEM_SCHEMA, "pg_catalog", "information_schema"].contains(&schema) {
        return Err(SqlError::new("42501", format!("{name} cannot be written")));
    }
    scope.point.branches.get(schema).cloned()
}

/// CREATE SCHEMA and DROP SCHEMA.
pub(super) fn control(statement: &Statement) -> Result<Option<Control>, SqlError> {
    let insistence = |if_needed: &bool| match if_needed {
        true => Insistence::IfNeeded,
        false => Insistence::Strict,
    };
    match statement {
        Statement::CreateSchema { schema_name, if_not_exists, with, options, clone, .. } => {
            let SchemaName::Simple(name) = schema_name else {
                return Err(SqlError::new("0A000", "CREATE SCHEMA AUTHORIZATION is not supported")
                    .with_hint("whoever makes a branch owns it"));
            };
            if with.is_some() || options.is_some() {
                return Err(SqlError::new("0A000", "CREATE SCHEMA takes no options")
                    .with_hint("SET perfos.reason gives the branch its reason"));
            }
            Ok(Some(Control::CreateBranch {
                name: schema_text(name),
                from: clone.as_ref().map(schema_text),
                insistence: insistence(if_not_exists),
            }))
        }
        Statement::Drop { object_type: ObjectType::Schema, if_exists, names, .. } => {
            let names = names.iter().map(schema_text).collect();
            Ok(Some(Control::DropBranches { names, insistence: insistence(if_exists) }))
        }
        _ => Ok(None),
    }
}

/// A schema's name; what has too many parts stays as it is, and no branch is called so.
fn schema_text(name: &ObjectName) -> String {
    write::parts_of(name).join(".")
}

impl LocalSession {
    /// The moment that statements read: now, or when the transaction began.
    pub(super) fn read_point(&self) -> Result<ReadPoint, SqlError> {
        match &self.transaction {
            None => self.tenant.read(&self.user),
            Some(transaction) => Ok(transaction.base.clone()),
        }
    }

    /// Refuses a search path with a branch that does not exist.
    pub(super) fn check_setting(&self, name: &str, value: &str) -> Result<(), SqlError> {
        if name.eq_ignore_ascii_case("search_path") {
            current(&path_of(value), &self.read_point()?.branches)?;
        }
        Ok(())
    }

    /// A transaction is one command, and a command is for one branch.
    pub(super) fn refuse_second_branch(&self, branch: &Branch) -> Result<(), SqlError> {
        let transaction = self.transaction.as_ref();
        let first = transaction.and_then(|transaction| transaction.private.as_ref());
        match first {
            Some(first) if first.branch.number != branch.number => {
                let error = SqlError::new("0A000", "a transaction writes one branch");
                Err(error
                    .with_detail(format!(
                        "it wrote \"{}\" already, this statement writes \"{}\"",
                        first.branch.name, branch.name
                    ))
                    .with_hint("COMMIT first"))
            }
            _ => Ok(()),
        }
    }

    /// CREATE SCHEMA: a branch from the head of another, the current one unless it is named.
    pub(super) async fn create_branch(
        &mut self,
        name: &str,
        from: Option<&str>,
        insistence: Insistence,
    ) -> Result<Outcome, SqlError> {
        self.refuse_in_read_only("CREATE SCHEMA")?;
        self.refuse_in_transaction("CREATE SCHEMA")?;
        let done = Outcome::Done { tag: "CREATE SCHEMA".into() };
        let scope = self.enter()?;
        if insistence == Insistence::IfNeeded && scope.point.branches.find(name).is_some() {
            return Ok(done);
        }
        let branch = NewBranch {
            author: self.user.clone(),
            origin: self.origin.clone(),
            reason: self.settings().reason(),
            name: name.to_owned(),
            from: from.unwrap_or(&scope.current.name).to_owned(),
        };
        self.tenant.create_branch(branch).await?;
        Ok(done)
    }

    /// DROP SCHEMA: branches with all that was written on them.
    pub(super) async fn drop_branches(
        &mut self,
        names: &[String],
        insistence: Insistence,
    ) -> Result<Outcome, SqlError> {
        self.refuse_in_read_only("DROP SCHEMA")?;
        self.refuse_in_transaction("DROP SCHEMA")?;
        let branches = self.read_point()?.branches;
        let is_missing = |name: &&String| branches.find(name).is_none();
        if insistence == Insistence::Strict
            && let Some(name) = names.iter().find(is_missing)
        {
            return Err(branches.unknown(name));
        }
        for name in names.iter().filter(|name| !is_missing(name)) {
            let branch = OldBranch {
                author: self.user.clone(),
                origin: self.origin.clone(),
                reason: self.settings().reason(),
                name: name.clone(),
            };
            self.tenant.drop_branch(branch).await?;
        }
        Ok(Outcome::Done { tag: "DROP SCHEMA".into() })
    }

    /// A branch is made and dropped by ledger entries of its own, at once.
    fn refuse_in_transaction(&self, verb: &str) -> Result<(), SqlError> {
        if self.transaction.is_none() {
            return Ok(());
        }
        let message = format!("{verb} cannot run inside a transaction block");
        Err(SqlError::new("25001", message).with_hint("COMMIT first, or connect with autocommit"))
    }
}
