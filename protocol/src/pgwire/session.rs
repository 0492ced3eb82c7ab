//! The conversation after startup: simple queries, and statements and portals of the extended
//! protocol, in front of one [`Session`].
//!
//! Rows go out batch by batch as they are computed. After every error the session knows that the
//! statement failed, and the status byte of ReadyForQuery is the session's own.

use std::collections::HashMap;
use std::future::Future;
use std::io;
use std::sync::Arc;

use bytes::Bytes;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::scalar::ScalarValue;
use futures::StreamExt;
use postgres_types::Type;
use tokio::sync::watch;

use super::channel::Channel;
use super::encode::BatchEncoder;
use super::limits::Limits;
use super::message::{Message, PROTOCOL_VIOLATION, Target, is_extended};
use super::output::{Format, Severity};
use super::types::{PgColumn, columns_of, declared_type, parameter_type, planned_type};
use super::{End, decode, stopped};
use crate::error::SqlError;
use crate::sql::session::{Outcome, Parsed, Prepared, Session, TransactionStatus};
use crate::sql::sqlstate::from_engine;

/// A client and its session, taking turns.
pub(super) struct Conversation<'a> {
    channel: &'a mut Channel,
    session: Box<dyn Session>,
    interrupt: Arc<dyn Fn() + Send + Sync>,
    limits: &'a Limits,
    shutdown: watch::Receiver<bool>,
    statements: HashMap<String, Arc<Statement>>,
    portals: HashMap<String, Portal>,
    /// After an error of the extended protocol: everything up to the next Sync is passed over.
    skipping: Skipping,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Skipping {
    No,
    ToSync,
}

/// A prepared statement.
struct Statement {
    plan: Plan,
    /// The types the client declared, where it did.
    declared: Vec<Option<Type>>,
    /// What it returns, if it returns rows.
    columns: Option<Arc<[PgColumn]>>,
}

enum Plan {
    /// No statement at all.
    Empty,
    /// `DEALLOCATE` of a statement prepared here.
    Deallocate(String),
    /// What the session prepared.
    Session(Prepared),
}

/// A statement with its parameters, run or not.
struct Portal {
    statement: Arc<Statement>,
    parameters: Vec<ScalarValue>,
    formats: Formats,
    state: PortalState,
}

enum PortalState {
    /// Not yet run.
    Bound,
    /// Rows are left, or were all sent.
    Rows(Rows),
    /// Run, and it returned no rows.
    Done,
}

/// The formats of a portal's columns, as Bind gives them: none, one for all, or one each.
#[derive(Clone)]
struct Formats(Vec<Format>);

impl Formats {
    fn text() -> Self {
        Self(Vec::new())
    }

    fn read(codes: &[i16]) -> Result<Self, SqlError> {
        let read = |code: &i16| match code {
            0 => Ok(Format::Text),
            1 => Ok(Format::Binary),
            other => Err(SqlError::new("22023", format!("unsupported format code: {other}"))),
        };
        codes.iter().map(read).collect::<Result<_, _>>().map(Self)
    }

    fn of(&self, position: usize) -> Format {
        match self.0.as_slice() {
            [one] => *one,
            each => each.get(position).copied().unwrap_or(Format::Text),
        }
    }
}

/// Rows on their way to the client.
struct Rows {
    verb: &'static str,
    columns: Arc<[PgColumn]>,
    formats: Formats,
    source: Source,
}

enum Source {
    /// More may come: the stream, and a batch with its next row.
    Open { stream: SendableRecordBatchStream, batch: Option<(BatchEncoder, usize)> },
    /// All were sent.
    Ended,
}

/// How sending rows stopped.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Sent {
    /// All rows were sent, so many this time.
    All(u64),
    /// The client asked for no more rows for now.
    Suspended,
}

/// Why a message could not be answered.
enum Failure {
    /// The statement failed, and the session does not know yet.
    Statement(SqlError),
    /// The statement failed in the session.
    Session(SqlError),
    /// The connection is lost.
    Io(io::Error),
}

