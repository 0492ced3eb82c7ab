//! A server to test against: tenants `acme`, with user `ann` and password `s3cret`, and `gone`,
//! whose sessions do not open; sessions run SQL on a DataFusion context of their own.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use datafusion::arrow::array::{
    ArrayRef, BinaryArray, BooleanArray, Date32Array, Decimal128Array, DictionaryArray,
    Float64Array, Int32Array, ListArray, RecordBatch, StringArray, TimestampMicrosecondArray,
    UInt32Array,
};
use datafusion::arrow::datatypes::{DataType, Field, Int32Type, Schema};
use datafusion::common::{ParamValues, ScalarValue};
use datafusion::error::DataFusionError;
use datafusion::logical_expr::LogicalPlan;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::prelude::SessionContext;
use datafusion::sql::parser::{DFParser, Statement};
use futures::StreamExt;
use protocol::error::SqlError;
use protocol::pgwire::limits::Limits;
use protocol::pgwire::{Directory, StartupOptions, Verifier, serve_within};
use protocol::sql::session::{
    Outcome, PG_TYPE_METADATA, Parsed, Prepared, Session, TransactionStatus,
};
use tokio::net::TcpListener;
use tokio::sync::{Notify, watch};

pub const PASSWORD: &str = "s3cret";

/// A running server; it stops when dropped.
pub struct House {
    pub address: SocketAddr,
    pub stop: watch::Sender<bool>,
    pub opened: Arc<Mutex<Vec<StartupOptions>>>,
    pub served: tokio::task::JoinHandle<std::io::Result<()>>,
}

pub async fn open() -> House {
    open_within(Limits::default()).await
}

pub async fn open_within(limits: Limits) -> House {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, shutdown) = watch::channel(false);
    let directory = Arc::new(TestDirectory::default());
    let opened = Arc::clone(&directory.opened);
    let served = tokio::spawn(serve_within(listener, directory, limits, shutdown));
    House { address, stop, opened, served }
}

#[derive(Default)]
struct TestDirectory {
    opened: Arc<Mutex<Vec<StartupOptions>>>,
}

#[async_trait]
impl Directory for TestDirectory {
    async fn verifier(&self, database: &str, user: &str) -> Option<Verifier> {
        let known = matches!(database, "acme" | "gone") && user == "ann";
        known.then(|| Verifier::from_password(PASSWORD, b"0123456789abcdef", Verifier::ITERATIONS))
    }

    async fn open(
        &self,
        database: &str,
        _user: &str,
        options: &StartupOptions,
    ) -> Result<Box<dyn Session>, SqlError> {
        if database == "gone" {
            return Err(SqlError::new("3D000", format!("database \"{database}\" does not exist")));
        }
        self.opened.lock().unwrap().push(options.clone());
        let context = SessionContext::new();
        context.register_batch("types", types()).unwrap();
        context.register_batch("sales", sales()).unwrap();
        Ok(Box::new(TestSession {
            context,
            status: TransactionStatus::Idle,
            interrupted: Arc::default(),
        }))
    }
}

/// A table of three rows with a numeric measure.
fn sales() -> RecordBatch {
    let names: ArrayRef = Arc::new(StringArray::from(vec!["north", "south", "west"]));
    let amounts = Decimal128Array::from(vec![Some(1050), Some(-325), None]);
    let amounts: ArrayRef = Arc::new(amounts.with_precision_and_scale(10, 2).unwrap());
    let days: ArrayRef = Arc::new(Date32Array::from(vec![0, 10_957, 20_000]));
    let counts: ArrayRef = Arc::new(Int32Array::from(vec![1, 2, 3]));
    RecordBatch::try_from_iter([
        ("region", names),
        ("amount", amounts),
        ("day", days),
        ("count", counts),
    ])
    .unwrap()
}

