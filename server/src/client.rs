//! A running server, as the command line speaks to it.

use std::io::Read;
use std::sync::Arc;
use std::time::Duration;

use protocol::compare::Comparison;
use protocol::explain::ExplainOptions;
use reqwest::blocking::{Client, RequestBuilder, Response};
use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderMap};
use reqwest::multipart::{Form, Part};
use reqwest::{Body, Method, StatusCode};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::assertions::AssertionResult;
use crate::branches::{BranchAnswer, BranchLine, CompareRequest};
use crate::commands::{ApplyMode, ApplyReport, LoadAnswer};
use crate::error::{Result, ServerError};
use crate::explain::ExplainFormat;
use crate::http::problem::{PROBLEM_JSON, Problem};
use crate::limits::{CLIENT_LOAD_WAIT, CLIENT_WAIT};
use crate::load::{LoadFile, LoadRequest, Progress, Reader, Stage, Unwatched};
use crate::model_files::ModelFiles;
use crate::render::Format;
use crate::rules::{Candidate, RuleAnswer, RuleComparison, RuleLine};

/// Time to wait for a connection.
const CONNECT_WAIT: Duration = Duration::from_secs(10);

/// Bytes of a file that are sent together.
const PIECE_BYTES: usize = 256 * 1024;

/// A tenant of a running server.
pub struct RemoteTenant {
    client: Client,
    server: String,
    tenant: String,
    user: String,
    password: String,
}

#[derive(Serialize)]
struct ApplyBody<'a> {
    files: &'a std::collections::BTreeMap<String, String>,
    mode: ApplyMode,
    branch: &'a str,
    reason: &'a str,
}

/// The pieces of a file on its way, with who is told how much of it went.
struct Sending {
    reader: Reader,
    sent: u64,
    all: u64,
    progress: Arc<dyn Progress>,
}

impl Iterator for Sending {
    type Item = std::io::Result<Vec<u8>>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut piece = Vec::with_capacity(PIECE_BYTES);
        let read = self.reader.by_ref().take(PIECE_BYTES as u64).read_to_end(&mut piece);
        self.sent += piece.len() as u64;
        self.progress.is_at(self.sent, self.all);
        match read {
            Ok(0) => {
                self.progress.begins(Stage::Waiting);
                None
            }
            Ok(_) => Some(Ok(piece)),
            Err(error) => Some(Err(error)),
        }
    }
}

/// What a server answered, whole.
struct Answer {
    status: StatusCode,
    media_type: Option<String>,
    body: Vec<u8>,
}

impl Answer {
    /// The body of an answer that is no problem.
    fn body(self) -> Result<Vec<u8>> {
        if self.status.is_success() {
            return Ok(self.body);
        }
        let problem = match self.media_type.as_deref() {
            Some(PROBLEM_JSON) => serde_json::from_slice(&self.body).ok(),
            _ => None,
        };
        let problem = problem.unwrap_or_else(|| {
            Problem::new(self.status.as_u16(), format!("the server answers {}", self.status))
        });
        Err(ServerError::Remote(Box::new(problem)))
    }
}

#[derive(Serialize)]
struct QueryBody<'a> {
    query: &'a str,
    branch: &'a str,
}

#[derive(Deserialize)]
struct Branches {
    branches: Vec<BranchLine>,
}

#[derive(Deserialize)]
struct Rules {
    rules: Vec<RuleLine>,
}

#[derive(Deserialize)]
struct AssertionsAnswer {
    assertions: Vec<AssertionResult>,
}

impl RemoteTenant {
    /// A tenant, reached as a user. Nothing is sent yet.
    pub fn new(server: &str, tenant: &str, user: String, password: String) -> Result<Self> {
        if server.starts_with("https://") || !server.starts_with("http://") {
            let text = format!("{server:?}: a server is named as http://HOST:PORT");
            return Err(ServerError::Config(text));
        }
        let client = Client::builder().timeout(CLIENT_WAIT).connect_timeout(CONNECT_WAIT).build();
        let client = client.map_err(|error| unreachable(server, &error))?;
        let (server, tenant) = (server.to_owned(), tenant.to_owned());
        Ok(Self { client, server, tenant, user, password })
    }

