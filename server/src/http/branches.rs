//! Branches over HTTP: `/branches` and `/compare`.

use actix_web::{HttpRequest, HttpResponse, web};
use serde::Deserialize;

use super::authentication::authenticate;
use super::body;
use super::handlers::{Answer, State, asking, main_branch, need, parameters};
use crate::auth::Role;
use crate::branches::{self, CompareRequest};
use crate::limits::QUERY_BODY_BYTES_MAX;

/// All branches.
pub async fn list(state: State, request: HttpRequest, tenant: web::Path<String>) -> Answer {
    let who = authenticate(&state, &request, &tenant).await?;
    let branches = branches::list(&who.tenant);
    Ok(HttpResponse::Ok().json(serde_json::json!({ "branches": branches })))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CreateBody {
    name: String,
    #[serde(default = "main_branch")]
    from: String,
    #[serde(default)]
    reason: String,
}

/// Makes a branch.
pub async fn create(
    state: State,
    request: HttpRequest,
    tenant: web::Path<String>,
    payload: web::Payload,
) -> Answer {
    let who = authenticate(&state, &request, &tenant).await?;
    need(&who, "make branches", Role::may_write)?;
    let body = body::json(&request, payload, QUERY_BODY_BYTES_MAX).await?;
    let CreateBody { name, from, reason } = body;
    let answer = branches::create(&who.tenant, &asking(&who, from, reason), &name).await?;
    Ok(HttpResponse::Created().json(answer))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DropParameters {
    #[serde(default)]
    reason: String,
}

/// Drops a branch.
pub async fn drop_branch(
    state: State,
    request: HttpRequest,
    path: web::Path<(String, String)>,
) -> Answer {
    let (tenant, name) = path.into_inner();
    let who = authenticate(&state, &request, &tenant).await?;
    need(&who, "drop branches", Role::may_write)?;
    let DropParameters { reason } = parameters(&request)?;
    let asking = asking(&who, main_branch(), reason);
    let answer = branches::drop_branch(&who.tenant, &asking, &name).await?;
    Ok(HttpResponse::Ok().json(answer))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CompareParameters {
    from: String,
    to: String,
    cube: Option<String>,
    measure: Option<String>,
    tolerance: Option<String>,
    limit: Option<usize>,
}

/// Compares two branches.
pub async fn compare(state: State, request: HttpRequest, tenant: web::Path<String>) -> Answer {
    let who = authenticate(&state, &request, &tenant).await?;
    let CompareParameters { from, to, cube, measure, tolerance, limit } = parameters(&request)?;
    let asked = CompareRequest { cube, measure, tolerance, limit };
    let (user, ends) = (&who.user.name, (from.as_str(), to.as_str()));
    let comparison = branches::compare_branches(&who.tenant, user, ends, &asked).await?;
    Ok(HttpResponse::Ok().json(comparison))
}
