//! The command line as its users meet it: exit codes, what is printed where, and in which shape.

use std::fs;
use std::path::Path;
use std::process::{Command as Process, Stdio};

use assert_cmd::Command;
use jiff::Timestamp;
use onward::booking::command::{self, PublishSlots};
use onward::booking::decide::decide;
use onward::store::sqlite::{Options, SqliteStore};
use onward::store::{Answer, Letter, Message, Settlement, Store, Verdict, Work};
use serde_json::{Value, json};
use tempfile::TempDir;
use uuid::Uuid;

/// A folder with a configuration and a diary.
fn gateway() -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("onward.toml"), "[log]\nlevel = \"info\"\n").unwrap();
    fs::write(dir.path().join("diary.json"), diary(5).to_string()).unwrap();
    dir
}

fn diary(slots: usize) -> Value {
    let service = json!({"resourceType": "HealthcareService", "id": "2000072489", "name": "Fracture clinic"});
    let schedule = json!({
        "resourceType": "Schedule", "id": "d1", "actor": [{"reference": "HealthcareService/2000072489"}],
    });
    let mut resources = vec![service, schedule];
    resources.extend((0..slots).map(slot));
    let entries: Vec<Value> = resources.into_iter().map(|resource| json!({"resource": resource})).collect();
    json!({"resourceType": "Bundle", "type": "collection", "entry": entries})
}

fn slot(index: usize) -> Value {
    json!({
        "resourceType": "Slot", "id": format!("slot-{index}"), "schedule": {"reference": "Schedule/d1"},
        "status": "free", "start": "2027-01-04T09:00:00Z", "end": "2027-01-04T09:20:00Z",
    })
}

fn onward(dir: &Path, args: &[&str]) -> Command {
    let mut command = Command::cargo_bin("onward").unwrap();
    command.env_remove("ONWARD_CONFIG").env("ONWARD_DIR", dir).current_dir(dir).args(args);
    command
}

fn output(dir: &Path, args: &[&str]) -> String {
    let done = onward(dir, args).assert().success();
    String::from_utf8(done.get_output().stdout.clone()).unwrap()
}

fn document(dir: &Path, args: &[&str]) -> Value {
    serde_json::from_str(&output(dir, args)).unwrap()
}

/// Runs what must fail; answers what it says.
fn refusal(dir: &Path, args: &[&str], code: i32) -> String {
    let done = onward(dir, args).assert().code(code);
    assert!(done.get_output().stdout.is_empty(), "what went wrong is no data");
    String::from_utf8(done.get_output().stderr.clone()).unwrap()
}

fn import(dir: &Path) -> Value {
    document(dir, &["--json", "slots", "import", "diary.json", "--organisation", "RH8"])
}

/// Puts a letter into the outbox and parks it.
fn parked_letter(dir: &Path) -> i64 {
    let store = SqliteStore::open(&dir.join("onward.db"), Options::default(), decide).unwrap();
    let letter = || Letter {
        destination: "pas".into(),
        key: Uuid::now_v7(),
        event: "REF^I12".into(),
        control_id: "c1".into(),
        body: b"MSH|^~\\&|ONWARD\rPID|1\r".to_vec(),
    };
    let answer = move |_: &_| Answer { status: 200, body: Some(b"{}".to_vec()), letters: vec![letter()] };
    let command = Box::new(command::Command::PublishSlots(PublishSlots::default()));
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let verdict = runtime.block_on(store.submit(message(), Work::Decide { command, answer: Box::new(answer) }));
    assert!(matches!(verdict, Ok(Verdict::Accepted { letters: 1, .. })));
    let id = store.outbox_list(&onward::store::Page { limit: 1, ..Default::default() }).unwrap()[0].id;
    runtime.block_on(store.outbox_settle(id, Settlement::Parked { failure: "AE".into() })).unwrap();
    store.close();
    id
}

fn message() -> Message {
    Message {
        id: Uuid::now_v7(),
        received_at: Timestamp::now(),
        channel: "https",
        caller: "gp".into(),
        organisation: String::new(),
        kind: "test\u{1b}[2J".into(),
        key: None,
        correlation: String::new(),
        bundle: String::new(),
        body: b"the bytes".to_vec(),
        issues: Vec::new(),
        feed: None,
    }
}