/// One row of values and one of NULLs, in columns of many types.
fn types() -> RecordBatch {
    let named = |array: ArrayRef, name: &str, pg_type: &str| {
        let field = Field::new(name, array.data_type().clone(), true);
        let metadata = HashMap::from([(PG_TYPE_METADATA.to_owned(), pg_type.to_owned())]);
        (field.with_metadata(metadata), array)
    };
    let simple =
        |array: ArrayRef, name: &str| (Field::new(name, array.data_type().clone(), true), array);
    let numbers = vec![Some(vec![Some(1), None, Some(3)]), None];
    let words: DictionaryArray<Int32Type> = [Some("word"), None].into_iter().collect();
    let stamp = 1_709_254_923_123_456;
    let columns = [
        simple(Arc::new(BooleanArray::from(vec![Some(true), None])), "yes"),
        simple(Arc::new(Float64Array::from(vec![Some(0.1), None])), "tenth"),
        simple(
            Arc::new(
                Decimal128Array::from(vec![Some(-12_345_678), None])
                    .with_precision_and_scale(12, 3)
                    .unwrap(),
            ),
            "exact",
        ),
        simple(Arc::new(words), "word"),
        simple(
            Arc::new(
                TimestampMicrosecondArray::from(vec![Some(stamp), None]).with_timezone("+00:00"),
            ),
            "stamp",
        ),
        simple(Arc::new(BinaryArray::from(vec![Some(b"\x00\xff".as_slice()), None])), "raw"),
        simple(Arc::new(ListArray::from_iter_primitive::<Int32Type, _, _>(numbers)), "list"),
        named(Arc::new(UInt32Array::from(vec![Some(4_000_000_000), None])), "object", "oid"),
        named(Arc::new(StringArray::from(vec![Some("pg_class"), None])), "called", "name"),
        named(Arc::new(StringArray::from(vec![Some("r"), None])), "kind", "char"),
    ];
    let (fields, arrays): (Vec<_>, Vec<_>) = columns.into_iter().unzip();
    RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays).unwrap()
}

struct TestSession {
    context: SessionContext,
    status: TransactionStatus,
    interrupted: Arc<Notify>,
}

/// What the test session prepares.
enum Plan {
    Query(Box<LogicalPlan>),
    /// `BEGIN`, `COMMIT`, `ROLLBACK` and other statements known by their text.
    Text(String),
}

fn failed(error: &DataFusionError) -> SqlError {
    let text = error.strip_backtrace();
    let sqlstate = if text.contains("not found") { "42P01" } else { "42601" };
    SqlError::new(sqlstate, text).with_hint("look again").at(8)
}

fn canceled() -> SqlError {
    SqlError::new("57014", "canceling statement due to user request")
}

#[async_trait]
impl Session for TestSession {
    fn parse(&mut self, sql: &str) -> Result<Vec<Parsed>, SqlError> {
        // Statements only this session knows, taken by their text.
        let own = ["wait", "panic", "midway", "COPY", "DEALLOCATE", "DISCARD", "UPDATE"];
        if own.iter().any(|word| sql.starts_with(word)) {
            return Ok(vec![Parsed { text: sql.to_owned(), tree: Arc::new(()) }]);
        }
        let statements = DFParser::parse_sql(sql).map_err(|error| failed(&error))?;
        Ok(statements
            .into_iter()
            .map(|statement| Parsed { text: statement.to_string(), tree: Arc::new(statement) })
            .collect())
    }

    async fn prepare(
        &mut self,
        statement: Parsed,
        parameter_types: &[Option<DataType>],
    ) -> Result<Prepared, SqlError> {
        let ending = matches!(statement.text.as_str(), "ROLLBACK" | "COMMIT");
        if self.status == TransactionStatus::Failed && !ending {
            return Err(SqlError::new("25P02", "current transaction is aborted"));
        }
        let by_text = |columns| Prepared {
            parameters: Vec::new(),
            columns,
            plan: Arc::new(Plan::Text(statement.text.clone())),
        };
        let upper = statement.text.to_uppercase();
        let Some(tree) = statement.tree.downcast_ref::<Statement>() else {
            let number = Schema::new(vec![Field::new("n", DataType::Int32, true)]);
            let rows = ["wait rows", "panic rows", "midway"];
            let returns = rows.iter().any(|word| statement.text.starts_with(word));
            return Ok(by_text(returns.then(|| Arc::new(number))));
        };
        if ["BEGIN", "START", "COMMIT", "ROLLBACK"].iter().any(|word| upper.starts_with(word)) {
            return Ok(by_text(None));
        }
        let plan = self
            .context
            .state()
            .statement_to_plan(tree.clone())
            .await
            .map_err(|error| failed(&error))?;
        let inferred = plan.get_parameter_types().map_err(|error| failed(&error))?;
        let count = inferred.len();
        let parameters = (0..count)
            .map(|position| {
                let declared = parameter_types.get(position).cloned().flatten();
                let name = format!("${}", position + 1);
                let found = inferred.get(&name).cloned().flatten();
                found.or(declared).unwrap_or(DataType::Null)
            })
            .collect();
        let returns =
            !matches!(plan, LogicalPlan::Dml(_) | LogicalPlan::Ddl(_) | LogicalPlan::Statement(_));
        let columns = returns.then(|| Arc::clone(plan.schema().inner()));
        Ok(Prepared { parameters, columns, plan: Arc::new(Plan::Query(Box::new(plan))) })
    }

