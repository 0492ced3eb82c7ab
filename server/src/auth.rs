//! Users, their roles and the proof of their passwords.
//!
//! Invariant: a password is never kept, logged or printed; of the proof only salt and iterations
//! show. Comparing takes the same time whether and where secrets differ, and an unknown user takes
//! as long as a known one.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::LazyLock;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use pgwire::api::auth::sasl::scram::random_nonce;
use protocol::error::SqlError;
pub use protocol::pgwire::Verifier;
use protocol::sql::settings::Settings;
use serde::{Deserialize, Serialize};

use crate::error::{Result, ServerError};
use crate::limits::{PASSWORD_BYTES_MAX, PASSWORD_CHARS_MIN, USER_NAME_BYTES_MAX, USERS_MAX};

/// What a user may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Changes the model, loads and writes.
    Administrator,
    /// Loads and writes.
    Preparer,
    /// Approves what others prepared; reads.
    Approver,
    /// Reads.
    Reader,
}

impl Role {
    /// Whether the role writes members, cells and rows.
    pub fn may_write(self) -> bool {
        matches!(self, Self::Administrator | Self::Preparer)
    }

    /// Whether the role changes the model.
    pub fn may_change_model(self) -> bool {
        self == Self::Administrator
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Administrator => "administrator",
            Self::Preparer => "preparer",
            Self::Approver => "approver",
            Self::Reader => "reader",
        })
    }
}

/// A user of one tenant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct User {
    /// The name, unique in the tenant.
    pub name: String,
    /// What he may do.
    pub role: Role,
    /// The proof of his password.
    pub verifier: Verifier,
    /// What his SQL sessions begin with: setting to value.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub settings: BTreeMap<String, String>,
}

/// The users of one tenant, as `users.json` holds them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Users {
    format: u32,
    users: Vec<User>,
}

impl Default for Users {
    fn default() -> Self {
        Self { format: 1, users: Vec::new() }
    }
}

impl Users {
    /// Reads `users.json`.
    pub fn parse(contents: &[u8]) -> Result<Self> {
        let malformed =
            |reason: String| ServerError::Malformed { name: "users.json".into(), reason };
        let users: Self =
            serde_json::from_slice(contents).map_err(|error| malformed(error.to_string()))?;
        match users.format {
            1 => Ok(users),
            format => Err(malformed(format!("format {format} is unknown to this release"))),
        }
    }

    /// Writes `users.json`.
    pub fn to_json(&self) -> Vec<u8> {
        serde_json::to_vec_pretty(self).expect("users are plain data")
    }

    /// The user of a name.
    pub fn find(&self, name: &str) -> Option<&User> {
        self.users.iter().find(|user| user.name == name)
    }

    /// All users in the order in which they were added.
    pub fn iter(&self) -> impl Iterator<Item = &User> {
        self.users.iter()
    }

    /// These users and a new one.
    pub fn with(&self, name: &str, role: Role, password: &str) -> Result<Self> {
        check_user_name(name)?;
        check_password(password)?;
        if self.find(name).is_some() {
            return Err(ServerError::UserExists { name: name.to_owned() });
        }
        if self.users.len() >= USERS_MAX {
            return Err(ServerError::Limit { what: "users of a tenant", limit: USERS_MAX });
        }
        let mut users = self.clone();
        let verifier = verifier_of(password);
        let settings = BTreeMap::new();
        users.users.push(User { name: name.to_owned(), role, verifier, settings });
        Ok(users)
    }

    /// These users, one of them with a setting that his SQL sessions begin with.
    pub fn with_setting(&self, name: &str, setting: &str, value: &str) -> Result<Self> {
        Settings::default().set(setting, value)?;
        let mut users = self.clone();
        let user = users.users.iter_mut().find(|user| user.name == name);
        let user = user.ok_or_else(|| {
            let error = SqlError::new("42704", format!("user {name:?} does not exist"));
            error.with_hint("`perfos user list` shows the users there are.")
        })?;
        user.settings.insert(setting.to_lowercase(), value.to_owned());
        Ok(users)
    }

    /// These users but the one of a name.
    #[must_use]
    pub fn without(&self, name: &str) -> Self {
        let mut users = self.clone();
        users.users.retain(|user| user.name != name);
        users
    }

