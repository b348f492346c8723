//! The headers of a request (BaRS Core, "HTTP headers"). Strict about the ids, lenient about the rest:
//! what is not needed to route or to answer is kept only if it can be read.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use uuid::Uuid;

use super::systems;
use crate::booking::identifier::{OdsCode, ServiceId};
use crate::issue::{HEADER_INVALID, HEADER_MISSING, Issue, Issues, TARGET_INVALID, TARGET_STRUCTURE};

/// What the headers say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Headers {
    /// `X-Request-Id`: new for every distinct message, the same at a retry. The ledger's key.
    pub request: Option<Uuid>,
    /// `X-Correlation-Id`: the conversation.
    pub correlation: Option<Uuid>,
    /// `NHSD-Target-Identifier`: the service that it is routed to.
    pub target: Option<ServiceId>,
    /// `NHSD-End-User-Organisation`: whom the sender acts for.
    pub organisation: Option<OdsCode>,
}

/// Which of them must be there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Strictness {
    /// `GET /metadata`: none.
    Nothing,
    /// Other reads: the two ids.
    Ids,
    /// Messages: the two ids and the target.
    IdsAndTarget,
}

/// Reads them; `get` gives a header by its name in any case of letters.
pub fn read<'a>(get: impl Fn(&str) -> Option<&'a str>, strictness: Strictness) -> (Headers, Issues) {
    let mut issues = Issues::default();
    let ids_needed = strictness != Strictness::Nothing;
    let request = id(get("X-Request-Id"), "http.X-Request-Id", ids_needed, &mut issues);
    let correlation = id(get("X-Correlation-Id"), "http.X-Correlation-Id", ids_needed, &mut issues);
    let target = match get("NHSD-Target-Identifier") {
        Some(text) => service(text).map_err(|issue| issues.push(issue)).ok(),
        None if strictness == Strictness::IdsAndTarget => {
            issues.add(&HEADER_MISSING, "http.NHSD-Target-Identifier");
            None
        }
        None => None,
    };
    let organisation = get("NHSD-End-User-Organisation").and_then(organisation);
    (Headers { request, correlation, target, organisation }, issues)
}

fn id(text: Option<&str>, at: &str, needed: bool, issues: &mut Issues) -> Option<Uuid> {
    match text.map(|text| hyphenated(text.trim())) {
        Some(Some(id)) => Some(id),
        Some(None) if needed => {
            issues.say(&HEADER_INVALID, at, "It must be a UUID.");
            None
        }
        None if needed => {
            issues.add(&HEADER_MISSING, at);
            None
        }
        _ => None,
    }
}

/// A UUID in its usual form of 36 characters, and no other.
pub fn hyphenated(text: &str) -> Option<Uuid> {
    (text.len() == 36).then(|| Uuid::parse_str(text).ok()).flatten()
}

fn service(text: &str) -> Result<ServiceId, Issue> {
    const AT: &str = "http.NHSD-Target-Identifier";
    let bytes = STANDARD.decode(text.trim()).map_err(|_| Issue::new(&TARGET_INVALID, AT))?;
    let value: Value = serde_json::from_slice(&bytes).map_err(|_| Issue::new(&TARGET_STRUCTURE, AT))?;
    let system = value.get("system").and_then(Value::as_str);
    match value.get("value").and_then(Value::as_str) {
        Some(id) if !id.is_empty() && system.is_some_and(|system| systems::same(system, systems::DOS_SERVICE)) => {
            Ok(ServiceId(id.trim().to_owned()))
        }
        _ => Err(Issue::new(&TARGET_STRUCTURE, AT)),
    }
}

/// A base64 Organization; published examples are not all valid FHIR, so only its ODS code is looked for.
fn organisation(text: &str) -> Option<OdsCode> {
    let bytes = STANDARD.decode(text.trim()).ok()?;
    let value: Value = serde_json::from_slice(&bytes).ok()?;
    let identifiers = value.get("identifier")?;
    let identifiers = identifiers.as_array().map_or(std::slice::from_ref(identifiers), Vec::as_slice);
    let code = |it: &Value| OdsCode::parse(it.get("value")?.as_str()?).ok();
    let ods = |it: &&Value| {
        it.get("system").and_then(Value::as_str).is_some_and(|system| systems::same(system, systems::ODS_ORGANISATION))
    };
    identifiers.iter().filter(ods).find_map(code)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "0b4a6d5a-6a5e-4d7a-9d0a-5f5a0c4e1a11";

    fn read_with(headers: &[(&str, &str)]) -> (Headers, Issues) {
        let owned: Vec<(String, String)> =
            headers.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect();
        let get =
            |name: &str| owned.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str());
        read(get, Strictness::IdsAndTarget)
    }

    #[test]
    fn reads_what_is_there() {
        let target = STANDARD.encode(r#"{"value":"111111111","system":"http://fhir.nhs.uk/Id/dos-service-id"}"#);
        let organisation = STANDARD.encode(
            r#"{"resourceType":"Organization","identifier":[{"system":"https://fhir.nhs.uk/id/ods-organization-code","value":"rh8"}]}"#,
        );
        let (headers, issues) = read_with(&[
            ("x-request-id", ID),
            ("X-Correlation-ID", ID),
            ("NHSD-Target-Identifier", &target),
            ("NHSD-End-User-Organisation", &organisation),
        ]);
        assert!(issues.is_empty(), "{issues:?}");
        assert_eq!(headers.target, Some(ServiceId("111111111".into())));
        assert_eq!(headers.organisation.unwrap().as_str(), "RH8");
    }

    #[test]
    fn names_every_header_that_is_missing_or_wrong() {
        let (_, issues) = read_with(&[("X-Request-Id", "xxxxxxxx"), ("NHSD-Target-Identifier", "%%%")]);
        let codes: Vec<_> = issues.iter().map(|issue| (issue.code.id, issue.at.as_str())).collect();
        assert_eq!(
            codes,
            [
                (HEADER_INVALID.id, "http.X-Request-Id"),
                (HEADER_MISSING.id, "http.X-Correlation-Id"),
                (TARGET_INVALID.id, "http.NHSD-Target-Identifier"),
            ]
        );
    }
}
