//! Passwords: from a file, the environment or a prompt, never from an argument.

use std::path::Path;

use crate::error::{Result, ServerError};

/// The first line of a file.
pub fn read_file(path: &Path) -> Result<String> {
    let text = std::fs::read_to_string(path).map_err(ServerError::io("read", path))?;
    Ok(text.lines().next().unwrap_or_default().to_owned())
}

/// Asks for a new password, twice.
pub fn prompt_new(user: &str) -> Result<String> {
    let first = prompt(&format!("Password for {user}: "))?;
    if prompt("The same again: ")? == first {
        Ok(first)
    } else {
        Err(ServerError::InvalidPassword("was typed differently the second time"))
    }
}

/// Asks for a password.
pub fn prompt(text: &str) -> Result<String> {
    rpassword::prompt_password(text).map_err(|error| {
        ServerError::Config(format!(
            "cannot ask for a password ({error}); give --password-file FILE or PERFOS_PASSWORD"
        ))
    })
}
