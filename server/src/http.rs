//! The HTTP API: `/healthz`, `/readyz` and `/api/v1/tenants/{tenant}/...`.
//!
//! Handlers check who asks before they read a body, hand computations to rayon and queries to the
//! server's runtime, and answer errors as problem documents.

pub mod authentication;
pub mod body;
pub mod branches;
pub mod handlers;
pub mod problem;
pub mod rules;
pub mod upload;

use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use actix_web::dev::Server;
use actix_web::{App, HttpResponse, HttpServer, web};

use crate::error::{Result, ServerError};
use crate::http::problem::Rejection;
use crate::limits::{HTTP_CONNECTIONS_MAX, HTTP_REQUEST_WAIT, SHUTDOWN_WAIT};
use crate::tenants::Tenants;

/// What handlers work on.
pub struct HttpState {
    /// The tenants.
    pub tenants: Arc<Tenants>,
    /// Where queries run: a handler's own thread serves other connections.
    pub runtime: tokio::runtime::Handle,
    /// Set once the server is about to stop.
    pub stopping: AtomicBool,
}

impl HttpState {
    /// Whether new work is welcome.
    pub fn is_ready(&self) -> bool {
        !self.stopping.load(Ordering::Relaxed)
    }
}

/// Serves HTTP on a listener until it is told to stop.
pub fn serve(listener: TcpListener, state: Arc<HttpState>) -> Result<Server> {
    let app = move || {
        App::new()
            .app_data(web::Data::from(Arc::clone(&state)))
            .configure(routes)
            .default_service(web::to(not_found))
    };
    let server = HttpServer::new(app)
        .disable_signals()
        .client_request_timeout(HTTP_REQUEST_WAIT)
        .max_connections(HTTP_CONNECTIONS_MAX)
        .shutdown_timeout(SHUTDOWN_WAIT.as_secs())
        .listen(listener)
        .map_err(ServerError::io("listen on", "the HTTP address"))?;
    Ok(server.run())
}

fn routes(config: &mut web::ServiceConfig) {
    let resource =
        |path: &str| web::resource(path.to_owned()).default_service(web::to(not_allowed));
    config
        .service(resource("/healthz").route(web::get().to(handlers::healthz)))
        .service(resource("/readyz").route(web::get().to(handlers::readyz)))
        .service(
            web::scope("/api/v1/tenants/{tenant}")
                .service(resource("/model").route(web::post().to(handlers::apply)))
                .service(resource("/load").route(web::post().to(handlers::load)))
                .service(resource("/assertions").route(web::get().to(handlers::assertions)))
                .service(resource("/explain").route(web::get().to(handlers::explain)))
                .service(resource("/query").route(web::post().to(handlers::query)))
                .service(resource("/ledger").route(web::get().to(handlers::ledger)))
                .service(
                    resource("/branches")
                        .route(web::get().to(branches::list))
                        .route(web::post().to(branches::create)),
                )
                .service(
                    resource("/branches/{branch}").route(web::delete().to(branches::drop_branch)),
                )
                .service(resource("/compare").route(web::get().to(branches::compare)))
                .service(
                    resource("/rules")
                        .route(web::get().to(rules::list))
                        .route(web::post().to(rules::set)),
                )
                .service(resource("/rules/remove").route(web::post().to(rules::remove)))
                .service(resource("/rules/rollback").route(web::post().to(rules::roll_back)))
                .service(resource("/rules/compare").route(web::post().to(rules::compare))),
        );
}

async fn not_found() -> Result<HttpResponse, Rejection> {
    Err(Rejection::new(404, "there is nothing at this address"))
}

async fn not_allowed() -> Result<HttpResponse, Rejection> {
    Err(Rejection::new(405, "this address does not take this method"))
}
