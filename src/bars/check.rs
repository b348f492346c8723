//! Does a message follow the standard? In the standard's own order: version, destination, workflow,
//! definition, element rules. Every problem is found; the first decides the answer's code.

use serde_json::Value;

use super::definitions::{self, Definition};
use super::headers::Headers;
use super::use_cases::{self, UseCase};
use super::workflow::{self, Facts, Row, Wish};
use super::{appointment, negotiate, systems};
use crate::booking::identifier::ServiceId;
use crate::booking::referral::Category;
use crate::fhir::bundle::{Bundle, Entry};
use crate::fhir::document::Document;
use crate::fhir::view::{code_of, codings, extension, items, reference_at, str_at};
use crate::issue::{
    CONSENT, CONTACT_RANK, DEFINITION_COUNT, DESTINATION, FOCUS, FULL_URL, Issue, Issues, REFERENCE_UNRESOLVED,
    RESOURCE_TYPE, RESPONSE_MISSING, RULE_MISSING, RULE_VALUE, TARGET_ID_MISSING, USE_CASE_UNKNOWN, WORKFLOW,
};

/// A message that passed, and its parts.
#[derive(Debug)]
pub struct Message<'a> {
    /// All of it, as it was read.
    pub document: &'a Document<'a>,
    /// All of it, as a Bundle.
    pub bundle: Bundle<'a>,
    /// What it asks.
    pub row: &'static Row,
    /// For which use case.
    pub use_case: &'static UseCase,
    /// Its MessageHeader.
    pub header: &'a Value,
    /// Its Patient.
    pub patient: Entry<'a>,
    /// Its ServiceRequest or, of a booking, its Appointment.
    pub subject: Entry<'a>,
    /// The resource in focus.
    pub focus: Entry<'a>,
    /// The service that it is for.
    pub service: ServiceId,
}

/// Checks a Bundle. `None` only together with at least one error.
pub fn check<'a>(document: &'a Document<'_>, headers: &Headers) -> (Option<Message<'a>>, Issues) {
    let mut issues = Issues::default();
    let Some(bundle) = document.bundle().filter(|bundle| bundle.kind() == Some("message")) else {
        issues.say(&RESOURCE_TYPE, "Bundle.type", "A Bundle of type message is expected.");
        return (None, issues);
    };
    if let Err(issue) = negotiate::application_version(str_at(document.root(), "meta.versionId")) {
        issues.push(issue);
    }
    let Some(header) = bundle.message_header().copied() else {
        issues.say(&RESOURCE_TYPE, "Bundle.entry[0].resource", "The first entry must be the MessageHeader.");
        return (None, issues);
    };
    let message = assemble(document, bundle, header, headers, &mut issues);
    if let Some(message) = &message {
        check_links(message, &mut issues);
        check_references(message, &mut issues);
        check_counts(message, &mut issues);
        check_elements(message, &mut issues);
    }
    (message.filter(|_| !issues.has_errors()), issues)
}

fn assemble<'a>(
    document: &'a Document<'a>,
    bundle: Bundle<'a>,
    entry: Entry<'a>,
    headers: &Headers,
    issues: &mut Issues,
) -> Option<Message<'a>> {
    let header = entry.resource()?;
    let service = destination(header, headers, issues);
    let event = code(header, "eventCoding", systems::EVENTS);
    let kind = if event.starts_with("booking") { "Appointment" } else { "ServiceRequest" };
    let subject = bundle.entries_of(kind).next().copied();
    let focus = reference_at(header, "focus").and_then(|reference| bundle.resolve(reference)).copied();
    let facts = Facts {
        event,
        reason: code(header, "reason", systems::REASONS),
        category: category(subject.and_then(|subject| subject.resource())),
        status: subject.and_then(|subject| str_at(subject.resource()?, "status")).unwrap_or_default(),
        definition: str_at(header, "definition").unwrap_or_default(),
        focus: focus.and_then(|focus| focus.resource_type()).unwrap_or_default(),
    };
    let row = workflow::find(&facts).map_err(|issue| issues.push(*issue)).ok();
    let use_case = use_case(subject, issues);
    let patient = bundle.entries_of("Patient").next().copied();
    if patient.is_none() {
        issues.say(&DEFINITION_COUNT, "Bundle.entry", "The Bundle must hold exactly one Patient.");
    }
    if items(header, "focus").len() != 1 {
        issues.say(&FOCUS, "Bundle.entry[0].resource.focus", "Exactly one focus is expected.");
    }
    Some(Message {
        row: row?,
        use_case: use_case?,
        patient: patient?,
        subject: subject?,
        focus: focus?,
        service: service?,
        header,
        document,
        bundle,
    })
}

