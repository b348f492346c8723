//! A real PostgreSQL server for tests: made in a folder of its own, reached by a socket in it, and gone with whoever
//! started it. Tests of the crate include this file as well.

#![allow(dead_code, unreachable_pub, reason = "each includer uses a part of it, in its own place")]

use std::io::Write;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, OnceLock};
use std::time::{Duration, Instant};

/// Set where a test that is skipped is a failure, as in continuous integration.
const REQUIRED: &str = "ONWARD_POSTGRES";

/// A server and the folder that it lives in.
pub struct Server {
    folder: tempfile::TempDir,
    programs: PathBuf,
    /// Ends the server and removes the folder when its standard input is closed, which it is when this process ends,
    /// however that is.
    keeper: Mutex<Option<Child>>,
    databases: AtomicU32,
}

/// The server of this test run. `None`: there is no PostgreSQL here, which is said loudly.
pub fn shared() -> Option<&'static Server> {
    static SERVER: OnceLock<Option<Server>> = OnceLock::new();
    SERVER.get_or_init(Server::start).as_ref()
}

/// Where the server's programs are: on Debian not on the path, because there may be several versions.
fn programs() -> Option<PathBuf> {
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut folders: Vec<PathBuf> = versions.map(|it| it.path().join("bin")).collect();
    folders.sort();
    let path = std::env::var_os("PATH").unwrap_or_default();
    folders.into_iter().rev().chain(std::env::split_paths(&path)).find(|it| it.join("initdb").is_file())
}

fn is_root() -> bool {
    std::fs::metadata("/proc/self").is_ok_and(|it| std::os::unix::fs::MetadataExt::uid(&it) == 0)
}

/// The number of a user that is not root: the server refuses to run as root.
fn servant() -> (u32, u32) {
    let users = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    let fields = users.lines().map(|line| line.split(':').collect::<Vec<_>>());
    let found = fields.filter(|it| it.len() > 3).find(|it| it[0] == "postgres" || it[0] == "nobody");
    let number = |text: &str| text.parse().unwrap_or(65_534);
    found.map_or((65_534, 65_534), |it| (number(it[2]), number(it[3])))
}

impl Server {
    /// A server of its own, for a test that is not kind to it.
    pub fn start() -> Option<Self> {
        let Some(programs) = programs() else {
            assert!(std::env::var_os(REQUIRED).is_none(), "{REQUIRED} is set, and there is no PostgreSQL");
            eprintln!("SKIPPED: there is no PostgreSQL server here (Debian: apt-get install postgresql)");
            return None;
        };
        let folder = tempfile::Builder::new().prefix("onward-pg").tempdir_in("/tmp").unwrap();
        std::fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o755)).unwrap();
        if is_root() {
            let (user, group) = servant();
            chown(folder.path(), Some(user), Some(group)).unwrap();
        }
        let server = Self { folder, programs, keeper: Mutex::default(), databases: AtomicU32::new(0) };
        let data = server.data();
        let data = data.to_str().unwrap();
        let made = ["-D", data, "-U", "onward", "--auth=trust", "--no-sync", "-E", "UTF8", "--locale=C"];
        succeeded(&server.command("initdb").args(made).output().unwrap());
        server.run();
        Some(server)
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// A program of PostgreSQL, as a user that may run it.
    fn command(&self, program: &str) -> Command {
        let program = self.programs.join(program);
        let mut command = if is_root() {
            let (user, group) = servant();
            let mut command = Command::new("setpriv");
            command.args([format!("--reuid={user}"), format!("--regid={group}"), "--clear-groups".to_owned()]);
            command.arg(program);
            command
        } else {
            Command::new(program)
        };
        command.current_dir(self.folder.path()).env("LC_ALL", "C");
        command
    }

    /// Starts it, also again after it was killed.
    pub fn run(&self) {
        const KEEP: &str = r#"exec 3<&0; "$@" </dev/null >log 2>&1 & server=$!
            read -r word <&3; kill -QUIT $server 2>/dev/null; wait $server
            [ "$word" = keep ] || { folder=$PWD; cd /; rm -rf "$folder"; }"#;
        let folder = self.folder.path().display();
        let server = self.command("postgres");
        let mut keeper = Command::new("sh");
        keeper
            .current_dir(self.folder.path())
            .args(["-c", KEEP, "keeper"])
            .arg(server.get_program())
            .args(server.get_args());
        keeper.args(["-D".to_owned(), self.data().display().to_string(), "-c".to_owned()]);
        keeper.args(["listen_addresses=", "-c", "max_connections=300", "-c", "max_wal_size=4GB", "-c"]);
        keeper.arg(format!("unix_socket_directories={folder}"));
        let child = keeper.stdin(Stdio::piped()).spawn().unwrap();
        *self.keeper.lock().unwrap() = Some(child);
        self.await_ready();
    }

    pub fn await_ready(&self) {
        let deadline = Instant::now() + Duration::from_secs(60);
        while !self.psql("postgres", "SELECT 1").status.success() {
            let log = || std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
            assert!(Instant::now() < deadline, "the server does not start: {}", log());
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Ends it as a crash would, and waits until it is gone.
    pub fn kill(&self) {
        self.signal("KILL");
        drop(self.keeper.lock().unwrap().take().map(|mut keeper| {
            drop(keeper.stdin.take().map(|mut input| input.write_all(b"keep\n")));
            keeper.wait()
        }));
        // Its children notice, and let go of the memory that they share.
        std::thread::sleep(Duration::from_millis(300));
        let _ = std::fs::remove_file(self.data().join("postmaster.pid"));
    }

    /// Sends a signal to the server's first process.
    pub fn signal(&self, name: &str) {
        let pid = std::fs::read_to_string(self.data().join("postmaster.pid")).unwrap();
        let pid = pid.lines().next().unwrap().to_owned();
        succeeded(&Command::new("kill").args([format!("-{name}"), pid]).output().unwrap());
    }

    /// The URL of a new, empty database.
    pub fn database(&self) -> String {
        let name = format!("test_{}", self.databases.fetch_add(1, Ordering::Relaxed));
        succeeded(&self.psql("postgres", &format!("CREATE DATABASE {name}")));
        self.url(&name)
    }

    /// The URL of a database.
    pub fn url(&self, name: &str) -> String {
        format!("postgres://onward@/{name}?host={}", self.folder.path().display())
    }

    /// What an administrator says.
    pub fn sql(&self, url: &str, sql: &str) -> String {
        let name = url.split(['/', '?']).nth(3).unwrap();
        succeeded(&self.psql(name, sql))
    }

    fn psql(&self, database: &str, sql: &str) -> Output {
        let mut command = self.command("psql");
        command.args(["-h", self.folder.path().to_str().unwrap(), "-U", "onward", "-d", database, "-AtXqc", sql]);
        command.output().unwrap()
    }

    /// The folder of its socket.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(mut keeper) = self.keeper.get_mut().unwrap().take() {
            let _ = keeper.stdin.take().map(|mut input| input.write_all(b"\n"));
            let _ = keeper.wait();
        }
    }
}

fn succeeded(output: &Output) -> String {
    let said = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    assert!(output.status.success(), "{said} {}", String::from_utf8_lossy(&output.stderr));
    said
}