    async fn execute(
        &mut self,
        prepared: &Prepared,
        parameters: Vec<ScalarValue>,
    ) -> Result<Outcome, SqlError> {
        let outcome = self.run(prepared, parameters).await;
        if outcome.is_err() {
            self.statement_failed();
        }
        outcome
    }

    fn transaction_status(&self) -> TransactionStatus {
        self.status
    }

    fn statement_failed(&mut self) {
        if self.status == TransactionStatus::Open {
            self.status = TransactionStatus::Failed;
        }
    }

    fn interrupt_handle(&self) -> Arc<dyn Fn() + Send + Sync> {
        let interrupted = Arc::clone(&self.interrupted);
        Arc::new(move || interrupted.notify_one())
    }
}

impl TestSession {
    async fn run(
        &mut self,
        prepared: &Prepared,
        parameters: Vec<ScalarValue>,
    ) -> Result<Outcome, SqlError> {
        match prepared.plan.downcast_ref::<Plan>().unwrap() {
            Plan::Text(text) => self.run_text(text).await,
            Plan::Query(plan) => {
                let plan = plan
                    .as_ref()
                    .clone()
                    .with_param_values(ParamValues::from(parameters))
                    .map_err(|error| failed(&error))?;
                let inserts = matches!(plan, LogicalPlan::Dml(_));
                let frame = self.context.execute_logical_plan(plan).await;
                let frame = frame.map_err(|error| failed(&error))?;
                if inserts {
                    let counts = frame.collect().await.map_err(|error| failed(&error))?;
                    let count = ScalarValue::try_from_array(counts[0].column(0), 0).unwrap();
                    return Ok(Outcome::Done { tag: format!("INSERT 0 {count}") });
                }
                let stream = frame.execute_stream().await.map_err(|error| failed(&error))?;
                Ok(Outcome::Rows { verb: "SELECT", stream })
            }
        }
    }

    async fn run_text(&mut self, text: &str) -> Result<Outcome, SqlError> {
        let word = text.split([' ', ';']).next().unwrap().to_uppercase();
        let schema = Arc::new(Schema::new(vec![Field::new("n", DataType::Int32, true)]));
        let numbers = || {
            let array: ArrayRef = Arc::new(Int32Array::from_iter_values(0..10));
            RecordBatch::try_from_iter([("n", array)]).map_err(DataFusionError::from)
        };
        match (word.as_str(), text) {
            ("BEGIN" | "START", _) => {
                self.status = TransactionStatus::Open;
                Ok(Outcome::Done { tag: "BEGIN".to_owned() })
            }
            ("COMMIT" | "ROLLBACK", _) => {
                let failed = self.status == TransactionStatus::Failed;
                self.status = TransactionStatus::Idle;
                let tag = if failed { "ROLLBACK".to_owned() } else { word };
                Ok(Outcome::Done { tag })
            }
            ("UPDATE", _) => Ok(Outcome::Done { tag: "UPDATE 3".to_owned() }),
            ("DISCARD" | "DEALLOCATE", _) => Ok(Outcome::Done { tag: text.to_owned() }),
            ("PANIC", "panic now") => panic!("as asked"),
            ("WAIT", "wait now") => {
                self.interrupted.notified().await;
                Err(canceled())
            }
            ("WAIT", _) => {
                let interrupted = Arc::clone(&self.interrupted);
                let first = futures::stream::iter([numbers()]);
                let then = futures::stream::once(async move {
                    interrupted.notified().await;
                    Err(DataFusionError::External(Box::new(canceled())))
                });
                let stream = RecordBatchStreamAdapter::new(schema, first.chain(then));
                Ok(Outcome::Rows { verb: "SELECT", stream: Box::pin(stream) })
            }
            ("PANIC", _) => {
                let stream = futures::stream::iter(0..2).map(move |turn| {
                    assert!(turn == 0, "as asked");
                    numbers()
                });
                let stream = RecordBatchStreamAdapter::new(schema, stream);
                Ok(Outcome::Rows { verb: "SELECT", stream: Box::pin(stream) })
            }
            ("MIDWAY", _) => {
                let error = SqlError::new("22012", "division by zero").with_detail("in row 10");
                let failed = Err(DataFusionError::External(Box::new(error)));
                let stream = futures::stream::iter([numbers(), failed]);
                let stream = RecordBatchStreamAdapter::new(schema, stream);
                Ok(Outcome::Rows { verb: "SELECT", stream: Box::pin(stream) })
            }
            _ => Err(SqlError::new("0A000", format!("{word} is not known here"))),
        }
    }
}
