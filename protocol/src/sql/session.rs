//! What every door asks of a SQL session: parse, prepare, execute, interrupt.

use std::any::Any;
use std::sync::Arc;

use async_trait::async_trait;
use datafusion::arrow::datatypes::{DataType, SchemaRef};
use datafusion::common::ScalarValue;
use datafusion::execution::SendableRecordBatchStream;

use crate::error::SqlError;

/// One client's session. Statements run one at a time, in order.
#[async_trait]
pub trait Session: Send + Sync {
    /// Splits a query string into its statements. An empty string has none.
    fn parse(&mut self, sql: &str) -> Result<Vec<Parsed>, SqlError>;

    /// Plans one statement; `parameter_types[i]` is the type the client declared for `$i+1`, if it did.
    async fn prepare(
        &mut self,
        statement: Parsed,
        parameter_types: &[Option<DataType>],
    ) -> Result<Prepared, SqlError>;

    /// Runs a prepared statement with its parameters.
    async fn execute(
        &mut self,
        prepared: &Prepared,
        parameters: Vec<ScalarValue>,
    ) -> Result<Outcome, SqlError>;

    /// For the status byte after each reply.
    fn transaction_status(&self) -> TransactionStatus;

    /// A statement failed outside `execute` (while its rows were streamed, for example): an open
    /// transaction is failed from now on.
    fn statement_failed(&mut self);

    /// Stops what this session is running, from another task; the statement ends with 57014.
    fn interrupt_handle(&self) -> Arc<dyn Fn() + Send + Sync>;
}

/// A statement that was parsed, with its own text.
#[derive(Clone)]
pub struct Parsed {
    /// The statement's text.
    pub text: String,
    /// The session's syntax tree.
    pub tree: Arc<dyn Any + Send + Sync>,
}

/// A statement that was planned: its parameters and what it returns.
#[derive(Clone)]
pub struct Prepared {
    /// The types of `$1`, `$2`, ...
    pub parameters: Vec<DataType>,
    /// The columns of its rows; `None` for a statement that returns none.
    pub columns: Option<SchemaRef>,
    /// The session's plan.
    pub plan: Arc<dyn Any + Send + Sync>,
}

/// What a statement did.
pub enum Outcome {
    /// Rows, and the verb of the command tag (`SELECT`, `SHOW`, `INSERT 0`, `FETCH`): the tag is
    /// the verb and the number of rows sent.
    Rows { verb: &'static str, stream: SendableRecordBatchStream },
    /// No rows: the whole command tag (`UPDATE 3`, `BEGIN`, `SET`).
    Done { tag: String },
}

/// The status byte of `ReadyForQuery`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TransactionStatus {
    /// `I`
    Idle,
    /// `T`
    Open,
    /// `E`
    Failed,
}

/// The key under which a field's metadata names a PostgreSQL type that its Arrow type does not
/// tell: `name`, `oid`, `char`, `regclass`, `int2vector`, `bpchar`, `unknown`, ...
pub const PG_TYPE_METADATA: &str = "pg_type";

/// The key under which a decimal field's metadata says up to how many digits after the point zeros
/// at the end are shown, where the type has more (a total whose weights may need them).
pub const DISPLAY_SCALE_METADATA: &str = "perfos_display_scale";