/// The code of a concept in the system that the standard names, however it is spelled.
fn code<'a>(resource: &'a Value, element: &str, system: &str) -> &'a str {
    let concept = resource.get(element);
    let found = concept.into_iter().flat_map(codings).find(|it| it.system.is_some_and(|it| systems::same(it, system)));
    found.and_then(|coding| coding.code).unwrap_or_default()
}

fn category(request: Option<&Value>) -> &str {
    let concepts = request.map_or(&[] as &[Value], |request| items(request, "category"));
    concepts.iter().find_map(|concept| code_of(concept, systems::CATEGORY)).unwrap_or_default()
}

/// The service that the message is for must be the one that the request was routed to.
fn destination(header: &Value, headers: &Headers, issues: &mut Issues) -> Option<ServiceId> {
    const AT: &str = "Bundle.entry[0].resource.destination[0].endpoint";
    let said = str_at(header, "destination.endpoint").and_then(systems::dos_service);
    match (said, &headers.target) {
        (None, _) => issues.say(&DESTINATION, AT, "The destination must be the Directory of Services id of a service."),
        (Some(said), Some(target)) if said != target.0 => issues.add(&DESTINATION, AT),
        (Some(said), _) => return Some(ServiceId(said.to_owned())),
    }
    None
}

fn use_case(subject: Option<Entry<'_>>, issues: &mut Issues) -> Option<&'static UseCase> {
    let subject = subject?;
    let resource = subject.resource()?;
    let booking = subject.resource_type() == Some("Appointment");
    let element = if booking { "serviceCategory" } else { "category" };
    let said = items(resource, element)
        .iter()
        .flat_map(codings)
        .find(|it| it.system.is_some_and(|system| systems::same(system, systems::USE_CASES)))
        .and_then(|it| it.code);
    let found = said.and_then(use_cases::find);
    if found.is_none() {
        issues.add(&USE_CASE_UNKNOWN, subject.place_of(&format!("{element}[0].coding")));
    }
    found
}

/// Every entry has a fullUrl of its own, and what the message hangs together by resolves.
fn check_links(message: &Message<'_>, issues: &mut Issues) {
    for entry in message.bundle.entries() {
        if entry.full_url.is_none_or(|url| !url.trim().starts_with("urn:uuid:")) {
            issues.add(&FULL_URL, format!("{}.fullUrl", entry.place()));
        }
    }
    for entry in message.bundle.repeated_full_urls() {
        // Published examples repeat a fullUrl for two versions of one Encounter; the first is taken.
        issues.push(Issue::new(&FULL_URL, format!("{}.fullUrl", entry.place())).tolerated());
    }
}

fn check_references(message: &Message<'_>, issues: &mut Issues) {
    for (node, reference) in message.document.references() {
        let reference = reference.trim();
        if reference.starts_with("urn:uuid:") && message.bundle.resolve(reference).is_none() {
            issues.push(Issue::new(&REFERENCE_UNRESOLVED, message.document.place(node)).tolerated());
        }
    }
}

fn check_counts(message: &Message<'_>, issues: &mut Issues) {
    let Some(definition) = str_at(message.header, "definition").and_then(definitions::find) else { return };
    for (kind, min, max) in definition.resources {
        let extra = if *kind == "Encounter" { message.row.encounters_extra } else { 0 };
        let count = message.bundle.entries_of(kind).count();
        if count < *min || max.saturating_add(extra) < count {
            issues.say(&DEFINITION_COUNT, "Bundle.entry", expected(definition, kind, *min, *max));
        }
    }
    let listed = |kind: &str| definition.resources.iter().any(|(listed, ..)| *listed == kind);
    for entry in message.bundle.entries().iter().skip(1) {
        if !entry.resource_type().is_some_and(listed) {
            let text = format!("{} does not list this type of resource.", definition.name);
            issues.say(&DEFINITION_COUNT, entry.place_of(""), text);
        }
    }
}

fn expected(definition: &Definition, kind: &str, min: usize, max: usize) -> String {
    let max = if max == definitions::MANY { "*".to_owned() } else { max.to_string() };
    format!("{} asks for {min}..{max} of {kind}.", definition.name)
}

fn check_elements(message: &Message<'_>, issues: &mut Issues) {
    check_header(message, issues);
    match message.row.wish {
        Wish::Place | Wish::Amend => {
            check_request(message, issues);
            check_contacts(message, issues);
        }
        Wish::Book | Wish::AmendBooking => {
            check_booking(message, issues);
            check_contacts(message, issues);
        }
        Wish::Cancel | Wish::CancelBooking | Wish::Respond => {}
    }
    if matches!(message.row.wish, Wish::Amend | Wish::Cancel | Wish::AmendBooking | Wish::CancelBooking) {
        check_target(message, issues);
    }
    check_subject(message, issues);
    check_use_case(message, issues);
    check_consents(message, issues);
}

fn check_header(message: &Message<'_>, issues: &mut Issues) {
    let header = message.header;
    for element in ["source.endpoint", "sender.reference"] {
        if str_at(header, element).is_none() {
            issues.add(&RULE_MISSING, format!("Bundle.entry[0].resource.{element}"));
        }
    }
    if message.row.wish == Wish::Respond && str_at(header, "response.identifier").is_none() {
        issues.add(&RESPONSE_MISSING, "Bundle.entry[0].resource.response.identifier");
    }
    if str_at(message.bundle.root(), "id").and_then(super::headers::hyphenated).is_none() {
        issues.say(&RULE_VALUE, "Bundle.id", "Bundle.id must be a UUID.");
    }
}

/// What is changed or withdrawn is named by the id that the receiver gave it.
fn check_target(message: &Message<'_>, issues: &mut Issues) {
    let id = message.subject.resource().and_then(|resource| str_at(resource, "id"));
    if id.and_then(super::headers::hyphenated).is_none() {
        issues.add(&TARGET_ID_MISSING, message.subject.place_of("id"));
    }
}

/// The patient of the request or booking is the Patient of the Bundle, and nobody else.
fn check_subject(message: &Message<'_>, issues: &mut Issues) {
    let Some(resource) = message.subject.resource() else { return };
    let is_patient =
        |reference: &str| message.bundle.resolve(reference).is_some_and(|it| it.index == message.patient.index);
    if message.subject.resource_type() == Some("ServiceRequest") {
        if !reference_at(resource, "subject").is_some_and(is_patient) {
            issues.say(
                &RULE_VALUE,
                message.subject.place_of("subject.reference"),
                "The subject must be the Bundle's Patient.",
            );
        }
        return;
    }
    let participants: Vec<_> =
        items(resource, "participant").iter().filter_map(|it| reference_at(it, "actor")).collect();
    let patients = participants.iter().filter(|it| is_patient(it)).count();
    if matches!(message.row.wish, Wish::Book | Wish::AmendBooking) && (patients != 1 || participants.len() != 1) {
        let text = "The one participant must be the Bundle's Patient.";
        issues.say(&RULE_VALUE, message.subject.place_of("participant"), text);
    }
}

/// Application 4 validates; all others refer or book.
fn check_use_case(message: &Message<'_>, issues: &mut Issues) {
    let validates = message.use_case.application == 4;
    let fits = match message.row.category {
        Some(Category::Validation) => validates,
        Some(Category::Referral) => !validates,
        None => true,
    };
    if !fits {
        issues.say(
            &WORKFLOW,
            message.subject.place_of("category[0].coding"),
            "The use case is not one of this category.",
        );
    }
}

fn check_request(message: &Message<'_>, issues: &mut Issues) {
    let Some(request) = message.subject.resource() else { return };
    if str_at(request, "intent") != Some("plan") {
        issues.say(&RULE_VALUE, message.subject.place_of("intent"), "The intent must be plan.");
    }
    let emergency = message.use_case.application == 6;
    let validation = message.row.category == Some(Category::Validation);
    let plan = if validation || emergency { "active" } else { "completed" };
    let encounters: &[&str] = match (validation, emergency) {
        (true, _) => &["triaged", "in-progress"],
        (false, true) => &["triaged", "finished", "in-progress"],
        (false, false) => &["triaged", "finished"],
    };
    check_status(message, "CarePlan", &[plan], issues);
    if message.row.wish == Wish::Place {
        check_status(message, "Encounter", encounters, issues);
    }
}

fn check_status(message: &Message<'_>, kind: &str, allowed: &[&str], issues: &mut Issues) {
    for entry in message.bundle.entries_of(kind) {
        let status = entry.element("status");
        if !allowed.contains(&status.as_deref().and_then(Value::as_str).unwrap_or_default()) {
            let text = format!("{kind}.status must be {} in this workflow.", allowed.join(" or "));
            issues.say(&WORKFLOW, entry.place_of("status"), text);
        }
    }
}

fn check_booking(message: &Message<'_>, issues: &mut Issues) {
    let Some(resource) = message.subject.resource() else { return };
    for element in ["start", "end"] {
        if str_at(resource, element).is_none() {
            issues.add(&RULE_MISSING, message.subject.place_of(element));
        }
    }
    if message.row.wish == Wish::Book && appointment::slot_id(&message.bundle, resource).is_none() {
        let text = "The appointment must name a Slot that has the id from the slot search.";
        issues.say(&RULE_MISSING, message.subject.place_of("slot"), text);
    }
    if appointment::based_on_unreadable(&message.bundle, resource) {
        let text = "The referral must be named as ServiceRequest/<id>, with the id that the receiver gave.";
        issues.say(&RULE_VALUE, message.subject.place_of("basedOn"), text);
    }
}

/// Exactly one contact of rank 1, and it can be telephoned.
fn check_contacts(message: &Message<'_>, issues: &mut Issues) {
    let Some(patient) = message.patient.resource() else { return };
    let rank = |contact: &Value| extension(contact, systems::CONTACT_RANK)?.get("valuePositiveInt")?.as_u64();
    let first: Vec<&Value> = items(patient, "contact").iter().filter(|contact| rank(contact) == Some(1)).collect();
    let phone = |contact: &&Value| items(contact, "telecom").iter().any(|it| str_at(it, "system") == Some("phone"));
    if first.len() != 1 || !first.iter().all(phone) {
        issues.add(&CONTACT_RANK, message.patient.place_of("contact"));
    }
}

/// Direct care, patient privacy, implied; and nothing else.
fn check_consents(message: &Message<'_>, issues: &mut Issues) {
    let is = |resource: &Value, element: &str, code: &str| {
        let mut codes = items(resource, element).iter().flat_map(codings).filter_map(|it| it.code).peekable();
        codes.peek().is_some() && codes.all(|it| it == code)
    };
    for entry in message.bundle.entries_of("Consent") {
        let Some(consent) = entry.resource() else { continue };
        for (element, code) in [("category", "DRC"), ("scope", "patient-privacy"), ("policyRule", "IMPLIED")] {
            if !is(consent, element, code) {
                issues.add(&CONSENT, entry.place_of(element));
            }
        }
    }
}
