//! From the first byte to the first ReadyForQuery: startup packet, SCRAM-SHA-256, parameters.
//!
//! A client that has not proved its password learns nothing: an unknown tenant, an unknown user and
//! a wrong password take the same messages and end in the same 28P01.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use pgwire::api::auth::sasl::scram::ScramServerAuth;
use tokio::sync::OwnedSemaphorePermit;

use super::cancel::Registration;
use super::channel::Channel;
use super::message::{PROTOCOL_VIOLATION, Sasl, Startup};
use super::{End, House, SERVER_VERSION, StartupOptions, Verifier};
use crate::error::SqlError;
use crate::sql::session::Session;

/// The one way to authenticate; there is no TLS to bind a channel to.
const MECHANISM: &str = "SCRAM-SHA-256";

/// A client that is who it says.
pub(super) struct Started {
    pub(super) database: String,
    pub(super) user: String,
    pub(super) options: StartupOptions,
    pub(super) session: Box<dyn Session>,
    /// The connection's place among those that may be open.
    _permit: OwnedSemaphorePermit,
}

/// What a startup packet asks for.
struct Request {
    database: String,
    user: String,
    options: StartupOptions,
    minor: u16,
    /// Protocol options this server does not know.
    unknown_options: Vec<String>,
}

/// Brings a client to its session; `None` when it left or only wanted to cancel.
pub(super) async fn start(
    house: &House,
    channel: &mut Channel,
    peer: SocketAddr,
) -> Result<Option<Started>, End> {
    let authenticating = authenticate(house, channel, peer);
    let authenticated = tokio::time::timeout(house.limits.authentication_timeout, authenticating)
        .await
        .map_err(|_| SqlError::new("57014", "canceling authentication due to timeout"))??;
    let Some((request, permit)) = authenticated else {
        return Ok(None);
    };
    let Request { database, user, options, .. } = request;
    let session = house.directory.open(&database, &user, &options).await?;
    Ok(Some(Started { database, user, options, session, _permit: permit }))
}

async fn authenticate(
    house: &House,
    channel: &mut Channel,
    peer: SocketAddr,
) -> Result<Option<(Request, OwnedSemaphorePermit)>, End> {
    let Some(request) = request(house, channel, peer).await? else {
        return Ok(None);
    };
    let permit = Arc::clone(&house.connections).try_acquire_owned().map_err(|_| {
        SqlError::new("53300", "sorry, too many clients already")
            .with_detail(format!("at most {} may be connected", house.limits.connections_max))
            .with_hint("close connections that are idle, or pool them")
    })?;
    if request.minor > 0 || !request.unknown_options.is_empty() {
        let options: Vec<&str> = request.unknown_options.iter().map(String::as_str).collect();
        channel.output.negotiate_protocol_version(0, &options);
    }
    if !prove(house, channel, &request).await? {
        return Ok(None);
    }
    Ok(Some((request, permit)))
}

/// Reads startup packets until one asks for a session.
async fn request(
    house: &House,
    channel: &mut Channel,
    peer: SocketAddr,
) -> Result<Option<Request>, End> {
    // TLS and GSSAPI may each be asked for once.
    for _ in 0..3 {
        let Some(body) = channel.read_packet(house.limits.startup_bytes_max).await? else {
            return Ok(None);
        };
        match Startup::read(body)? {
            Startup::Ssl | Startup::Gss => {
                channel.output.refuse_encryption();
                channel.flush().await?;
            }
            Startup::Cancel { pid, secret } => {
                house.registry.cancel(pid, &secret);
                return Ok(None);
            }
            Startup::Session { major: 3, minor, parameters } => {
                return Ok(Some(read_parameters(minor, parameters, peer)?));
            }
            Startup::Session { major, minor, .. } => {
                return Err(SqlError::new(
                    "0A000",
                    format!(
                        "unsupported frontend protocol {major}.{minor}: \
                         server supports 3.0 to 3.0"
                    ),
                )
                .into());
            }
        }
    }
    Err(SqlError::new(PROTOCOL_VIOLATION, "encryption was asked for again and again").into())
}

