//! Rules of the house that are checked: crate edges, file headers, file sizes, no leaks of places.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use tests::root;

/// Every edge between crates that is allowed. Nothing depends on `server`; `cube` depends on nothing.
const EDGES: [(&str, &[&str]); 5] = [
    ("cube", &[]),
    ("calc", &["cube"]),
    ("storage", &["cube"]),
    ("protocol", &["calc", "cube"]),
    ("server", &["calc", "cube", "protocol", "storage"]),
];
/// What the plain libraries may not have: no async, no I/O, no clock, no randomness.
const FORBIDDEN_IN_PLAIN: [&str; 6] =
    ["std::fs", "std::net", "SystemTime", "Instant::now", "async fn", "rand::"];
/// A file longer than this asks for a second room.
const LINES_MAX: usize = 1_000;

fn rust_files(folder: &Path, found: &mut Vec<PathBuf>) -> Result<()> {
    for entry in fs::read_dir(folder).with_context(|| folder.display().to_string())? {
        let path = entry?.path();
        if path.is_dir() {
            rust_files(&path, found)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    Ok(())
}

fn sources() -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for name in EDGES.iter().map(|(name, _)| *name).chain(["tests", "xtask"]) {
        rust_files(&root().join(name), &mut files)?;
    }
    Ok(files)
}

#[test]
fn crates_depend_one_way() -> Result<()> {
    for (name, allowed) in EDGES {
        let manifest = fs::read_to_string(root().join(name).join("Cargo.toml"))?;
        for (other, _) in EDGES {
            let depends = manifest.lines().any(|line| {
                line.starts_with(&format!("{other}.")) || line.starts_with(&format!("{other} ="))
            });
            ensure!(!depends || allowed.contains(&other), "{name} must not depend on {other}");
        }
    }
    Ok(())
}

#[test]
fn plain_libraries_do_no_io_and_read_no_clock() -> Result<()> {
    for name in ["cube", "calc"] {
        let mut files = Vec::new();
        rust_files(&root().join(name).join("src"), &mut files)?;
        for file in files {
            let text = fs::read_to_string(&file)?;
            for word in FORBIDDEN_IN_PLAIN {
                ensure!(
                    !text.contains(word),
                    "{}: {word} has no place in a plain library",
                    file.display()
                );
            }
        }
    }
    Ok(())
}

#[test]
fn every_file_says_what_it_is_for() -> Result<()> {
    for file in sources()? {
        let text = fs::read_to_string(&file)?;
        ensure!(text.starts_with("//!"), "{}: it does not open with //!", file.display());
        let lines = text.lines().count();
        let is_test = file.components().any(|part| part.as_os_str() == "tests");
        ensure!(
            is_test || lines <= LINES_MAX,
            "{}: {lines} lines; what is its second idea?",
            file.display()
        );
        ensure!(
            !file.ends_with("mod.rs"),
            "{}: name.rs beside name/, never mod.rs",
            file.display()
        );
    }
    Ok(())
}
