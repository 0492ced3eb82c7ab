//! Standard output. A reader that goes away (`perfos query ... | head`) is not an error.

use std::fmt::Display;
use std::io::{ErrorKind, Write};

use crate::error::{Result, ServerError};

/// Writes a text as it is.
pub fn print(text: impl Display) -> Result<()> {
    let mut output = std::io::stdout().lock();
    match write!(output, "{text}").and_then(|()| output.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(ServerError::io("write to", "standard output")(error))
        }
        _ => Ok(()),
    }
}

/// Writes a line.
pub fn print_line(line: impl Display) -> Result<()> {
    print(format_args!("{line}\n"))
}
