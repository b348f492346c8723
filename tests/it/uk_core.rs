//! The current UK Core, which has differentials only, checks its own examples.

use std::path::Path;

use onward::fhir::json::Limits;
use onward::issue::{Issue, NARRATIVE, Severity};
use onward::profile::library::Library;
use onward::profile::package;
use onward::profile::policy::Policy;
use onward::profile::validate::Request;

/// Examples with errors beyond their narratives: what is wrong with them.
const WRONG: &[(&str, &[(&str, &str)])] = &[
    // An extension with a value of two types, one of which its own definition does not have.
    (
        "Extension-UKCore-ConditionEpisode-Example",
        &[("ONW-2008", "Condition.extension[].value"), ("ONW-2016", "Condition.extension[]")],
    ),
    ("UKCore-Bundle-NEWS2Observations-Example", &[("ONW-2031", "Bundle.entry[].fullUrl")]),
    // `Organization/https://…/StructureDefinition/UKCore-Organization` reads as a reference to a StructureDefinition.
    ("UKCore-Provenance-RARecordConsent-Example", &[("ONW-2005", "Provenance.agent[].onBehalfOf")]),
];

/// Examples whose narrative lacks the namespace that R4 2.11.1 asks for.
const WITHOUT_NAMESPACE: usize = 184;

/// A place without the numbers of items.
fn anywhere(at: &str) -> String {
    at.replace(|c: char| c.is_ascii_digit(), "")
}

#[test]
fn its_own_examples_are_sound_but_for_what_is_wrong_with_them() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/fhir/ukcore/current-2025-06-20");
    if !root.is_dir() {
        return eprintln!("SKIPPED: the folder with published definitions is not here");
    }
    let library = Library::load(std::slice::from_ref(&root), &package::Limits::default());
    let mut files: Vec<_> = std::fs::read_dir(root.join("examples")).unwrap().map(|it| it.unwrap().path()).collect();
    files.sort();
    assert_eq!(files.len(), 215);
    let (mut narratives, mut wrong) = (0, Vec::new());
    for file in &files {
        let bytes = std::fs::read(file).unwrap();
        let tape = library.validator.read(&bytes, &Limits::default()).unwrap();
        let found = Policy::strict().apply(library.validator.check(&tape, &Request::default()).issues);
        let errors: Vec<&Issue> = found.iter().filter(|it| it.severity == Severity::Error).collect();
        narratives += usize::from(errors.iter().any(|it| it.code == &NARRATIVE));
        let mut others: Vec<(String, String)> = errors
            .iter()
            .filter(|it| it.code != &NARRATIVE)
            .map(|it| (it.code.id.to_owned(), anywhere(&it.at)))
            .collect();
        others.sort();
        others.dedup();
        if !others.is_empty() {
            wrong.push((file.file_stem().unwrap().to_string_lossy().into_owned(), others));
        }
    }
    let text = |all: &[(&str, &str)]| all.iter().map(|(code, at)| ((*code).into(), (*at).into())).collect();
    let expected: Vec<(String, Vec<(String, String)>)> =
        WRONG.iter().map(|(name, all)| ((*name).to_owned(), text(all))).collect();
    assert_eq!(wrong, expected);
    assert_eq!(narratives, WITHOUT_NAMESPACE);
}
