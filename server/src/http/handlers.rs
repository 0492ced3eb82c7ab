//! What each address of the HTTP API does.

use std::sync::Arc;

use actix_web::http::header::ACCEPT;
use actix_web::{HttpRequest, HttpResponse, web};
use protocol::error::SqlError;
use protocol::explain::{self, ExplainOptions};
use protocol::sql::session::Session;
use protocol::tenant::Tenant;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::assertions;
use crate::auth::Role;
use crate::commands::{self, ApplyMode, Asking};
use crate::error::ServerError;
use crate::explain::{ExplainFormat, render as render_explained};
use crate::http::HttpState;
use crate::http::authentication::{Authenticated, authenticate};
use crate::http::body;
use crate::http::problem::Rejection;
use crate::http::upload;
use crate::limits::{LEDGER_ENTRIES_MAX, MODEL_BODY_BYTES_MAX, QUERY_BODY_BYTES_MAX, QUERY_WAIT};
use crate::model_files::ModelFiles;
use crate::postgres::session;
use crate::query;
use crate::render::{Format, render};
use crate::tenant::MAIN;
use crate::timestamp::format_timestamp;

pub(super) type State = web::Data<HttpState>;
pub(super) type Answer = Result<HttpResponse, Rejection>;

/// How entries are asked for.
const ORIGIN: &str = "http";
/// Ledger entries in an answer, unless asked for otherwise.
const LEDGER_ENTRIES_DEFAULT: usize = 100;

/// The process runs.
pub async fn healthz() -> HttpResponse {
    HttpResponse::Ok().content_type("text/plain; charset=utf-8").body("ok\n")
}

