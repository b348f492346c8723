//! A gateway as its operators run it: the binary, in a process of its own, with real certificates and sockets.

use std::fs::{self, File};
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use bytes::Bytes;
use hyper::Method;
use hyper::header::HeaderMap;
use jiff::Timestamp;
use onward::fhir::view::str_at;
use onward::load::client::{Client, Response};
use onward::load::headers::Headers;
use onward::load::synthetic::{Bundles, FreeSlot, Message};
use onward::tls::client::client_config;
use onward::tls::{ClientTls, install_provider};
use rustls::pki_types::ServerName;
use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// The service of the demo that has the most slots.
pub(crate) const SERVICE: &str = "111111111";
/// Debug builds on two busy processors and a busy disk.
const START_MAX: Duration = Duration::from_secs(60);

/// ONWARD_PROGRAM names another build of the program that is tested, such as an optimised one.
static PROGRAM: LazyLock<String> = LazyLock::new(|| {
    let beside = || env!("CARGO_BIN_EXE_onward").to_owned();
    std::env::var("ONWARD_PROGRAM").unwrap_or_else(|_| beside())
});
/// Where it writes, in its folder; what an earlier process wrote stays.
const OUTPUTS: [&str; 2] = ["stdout", "stderr"];

/// How a gateway is to be run.
#[derive(Clone, Debug, Default)]
pub(crate) struct Options {
    /// Port of the PAS; not given: the demo's own, which is gone when other settings are.
    pub(crate) pas: Option<u16>,
    /// Level of the log.
    pub(crate) log: Option<&'static str>,
    /// It is told by an error, not by a signal, that a file may not grow.
    pub(crate) ignores_file_limit: bool,
    /// Settings besides the demo's: `https.workers` and `2`. With any, it is `onward serve` that runs.
    pub(crate) settings: Vec<(&'static str, String)>,
}

impl Options {
    /// The same with one more setting.
    pub(crate) fn with(mut self, setting: &'static str, value: impl ToString) -> Self {
        self.settings.push((setting, value.to_string()));
        self
    }
}

/// A running gateway and its folder. It is killed when this is dropped.
pub(crate) struct Gateway {
    dir: TempDir,
    options: Options,
    child: Option<Child>,
    /// What was in its two files before this process began to write.
    written: [usize; 2],
    /// `https://127.0.0.1:port/FHIR/R4`.
    pub(crate) base: String,
    /// Where the status page is.
    pub(crate) status: SocketAddr,
    /// Where HL7 v2 is taken; known of the demo only.
    pub(crate) mllp: Option<SocketAddr>,
}

impl Gateway {
    /// A new one, in a folder of its own.
    pub(crate) fn start(options: Options) -> Self {
        install_provider();
        let dir = tempfile::tempdir().unwrap();
        let nowhere = SocketAddr::from(([127, 0, 0, 1], 0));
        let mut gateway =
            Self { dir, options, child: None, written: [0; 2], base: String::new(), status: nowhere, mllp: None };
        gateway.run_demo();
        if !gateway.options.settings.is_empty() {
            gateway.kill();
            gateway.restart();
        }
        gateway
    }

    /// Starts it again in the same folder, and waits until it serves.
    pub(crate) fn restart(&mut self) {
        match self.options.settings.is_empty() {
            true => self.run_demo(),
            false => self.run_serve(),
        }
    }

    /// Starts it again in the same folder; it may be killed before it is ready.
    pub(crate) fn spawn_serve(&mut self) {
        let mut command = match self.options.ignores_file_limit {
            true => onward_by("sh", &["-c", "trap '' XFSZ; exec \"$0\" \"$@\"", &PROGRAM], &self.environment()),
            false => onward(&self.environment()),
        };
        command.args(["serve", "--dir"]).arg(self.dir.path());
        self.spawn(command);
    }

    fn run_serve(&mut self) {
        self.spawn_serve();
        let started = self.await_line(1, "started");
        let address = |name: &str| started[name].as_str().unwrap().parse::<SocketAddr>().unwrap();
        self.base = format!("https://{}/FHIR/R4", address("https"));
        self.status = address("status");
    }

