//! The documentation says what the code does: tables are made from the code and compared, commands are read by the
//! command line itself, links lead somewhere, and the example configuration is one.
//!
//! `UPDATE=1 cargo test docs` writes the tables anew.

mod settings;

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use clap::CommandFactory;
use onward::bars::{capability, outcome, workflow};
use onward::booking::referral::Category;
use onward::cli::Cli;
use onward::config::Config;
use onward::fhir::form::Form;
use onward::issue::{self, Code, Issue, Severity};
use onward::pas;
use serde_json::Value;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

fn read(path: impl AsRef<Path>) -> String {
    let path = Path::new(ROOT).join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Everything that is written for readers.
fn pages() -> Vec<PathBuf> {
    let root = Path::new(ROOT);
    let docs = fs::read_dir(root.join("docs")).unwrap().map(|entry| entry.unwrap().path());
    let mut pages: Vec<_> = docs.filter(|path| path.extension().is_some_and(|it| it == "md")).collect();
    pages.extend(["README.md", "CONTRIBUTING.md", "CHANGELOG.md"].map(|name| root.join(name)));
    pages.sort();
    pages
}

/// Compares what stands between `<!-- table:name -->` and `<!-- /table -->` with what the code says. Tests run side by
/// side, so each file has one test that may write it.
fn assert_table(path: &str, name: &str, table: &str) {
    let text = read(path);
    let (opening, closing) = (format!("<!-- table:{name} -->\n"), "<!-- /table -->");
    let start = text.find(&opening).unwrap_or_else(|| panic!("{path} has no {opening}")) + opening.len();
    let end = start + text[start..].find(closing).unwrap_or_else(|| panic!("{path}: {name} has no end"));
    let expected = format!("\n{}\n\n", table.trim());
    if std::env::var_os("UPDATE").is_some() {
        fs::write(Path::new(ROOT).join(path), format!("{}{expected}{}", &text[..start], &text[end..])).unwrap();
        return;
    }
    assert_eq!(text[start..end], expected, "{path}, table {name} (UPDATE=1 accepts it)");
}

fn row(cells: &[&str]) -> String {
    format!("| {} |\n", cells.join(" | "))
}

fn heading(cells: &[&str]) -> String {
    row(cells) + &format!("|{}\n", "---|".repeat(cells.len()))
}

fn codes(texts: &[&str]) -> String {
    texts.iter().map(|text| format!("`{text}`")).collect::<Vec<_>>().join(", ")
}

fn interactions() -> String {
    let line = |it: &capability::Interaction| row(&[&format!("`{} {}`", it.method, it.path), it.summary]);
    let table =
        heading(&["Interaction", "What it is"]) + &capability::INTERACTIONS.iter().map(line).collect::<String>();
    let forms = [Form::Json, Form::Xml].map(Form::media_type);
    format!("{table}\nEach of them reads and answers {}.", forms.map(|form| format!("`{form}`")).join(" and "))
}

fn workflows() -> String {
    let line = |it: &workflow::Row| {
        let subject = if it.category.is_some() { "ServiceRequest" } else { "Appointment" };
        let category = it.category.map_or("", Category::as_str);
        row(&[
            it.name,
            &codes(&[it.event]),
            &codes(it.reasons),
            category,
            &format!("{subject}: {}", codes(it.statuses)),
            &codes(it.definitions),
        ])
    };
    heading(&["Workflow", "Event", "Reason", "Category", "Status", "MessageDefinition"])
        + &workflow::ROWS.iter().map(line).collect::<String>()
}

/// The BaRS code and the next move, as the sender is told them.
fn told(code: &'static Code) -> (String, String) {
    let bytes = outcome::outcome(&Issue::new(code, "").into(), "");
    let outcome: Value = serde_json::from_slice(&bytes).unwrap();
    let details = &outcome["issue"][0]["details"];
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    (text(&details["coding"][0]["code"]), text(&details["text"]))
}

fn error_line(code: &'static Code) -> String {
    let (bars, next) = told(code);
    let status = outcome::status(code.fault).0.to_string();
    let is_error = code.severity == Severity::Error;
    let (status, bars) = if is_error { (status, codes(&[&bars])) } else { ("accepted".into(), "warning".into()) };
    let next = if is_error { next.as_str() } else { "Sender: nothing; staff of the receiver look." };
    row(&[&codes(&[code.id]), &status, &bars, &codes(&[code.fhir]), code.meaning, next])
}

fn errors() -> String {
    let groups = [
        ("ONW-1", "The request and its headers"),
        ("ONW-2", "JSON, XML and FHIR structure"),
        ("ONW-3", "The rules for messages"),
        ("ONW-4", "What is already held"),
        ("ONW-5", "Identity and access"),
        ("ONW-6", "HL7 v2"),
        ("ONW-7", "The index of patients"),
        ("ONW-9", "The gateway itself"),
    ];
    let mut text = String::new();
    let mut listed = 0;
    for (prefix, title) in groups {
        let group = issue::ALL.iter().filter(|code| code.id.starts_with(prefix));
        let lines: Vec<_> = group.map(|code| error_line(code)).collect();
        listed += lines.len();
        let head = heading(&["Code", "Status", "BaRS code", "Issue type", "Meaning", "Next move"]);
        let _ = write!(text, "## {prefix}xxx: {title}\n\n{head}{}\n", lines.concat());
    }
    assert_eq!(listed, issue::ALL.len(), "a code is in no group");
    text
}

#[test]
fn tables_of_what_is_supported_follow_the_code() {
    assert_table("README.md", "interactions", &interactions());
    assert_table("README.md", "workflows", &workflows());
    assert_table("README.md", "hl7v2", &pas::support_table());
}

#[test]
fn what_a_pas_gets_follows_the_code() {
    assert_table("docs/hl7v2.md", "hl7v2", &pas::support_table());
    assert_table("docs/hl7v2.md", "channel", &settings::channel());
    assert_table("docs/hl7v2.md", "feed", &pas::inbound::support_table());
    assert_table("docs/hl7v2.md", "dialect", &settings::dialect());
}

#[test]
fn every_code_is_explained() {
    assert_table("docs/errors.md", "errors", &errors());
}

#[test]
fn every_setting_is_explained() {
    assert_table("docs/operators.md", "settings", &settings::reference());
}

/// Command lines in blocks of shell, without the prompt and the way to start the program.
fn commands(text: &str) -> Vec<String> {
    let blocks = text.split("```").skip(1).step_by(2).filter_map(|block| block.strip_prefix("sh\n"));
    let joined: Vec<String> = blocks.map(|block| block.replace("\\\n", " ")).collect();
    let lines = joined.iter().flat_map(|block| block.lines());
    let ours = lines.filter_map(|line| {
        let line = line.trim().strip_prefix("sudo -u onward ").unwrap_or(line.trim());
        line.strip_prefix("cargo run --release -- ").or(line.strip_prefix("onward ")).map(str::to_owned)
    });
    ours.collect()
}

/// Words as a shell divides them, as far as the documentation needs it; ends at a pipe or a comment.
fn words(line: &str) -> Vec<String> {
    let (mut words, mut word, mut quoted) = (vec!["onward".to_owned()], String::new(), false);
    for c in line.chars().chain([' ']) {
        match c {
            '"' | '\'' => quoted = !quoted,
            ' ' if !quoted => {
                if matches!(word.as_str(), "#" | "|" | ">" | "&") {
                    return words;
                }
                if !word.is_empty() {
                    words.push(std::mem::take(&mut word));
                }
            }
            c => word.push(c),
        }
    }
    words
}

#[test]
fn every_command_in_the_documentation_is_understood() {
    let mut seen = 0;
    for page in pages() {
        for line in commands(&read(&page)) {
            seen += 1;
            let read = Cli::command().try_get_matches_from(words(&line));
            assert!(read.is_ok(), "{}: onward {line}\n{}", page.display(), read.unwrap_err());
        }
    }
    assert!(10 < seen, "{seen}");
}

#[test]
fn every_link_leads_to_a_file() {
    for page in pages() {
        let text = read(&page);
        let targets = text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
        for target in targets.filter(|target| !target.contains("://") && !target.starts_with('#')) {
            let file = target.split('#').next().unwrap_or_default();
            assert!(page.parent().unwrap().join(file).exists(), "{} links to {target}", page.display());
        }
    }
}

#[test]
fn every_code_and_number_that_is_named_exists() {
    let telemetry = read("src/telemetry.rs");
    for page in pages() {
        let text = read(&page);
        for name in text.split('`').skip(1).step_by(2) {
            let code_is_known = issue::ALL.iter().any(|code| code.id == name);
            let is_code = name.len() == 8 && name.starts_with("ONW-") && name[4..].chars().all(|c| c.is_ascii_digit());
            assert!(!is_code || code_is_known, "{} names {name}", page.display());
            let is_metric = name.starts_with("onward_") && name.chars().all(|c| c.is_ascii_lowercase() || c == '_');
            assert!(!is_metric || telemetry.contains(&format!("\"{name}\"")), "{} names {name}", page.display());
        }
    }
}

/// All that it lacks are the files of the place where it is used.
#[test]
fn the_example_configuration_lacks_only_files() {
    let config = Config::load_with(&Path::new(ROOT).join("deploy/onward.toml"), []).unwrap();
    let findings = config.check();
    let others = findings.iter().filter(|it| !it.text.starts_with("there is no f"));
    assert_eq!(others.map(ToString::to_string).collect::<Vec<_>>(), [""; 0]);
    assert!(findings.iter().any(|it| it.setting == "https.cert"), "{findings:?}");
}
