//! Other people's programs exchange messages with this one, both ways and over mutual TLS.
//!
//! `ONWARD_PYTHON_HL7` names a Python interpreter that has python-hl7, `ONWARD_NODE_HL7` a folder of node modules that
//! has node-hl7-client and node-hl7-server; openssl is used where it is. What is not there is skipped, and says so.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use bytes::BytesMut;
use jiff::Timestamp;
use onward::hl7v2::ack::{Code, Received, Reply};
use onward::hl7v2::frame::{Mllp, wrap};
use onward::hl7v2::header::Header;
use onward::hl7v2::message::{Field, Message, Segment};
use onward::outbox::destination::{Destination, Peer, Tls};
use onward::outbox::mllp::send_all;
use onward::store::{Letter, OutboxState};
use onward::tls::authority::{Authority, Validity};
use onward::tls::client::client_config;
use onward::tls::{ClientTls, install_provider};
use rustls::pki_types::ServerName;
use serde_json::{Value, json};
use tokio_util::codec::Decoder;
use uuid::Uuid;

use crate::gateway::{Gateway, Options, fixed_port};
use crate::hl7_corpus;
use crate::outbox::World;

/// A program that speaks HL7 v2.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Program {
    /// By its interpreter.
    Python(String),
    /// By the folder of its modules.
    Node(String),
    OpenSsl,
}

/// Those that are here.
fn programs() -> Vec<Program> {
    let named = |name: &str| {
        let found = std::env::var(name).ok();
        if found.is_none() {
            eprintln!("SKIPPED: {name} is not set");
        }
        found
    };
    let openssl = Command::new("openssl").arg("version").output().is_ok_and(|it| it.status.success());
    if !openssl {
        eprintln!("SKIPPED: there is no openssl");
    }
    let (python, node) = (named("ONWARD_PYTHON_HL7"), named("ONWARD_NODE_HL7"));
    [python.map(Program::Python), node.map(Program::Node), openssl.then_some(Program::OpenSsl)]
        .into_iter()
        .flatten()
        .collect()
}

/// The files of one end of a line.
struct Files {
    ca: PathBuf,
    cert: PathBuf,
    key: PathBuf,
}

impl Files {
    fn args(&self, names: [&str; 3]) -> Vec<String> {
        let paths = [&self.ca, &self.cert, &self.key];
        names.iter().zip(paths).flat_map(|(name, path)| [(*name).to_owned(), path.display().to_string()]).collect()
    }
}

/// An authority, and what it vouches for on both ends.
fn files(folder: &Path) -> (Files, Files) {
    let validity = Validity::days(Timestamp::now(), 2);
    let authority = Authority::new("test", validity).unwrap();
    fs::write(folder.join("ca.pem"), authority.cert_pem()).unwrap();
    let of = |name: &str| Files {
        ca: folder.join("ca.pem"),
        cert: folder.join(format!("{name}.pem")),
        key: folder.join(format!("{name}-key.pem")),
    };
    let (server, client) = (of("server"), of("client"));
    let names = ["localhost", "127.0.0.1"];
    authority.issue_server(&names, validity).unwrap().write(&server.cert, &server.key).unwrap();
    authority.issue_client("onward", validity).unwrap().write(&client.cert, &client.key).unwrap();
    (server, client)
}