/// All tenants are open, and the server is not about to stop.
pub async fn readyz(state: State) -> Answer {
    if !state.is_ready() {
        return Err(Rejection::new(503, "the server is shutting down"));
    }
    Ok(HttpResponse::Ok().json(serde_json::json!({
        "status": "ready",
        "tenants": state.tenants.names().count(),
        "damaged_tenants": state.tenants.damaged_count(),
    })))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ApplyBody {
    files: std::collections::BTreeMap<String, String>,
    #[serde(default)]
    mode: ApplyMode,
    #[serde(default = "main_branch")]
    branch: String,
    #[serde(default)]
    reason: String,
}

/// The branch of a request that names none.
pub(super) fn main_branch() -> String {
    MAIN.to_owned()
}

/// Applies model files, or shows what they would change.
pub async fn apply(
    state: State,
    request: HttpRequest,
    tenant: web::Path<String>,
    payload: web::Payload,
) -> Answer {
    let who = authenticate(&state, &request, &tenant).await?;
    need(&who, "change the model", Role::may_change_model)?;
    let ApplyBody { files, mode, branch, reason } =
        body::json(&request, payload, MODEL_BODY_BYTES_MAX).await?;
    let files = ModelFiles { files };
    let (asking, tenant) = (asking(&who, branch, reason), who.tenant);
    let applying = async move { commands::apply(&tenant, &asking, files, mode).await };
    Ok(HttpResponse::Ok().json(on_runtime(&state, applying).await?))
}

/// Loads a file.
pub async fn load(
    state: State,
    request: HttpRequest,
    tenant: web::Path<String>,
    payload: web::Payload,
) -> Answer {
    let who = authenticate(&state, &request, &tenant).await?;
    need(&who, "load data", Role::may_write)?;
    let (words, load) = upload::receive(&state, &request, payload).await?;
    let (asking, tenant) = (asking(&who, words.branch, words.reason), who.tenant);
    let loading = async move { commands::load(&tenant, &asking, load).await };
    Ok(HttpResponse::Ok().json(on_runtime(&state, loading).await?))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AssertionParameters {
    #[serde(default = "main_branch")]
    branch: String,
}

/// Checks the model's assertions on a branch.
pub async fn assertions(state: State, request: HttpRequest, tenant: web::Path<String>) -> Answer {
    let who = authenticate(&state, &request, &tenant).await?;
    let AssertionParameters { branch } = parameters(&request)?;
    let checking = async move {
        let branches = who.tenant.branches();
        let head = branches.get(&branch)?;
        Ok(assertions::check(&who.tenant, head, &who.user.name).await?)
    };
    let results = on_runtime(&state, checking).await?;
    Ok(HttpResponse::Ok().json(serde_json::json!({ "assertions": results })))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ExplainParameters {
    cell: String,
    #[serde(default = "main_branch")]
    branch: String,
    top: Option<usize>,
    page: Option<usize>,
    writes: Option<usize>,
    as_of: Option<String>,
}

/// Shows what a cell is made of, down to who wrote it: JSON, or an indented tree as plain text.
pub async fn explain(state: State, request: HttpRequest, tenant: web::Path<String>) -> Answer {
    let who = authenticate(&state, &request, &tenant).await?;
    let (format, media_type) = match accepted(&request)? {
        (Format::Json, media_type) => (ExplainFormat::Json, media_type),
        (Format::Table, media_type) => (ExplainFormat::Text, media_type),
        (Format::Csv, _) => {
            return Err(Rejection::new(406, "the answer can be application/json or text/plain"));
        }
    };
    let asked: ExplainParameters = parameters(&request)?;
    if asked.as_of.is_some() {
        return Err(explain::no_history().into());
    }
    let defaults = ExplainOptions::default();
    let options = ExplainOptions {
        top: asked.top.unwrap_or(defaults.top),
        page: asked.page.unwrap_or(defaults.page),
        writes: asked.writes.unwrap_or(defaults.writes),
    };
    let explaining = async move {
        let snapshot = who.tenant.read(&who.user.name)?.snapshot(&asked.branch)?;
        Ok(explain::explain(who.tenant.as_ref(), &snapshot, &asked.cell, options).await?)
    };
    let explained = on_runtime(&state, explaining).await?;
    Ok(HttpResponse::Ok().content_type(media_type).body(render_explained(&explained, format)))
}

/// Runs work on the server's runtime, whose threads have stacks for deep statements.
async fn on_runtime<T: Send + 'static>(
    state: &State,
    work: impl Future<Output = Result<T, ServerError>> + Send + 'static,
) -> Result<T, Rejection> {
    let finished = state.runtime.spawn(work).await;
    let finished = finished.map_err(|error| {
        tracing::error!(%error, "a request failed");
        SqlError::new("XX000", "internal error")
    })?;
    Ok(finished?)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct QueryBody {
    query: String,
    #[serde(default = "main_branch")]
    branch: String,
}

/// Runs a query; the answer is that of its last statement.
pub async fn query(
    state: State,
    request: HttpRequest,
    tenant: web::Path<String>,
    payload: web::Payload,
) -> Answer {
    let who = authenticate(&state, &request, &tenant).await?;
    let (format, media_type) = accepted(&request)?;
    let QueryBody { query, branch } = body::json(&request, payload, QUERY_BODY_BYTES_MAX).await?;
    let mut session = session(Arc::clone(&who.tenant), &who.user.name, "http")?;
    if branch != MAIN {
        session.set("search_path", &branch)?;
    }
    // Dropped with this handler: when the time is up, or when the client goes away.
    let _interrupt = InterruptOnDrop(session.interrupt_handle());
    let running = state.runtime.spawn(async move {
        let results = query::run(&mut session, &query).await?;
        results
            .last()
            .map_or(Ok(String::new()), |last| render(last, format).map_err(ServerError::from))
    });
    let finished = tokio::time::timeout(QUERY_WAIT, running).await;
    let finished = finished.map_err(|_| {
        SqlError::new("57014", format!("the query took more than {} s", QUERY_WAIT.as_secs()))
    })?;
    let text = finished.map_err(|error| {
        tracing::error!(%error, "a query failed");
        SqlError::new("XX000", "internal error")
    })??;
    Ok(HttpResponse::Ok().content_type(media_type).body(text))
}

/// Stops a session's statement.
struct InterruptOnDrop(Arc<dyn Fn() + Send + Sync>);

impl Drop for InterruptOnDrop {
    fn drop(&mut self) {
        (self.0)();
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LedgerParameters {
    limit: Option<usize>,
}

/// The newest ledger entries, newest first.
pub async fn ledger(state: State, request: HttpRequest, tenant: web::Path<String>) -> Answer {
    let who = authenticate(&state, &request, &tenant).await?;
    let parameters: LedgerParameters = parameters(&request)?;
    let limit = parameters.limit.unwrap_or(LEDGER_ENTRIES_DEFAULT);
    if limit > LEDGER_ENTRIES_MAX {
        return Err(Rejection::new(400, format!("limit: at most {LEDGER_ENTRIES_MAX}")));
    }
    let entries = who.tenant.ledger(limit).await?;
    let entries: Vec<_> = entries
        .into_iter()
        .map(|entry| {
            serde_json::json!({
                "sequence": entry.sequence,
                "time": format_timestamp(entry.time_us),
                "branch": entry.branch,
                "author": entry.author,
                "origin": entry.origin,
                "reason": entry.reason,
                "summary": entry.summary,
                "recomputed": entry.recomputed,
            })
        })
        .collect();
    Ok(HttpResponse::Ok().json(serde_json::json!({ "entries": entries })))
}

/// What the address says behind the question mark.
pub(super) fn parameters<T: DeserializeOwned>(request: &HttpRequest) -> Result<T, Rejection> {
    let parsed = web::Query::<T>::from_query(request.query_string());
    Ok(parsed.map_err(|error| Rejection::new(400, error.to_string()))?.into_inner())
}

/// Who asks, on which branch and why.
pub(super) fn asking(who: &Authenticated, branch: String, reason: String) -> Asking {
    Asking::on_main(who.user.name.clone(), ORIGIN).on(branch).because(reason)
}

/// Refuses before the body is read what the role does not allow.
pub(super) fn need(
    who: &Authenticated,
    what: &str,
    may: impl Fn(Role) -> bool,
) -> Result<(), Rejection> {
    let role = who.user.role;
    if may(role) {
        return Ok(());
    }
    let message = format!("permission denied: role {role} does not {what}");
    Err(SqlError::new("42501", message).with_hint("ask an administrator of the tenant").into())
}

/// The format that the client accepts: JSON unless it says otherwise.
fn accepted(request: &HttpRequest) -> Result<(Format, &'static str), Rejection> {
    let header = request.headers().get(ACCEPT).map(|value| value.to_str().unwrap_or_default());
    let ranges = header.unwrap_or("*/*").split(',');
    for range in ranges {
        match range.split(';').next().unwrap_or_default().trim() {
            "*/*" | "application/*" | "application/json" => {
                return Ok((Format::Json, "application/json"));
            }
            "text/csv" => return Ok((Format::Csv, "text/csv; charset=utf-8")),
            "text/plain" | "text/*" => return Ok((Format::Table, "text/plain; charset=utf-8")),
            _ => {}
        }
    }
    Err(Rejection::new(406, "the answer can be application/json, text/csv or text/plain"))
}