#[test]
fn usage_is_the_callers_fault_and_help_is_an_answer() {
    let dir = gateway();
    let path = dir.path();
    assert!(output(path, &["--help"]).contains("messages"));
    assert!(output(path, &["--version"]).starts_with("onward "));
    assert!(refusal(path, &["nonsense"], 1).contains("nonsense"));
    assert!(refusal(path, &["outbox", "retry", "x"], 1).contains("'x'"));
}

#[test]
fn a_missing_configuration_is_the_callers_fault() {
    let dir = tempfile::tempdir().unwrap();
    assert!(refusal(dir.path(), &["messages", "list"], 1).contains("onward.toml"));
}

#[test]
fn a_missing_database_is_not_made_by_looking() {
    let dir = gateway();
    assert!(refusal(dir.path(), &["messages", "list"], 1).contains("onward.db"));
    assert!(!dir.path().join("onward.db").exists());
}

#[test]
fn a_broken_database_is_the_operators() {
    let dir = gateway();
    fs::write(dir.path().join("onward.db"), "this is no database".repeat(500)).unwrap();
    assert!(refusal(dir.path(), &["messages", "list"], 2).starts_with("onward: "));
}

#[test]
fn config_check_tells_every_finding() {
    let dir = gateway();
    let checked = onward(dir.path(), &["config", "check", "--json"]).assert().code(1);
    let findings: Value = serde_json::from_slice(&checked.get_output().stdout).unwrap();
    let settings: Vec<&str> = findings.as_array().unwrap().iter().filter_map(|it| it["setting"].as_str()).collect();
    assert_eq!(settings, ["https.cert", "https.key", "https.client_ca"]);
    fs::write(dir.path().join("onward.toml"), "[htps]\n").unwrap();
    assert!(refusal(dir.path(), &["config", "check"], 1).contains("htps"));
}

#[test]
fn config_show_tells_what_is_in_force() {
    let dir = gateway();
    let shown = onward(dir.path(), &["config", "show"]).env("ONWARD__HTTPS__ENTRIES_MAX", "7").assert().success();
    let text = String::from_utf8(shown.get_output().stdout.clone()).unwrap();
    assert!(text.contains("entries_max = 7"), "{text}");
    assert_eq!(document(dir.path(), &["config", "show", "--json"])["store"]["queue_max"], 1024);
}

#[test]
fn serve_refuses_a_configuration_with_errors() {
    let dir = gateway();
    assert!(refusal(dir.path(), &["serve"], 1).contains("https.cert"));
}

#[test]
fn a_diary_is_imported_and_may_be_imported_again() {
    let dir = gateway();
    for _ in 0..2 {
        assert_eq!(import(dir.path()), json!({"services": 1, "directory": 2, "slots": 5, "dry_run": false}));
    }
    let store = SqliteStore::open(&dir.path().join("onward.db"), Options::default(), decide).unwrap();
    let service = &store.service_list().unwrap()[0];
    assert_eq!((service.id.0.as_str(), service.organisation.as_str()), ("2000072489", "RH8"));
    assert!(store.directory_resource("Schedule", "d1").unwrap().is_some());
    assert_eq!(store.message_counts().unwrap(), [("accepted".into(), 2)]);
}

#[test]
fn a_large_diary_goes_in_pieces() {
    let dir = gateway();
    fs::write(dir.path().join("diary.json"), diary(4_001).to_string()).unwrap();
    assert_eq!(import(dir.path())["slots"], 4_001);
    assert_eq!(document(dir.path(), &["--json", "messages", "counts"]), json!({"accepted": 3}));
}

#[test]
fn a_resource_per_line_and_standard_input_are_diaries_too() {
    let dir = gateway();
    let lines = format!("{}\n\n{}\n", slot(1), slot(2));
    let args = ["--json", "slots", "import", "-", "--service", "77", "--organisation", "RH8"];
    let done = onward(dir.path(), &args).write_stdin(lines).assert().success();
    let counts: Value = serde_json::from_slice(&done.get_output().stdout).unwrap();
    assert_eq!(counts["slots"], 2);
}

