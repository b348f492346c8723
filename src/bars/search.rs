//! Searches that BaRS asks of a receiver: what the parameters mean, and the searchset that answers.

use jiff::Timestamp;
use serde_json::{Value, json};
use uuid::Uuid;

use super::systems;
use crate::booking::identifier::ServiceId;
use crate::booking::nhs_number::{NhsNumber, NhsNumberError};
use crate::booking::slot::SlotStatus;
use crate::fhir::instant::FhirDateTime;
use crate::fhir::view::items;
use crate::issue::{Issue, Issues, PARAMETER_INVALID, PARAMETER_MISSING, SEARCH_TOO_COSTLY};

/// The parameters of a query, decoded, in order.
#[derive(Clone, Debug, Default)]
pub struct Params(Vec<(String, String)>);

impl Params {
    /// Reads `a=b&c=d`; `+` is a blank, except in a time, where it is what was meant.
    pub fn read(query: &str) -> Self {
        let pairs = query.split('&').filter(|pair| !pair.is_empty());
        Self(pairs.map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (percent_decoded(name), percent_decoded(value))
        }).collect())
    }

    /// All values of a parameter.
    pub fn all(&self, name: &str) -> Vec<&str> {
        self.0.iter().filter(|(key, _)| key == name).map(|(_, value)| value.as_str()).collect()
    }

    /// The first value of a parameter.
    pub fn first(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

fn percent_decoded(text: &str) -> String {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        let hex = |byte: Option<u8>| byte.and_then(|byte| char::from(byte).to_digit(16));
        if byte != b'%' {
            out.push(byte);
            continue;
        }
        let mut ahead = bytes.clone();
        match (hex(ahead.next()), hex(ahead.next())) {
            (Some(high), Some(low)) => {
                out.push((high * 16 + low) as u8);
                bytes = ahead;
            }
            _ => out.push(byte),
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// What a slot search asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SlotSearch {
    /// Whose diary.
    pub service: ServiceId,
    /// Earliest start.
    pub from: Timestamp,
    /// Latest start.
    pub to: Timestamp,
    /// With which statuses.
    pub statuses: Vec<SlotStatus>,
    /// What else to return, of what is offered.
    pub includes: Vec<&'static str>,
}

/// Everything that a slot search may include. The first two must be asked for.
pub static INCLUDES: &[&str] = &[
    "Slot:schedule",
    "Schedule:actor:HealthcareService",
    "Schedule:actor:Practitioner",
    "Schedule:actor:PractitionerRole",
    "HealthcareService:providedBy",
    "HealthcareService:location",
];

/// Reads `GET /Slot`. BaRS Core, "Slots"; `bars.md` 4.1.
pub fn slots(params: &Params, range_days_max: u32) -> Result<SlotSearch, Issues> {
    let mut issues = Issues::default();
    let service = service(params, &mut issues);
    let statuses = statuses(params, &mut issues);
    let (from, to) = period(params, &mut issues);
    let includes = includes(params, &mut issues);
    if let (Some(from), Some(to)) = (from, to)
        && i64::from(range_days_max) * 86_400 < to.as_second() - from.as_second()
    {
        issues.say(&SEARCH_TOO_COSTLY, "http.start", format!("At most {range_days_max} days are searched at once."));
    }
    match (service, from, to) {
        (Some(service), Some(from), Some(to)) if !issues.has_errors() => {
            Ok(SlotSearch { service, from, to, statuses, includes })
        }
        _ => Err(issues),
    }
}

fn service(params: &Params, issues: &mut Issues) -> Option<ServiceId> {
    const NAME: &str = "Schedule.actor:HealthcareService";
    let at = format!("http.{NAME}");
    match params.first(NAME).map(str::trim) {
        None | Some("") => issues.add(&PARAMETER_MISSING, at),
        Some(text) => match systems::dos_service(text).unwrap_or(text) {
            id if id.bytes().all(|byte| byte.is_ascii_digit()) => return Some(ServiceId(id.to_owned())),
            _ => issues.say(&PARAMETER_INVALID, at, "A Directory of Services id has digits only."),
        },
    }
    None
}

fn statuses(params: &Params, issues: &mut Issues) -> Vec<SlotStatus> {
    let values = params.all("status");
    if values.iter().all(|value| value.trim().is_empty()) {
        issues.add(&PARAMETER_MISSING, "http.status");
    }
    let mut found = Vec::new();
    for value in values.iter().flat_map(|value| value.split(',')).filter(|value| !value.trim().is_empty()) {
        match value.trim() {
            "free" => found.push(SlotStatus::Free),
            "busy" => found.push(SlotStatus::Busy),
            _ => issues.say(&PARAMETER_INVALID, "http.status", "The status is free, busy or both."),
        }
    }
    found
}

/// `start` twice, one `ge` and one `le`; `end=le…` is taken for the latter.
fn period(params: &Params, issues: &mut Issues) -> (Option<Timestamp>, Option<Timestamp>) {
    let starts = params.all("start");
    let ends: Vec<&str> = params.all("end").into_iter().filter(|value| value.starts_with("le")).collect();
    let given: Vec<&str> = starts.into_iter().chain(ends).collect();
    if given.len() != 2 {
        issues.say(&PARAMETER_MISSING, "http.start", "Give start exactly twice: one ge and one le.");
        return (None, None);
    }
    let bound = |prefix: &str, issues: &mut Issues| {
        let text = given.iter().find_map(|value| value.strip_prefix(prefix));
        match text {
            None => issues.say(&PARAMETER_MISSING, "http.start", format!("One start must begin with {prefix}.")),
            Some(text) => match utc_moment(text) {
                Some(moment) => return Some(moment),
                None => issues.say(&PARAMETER_INVALID, "http.start", "A time needs the offset of UTC, +00:00."),
            },
        }
        None
    };
    (bound("ge", issues), bound("le", issues))
}

/// A moment in UTC; a `+` that was not percent-encoded may have come as a blank.
fn utc_moment(text: &str) -> Option<Timestamp> {
    let text = text.trim().replace(' ', "+");
    let utc = text.ends_with('Z') || text.ends_with("+00:00") || text.ends_with("-00:00");
    FhirDateTime::parse(&text).ok().filter(|_| utc)?.timestamp()
}

fn includes(params: &Params, issues: &mut Issues) -> Vec<&'static str> {
    let asked = params.all("_include");
    let has = |wanted: &str| asked.iter().any(|it| it.trim() == wanted || it.trim() == "Slot:*" && wanted == INCLUDES[0]);
    for needed in &INCLUDES[..2] {
        if !has(needed) {
            issues.say(&PARAMETER_MISSING, "http._include", format!("_include={needed} must be asked for."));
        }
    }
    INCLUDES.iter().copied().filter(|offered| has(offered)).collect()
}

/// Whose records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Who {
    /// Of the patient with this number.
    Number(NhsNumber),
    /// Of nobody: the number fails its check, which a sandbox tolerates.
    Nobody,
    /// Of the patient with this surname, date of birth and home postcode.
    Demographics {
        /// Surname.
        family: String,
        /// `YYYY-MM-DD`.
        birth_date: String,
        /// Postcode.
        postal_code: String,
    },
}