    /// Applies model files, or asks what they would change.
    pub fn apply(
        &self,
        files: &ModelFiles,
        mode: ApplyMode,
        branch: &str,
        reason: &str,
    ) -> Result<ApplyReport> {
        let body = ApplyBody { files: &files.files, mode, branch, reason };
        self.json(self.post("model").json(&body))
    }

    /// Loads a file.
    pub fn load(&self, load: &LoadRequest, branch: &str, reason: &str) -> Result<LoadAnswer> {
        // The blocking client says that it could not send all, where the server had answered why not.
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(ServerError::io("start", "a runtime"))?;
        let answer = runtime.block_on(self.send_load(load, branch, reason));
        let body = answer.map_err(|error| unreachable(&self.server, &error))?.body()?;
        serde_json::from_slice(&body).map_err(|error| self.unexpected(&error))
    }

    async fn send_load(
        &self,
        load: &LoadRequest,
        branch: &str,
        reason: &str,
    ) -> reqwest::Result<Answer> {
        let words = json!({ "target": &load.target, "branch": branch, "reason": reason });
        let mut form = Form::new().text("load", words.to_string());
        if let Some(map) = &load.map {
            form = form.part("map", Part::text(map.content.clone()).file_name(map.name.clone()));
        }
        for (name, lookup) in &load.lookups {
            form = form.part("lookup", part(name, lookup, Arc::new(Unwatched)));
        }
        form = form.part("file", part(&load.file.name, &load.file, Arc::clone(&load.progress)));
        let client = reqwest::Client::builder().connect_timeout(CONNECT_WAIT);
        let request = client.timeout(CLIENT_LOAD_WAIT).build()?.post(self.url("load"));
        load.progress.begins(Stage::Sending);
        let request = request.basic_auth(&self.user, Some(&self.password)).multipart(form);
        let response = request.send().await?;
        let (status, media_type) = (response.status(), media_type(response.headers()));
        Ok(Answer { status, media_type, body: response.bytes().await?.to_vec() })
    }

    /// Checks the model's assertions.
    pub fn assertions(&self, branch: &str) -> Result<Vec<AssertionResult>> {
        let request = self.request(Method::GET, "assertions").query(&[("branch", branch)]);
        let answer: AssertionsAnswer = self.json(request)?;
        Ok(answer.assertions)
    }

    /// Explains a cell and gives back the rendered answer.
    pub fn explain(
        &self,
        cell: &str,
        branch: &str,
        options: ExplainOptions,
        format: ExplainFormat,
    ) -> Result<String> {
        let media_type = match format {
            ExplainFormat::Text => "text/plain",
            ExplainFormat::Json => "application/json",
        };
        let numbers = [("top", options.top), ("page", options.page), ("writes", options.writes)];
        let request = self.request(Method::GET, "explain").header(ACCEPT, media_type);
        let request = request.query(&[("cell", cell), ("branch", branch)]).query(&numbers);
        self.text(request)
    }

    /// Runs a query and gives back the rendered answer.
    pub fn query(&self, query: &str, branch: &str, format: Format) -> Result<String> {
        let media_type = match format {
            Format::Table => "text/plain",
            Format::Csv => "text/csv",
            Format::Json => "application/json",
        };
        let request =
            self.post("query").header(ACCEPT, media_type).json(&QueryBody { query, branch });
        self.text(request)
    }

    /// All branches.
    pub fn branches(&self) -> Result<Vec<BranchLine>> {
        let Branches { branches } = self.json(self.request(Method::GET, "branches"))?;
        Ok(branches)
    }

    /// Makes a branch.
    pub fn create_branch(&self, name: &str, from: &str, reason: &str) -> Result<BranchAnswer> {
        let body = json!({ "name": name, "from": from, "reason": reason });
        self.json(self.post("branches").json(&body))
    }

    /// Drops a branch.
    pub fn drop_branch(&self, name: &str, reason: &str) -> Result<BranchAnswer> {
        // what is no part of a name must not become part of the address
        let name: String = name.bytes().map(percent_encoded).collect();
        let request = self.request(Method::DELETE, &format!("branches/{name}"));
        self.json(request.query(&[("reason", reason)]))
    }

    /// Compares two branches.
    pub fn compare(&self, ends: (&str, &str), request: &CompareRequest) -> Result<Comparison> {
        let asking = self.request(Method::GET, "compare");
        self.json(asking.query(&[("from", ends.0), ("to", ends.1)]).query(request))
    }