#[test]
fn a_diary_with_errors_changes_nothing() {
    let dir = gateway();
    let text = refusal(dir.path(), &["slots", "import", "diary.json"], 1);
    assert!(text.contains("ONW-3014 at Bundle.entry[0].resource.providedBy"), "{text}");
    let text = refusal(dir.path(), &["slots", "import", "missing.json"], 1);
    assert!(text.contains("missing.json"), "{text}");
    fs::write(dir.path().join("diary.json"), "{\"a\": 1,}").unwrap();
    let text = refusal(dir.path(), &["slots", "import", "diary.json"], 1);
    assert!(text.contains("Line 1, column 9"), "{text}");
    assert_eq!(document(dir.path(), &["--json", "messages", "list", "--config", "onward.toml"]), json!([]));
}

#[test]
fn messages_are_listed_and_shown() {
    let dir = gateway();
    parked_letter(dir.path());
    let listed = document(dir.path(), &["--json", "messages", "list", "--outcome", "accepted"]);
    let id = listed[0]["id"].as_str().unwrap();
    let table = output(dir.path(), &["messages", "list"]);
    assert!(table.starts_with("RECEIVED") && table.contains(id) && !table.contains('\u{1b}'), "{table}");
    assert!(output(dir.path(), &["messages", "show", id]).contains("Command       PublishSlots"));
    assert_eq!(output(dir.path(), &["messages", "show", id, "--body"]), "the bytes");
    let shown = document(dir.path(), &["messages", "show", id, "--body", "--json"]);
    assert_eq!((&shown["answer"]["status"], &shown["body_base64"]), (&json!(200), &json!("dGhlIGJ5dGVz")));
    assert!(refusal(dir.path(), &["messages", "show", &Uuid::nil().to_string()], 1).contains("no message"));
}

#[test]
fn a_person_decides_about_letters() {
    let dir = gateway();
    let id = parked_letter(dir.path()).to_string();
    let state = || document(dir.path(), &["--json", "outbox", "show", &id])["state"].clone();
    assert_eq!(
        document(dir.path(), &["--json", "outbox", "list", "--state", "parked", "--destination", "pas"])[0]["failure"],
        "AE"
    );
    assert_eq!(document(dir.path(), &["--json", "outbox", "counts"])[0]["parked"], 1);
    let shown = output(dir.path(), &["outbox", "show", &id]);
    assert!(shown.ends_with("\nMSH|^~\\&|ONWARD\nPID|1\n"), "{shown}");
    assert_eq!(
        document(dir.path(), &["--json", "outbox", "retry", &id]),
        json!({"settled": [id.parse::<i64>().unwrap()]})
    );
    assert_eq!(state(), "queued");
    output(dir.path(), &["outbox", "park", &id, "--reason", "clinic asked"]);
    assert_eq!(state(), "parked");
    output(dir.path(), &["outbox", "skip", &id, "--reason", "sent by hand"]);
    assert_eq!(state(), "superseded");
    assert!(refusal(dir.path(), &["outbox", "retry", &id], 1).contains("letter"));
    assert!(refusal(dir.path(), &["outbox", "show", "999"], 1).contains("no letter"));
}

#[test]
fn completions_and_manual_pages_are_made() {
    let dir = gateway();
    assert!(output(dir.path(), &["completions", "bash"]).contains("onward"));
    assert!(output(dir.path(), &["man"]).contains(".TH onward"));
    output(dir.path(), &["man", "--dir", "man"]);
    assert!(dir.path().join("man/onward-slots-import.1").is_file());
}

#[test]
fn a_reader_that_has_read_enough_is_no_failure() {
    let dir = gateway();
    let mut process = Process::new(assert_cmd::cargo::cargo_bin("onward"));
    let mut child =
        process.args(["completions", "zsh"]).current_dir(dir.path()).stdout(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    assert!(child.wait().unwrap().success());
}
