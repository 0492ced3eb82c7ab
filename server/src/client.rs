//! A running server, as the command line speaks to it.

use std::time::Duration;

use reqwest::blocking::{Client, RequestBuilder, Response};
use reqwest::header::{ACCEPT, CONTENT_TYPE};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::commands::{ApplyMode, ApplyReport, LoadAnswer};
use crate::error::{Result, ServerError};
use crate::http::problem::{PROBLEM_JSON, Problem};
use crate::limits::CLIENT_WAIT;
use crate::load::LoadRequest;
use crate::model_files::ModelFiles;
use crate::render::Format;

/// Time to wait for a connection.
const CONNECT_WAIT: Duration = Duration::from_secs(10);

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
}

#[derive(Serialize)]
struct QueryBody<'a> {
    query: &'a str,
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
    pub fn apply(&self, files: &ModelFiles, mode: ApplyMode) -> Result<ApplyReport> {
        self.json(self.post("model").json(&ApplyBody { files: &files.files, mode }))
    }

    /// Loads a file.
    pub fn load(&self, request: &LoadRequest) -> Result<LoadAnswer> {
        self.json(self.post("load").json(request))
    }

    /// Runs a query and gives back the rendered answer.
    pub fn query(&self, query: &str, format: Format) -> Result<String> {
        let media_type = match format {
            Format::Table => "text/plain",
            Format::Csv => "text/csv",
            Format::Json => "application/json",
        };
        let request = self.post("query").header(ACCEPT, media_type).json(&QueryBody { query });
        let text = self.send(request)?.text();
        text.map_err(|error| unreachable(&self.server, &error))
    }

    fn post(&self, what: &str) -> RequestBuilder {
        let url = format!("{}/api/v1/tenants/{}/{what}", self.server, self.tenant);
        self.client.post(url).basic_auth(&self.user, Some(&self.password))
    }

    fn json<T: DeserializeOwned>(&self, request: RequestBuilder) -> Result<T> {
        self.send(request)?.json().map_err(|error| unreachable(&self.server, &error))
    }

    fn send(&self, request: RequestBuilder) -> Result<Response> {
        let response = request.send().map_err(|error| unreachable(&self.server, &error))?;
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        let media_type = response.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let problem = match media_type {
            Some(PROBLEM_JSON) => response.json().ok(),
            _ => None,
        };
        let problem = problem.unwrap_or_else(|| {
            Problem::new(status.as_u16(), format!("the server answers {status}"))
        });
        Err(ServerError::Remote(Box::new(problem)))
    }
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