fn read_parameters(
    minor: u16,
    parameters: Vec<(String, String)>,
    peer: SocketAddr,
) -> Result<Request, SqlError> {
    let mut user = String::new();
    let mut database = String::new();
    let mut unknown_options = Vec::new();
    let mut settings = BTreeMap::new();
    for (name, value) in parameters {
        match name.as_str() {
            "user" => user = value,
            "database" => database = value,
            "options" => settings.extend(command_line_settings(&value)?),
            "replication" if !matches!(value.as_str(), "false" | "off" | "no" | "0") => {
                return Err(SqlError::new("0A000", "replication connections are not supported"));
            }
            "replication" => {}
            _ if name.starts_with("_pq_.") => unknown_options.push(name),
            _ => {
                settings.insert(name.to_ascii_lowercase(), value);
            }
        }
    }
    if user.is_empty() {
        return Err(SqlError::new("28000", "no PostgreSQL user name specified in startup packet"));
    }
    if database.is_empty() {
        database.clone_from(&user);
    }
    if let Some(encoding) = settings.remove("client_encoding") {
        check_encoding(&encoding)?;
    }
    let application_name = settings.remove("application_name").unwrap_or_default();
    let options = StartupOptions { peer, application_name, settings };
    Ok(Request { database, user, options, minor, unknown_options })
}

/// Text is UTF-8 both ways; `SQL_ASCII` asks for no conversion, which is the same.
fn check_encoding(encoding: &str) -> Result<(), SqlError> {
    let plain: String =
        encoding.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_lowercase();
    if matches!(plain.as_str(), "utf8" | "unicode" | "sqlascii") {
        return Ok(());
    }
    Err(SqlError::new(
        "22023",
        format!("invalid value for parameter \"client_encoding\": \"{encoding}\""),
    )
    .with_hint("this server speaks UTF8"))
}

/// The settings of `-c name=value --name=value`, where a backslash escapes a space.
fn command_line_settings(options: &str) -> Result<Vec<(String, String)>, SqlError> {
    let invalid =
        || SqlError::new("42601", format!("invalid command-line argument for server: {options}"));
    let mut words = split_words(options).into_iter();
    let mut settings = Vec::new();
    while let Some(word) = words.next() {
        let setting = if word == "-c" {
            words.next().ok_or_else(invalid)?
        } else if let Some(rest) = word.strip_prefix("--").or_else(|| word.strip_prefix("-c")) {
            rest.to_owned()
        } else {
            return Err(invalid());
        };
        let (name, value) = setting.split_once('=').ok_or_else(invalid)?;
        settings.push((name.replace('-', "_").to_ascii_lowercase(), value.to_owned()));
    }
    Ok(settings)
}

fn split_words(options: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = String::new();
    let mut chars = options.chars();
    while let Some(next) = chars.next() {
        match next {
            '\\' => word.extend(chars.next()),
            space if space.is_ascii_whitespace() => words.push(std::mem::take(&mut word)),
            other => word.push(other),
        }
    }
    words.push(word);
    words.retain(|word| !word.is_empty());
    words
}

