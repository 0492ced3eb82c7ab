//! The bar on the terminal while files are loaded; nothing where standard error is no terminal.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use indicatif::{HumanCount, ProgressBar, ProgressStyle};

use crate::commands::LoadAnswer;
use crate::error::Result;
use crate::load::{Progress, Stage};

/// Without a share: the stage cannot say how much there is to do.
const SPINNING: &str = "{spinner} {prefix} {msg} {elapsed}";
/// With one.
const FILLING: &str = "{spinner} {prefix} {bar:20} {percent}% {msg} {elapsed}";

/// What a load says of itself, on one line.
#[derive(Debug)]
pub struct LoadBar {
    bar: ProgressBar,
    file_count: usize,
    files_done: AtomicUsize,
}

impl LoadBar {
    /// A bar over a number of files.
    pub fn over(file_count: usize) -> Arc<Self> {
        let files_done = AtomicUsize::new(0);
        Arc::new(Self { bar: ProgressBar::new_spinner(), file_count, files_done })
    }

    /// Loads one file under the bar and prints what came of it above.
    pub fn of(
        &self,
        file: &Path,
        load: impl FnOnce() -> Result<LoadAnswer>,
        print: impl FnOnce(&LoadAnswer) -> Result<()>,
    ) -> Result<()> {
        let number = self.files_done.fetch_add(1, Ordering::Relaxed) + 1;
        let name = file.file_name().unwrap_or(file.as_os_str()).to_string_lossy();
        self.bar.set_prefix(match self.file_count {
            1 => name.into_owned(),
            count => format!("{number}/{count} {name}"),
        });
        self.bar.enable_steady_tick(Duration::from_millis(100));
        let loaded = load();
        self.bar.disable_steady_tick();
        self.bar.suspend(|| print(&loaded?))
    }

    fn looks(&self, template: &str) {
        // the templates are ours; one that is none is no reason not to load
        if let Ok(style) = ProgressStyle::with_template(template) {
            self.bar.set_style(style);
        }
    }
}

impl Drop for LoadBar {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

impl Progress for LoadBar {
    fn begins(&self, stage: Stage) {
        self.looks(match stage {
            Stage::Sending | Stage::Reading => FILLING,
            Stage::Waiting | Stage::Checking | Stage::Recording => SPINNING,
        });
        self.bar.set_position(0);
        self.bar.set_message(stage.to_string());
    }

    fn is_at(&self, done: u64, all: u64) {
        self.bar.set_length(all);
        self.bar.set_position(done);
    }

    fn has_rows(&self, rows: usize) {
        let rows = HumanCount(rows as u64);
        self.bar.set_message(format!("{}, {rows} rows", Stage::Reading));
    }
}