    fn run_demo(&mut self) {
        let mut command = onward(&[]);
        command.args(["demo", "--json", "--https", "127.0.0.1:0", "--status", "127.0.0.1:0", "--mllp", "127.0.0.1:0"]);
        command.arg("--dir").arg(self.dir.path()).env("ONWARD_LOG", self.options.log.unwrap_or("warn"));
        if let Some(port) = self.options.pas {
            command.args(["--pas", &format!("127.0.0.1:{port}")]);
        }
        self.spawn(command);
        let ready = self.await_line(0, "ready");
        self.base = ready["https"].as_str().unwrap().to_owned();
        self.status = ready["status"].as_str().unwrap().trim_start_matches("http://").parse().unwrap();
        self.mllp = ready["mllp"].as_str().map(|address| address.parse().unwrap());
    }

    fn spawn(&mut self, mut command: Command) {
        assert!(self.child.is_none(), "one at a time");
        self.written = OUTPUTS.map(|name| fs::read(self.path(name)).map_or(0, |bytes| bytes.len()));
        let append = |name: &str| File::options().create(true).append(true).open(self.path(name)).unwrap();
        self.child = Some(command.stdout(append(OUTPUTS[0])).stderr(append(OUTPUTS[1])).spawn().unwrap());
    }

    fn environment(&self) -> Vec<(String, String)> {
        let level = ("log.level", self.options.log.unwrap_or("info").to_owned());
        let settings = self.options.settings.iter().chain([&level]);
        settings
            .map(|(name, value)| (format!("ONWARD__{}", name.to_uppercase().replace('.', "__")), value.clone()))
            .collect()
    }