/// The SCRAM exchange; false when the client left during it.
async fn prove(house: &House, channel: &mut Channel, request: &Request) -> Result<bool, End> {
    let refused = || {
        SqlError::new(
            "28P01",
            format!("password authentication failed for user \"{}\"", request.user),
        )
    };
    channel.output.authentication_sasl(MECHANISM);
    let Some(first) = password_message(house, channel).await? else {
        return Ok(false);
    };
    let first = Sasl::read_initial(first)?;
    if first.mechanism != MECHANISM {
        return Err(SqlError::new(
            PROTOCOL_VIOLATION,
            "client selected an invalid SASL authentication mechanism",
        )
        .into());
    }
    let known = house.directory.verifier(&request.database, &request.user).await;
    let may_pass = known.is_some();
    let verifier = known.unwrap_or_else(|| {
        Verifier::made_up(&request.database, &request.user, &house.decoy_secret)
    });
    let (server_first, exchange) = ScramServerAuth::new()
        .on_client_first_message_with_secret(&first.data, verifier.into_secret())
        .map_err(|_| SqlError::new(PROTOCOL_VIOLATION, "malformed SCRAM message"))?;
    channel.output.authentication_sasl_continue(&server_first);
    let Some(last) = password_message(house, channel).await? else {
        return Ok(false);
    };
    match exchange.on_client_final_message(&last) {
        Ok(server_final) if may_pass => {
            channel.output.authentication_sasl_final(&server_final);
            channel.output.authentication_ok();
            Ok(true)
        }
        _ => {
            tracing::info!(
                peer = %request.options.peer,
                tenant = request.database,
                user = request.user,
                "authentication failed"
            );
            Err(refused().into())
        }
    }
}

/// Sends what is waiting and reads the client's answer.
async fn password_message(house: &House, channel: &mut Channel) -> Result<Option<Bytes>, End> {
    channel.flush().await?;
    match channel.read_message(house.limits.startup_bytes_max).await? {
        None => Ok(None),
        Some((b'p', body)) => Ok(Some(body)),
        Some((kind, _)) => Err(SqlError::new(
            PROTOCOL_VIOLATION,
            format!("expected SASL response, got message type {kind}"),
        )
        .into()),
    }
}

/// Tells the client the session's parameters and its cancel key, and that it may begin.
pub(super) async fn welcome(
    channel: &mut Channel,
    user: &str,
    options: &StartupOptions,
    registration: &Registration,
    session: &dyn Session,
) -> Result<(), End> {
    let output = &mut channel.output;
    for (name, value) in [
        ("application_name", options.application_name.as_str()),
        ("client_encoding", "UTF8"),
        ("DateStyle", "ISO, MDY"),
        ("default_transaction_read_only", "off"),
        ("in_hot_standby", "off"),
        ("integer_datetimes", "on"),
        ("IntervalStyle", "postgres"),
        ("is_superuser", "off"),
        ("server_encoding", "UTF8"),
        ("server_version", SERVER_VERSION),
        ("session_authorization", user),
        ("standard_conforming_strings", "on"),
        ("TimeZone", "UTC"),
    ] {
        output.parameter_status(name, value);
    }
    output.backend_key_data(registration.pid, &registration.secret);
    output.ready_for_query(session.transaction_status());
    channel.flush().await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_of_the_command_line_are_read() {
        let settings =
            command_line_settings(r"-c search_path=a,b --statement-timeout=5 -cx=1\ 2").unwrap();
        let expected = [("search_path", "a,b"), ("statement_timeout", "5"), ("x", "1 2")];
        assert_eq!(settings, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
        assert!(command_line_settings("-c").is_err());
        assert!(command_line_settings("-d 5").is_err());
    }

    #[test]
    fn a_packet_without_a_user_is_refused() {
        let peer = SocketAddr::from(([127, 0, 0, 1], 1));
        let owned = |pairs: &[(&str, &str)]| {
            pairs.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect::<Vec<_>>()
        };
        let refused = read_parameters(0, owned(&[("database", "x")]), peer).err().unwrap();
        assert_eq!(refused.sqlstate, "28000");
        let latin = owned(&[("user", "x"), ("client_encoding", "LATIN1")]);
        assert_eq!(read_parameters(0, latin, peer).err().unwrap().sqlstate, "22023");
        let request =
            read_parameters(0, owned(&[("user", "x"), ("client_encoding", "'utf-8'")]), peer);
        assert_eq!(request.unwrap().database, "x");
    }
}
