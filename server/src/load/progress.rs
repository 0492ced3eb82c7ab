//! How far a load is, for whoever waits for it.

use std::fmt;

/// What a load does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// The file goes to a server.
    Sending,
    /// The server has the file and works on it.
    Waiting,
    /// Rows are read.
    Reading,
    /// Rows are compared with each other, with those that are there, and with the totals.
    Checking,
    /// Formulas are computed and the ledger is written.
    Recording,
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Sending => "sending",
            Self::Waiting => "loading on the server",
            Self::Reading => "reading",
            Self::Checking => "checking",
            Self::Recording => "recording",
        })
    }
}

/// Is told how far a load is.
pub trait Progress: fmt::Debug + Send + Sync {
    /// A stage begins.
    fn begins(&self, stage: Stage);
    /// So much of all there is to do in this stage is done, in whatever it is counted in.
    fn is_at(&self, done: u64, all: u64);
    /// So many rows were read.
    fn has_rows(&self, rows: usize);
}

/// Nobody waits.
#[derive(Debug, Clone, Copy, Default)]
pub struct Unwatched;

impl Progress for Unwatched {
    fn begins(&self, _: Stage) {}
    fn is_at(&self, _: u64, _: u64) {}
    fn has_rows(&self, _: usize) {}
}
