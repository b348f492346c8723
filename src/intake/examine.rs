//! What is wrong with a resource, without anything being done with it: `$validate` (R4 3.1.0.11).

use crate::bars::necessity;
use crate::fhir::tape::{NodeId, Tape};
use crate::issue::{
    Issue, Issues, PARAMETER_INVALID, PARAMETER_MISSING, PATH_UNKNOWN, RESOURCE_TYPE, TOO_MANY_ENTRIES,
};
use crate::profile::facts::r4;
use crate::profile::library::Library;
use crate::profile::program::Profile;
use crate::profile::validate::Request;

use super::{Caller, Intake, content};

/// What is asked, beside the body.
#[derive(Clone, Debug, Default)]
pub struct Question {
    /// The type of the path; empty where it has none.
    pub kind: String,
    /// `mode`
    pub mode: Option<String>,
    /// `profile`: what the resource must conform to, beside the profiles that it declares.
    pub profiles: Vec<String>,
}

/// The resource that the question is about.
enum Subject {
    /// The whole body.
    Body,
    /// A part of a Parameters resource.
    Part(std::ops::Range<usize>),
}

impl Intake {
    /// A resource that is sound R4, as a tree; else everything that is wrong with it.
    pub fn read_resource(&self, body: &[u8]) -> Result<serde_json::Value, Issues> {
        let library = self.settings.library.get();
        let content = content::read(body, &self.settings.json)?;
        let limits = content.limits(&self.settings.json);
        let tape = library.validator.read(&content.json, &limits).map_err(|error| content.fault(&error))?;
        let request = Request { now: Some(jiff::Timestamp::now()), brief: true, ..Request::default() };
        let found = content.placed(library.validator.check(&tape, &request).issues);
        if found.has_errors() { Err(found) } else { Ok(tape.value(NodeId::ROOT)) }
    }

    /// Everything that is wrong with the resource, by the policy that the caller's messages are checked by; else why the
    /// question cannot be answered.
    pub fn examine(&self, caller: &Caller, mut question: Question, body: &[u8]) -> Result<Issues, Issues> {
        if !question.kind.is_empty() && r4().resource(&question.kind).is_none() {
            return Err(Issue::new(&PATH_UNKNOWN, "http.path").into());
        }
        let library = self.settings.library.get();
        let content = content::read(body, &self.settings.json)?;
        let limits = content.limits(&self.settings.json);
        let tape = library.validator.read(&content.json, &limits).map_err(|error| content.fault(&error))?;
        let subject = subject(&tape, &mut question)?;
        let profiles = known(&library, &question)?;
        let alone;
        let tape = match subject {
            Subject::Body => tape,
            Subject::Part(span) => {
                alone = only(&content.json, span);
                library.validator.read(&alone, &limits).map_err(|error| content.fault(&error))?
            }
        };
        if self.settings.entries_max < entries(&tape) {
            return Err(Issue::new(&TOO_MANY_ENTRIES, "Bundle.entry").into());
        }
        let mut found = content.issues.clone();
        if !question.kind.is_empty() && type_of(&tape).is_some_and(|name| name != question.kind) {
            found.push(misplaced(&tape));
        }
        let request = Request { profiles: &profiles, now: Some(jiff::Timestamp::now()), ..Request::default() };
        let report = library.validator.check(&tape, &request);
        let mut all = report.issues;
        all.extend(necessity::unmet(&tape));
        found.extend(self.settings.policies.of(&caller.system).apply(all.in_order()));
        Ok(content.placed(found))
    }
}

/// Reads the operation's parameters, where the body is a Parameters resource that has them.
fn subject(tape: &Tape<'_>, question: &mut Question) -> Result<Subject, Issue> {
    if type_of(tape).as_deref() != Some("Parameters") {
        return valid_mode(question).map(|()| Subject::Body);
    }
    let mut resource = None;
    let parameters = tape.member_named(NodeId::ROOT, "parameter");
    for parameter in parameters.into_iter().flat_map(|all| tape.children(all)) {
        let text = |name: &str| tape.member_named(parameter, name).and_then(|node| tape.string(node));
        let value = |names: [&str; 3]| names.iter().find_map(|name| text(name)).map(std::borrow::Cow::into_owned);
        match text("name").as_deref() {
            Some("resource") => resource = tape.member_named(parameter, "resource"),
            Some("profile") => question.profiles.extend(value(["valueUri", "valueCanonical", "valueString"])),
            Some("mode") => question.mode = value(["valueCode", "valueString", "valueUri"]),
            _ => {}
        }
    }
    valid_mode(question)?;
    match resource {
        Some(node) => Ok(Subject::Part(tape.span(node))),
        None if question.kind == "Parameters" => Ok(Subject::Body),
        None => Err(Issue::with(&PARAMETER_MISSING, "Parameters.parameter", "Name the resource to be checked.")),
    }
}

/// Nothing is stored here in this way, so there is nothing to ask about a deletion.
fn valid_mode(question: &Question) -> Result<(), Issue> {
    match question.mode.as_deref() {
        None | Some("create" | "update" | "profile") => Ok(()),
        Some(_) => Err(Issue::with(
            &PARAMETER_INVALID,
            "http.mode",
            "The mode is create, update or profile; there is no other.",
        )),
    }
}

fn known<'l>(library: &'l Library, question: &Question) -> Result<Vec<&'l Profile>, Issue> {
    let find = |url: &String| {
        let found = library.validator.program().profile(url.trim());
        found.ok_or_else(|| Issue::with(&PARAMETER_INVALID, "http.profile", "The profile is not loaded here."))
    };
    question.profiles.iter().filter(|url| !is_of_r4(url)).map(find).collect()
}

/// R4's own definition of a type is asked of every resource of it.
fn is_of_r4(url: &str) -> bool {
    let name = url.trim().strip_prefix("http://hl7.org/fhir/StructureDefinition/");
    name.is_some_and(|name| r4().resource(name.split('|').next().unwrap_or(name)).is_some())
}

fn type_of(tape: &Tape<'_>) -> Option<String> {
    tape.string(tape.member_named(NodeId::ROOT, "resourceType")?).map(std::borrow::Cow::into_owned)
}

fn entries(tape: &Tape<'_>) -> usize {
    tape.member_named(NodeId::ROOT, "entry").map_or(0, |all| tape.children(all).count())
}

fn misplaced(tape: &Tape<'_>) -> Issue {
    let (line, column) = tape.line_column(NodeId::ROOT);
    Issue::with(&RESOURCE_TYPE, "", "The resource is not of the type that the path names.").at_line(line, column)
}

/// The same bytes with blanks for all but a part, so that the part keeps its lines and columns.
fn only(bytes: &[u8], part: std::ops::Range<usize>) -> Vec<u8> {
    let blank = |(at, byte): (usize, &u8)| match byte {
        b'\n' => Some(b'\n'),
        _ if part.contains(&at) => Some(*byte),
        // A character has one blank, however many bytes it has.
        byte if byte & 0xC0 == 0x80 => None,
        _ => Some(b' '),
    };
    bytes.iter().enumerate().filter_map(blank).collect()
}
