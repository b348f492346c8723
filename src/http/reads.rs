//! Everything that is read: what is offered, diaries, appointments and referrals.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::Front;
use crate::bars::capability::{self, Kind};
use crate::bars::headers::{self, Headers};
use crate::bars::search::{self, Params, SlotSearch, Who};
use crate::bars::{systems, use_cases};
use crate::booking::identifier::ServiceId;
use crate::fhir::view::{items, str_at};
use crate::intake::{service_named, store_issue};
use crate::issue::{
    ID_INVALID, Issue, Issues, PARAMETER_INVALID, PARAMETER_MISSING, RESOURCE_UNKNOWN, SERVICE_UNKNOWN, TARGET_UNKNOWN,
};
use crate::store::{PatientQuery, SlotQuery, SlotRow, Store};

/// Most slots in one answer.
const SLOTS_MAX: usize = 5_000;

/// The answer to a read.
pub(super) fn answer(
    front: &Front,
    kind: Kind,
    params: &Params,
    headers: &Headers,
    id: &str,
) -> Result<Vec<u8>, Issues> {
    let store = front.intake.store().as_ref();
    if let Some(target) = &headers.target
        && service_named(store, target)?.is_none()
    {
        return Err(Issue::new(&TARGET_UNKNOWN, "http.NHSD-Target-Identifier").into());
    }
    match kind {
        Kind::AppointmentRead => read_one(id, |id| store.appointment_resource(id)),
        Kind::ServiceRequestRead => read_one(id, |id| store.referral_resource(id)),
        Kind::Metadata => bytes(capability::capability_statement(&front.base, front.started)),
        Kind::MessageDefinitionSearch => message_definitions(front, store, params),
        Kind::SlotSearch => slots(front, store, params),
        Kind::AppointmentSearch => records(front, params, "Appointment", |query| store.appointment_search(query)),
        Kind::ServiceRequestSearch => records(front, params, "ServiceRequest", |query| store.referral_search(query)),
        Kind::Schema => front.schema(id),
        _ => Err(Issue::new(&crate::issue::METHOD_UNKNOWN, "http.method").into()),
    }
}

type Found<T> = Result<T, crate::store::StoreError>;

fn bytes(value: Value) -> Result<Vec<u8>, Issues> {
    Ok(value.to_string().into_bytes())
}

fn read_one(id: &str, read: impl FnOnce(uuid::Uuid) -> Found<Option<String>>) -> Result<Vec<u8>, Issues> {
    let id = headers::hyphenated(id).ok_or_else(|| Issue::new(&ID_INVALID, "http.path"))?;
    match read(id) {
        Ok(Some(resource)) => Ok(resource.into_bytes()),
        Ok(None) => Err(Issue::new(&RESOURCE_UNKNOWN, "http.path").into()),
        Err(error) => Err(store_issue(&error).into()),
    }
}

/// A patient's appointments or referrals.
fn records(
    front: &Front,
    params: &Params,
    kind: &str,
    find: impl FnOnce(&PatientQuery) -> Found<Vec<String>>,
) -> Result<Vec<u8>, Issues> {
    let query = match search::patient(params, front.intake.sandbox())? {
        Who::Nobody => None,
        Who::Number(number) => Some(PatientQuery::NhsNumber(number)),
        Who::Demographics { family, birth_date, postal_code } => {
            Some(PatientQuery::Demographics { family, birth_date, postal_code })
        }
    };
    let found = query.map_or(Ok(Vec::new()), |query| find(&query)).map_err(|error| store_issue(&error))?;
    let wanted = params.first("ServiceRequest.identifier");
    let resources = found.iter().filter_map(|text| serde_json::from_str::<Value>(text).ok());
    let matches = resources.filter(|it| wanted.is_none_or(|wanted| search::has_identifier(it, wanted))).collect();
    // The patient is not named in the link: it ends up in other people's logs.
    bytes(search::searchset(&front.base, &format!("/{kind}"), matches, Vec::new(), Timestamp::now()))
}

