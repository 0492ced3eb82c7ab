//! A load over HTTP: multipart/form-data (RFC 7578), of which files go to disk as they arrive.
//!
//! Parts, in any order: `load`, which says as JSON where rows go and why; `file`; `map`, if there is
//! one; a `lookup` for each file that the map looks up. Files have their names with them. Nothing is
//! loaded before all of it has arrived.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{ErrorKind, Write};
use std::sync::Arc;

use actix_multipart::{Field, Multipart, MultipartError};
use actix_web::http::header::CONTENT_LENGTH;
use actix_web::{HttpMessage, HttpRequest, web};
use futures::StreamExt;
use protocol::error::SqlError;
use serde::Deserialize;

use crate::error::ServerError;
use crate::http::HttpState;
use crate::http::handlers::main_branch;
use crate::http::problem::{Problem, Rejection};
use crate::limits::{
    LOAD_BODY_BYTES_MAX, LOAD_LOOKUPS_MAX, LOAD_MAP_BYTES_MAX, LOAD_PART_WAIT,
    LOAD_WORDS_BYTES_MAX, LOAD_WRITE_BYTES,
};
use crate::load::{LoadFile, LoadRequest, NamedText, Target, Unwatched};

/// What the part `load` says.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Words {
    target: Target,
    /// The branch.
    #[serde(default = "main_branch")]
    pub branch: String,
    /// Why.
    #[serde(default)]
    pub reason: String,
}

/// The parts that arrived.
#[derive(Default)]
struct Parts {
    words: Option<Words>,
    file: Option<LoadFile>,
    map: Option<NamedText>,
    lookups: BTreeMap<String, LoadFile>,
}

/// Receives a load.
pub async fn receive(
    state: &web::Data<HttpState>,
    request: &HttpRequest,
    payload: web::Payload,
) -> Result<(Words, LoadRequest), Rejection> {
    if !request.content_type().eq_ignore_ascii_case("multipart/form-data") {
        return Err(Problem::new(415, "the body has to be multipart/form-data")
            .with_hint("its parts are load (JSON), file, map and lookup: docs/loading.md")
            .into());
    }
    let announced = request.headers().get(CONTENT_LENGTH);
    let announced = announced.and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    if announced.is_some_and(|length| length > LOAD_BODY_BYTES_MAX) {
        return Err(too_large(LOAD_BODY_BYTES_MAX));
    }
    let mut body = Multipart::new(request.headers(), payload);
    let mut left_bytes = LOAD_BODY_BYTES_MAX;
    let mut parts = Parts::default();
    while let Some(field) = in_time(body.next()).await? {
        parts.take(state, field.map_err(broken)?, &mut left_bytes).await?;
    }
    parts.complete()
}

impl Parts {
    async fn take(
        &mut self,
        state: &web::Data<HttpState>,
        mut field: Field,
        left_bytes: &mut u64,
    ) -> Result<(), Rejection> {
        let part = field.name().unwrap_or_default().to_owned();
        let name = field.content_disposition().and_then(|it| it.get_filename()).map(str::to_owned);
        match part.as_str() {
            "load" if self.words.is_none() => {
                let words = text(&mut field, &part, LOAD_WORDS_BYTES_MAX).await?;
                let words = serde_json::from_str(&words);
                self.words = Some(words.map_err(|error| {
                    Rejection::new(400, format!("load is not what is expected: {error}"))
                })?);
            }
            "map" if self.map.is_none() => {
                let content = text(&mut field, &part, LOAD_MAP_BYTES_MAX).await?;
                self.map = Some(NamedText { name: name.unwrap_or("map".into()), content });
            }
            "file" if self.file.is_none() => {
                self.file = Some(file(state, &mut field, named(&part, name)?, left_bytes).await?);
            }
            "lookup" if self.lookups.len() < LOAD_LOOKUPS_MAX => {
                let name = named(&part, name)?;
                let lookup = file(state, &mut field, name.clone(), left_bytes).await?;
                self.lookups.insert(name, lookup);
            }
            _ => {
                return Err(Problem::new(400, format!("there is one part {part:?} too many"))
                    .with_hint(format!(
                        "the parts are load, file, map and up to {LOAD_LOOKUPS_MAX} of lookup"
                    ))
                    .into());
            }
        }
        Ok(())
    }

