//! The standard's own example messages, where the facts folder stands beside the project.

use std::path::{Path, PathBuf};

use onward::bars::{check, headers::Headers, translate};
use onward::fhir::document::Document;
use onward::fhir::json;
use onward::profile::facts::r4;

/// Messages that the standard's own text refuses, and why.
const REFUSED: &[(&str, &str)] = &[
    ("BOOKREQ02", "a cancel with reason new and without the appointment's id"),
    ("BOOKREQRESP01", "a searchset, not a message"),
    ("REFRESP02", "a definition that was never published"),
    ("SERVREQ01", "a cancel without the id of what it cancels"),
    ("SERVREQ02", "a cancel without a definition"),
    ("VALRESP01---", "the answer to a request, not a request"),
];

fn shared() -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/bars/examples");
    folder.is_dir().then_some(folder)
}

#[test]
fn examples_are_taken_or_refused_as_the_standard_says() {
    let Some(folder) = shared() else {
        return eprintln!("SKIPPED: the folder with the standard's examples is not here");
    };
    let mut seen = 0;
    for path in
        ["ig-1.12.0/bundles", "tkw/requests"].iter().flat_map(|part| std::fs::read_dir(folder.join(part)).unwrap())
    {
        let path = path.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let refused = REFUSED.iter().find(|(start, _)| name.starts_with(start));
        let found = issues(&std::fs::read(&path).unwrap());
        assert_eq!(found.is_empty(), refused.is_none(), "{name}: {refused:?}\n{}", found.join("\n"));
        seen += 1;
    }
    assert!(30 < seen);
}

fn issues(bytes: &[u8]) -> Vec<String> {
    let tape = match json::read(bytes, &json::Limits::default(), r4().names(), Vec::new()) {
        Ok(tape) => tape,
        Err(error) => return vec![error.issue().to_string()],
    };
    let document = Document::of(&tape, r4().names());
    let (message, mut issues) = check::check(&document, &Headers::default());
    if let Some(message) = message {
        let context =
            translate::Context { correlation: String::new(), now: jiff::Timestamp::UNIX_EPOCH, sandbox: true };
        let (command, more) = translate::translate(&message, &context);
        issues.extend(more);
        assert_eq!(command.is_some(), !issues.has_errors());
    }
    issues.errors().map(ToString::to_string).collect()
}
