//! `onward hl7` as integrators meet it: what it prints, what it answers, and how it ends.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command as Process, Stdio};

use assert_cmd::Command;
use onward::hl7v2::frame::wrap;
use serde_json::Value;

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/feed").join(name)
}

fn hl7(args: &[&str]) -> Command {
    let mut command = Command::cargo_bin("onward").unwrap();
    command.arg("hl7").args(args);
    command
}

fn output(args: &[&str]) -> String {
    let done = hl7(args).assert().success();
    String::from_utf8(done.get_output().stdout.clone()).unwrap()
}

fn document(args: &[&str]) -> Value {
    serde_json::from_str(&output(args)).unwrap()
}

fn path(file: &Path) -> &str {
    file.to_str().unwrap()
}

#[test]
fn parse_prints_segments_fields_and_components() {
    let parsed = document(&["parse", path(&fixture("adt_a28.hl7"))]);
    let segments = parsed[0]["segments"].as_array().unwrap();
    let names: Vec<&str> = segments.iter().map(|it| it["segment"].as_str().unwrap()).collect();
    assert_eq!(names, ["MSH", "EVN", "PID", "PD1", "NK1"]);
    assert_eq!(parsed[0]["charset"], "UTF-8");
    assert_eq!(segments[0]["fields"]["2"], "^~\\&");
    assert_eq!(segments[2]["fields"]["5"][0], "TESTER");
    assert_eq!(segments[2]["fields"]["3"]["repetitions"][1][0], "D100");
}

#[test]
fn parse_takes_frames_batches_and_standard_input_and_says_what_is_no_message() {
    let message = |n: u32| format!("MSH|^~\\&|A|B|C|D|2026||ADT^A28|{n}|T|2.4\rPID|1||{n}\r");
    let framed = [wrap(message(1).as_bytes()).unwrap(), wrap(message(2).as_bytes()).unwrap()].concat();
    let batch = format!("BHS|^~\\&|A|B\r{}{}BTS|2\r", message(1), message(2)).into_bytes();
    for input in [framed, batch] {
        let done = hl7(&["parse", "-"]).write_stdin(input).assert().success();
        let parsed: Value = serde_json::from_slice(&done.get_output().stdout).unwrap();
        assert_eq!(parsed.as_array().unwrap().len(), 2);
        assert_eq!(parsed[1]["segments"][0]["fields"]["10"], "2");
    }
    let done = hl7(&["parse", "-"]).write_stdin("hello").assert().code(1);
    assert!(String::from_utf8_lossy(&done.get_output().stdout).contains("\"error\""));
    hl7(&["parse", "/nowhere.hl7"]).assert().code(1);
}

#[test]
fn explain_says_what_would_be_done_and_answered() {
    let text = output(&["explain", path(&fixture("siu_s15.hl7"))]);
    assert!(text.contains("SIU^S15: cancelled") && text.contains("Answer  AA (CA)"), "{text}");
    let done = hl7(&["explain", "-"]).write_stdin("MSH|^~\\&|A|B|C|D|2026||ORU^R01|1|T|2.4\r").assert().code(1);
    let text = String::from_utf8(done.get_output().stdout.clone()).unwrap();
    assert!(text.contains("kept in quarantine") && text.contains("Answer  AR (CR)"), "{text}");
    hl7(&["explain", "--dialect", "esperanto", path(&fixture("siu_s15.hl7"))]).assert().code(1);
}

#[test]
fn ack_prints_the_acknowledgement_that_was_asked_for() {
    let text = output(&["ack", "--code", "ae", path(&fixture("adt_a31.hl7"))]);
    let lines: Vec<&str> = text.lines().collect();
    assert!(lines[0].starts_with("MSH|^~\\&|ONWARD|X26|PAS|RXX|") && lines[1].starts_with("MSA|AE|FEED"), "{text}");
    hl7(&["ack", "--code", "XX", path(&fixture("adt_a31.hl7"))]).assert().code(1);
}

#[test]
fn convert_makes_fhir_and_says_what_stays_in_the_message() {
    let file = fixture("siu_s12.hl7");
    let done = hl7(&["convert", "--to", "fhir", "--report", path(&file)]).assert().success();
    let bundle: Value = serde_json::from_slice(&done.get_output().stdout).unwrap();
    let kinds: Vec<&Value> =
        bundle["entry"].as_array().unwrap().iter().map(|it| &it["resource"]["resourceType"]).collect();
    assert_eq!(kinds, ["Patient", "Appointment"]);
    let report = String::from_utf8(done.get_output().stderr.clone()).unwrap();
    assert!(report.contains("translated: ") && report.contains("carried in the message only: "), "{report}");
    // The same message is the same Bundle.
    assert_eq!(document(&["convert", "--to", "fhir", path(&file)]), bundle);
    hl7(&["convert", "--to", "fhir", "-"]).write_stdin("hello").assert().code(1);
    hl7(&["convert", "--to", "hl7v2", "-"]).write_stdin("{}").assert().code(1);
}

/// A listener, ended when dropped.
struct Listener(Child);

impl Drop for Listener {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn listener(args: &[&str]) -> (Listener, String) {
    let mut process = Process::new(assert_cmd::cargo::cargo_bin("onward"));
    process.args(["hl7", "listen", "--listen", "127.0.0.1:0"]).args(args);
    let mut child = process.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stderr.take().unwrap()).read_line(&mut line).unwrap();
    let address = line.trim().rsplit(' ').next().unwrap().to_owned();
    (Listener(child), address)
}

#[test]
fn what_is_sent_is_printed_and_answered() {
    let (mut listening, address) = listener(&["--count", "2"]);
    let (first, second) = (fixture("adt_a28.hl7"), fixture("ref_i12.hl7"));
    let answers = output(&["send", "--to", &address, path(&first), path(&second)]);
    assert_eq!(answers.lines().filter(|line| line.starts_with("MSA|AA|FEED")).count(), 2, "{answers}");
    let mut printed = String::new();
    std::io::Read::read_to_string(&mut listening.0.stdout.take().unwrap(), &mut printed).unwrap();
    assert_eq!(printed, format!("{}\n{}\n", fs::read_to_string(&first).unwrap(), fs::read_to_string(&second).unwrap()));
    assert!(listening.0.wait().unwrap().success(), "it stops after two");
}

#[test]
fn what_is_refused_or_goes_nowhere_is_a_failure() {
    let (_listening, address) = listener(&["--code", "AR"]);
    let file = fixture("adt_a28.hl7");
    let done = hl7(&["send", "--to", &address, path(&file)]).assert().code(1);
    assert!(String::from_utf8_lossy(&done.get_output().stdout).contains("MSA|AR|"));
    hl7(&["send", "--to", "nonsense", path(&file)]).assert().code(1);
    hl7(&["send", "--to", "127.0.0.1:1", path(&file)]).assert().failure();
}