    /// Every version of every formula of a branch, or of one.
    pub fn rules(&self, branch: &str, target: Option<&str>) -> Result<Vec<RuleLine>> {
        let request = self.request(Method::GET, "rules").query(&[("branch", branch)]);
        let Rules { rules } = self.json(request.query(&[("target", target)]))?;
        Ok(rules)
    }

    /// Puts a formula in force.
    pub fn set_rule(
        &self,
        target: &str,
        text: &str,
        branch: &str,
        reason: &str,
    ) -> Result<RuleAnswer> {
        let body = json!({ "target": target, "text": text, "branch": branch, "reason": reason });
        self.json(self.post("rules").json(&body))
    }

    /// Takes a formula away.
    pub fn remove_rule(&self, target: &str, branch: &str, reason: &str) -> Result<RuleAnswer> {
        let body = json!({ "target": target, "branch": branch, "reason": reason });
        self.json(self.post("rules/remove").json(&body))
    }

    /// Puts an earlier version in force.
    pub fn roll_back_rule(
        &self,
        target: &str,
        to: Option<u32>,
        branch: &str,
        reason: &str,
    ) -> Result<RuleAnswer> {
        let body = json!({ "target": target, "to": to, "branch": branch, "reason": reason });
        self.json(self.post("rules/rollback").json(&body))
    }

    /// What a formula would change.
    pub fn compare_rule(
        &self,
        target: &str,
        candidate: &Candidate,
        branch: &str,
        request: &CompareRequest,
    ) -> Result<RuleComparison> {
        #[derive(Serialize)]
        struct Body<'a> {
            target: &'a str,
            branch: &'a str,
            #[serde(flatten)]
            candidate: &'a Candidate,
            #[serde(flatten)]
            request: &'a CompareRequest,
        }
        let body = Body { target, branch, candidate, request };
        self.json(self.post("rules/compare").json(&body))
    }

    fn post(&self, what: &str) -> RequestBuilder {
        self.request(Method::POST, what)
    }

    fn request(&self, method: Method, what: &str) -> RequestBuilder {
        self.client.request(method, self.url(what)).basic_auth(&self.user, Some(&self.password))
    }

    fn url(&self, what: &str) -> String {
        format!("{}/api/v1/tenants/{}/{what}", self.server, self.tenant)
    }

    fn json<T: DeserializeOwned>(&self, request: RequestBuilder) -> Result<T> {
        let body = self.send(request)?;
        serde_json::from_slice(&body).map_err(|error| self.unexpected(&error))
    }

    fn text(&self, request: RequestBuilder) -> Result<String> {
        String::from_utf8(self.send(request)?).map_err(|error| self.unexpected(&error))
    }

    fn send(&self, request: RequestBuilder) -> Result<Vec<u8>> {
        let receive = |response: Response| -> reqwest::Result<Answer> {
            let (status, media_type) = (response.status(), media_type(response.headers()));
            Ok(Answer { status, media_type, body: response.bytes()?.to_vec() })
        };
        let answer = request.send().and_then(receive);
        answer.map_err(|error| unreachable(&self.server, &error))?.body()
    }

    fn unexpected(&self, error: &dyn std::fmt::Display) -> ServerError {
        let reason = format!("the answer is not what is expected: {error}");
        ServerError::Unreachable { server: self.server.clone(), reason }
    }
}

/// A file as a part of a form, read as it is sent.
fn part(name: &str, file: &LoadFile, progress: Arc<dyn Progress>) -> Part {
    let all = file.bytes();
    let sending = Sending { reader: file.reader(), sent: 0, all, progress };
    let body = Body::wrap_stream(futures::stream::iter(sending));
    Part::stream_with_length(body, all).file_name(name.to_owned())
}

fn media_type(headers: &HeaderMap) -> Option<String> {
    headers.get(CONTENT_TYPE)?.to_str().ok().map(str::to_owned)
}

fn percent_encoded(byte: u8) -> String {
    let is_plain = byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte);
    if is_plain { char::from(byte).to_string() } else { format!("%{byte:02X}") }
}

fn unreachable(server: &str, error: &reqwest::Error) -> ServerError {
    let mut reason = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        reason = format!("{reason}: {cause}");
        source = cause.source();
    }
    ServerError::Unreachable { server: server.to_owned(), reason }
}
