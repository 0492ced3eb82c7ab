//! HTTP Basic: who asks, and of which tenant.
//!
//! Wrong credentials are told apart from a missing tenant only for those who proved to be somebody:
//! everybody else gets 401, whatever tenant they name.

use std::sync::Arc;

use actix_web::HttpRequest;
use actix_web::http::header::AUTHORIZATION;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::auth::User;
use crate::http::HttpState;
use crate::http::problem::Rejection;
use crate::tenant::OpenTenant;

/// A user who proved who he is, in his tenant.
pub struct Authenticated {
    /// The tenant of the path.
    pub tenant: Arc<OpenTenant>,
    /// The user.
    pub user: User,
}

struct Credentials {
    user: String,
    password: String,
}

/// The user and tenant of a request.
pub async fn authenticate(
    state: &Arc<HttpState>,
    request: &HttpRequest,
    tenant: &str,
) -> Result<Authenticated, Rejection> {
    let given = credentials(request)
        .ok_or_else(|| Rejection::new(401, "a user and a password are needed"))?;
    let (state, tenant) = (Arc::clone(state), tenant.to_owned());
    // Checking a password takes milliseconds, on purpose.
    let checked = tokio::task::spawn_blocking(move || check(&state, &tenant, &given));
    checked.await.unwrap_or_else(|_| Err(Rejection::new(500, "internal error")))
}

fn check(state: &HttpState, tenant: &str, given: &Credentials) -> Result<Authenticated, Rejection> {
    let tenants = &state.tenants;
    if let Some((tenant, user)) = tenants.authenticate(tenant, &given.user, &given.password) {
        return Ok(Authenticated { tenant, user });
    }
    if tenants.knows_elsewhere(tenant, &given.user, &given.password) {
        return Err(Rejection::new(404, format!("tenant {tenant:?} does not exist")));
    }
    Err(Rejection::new(401, "wrong user or password"))
}

fn credentials(request: &HttpRequest) -> Option<Credentials> {
    let header = request.headers().get(AUTHORIZATION)?.to_str().ok()?;
    let (scheme, encoded) = header.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let decoded = String::from_utf8(STANDARD.decode(encoded.trim()).ok()?).ok()?;
    let (user, password) = decoded.split_once(':')?;
    Some(Credentials { user: user.to_owned(), password: password.to_owned() })
}
