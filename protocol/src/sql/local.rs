//! The SQL session over a tenant: statements, settings, transactions.
//!
//! A statement outside a transaction reads the head and its write is sequenced by the tenant; if a
//! row it wrote changed meanwhile, the statement runs again on the new head. A transaction is a
//! private revision of one branch on the moment it began with, sent as one command by COMMIT.
//!
//! A schema is a branch; the first one of the search path is that of names without a schema.

mod branch;
mod control;
mod output;
mod ready;

use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use async_trait::async_trait;
use calc::Revision;
use cube::Change;
use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::{DataType, Schema};
use datafusion::common::{ParamValues, ScalarValue};
use datafusion::execution::runtime_env::RuntimeEnv;
use datafusion::execution::{
    SendableRecordBatchStream, SessionState, SessionStateBuilder, TaskContext,
};
use datafusion::logical_expr::LogicalPlan;
use datafusion::optimizer::Optimizer;
use datafusion::physical_plan::{ExecutionPlan, displayable};
use datafusion::prelude::{SessionConfig, SessionContext};
use datafusion::sql::parser::Statement as EngineStatement;
use datafusion::sql::sqlparser::ast::Statement;
use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
use datafusion::sql::sqlparser::parser::{Parser, ParserError};
use futures::TryStreamExt;

use super::catalog;
use super::complexity;
use super::execution::compute;
use super::explain_cell::{EXPLAIN_CELL, ExplainCell};
use super::growth::Growth;
use super::in_lists::ListsUnderOr;
use super::measure::measure_function;
use super::members::MemberCache;
use super::memory;
use super::misread;
use super::pauses::with_pauses;
use super::rewrite;
use super::rollup_rule::RollupRule;
use super::session::{Outcome, Parsed, Prepared, Session, TransactionStatus};
use super::settings::Settings;
use super::signs;
use super::sqlstate::from_engine;
use super::tenant_catalog::{CurrentScope, Private, Scope, ScopeSession, TenantCatalog};
use super::write::{self, WritePlan};
use crate::branches::{Branch, PUBLIC, ReadPoint};
use crate::error::SqlError;
use crate::pools::{Pool, panic_text};
use crate::tenant::{Command, Snapshot, Tenant};
use control::Control;
use output::{StatementEnd, renamed, rows_of_text};
use ready::{Basis, KnownTexts, Ready};

/// Nesting of a statement's text.
const NESTING_MAX: usize = 50;
/// Parameters of one statement, as the wire counts them.
const PARAMETERS_MAX: usize = 65_535;
/// Statements in one query string.
const STATEMENTS_MAX: usize = 1_000;
/// How often a statement runs again because a row it wrote changed meanwhile.
const ATTEMPTS_MAX: usize = 20;
/// Rows of a statement that are written by the task that found them; more take their time.
const PROMPT_WRITE_ROWS: usize = 1_024;

/// A session of a user with a tenant.
pub struct LocalSession {
    tenant: Arc<dyn Tenant>,
    user: String,
    origin: String,
    state: SessionState,
    /// What plans run with: made once, as it copies all functions there are.
    context: OnceLock<Arc<TaskContext>>,
    scope: CurrentScope,
    members: MemberCache,
    settings: Arc<Mutex<Settings>>,
    interrupt: output::Interruption,
    transaction: Option<Transaction>,
    texts: KnownTexts,
}

/// The moment it began with, and a private revision with the changes that made it.
struct Transaction {
    base: ReadPoint,
    /// None before the first write.
    private: Option<Private>,
    changes: Vec<Change>,
    state: TransactionStatus,
    access: Access,
}

/// What a transaction may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Access {
    ReadWrite,
    ReadOnly,
}

/// The parts of a plan that `Prepared` hides.
enum Plan {
    Empty,
    Control(Control),
    Query {
        statement: Box<Statement>,
        /// The logical plan, and what it was planned on, until there is one that is ready to run.
        planned: Mutex<Option<(Arc<Scope>, LogicalPlan)>>,
        explain: Explain,
        ready: Ready,
    },
    Write {
        plan: WritePlan,
        /// What it was planned on, without rows.
        planned_on: Snapshot,
        statement: Box<Statement>,
    },
}

