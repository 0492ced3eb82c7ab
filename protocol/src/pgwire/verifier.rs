//! What the server keeps of a password: a SCRAM-SHA-256 verifier, from which the password cannot
//! be read and with which nobody can log in (RFC 5802, RFC 7677).

use std::fmt;
use std::hint::black_box;

use pgwire::api::auth::sasl::scram::{ScramSecret, gen_salted_password};
use serde::{Deserialize, Serialize};

/// Length of a SHA-256 hash.
const KEY_BYTES: usize = 32;

/// Salt, iteration count and the two keys of SCRAM-SHA-256.
///
/// Neither the password nor its salted form is kept. `Debug` shows no key.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Written", into = "Written")]
pub struct Verifier {
    salt: Vec<u8>,
    iterations: u32,
    stored_key: Vec<u8>,
    server_key: Vec<u8>,
}

impl Verifier {
    /// Iterations for a new password: PostgreSQL's own default. Every verifier should have this
    /// many, since an unknown user is answered with this many too.
    pub const ITERATIONS: u32 = 4096;
    /// Length of a new salt. Every salt should have this length, for the same reason.
    pub const SALT_BYTES: usize = 16;

    /// Derives the verifier of a password; `salt` is random, [`Self::SALT_BYTES`] long, and
    /// `iterations` is [`Self::ITERATIONS`] unless there is a reason (zero counts as one).
    pub fn from_password(password: &str, salt: &[u8], iterations: u32) -> Self {
        let iterations = iterations.max(1);
        let salted = gen_salted_password(password, salt, iterations as usize);
        match ScramSecret::verifier_from_salted_password(salt.to_vec(), salted, iterations as usize)
        {
            ScramSecret::Verifier { salt, stored_key, server_key, .. } => {
                Self { salt, iterations, stored_key, server_key }
            }
            ScramSecret::SaltedPassword { .. } => {
                unreachable!("the constructor of a verifier makes a verifier")
            }
        }
    }

    /// Whether this is the password, in a time that does not tell how much of it is right.
    pub fn matches(&self, password: &str) -> bool {
        let other = Self::from_password(password, &self.salt, self.iterations);
        let difference = self
            .stored_key
            .iter()
            .zip(&other.stored_key)
            .fold(0_u8, |difference, (left, right)| black_box(difference | (left ^ right)));
        self.stored_key.len() == other.stored_key.len() && difference == 0
    }

    /// The verifier of a user who does not exist: always the same for the same names and `secret`,
    /// so that asking twice tells nothing, and no password matches it.
    pub(super) fn made_up(database: &str, user: &str, secret: &str) -> Self {
        // PBKDF2 with one iteration is one HMAC: a keyed hash of the two names.
        let names = format!("{database}\0{user}");
        let salt = gen_salted_password(secret, format!("salt\0{names}").as_bytes(), 1);
        let stored_key = gen_salted_password(secret, format!("stored\0{names}").as_bytes(), 1);
        let server_key = gen_salted_password(secret, format!("server\0{names}").as_bytes(), 1);
        Self {
            salt: salt.into_iter().take(Self::SALT_BYTES).collect(),
            iterations: Self::ITERATIONS,
            stored_key,
            server_key,
        }
    }

    /// The form the SCRAM exchange takes it in.
    pub(super) fn into_secret(self) -> ScramSecret {
        ScramSecret::Verifier {
            salt: self.salt,
            iterations: self.iterations as usize,
            stored_key: self.stored_key,
            server_key: self.server_key,
        }
    }
}

impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Verifier").field("iterations", &self.iterations).finish_non_exhaustive()
    }
}

/// How a verifier is written down: bytes in hexadecimal.
#[derive(Serialize, Deserialize)]
struct Written {
    salt: String,
    iterations: u32,
    stored_key: String,
    server_key: String,
}

impl From<Verifier> for Written {
    fn from(verifier: Verifier) -> Self {
        Self {
            salt: to_hex(&verifier.salt),
            iterations: verifier.iterations,
            stored_key: to_hex(&verifier.stored_key),
            server_key: to_hex(&verifier.server_key),
        }
    }
}

impl TryFrom<Written> for Verifier {
    type Error = &'static str;

    fn try_from(written: Written) -> Result<Self, Self::Error> {
        let bytes = |text: &str| from_hex(text).ok_or("a verifier's bytes are in hexadecimal");
        let verifier = Self {
            salt: bytes(&written.salt)?,
            iterations: written.iterations,
            stored_key: bytes(&written.stored_key)?,
            server_key: bytes(&written.server_key)?,
        };
        if verifier.stored_key.len() != KEY_BYTES || verifier.server_key.len() != KEY_BYTES {
            return Err("a verifier's keys are 32 bytes long");
        }
        if verifier.salt.is_empty() || verifier.iterations == 0 {
            return Err("a verifier needs a salt and at least one iteration");
        }
        Ok(verifier)
    }
}

/// Bytes as lower-case hexadecimal digits.
pub(super) fn to_hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |nibble: u8| char::from(DIGITS[usize::from(nibble)]);
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 0xf)]).collect()
}

/// The bytes of hexadecimal digits of either case; `None` for anything else.
pub(super) fn from_hex(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    text.as_bytes()
        .chunks(2)
        .map(|pair| match pair {
            [high, low] => u8::try_from(digit(*high)? * 16 + digit(*low)?).ok(),
            _ => None,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_verifier_knows_its_password_and_no_other() {
        let verifier = Verifier::from_password("s3cret", b"0123456789abcdef", 4096);
        assert!(verifier.matches("s3cret"));
        assert!(!verifier.matches("s3cret "));
        assert!(!verifier.matches(""));
        assert!(!Verifier::made_up("acme", "ann", "secret").matches("s3cret"));
    }

    #[test]
    fn the_keys_are_those_of_the_standard() {
        // From the exchange of RFC 7677: user "user", password "pencil".
        let salt = [
            0x5b, 0x6d, 0x99, 0x68, 0x9d, 0x12, 0x35, 0x8e, 0xec, 0xa0, 0x4b, 0x14, 0x12, 0x36,
            0xfa, 0x81,
        ];
        let verifier = Verifier::from_password("pencil", &salt, 4096);
        assert_eq!(
            to_hex(&verifier.stored_key),
            "586e5df283e6dceb5c3e791d8b8528ec191e664045ce971792e2e6b5bb13e2a6"
        );
    }

    #[test]
    fn written_and_read_it_is_the_same_and_debug_shows_no_key() {
        let verifier = Verifier::from_password("x", b"0123456789abcdef", 4096);
        let written = serde_json::to_string(&verifier).unwrap();
        assert_eq!(serde_json::from_str::<Verifier>(&written).unwrap(), verifier);
        let shown = format!("{verifier:?}");
        assert!(!shown.contains(&to_hex(&verifier.stored_key)[..6]), "{shown}");
        assert!(serde_json::from_str::<Verifier>(&written.replacen("\"3", "\"g", 1)).is_err());
    }

    #[test]
    fn an_unknown_user_is_always_answered_alike() {
        let once = Verifier::made_up("acme", "ann", "secret");
        assert_eq!(once, Verifier::made_up("acme", "ann", "secret"));
        assert_ne!(once.salt, Verifier::made_up("acme", "bob", "secret").salt);
        assert_eq!(once.salt.len(), Verifier::SALT_BYTES);
        assert_eq!(once.stored_key.len(), KEY_BYTES);
    }
}
