//! Request bodies: JSON, within a limit, within time.

use actix_web::HttpRequest;
use actix_web::http::header::CONTENT_LENGTH;
use actix_web::{HttpMessage, web};
use futures::StreamExt;
use serde::de::DeserializeOwned;

use crate::http::problem::Rejection;
use crate::limits::HTTP_BODY_WAIT;

/// The body as JSON: 415 for another media type, 413 beyond the limit, 400 where it does not parse.
pub async fn json<T: DeserializeOwned>(
    request: &HttpRequest,
    payload: web::Payload,
    limit_bytes: usize,
) -> Result<T, Rejection> {
    let media_type = request.content_type().to_ascii_lowercase();
    if media_type != "application/json" {
        return Err(Rejection::new(415, "the body has to be application/json"));
    }
    let announced = request.headers().get(CONTENT_LENGTH);
    let announced = announced.and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
    if announced.is_some_and(|length| length > limit_bytes) {
        return Err(too_large(limit_bytes));
    }
    let body = tokio::time::timeout(HTTP_BODY_WAIT, collect(payload, limit_bytes)).await;
    let body = body.map_err(|_| Rejection::new(408, "the body did not arrive in time"))??;
    serde_json::from_slice(&body)
        .map_err(|error| Rejection::new(400, format!("the body is not what is expected: {error}")))
}

async fn collect(mut payload: web::Payload, limit_bytes: usize) -> Result<Vec<u8>, Rejection> {
    let mut body = Vec::new();
    while let Some(chunk) = payload.next().await {
        let chunk = chunk
            .map_err(|error| Rejection::new(400, format!("the body cannot be read: {error}")))?;
        if body.len() + chunk.len() > limit_bytes {
            return Err(too_large(limit_bytes));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

fn too_large(limit_bytes: usize) -> Rejection {
    Rejection::new(413, format!("the body has more than {limit_bytes} bytes"))
}
