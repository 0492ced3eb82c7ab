//! Session settings: those of our own and those that PostgreSQL clients set.

use std::collections::BTreeMap;

use crate::error::SqlError;

/// What `sum` and `avg` do where they could mislead.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Aggregates {
    /// An error with a hint.
    #[default]
    Strict,
    /// `sum(x)` means `measure(x)`.
    Cube,
    /// Plain SQL over leaves.
    Leaf,
}

/// Name, default and meaning of every setting.
const KNOWN: [(&str, &str, &str); 27] = [
    ("application_name", "", "Name of the client program."),
    ("bytea_output", "hex", "Output format of bytea."),
    ("client_encoding", "UTF8", "Character encoding of the client."),
    ("client_min_messages", "notice", "Least severe message sent to the client."),
    ("datestyle", "ISO, MDY", "Form of dates."),
    ("default_transaction_isolation", "repeatable read", "Isolation of new transactions."),
    ("default_transaction_read_only", "off", "Whether new transactions are read only."),
    ("extra_float_digits", "1", "Digits of floating-point output."),
    ("idle_in_transaction_session_timeout", "0", "Longest idle time in a transaction, in ms."),
    ("integer_datetimes", "on", "Whether dates are integers."),
    ("intervalstyle", "postgres", "Form of intervals."),
    ("lock_timeout", "0", "Longest wait for a lock, in ms."),
    ("max_identifier_length", "63", "Longest identifier."),
    (
        "perfos.aggregates",
        "strict",
        "What sum and avg do where they could mislead: strict, cube or leaf.",
    ),
    (
        "perfos.maintained_aggregates",
        "on",
        "Whether maintained aggregates may answer; off: all rows are looked at.",
    ),
    ("perfos.reason", "", "Why the session writes: the reason of its ledger entries."),
    ("row_security", "on", "Whether row security is applied."),
    ("search_path", "\"$user\", public", "Schemas searched for names."),
    ("server_encoding", "UTF8", "Character encoding of the server."),
    ("server_version", "15.18", "PostgreSQL version whose behaviour is followed."),
    ("server_version_num", "150018", "The same as a number."),
    ("standard_conforming_strings", "on", "Whether backslashes are plain in strings."),
    ("statement_timeout", "0", "Longest time of a statement, in ms; 0 is none."),
    ("timezone", "UTC", "Time zone of the session."),
    ("transaction_isolation", "repeatable read", "Isolation of this transaction."),
    ("transaction_read_only", "off", "Whether this transaction is read only."),
    ("xmloption", "content", "Form of XML values."),
];

/// A session's settings.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Settings {
    changed: BTreeMap<String, String>,
}

impl Settings {
    /// The value in force.
    pub fn get(&self, name: &str) -> Result<String, SqlError> {
        let name = canonical(name);
        if let Some(value) = self.changed.get(&name) {
            return Ok(value.clone());
        }
        let known = KNOWN.iter().find(|(known, _, _)| *known == name);
        known.map(|(_, value, _)| (*value).to_string()).ok_or_else(|| unknown(&name))
    }

    /// Sets a value.
    pub fn set(&mut self, name: &str, value: &str) -> Result<(), SqlError> {
        let name = canonical(name);
        if !KNOWN.iter().any(|(known, _, _)| *known == name) {
            return Err(unknown(&name));
        }
        match name.as_str() {
            "perfos.aggregates" => drop(parse_aggregates(value)?),
            "perfos.maintained_aggregates" => drop(parse_switch(&name, value)?),
            "statement_timeout" => drop(parse_milliseconds(&name, value)?),
            "server_version" | "server_version_num" | "server_encoding" | "integer_datetimes" => {
                return Err(SqlError::new(
                    "55P02",
                    format!("parameter \"{name}\" cannot be changed"),
                ));
            }
            "client_encoding"
                if !value.eq_ignore_ascii_case("utf8") && !value.eq_ignore_ascii_case("utf-8") =>
            {
                return Err(invalid(&name, value).with_hint("UTF8 is the encoding of every client"));
            }
            _ => {}
        }
        self.changed.insert(name, value.to_string());
        Ok(())
    }