impl From<SqlError> for Failure {
    fn from(error: SqlError) -> Self {
        Self::Statement(error)
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl<'a> Conversation<'a> {
    pub(super) fn new(
        channel: &'a mut Channel,
        session: Box<dyn Session>,
        limits: &'a Limits,
        shutdown: watch::Receiver<bool>,
    ) -> Self {
        Self {
            channel,
            interrupt: session.interrupt_handle(),
            session,
            limits,
            shutdown,
            statements: HashMap::new(),
            portals: HashMap::new(),
            skipping: Skipping::No,
        }
    }

    /// Answers messages until the client leaves or the server stops.
    pub(super) async fn run(&mut self) -> Result<(), End> {
        loop {
            let next = tokio::select! {
                biased;
                () = stopped(&mut self.shutdown) => {
                    return Err(SqlError::new(
                        "57P01",
                        "terminating connection due to administrator command",
                    ).into());
                }
                next = self.channel.read_message(self.limits.message_bytes_max) => next?,
            };
            let Some((kind, body)) = next else {
                return Ok(());
            };
            if self.skipping == Skipping::ToSync && !matches!(kind, b'S' | b'X') {
                continue;
            }
            if !Message::is_known(kind) {
                return Err(SqlError::new(
                    PROTOCOL_VIOLATION,
                    format!("invalid frontend message type {kind}"),
                )
                .into());
            }
            let answered = match Message::read(kind, body) {
                Ok(Message::Terminate) => return Ok(()),
                Ok(message) => self.answer(message).await,
                Err(error) => Err(Failure::Statement(error)),
            };
            match answered {
                Ok(()) => self.channel.flush_if_full().await?,
                Err(Failure::Io(error)) => return Err(error.into()),
                Err(Failure::Session(error)) => self.fail(kind, &error).await?,
                Err(Failure::Statement(error)) => {
                    self.session.statement_failed();
                    self.fail(kind, &error).await?;
                }
            }
        }
    }

    /// Tells the client of a failed statement and gets ready for what comes after.
    async fn fail(&mut self, kind: u8, error: &SqlError) -> io::Result<()> {
        self.channel.output.error(Severity::Error, error);
        if is_extended(kind) {
            self.skipping = Skipping::ToSync;
        } else {
            self.ready();
        }
        self.channel.flush().await
    }

    /// The end of a series: portals live no longer than their transaction.
    fn ready(&mut self) {
        let status = self.session.transaction_status();
        if status != TransactionStatus::Open {
            self.portals.clear();
        }
        self.skipping = Skipping::No;
        self.channel.output.ready_for_query(status);
    }

    async fn answer(&mut self, message: Message) -> Result<(), Failure> {
        match message {
            Message::Query { sql } => {
                self.simple_query(&sql).await?;
                self.ready();
                self.channel.flush().await?;
            }
            Message::Parse { name, sql, parameter_oids } => {
                self.parse(name, &sql, &parameter_oids).await?;
            }
            Message::Bind { portal, statement, parameter_formats, parameters, result_formats } => {
                let formats = (parameter_formats.as_slice(), result_formats.as_slice());
                self.bind(portal, &statement, &parameters, formats)?;
            }
            Message::Describe { target, name } => self.describe(target, &name)?,
            Message::Execute { portal, rows_max } => self.execute(&portal, rows_max).await?,
            Message::Close { target, name } => {
                match target {
                    Target::Statement => drop(self.statements.remove(&name)),
                    Target::Portal => drop(self.portals.remove(&name)),
                }
                self.channel.output.close_complete();
            }
            Message::Flush => self.channel.flush().await?,
            Message::Sync => {
                self.ready();
                self.channel.flush().await?;
            }
            Message::FunctionCall => {
                return Err(SqlError::new("0A000", "function calls are not supported")
                    .with_hint("use SELECT function(...)")
                    .into());
            }
            // As in PostgreSQL: what is left of a copy that was refused.
            Message::Copy | Message::Terminate => {}
        }
        Ok(())
    }

    /// A string of statements: each answered in order, the first error ends it.
    async fn simple_query(&mut self, sql: &str) -> Result<(), Failure> {
        self.statements.remove("");
        self.portals.remove("");
        let parsed = self.session.parse(sql)?;
        if parsed.is_empty() {
            self.channel.output.empty_query_response();
        }
        for statement in parsed {
            let statement = self.plan(statement, Vec::new()).await?;
            if statement.parameter_count() > 0 {
                return Err(SqlError::new("42P02", "there is no parameter $1")
                    .with_hint("parameters need the extended protocol: prepare and bind")
                    .into());
            }
            match self.start(&statement, Vec::new(), Formats::text()).await? {
                Started::Done(tag) => self.channel.output.command_complete(&tag),
                Started::Rows(mut rows) => {
                    let formats = Formats::text();
                    self.channel.output.row_description(&rows.columns, |i| formats.of(i));
                    self.send(&mut rows, u64::MAX).await?;
                }
            }
            self.channel.flush_if_full().await?;
        }
        Ok(())
    }

    async fn parse(&mut self, name: String, sql: &str, oids: &[u32]) -> Result<(), Failure> {
        if name.is_empty() {
            self.statements.remove("");
        } else if self.statements.contains_key(&name) {
            return Err(SqlError::new(
                "42P05",
                format!("prepared statement \"{name}\" already exists"),
            )
            .into());
        } else if self.statements.len() >= self.limits.prepared_statements_max {
            return Err(SqlError::new("54000", "too many prepared statements")
                .with_detail(format!(
                    "a connection has at most {}",
                    self.limits.prepared_statements_max
                ))
                .with_hint("DEALLOCATE or close statements that are not needed")
                .into());
        }
        let declared = oids.iter().map(|oid| declared_type(*oid)).collect::<Result<Vec<_>, _>>()?;
        let mut parsed = self.session.parse(sql)?;
        let statement = match (parsed.pop(), parsed.is_empty()) {
            (None, _) => Arc::new(Statement { plan: Plan::Empty, declared, columns: None }),
            (Some(only), true) => self.plan(only, declared).await?,
            (Some(_), false) => {
                return Err(SqlError::new(
                    "42601",
                    "cannot insert multiple commands into a prepared statement",
                )
                .into());
            }
        };
        self.statements.insert(name, statement);
        self.channel.output.parse_complete();
        Ok(())
    }

    /// Has the session plan a statement.
    async fn plan(
        &mut self,
        parsed: Parsed,
        declared: Vec<Option<Type>>,
    ) -> Result<Arc<Statement>, Failure> {
        if let Some(name) = deallocated(&parsed.text)
            && self.statements.contains_key(&name)
            && self.session.transaction_status() != TransactionStatus::Failed
        {
            let plan = Plan::Deallocate(name);
            return Ok(Arc::new(Statement { plan, declared, columns: None }));
        }
        if first_word(&parsed.text).eq_ignore_ascii_case("copy") {
            return Err(SqlError::new("0A000", "COPY is not supported")
                .with_hint("use INSERT with many rows, or SELECT")
                .into());
        }
        let types: Vec<_> =
            declared.iter().map(|declared| declared.as_ref().and_then(planned_type)).collect();
        let preparing = self.session.prepare(parsed, &types);
        let watched = (&*self.channel, &self.shutdown, &self.interrupt);
        let prepared = attend(watched, preparing).await?;
        let columns = prepared.columns.as_ref().map(|schema| columns_of(schema).into());
        Ok(Arc::new(Statement { plan: Plan::Session(prepared), declared, columns }))
    }

    fn bind(
        &mut self,
        name: String,
        statement_name: &str,
        values: &[Option<Bytes>],
        (parameter_formats, result_formats): (&[i16], &[i16]),
    ) -> Result<(), Failure> {
        let statement = Arc::clone(self.statement(statement_name)?);
        if name.is_empty() {
            self.portals.remove("");
        } else if self.portals.contains_key(&name) {
            return Err(SqlError::new("42P03", format!("cursor \"{name}\" already exists")).into());
        } else if self.portals.len() >= self.limits.portals_max {
            return Err(SqlError::new("54000", "too many open portals")
                .with_detail(format!("a connection has at most {}", self.limits.portals_max))
                .with_hint("close cursors that are not needed, or end the transaction")
                .into());
        }
        let parameters = statement.parameters(statement_name, values, parameter_formats)?;
        let formats = Formats::read(result_formats)?;
        let columns = statement.columns.as_ref().map_or(0, |columns| columns.len());
        if formats.0.len() > 1 && formats.0.len() != columns {
            return Err(SqlError::new(
                PROTOCOL_VIOLATION,
                format!(
                    "bind message has {} result formats but query has {columns} columns",
                    formats.0.len()
                ),
            )
            .into());
        }
        let portal = Portal { statement, parameters, formats, state: PortalState::Bound };
        self.portals.insert(name, portal);
        self.channel.output.bind_complete();
        Ok(())
    }

    fn statement(&self, name: &str) -> Result<&Arc<Statement>, SqlError> {
        self.statements.get(name).ok_or_else(|| {
            SqlError::new(
                "26000",
                if name.is_empty() {
                    "unnamed prepared statement does not exist".to_owned()
                } else {
                    format!("prepared statement \"{name}\" does not exist")
                },
            )
        })
    }

    fn describe(&mut self, target: Target, name: &str) -> Result<(), Failure> {
        let (columns, formats) = match target {
            Target::Statement => {
                let statement = Arc::clone(self.statement(name)?);
                self.channel.output.parameter_description(&statement.parameter_oids());
                (statement.columns.clone(), Formats::text())
            }
            Target::Portal => {
                let portal = self.portals.get(name).ok_or_else(|| no_portal(name))?;
                (portal.statement.columns.clone(), portal.formats.clone())
            }
        };
        match columns {
            Some(columns) => self.channel.output.row_description(&columns, |i| formats.of(i)),
            None => self.channel.output.no_data(),
        }
        Ok(())
    }

    /// Runs a portal, or goes on with its rows. Zero and less mean all rows; the number only ever
    /// counts rows down, so that any is as good.
    async fn execute(&mut self, name: &str, rows_max: i32) -> Result<(), Failure> {
        let mut portal = self.portals.remove(name).ok_or_else(|| no_portal(name))?;
        let rows_max = u64::try_from(rows_max).ok().filter(|max| *max > 0).unwrap_or(u64::MAX);
        if matches!(portal.statement.plan, Plan::Empty) {
            self.channel.output.empty_query_response();
            self.portals.insert(name.to_owned(), portal);
            return Ok(());
        }
        if matches!(portal.state, PortalState::Bound) {
            let parameters = std::mem::take(&mut portal.parameters);
            let statement = Arc::clone(&portal.statement);
            portal.state = match self.start(&statement, parameters, portal.formats.clone()).await? {
                Started::Done(tag) => {
                    self.channel.output.command_complete(&tag);
                    self.portals.insert(name.to_owned(), portal.done());
                    return Ok(());
                }
                Started::Rows(rows) => PortalState::Rows(rows),
            };
        }
        match &mut portal.state {
            PortalState::Rows(rows) => {
                if self.send(rows, rows_max).await? == Sent::Suspended {
                    self.channel.output.portal_suspended();
                }
            }
            PortalState::Bound | PortalState::Done => {
                return Err(
                    SqlError::new("55000", format!("portal \"{name}\" cannot be run")).into()
                );
            }
        }
        self.portals.insert(name.to_owned(), portal);
        Ok(())
    }

    /// Runs a statement up to its first row.
    async fn start(
        &mut self,
        statement: &Statement,
        parameters: Vec<ScalarValue>,
        formats: Formats,
    ) -> Result<Started, Failure> {
        let prepared = match &statement.plan {
            Plan::Session(prepared) => prepared,
            Plan::Deallocate(name) => {
                self.statements.remove(name);
                return Ok(Started::Done("DEALLOCATE".to_owned()));
            }
            Plan::Empty => return Ok(Started::Done(String::new())),
        };
        let executing = self.session.execute(prepared, parameters);
        let watched = (&*self.channel, &self.shutdown, &self.interrupt);
        match attend(watched, executing).await.map_err(Failure::Session)? {
            Outcome::Done { tag } => {
                if tag == "DISCARD ALL" {
                    self.portals.clear();
                }
                if tag == "DISCARD ALL" || tag == "DEALLOCATE ALL" {
                    self.statements.clear();
                }
                Ok(Started::Done(tag))
            }
            Outcome::Rows { verb, stream } => {
                let columns = match &statement.columns {
                    Some(columns) => Arc::clone(columns),
                    None => columns_of(&stream.schema()).into(),
                };
                let source = Source::Open { stream, batch: None };
                Ok(Started::Rows(Rows { verb, columns, formats, source }))
            }
        }
    }

    /// Sends rows, at most so many; and the command tag after the last.
    async fn send(&mut self, rows: &mut Rows, rows_max: u64) -> Result<Sent, Failure> {
        let sent = self.send_rows(rows, rows_max).await;
        if !matches!(sent, Ok(Sent::Suspended)) {
            rows.source = Source::Ended;
        }
        if let Ok(Sent::All(count)) = sent {
            self.channel.output.command_complete(&format!("{} {count}", rows.verb));
        }
        sent
    }

    async fn send_rows(&mut self, rows: &mut Rows, rows_max: u64) -> Result<Sent, Failure> {
        let Source::Open { stream, batch } = &mut rows.source else {
            return Ok(Sent::All(0));
        };
        let mut count = 0;
        loop {
            if let Some((encoder, row)) = batch {
                while *row < encoder.rows() {
                    if count == rows_max {
                        return Ok(Sent::Suspended);
                    }
                    encoder.write(*row, &mut self.channel.output)?;
                    *row += 1;
                    count += 1;
                    self.channel.flush_if_full().await?;
                }
                *batch = None;
            }
            if count == rows_max {
                return Ok(Sent::Suspended);
            }
            let watched = (&*self.channel, &self.shutdown, &self.interrupt);
            match attend(watched, stream.next()).await {
                None => return Ok(Sent::All(count)),
                Some(Ok(next)) => {
                    let encoder = BatchEncoder::new(&next, &rows.columns, |i| rows.formats.of(i))?;
                    *batch = Some((encoder, 0));
                }
                Some(Err(failed)) => return Err(from_engine(&failed, "").into()),
            }
        }
    }
}

/// A statement that began.
enum Started {
    /// It is over; its command tag.
    Done(String),
    /// It returns rows.
    Rows(Rows),
}

/// Waits for the session's work; if the client leaves or the server stops meanwhile, the work is
/// interrupted, and then waited for.
async fn attend<T>(
    (channel, shutdown, interrupt): (
        &Channel,
        &watch::Receiver<bool>,
        &Arc<dyn Fn() + Send + Sync>,
    ),
    work: impl Future<Output = T>,
) -> T {
    let mut shutdown = shutdown.clone();
    tokio::pin!(work);
    tokio::select! {
        biased;
        done = &mut work => return done,
        () = channel.gone() => {}
        () = stopped(&mut shutdown) => {}
    }
    interrupt();
    work.await
}

impl Portal {
    fn done(mut self) -> Self {
        self.state = PortalState::Done;
        self
    }
}

impl Statement {
    fn prepared_parameters(&self) -> &[datafusion::arrow::datatypes::DataType] {
        match &self.plan {
            Plan::Session(prepared) => &prepared.parameters,
            Plan::Empty | Plan::Deallocate(_) => &[],
        }
    }

    /// How many parameters it takes: those it uses, and those the client declared.
    fn parameter_count(&self) -> usize {
        self.prepared_parameters().len().max(self.declared.len())
    }

    fn declared(&self, position: usize) -> Option<&Type> {
        self.declared.get(position).and_then(Option::as_ref)
    }

    /// The types of its parameters as the client is told.
    fn parameter_oids(&self) -> Vec<u32> {
        (0..self.parameter_count())
            .map(|position| match self.declared(position) {
                Some(declared) => declared.oid(),
                None => self
                    .prepared_parameters()
                    .get(position)
                    .map_or(Type::TEXT, parameter_type)
                    .oid(),
            })
            .collect()
    }

    /// Reads the values of a Bind.
    fn parameters(
        &self,
        name: &str,
        values: &[Option<Bytes>],
        formats: &[i16],
    ) -> Result<Vec<ScalarValue>, SqlError> {
        let formats = Formats::read(formats)?;
        if formats.0.len() > 1 && formats.0.len() != values.len() {
            return Err(SqlError::new(
                PROTOCOL_VIOLATION,
                format!(
                    "bind message has {} parameter formats but {} parameters",
                    formats.0.len(),
                    values.len()
                ),
            ));
        }
        if values.len() != self.parameter_count() {
            return Err(SqlError::new(
                PROTOCOL_VIOLATION,
                format!(
                    "bind message supplies {} parameters, but prepared statement \"{name}\" \
                     requires {}",
                    values.len(),
                    self.parameter_count()
                ),
            ));
        }
        let planned = self.prepared_parameters();
        planned
            .iter()
            .zip(values)
            .enumerate()
            .map(|(position, (planned, value))| {
                let declared = self.declared(position);
                decode::parameter(value.as_ref(), declared, formats.of(position), planned).map_err(
                    |mut error| {
                        let place = format!("parameter ${}", position + 1);
                        error.detail = Some(match error.detail.take() {
                            Some(detail) => format!("{place}: {detail}"),
                            None => place,
                        });
                        error
                    },
                )
            })
            .collect()
    }
}

fn no_portal(name: &str) -> SqlError {
    SqlError::new("34000", format!("portal \"{name}\" does not exist"))
}

/// The first word of a statement, after comments and spaces.
fn first_word(text: &str) -> &str {
    let mut rest = text.trim_start();
    loop {
        if let Some(comment) = rest.strip_prefix("--") {
            rest = comment.split_once('\n').map_or("", |(_, after)| after).trim_start();
        } else if let Some(comment) = rest.strip_prefix("/*") {
            rest = comment.split_once("*/").map_or("", |(_, after)| after).trim_start();
        } else {
            break;
        }
    }
    let end = rest.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(rest.len());
    &rest[..end]
}

/// The name in `DEALLOCATE [PREPARE] name`, as an identifier means it; `ALL` is none.
fn deallocated(text: &str) -> Option<String> {
    let text = text.trim().trim_end_matches(';');
    let mut words = text.split_ascii_whitespace();
    words.next().filter(|word| word.eq_ignore_ascii_case("deallocate"))?;
    let mut name = words.next()?;
    if name.eq_ignore_ascii_case("prepare") {
        name = words.next()?;
    }
    if words.next().is_some() || name.eq_ignore_ascii_case("all") {
        return None;
    }
    match name.strip_prefix('"').and_then(|name| name.strip_suffix('"')) {
        Some(quoted) => Some(quoted.replace("\"\"", "\"")),
        None => Some(name.to_ascii_lowercase()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deallocate_names_a_statement() {
        assert_eq!(deallocated("DEALLOCATE _pg3_0").as_deref(), Some("_pg3_0"));
        assert_eq!(deallocated("deallocate prepare \"A b\";").as_deref(), None);
        assert_eq!(deallocated("deallocate prepare \"Ab\";").as_deref(), Some("Ab"));
        assert_eq!(deallocated("DEALLOCATE ALL"), None);
        assert_eq!(deallocated("SELECT 1"), None);
    }

    #[test]
    fn the_first_word_comes_after_comments() {
        assert_eq!(first_word(" -- x\n /* y */ COPY t FROM STDIN"), "COPY");
        assert_eq!(first_word("select(1)"), "select");
        assert_eq!(first_word(""), "");
    }
}