/// Whether a query is run or shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Explain {
    Run,
    Show,
}

/// How a session names itself and what it may use.
#[derive(Debug, Clone)]
pub struct SessionOptions {
    /// The user, authenticated by the door.
    pub user: String,
    /// Where writes come from, for the ledger: `postgres`, `http`.
    pub origin: String,
    /// The number by which CancelRequest names the session.
    pub backend_pid: i32,
    /// When the server started, in microseconds since 1970-01-01 UTC.
    pub server_started_us: i64,
}

impl LocalSession {
    /// Opens a session.
    pub fn new(tenant: Arc<dyn Tenant>, options: SessionOptions) -> Result<Self, SqlError> {
        let scope = CurrentScope::default();
        let settings: Arc<Mutex<Settings>> = Arc::default();
        let budget = tenant.read(&options.user)?.memory;
        let runtime = memory::runtime(&budget).map_err(|error| from_engine(&error, ""))?;
        let state = engine_state(&tenant, &scope, &settings, &options, runtime);
        let mut session = Self {
            tenant,
            user: options.user,
            origin: options.origin,
            state,
            context: OnceLock::new(),
            scope,
            members: MemberCache::default(),
            settings,
            interrupt: output::Interruption::default(),
            transaction: None,
            texts: KnownTexts::default(),
        };
        session.enter()?;
        Ok(session)
    }

    /// Sets a setting as SET does.
    pub fn set(&mut self, name: &str, value: &str) -> Result<(), SqlError> {
        self.check_setting(name, value)?;
        self.settings().set(name, value)
    }