    /// Back to the default.
    pub fn reset(&mut self, name: &str) -> Result<(), SqlError> {
        let name = canonical(name);
        self.get(&name)?;
        self.changed.remove(&name);
        Ok(())
    }

    /// All back to their defaults.
    pub fn reset_all(&mut self) {
        self.changed.clear();
    }

    /// What `sum` and `avg` do.
    pub fn aggregates(&self) -> Aggregates {
        let value = self.get("perfos.aggregates").unwrap_or_default();
        parse_aggregates(&value).unwrap_or_default()
    }

    /// Whether a setting that is on or off is on.
    pub fn is_on(&self, name: &str) -> bool {
        parse_switch(name, &self.get(name).unwrap_or_default()).unwrap_or(false)
    }

    /// The schemas that are searched for names, in order.
    pub fn search_path(&self) -> Vec<String> {
        path_of(&self.get("search_path").unwrap_or_default())
    }

    /// Why the session writes.
    pub fn reason(&self) -> String {
        self.get("perfos.reason").unwrap_or_default()
    }

    /// The longest time of a statement, in ms.
    pub fn statement_timeout_ms(&self) -> Option<u64> {
        let value = self.get("statement_timeout").ok()?;
        parse_milliseconds("statement_timeout", &value).ok().filter(|&ms| ms > 0)
    }

    /// Name, value and meaning of all settings.
    pub fn all(&self) -> Vec<(String, String, String)> {
        let row = |(name, default, meaning): &(&str, &str, &str)| {
            let value = self.changed.get(*name).cloned().unwrap_or_else(|| (*default).to_string());
            ((*name).to_string(), value, (*meaning).to_string())
        };
        KNOWN.iter().map(row).collect()
    }
}

fn parse_switch(name: &str, value: &str) -> Result<bool, SqlError> {
    let is_one_of = |words: [&str; 4]| words.iter().any(|word| value.eq_ignore_ascii_case(word));
    match value {
        _ if is_one_of(["on", "true", "yes", "1"]) => Ok(true),
        _ if is_one_of(["off", "false", "no", "0"]) => Ok(false),
        _ => Err(invalid(name, value).with_hint("it is on or off")),
    }
}

/// The schemas of a search path, as it is written. Names of schemas are in lower case.
pub fn path_of(path: &str) -> Vec<String> {
    let name = |part: &str| part.trim().trim_matches('"').to_lowercase();
    path.split(',').map(name).filter(|name| !name.is_empty()).collect()
}

fn canonical(name: &str) -> String {
    match name.to_lowercase().as_str() {
        "time zone" => "timezone".into(),
        "transaction isolation level" => "transaction_isolation".into(),
        lower => lower.into(),
    }
}

fn unknown(name: &str) -> SqlError {
    SqlError::new("42704", format!("unrecognized configuration parameter \"{name}\""))
}

fn invalid(name: &str, value: &str) -> SqlError {
    SqlError::new("22023", format!("invalid value for parameter \"{name}\": \"{value}\""))
}

fn parse_aggregates(value: &str) -> Result<Aggregates, SqlError> {
    match value.to_lowercase().as_str() {
        "strict" => Ok(Aggregates::Strict),
        "cube" => Ok(Aggregates::Cube),
        "leaf" => Ok(Aggregates::Leaf),
        _ => {
            Err(invalid("perfos.aggregates", value)
                .with_hint("available values: strict, cube, leaf"))
        }
    }
}

/// PostgreSQL's time values: a number of milliseconds, or one with a unit.
fn parse_milliseconds(name: &str, value: &str) -> Result<u64, SqlError> {
    let value = value.trim();
    let digits = value.find(|c: char| !c.is_ascii_digit()).unwrap_or(value.len());
    let number: u64 = value[..digits].parse().map_err(|_| invalid(name, value))?;
    let factor = match value[digits..].trim() {
        "" | "ms" => 1,
        "s" => 1_000,
        "min" => 60_000,
        "h" => 3_600_000,
        _ => return Err(invalid(name, value).with_hint("valid units are ms, s, min and h")),
    };
    number.checked_mul(factor).ok_or_else(|| invalid(name, value))
}
