//! An independent receiver takes what the outbox sends. Runs where `ONWARD_PYTHON_HL7` names a Python interpreter
//! that has python-hl7; elsewhere it says that it was skipped.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use onward::hl7v2::header::Header;
use onward::outbox::destination::{Destination, Peer};
use onward::store::{Letter, OutboxState};
use uuid::Uuid;

use crate::outbox::World;

/// The server, ended when dropped.
struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn server(python: &str) -> (Server, u16) {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/peers/python_hl7_server.py");
    let mut command = Command::new(python);
    let mut child = command.arg(script).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stderr.take().unwrap()).read_line(&mut line).unwrap();
    (Server(child), line.trim().rsplit(' ').next().unwrap().parse().unwrap())
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn takes_every_message_that_is_sent() {
    let Ok(python) = std::env::var("ONWARD_PYTHON_HL7") else {
        eprintln!("skipped: ONWARD_PYTHON_HL7 is not set");
        return;
    };
    let (mut server, port) = server(&python);
    let letters = letters();
    let mut world = World::new();
    world.write_letters(letters.clone()).await;
    world.start(Destination::mllp("pas", Peer::new("127.0.0.1", port)));
    world.until_delivered(letters.len()).await;
    assert_eq!(world.count(OutboxState::Delivered), letters.len());
    world.stop().await;

    server.0.kill().unwrap();
    let mut output = String::new();
    server.0.stdout.take().unwrap().read_to_string(&mut output).unwrap();
    let received: Vec<serde_json::Value> = output.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(received.len(), letters.len());
    for letter in letters {
        let found = received.iter().find(|it| it["control_id"] == *letter.control_id).unwrap();
        assert_eq!(found["event"], *letter.event);
        let text = String::from_utf8(letter.body).unwrap();
        assert_eq!(segments(found), text.split_terminator('\r').collect::<Vec<_>>());
    }
}

/// The segments as the other side understood them, written as we do.
fn segments(message: &serde_json::Value) -> Vec<String> {
    let fields = |segment: &serde_json::Value| -> Vec<String> {
        segment.as_array().unwrap().iter().map(|field| field.as_str().unwrap().to_owned()).collect()
    };
    let written = |segment| match fields(segment).as_slice() {
        // It counts MSH-1 as a field, as the standard does.
        [name, separator, rest @ ..] if name == "MSH" => format!("MSH{separator}{}", rest.join("|")),
        fields => fields.join("|"),
    };
    message["segments"].as_array().unwrap().iter().map(written).collect()
}