    fn settings(&self) -> MutexGuard<'_, Settings> {
        lock(&self.settings)
    }

    fn uses_aggregates(&self) -> bool {
        self.settings().is_on("perfos.maintained_aggregates")
    }

    /// Makes the newest state the one that statements see.
    fn enter(&mut self) -> Result<Arc<Scope>, SqlError> {
        let uses_aggregates = self.uses_aggregates();
        let point = self.read_point()?;
        let current = branch::current(&self.settings().search_path(), &point.branches)?;
        let private = self.transaction.as_ref().and_then(|transaction| transaction.private.clone());
        if let Some(scope) = self.scope.get()
            && branch::is_same(&scope, &point, &current, private.as_ref())
            && scope.session.uses_aggregates == uses_aggregates
        {
            return Ok(scope);
        }
        // what the engine calls a table without a schema, also in its messages
        self.state.config_mut().options_mut().catalog.default_schema = current.schema().to_owned();
        let session = ScopeSession {
            user: self.user.clone(),
            settings: self.settings().clone(),
            interrupt: self.interrupt.flag(),
            uses_aggregates,
        };
        let (tenant, members) = (Arc::clone(&self.tenant), self.members.clone());
        let scope = Arc::new(Scope::new(point, current, private, tenant, members, session));
        self.scope.set(Arc::clone(&scope));
        Ok(scope)
    }

    async fn plan_query(&self, statement: &Statement, text: &str) -> Result<LogicalPlan, SqlError> {
        let statement = EngineStatement::Statement(Box::new(statement.clone()));
        self.state.statement_to_plan(statement).await.map_err(|error| from_engine(&error, text))
    }

    async fn prepare_statement(
        &mut self,
        statement: Parsed,
        declared: &[Option<DataType>],
    ) -> Result<Prepared, SqlError> {
        let Some(tree) = statement.tree.downcast_ref::<Statement>() else {
            return Ok(Prepared {
                parameters: Vec::new(),
                columns: None,
                plan: Arc::new(Plan::Empty),
            });
        };
        if let Some(control) = control::control(tree)? {
            let columns = control.columns();
            return Ok(Prepared {
                parameters: Vec::new(),
                columns,
                plan: Arc::new(Plan::Control(control)),
            });
        }
        self.refuse_in_failed_transaction()?;
        let scope = self.enter()?;
        let basis = Basis {
            scope: Arc::clone(&scope),
            settings: self.settings().clone(),
            parameters: Vec::new(),
        };
        if let Some(known) = self.texts.get(&statement.text, declared, &basis) {
            return Ok(known);
        }
        let mut tree = tree.clone();
        let (explain, names) = match tree {
            Statement::Explain { statement, analyze: false, .. } => {
                tree = *statement;
                (Explain::Show, rewrite::column_names(&tree))
            }
            Statement::Explain { .. } => {
                return Err(SqlError::new("0A000", "EXPLAIN ANALYZE is not supported yet"));
            }
            other => {
                tree = other;
                (Explain::Run, rewrite::column_names(&tree))
            }
        };
        let written = branch::written(&scope, &tree)?;
        let snapshot = scope.snapshot_of(&written);
        if let Some(plan) = write::plan(&tree, &snapshot)? {
            if explain == Explain::Show {
                let message = format!("EXPLAIN {} is not supported yet", plan.kind.verb());
                let error = SqlError::new("0A000", message);
                return Err(error.with_hint("EXPLAIN a SELECT with the same condition"));
            }
            let query = self.parse_one(&plan.query)?;
            let logical = self.plan_query(&query, &statement.text).await?;
            let parameters = parameter_types(&logical, &plan.parameter_types, declared)?;
            let (planned_on, statement) = (snapshot.without_rows(), Box::new(tree));
            let plan = Plan::Write { plan, planned_on, statement };
            return Ok(Prepared { parameters, columns: None, plan: Arc::new(plan) });
        }
        if !matches!(tree, Statement::Query(_)) {
            return Err(SqlError::new(
                "0A000",
                format!("{} is not supported", first_words(&statement.text)),
            )
            .with_hint("the model is changed by perfos apply"));
        }
        refuse_locks(&tree)?;
        output::name_apart(&mut tree, names.as_deref());
        rewrite::for_catalog(&mut tree);
        let plan = self.plan_query(&tree, &statement.text).await?;
        let parameters = parameter_types(&plan, &[], declared)?;
        let columns = match explain {
            Explain::Show => output::explain_schema(),
            Explain::Run => renamed(plan.schema().as_arrow(), names.as_deref()),
        };
        let ready = Ready::default();
        let planned = Mutex::new(Some((scope, plan)));
        let plan = Plan::Query { statement: Box::new(tree), planned, explain, ready };
        let prepared = Prepared { parameters, columns: Some(columns), plan: Arc::new(plan) };
        self.texts.keep(statement.text, declared, &prepared);
        Ok(prepared)
    }

    fn parse_one(&self, sql: &str) -> Result<Statement, SqlError> {
        let mut statement =
            parse_sql(sql)?.pop().ok_or_else(|| SqlError::new("42601", "empty statement"))?;
        rewrite::for_catalog(&mut statement);
        Ok(statement)
    }

    fn refuse_in_read_only(&self, verb: &str) -> Result<(), SqlError> {
        let read_only = match &self.transaction {
            Some(transaction) => transaction.access == Access::ReadOnly,
            None => self.settings().is_on("default_transaction_read_only"),
        };
        if read_only {
            let message = format!("cannot execute {verb} in a read-only transaction");
            return Err(SqlError::new("25006", message));
        }
        Ok(())
    }

    fn refuse_in_failed_transaction(&self) -> Result<(), SqlError> {
        if self.transaction_status() == TransactionStatus::Failed {
            return Err(SqlError::new(
                "25P02",
                "current transaction is aborted, commands ignored until end of transaction block",
            ));
        }
        Ok(())
    }

    async fn execute_prepared(
        &mut self,
        prepared: &Prepared,
        parameters: Vec<ScalarValue>,
    ) -> Result<Outcome, SqlError> {
        let Some(plan) = prepared.plan.downcast_ref::<Plan>() else {
            return Err(SqlError::new("XX000", "a statement of another session"));
        };
        match plan {
            Plan::Empty => Ok(Outcome::Done { tag: String::new() }),
            Plan::Control(control) => self.run_control(control).await,
            Plan::Query { statement, planned, explain, ready } => {
                self.refuse_in_failed_transaction()?;
                let end = self.begin_statement();
                let current = self.enter()?;
                let settings = self.settings().clone();
                let basis = Basis { scope: Arc::clone(&current), settings, parameters };
                let columns = prepared.columns.clone().unwrap_or_else(|| Arc::new(Schema::empty()));
                let known = ready.get(&basis).map_err(|error| from_engine(&error, ""))?;
                let stream = match known.filter(|_| *explain == Explain::Run) {
                    Some(plan) => self.run(async { Ok(plan) }).await?,
                    None => {
                        let earlier = lock(planned).take();
                        let plan = match earlier.filter(|(scope, _)| Arc::ptr_eq(scope, &current)) {
                            Some((_, plan)) => plan,
                            None => self.plan_query(statement, "").await?,
                        };
                        if *explain == Explain::Run && !has_types(&plan, &columns) {
                            return Err(other_columns());
                        }
                        if *explain == Explain::Show {
                            return self.explain(plan, basis.parameters).await;
                        }
                        let work = async {
                            let physical = self.physical(&plan, basis.parameters.clone()).await?;
                            // with other parameters it is planned again from there
                            let has_parameters = !basis.parameters.is_empty();
                            if !ready.keep(basis, &plan, &physical)? || has_parameters {
                                *lock(planned) = Some((current, plan));
                            }
                            Ok(physical)
                        };
                        self.run(work).await?
                    }
                };
                Ok(Outcome::Rows { verb: "SELECT", stream: output::guarded(stream, columns, end) })
            }
            Plan::Write { plan, planned_on, statement } => {
                self.refuse_in_failed_transaction()?;
                self.refuse_in_read_only(plan.kind.verb())?;
                let _end = self.begin_statement();
                self.run_write((plan, planned_on), statement, parameters).await
            }
        }
    }

    fn begin_statement(&self) -> StatementEnd {
        self.interrupt.begin(self.settings().statement_timeout_ms())
    }

    async fn stream(
        &self,
        plan: LogicalPlan,
        parameters: Vec<ScalarValue>,
    ) -> Result<SendableRecordBatchStream, SqlError> {
        self.run(self.physical(&plan, parameters)).await
    }

    /// The plan that runs a query with its parameters.
    async fn physical(
        &self,
        plan: &LogicalPlan,
        parameters: Vec<ScalarValue>,
    ) -> datafusion::error::Result<Arc<dyn ExecutionPlan>> {
        let growth = Growth::new(Arc::clone(&self.state.runtime_env().memory_pool));
        let physical = if parameters.is_empty() {
            growth.physical(&self.state, plan).await?
        } else {
            let plan = plan.clone().with_param_values(ParamValues::from(parameters))?;
            growth.physical(&self.state, &plan).await?
        };
        with_pauses(physical)
    }

    /// Makes a plan and begins to run it.
    async fn run(
        &self,
        plan: impl Future<Output = datafusion::error::Result<Arc<dyn ExecutionPlan>>>,
    ) -> Result<SendableRecordBatchStream, SqlError> {
        let context = Arc::clone(self.context.get_or_init(|| self.state.task_ctx()));
        let work = async { output::begun(plan.await?, context) };
        self.interrupt.race(work).await?.map_err(|error| from_engine(&error, ""))
    }

    async fn explain(
        &self,
        plan: LogicalPlan,
        parameters: Vec<ScalarValue>,
    ) -> Result<Outcome, SqlError> {
        let physical =
            self.physical(&plan, parameters).await.map_err(|error| from_engine(&error, ""))?;
        let text = displayable(physical.as_ref()).indent(false).to_string();
        let lines = text.lines().map(str::to_string).collect();
        Ok(Outcome::Rows {
            verb: "EXPLAIN",
            stream: rows_of_text(output::explain_schema(), lines)?,
        })
    }

    async fn run_write(
        &mut self,
        (planned, planned_on): (&WritePlan, &Snapshot),
        statement: &Statement,
        parameters: Vec<ScalarValue>,
    ) -> Result<Outcome, SqlError> {
        for _ in 0..ATTEMPTS_MAX {
            let scope = self.enter()?;
            let branch = branch::written(&scope, statement)?;
            self.refuse_second_branch(&branch)?;
            let snapshot = scope.snapshot_of(&branch);
            // the model may have changed since the statement was prepared
            let again = match snapshot.is_alike(planned_on) {
                true => None,
                false => write::plan(statement, &snapshot)?,
            };
            let plan = again.as_ref().unwrap_or(planned);
            let kind = plan.kind;
            let (changes, rows) = match write::given_changes(plan, &snapshot, &parameters) {
                Some(found) => found?,
                None => self.changes_by_query(plan.clone(), snapshot, parameters.clone()).await?,
            };
            let tag = kind.tag(rows);
            if changes.is_empty() {
                return Ok(Outcome::Done { tag });
            }
            if self.transaction.is_some() {
                self.change_privately(&branch, changes).await?;
                return Ok(Outcome::Done { tag });
            }
            match self.submit(&branch, changes).await {
                Ok(()) => return Ok(Outcome::Done { tag }),
                Err(error) if error.sqlstate == "40001" => {}
                Err(error) => return Err(error),
            }
        }
        Err(SqlError::new("40001", "the rows changed again and again while the statement ran")
            .with_hint("try again"))
    }

    /// The changes that a write's query asks for, and how many rows they touch.
    async fn changes_by_query(
        &self,
        plan: WritePlan,
        snapshot: Snapshot,
        parameters: Vec<ScalarValue>,
    ) -> Result<(Vec<Change>, usize), SqlError> {
        let query = self.parse_one(&plan.query)?;
        let logical = self.plan_query(&query, "").await?;
        let stream = self.stream(logical, parameters).await?;
        let work = stream.try_collect::<Vec<RecordBatch>>();
        let batches = self.interrupt.race(work).await?.map_err(|error| from_engine(&error, ""))?;
        let row_count: usize = batches.iter().map(RecordBatch::num_rows).sum();
        let work = move || write::changes(&plan, &snapshot, &batches);
        match row_count {
            ..PROMPT_WRITE_ROWS => work(),
            _ => self.interrupt.race(behind_others(work)).await?,
        }
    }

    async fn change_privately(
        &mut self,
        branch: &Arc<Branch>,
        changes: Vec<Change>,
    ) -> Result<(), SqlError> {
        let Some(transaction) = &mut self.transaction else { return Ok(()) };
        let before = transaction.private.as_ref().map(|private| private.revision.clone());
        let before: Revision = before.unwrap_or_else(|| branch.revision.clone());
        let tried = changes.clone();
        let (branches, name) = (Arc::clone(&transaction.base.branches), Arc::clone(&branch.name));
        let work = compute(move || {
            let seen = branches.seen_by(&name);
            before.apply_among(&tried, &seen).map_err(super::table::external)
        });
        let (revision, _) = work.await.map_err(|error| from_engine(&error, ""))?;
        transaction.private = Some(Private { branch: Arc::clone(branch), revision });
        transaction.changes.extend(changes);
        Ok(())
    }

    /// Sends changes that were made on a branch as it is in the scope.
    async fn submit(&self, branch: &Branch, changes: Vec<Change>) -> Result<(), SqlError> {
        let command = Command {
            author: self.user.clone(),
            origin: self.origin.clone(),
            reason: self.settings().reason(),
            branch: branch.name.to_string(),
            branch_number: Some(branch.number),
            changes,
            base: Some(Arc::clone(&branch.revision.version)),
        };
        self.tenant.submit(command).await.map(drop)
    }
}

