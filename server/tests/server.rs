//! The `perfos` binary as people and scripts use it: real processes, files, signals and sockets.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Output, Stdio};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use tempfile::TempDir;

const PASSWORD: &str = "correct horse";

/// `perfos` in a folder of its own, with nothing of the tester's environment.
fn perfos(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_perfos"));
    command.current_dir(folder).env_clear().stdin(Stdio::null());
    command
}

struct Workplace {
    folder: TempDir,
}

impl Workplace {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    /// With tenants `acme` and `bolt`, an administrator `ana` of one and a reader `bob` of the other.
    fn with_tenants() -> Self {
        let place = Self::new();
        place.ok(&["tenant", "create", "acme", "--data", "data"]);
        place.ok(&["tenant", "create", "bolt", "--data", "data"]);
        place.add_user("ana", "acme", "administrator");
        place.add_user("rita", "acme", "reader");
        place.add_user("bob", "bolt", "reader");
        place
    }

    fn add_user(&self, name: &str, tenant: &str, role: &str) {
        let arguments = ["user", "add", name, "--tenant", tenant, "--role", role, "--data", "data"];
        let output = self.command(&arguments).env("PERFOS_PASSWORD", PASSWORD).output().unwrap();
        assert!(output.status.success(), "{}", error_of(&output));
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = perfos(self.folder.path());
        command.args(arguments);
        command
    }

    fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    fn ok(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        assert!(output.status.success(), "{arguments:?}: {}", error_of(&output));
        String::from_utf8(output.stdout).unwrap()
    }

    fn fails(&self, arguments: &[&str], code: i32, expected: &str) {
        let output = self.run(arguments);
        let error = error_of(&output);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {error}");
        assert!(error.contains(expected), "{arguments:?}: {error}");
    }

    fn tenant_folder(&self, name: &str) -> PathBuf {
        self.folder.path().join("data/tenants").join(name)
    }
}

fn error_of(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// A server on free ports, killed when the test ends before it is stopped.
struct Running {
    child: Child,
    output: BufReader<ChildStdout>,
    postgres: String,
    http: String,
}

impl Running {
    fn start(place: &Workplace) -> Self {
        let arguments =
            ["serve", "--data", "data", "--postgres", "127.0.0.1:0", "--http", "127.0.0.1:0"];
        let mut child =
            place.command(&arguments).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        let mut line = |prefix: &str| {
            let mut line = String::new();
            output.read_line(&mut line).unwrap();
            line.trim_end().strip_prefix(prefix).unwrap_or_else(|| panic!("{line:?}")).to_owned()
        };
        let (postgres, http) = (line("postgres "), line("http "));
        assert_eq!(line("ready"), "");
        Self { child, output, postgres, http }
    }

    /// Sends a request and gives back status, head and body.
    fn request(&self, request: &Request<'_>) -> Reply {
        let mut stream = TcpStream::connect(&self.http).unwrap();
        let authorization = request.credentials.map_or(String::new(), |credentials| {
            format!("authorization: Basic {}\r\n", STANDARD.encode(credentials))
        });
        let Request { method, path, media_type, body, .. } = request;
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{authorization}\
             content-type: {media_type}\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        )
        .unwrap();
        let mut reply = String::new();
        stream.read_to_string(&mut reply).unwrap();
        let (head, body) = reply.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Reply { status, head: head.to_ascii_lowercase(), body: body.to_owned() }
    }

    fn get(&self, path: &str, credentials: Option<&str>) -> Reply {
        self.request(&Request { method: "GET", path, credentials, ..Request::default() })
    }

    fn stop(mut self) {
        // There is no signal in the standard library; `kill` is everywhere.
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
        assert!(self.child.wait().unwrap().success());
        let mut rest = String::new();
        self.output.read_to_string(&mut rest).unwrap();
        assert_eq!(rest, "");
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

struct Request<'a> {
    method: &'a str,
    path: &'a str,
    credentials: Option<&'a str>,
    media_type: &'a str,
    body: &'a str,
}

impl Default for Request<'_> {
    fn default() -> Self {
        let (method, path, media_type) = ("POST", "/", "application/json");
        Self { method, path, credentials: None, media_type, body: "" }
    }
}

struct Reply {
    status: u16,
    head: String,
    body: String,
}

