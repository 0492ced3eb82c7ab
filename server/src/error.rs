//! What can go wrong in the server and on the command line, each with a stable code, a SQLSTATE and,
//! where one helps, a hint.

use std::path::PathBuf;

use protocol::error::SqlError;
use storage::{EntryError, StorageError};

/// Result of this crate.
pub type Result<T, E = ServerError> = std::result::Result<T, E>;

/// An error of the server or of an offline command.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServerError {
    /// The ledger or another file of a tenant.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// A ledger entry that does not replay to the state it was recorded with.
    #[error("ledger entry {sequence} does not replay: {reason}")]
    Replay {
        /// The entry.
        sequence: u64,
        /// What was found.
        reason: Box<ReplayFailure>,
    },
    /// A folder or file outside of a tenant.
    #[error("cannot {operation} {}: {source}", path.display())]
    Io {
        /// What was tried, as a verb.
        operation: &'static str,
        /// What it was tried on.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// The data folder is used by another process.
    #[error("the data folder {} is in use by a running server or another command", folder.display())]
    FolderInUse {
        /// The folder.
        folder: PathBuf,
    },
    /// A folder without tenants was named as the data folder.
    #[error("{} is not a data folder", folder.display())]
    NoDataFolder {
        /// The folder.
        folder: PathBuf,
    },
    /// No such tenant.
    #[error("tenant {name:?} does not exist")]
    UnknownTenant {
        /// The name that was asked for.
        name: String,
    },
    /// A tenant of that name is there.
    #[error("tenant {name:?} exists already")]
    TenantExists {
        /// The name.
        name: String,
    },
    /// A user of that name is there.
    #[error("user {name:?} exists already")]
    UserExists {
        /// The name.
        name: String,
    },
    /// A name that cannot be given.
    #[error("{name:?} cannot be the name of a {kind}: {rule}")]
    InvalidName {
        /// `tenant` or `user`.
        kind: &'static str,
        /// The name.
        name: String,
        /// What a name looks like.
        rule: &'static str,
    },
    /// A password that cannot be accepted.
    #[error("the password {0}")]
    InvalidPassword(&'static str),
    /// More of something than there may be.
    #[error("{what}: at most {limit}")]
    Limit {
        /// What is counted.
        what: &'static str,
        /// How many there may be.
        limit: usize,
    },
    /// A file of ours that cannot be read.
    #[error("{name} cannot be read: {reason}")]
    Malformed {
        /// The file.
        name: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A setting that cannot be used.
    #[error("{0}")]
    Config(String),
    /// What a session or tenant answered.
    #[error(transparent)]
    Sql(Box<SqlError>),
    /// A model folder.
    #[error(transparent)]
    Model(#[from] crate::model_files::ModelFileError),
    /// A file to be loaded.
    #[error(transparent)]
    Load(#[from] crate::load::LoadError),
    /// A result that cannot be shown.
    #[error("the result cannot be shown: {0}")]
    Render(#[from] arrow::error::ArrowError),
    /// What a running server answered.
    #[error("{0}")]
    Remote(Box<crate::http::problem::Problem>),
    /// A running server that did not answer as expected.
    #[error("{server}: {reason}")]
    Unreachable {
        /// Its URL.
        server: String,
        /// What happened.
        reason: String,
    },
}

/// Why a ledger entry does not replay.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReplayFailure {
    /// The payload is not an entry.
    #[error(transparent)]
    Entry(#[from] EntryError),
    /// An entry of a kind this release does not know.
    #[error("entries of kind {0} are unknown to this release")]
    Kind(u16),
    /// An entry with rules this release does not know.
    #[error("its rules have version {0}, which is unknown to this release")]
    Semantics(u16),
    /// An entry of an unknown branch.
    #[error("branch {0} is unknown")]
    Branch(u32),
    /// A branch whose number is not the next one.
    #[error("it makes branch {found} where branch {next} is the next")]
    BranchNumber {
        /// Its number.
        found: u32,
        /// The next one.
        next: u32,
    },
    /// A branch that was made from another head than its base has.
    #[error("the base's last entry is {found}, it was {recorded} when the branch was made")]
    BranchBase {
        /// The last entry of the base.
        found: u64,
        /// That in the record.
        recorded: u64,
    },
    /// The changes cannot be applied.
    #[error("{0}")]
    Changes(#[from] calc::CalcError),
    /// The changes give another state than they did.
    #[error("the state is {found}, it was {recorded} when the entry was recorded")]
    State {
        /// The hash of the state now.
        found: storage::Hash,
        /// The hash in the entry.
        recorded: storage::Hash,
    },
}

impl From<SqlError> for ServerError {
    fn from(error: SqlError) -> Self {
        Self::Sql(Box::new(error))
    }
}

impl ServerError {
    /// Wraps what the operating system said about a path.
    pub fn io(
        operation: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { operation, path, source }
    }

    /// The stable code of this error, for programs.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Storage(error) => error.code(),
            Self::Replay { .. } => "ledger_replay",
            Self::Io { .. } => "io",
            Self::FolderInUse { .. } => "folder_in_use",
            Self::NoDataFolder { .. } => "no_data_folder",
            Self::UnknownTenant { .. } => "unknown_tenant",
            Self::TenantExists { .. } => "tenant_exists",
            Self::UserExists { .. } => "user_exists",
            Self::InvalidName { .. } => "invalid_name",
            Self::InvalidPassword(_) => "invalid_password",
            Self::Limit { .. } => "limit",
            Self::Malformed { .. } => "malformed_file",
            Self::Config(_) => "config",
            Self::Sql(_) => "sql",
            Self::Model(_) => "model",
            Self::Load(_) => "load",
            Self::Render(_) => "render",
            Self::Remote(_) => "remote",
            Self::Unreachable { .. } => "unreachable",
        }
    }

    /// The SQLSTATE under which a client sees this error.
    pub fn sqlstate(&self) -> &'static str {
        match self {
            Self::Storage(error) => error.sqlstate(),
            Self::Replay { .. } => "XX001",
            Self::Io { .. } | Self::Malformed { .. } => "58030",
            Self::FolderInUse { .. } => "55006",
            Self::NoDataFolder { .. } => "58P01",
            Self::UnknownTenant { .. } => "3D000",
            Self::TenantExists { .. } => "42P04",
            Self::UserExists { .. } => "42710",
            Self::InvalidName { .. } => "42602",
            Self::InvalidPassword(_) => "28P01",
            Self::Limit { .. } => "54000",
            Self::Config(_) => "F0000",
            Self::Sql(error) => error.sqlstate,
            Self::Model(_) => "42P16",
            Self::Load(_) => "22000",
            Self::Render(_) => "XX000",
            Self::Remote(_) | Self::Unreachable { .. } => "08000",
        }
    }

    /// Where and what, beyond the message.
    pub fn detail(&self) -> Option<String> {
        match self {
            Self::Sql(error) => error.detail.clone(),
            Self::Remote(problem) => problem.more(),
            _ => None,
        }
    }

    /// What to do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Storage(error) => error.hint(),
            Self::Replay { sequence, .. } => Some(format!(
                "Nothing was changed. The entries before {sequence} are sound; restore the tenant's \
                 folder from a backup, or open it with the release that wrote it."
            )),
            Self::FolderInUse { .. } => Some(
                "Stop it first. apply, load, test, explain and query can be sent to the running \
                 server: --server URL in place of --data, with PERFOS_USER and PERFOS_PASSWORD."
                    .to_owned(),
            ),
            Self::NoDataFolder { .. } => {
                Some("`perfos tenant create NAME --data DIR` makes one.".to_owned())
            }
            Self::UnknownTenant { .. } => {
                Some("`perfos tenant list` shows the tenants there are.".to_owned())
            }
            Self::Sql(error) => error.hint.clone(),
            Self::Remote(problem) => problem.hint.clone(),
            Self::Unreachable { .. } => {
                Some("Check the URL, and that the server answers at /healthz.".to_owned())
            }
            _ => None,
        }
    }

    /// The error as clients of the SQL and HTTP doors see it.
    pub fn to_sql(&self) -> SqlError {
        let error = SqlError::new(self.sqlstate(), self.to_string());
        let error = self.detail().into_iter().fold(error, SqlError::with_detail);
        self.hint().into_iter().fold(error, SqlError::with_hint)
    }
}

/// An error of the formulas or the cube, as clients see it.
pub fn sql_of_calc(error: &calc::CalcError) -> SqlError {
    SqlError::from(error)
}

/// An error of the storage, as clients see it.
pub fn sql_of_storage(error: &StorageError) -> SqlError {
    let sql = SqlError::new(error.sqlstate(), error.to_string());
    error.hint().into_iter().fold(sql, SqlError::with_hint)
}