    /// The first whole line of JSON that holds a word, of what this process wrote.
    fn await_line(&mut self, output: usize, word: &str) -> Value {
        let deadline = Instant::now() + START_MAX;
        loop {
            let text = fs::read_to_string(self.path(OUTPUTS[output])).unwrap();
            let whole = text[self.written[output]..].split_inclusive('\n').filter(|line| line.ends_with('\n'));
            if let Some(line) =
                whole.filter(|line| line.contains(word)).find_map(|line| serde_json::from_str(line).ok())
            {
                return line;
            }
            let ended = self.child.as_mut().unwrap().try_wait().unwrap();
            assert!(ended.is_none(), "it ended: {}", self.stderr());
            let output = fs::read_to_string(self.path(OUTPUTS[0])).unwrap();
            assert!(Instant::now() < deadline, "it is not ready: {output} {}", self.stderr());
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// A setting for the next start.
    pub(crate) fn set(&mut self, setting: &'static str, value: impl ToString) {
        self.options.settings.retain(|(name, _)| *name != setting);
        self.options.settings.push((setting, value.to_string()));
    }

    /// kill -9.
    pub(crate) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    /// Asks it to stop, and waits for that; answers its exit code.
    pub(crate) fn stop(&mut self) -> Option<i32> {
        let mut child = self.child.take().unwrap();
        let told = Command::new("kill").arg(child.id().to_string()).status().unwrap();
        assert!(told.success());
        let deadline = Instant::now() + START_MAX;
        while Instant::now() < deadline {
            if let Some(status) = child.try_wait().unwrap() {
                return status.code();
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        child.kill().unwrap();
        child.wait().unwrap();
        panic!("it does not stop: {}", self.stderr());
    }

    /// The process's id.
    pub(crate) fn pid(&self) -> u32 {
        self.child.as_ref().unwrap().id()
    }

    /// Is the process still there?
    pub(crate) fn is_alive(&mut self) -> bool {
        self.child.as_mut().is_some_and(|child| child.try_wait().unwrap().is_none())
    }

    /// A file in its folder.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// All that it has said.
    pub(crate) fn stderr(&self) -> String {
        String::from_utf8_lossy(&fs::read(self.path("stderr")).unwrap_or_default()).into_owned()
    }

    /// The files of the client `gp`.
    pub(crate) fn client_files(&self) -> ClientTls {
        self.files_of("gp")
    }

    /// The files of one of the demo's clients.
    pub(crate) fn files_of(&self, client: &str) -> ClientTls {
        ClientTls {
            ca: self.path("tls/ca.pem"),
            cert: Some(self.path(&format!("tls/client-{client}.pem"))),
            key: Some(self.path(&format!("tls/client-{client}-key.pem"))),
        }
    }

    /// Where the API is.
    pub(crate) fn https(&self) -> SocketAddr {
        self.base.trim_start_matches("https://").split('/').next().unwrap().parse().unwrap()
    }

    /// A connection on which a test may write what no client would.
    pub(crate) async fn connect(&self, files: &ClientTls) -> std::io::Result<TlsStream<TcpStream>> {
        let config = client_config(files, Timestamp::now()).unwrap();
        let name = ServerName::try_from("127.0.0.1").unwrap();
        TlsConnector::from(config).connect(name, TcpStream::connect(self.https()).await?).await
    }

    /// A client with connections of its own.
    pub(crate) fn client(&self) -> Client {
        self.client_with(&self.client_files())
    }

    /// A client that shows these files.
    pub(crate) fn client_with(&self, files: &ClientTls) -> Client {
        Client::new(&self.base, client_config(files, Timestamp::now()).unwrap()).unwrap()
    }

    /// Runs `onward --json … --dir <this>`; answers its document.
    pub(crate) fn document(&self, args: &[&str]) -> Value {
        let output =
            onward(&self.environment()).arg("--json").args(args).arg("--dir").arg(self.dir.path()).output().unwrap();
        assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// How many messages the journal has of an outcome.
    pub(crate) fn messages(&self, outcome: &str) -> u64 {
        self.document(&["messages", "counts"])[outcome].as_u64().unwrap_or(0)
    }

    /// How many letters the outbox has in a state.
    pub(crate) fn outbox(&self, state: &str) -> u64 {
        let depths = self.document(&["outbox", "counts"]);
        depths.as_array().unwrap().iter().filter_map(|depth| depth[state].as_u64()).sum()
    }

    /// Every message is in exactly one state, whatever happened; prints the sum.
    pub(crate) fn check_ledger(&self) {
        let ledger = self.document(&["ledger"]);
        println!("{}", ledger["sum"].as_str().unwrap());
        assert_eq!(ledger["balanced"], true, "{ledger:#}");
    }

    /// Waits until nothing is queued.
    pub(crate) fn drain(&self, longest: Duration) {
        let deadline = Instant::now() + longest;
        while self.outbox("queued") != 0 {
            assert!(Instant::now() < deadline, "not drained: {}", self.document(&["outbox", "counts"]));
            std::thread::sleep(Duration::from_millis(100));
        }
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            let text = self.stderr();
            eprintln!("the gateway said: {}", &text[text.floor_char_boundary(text.len().saturating_sub(4_000))..]);
        }
    }
}

/// The program, free of what the caller's environment sets.
pub(crate) fn onward(environment: &[(String, String)]) -> Command {
    onward_by(&PROGRAM, &[], environment)
}

fn onward_by(program: &str, args: &[&str], environment: &[(String, String)]) -> Command {
    let mut command = Command::new(program);
    command.args(args);
    for name in ["ONWARD_CONFIG", "ONWARD_DIR", "ONWARD_LOG"] {
        command.env_remove(name);
    }
    command.envs(environment.iter().cloned()).stdin(Stdio::null());
    command
}

/// Is it another build than the one beside the tests?
pub(crate) fn is_other_program() -> bool {
    *PROGRAM != env!("CARGO_BIN_EXE_onward")
}

/// Somebody of a population: family and given name (PID-5) and date of birth (PID-7), which follow from a number. Where all
/// have one name, each is compared with all others, which no population asks for.
pub(crate) fn somebody(n: u64) -> (String, String) {
    let word = |scattered: u64| -> String {
        (0..6).map(|place| char::from(b'A' + (scattered / 26_u64.pow(place) % 26) as u8)).collect()
    };
    let scattered = n.wrapping_mul(2_654_435_761) % 308_915_776;
    let name = format!("TESTER{}^{}", word(scattered), word(scattered / 3 + n));
    (name, format!("{}{:02}{:02}", 1930 + n % 89, 1 + n % 12, 1 + n % 28))
}

/// A port that can be bound again and again: below those that the system gives to outgoing connections.
pub(crate) fn fixed_port() -> u16 {
    let start = 20_000 + (uuid::Uuid::new_v4().as_u128() % 10_000) as u16;
    (start..32_000).find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok()).unwrap()
}

/// Writes bytes to the API over TLS, and reads until it closes.
pub(crate) async fn raw(gateway: &Gateway, request: &[u8]) -> String {
    let mut stream = gateway.connect(&gateway.client_files()).await.unwrap();
    // Whoever closes early may do so before all is written; what it said is read all the same.
    let _ = stream.write_all(request).await;
    let mut answer = Vec::new();
    let read = tokio::time::timeout(Duration::from_secs(120), stream.read_to_end(&mut answer)).await;
    drop(read.expect("it stays open"));
    String::from_utf8_lossy(&answer).into_owned()
}

/// Posts a message; the headers carry its request id.
pub(crate) async fn post(client: &Client, headers: HeaderMap, message: &Message) -> Response {
    post_bytes(client, headers, message.body.clone()).await
}

/// Posts any body.
pub(crate) async fn post_bytes(client: &Client, headers: HeaderMap, body: impl Into<Bytes>) -> Response {
    client.send(Method::POST, "/$process-message", headers, Some(body.into())).await.unwrap()
}

/// The headers of messages to the usual service.
pub(crate) fn headers() -> Headers {
    Headers::new(SERVICE)
}

/// Messages to the usual service.
pub(crate) fn bundles() -> Bundles {
    Bundles::new(SERVICE)
}

/// The body as JSON; null where it is none.
pub(crate) fn json(response: &Response) -> Value {
    serde_json::from_slice(&response.body).unwrap_or_default()
}

/// The permanent code of an OperationOutcome's first issue: `ONW-1020`.
pub(crate) fn code(response: &Response) -> String {
    let outcome = json(response);
    let codings = outcome["issue"][0]["details"]["coding"].as_array().cloned().unwrap_or_default();
    let own = codings.iter().filter_map(|coding| coding["code"].as_str()).find(|code| code.starts_with("ONW-"));
    own.unwrap_or_default().to_owned()
}

/// The id that the receiver gave to the resource of this type.
pub(crate) fn resource_id(response: &Response, kind: &str) -> Option<String> {
    let bundle = json(response);
    let resources = bundle["entry"].as_array()?.iter().map(|entry| &entry["resource"]);
    let found = resources.into_iter().find(|resource| resource["resourceType"] == kind)?;
    str_at(found, "id").map(str::to_owned)
}

/// Free slots of the usual service, earliest first.
pub(crate) async fn free_slots(client: &Client, days: i64) -> Vec<FreeSlot> {
    let tomorrow = Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC).date().tomorrow().unwrap();
    let last = tomorrow.saturating_add(jiff::Span::new().days(days - 1));
    let query = format!(
        "/Slot?Schedule.actor:HealthcareService={SERVICE}&start=ge{tomorrow}T00:00:00%2B00:00\
         &start=le{last}T23:59:59%2B00:00&status=free&_include=Slot:schedule&_include=Schedule:actor:HealthcareService"
    );
    let answer = client.send(Method::GET, &query, headers().read(), None).await.unwrap();
    assert_eq!(answer.status, 200, "{}", String::from_utf8_lossy(&answer.body));
    let entries = json(&answer)["entry"].as_array().cloned().unwrap();
    let slots = entries.iter().map(|entry| &entry["resource"]).filter(|resource| resource["resourceType"] == "Slot");
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    slots
        .map(|slot| FreeSlot {
            id: text(&slot["id"]),
            schedule: text(&slot["schedule"]["reference"]).trim_start_matches("Schedule/").to_owned(),
            start: text(&slot["start"]),
            end: text(&slot["end"]),
        })
        .collect()
}

/// One field of the first segment of this name: `field(body, "RF1", 6)`, up to its first component.
pub(crate) fn field(body: &[u8], segment: &str, number: usize) -> String {
    let text = String::from_utf8_lossy(body);
    let found = text.split('\r').find(|line| line.starts_with(segment)).unwrap_or_default();
    found.split('|').nth(number).unwrap_or_default().split('^').next().unwrap_or_default().to_owned()
}

/// Something that several tasks share.
pub(crate) type Shared<T> = Arc<std::sync::Mutex<T>>;