fn message_definitions(front: &Front, store: &dyn Store, params: &Params) -> Result<Vec<u8>, Issues> {
    const AT: &str = "http.context";
    let contexts = params.all("context");
    if contexts.iter().all(|context| context.trim().is_empty()) {
        return Err(Issue::new(&PARAMETER_MISSING, AT).into());
    }
    let (mut service, mut use_case) = (None, None);
    // The toolkit joins two contexts by an encoded ampersand.
    for context in contexts.iter().flat_map(|context| context.split("&context=")) {
        let (system, value) = context.split_once('|').unwrap_or(("", context));
        if systems::same(system, systems::USE_CASES) {
            use_case = Some(use_cases::find(value).ok_or_else(|| Issue::new(&RESOURCE_UNKNOWN, AT))?);
        } else if (system.is_empty() || systems::same(system, systems::DOS_SERVICE)) && is_service(value) {
            service = Some(ServiceId(value.trim().to_owned()));
        } else {
            return Err(Issue::with(&PARAMETER_INVALID, AT, "Give a Directory of Services id, or a use case.").into());
        }
    }
    let service = service.ok_or_else(|| Issue::with(&PARAMETER_MISSING, AT, "Name the service."))?;
    let service = service_named(store, &service)?.ok_or_else(|| Issue::new(&SERVICE_UNKNOWN, AT))?;
    let matches = capability::message_definitions(&service, use_case);
    let link = format!("/MessageDefinition?context={}%7C{}", systems::DOS_SERVICE, service.id);
    bytes(search::searchset(&front.base, &link, matches, Vec::new(), Timestamp::now()))
}

fn is_service(value: &str) -> bool {
    let value = value.trim();
    !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit())
}

fn slots(front: &Front, store: &dyn Store, params: &Params) -> Result<Vec<u8>, Issues> {
    let search = search::slots(params, front.limits.slot_range_days_max)?;
    if service_named(store, &search.service)?.is_none() {
        return Err(Issue::new(&SERVICE_UNKNOWN, "http.Schedule.actor:HealthcareService").into());
    }
    let query = SlotQuery {
        service: search.service.clone(),
        from: search.from,
        to: search.to,
        statuses: search.statuses.clone(),
        limit: SLOTS_MAX,
    };
    let rows = store.slot_search(&query).map_err(|error| store_issue(&error))?;
    let included = included(store, &search, &rows)?;
    let matches = rows.iter().map(slot).collect();
    bytes(search::searchset(&front.base, &search::slot_link(&search), matches, included, Timestamp::now()))
}

/// The slot as it was published, with the status that it has now.
fn slot(row: &SlotRow) -> Value {
    let mut slot = serde_json::from_str(&row.resource).unwrap_or_else(|_| json!({ "resourceType": "Slot" }));
    slot["id"] = json!(row.id);
    slot["status"] = json!(row.status.as_str());
    slot["schedule"] = json!({ "reference": format!("Schedule/{}", row.schedule) });
    slot
}

/// Schedules of the slots, what they are of, and what that refers to, as far as it was asked for.
fn included(store: &dyn Store, search: &SlotSearch, rows: &[SlotRow]) -> Result<Vec<Value>, Issues> {
    let asked = |include: &str| search.includes.contains(&include);
    let schedules: BTreeSet<String> = rows.iter().map(|row| format!("Schedule/{}", row.schedule)).collect();
    let schedules = fetch(store, &schedules)?;
    let actors: BTreeSet<String> = schedules
        .iter()
        .flat_map(|it| references(it, "actor"))
        .filter(|reference| reference.split_once('/').is_some_and(|(kind, _)| asked(&format!("Schedule:actor:{kind}"))))
        .collect();
    let actors = fetch(store, &actors)?;
    let services = || actors.iter().filter(|it| str_at(it, "resourceType") == Some("HealthcareService"));
    let mut further = BTreeSet::new();
    if asked("HealthcareService:providedBy") {
        further.extend(services().flat_map(|it| references(it, "providedBy")));
    }
    if asked("HealthcareService:location") {
        further.extend(services().flat_map(|it| references(it, "location")));
    }
    let further = fetch(store, &further)?;
    Ok(schedules.into_iter().chain(actors).chain(further).collect())
}

fn references<'a>(resource: &'a Value, element: &str) -> impl Iterator<Item = String> + use<'a> {
    items(resource, element).iter().filter_map(|it| it.get("reference")?.as_str().map(str::to_owned))
}

fn fetch(store: &dyn Store, references: &BTreeSet<String>) -> Result<Vec<Value>, Issues> {
    let mut found = Vec::new();
    for (kind, id) in references.iter().filter_map(|reference| reference.split_once('/')) {
        let resource = store.directory_resource(kind, id).map_err(|error| store_issue(&error))?;
        found.extend(resource.and_then(|text| serde_json::from_str(&text).ok()));
    }
    Ok(found)
}