    /// The user whose name and password these are; takes the same time for a name that is unknown.
    pub fn authenticate(&self, name: &str, password: &str) -> Option<&User> {
        let user = self.find(name);
        let verifier = user.map_or(&*DECOY, |user| &user.verifier);
        let matches = password.len() <= PASSWORD_BYTES_MAX && verifier.matches(password);
        user.filter(|_| matches)
    }
}

/// A proof that no password meets, checked in place of that of an unknown user.
static DECOY: LazyLock<Verifier> = LazyLock::new(|| {
    verifier_of(&STANDARD.encode([random_bytes::<16>(), random_bytes::<16>()].concat()))
});

/// The proof of a new password.
fn verifier_of(password: &str) -> Verifier {
    let salt = random_bytes::<{ Verifier::SALT_BYTES }>();
    Verifier::from_password(password, &salt, Verifier::ITERATIONS)
}

/// A name that fits the wire, HTTP Basic and the ledger.
fn check_user_name(name: &str) -> Result<()> {
    let fits = name.len() <= USER_NAME_BYTES_MAX
        && name.chars().next().is_some_and(char::is_alphanumeric)
        && name.chars().all(|c| c.is_alphanumeric() || "_.@+-".contains(c));
    if fits {
        return Ok(());
    }
    let rule = "1 to 63 bytes, letters, digits and _ . @ + -, beginning with a letter or digit";
    Err(ServerError::InvalidName { kind: "user", name: name.to_owned(), rule })
}

/// Refuses passwords that are too short to be one, or too long to be hashed.
pub fn check_password(password: &str) -> Result<()> {
    if password.chars().count() < PASSWORD_CHARS_MIN {
        return Err(ServerError::InvalidPassword("needs at least 8 characters"));
    }
    if password.len() > PASSWORD_BYTES_MAX {
        return Err(ServerError::InvalidPassword("has more than 1024 bytes"));
    }
    if password.chars().any(char::is_control) {
        return Err(ServerError::InvalidPassword("contains a control character"));
    }
    Ok(())
}

/// Random bytes of the operating system's generator, at most 18.
pub fn random_bytes<const LENGTH: usize>() -> [u8; LENGTH] {
    let nonce = STANDARD.decode(random_nonce()).expect("a nonce is base64");
    let mut bytes = [0; LENGTH];
    bytes.copy_from_slice(&nonce[..LENGTH]);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_right_password_matches_and_no_other() {
        let users = Users::default().with("ana", Role::Reader, "correct horse").unwrap();
        assert!(users.authenticate("ana", "correct horse").is_some());
        assert!(users.authenticate("ana", "correct horsf").is_none());
        assert!(users.authenticate("ana", "").is_none());
        assert!(users.authenticate("bob", "correct horse").is_none());
    }

    #[test]
    fn a_user_begins_with_his_settings() {
        let users = Users::default().with("ana", Role::Reader, "correct horse").unwrap();
        let users = users.with_setting("ana", "perfos.aggregates", "cube").unwrap();
        let users = Users::parse(&users.to_json()).unwrap();
        assert_eq!(users.find("ana").unwrap().settings["perfos.aggregates"], "cube");
        assert!(users.with_setting("ana", "perfos.aggregates", "none").is_err());
        assert!(users.with_setting("bob", "perfos.aggregates", "leaf").is_err());
    }

    #[test]
    fn secrets_do_not_show() {
        let users = Users::default().with("ana", Role::Reader, "correct horse").unwrap();
        let shown = format!("{users:?}");
        assert!(!shown.contains("salted_password") && !shown.contains("correct"), "{shown}");
    }

    #[test]
    fn users_survive_their_file() {
        let users = Users::default().with("ana@x.fr", Role::Preparer, "12345678").unwrap();
        assert_eq!(Users::parse(&users.to_json()).unwrap(), users);
        assert!(Users::parse(b"{\"format\":2,\"users\":[]}").is_err());
    }

    #[test]
    fn names_and_passwords_have_rules() {
        let users = Users::default();
        for name in ["", "a:b", "a b", ".a", "a/b", &"x".repeat(64)] {
            assert!(users.with(name, Role::Reader, "12345678").is_err(), "{name}");
        }
        for password in ["1234567", "12345678\n", &"x".repeat(1025)] {
            assert!(users.with("ana", Role::Reader, password).is_err());
        }
        let users = users.with("ana", Role::Reader, "12345678").unwrap();
        assert!(users.with("ana", Role::Reader, "12345678").is_err());
    }
}
