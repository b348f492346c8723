//! The one place where kinds of failure meet HTTP status and BaRS error code (BaRS Core, "Errors"), and
//! where an OperationOutcome is made. Every failure of the API is answered with one.

use serde_json::{Value, json};
use uuid::Uuid;

use super::systems;
use crate::issue::{Fault, Issue, Issues, Severity};

/// Status and code of http-error-codes for whose move it is. As a receiver all codes are `REC_…`, but
/// for the routing header, whose failures the standard leaves without a prefix.
pub fn status(fault: Fault) -> (u16, &'static str) {
    match fault {
        Fault::BadRequest => (400, "REC_BAD_REQUEST"),
        Fault::TargetMalformed => (400, "BAD_REQUEST"),
        Fault::Unauthorised => (401, "REC_UNAUTHORIZED"),
        Fault::Forbidden => (403, "REC_FORBIDDEN"),
        Fault::NotFound => (404, "REC_NOT_FOUND"),
        Fault::TargetUnknown => (404, "NOT_FOUND"),
        Fault::MethodNotAllowed => (405, "REC_METHOD_NOT_ALLOWED"),
        Fault::NotAcceptable => (406, "REC_NOT_ACCEPTABLE"),
        Fault::Timeout => (408, "REC_TIMEOUT"),
        Fault::Conflict => (409, "REC_CONFLICT"),
        Fault::TooLarge => (413, "REC_BAD_REQUEST"),
        Fault::UnsupportedMediaType => (415, "REC_UNSUPPORTED_MEDIA_TYPE"),
        Fault::Unprocessable => (422, "REC_UNPROCESSABLE_ENTITY"),
        Fault::TooEarly => (425, "REC_TOO_EARLY"),
        Fault::HeadersTooLarge => (431, "REC_BAD_REQUEST"),
        Fault::Throttled => (429, "REC_TOO_MANY_REQUESTS"),
        Fault::Internal => (500, "REC_SERVER_ERROR"),
        Fault::NotImplemented => (501, "REC_NOT_IMPLEMENTED"),
        Fault::Unavailable => (503, "REC_SERVICE_UNAVAILABLE"),
    }
}

/// What the caller should do next.
fn next_move(fault: Fault) -> &'static str {
    match fault {
        Fault::BadRequest
        | Fault::TargetMalformed
        | Fault::TooLarge
        | Fault::HeadersTooLarge
        | Fault::UnsupportedMediaType => "Sender: mend the request and send it as a new one.",
        Fault::Unprocessable | Fault::NotAcceptable => {
            "Sender: this will not be accepted here; check what the service offers."
        }
        Fault::NotFound | Fault::TargetUnknown => "Sender: check the id or the service.",
        Fault::MethodNotAllowed | Fault::NotImplemented => "Sender: see GET /metadata for what is offered.",
        Fault::Unauthorised | Fault::Forbidden => "Sender: ask the operator of this gateway for access.",
        Fault::Conflict => "Sender: read what is held, then decide; do not send the same again.",
        Fault::TooEarly | Fault::Throttled | Fault::Timeout | Fault::Unavailable => {
            "Sender: wait, then send the same again."
        }
        Fault::Internal => "Operator of this gateway: see the log; sender: send the same again later.",
    }
}

/// The status that a message with these findings is answered with; the first error decides.
pub fn status_of(issues: &Issues) -> u16 {
    issues.errors().next().map_or(500, |issue| status(issue.code.fault).0)
}

/// An OperationOutcome with every finding, errors first. `who` is the receiver, by name or ODS code.
pub fn outcome(issues: &Issues, who: &str) -> Vec<u8> {
    let rest = issues.iter().filter(|issue| issue.severity != Severity::Error);
    let described: Vec<Value> = issues.errors().chain(rest).map(|issue| describe(issue, who)).collect();
    let outcome = json!({
        "resourceType": "OperationOutcome",
        "id": Uuid::now_v7().to_string(),
        "meta": { "profile": ["https://fhir.hl7.org.uk/StructureDefinition/UKCore-OperationOutcome"] },
        "issue": described,
    });
    outcome.to_string().into_bytes()
}