/// Reads `patient:identifier`, or name, date of birth and postcode together.
pub fn patient(params: &Params, sandbox: bool) -> Result<Who, Issue> {
    const AT: &str = "http.patient:identifier";
    let Some(token) = params.first("patient:identifier").filter(|token| !token.trim().is_empty()) else {
        return demographics(params).ok_or_else(|| Issue::new(&PARAMETER_MISSING, AT));
    };
    let (system, number) = token.split_once('|').unwrap_or(("", token));
    if !systems::same(system, systems::NHS_NUMBER) {
        return Err(Issue::with(&PARAMETER_INVALID, AT, "Give https://fhir.nhs.uk/Id/nhs-number|<number>."));
    }
    match NhsNumber::parse(number) {
        Ok(number) => Ok(Who::Number(number)),
        Err(NhsNumberError::CheckDigit | NhsNumberError::Repeated) if sandbox => Ok(Who::Nobody),
        Err(_) => Err(Issue::with(&PARAMETER_INVALID, AT, "The number is not a valid NHS number.")),
    }
}

fn demographics(params: &Params) -> Option<Who> {
    let birth_date = params.first("patient:birthdate")?.trim();
    Some(Who::Demographics {
        family: params.first("patient:name")?.trim().to_owned(),
        birth_date: birth_date.strip_prefix("eq").unwrap_or(birth_date).to_owned(),
        postal_code: params.first("patient:address-postalcode")?.trim().to_owned(),
    })
}

/// Does a resource have this business identifier, or this id?
pub fn has_identifier(resource: &Value, wanted: &str) -> bool {
    let value = wanted.rsplit('|').next().unwrap_or_default();
    let is = |it: &Value| it.get("value").and_then(Value::as_str) == Some(value);
    resource.get("id").and_then(Value::as_str) == Some(value) || items(resource, "identifier").iter().any(is)
}