/// A child that ends when this is dropped.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Running {
    fn start(mut command: Command) -> Self {
        Self(command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap())
    }

    /// Ends it once it has printed so many lines, or for too long none; answers each as JSON. It answers a message before
    /// it prints it.
    fn printed(mut self, count: usize) -> Vec<Value> {
        let (send, lines) = mpsc::channel();
        let output = BufReader::new(self.0.stdout.take().unwrap());
        std::thread::spawn(move || output.lines().map_while(Result::ok).try_for_each(|line| send.send(line)));
        let mut found = Vec::new();
        while found.len() < count
            && let Ok(line) = lines.recv_timeout(Duration::from_secs(10))
        {
            found.push(line);
        }
        self.0.kill().unwrap();
        found.extend(lines);
        found.iter().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

impl Program {
    /// The script that stands for it in `tests/peers/`.
    fn script(&self, role: &str) -> Command {
        let file = |name: &str| Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/peers").join(name);
        match self {
            Self::Python(interpreter) => {
                let mut command = Command::new(interpreter);
                command.arg(file(&format!("python_hl7_{role}.py")));
                command
            }
            Self::Node(modules) => {
                let mut command = Command::new("node");
                command.env("NODE_PATH", modules).arg(file(&format!("node_hl7_{role}.js")));
                command
            }
            Self::OpenSsl => Command::new("openssl"),
        }
    }

    /// A receiver, and the port where it listens.
    fn serve(&self, tls: Option<&Files>) -> (Running, u16) {
        let mut command = self.script("server");
        if *self == Self::OpenSsl {
            let port = fixed_port();
            command.args(["s_server", "-quiet", "-Verify", "1", "-verify_return_error", "-naccept", "1", "-accept"]);
            command.arg(format!("127.0.0.1:{port}"));
            command.args(tls.expect("it speaks nothing else").args(["-CAfile", "-cert", "-key"]));
            let mut running = Running::start(command);
            acknowledge_by_hand(&mut running);
            return (running, port);
        }
        command.args(tls.map(|files| files.args(["--ca", "--cert", "--key"])).unwrap_or_default());
        command.stderr(Stdio::piped());
        let mut running = Running::start(command);
        let mut line = String::new();
        BufReader::new(running.0.stderr.take().unwrap()).read_line(&mut line).unwrap();
        let port = line.trim().rsplit(' ').next().unwrap().parse();
        (running, port.unwrap_or_else(|_| panic!("{self:?} says {line}")))
    }

    /// Sends messages, each after the answer to the one before; answers the code of each.
    fn send(&self, port: u16, tls: &Files, messages: &[Vec<u8>], folder: &Path) -> Vec<(String, String)> {
        let mut command = self.script("client");
        if *self == Self::OpenSsl {
            // It keeps the connection open after the end of its input, as long as the other side does.
            command.args(["s_client", "-quiet", "-verify_return_error", "-connect", &format!("127.0.0.1:{port}")]);
            command.args(tls.args(["-CAfile", "-cert", "-key"])).stderr(Stdio::null());
            return converse(Running::start(command), messages);
        }
        command.args(["--port", &port.to_string()]).args(tls.args(["--ca", "--cert", "--key"]));
        for (number, message) in messages.iter().enumerate() {
            let file = folder.join(format!("{number}.hl7"));
            fs::write(&file, message).unwrap();
            command.arg(file);
        }
        let output = command.output().unwrap();
        assert!(output.status.success(), "{self:?}: {}", String::from_utf8_lossy(&output.stderr));
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let lines = String::from_utf8(output.stdout).unwrap();
        let lines = lines.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        lines.map(|answer| (text(&answer["control_id"]), text(&answer["code"]))).collect()
    }
}

/// What openssl prints is what came; what it is given goes back.
fn acknowledge_by_hand(running: &mut Running) {
    let (mut output, mut input) = (running.0.stdout.take().unwrap(), running.0.stdin.take().unwrap());
    std::thread::spawn(move || {
        let mut frames = Frames::default();
        while let Some(message) = frames.next(&mut output) {
            let at = "20260301091500";
            let reply = Reply { code: Code::AA, control_id: "1", at, text: "", problems: &[], version: "2.4" };
            write(&mut input, &reply.render(&Header::read(&message)));
        }
    });
}

fn converse(mut running: Running, messages: &[Vec<u8>]) -> Vec<(String, String)> {
    let (mut output, mut input) = (running.0.stdout.take().unwrap(), running.0.stdin.take().unwrap());
    let mut frames = Frames::default();
    let exchange = |message: &Vec<u8>| {
        write(&mut input, message);
        let answer = frames.next(&mut output).expect("an answer");
        let received = Received::read(&answer).unwrap();
        (String::from_utf8(received.answers).unwrap(), received.code.unwrap().as_str().to_owned())
    };
    messages.iter().map(exchange).collect()
}

fn write(input: &mut ChildStdin, message: &[u8]) {
    input.write_all(&wrap(message).unwrap()).unwrap();
    input.flush().unwrap();
}

/// Frames out of what a program prints.
#[derive(Default)]
struct Frames(Mllp, BytesMut);

impl Frames {
    fn next(&mut self, output: &mut impl Read) -> Option<Vec<u8>> {
        loop {
            if let Some(frame) = self.0.decode(&mut self.1).unwrap() {
                return Some(frame.to_vec());
            }
            let mut bytes = [0; 4096];
            match output.read(&mut bytes).unwrap_or(0) {
                0 => return None,
                count => self.1.extend_from_slice(&bytes[..count]),
            }
        }
    }
}

/// Every expected message of `fixtures/pas`, with a control id of its own.
fn letters() -> Vec<Letter> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/pas");
    let folders = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let files = folders.flat_map(|folder| fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()));
    let messages = files.filter(|file| file.extension().is_some_and(|it| it == "hl7"));
    let letter = |(number, file)| {
        let text = fs::read_to_string(file).unwrap().replace('\n', "\r");
        let old = String::from_utf8(Header::read(text.as_bytes()).control_id().to_vec()).unwrap();
        let control_id = format!("{number:020}");
        let event = Header::read(text.as_bytes()).event();
        let body = text.replacen(&old, &control_id, 1).into_bytes();
        Letter { destination: "pas".to_owned(), key: Uuid::from_u128(number), event, control_id, body }
    };
    (0_u128..).zip(messages).map(letter).collect()
}