    fn complete(self) -> Result<(Words, LoadRequest), Rejection> {
        let Self { words, file, map, lookups } = self;
        let missing = |part: &str| Rejection::new(400, format!("the part {part} is missing"));
        let words = words.ok_or_else(|| missing("load"))?;
        let file = file.ok_or_else(|| missing("file"))?;
        let target = words.target.clone();
        Ok((words, LoadRequest { target, file, map, lookups, progress: Arc::new(Unwatched) }))
    }
}

/// What a part that has to name its file calls it.
fn named(part: &str, name: Option<String>) -> Result<String, Rejection> {
    name.filter(|name| !name.is_empty())
        .ok_or_else(|| Rejection::new(400, format!("the part {part} does not name its file")))
}

/// A part as a text.
async fn text(field: &mut Field, part: &str, limit_bytes: usize) -> Result<String, Rejection> {
    let mut bytes = Vec::new();
    while let Some(chunk) = in_time(field.next()).await? {
        bytes.extend_from_slice(&chunk.map_err(broken)?);
        if bytes.len() > limit_bytes {
            return Err(Rejection::new(
                413,
                format!("the part {part} has more than {limit_bytes} bytes"),
            ));
        }
    }
    String::from_utf8(bytes)
        .map_err(|_| Rejection::new(400, format!("the part {part} is not UTF-8")))
}

/// A part as a file without a place in any folder: it is gone once nobody reads it.
async fn file(
    state: &web::Data<HttpState>,
    field: &mut Field,
    name: String,
    left_bytes: &mut u64,
) -> Result<LoadFile, Rejection> {
    let mut received = state.tenants.unnamed_file()?;
    let mut waiting = Vec::with_capacity(LOAD_WRITE_BYTES);
    while let Some(chunk) = in_time(field.next()).await? {
        let chunk = chunk.map_err(broken)?;
        *left_bytes = left_bytes
            .checked_sub(chunk.len() as u64)
            .ok_or_else(|| too_large(LOAD_BODY_BYTES_MAX))?;
        waiting.extend_from_slice(&chunk);
        if waiting.len() >= LOAD_WRITE_BYTES {
            (received, waiting) = written(state, received, waiting).await?;
        }
    }
    let (received, _) = written(state, received, waiting).await?;
    LoadFile::received(name, received).map_err(|message| Rejection::new(413, message))
}

/// Writes on a thread that may wait for the disk; gives the buffer back empty.
async fn written(
    state: &web::Data<HttpState>,
    mut file: File,
    mut bytes: Vec<u8>,
) -> Result<(File, Vec<u8>), Rejection> {
    let writing = state.runtime.spawn_blocking(move || {
        file.write_all(&bytes)?;
        bytes.clear();
        Ok((file, bytes))
    });
    let written = writing.await.map_err(|error| {
        tracing::error!(%error, "an upload failed");
        SqlError::new("XX000", "internal error")
    })?;
    written.map_err(|error: std::io::Error| match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => {
            SqlError::new("53100", "there is no room on the server's disk for the file").into()
        }
        _ => ServerError::io("write", "an uploaded file")(error).into(),
    })
}

/// What comes within the time that a client has for it.
async fn in_time<T>(coming: impl Future<Output = T>) -> Result<T, Rejection> {
    let came = tokio::time::timeout(LOAD_PART_WAIT, coming).await;
    came.map_err(|_| Rejection::new(408, "the body did not arrive in time"))
}

fn broken(error: MultipartError) -> Rejection {
    Rejection::new(400, format!("the body cannot be read: {error}"))
}

fn too_large(limit_bytes: u64) -> Rejection {
    Rejection::new(413, format!("the body has more than {limit_bytes} bytes"))
}