/// What `$validate` answers: every finding in the order of the document, or that there is none (R4 3.1.0.11).
pub fn findings(issues: &Issues) -> Vec<u8> {
    let mut found: Vec<Value> = issues.iter().map(finding).collect();
    if found.is_empty() {
        let text = "All OK";
        found.push(json!({ "severity": "information", "code": "informational", "details": { "text": text }, "diagnostics": text }));
    }
    json!({ "resourceType": "OperationOutcome", "issue": found }).to_string().into_bytes()
}

fn finding(issue: &Issue) -> Value {
    let hint = issue.hint().map(|hint| format!(" {hint}")).unwrap_or_default();
    let details = json!({
        "coding": [{ "system": systems::ONWARD_CODES, "code": issue.code.id, "display": issue.code.meaning }],
        "text": issue.text,
    });
    placed(issue, details, format!("{issue}{hint}"))
}

fn describe(issue: &Issue, who: &str) -> Value {
    let (status, code) = status(issue.code.fault);
    let details = json!({
        "coding": [
            { "system": systems::ERRORS, "code": code, "display": format!("{status} - {code}") },
            { "system": systems::ONWARD_CODES, "code": issue.code.id },
        ],
        "text": next_move(issue.code.fault),
    });
    let position = issue.position.map(|(line, column)| format!(" (line {line}, column {column})")).unwrap_or_default();
    placed(issue, details, format!("{who} was unable to process the request: {issue}{position}"))
}

/// An issue with its place, its line and column, and the rule that is broken, as far as they are known.
fn placed(issue: &Issue, details: Value, diagnostics: String) -> Value {
    const STANDARD: &str = "http://hl7.org/fhir/StructureDefinition/operationoutcome-issue-";
    let severity = match issue.severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Information => "information",
    };
    let mut extensions = Vec::new();
    if let Some((line, column)) = issue.position {
        extensions.push(json!({ "url": format!("{STANDARD}line"), "valueInteger": line }));
        extensions.push(json!({ "url": format!("{STANDARD}col"), "valueInteger": column }));
    }
    if !issue.rule.is_empty() {
        extensions.push(json!({ "url": format!("{STANDARD}source"), "valueString": issue.rule }));
    }
    let mut out = json!({
        "severity": severity,
        "code": issue.code.fhir,
        "details": details,
        "diagnostics": diagnostics,
    });
    if !extensions.is_empty() {
        out["extension"] = json!(extensions);
    }
    if !issue.at.is_empty() {
        out["expression"] = json!([issue.at]);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::issue::{ALL, SLOT_TAKEN};

    /// FHIR R4 IssueType, as far as it is used here.
    const ISSUE_TYPES: &[&str] = &[
        "invalid",
        "structure",
        "required",
        "value",
        "invariant",
        "security",
        "login",
        "unknown",
        "expired",
        "forbidden",
        "suppressed",
        "processing",
        "not-supported",
        "duplicate",
        "multiple-matches",
        "not-found",
        "deleted",
        "too-long",
        "code-invalid",
        "extension",
        "too-costly",
        "business-rule",
        "conflict",
        "transient",
        "lock-error",
        "no-store",
        "exception",
        "timeout",
        "incomplete",
        "throttled",
        "informational",
    ];

    #[test]
    fn every_code_is_a_fhir_issue_type() {
        for code in ALL {
            assert!(ISSUE_TYPES.contains(&code.fhir), "{}", code.id);
        }
    }

    #[test]
    fn duplicate_is_said_of_duplicates_only() {
        let conflicts: Vec<_> = ALL.iter().filter(|code| code.fhir == "duplicate").map(|code| code.id).collect();
        assert_eq!(conflicts, ["ONW-1020", "ONW-1021"]);
    }

    #[test]
    fn an_outcome_says_what_where_and_whose_move() {
        let bytes = outcome(&Issue::new(&SLOT_TAKEN, "Bundle.entry[1].resource.slot").into(), "RH8");
        let value: Value = serde_json::from_slice(&bytes).unwrap();
        let issue = &value["issue"][0];
        assert_eq!(issue["code"], "conflict");
        assert_eq!(issue["details"]["coding"][0]["code"], "REC_CONFLICT");
        assert_eq!(issue["details"]["coding"][0]["display"], "409 - REC_CONFLICT");
        assert_eq!(issue["expression"][0], "Bundle.entry[1].resource.slot");
        assert!(issue["diagnostics"].as_str().unwrap().starts_with("RH8 was unable to process the request: ONW-4001"));
    }
}
