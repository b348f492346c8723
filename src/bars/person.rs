//! People, links and worklists as FHIR R4: Patient, Task, and the parameters of `$match`, `$links`, `$merge` and
//! `$unmerge`.

use jiff::Timestamp;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::{patient, systems};
use crate::booking::command::Subject;
use crate::booking::identifier::PatientId;
use crate::booking::index::{Alike, Decider, Evidence, Likeness, Link, Task, TaskKind, TaskState};
use crate::booking::patient::Patient;
use crate::booking::person::Person;
use crate::fhir::bundle::Bundle;
use crate::fhir::view::{items, str_at};
use crate::issue::{Issue, Issues, PARAMETER_INVALID, PARAMETER_MISSING};

/// R4 3.1.0.11: how sure a match is.
const MATCH_GRADE: &str = "http://hl7.org/fhir/StructureDefinition/match-grade";
/// The proven number, with the status that says so (UK Core).
const VERIFIED: &str = "number-present-and-verified";
/// Most answers to one question.
pub const COUNT_MAX: usize = 50;
/// Bits that a record needs only to be as likely the person's as somebody else's among a million.
const PRIOR_BITS: f32 = 20.0;

/// The person as a Patient: what all records tell together. Where a record is not to be told, it names no place.
pub fn resource(person: &Person) -> Value {
    let mut patient = Map::new();
    patient.insert("resourceType".to_owned(), "Patient".into());
    patient.insert("id".to_owned(), person.id.to_string().into());
    if let Some(number) = person.nhs_number {
        let status = json!({ "system": systems::VERIFICATION_CODES, "code": VERIFIED });
        let verified = json!({ "url": systems::VERIFICATION, "valueCodeableConcept": { "coding": [status] } });
        let number = json!({ "extension": [verified], "system": systems::NHS_NUMBER, "value": number.as_str() });
        patient.insert("identifier".to_owned(), json!([number]));
    }
    patient.insert("active".to_owned(), true.into());
    patient::write(&person.demographics, &mut patient);
    let others = person.records.iter().skip(1);
    let links: Vec<Value> = others.map(|record| link(*record, "replaces")).collect();
    if !links.is_empty() {
        patient.insert("link".to_owned(), links.into());
    }
    Value::Object(patient)
}

/// A record that follows another one: who asks for it is told where to go.
pub fn follower(record: &Patient, person: PatientId) -> Value {
    json!({
        "resourceType": "Patient",
        "id": record.id.to_string(),
        "active": false,
        "link": [link(person, "replaced-by")],
    })
}

fn link(to: PatientId, kind: &str) -> Value {
    json!({ "other": reference(to), "type": kind })
}

fn reference(to: PatientId) -> Value {
    json!({ "reference": format!("Patient/{to}") })
}

/// What `$match` asks.
pub struct Question {
    /// Of whom it is asked.
    pub subject: Subject,
    /// `onlyCertainMatches`
    pub only_certain: bool,
    /// `count`
    pub count: usize,
}

/// Reads the Parameters of `$match`, or a Patient alone.
pub fn question(body: &Value, sandbox: bool, issues: &mut Issues) -> Option<Question> {
    let resource = match str_at(body, "resourceType") {
        Some("Patient") => Some(body),
        _ => parameter(body, "resource").and_then(|it| it.get("resource")),
    };
    let Some(resource) = resource.filter(|it| str_at(it, "resourceType") == Some("Patient")) else {
        issues.say(&PARAMETER_MISSING, "Parameters.parameter", "Give the Patient as the parameter `resource`.");
        return None;
    };
    let only_certain = parameter(body, "onlyCertainMatches").and_then(|it| it.get("valueBoolean")?.as_bool());
    let count = parameter(body, "count").map(|it| it.get("valueInteger").and_then(Value::as_u64));
    let count = match count {
        None => COUNT_MAX,
        Some(Some(count)) if 0 < count => usize::try_from(count).unwrap_or(COUNT_MAX).min(COUNT_MAX),
        Some(_) => {
            issues.say(&PARAMETER_INVALID, "Parameters.parameter", "`count` is a number of at least one.");
            return None;
        }
    };
    Some(Question { subject: subject(resource, sandbox, issues), only_certain: only_certain.unwrap_or(false), count })
}