#[test]
fn tenants_and_users_are_made_listed_and_removed() {
    let place = Workplace::with_tenants();
    assert_eq!(place.ok(&["tenant", "list", "--data", "data"]), "acme\nbolt\n");
    let users = ["user", "list", "--tenant", "acme", "--data", "data"];
    assert_eq!(place.ok(&users), "ana administrator\nrita reader\n");
    place.fails(&["tenant", "create", "acme", "--data", "data"], 1, "exists already");
    place.fails(&["tenant", "create", "../x", "--data", "data"], 1, "cannot be the name");
    place.fails(&["tenant", "drop", "bolt", "--data", "data"], 1, "--yes");
    place.ok(&["tenant", "drop", "bolt", "--data", "data", "--yes"]);
    assert_eq!(place.ok(&["tenant", "list", "--data", "data"]), "acme\n");
}

#[test]
fn what_is_kept_belongs_to_its_owner_and_holds_no_password() {
    let place = Workplace::with_tenants();
    for entry in fs::read_dir(place.tenant_folder("acme")).unwrap() {
        let path = entry.unwrap().path();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600, "{path:?}");
        let contents = fs::read(&path).unwrap();
        let password = PASSWORD.as_bytes();
        assert!(!contents.windows(password.len()).any(|window| window == password));
    }
}

#[test]
fn wrong_usage_says_what_is_right() {
    let place = Workplace::new();
    place.fails(&["brunch"], 2, "tip: a similar subcommand");
    place.fails(&["tenant", "list"], 1, "PERFOS_DATA");
    place.fails(&["tenant", "list", "--data", "nowhere"], 1, "not a data folder");
    place.ok(&["tenant", "create", "acme", "--data", "data"]);
    let add = ["user", "add", "ana", "--tenant", "acme", "--data", "data", "--role"];
    place.fails(&[&add[..], &["king"]].concat(), 2, "administrator");
    place.fails(&[&add[..], &["reader"]].concat(), 1, "--password-file");
    fs::write(place.folder.path().join("short"), "1234567\n").unwrap();
    let short = [&add[..], &["reader", "--password-file", "short"]].concat();
    place.fails(&short, 1, "at least 8 characters");
    place.fails(&["query", "SELECT 1", "--tenant", "acme"], 1, "--server URL");
    place.fails(&["query", "SELECT 1", "--tenant", "other", "--data", "data"], 1, "does not exist");
    place.fails(&["query", "x", "--data", "a", "--server", "b"], 2, "cannot be used with");
    place.fails(&["load", "a.csv", "--tenant", "acme", "--data", "data"], 2, "--cube");
}

#[test]
fn settings_come_from_environment_and_file() {
    let place = Workplace::new();
    fs::write(place.folder.path().join("perfos.toml"), "data = \"from_file\"\n").unwrap();
    place.ok(&["tenant", "create", "filed"]);
    assert_eq!(place.ok(&["tenant", "list", "--data", "from_file"]), "filed\n");
    let mut create = place.command(&["tenant", "create", "environed"]);
    assert!(create.env("PERFOS_DATA", "from_environment").status().unwrap().success());
    assert_eq!(place.ok(&["tenant", "list", "--data", "from_environment"]), "environed\n");
    fs::write(place.folder.path().join("perfos.toml"), "\ndatum = 1\n").unwrap();
    place.fails(&["tenant", "list"], 1, "perfos.toml: line 2: unknown field `datum`");
}

#[test]
fn a_server_answers_stops_and_starts_again() {
    let place = Workplace::with_tenants();
    for _ in 0..2 {
        let server = Running::start(&place);
        assert_eq!(server.get("/healthz", None).status, 200);
        let ready = server.get("/readyz", None);
        assert_eq!(ready.status, 200);
        assert!(ready.body.contains("\"tenants\":2"), "{}", ready.body);
        TcpStream::connect(&server.postgres).unwrap();
        server.stop();
    }
}

#[test]
fn a_folder_that_is_served_refuses_offline_commands() {
    let place = Workplace::with_tenants();
    let server = Running::start(&place);
    let commands: [&[&str]; 4] = [
        &["verify"],
        &["tenant", "create", "new"],
        &["query", "SELECT 1", "--tenant", "acme"],
        &["user", "list", "--tenant", "acme"],
    ];
    for command in commands {
        place.fails(&[command, &["--data", "data"]].concat(), 1, "--server URL");
    }
    place.fails(&["serve", "--data", "data"], 1, "in use");
    server.stop();
    place.ok(&["verify", "--data", "data"]);
}