/// Computes something on threads that give way to others.
async fn behind_others<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, SqlError> + Send + 'static,
) -> Result<T, SqlError> {
    Pool::Background.run(work).await.unwrap_or_else(|panic| {
        Err(SqlError::new("XX000", "internal error").with_detail(panic_text(panic)))
    })
}

#[async_trait]
impl Session for LocalSession {
    fn parse(&mut self, sql: &str) -> Result<Vec<Parsed>, SqlError> {
        let parsed = parse_sql(sql).inspect_err(|_| self.fail_transaction())?;
        let alone = parsed.len() == 1;
        let statement = |tree: Statement| Parsed {
            text: if alone { sql.to_string() } else { tree.to_string() },
            tree: Arc::new(tree),
        };
        Ok(parsed.into_iter().map(statement).collect())
    }

    async fn prepare(
        &mut self,
        statement: Parsed,
        parameter_types: &[Option<DataType>],
    ) -> Result<Prepared, SqlError> {
        let result = self.prepare_statement(statement, parameter_types).await;
        result.inspect_err(|_| self.fail_transaction())
    }

    async fn execute(
        &mut self,
        prepared: &Prepared,
        parameters: Vec<ScalarValue>,
    ) -> Result<Outcome, SqlError> {
        let result = self.execute_prepared(prepared, parameters).await;
        result.inspect_err(|_| self.fail_transaction())
    }

