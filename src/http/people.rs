//! The index of patients over FHIR: `$match`, `$links`, `$merge`, `$unmerge`, people and the worklist.
//!
//! Only a system that has the role `index` may ask: who is known here is nobody else's business.

use actix_web::HttpRequest;
use actix_web::web::Payload;
use jiff::Timestamp;
use serde_json::Value;
use uuid::Uuid;

use super::{Front, body, form, overloaded};
use crate::bars::capability::Kind;
use crate::bars::search::{self, Params};
use crate::bars::{headers, person as fhir};
use crate::booking::identifier::{Identifier, PatientId};
use crate::booking::index::{Likeness, TaskState, Wish};
use crate::booking::person;
use crate::intake::{self, Caller, Reply, index, store_issue};
use crate::issue::{
    CLIENT_UNKNOWN, ID_INVALID, INTERNAL, Issue, Issues, PARAMETER_INVALID, PARAMETER_MISSING, RECORD_UNKNOWN,
    RESOURCE_UNKNOWN, ROLE_MISSING,
};
use crate::store::{Store, TaskPage, Verdict};

/// Most entries of the worklist in one answer.
const TASKS_MAX: usize = 1_000;

/// Does it read only?
pub(super) fn reads(kind: Kind) -> bool {
    matches!(kind, Kind::PatientSearch | Kind::PatientRead | Kind::PatientLinks | Kind::TaskSearch | Kind::TaskRead)
}

/// Does it have a body?
pub(super) fn asks(kind: Kind) -> bool {
    matches!(kind, Kind::PatientMatch | Kind::PatientMerge | Kind::PatientUnmerge)
}

/// The system that may ask.
pub(super) fn allowed(caller: Option<&Caller>) -> Result<&Caller, Issue> {
    let caller = caller.ok_or_else(|| Issue::new(&CLIENT_UNKNOWN, ""))?;
    if caller.index { Ok(caller) } else { Err(Issue::new(&ROLE_MISSING, "")) }
}

/// The answer to a read.
pub(super) fn answer(front: &Front, kind: Kind, params: &Params, id: &str) -> Result<Vec<u8>, Issues> {
    let store = front.intake.store().as_ref();
    let found = match kind {
        Kind::PatientSearch => found_by_number(front, store, params)?,
        Kind::PatientRead => read_one(store, id_in(id)?)?,
        Kind::PatientLinks => links(store, id_in(id)?)?,
        Kind::TaskRead => task(store, id_in(id)?.0)?,
        _ => tasks(front, store, params)?,
    };
    Ok(found.to_string().into_bytes())
}

fn id_in(id: &str) -> Result<PatientId, Issue> {
    headers::hyphenated(id).map(PatientId).ok_or_else(|| Issue::new(&ID_INVALID, "http.path"))
}

/// What all records of a person tell; `None`: there is no such record.
fn whole(store: &dyn Store, id: PatientId) -> Result<Option<(PatientId, Value)>, Issue> {
    let records = store.patient_records(id).map_err(|error| store_issue(&error))?;
    let first = records.first().map(|record| record.id);
    Ok(first.map(|first| (first, fhir::resource(&person::person(first, &records)))))
}

fn read_one(store: &dyn Store, id: PatientId) -> Result<Value, Issue> {
    let records = store.patient_records(id).map_err(|error| store_issue(&error))?;
    let (Some(first), Some(own)) = (records.first(), records.iter().find(|it| it.id == id)) else {
        return Err(Issue::new(&RESOURCE_UNKNOWN, "http.path"));
    };
    if first.id == id {
        return Ok(fhir::resource(&person::person(id, &records)));
    }
    Ok(fhir::follower(own, first.id))
}

fn found_by_number(front: &Front, store: &dyn Store, params: &Params) -> Result<Value, Issue> {
    const AT: &str = "http.identifier";
    let token = params.first("identifier").ok_or_else(|| Issue::new(&PARAMETER_MISSING, AT))?;
    let parts = token.split_once('|').filter(|(system, value)| !system.is_empty() && !value.is_empty());
    let (system, value) = parts
        .ok_or_else(|| Issue::with(&PARAMETER_INVALID, AT, "Give the identifier with its system: `system|value`."))?;
    let identifier = Identifier { system: system.to_owned(), value: value.to_owned() };
    let ids = store.patient_search(&identifier).map_err(|error| store_issue(&error))?;
    let mut found = Vec::new();
    for id in ids {
        found.extend(whole(store, id)?.map(|(_, patient)| patient));
    }
    // The patient is not named in the link: it ends up in other people's logs.
    Ok(search::searchset(&front.base, "/Patient", found, Vec::new(), Timestamp::now()))
}

