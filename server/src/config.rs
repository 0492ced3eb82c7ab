//! Settings: a flag wins over the environment, which wins over `perfos.toml`, which wins over the
//! default.
//!
//! | key in `perfos.toml` | environment | flag |
//! |---|---|---|
//! | `data` | `PERFOS_DATA` | `--data` |
//! | `server` | `PERFOS_SERVER` | `--server` |
//! | `tenant` | `PERFOS_TENANT` | `--tenant` |
//! | `user` | `PERFOS_USER` | `--user` |
//! | `password` | `PERFOS_PASSWORD` | none: `--password-file` |
//! | `postgres` | `PERFOS_POSTGRES` | `--postgres` |
//! | `http` | `PERFOS_HTTP` | `--http` |
//! | `read_memory_bytes` | `PERFOS_READ_MEMORY_BYTES` | `--read-memory-bytes` |

use std::fmt;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::error::{Result, ServerError};

/// The file that is read where no other is named.
const FILE: &str = "perfos.toml";

/// One layer of settings: a file, the environment, or flags.
#[derive(Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// The data folder.
    pub data: Option<PathBuf>,
    /// The URL of a running server.
    pub server: Option<String>,
    /// The tenant.
    pub tenant: Option<String>,
    /// The user.
    pub user: Option<String>,
    /// His password.
    pub password: Option<String>,
    /// Where the Postgres wire is served.
    pub postgres: Option<String>,
    /// Where HTTP is served.
    pub http: Option<String>,
    /// Memory that the reads of one tenant share.
    pub read_memory_bytes: Option<u64>,
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let password = self.password.as_ref().map(|_| "redacted");
        f.debug_struct("Settings")
            .field("data", &self.data)
            .field("server", &self.server)
            .field("tenant", &self.tenant)
            .field("user", &self.user)
            .field("password", &password)
            .field("postgres", &self.postgres)
            .field("http", &self.http)
            .field("read_memory_bytes", &self.read_memory_bytes)
            .finish()
    }
}

/// Where a command acts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// On a data folder that nobody serves.
    Data(PathBuf),
    /// Through a running server.
    Server(String),
}

impl Settings {
    /// Reads `perfos.toml`: the one that is named, or the one in this folder if there is one.
    pub fn from_file(named: Option<&Path>) -> Result<Self> {
        let path = named.unwrap_or(Path::new(FILE));
        if named.is_none() && !path.exists() {
            return Ok(Self::default());
        }
        let text = std::fs::read_to_string(path).map_err(ServerError::io("read", path))?;
        Self::parse(&text)
            .map_err(|error| ServerError::Config(format!("{}: {error}", path.display())))
    }

    fn parse(text: &str) -> Result<Self, String> {
        toml::from_str(text).map_err(|error| {
            let line = error.span().map_or(1, |span| text[..span.start].matches('\n').count() + 1);
            // Messages quote what they complain about, which must not be the password.
            match text.lines().nth(line - 1) {
                Some(secret) if secret.contains("password") => {
                    format!("line {line}: the password is not a text")
                }
                _ => format!("line {line}: {}", error.message()),
            }
        })
    }

    /// Reads the environment.
    pub fn from_environment(variable: impl Fn(&str) -> Option<String>) -> Result<Self> {
        let text = |name: &str| variable(name).filter(|value| !value.is_empty());
        let bytes = text("PERFOS_READ_MEMORY_BYTES").map(|value| {
            value.parse().map_err(|_| {
                ServerError::Config("PERFOS_READ_MEMORY_BYTES is not a number of bytes".into())
            })
        });
        Ok(Self {
            data: text("PERFOS_DATA").map(PathBuf::from),
            server: text("PERFOS_SERVER"),
            tenant: text("PERFOS_TENANT"),
            user: text("PERFOS_USER"),
            password: text("PERFOS_PASSWORD"),
            postgres: text("PERFOS_POSTGRES"),
            http: text("PERFOS_HTTP"),
            read_memory_bytes: bytes.transpose()?,
        })
    }

    /// These settings, and those of a lower layer where there are none.
    #[must_use]
    pub fn over(self, lower: Self) -> Self {
        // A place is one setting with two spellings: the upper layer's hides the lower's.
        let place = if self.data.is_some() || self.server.is_some() {
            (self.data, self.server)
        } else {
            (lower.data, lower.server)
        };
        Self {
            data: place.0,
            server: place.1,
            tenant: self.tenant.or(lower.tenant),
            user: self.user.or(lower.user),
            password: self.password.or(lower.password),
            postgres: self.postgres.or(lower.postgres),
            http: self.http.or(lower.http),
            read_memory_bytes: self.read_memory_bytes.or(lower.read_memory_bytes),
        }
    }

    /// Where a command acts.
    pub fn place(&self) -> Result<Place> {
        match (&self.data, &self.server) {
            (Some(data), None) => Ok(Place::Data(data.clone())),
            (None, Some(server)) => Ok(Place::Server(server.trim_end_matches('/').to_owned())),
            (None, None) => Err(ServerError::Config(
                "say where: --data DIR for a data folder, or --server URL for a running server"
                    .into(),
            )),
            (Some(_), Some(_)) => Err(ServerError::Config(
                "both a data folder and a server are set; say which with --data or --server".into(),
            )),
        }
    }

    /// The data folder, for what works on one only.
    pub fn data(&self) -> Result<&Path> {
        self.data.as_deref().ok_or_else(|| {
            ServerError::Config("say which data folder: --data DIR or PERFOS_DATA".into())
        })
    }

    /// The tenant, for what needs one.
    pub fn tenant(&self) -> Result<&str> {
        self.tenant.as_deref().ok_or_else(|| {
            ServerError::Config("say which tenant: --tenant NAME or PERFOS_TENANT".into())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_upper_layer_wins() {
        let file = Settings::parse("data = \"a\"\ntenant = \"t\"\nhttp = \"h\"").unwrap();
        let variables = |name: &str| match name {
            "PERFOS_SERVER" => Some("http://s/".to_owned()),
            "PERFOS_TENANT" => Some("u".to_owned()),
            "PERFOS_USER" => Some(String::new()),
            _ => None,
        };
        let settings = Settings::from_environment(variables).unwrap().over(file);
        assert_eq!(settings.place().unwrap(), Place::Server("http://s".into()));
        assert_eq!(settings.tenant().unwrap(), "u");
        assert_eq!((settings.http.as_deref(), settings.user), (Some("h"), None));
    }

    #[test]
    fn mistakes_are_located_and_do_not_show_secrets() {
        let error = Settings::parse("data = \"a\"\npassword = 12345678").unwrap_err();
        assert!(error.starts_with("line 2:") && !error.contains("12345678"), "{error}");
        assert!(Settings::parse("daat = \"a\"").unwrap_err().contains("daat"));
        let settings = Settings { password: Some("hidden".into()), ..Settings::default() };
        assert!(!format!("{settings:?}").contains("hidden"));
        assert!(Settings::default().place().is_err());
    }
}
