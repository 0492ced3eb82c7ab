//! Errors over HTTP: problem documents as RFC 9457 describes them.

use actix_web::http::StatusCode;
use actix_web::http::header::WWW_AUTHENTICATE;
use actix_web::{HttpResponse, ResponseError};
use protocol::error::SqlError;
use serde::{Deserialize, Serialize};

use crate::error::ServerError;

/// The media type of a problem document.
pub const PROBLEM_JSON: &str = "application/problem+json";

/// An error as an HTTP client sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// A URI that names the kind of problem: `urn:perfos:problem:42703`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The HTTP status in words.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// What is wrong, in one sentence.
    pub detail: String,
    /// The SQLSTATE under which SQL clients see the same error.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sqlstate: Option<String>,
    /// More about what was wrong: where, which value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub more: Option<String>,
    /// What to do about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// Position in the statement, counted in characters from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub position: Option<usize>,
    /// The body of a load's error: rejected rows with their numbers and reasons.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rejected: Option<serde_json::Value>,
}

impl Problem {
    /// A problem with an HTTP status.
    pub fn new(status: u16, detail: impl Into<String>) -> Self {
        Self {
            kind: "about:blank".to_owned(),
            title: title(status).to_owned(),
            status,
            detail: detail.into(),
            sqlstate: None,
            more: None,
            hint: None,
            position: None,
            rejected: None,
        }
    }

    /// The same problem with a hint.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// What the document has beyond its first sentence, for people.
    pub fn more(&self) -> Option<String> {
        self.more.clone()
    }
}

impl From<&SqlError> for Problem {
    fn from(error: &SqlError) -> Self {
        Self {
            kind: format!("urn:perfos:problem:{}", error.sqlstate),
            sqlstate: Some(error.sqlstate.to_owned()),
            more: error.detail.clone(),
            hint: error.hint.clone(),
            position: error.position,
            ..Self::new(status_of(error.sqlstate), error.message.clone())
        }
    }
}

impl From<SqlError> for Problem {
    fn from(error: SqlError) -> Self {
        Self::from(&error)
    }
}

impl From<ServerError> for Problem {
    fn from(error: ServerError) -> Self {
        let problem = Self::from(error.to_sql());
        match &error {
            ServerError::Model(_) => Self { status: 422, title: title(422).to_owned(), ..problem },
            ServerError::Load(load) => Self {
                status: 422,
                title: title(422).to_owned(),
                rejected: serde_json::to_value(load).ok(),
                ..problem
            },
            _ => problem,
        }
    }
}

/// The answer to a request that is not carried out: a problem on its way to the client.
#[derive(Debug)]
pub struct Rejection(Box<Problem>);

impl<T: Into<Problem>> From<T> for Rejection {
    fn from(problem: T) -> Self {
        Self(Box::new(problem.into()))
    }
}

impl Rejection {
    /// A rejection with an HTTP status.
    pub fn new(status: u16, detail: impl Into<String>) -> Self {
        Problem::new(status, detail).into()
    }
}

impl std::fmt::Display for Rejection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

impl ResponseError for Rejection {
    fn status_code(&self) -> StatusCode {
        StatusCode::from_u16(self.0.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    fn error_response(&self) -> HttpResponse {
        let mut response = HttpResponse::build(self.status_code());
        response.content_type(PROBLEM_JSON);
        if self.0.status == 401 {
            let challenge = "Basic realm=\"perfos\", charset=\"UTF-8\"";
            response.insert_header((WWW_AUTHENTICATE, challenge));
        }
        response.body(serde_json::to_string(&self.0).unwrap_or_default())
    }
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.detail)
    }
}

/// The HTTP status that says the same as a SQLSTATE.
pub fn status_of(sqlstate: &str) -> u16 {
    match sqlstate {
        "3D000" | "3F000" => 404,
        "28000" | "28P01" => 401,
        "42501" => 403,
        "40001" | "55006" | "42P04" | "42P06" | "2BP01" => 409,
        "53300" | "57P03" => 503,
        "53100" => 507,
        "57014" => 503,
        "54000" => 413,
        "0A000" => 501,
        "08007" => 500,
        _ => match sqlstate.get(..2).unwrap_or_default() {
            "22" | "23" | "25" | "42" | "44" | "55" => 422,
            _ => 500,
        },
    }
}

fn title(status: u16) -> &'static str {
    StatusCode::from_u16(status)
        .ok()
        .and_then(|status| status.canonical_reason())
        .unwrap_or("Error")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_says_what_the_error_says() {
        let error = SqlError::new("42703", "column \"x\" does not exist")
            .with_detail("in cube sales")
            .with_hint("did you mean y?")
            .at(8);
        let problem = serde_json::to_value(Problem::from(error)).unwrap();
        let expected = serde_json::json!({
            "type": "urn:perfos:problem:42703",
            "title": "Unprocessable Entity",
            "status": 422,
            "detail": "column \"x\" does not exist",
            "sqlstate": "42703",
            "more": "in cube sales",
            "hint": "did you mean y?",
            "position": 8,
        });
        assert_eq!(problem, expected);
    }

    #[test]
    fn statuses_follow_sqlstates() {
        let cases = [
            ("40001", 409),
            ("42P06", 409),
            ("3F000", 404),
            ("42501", 403),
            ("53300", 503),
            ("22P02", 422),
            ("XX000", 500),
        ];
        for (sqlstate, status) in cases {
            assert_eq!(status_of(sqlstate), status);
        }
    }
}