/// As in a message; its practice stands in no other resource here.
fn subject(resource: &Value, sandbox: bool, issues: &mut Issues) -> Subject {
    let alone = json!({ "resourceType": "Bundle", "type": "collection", "entry": [{ "resource": resource }] });
    let candidate = PatientId(Uuid::nil());
    let bundle = Bundle::of(&alone);
    let entry = bundle.as_ref().and_then(|bundle| bundle.entries().first().copied());
    match bundle.as_ref().zip(entry) {
        Some((bundle, entry)) => patient::subject(bundle, &entry, candidate, sandbox, issues),
        None => Subject { candidate, nhs_number: None, demographics: Default::default() },
    }
}

fn parameter<'a>(body: &'a Value, name: &str) -> Option<&'a Value> {
    items(body, "parameter").iter().find(|it| str_at(it, "name") == Some(name))
}

/// Records that `$merge` names: the one that is to follow, and the one that it is to follow.
pub fn pair(body: &Value) -> Result<(PatientId, PatientId), Issue> {
    Ok((named(body, "source-patient")?, named(body, "target-patient")?))
}

fn named(body: &Value, name: &str) -> Result<PatientId, Issue> {
    let text = || format!("Give `{name}` as a reference to a Patient that is held here.");
    let reference = parameter(body, name).and_then(|it| str_at(it, "valueReference.reference"));
    let id = reference.and_then(|it| it.rsplit_once("Patient/")).and_then(|(_, id)| Uuid::parse_str(id).ok());
    id.map(PatientId).ok_or_else(|| Issue::with(&PARAMETER_MISSING, "Parameters.parameter", text()))
}

/// Why records are merged or parted: whoever looks later must be able to understand it.
pub fn reason(body: &Value) -> Result<String, Issue> {
    let reason = parameter(body, "reason").and_then(|it| str_at(it, "valueString")).map(str::trim);
    let reason = reason.filter(|it| !it.is_empty() && it.len() <= REASON_BYTES_MAX);
    let text = "Give `reason`: why, in a sentence of at most 500 bytes without patient data.";
    reason.map(str::to_owned).ok_or_else(|| Issue::with(&PARAMETER_MISSING, "Parameters.parameter", text))
}

const REASON_BYTES_MAX: usize = 500;

/// Who it may be, the surest first. Where two people are certain, neither is.
pub fn graded(found: Vec<(PatientId, Alike)>, question: &Question) -> Vec<(PatientId, Evidence)> {
    let certain = found.iter().filter(|(_, it)| it.evidence.likeness == Likeness::Certain).count();
    let grade = |(person, alike): (PatientId, Alike)| {
        let likeness =
            if 1 < certain { alike.evidence.likeness.min(Likeness::Probable) } else { alike.evidence.likeness };
        (person, Evidence { likeness, ..alike.evidence })
    };
    let graded = found.into_iter().map(grade);
    graded.filter(|(_, it)| !question.only_certain || it.likeness == Likeness::Certain).take(question.count).collect()
}

/// The answer to `$match`: a searchset, the surest first.
pub fn matches(base: &str, found: &[(Value, Evidence)], now: Timestamp) -> Value {
    let entries: Vec<Value> = found
        .iter()
        .map(|(patient, evidence)| {
            let id = str_at(patient, "id").unwrap_or_default();
            json!({
                "fullUrl": format!("{base}/Patient/{id}"),
                "resource": patient,
                "search": {
                    "extension": [{ "url": MATCH_GRADE, "valueCode": evidence.likeness.as_str() }],
                    "mode": "match",
                    "score": likelihood(evidence.score),
                },
            })
        })
        .collect();
    let mut bundle = json!({
        "resourceType": "Bundle",
        "id": Uuid::now_v7().to_string(),
        "meta": { "lastUpdated": now.to_string() },
        "type": "searchset",
        "total": entries.len(),
    });
    if !entries.is_empty() {
        bundle["entry"] = entries.into();
    }
    bundle
}

