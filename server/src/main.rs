//! `perfos`: the whole product in one binary.

use std::process::ExitCode;

/// Columns are read far apart: pages of 2 MiB make that cheaper, and this allocator asks for them.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// Read by the allocator when the program begins.
#[unsafe(export_name = "_rjem_malloc_conf")]
pub static ALLOCATOR_OPTIONS: &[u8; 31] = b"thp:always,metadata_thp:always\0";

fn main() -> ExitCode {
    server::cli::run(std::env::args_os())
}