    fn transaction_status(&self) -> TransactionStatus {
        self.transaction.as_ref().map_or(TransactionStatus::Idle, |transaction| transaction.state)
    }

    fn statement_failed(&mut self) {
        self.fail_transaction();
    }

    fn interrupt_handle(&self) -> Arc<dyn Fn() + Send + Sync> {
        self.interrupt.handle()
    }
}

impl LocalSession {
    fn fail_transaction(&mut self) {
        if let Some(transaction) = &mut self.transaction {
            transaction.state = TransactionStatus::Failed;
        }
    }
}

/// Whether a plan gives columns of the types that were announced.
fn has_types(plan: &LogicalPlan, announced: &Schema) -> bool {
    let fields = plan.schema().fields();
    fields.len() == announced.fields().len()
        && fields.iter().zip(announced.fields()).all(|(a, b)| a.data_type() == b.data_type())
}

fn other_columns() -> SqlError {
    SqlError::new("0A000", "cached plan must not change result type")
        .with_detail("the model or its members have changed since the statement was prepared")
        .with_hint("prepare it again")
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

pub(super) fn parse_sql(sql: &str) -> Result<Vec<Statement>, SqlError> {
    complexity::check(sql)?;
    let dialect = PostgreSqlDialect {};
    let parser = Parser::new(&dialect).with_recursion_limit(NESTING_MAX);
    let statements = signs::tokens(&dialect, sql)
        .map_err(ParserError::from)
        .and_then(|tokens| parser.with_tokens_with_locations(tokens).parse_statements());
    let statements = statements.map_err(|error| {
        from_engine(&datafusion::error::DataFusionError::SQL(Box::new(error), None), sql)
    })?;
    if statements.len() > STATEMENTS_MAX {
        return Err(SqlError::new(
            "54000",
            format!("more than {STATEMENTS_MAX} statements in one query string"),
        ));
    }
    statements.iter().try_for_each(misread::refuse)?;
    Ok(statements)
}

/// Row locks would promise what a transaction does not do: the first to commit wins.
fn refuse_locks(statement: &Statement) -> Result<(), SqlError> {
    match statement {
        Statement::Query(query) if !query.locks.is_empty() => {
            let error = SqlError::new("0A000", "SELECT ... FOR UPDATE is not supported");
            Err(error.with_hint(
                "a transaction whose rows changed meanwhile is refused at COMMIT with 40001",
            ))
        }
        _ => Ok(()),
    }
}

fn first_words(text: &str) -> String {
    text.split_whitespace().take(2).collect::<Vec<_>>().join(" ").to_uppercase()
}

/// The types of `$1`, `$2`, ...: where they stand, else as declared, else text.
fn parameter_types(
    plan: &LogicalPlan,
    known: &[(usize, DataType)],
    declared: &[Option<DataType>],
) -> Result<Vec<DataType>, SqlError> {
    let inferred = plan.get_parameter_types().map_err(|error| from_engine(&error, ""))?;
    let number =
        |name: &String| name.strip_prefix('$').and_then(|digits| digits.parse::<usize>().ok());
    let count = inferred.keys().filter_map(number).max().unwrap_or(0).max(declared.len());
    if count > PARAMETERS_MAX {
        let message = format!("there is no parameter ${count}");
        return Err(SqlError::new("42P02", message).with_hint("parameters are $1 to $65535"));
    }
    let type_of = |idx: usize| {
        let by_place =
            known.iter().find(|(place, _)| *place == idx).map(|(_, data_type)| data_type.clone());
        let by_plan = || inferred.get(&format!("${}", idx + 1)).cloned().flatten().map(comparable);
        let by_client = || declared.get(idx).cloned().flatten();
        by_place.or_else(by_plan).or_else(by_client).unwrap_or(DataType::Utf8)
    };
    Ok((0..count).map(type_of).collect())
}

/// A number that is compared may have more digits than what it is compared with.
fn comparable(data_type: DataType) -> DataType {
    const MORE_DIGITS: i8 = 10;
    match data_type {
        DataType::Decimal128(_, scale) => {
            DataType::Decimal128(38, scale.saturating_add(MORE_DIGITS).min(28))
        }
        other => other,
    }
}

fn engine_state(
    tenant: &Arc<dyn Tenant>,
    scope: &CurrentScope,
    settings: &Arc<Mutex<Settings>>,
    options: &SessionOptions,
    runtime: Arc<RuntimeEnv>,
) -> SessionState {
    let mut config = SessionConfig::new()
        .with_default_catalog_and_schema(tenant.name(), PUBLIC)
        .with_create_default_catalog_and_schema(false)
        .with_information_schema(false)
        .with_target_partitions(rayon::current_num_threads());
    // kept for merging what was put on disk, which nothing is
    config.options_mut().execution.sort_spill_reservation_bytes = 0;
    let parser = &mut config.options_mut().sql_parser;
    parser.dialect = datafusion::common::config::Dialect::PostgreSQL;
    // 1.10 is exact, as in PostgreSQL
    parser.parse_float_as_decimal = true;
    let setting = {
        let settings = Arc::clone(settings);
        Arc::new(move || lock(&settings).aggregates())
    };
    // its sum of sums has another type than the sum that HAVING was checked against
    let mut rules = Optimizer::new().rules;
    rules.retain(|rule| rule.name() != "single_distinct_aggregation_to_group_by");
    rules.push(Arc::new(RollupRule::new(setting)));
    let growth = Growth::new(Arc::clone(&runtime.memory_pool));
    let state = SessionStateBuilder::new()
        .with_config(config)
        .with_runtime_env(runtime)
        .with_default_features()
        .with_scalar_functions(growth.functions())
        .with_higher_order_functions(Vec::new())
        .with_optimizer_rules(rules)
        .with_analyzer_rule(catalog::subquery_rule())
        .with_analyzer_rule(Arc::new(ListsUnderOr))
        .with_analyzer_rule(Arc::new(growth))
        .build();
    let context = SessionContext::new_with_state(state);
    context.register_catalog(tenant.name(), Arc::new(TenantCatalog::new(scope.clone())));
    context.register_udaf(measure_function());
    context.register_udtf(EXPLAIN_CELL, Arc::new(ExplainCell::new(scope.clone())));
    let values = output::Values {
        scope: scope.clone(),
        settings: Arc::clone(settings),
        options: options.clone(),
    };
    for function in catalog::functions(Arc::new(values)) {
        context.register_udf(function);
    }
    context.state()
}
