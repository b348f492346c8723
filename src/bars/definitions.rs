//! The MessageDefinitions that are enforced: how many of which resource a message must hold.
//! `GET /MessageDefinition` is made from the same table.

/// A MessageDefinition.
#[derive(Debug)]
pub struct Definition {
    /// The last part of its URL.
    pub name: &'static str,
    /// Its version.
    pub version: &'static str,
    /// The event that it is for.
    pub event: &'static str,
    /// What it is called.
    pub title: &'static str,
    /// Resource type, at least, at most (`MANY`: no limit). MessageHeader 1..1 goes without saying.
    /// A type that is not listed may not occur.
    pub resources: &'static [(&'static str, usize, usize)],
}

/// No limit.
pub const MANY: usize = usize::MAX;

impl Definition {
    /// Its canonical URL.
    pub fn url(&self) -> String {
        format!("{}{}", super::systems::DEFINITION_PREFIX, self.name)
    }
}

/// All of them, as IG 1.12.0 has them.
pub static ALL: &[Definition] = &[
    Definition {
        name: "bars-message-booking-request",
        version: "1.0.0",
        event: "booking-request",
        title: "BARS Message Definition Booking - Request",
        resources: &[
            ("Patient", 1, 1),
            ("Organization", 2, MANY),
            ("HealthcareService", 1, 1),
            ("Appointment", 1, 1),
            ("Slot", 1, 1),
            ("Schedule", 1, 1),
            ("ServiceRequest", 0, 1),
            ("Location", 0, 1),
            ("Practitioner", 0, MANY),
            ("PractitionerRole", 0, MANY),
            ("Consent", 0, MANY),
        ],
    },
    Definition {
        name: "bars-message-booking-request-cancelled",
        version: "1.0.0",
        event: "booking-request",
        title: "BARS Message Definition Booking - Request - Cancelled",
        resources: &[("Patient", 1, 1), ("Organization", 2, MANY), ("Appointment", 1, 1)],
    },
    Definition {
        name: "bars-message-servicerequest-request-referral",
        version: "1.0.0-beta",
        event: "servicerequest-request",
        title: "BARS Message Definition ServiceRequest - Request Referral",
        resources: &[
            ("ServiceRequest", 1, 1),
            ("Patient", 1, 1),
            ("Encounter", 1, 1),
            ("CarePlan", 1, 1),
            ("Organization", 2, MANY),
            ("Practitioner", 1, MANY),
            ("PractitionerRole", 1, MANY),
            ("Consent", 1, MANY),
            ("HealthcareService", 1, MANY),
            ("Location", 0, MANY),
            ("Observation", 0, MANY),
            ("Flag", 0, MANY),
            ("MedicationStatement", 0, MANY),
            ("AllergyIntolerance", 0, MANY),
            ("Questionnaire", 0, MANY),
            ("QuestionnaireResponse", 0, MANY),
            ("Condition", 0, MANY),
            ("Task", 0, MANY),
            ("Communication", 0, MANY),
            ("Procedure", 0, MANY),
            ("RelatedPerson", 0, MANY),
            ("Device", 0, 1),
        ],
    },
    Definition {
        name: "bars-message-servicerequest-request-cancelled",
        version: "1.0.0",
        event: "servicerequest-request",
        title: "BARS Message Definition ServiceRequest - Request - Cancelled",
        resources: &[("ServiceRequest", 1, 1), ("Patient", 1, 1), ("Organization", 2, MANY)],
    },
    Definition {
        name: "bars-message-servicerequest-request-validation",
        version: "1.1.0",
        event: "servicerequest-request",
        title: "BARS Message Definition ServiceRequest - Request Validation",
        resources: &[
            ("ServiceRequest", 1, 1),
            ("Patient", 1, 1),
            ("Encounter", 1, 1),
            ("CarePlan", 1, 1),
            ("Location", 1, 1),
            ("Organization", 2, MANY),
            ("Practitioner", 1, MANY),
            ("PractitionerRole", 1, MANY),
            ("Consent", 1, MANY),
            ("HealthcareService", 1, 1),
            ("Observation", 0, MANY),
            ("Flag", 0, MANY),
            ("MedicationStatement", 0, MANY),
            ("AllergyIntolerance", 0, MANY),
        ],
    },
    Definition {
        name: "bars-message-servicerequest-response-referral",
        version: "1.0.0-beta",
        event: "servicerequest-response",
        title: "BARS Message Definition ServiceRequest - Response Referral",
        resources: &[
            ("ServiceRequest", 1, 1),
            ("Patient", 1, 1),
            ("Encounter", 0, 1),
            ("CarePlan", 0, 1),
            ("Location", 0, 1),
            ("Organization", 2, MANY),
            ("Practitioner", 1, MANY),
            ("PractitionerRole", 1, MANY),
            ("Consent", 1, MANY),
            ("HealthcareService", 1, 1),
            ("Appointment", 0, 1),
            ("Observation", 0, MANY),
            ("Flag", 0, MANY),
            ("MedicationStatement", 0, MANY),
            ("AllergyIntolerance", 0, MANY),
            ("QuestionnaireResponse", 0, MANY),
            ("Condition", 0, MANY),
            ("Task", 0, MANY),
            ("RelatedPerson", 0, MANY),
        ],
    },
    Definition {
        name: "bars-message-servicerequest-response-referral-short",
        version: "1.0.0-beta",
        event: "servicerequest-response",
        title: "BARS Message Definition ServiceRequest - Response Referral Short",
        resources: &[
            ("ServiceRequest", 1, 1),
            ("Patient", 1, 1),
            ("Encounter", 2, 2),
            ("Organization", 2, MANY),
            ("Practitioner", 1, MANY),
            ("PractitionerRole", 1, MANY),
            ("HealthcareService", 0, MANY),
        ],
    },
    Definition {
        name: "bars-message-servicerequest-response-validation-interim",
        version: "1.1.0",
        event: "servicerequest-response",
        title: "BARS Message Definition ServiceRequest - Response Validation Interim",
        resources: &[
            ("ServiceRequest", 1, 1),
            ("Patient", 1, 1),
            ("Encounter", 2, 2),
            ("Organization", 1, MANY),
            ("Practitioner", 1, MANY),
            ("PractitionerRole", 1, MANY),
            ("HealthcareService", 0, MANY),
        ],
    },
    Definition {
        name: "bars-message-servicerequest-response-validation-full",
        version: "1.1.0",
        event: "servicerequest-response",
        title: "BARS Message Definition ServiceRequest - Response Validation Full",
        resources: &[
            ("ServiceRequest", 1, 1),
            ("Patient", 1, 1),
            ("Encounter", 2, 3),
            ("CarePlan", 1, 1),
            ("Location", 1, 1),
            ("Organization", 2, MANY),
            ("Practitioner", 1, MANY),
            ("PractitionerRole", 1, MANY),
            ("Consent", 1, MANY),
            ("HealthcareService", 1, 1),
            ("Observation", 0, MANY),
            ("Flag", 0, MANY),
            ("MedicationStatement", 0, MANY),
            ("AllergyIntolerance", 0, MANY),
        ],
    },
];

/// The definition with this canonical URL, with or without a version.
pub fn find(url: &str) -> Option<&'static Definition> {
    let bare = url.trim().split('|').next().unwrap_or_default();
    ALL.iter().find(|definition| bare.strip_prefix(super::systems::DEFINITION_PREFIX) == Some(definition.name))
}