#[test]
fn only_users_of_a_tenant_see_it() {
    let place = Workplace::with_tenants();
    let server = Running::start(&place);
    let ledger = |tenant: &str| format!("/api/v1/tenants/{tenant}/ledger");
    let check = |tenant: &str, credentials: Option<&str>, status: u16| {
        let reply = server.get(&ledger(tenant), credentials);
        assert_eq!(reply.status, status, "{tenant} {credentials:?} {}", reply.body);
        reply
    };
    let ana = format!("ana:{PASSWORD}");
    assert_eq!(check("acme", Some(&ana), 200).body, "{\"entries\":[]}");
    // Another's tenant looks like one that is not there.
    let foreign = check("bolt", Some(&ana), 404).body.replace("bolt", "x");
    assert_eq!(foreign, check("none", Some(&ana), 404).body.replace("none", "x"));
    for credentials in [None, Some("ana:wrong password"), Some("eve:correct horse"), Some("ana")] {
        for tenant in ["acme", "bolt", "none"] {
            let refused = check(tenant, credentials, 401);
            assert!(refused.head.contains("www-authenticate: basic realm="), "{}", refused.head);
        }
    }
    server.stop();
}

#[test]
fn requests_that_cannot_be_carried_out_get_problem_documents() {
    let place = Workplace::with_tenants();
    let server = Running::start(&place);
    let (ana, rita) = (format!("ana:{PASSWORD}"), format!("rita:{PASSWORD}"));
    let check = |request: Request<'_>, status: u16| {
        let reply = server.request(&request);
        assert_eq!(reply.status, status, "{} {}", request.path, reply.body);
        assert!(reply.head.contains("content-type: application/problem+json"), "{}", reply.head);
        assert!(reply.body.contains(&format!("\"status\":{status}")), "{}", reply.body);
    };
    let query = || Request {
        path: "/api/v1/tenants/acme/query",
        credentials: Some(&ana),
        body: "{\"query\":\"SELECT 1\"}",
        ..Request::default()
    };
    check(Request { media_type: "text/plain", ..query() }, 415);
    check(Request { body: "{\"query\":", ..query() }, 400);
    check(Request { body: "{\"querry\":\"\"}", ..query() }, 400);
    check(Request { method: "DELETE", ..query() }, 405);
    check(Request { path: "/api/v1/tenants/acme/nothing", ..query() }, 404);
    check(Request { path: "/nothing", ..query() }, 404);
    check(Request { path: "/api/v1/tenants/acme/ledger?limit=x", method: "GET", ..query() }, 400);
    let large = format!("{{\"query\":\"{}\"}}", "x".repeat(2 * 1024 * 1024));
    check(Request { body: &large, ..query() }, 413);
    let reader =
        |path| Request { path, credentials: Some(&rita), body: "{}", ..Request::default() };
    check(reader("/api/v1/tenants/acme/model"), 403);
    check(reader("/api/v1/tenants/acme/load"), 403);
    server.stop();
}

#[test]
fn verify_sums_up_and_notices_damage() {
    let place = Workplace::with_tenants();
    let one = place.ok(&["verify", "--tenant", "acme", "--data", "data"]);
    let last = one.lines().last().unwrap();
    assert!(last.starts_with("verified 0 entries, state ") && last.len() == 90, "{last}");
    let all = place.ok(&["verify", "--data", "data"]);
    assert!(all.lines().last().unwrap().starts_with("verified 0 entries, state "), "{all}");
    let segment = place.tenant_folder("acme").join("ledger-00000001.seg");
    let mut bytes = fs::read(&segment).unwrap();
    bytes[9] ^= 1;
    fs::write(&segment, &bytes).unwrap();
    place.fails(&["verify", "--data", "data"], 1, "tenant acme");
    place.fails(&["query", "SELECT 1", "--tenant", "acme", "--data", "data"], 1, "damaged");
    // The other tenant is served all the same.
    let server = Running::start(&place);
    assert!(server.get("/readyz", None).body.contains("\"damaged_tenants\":1"));
    let bob = format!("bob:{PASSWORD}");
    assert_eq!(server.get("/api/v1/tenants/bolt/ledger", Some(&bob)).status, 200);
    server.stop();
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let place = Workplace::with_tenants();
    let mut child = place
        .command(&["tenant", "list", "--data", "data"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", error_of(&output));
}