/// Bits of evidence as a number between 0 and 1.
fn likelihood(bits: f32) -> f64 {
    let likely = 1.0 / (1.0 + f64::from(PRIOR_BITS - bits).exp2());
    (likely * 10_000.0).round() / 10_000.0
}

/// The answer to `$links`: what links the records of a person, and who said so.
pub fn links(person: PatientId, history: &[(Timestamp, Link)]) -> Value {
    let parts = history.iter().map(|(at, link)| {
        let (kind, who) = match &link.by {
            Decider::Rules => ("rules", String::new()),
            Decider::Source(name) => ("source", name.clone()),
            Decider::Person(name) => ("person", name.clone()),
        };
        let mut part = vec![
            json!({ "name": "record", "valueReference": reference(link.record) }),
            json!({ "name": "to", "valueReference": reference(link.to) }),
            json!({ "name": "linked", "valueBoolean": link.linked }),
            json!({ "name": "by", "valueCode": kind }),
            json!({ "name": "at", "valueInstant": at.to_string() }),
        ];
        if !who.is_empty() {
            part.push(json!({ "name": "who", "valueString": who }));
        }
        if !link.reason.is_empty() {
            part.push(json!({ "name": "reason", "valueString": link.reason }));
        }
        if let Some(evidence) = &link.evidence {
            part.push(json!({ "name": "grade", "valueCode": evidence.likeness.as_str() }));
            part.push(json!({ "name": "rule", "valueString": evidence.rule }));
        }
        json!({ "name": "link", "part": part })
    });
    let first = json!({ "name": "person", "valueReference": reference(person) });
    json!({ "resourceType": "Parameters", "parameter": std::iter::once(first).chain(parts).collect::<Vec<_>>() })
}

/// The answer to `$merge` and `$unmerge`: the person as it is now.
pub fn merged(person: &Value) -> Value {
    json!({ "resourceType": "Parameters", "parameter": [{ "name": "result", "resource": person }] })
}

/// An entry of the worklist, by whose message it was raised and when. It names both records and says how they
/// compare; it quotes neither.
pub fn task(task: &Task, source: &str, raised_at: Timestamp) -> Value {
    let status = match task.state {
        TaskState::Open => "requested",
        TaskState::Left => "cancelled",
        TaskState::Linked | TaskState::Parted => "completed",
    };
    let mut input = vec![text("grade", task.evidence.likeness.as_str()), text("rule", &task.evidence.rule)];
    let fields = task.evidence.fields.iter();
    input.extend(fields.map(|(field, level, bits)| text(field, &format!("{level} ({bits:+.1})"))));
    let mut resource = json!({
        "resourceType": "Task",
        "id": task.id.to_string(),
        "status": status,
        "intent": "order",
        "code": { "text": task.kind.as_str() },
        "authoredOn": raised_at.to_string(),
        "input": input,
    });
    let thing = |kind: &str, id: Uuid| json!({ "reference": format!("{kind}/{id}") });
    let kind = match task.kind {
        TaskKind::SamePerson => Some("Patient"),
        TaskKind::SameReferral => Some("ServiceRequest"),
        TaskKind::SameAppointment => Some("Appointment"),
        TaskKind::CreateRate => None,
    };
    match kind {
        Some("Patient") => {
            resource["focus"] = thing("Patient", task.pair.0);
            resource["for"] = thing("Patient", task.pair.1);
        }
        Some(kind) => {
            resource["focus"] = thing(kind, task.pair.0);
            resource["basedOn"] = json!([thing(kind, task.pair.1)]);
        }
        None => resource["description"] = source.into(),
    }
    if task.state != TaskState::Open {
        resource["businessStatus"] = json!({ "text": task.state.as_str() });
    }
    resource
}

fn text(kind: &str, value: &str) -> Value {
    json!({ "type": { "text": kind }, "valueString": value })
}