fn over_tls(port: u16, client: &Files) -> Peer {
    let files = ClientTls { ca: client.ca.clone(), cert: Some(client.cert.clone()), key: Some(client.key.clone()) };
    let config = client_config(&files, Timestamp::now()).unwrap();
    let tls = Tls { server_name: ServerName::try_from("localhost").unwrap(), config: Arc::new(move || config.clone()) };
    Peer { tls: Some(tls), ..Peer::new("127.0.0.1", port) }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn other_programs_take_every_letter() {
    install_provider();
    let folder = tempfile::tempdir().unwrap();
    let (server, client) = files(folder.path());
    for program in programs() {
        for secure in [false, true] {
            if !secure && program == Program::OpenSsl {
                continue;
            }
            let (running, port) = program.serve(secure.then_some(&server));
            let peer = if secure { over_tls(port, &client) } else { Peer::new("127.0.0.1", port) };
            let letters = letters();
            let mut world = World::new();
            world.write_letters(letters.clone()).await;
            // openssl takes one connection at a time.
            world.start(Destination { connections: 1, ..Destination::mllp("pas", peer) });
            world.until_delivered(letters.len()).await;
            assert_eq!(world.count(OutboxState::Delivered), letters.len(), "{program:?}");
            world.stop().await;
            println!(
                "{program:?} took {} letters, {}",
                letters.len(),
                if secure { "over mutual TLS" } else { "in clear" }
            );
            if program != Program::OpenSsl {
                assert_understood(&running.printed(letters.len()), &letters, &program);
            }
        }
    }
}

fn assert_understood(received: &[Value], letters: &[Letter], program: &Program) {
    assert_eq!(received.len(), letters.len(), "{program:?}");
    for letter in letters {
        let found = received.iter().find(|it| it["control_id"] == *letter.control_id).unwrap();
        assert_eq!(found["event"], *letter.event, "{program:?}");
        let text = String::from_utf8(letter.body.clone()).unwrap();
        assert_eq!(segments(found), text.split_terminator('\r').collect::<Vec<_>>(), "{program:?}");
    }
}

/// The segments as the other side understood them, written as we do.
fn segments(message: &Value) -> Vec<String> {
    let fields = |segment: &Value| -> Vec<String> {
        segment.as_array().unwrap().iter().map(|field| field.as_str().unwrap().to_owned()).collect()
    };
    let written = |segment| match fields(segment).as_slice() {
        // It counts MSH-1 as a field, as the standard does.
        [name, separator, rest @ ..] if name == "MSH" => format!("MSH{separator}{}", rest.join("|")),
        fields => fields.join("|"),
    };
    message["segments"].as_array().unwrap().iter().map(written).collect()
}

/// A new person each; the third is about nobody.
fn admissions(program: &str) -> Vec<Vec<u8>> {
    let message = |n: u32| {
        let pid = format!("PID|1||{program}{n}^^^RZ9^MR||ÅSTRÖM^ZOË^^^^^L||19800101|1\r");
        let pid = if n == 2 { String::new() } else { pid };
        format!(
            "MSH|^~\\&|PAS|RZ9|ONWARD|X26|20260301091500||ADT^A28^ADT_A05|{program}{n}|T|2.4|||||GBR|UNICODE UTF-8\r\
             EVN||20260301091500\r{pid}"
        )
        .into_bytes()
    };
    (0..20).map(message).collect()
}

#[test]
fn other_programs_send_over_mutual_tls_and_are_answered() {
    let programs = programs();
    let mut gateway = Gateway::start(Options::default());
    let server = Files {
        ca: gateway.path("tls/ca.pem"),
        cert: gateway.path("tls/server.pem"),
        key: gateway.path("tls/server-key.pem"),
    };
    let port = fixed_port();
    gateway.kill();
    gateway.set("mllp.0.listen", format!("127.0.0.1:{port}"));
    gateway.set("mllp.0.tls.cert", server.cert.display());
    gateway.set("mllp.0.tls.key", server.key.display());
    gateway.set("mllp.0.tls.client_ca", server.ca.display());
    gateway.set("mllp.0.systems", "[\"gp\"]");
    gateway.restart();
    let gp = gateway.client_files();
    let client = Files { ca: gp.ca, cert: gp.cert.unwrap(), key: gp.key.unwrap() };
    let folder = tempfile::tempdir().unwrap();
    for program in &programs {
        let name = format!("{program:?}").split('(').next().unwrap().to_uppercase();
        let messages = admissions(&name);
        let answers = program.send(port, &client, &messages, folder.path());
        let expected = |n: usize| (format!("{name}{n}"), if n == 2 { "AE" } else { "AA" }.to_owned());
        assert_eq!(answers, (0..messages.len()).map(expected).collect::<Vec<_>>());
        println!("{program:?} sent {} messages over mutual TLS", messages.len());
    }
    // Vouched for by the same authority, but not one that speaks on this channel.
    let other = gateway.files_of("nhs111");
    let other = Files { ca: other.ca, cert: other.cert.unwrap(), key: other.key.unwrap() };
    let (known, stranger) = (over_tls(port, &client), over_tls(port, &other));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let send = |peer: &Peer, name: &str| runtime.block_on(send_all(peer, &admissions(name)[..1], |_, _| {}));
    assert!(send(&stranger, "STRANGER").is_err());
    assert_eq!(send(&known, "KNOWN"), Ok(()));
    assert!(gateway.stderr().contains("of no system that may speak here"));
    let count = programs.len();
    let counts = gateway.document(&["messages", "feed", "counts"]);
    let counted = |state: &str| counts[state].as_u64().unwrap_or(0) as usize;
    assert_eq!((counted("applied"), counted("quarantined")), (19 * count + 1, count), "{counts}");
}

/// Segments, fields, repetitions and components as raw text, each byte a character.
fn taken_apart(message: &Message<'_>) -> Value {
    let text = |bytes: &[u8]| -> Value { bytes.iter().map(|byte| char::from(*byte)).collect::<String>().into() };
    let field = |field: Field<'_>| -> Value {
        let repetition = |at: u16| -> Value {
            (1..=field.components(at).max(1)).map(|component| text(field.get(at, component, 0).raw())).collect()
        };
        (1..=field.repetitions().max(1)).map(repetition).collect()
    };
    let segment = |segment: Segment<'_, '_>| -> Value {
        let name = json!([[text(segment.name())]]);
        std::iter::once(name).chain((1..=segment.fields()).map(|number| field(segment.field(number)))).collect()
    };
    message.segments().map(segment).collect()
}