fn links(store: &dyn Store, id: PatientId) -> Result<Value, Issue> {
    let records = store.patient_records(id).map_err(|error| store_issue(&error))?;
    let person = records.first().ok_or_else(|| Issue::new(&RESOURCE_UNKNOWN, "http.path"))?.id;
    let mut history = Vec::new();
    for record in &records {
        history.extend(store.patient_history(record.id).map_err(|error| store_issue(&error))?);
    }
    history.sort_by_key(|(at, _)| *at);
    Ok(fhir::links(person, &history))
}

fn task(store: &dyn Store, id: Uuid) -> Result<Value, Issue> {
    let row = store.task_show(id).map_err(|error| store_issue(&error))?;
    let row = row.ok_or_else(|| Issue::new(&RESOURCE_UNKNOWN, "http.path"))?;
    Ok(fhir::task(&row.task, &row.source, row.raised_at))
}

fn tasks(front: &Front, store: &dyn Store, params: &Params) -> Result<Value, Issue> {
    let states: &[TaskState] = match params.first("status").unwrap_or("requested") {
        "requested" => &[TaskState::Open],
        "completed" => &[TaskState::Linked, TaskState::Parted],
        "cancelled" => &[TaskState::Left],
        _ => return Err(Issue::new(&PARAMETER_INVALID, "http.status")),
    };
    let mut found = Vec::new();
    for state in states {
        let page = TaskPage { state: *state, at_least: Likeness::Possible, limit: TASKS_MAX };
        let rows = store.task_list(&page).map_err(|error| store_issue(&error))?;
        found.extend(rows.iter().map(|row| fhir::task(&row.task, &row.source, row.raised_at)));
    }
    Ok(search::searchset(&front.base, "/Task", found, Vec::new(), Timestamp::now()))
}

impl Front {
    /// `$match`, `$merge` and `$unmerge`.
    pub(super) async fn people(
        &self,
        request: &HttpRequest,
        payload: Payload,
        caller: Option<&Caller>,
        mut issues: Issues,
        (kind, id): (Kind, &str),
    ) -> Reply {
        let caller = match allowed(caller) {
            Ok(caller) => caller,
            Err(issue) => return intake::refusal(&issue.into(), "Onward"),
        };
        let body = match body::read(request, payload, &self.limits).await {
            Ok(body) => body,
            Err(issue) => return intake::refusal(&issue.into(), "Onward"),
        };
        form::agrees(request, &body).err().into_iter().for_each(|issue| issues.push(issue));
        if issues.has_errors() {
            return intake::refusal(&issues, "Onward");
        }
        let Ok(_pass) = self.turn(Some(caller)).await else { return overloaded() };
        let answered = match self.intake.read_resource(&body) {
            Ok(body) => self.answer_people(caller, kind, id, &body).await,
            Err(issues) => Err(issues),
        };
        match answered {
            Ok(answer) => Reply { status: 200, body: answer.to_string().into_bytes() },
            Err(issues) => intake::refusal(&issues, "Onward"),
        }
    }

    async fn answer_people(&self, caller: &Caller, kind: Kind, id: &str, body: &Value) -> Result<Value, Issues> {
        let wish = match kind {
            Kind::PatientMatch => return self.matched(body),
            Kind::PatientMerge => {
                let (record, to) = fhir::pair(body)?;
                Wish::Link { record, to }
            }
            _ => Wish::Part { record: id_in(id)? },
        };
        let reason = fhir::reason(body)?;
        let record = match wish {
            Wish::Link { record, .. } | Wish::Relink { record, .. } | Wish::Part { record } => record,
            Wish::Settle { .. } | Wish::Renumber { .. } => return Err(Issue::new(&INTERNAL, "").into()),
        };
        let (message, work) = index::prepare(&caller.system, &reason, wish, "https");
        let store = self.intake.store();
        match store.submit(message, work).await.map_err(|error| store_issue(&error))? {
            Verdict::Accepted { .. } => {}
            Verdict::Refused { refusal: Some(refusal), .. } => return Err((*refusal.issue).into()),
            _ => return Err(Issue::new(&INTERNAL, "").into()),
        }
        let person = whole(store.as_ref(), record)?.ok_or_else(|| Issue::new(&RECORD_UNKNOWN, ""))?;
        Ok(fhir::merged(&person.1))
    }

    /// A question that is not understood is answered with what is wrong, never with "nobody".
    fn matched(&self, body: &Value) -> Result<Value, Issues> {
        let mut issues = Issues::default();
        let question = fhir::question(body, self.intake.sandbox(), &mut issues);
        let Some(question) = question.filter(|_| !issues.has_errors()) else { return Err(issues) };
        let store = self.intake.store().as_ref();
        let found = store.patient_match(&question.subject).map_err(|error| store_issue(&error))?;
        let mut patients = Vec::new();
        for (person, evidence) in fhir::graded(found, &question) {
            patients.extend(whole(store, person)?.map(|(_, patient)| (patient, evidence)));
        }
        Ok(fhir::matches(&self.base, &patients, Timestamp::now()))
    }
}
