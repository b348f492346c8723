//! The standard's URIs, and the spellings of them that real traffic has.

/// Directory of Services ids.
pub const DOS_SERVICE: &str = "https://fhir.nhs.uk/Id/dos-service-id";
/// NHS numbers.
pub const NHS_NUMBER: &str = crate::booking::nhs_number::NhsNumber::SYSTEM;
/// Organisations.
pub const ODS_ORGANISATION: &str = "https://fhir.nhs.uk/Id/ods-organization-code";
/// Unique booking reference numbers.
pub const UBRN: &str = crate::booking::identifier::Ubrn::SYSTEM;
/// Message events.
pub const EVENTS: &str = "https://fhir.nhs.uk/CodeSystem/message-events-bars";
/// Message reasons.
pub const REASONS: &str = "https://fhir.nhs.uk/CodeSystem/message-reason-bars";
/// Referral or validation.
pub const CATEGORY: &str = "https://fhir.nhs.uk/CodeSystem/message-category-servicerequest";
/// Use cases.
pub const USE_CASES: &str = "https://fhir.nhs.uk/CodeSystem/usecases-categories-bars";
/// Error codes.
pub const ERRORS: &str = "https://fhir.nhs.uk/CodeSystem/http-error-codes";
/// Onward's own permanent codes (`issue`).
pub const ONWARD_CODES: &str = "https://onward.invalid/CodeSystem/issue";
/// Whether an NHS number was traced.
pub const VERIFICATION: &str =
    "https://fhir.hl7.org.uk/StructureDefinition/Extension-UKCore-NHSNumberVerificationStatus";
/// The order in which contacts are to be tried.
pub const VERIFICATION_CODES: &str = "https://fhir.hl7.org.uk/CodeSystem/UKCore-NHSNumberVerificationStatus";
/// How a contact is ranked (UK Core).
pub const CONTACT_RANK: &str = "https://fhir.hl7.org.uk/StructureDefinition/Extension-UKCore-ContactRank";
/// What every MessageDefinition's URL begins with.
pub const DEFINITION_PREFIX: &str = "https://fhir.nhs.uk/MessageDefinition/";
/// Where the URLs of this gateway's own profiles begin (`profiles/onward`).
pub const ONWARD_PROFILES: &str = "https://fhir.onward.health/StructureDefinition/";
/// The receiver's own human-readable case reference.
pub const CASE_REFERENCE: &str = "https://onward.invalid/Id/case-reference";

/// The same URI, whatever its scheme's last letter, the case of its path and blanks around it:
/// `http`/`https`, `/id/`/`/Id/` and `Codesystem`/`CodeSystem` are all found in published examples.
pub fn same(a: &str, b: &str) -> bool {
    fn bare(uri: &str) -> &str {
        let uri = uri.trim();
        uri.strip_prefix("https://").or(uri.strip_prefix("http://")).unwrap_or(uri)
    }
    bare(a).eq_ignore_ascii_case(bare(b))
}

/// Reads `system|value` of a Directory of Services id.
pub fn dos_service(token: &str) -> Option<&str> {
    let (system, value) = token.trim().split_once('|')?;
    (same(system, DOS_SERVICE) && !value.is_empty()).then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_found_in_real_traffic_are_one_system() {
        for uri in [
            "http://fhir.nhs.uk/Id/dos-service-id",
            "https://fhir.nhs.uk/id/dos-service-id",
            " https://fhir.nhs.uk/Id/dos-service-id",
        ] {
            assert!(same(uri, DOS_SERVICE), "{uri}");
        }
        assert!(!same("https://fhir.nhs.uk/Id/dos-service", DOS_SERVICE));
    }

    #[test]
    fn reads_a_service_token() {
        assert_eq!(dos_service("http://fhir.nhs.uk/Id/dos-service-id|111111111"), Some("111111111"));
        assert_eq!(dos_service("111111111"), None);
    }
}
