//! Every limit of this crate, by name. Beyond a limit there is an error that names it, never a
//! truncation.

use std::time::Duration;

/// Commands of one tenant that may wait to be computed.
pub const QUEUE_COMMANDS_MAX: usize = 4_096;
/// Memory that the waiting commands of one tenant may hold, as estimated from their size.
pub const QUEUE_BYTES_MAX: usize = 1024 * 1024 * 1024;
/// Largest command that is computed before what runs in the background, as estimated from its size.
pub const PROMPT_COMMAND_BYTES_MAX: usize = 1024 * 1024;
/// Commands that one write to the ledger makes durable together.
pub const GROUP_COMMANDS_MAX: usize = 1_024;
/// No further command joins a group once its payloads have this many bytes.
pub const GROUP_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Payload of one ledger entry.
pub const ENTRY_PAYLOAD_BYTES_MAX: usize = 256 * 1024 * 1024;
/// Reason of one ledger entry, in bytes.
pub const REASON_BYTES_MAX: usize = 4_096;
/// Cells of one cube that a comparison lists; the others are counted.
pub const COMPARED_CELLS_MAX: usize = 100_000;
/// Branches of one tenant, `main` included.
pub const BRANCHES_MAX: usize = 1_000;
/// Newest ledger entries kept in memory, with what each one computed again.
pub const LEDGER_ENTRIES_KEPT: usize = 1_000;
/// Ledger entries in one answer.
pub const LEDGER_ENTRIES_MAX: usize = 100_000;
/// Things whose writes are looked for in one pass over a ledger.
pub const PROVENANCE_ASKED_MAX: usize = 10_000;
/// Writes that are listed of each.
pub const PROVENANCE_WRITES_MAX: usize = 1_000;
/// Changes that the summary of a ledger entry names one by one.
pub const SUMMARY_CHANGES_MAX: usize = 8;
/// Restarts of one tenant's actor; beyond them the tenant takes no more writes.
pub const RESTARTS_MAX: u32 = 16;
/// Times that a load is planned again because another command came first.
pub const PLAN_ATTEMPTS_MAX: u32 = 16;
/// After so many of them the others wait for it.
pub const PATIENT_ATTEMPTS_MAX: u32 = 4;
/// Memory that all reads of one tenant share, unless configured.
pub const READ_MEMORY_BYTES_DEFAULT: u64 = 1024 * 1024 * 1024;
/// Memory that the aggregates of a cube may take, of what its rows take.
pub const AGGREGATES_PERCENT: usize = 28;
/// Time that shutting down waits for commands that were accepted.
pub const SHUTDOWN_WAIT: Duration = Duration::from_secs(30);

/// Length of a tenant's name.
pub const TENANT_NAME_BYTES_MAX: usize = 63;
/// Length of a user's name.
pub const USER_NAME_BYTES_MAX: usize = 63;
/// Users of one tenant.
pub const USERS_MAX: usize = 10_000;
/// Shortest password, in characters.
pub const PASSWORD_CHARS_MIN: usize = 8;
/// Longest password, in bytes; hashing it must not become an attack.
pub const PASSWORD_BYTES_MAX: usize = 1_024;

/// Other tenants in which a user is looked for, to tell a wrong password from a wrong tenant.
pub const ELSEWHERE_TENANTS_MAX: usize = 8;

/// Body of a request that brings a model.
pub const MODEL_BODY_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Body of a request that brings data.
pub const LOAD_BODY_BYTES_MAX: u64 = 64 << 30;
/// What a request says of the data that it brings, in bytes.
pub const LOAD_WORDS_BYTES_MAX: usize = 64 * 1024;
/// Time a client has to send the next piece of such a request.
pub const LOAD_PART_WAIT: Duration = Duration::from_secs(60);
/// Bytes of an upload that are written to disk together.
pub const LOAD_WRITE_BYTES: usize = 1 << 20;
/// Body of a request that brings a query.
pub const QUERY_BODY_BYTES_MAX: usize = 1024 * 1024;
/// Time one query of the HTTP API may take.
pub const QUERY_WAIT: Duration = Duration::from_secs(300);
/// Rows of one query of the HTTP API or the command line, in memory.
pub const QUERY_RESULT_BYTES_MAX: usize = 256 * 1024 * 1024;
/// Time a client of the HTTP API has to send the head of its request.
pub const HTTP_REQUEST_WAIT: Duration = Duration::from_secs(10);
/// Time a client of the HTTP API has to send the body of its request.
pub const HTTP_BODY_WAIT: Duration = Duration::from_secs(300);
/// HTTP connections open at once, per worker thread.
pub const HTTP_CONNECTIONS_MAX: usize = 1_024;
/// Time a command line client waits for a server's answer.
pub const CLIENT_WAIT: Duration = Duration::from_secs(600);
/// Time it waits where it sends data, all of it included.
pub const CLIENT_LOAD_WAIT: Duration = Duration::from_secs(6 * 60 * 60);

/// Time that the query of one assertion may take, in milliseconds.
pub const ASSERTION_WAIT_MS: u64 = 60_000;
/// Files of one model.
pub const MODEL_FILES_MAX: usize = 2_000;
/// A group of commands of so many bytes is hashed and written behind what others wait for.
pub const BACKGROUND_APPEND_BYTES: usize = 1 << 20;
/// Size of one file of a model, in bytes.
pub const MODEL_FILE_BYTES_MAX: usize = 1 << 20;
/// Size of all files of a model, in bytes.
pub const MODEL_BYTES_MAX: usize = 16 << 20;
/// Size of a file that is loaded, and of each file that its map looks up, in bytes.
pub const LOAD_FILE_BYTES_MAX: u64 = 64 << 30;
/// Bytes of a CSV file that are read at once; more where a row is longer.
pub const LOAD_CHUNK_BYTES: usize = 1 << 18;
/// Size of one row of a CSV file, in bytes.
pub const LOAD_ROW_BYTES_MAX: usize = 64 << 20;
/// Rows of a Parquet file that are read at once, and fields in them.
pub const LOAD_BLOCK_ROWS_MAX: usize = 8_192;
/// Fields of a Parquet file that are read at once, where its rows are wide.
pub const LOAD_BLOCK_FIELDS: usize = 1 << 20;
/// Bytes of a file's blocks per thread that are worked on together. As many may be there that are read meanwhile, and as
/// many of which what came of them is taken in; a block is larger where its rows are.
pub const LOAD_BYTES_A_THREAD: usize = 3 << 20;
/// Size of a map, in bytes.
pub const LOAD_MAP_BYTES_MAX: usize = 1 << 20;
/// Lookups of one map.
pub const LOAD_LOOKUPS_MAX: usize = 32;
/// Columns of a file that is loaded.
pub const LOAD_COLUMNS_MAX: usize = 10_000;
/// Rejected rows that are listed; the others are counted.
pub const LOAD_REJECTED_LISTED_MAX: usize = 100;
/// Unknown members for which the nearest names are looked for in one load.
pub const LOAD_SUGGESTIONS_MAX: usize = 10;
/// Members of a dimension among which the nearest names are looked for.
pub const LOAD_SUGGESTION_MEMBERS_MAX: usize = 50_000;