/// Where the other library reads something else, and why.
const OTHERWISE: &[(&str, &str)] = &[
    ("ok-trailing-dos-eof", "the end-of-file byte of DOS is a segment to it"),
    ("malformed-mid-stream", "it guesses delimiters where there are too few"),
    ("Hl7V2MessageCollectionTest-11", "an empty line is a segment to it"),
    ("Hl7V2MessageTreeTest-01", "an empty line is a segment to it"),
    ("empty_segments-ORU_R03", "lines without a name are no segments to it"),
    ("lotsunknowns-ORM_O01", "lines without a name are no segments to it"),
    ("rqi_r04", "lines without a name are no segments to it"),
    ("test2-ORM_O01", "lines without a name are no segments to it"),
];

#[test]
fn fields_are_those_that_python_hl7_reads() {
    let Some(Program::Python(interpreter)) = programs().into_iter().find(|it| matches!(it, Program::Python(_))) else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let mut messages: Vec<(String, Vec<u8>)> = letters().into_iter().map(|it| (it.event, it.body)).collect();
    match hl7_corpus::shared() {
        None => hl7_corpus::skipped(),
        Some(shared) => {
            for (file, bytes) in hl7_corpus::files(&shared) {
                messages.extend(hl7_corpus::messages(&bytes).into_iter().map(|message| (file.clone(), message)));
            }
        }
    }
    // It takes CR only, and blanks around a message as a part of it.
    let readable = messages.iter().filter_map(|(name, bytes)| {
        let trimmed = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes).trim_ascii();
        let message = Message::parse(trimmed).ok()?;
        (!trimmed.contains(&b'\n')).then(|| (name, trimmed, taken_apart(&message)))
    });
    let readable: Vec<_> = readable.collect();
    let mut command = Command::new(interpreter);
    command.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/peers/python_hl7_fields.py"));
    for (number, (_, bytes, _)) in readable.iter().enumerate() {
        let file = folder.path().join(format!("{number}.hl7"));
        fs::write(&file, bytes).unwrap();
        command.arg(file);
    }
    let output = command.output().unwrap();
    let theirs = String::from_utf8(output.stdout).unwrap();
    let (mut agreed, mut fields, mut wrong) = (0, 0, Vec::new());
    for ((name, _, ours), theirs) in readable.iter().zip(theirs.lines()) {
        let theirs: Value = serde_json::from_str(theirs).unwrap();
        if OTHERWISE.iter().any(|(file, _)| name.contains(file)) {
            continue;
        }
        agreed += usize::from(theirs == *ours);
        fields += ours.as_array().unwrap().iter().map(|segment| segment.as_array().unwrap().len()).sum::<usize>();
        if theirs != *ours {
            let segments = ours.as_array().unwrap().iter().zip(theirs.as_array().cloned().unwrap_or_default());
            let differs =
                segments.filter(|(ours, theirs)| *ours != theirs).map(|(ours, theirs)| format!("{ours}\n{theirs}"));
            wrong.push(format!("{name}: {}", differs.take(1).collect::<String>()));
        }
    }
    println!("{agreed} of {} messages with {fields} fields are taken apart alike", readable.len());
    assert!(wrong.is_empty(), "{} differ:\n{}", wrong.len(), wrong.join("\n"));
}
