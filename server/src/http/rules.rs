//! Formulas as versions over HTTP: `/rules`.

use actix_web::{HttpRequest, HttpResponse, web};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::authentication::{Authenticated, authenticate};
use super::body;
use super::handlers::{Answer, State, asking, main_branch, need, parameters};
use crate::auth::Role;
use crate::branches::CompareRequest;
use crate::http::problem::Rejection;
use crate::limits::QUERY_BODY_BYTES_MAX;
use crate::rules;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ListParameters {
    #[serde(default = "main_branch")]
    branch: String,
    target: Option<String>,
}

/// Every version of every formula, or of one.
pub async fn list(state: State, request: HttpRequest, tenant: web::Path<String>) -> Answer {
    let who = authenticate(&state, &request, &tenant).await?;
    let ListParameters { branch, target } = parameters(&request)?;
    let rules = rules::list(&who.tenant, &branch, target.as_deref())?;
    Ok(HttpResponse::Ok().json(serde_json::json!({ "rules": rules })))
}

/// Who asks for a change of formulas, and what is asked.
async fn change<B: DeserializeOwned>(
    state: &State,
    request: &HttpRequest,
    tenant: &str,
    payload: web::Payload,
) -> Result<(Authenticated, B), Rejection> {
    let who = authenticate(state, request, tenant).await?;
    need(&who, "change the model", Role::may_change_model)?;
    let body = body::json(request, payload, QUERY_BODY_BYTES_MAX).await?;
    Ok((who, body))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SetBody {
    target: String,
    text: String,
    reason: String,
    #[serde(default = "main_branch")]
    branch: String,
}

/// Puts a formula in force.
pub async fn set(
    state: State,
    request: HttpRequest,
    tenant: web::Path<String>,
    payload: web::Payload,
) -> Answer {
    let (who, body) = change(&state, &request, &tenant, payload).await?;
    let SetBody { target, text, reason, branch } = body;
    let asking = asking(&who, branch, reason);
    let answer = rules::set(&who.tenant, &asking, &target, &text).await?;
    Ok(HttpResponse::Ok().json(answer))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RemoveBody {
    target: String,
    reason: String,
    #[serde(default = "main_branch")]
    branch: String,
}

/// Takes a formula away.
pub async fn remove(
    state: State,
    request: HttpRequest,
    tenant: web::Path<String>,
    payload: web::Payload,
) -> Answer {
    let (who, body) = change(&state, &request, &tenant, payload).await?;
    let RemoveBody { target, reason, branch } = body;
    let asking = asking(&who, branch, reason);
    let answer = rules::remove(&who.tenant, &asking, &target).await?;
    Ok(HttpResponse::Ok().json(answer))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RollbackBody {
    target: String,
    to: Option<u32>,
    reason: String,
    #[serde(default = "main_branch")]
    branch: String,
}

/// Puts an earlier version in force.
pub async fn roll_back(
    state: State,
    request: HttpRequest,
    tenant: web::Path<String>,
    payload: web::Payload,
) -> Answer {
    let (who, body) = change(&state, &request, &tenant, payload).await?;
    let RollbackBody { target, to, reason, branch } = body;
    let asking = asking(&who, branch, reason);
    let answer = rules::roll_back(&who.tenant, &asking, &target, to).await?;
    Ok(HttpResponse::Ok().json(answer))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CompareBody {
    target: String,
    text: Option<String>,
    version: Option<u32>,
    #[serde(default = "main_branch")]
    branch: String,
    cube: Option<String>,
    measure: Option<String>,
    tolerance: Option<String>,
    limit: Option<usize>,
}

/// What a formula would change.
pub async fn compare(
    state: State,
    request: HttpRequest,
    tenant: web::Path<String>,
    payload: web::Payload,
) -> Answer {
    let who = authenticate(&state, &request, &tenant).await?;
    let body: CompareBody = body::json(&request, payload, QUERY_BODY_BYTES_MAX).await?;
    let candidate = rules::candidate(body.text, body.version)?;
    let CompareBody { cube, measure, tolerance, limit, .. } = body;
    let asked = CompareRequest { cube, measure, tolerance, limit };
    let asking = asking(&who, body.branch, String::new());
    let comparison =
        rules::compare_with(&who.tenant, &asking, &body.target, candidate, &asked).await?;
    Ok(HttpResponse::Ok().json(comparison))
}