/// A searchset. `matches` answer the search, `included` come with them.
pub fn searchset(base: &str, link: &str, matches: Vec<Value>, included: Vec<Value>, now: Timestamp) -> Value {
    let total = matches.len();
    let entry = |resource: Value, mode: &str| {
        let text = |name: &str| resource.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        let url = format!("{base}/{}/{}", text("resourceType"), text("id"));
        json!({ "fullUrl": url, "resource": resource, "search": { "mode": mode } })
    };
    let matches = matches.into_iter().map(|resource| entry(resource, "match"));
    let entries: Vec<Value> = matches.chain(included.into_iter().map(|resource| entry(resource, "include"))).collect();
    let mut bundle = json!({
        "resourceType": "Bundle",
        "id": Uuid::now_v7().to_string(),
        "meta": { "lastUpdated": now.to_string() },
        "type": "searchset",
        "timestamp": now.to_string(),
        "total": total,
        "link": [{ "relation": "self", "url": format!("{base}{link}") }],
    });
    if !entries.is_empty() {
        bundle["entry"] = Value::Array(entries);
    }
    bundle
}

/// The query that was answered: what was not understood is left out (FHIR search, "self link").
pub fn slot_link(search: &SlotSearch) -> String {
    let encode = |text: &str| text.replace(':', "%3A").replace('+', "%2B");
    let statuses: Vec<&str> = search.statuses.iter().map(|status| status.as_str()).collect();
    let mut link = format!(
        "/Slot?Schedule.actor:HealthcareService={}&start=ge{}&start=le{}&status={}",
        search.service,
        encode(&search.from.to_string()),
        encode(&search.to.to_string()),
        statuses.join(","),
    );
    for include in &search.includes {
        link += &format!("&_include={include}");
    }
    link
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "Schedule.actor%3AHealthcareService=2000072489&start=ge2026-12-01T00%3A00%3A00%2B00%3A00\
        &start=le2026-12-07T00%3A00%3A00%2B00%3A00&status=free&_include=Slot%3Aschedule&_include=Schedule%3Aactor%3AHealthcareService";

    fn first_code(query: &str) -> &'static str {
        slots(&Params::read(query), 93).unwrap_err().errors().next().unwrap().code.id
    }

    #[test]
    fn reads_a_slot_search() {
        let search = slots(&Params::read(GOOD), 93).unwrap();
        assert_eq!(search.service.0, "2000072489");
        assert_eq!(search.statuses, [SlotStatus::Free]);
        assert_eq!(search.includes, INCLUDES[..2]);
        let foreign = slots(&Params::read(&format!("{GOOD}&_include=Foo:bar")), 93).unwrap();
        assert!(!slot_link(&foreign).contains("Foo"));
    }

    #[test]
    fn refuses_what_is_missing_or_wrong() {
        assert_eq!(first_code(&GOOD.replace("&status=free", "")), PARAMETER_MISSING.id);
        assert_eq!(first_code(&GOOD.replace("status=free", "status=xxxx")), PARAMETER_INVALID.id);
        assert_eq!(first_code(&GOOD.replace("2000072489", "XXXXXXX")), PARAMETER_INVALID.id);
        assert_eq!(first_code(&GOOD.replace("%2B00%3A00&start", "&start")), PARAMETER_INVALID.id);
        assert_eq!(first_code(&GOOD.replace("&start=le2026-12-07T00%3A00%3A00%2B00%3A00", "")), PARAMETER_MISSING.id);
        assert_eq!(first_code(&GOOD.replace("2026-12-01", "2025-11-01")), SEARCH_TOO_COSTLY.id);
        assert_eq!(first_code(&GOOD.replace("&_include=Slot%3Aschedule", "")), PARAMETER_MISSING.id);
    }

    #[test]
    fn a_plus_that_was_not_encoded_is_understood() {
        let query = GOOD.replace("%2B", "+");
        assert!(slots(&Params::read(&query), 93).is_ok());
    }

    #[test]
    fn a_patient_is_named_by_number_or_by_three_facts() {
        let who = |query: &str| patient(&Params::read(query), true);
        assert!(matches!(who("patient:identifier=https%3A%2F%2Ffhir.nhs.uk%2FId%2Fnhs-number%7C9476719931"), Ok(Who::Number(_))));
        assert_eq!(who("patient:identifier=https://fhir.nhs.uk/Id/nhs-number|XXXXXX").unwrap_err().code.id, PARAMETER_INVALID.id);
        assert_eq!(who("").unwrap_err().code.id, PARAMETER_MISSING.id);
        assert!(who("patient:name=A&patient:birthdate=eq2000-01-01&patient:address-postalcode=LS1").is_ok());
        assert_eq!(who("patient:name=A&patient:birthdate=eq2000-01-01").unwrap_err().code.id, PARAMETER_MISSING.id);
    }
}
