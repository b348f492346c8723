//! The workflow decision table (BaRS Core 1.5.0; `bars.md` 5.5 has where its sources conflict).
//!
//! One row for everything that a receiver can be asked. A message that fits no row is refused, and told
//! which of its parts leaves the table.

use super::definitions;
use crate::booking::referral::Category;
use crate::issue::{DEFINITION_UNKNOWN, FOCUS, Issue, WORKFLOW};

/// What a message asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Wish {
    /// Take this patient on, or validate this outcome.
    Place,
    /// The same request with other content.
    Amend,
    /// Withdraw the request.
    Cancel,
    /// This is the answer to a request of yours.
    Respond,
    /// Sell this slot.
    Book,
    /// The same booking with other content or another slot.
    AmendBooking,
    /// Withdraw the booking.
    CancelBooking,
}

/// A row of the table.
#[derive(Debug)]
pub struct Row {
    /// In words, for documentation and the journal.
    pub name: &'static str,
    /// What it asks.
    pub wish: Wish,
    /// `MessageHeader.eventCoding.code`.
    pub event: &'static str,
    /// `MessageHeader.reason.coding.code`.
    pub reasons: &'static [&'static str],
    /// Types that `MessageHeader.focus` may be of.
    pub focus: &'static [&'static str],
    /// `ServiceRequest.category`; `None`: a booking.
    pub category: Option<Category>,
    /// Status of the ServiceRequest, or of the Appointment of a booking.
    pub statuses: &'static [&'static str],
    /// MessageDefinitions that it may name.
    pub definitions: &'static [&'static str],
    /// Encounters beyond what the definition allows: on an update the receiver's own planned
    /// Encounter, which the first answer added, comes back.
    pub encounters_extra: usize,
}

const REQUEST: &str = "servicerequest-request";
const RESPONSE: &str = "servicerequest-response";
const BOOKING: &str = "booking-request";
const WITHDRAWN: &[&str] = &["revoked", "entered-in-error"];
/// Prose and toolkit say `update`; the element table says `delete`: both are taken.
const WITHDRAW: &[&str] = &["update", "delete"];

/// The table.
pub static ROWS: &[Row] = &[
    Row {
        name: "new referral",
        wish: Wish::Place,
        event: REQUEST,
        reasons: &["new"],
        focus: &["ServiceRequest"],
        category: Some(Category::Referral),
        statuses: &["active"],
        definitions: &["bars-message-servicerequest-request-referral"],
        encounters_extra: 0,
    },
    Row {
        name: "referral update",
        wish: Wish::Amend,
        event: REQUEST,
        reasons: &["update"],
        focus: &["ServiceRequest"],
        category: Some(Category::Referral),
        statuses: &["active", "on-hold"],
        definitions: &["bars-message-servicerequest-request-referral"],
        encounters_extra: 1,
    },
    Row {
        name: "referral cancel",
        wish: Wish::Cancel,
        event: REQUEST,
        reasons: WITHDRAW,
        focus: &["ServiceRequest"],
        category: Some(Category::Referral),
        statuses: WITHDRAWN,
        definitions: &["bars-message-servicerequest-request-cancelled"],
        encounters_extra: 0,
    },
    Row {
        name: "new validation request",
        wish: Wish::Place,
        event: REQUEST,
        reasons: &["new"],
        focus: &["ServiceRequest"],
        category: Some(Category::Validation),
        statuses: &["active"],
        definitions: &["bars-message-servicerequest-request-validation"],
        encounters_extra: 0,
    },
    Row {
        name: "validation update",
        wish: Wish::Amend,
        event: REQUEST,
        reasons: &["update"],
        focus: &["ServiceRequest"],
        category: Some(Category::Validation),
        statuses: &["active", "on-hold"],
        definitions: &["bars-message-servicerequest-request-validation"],
        encounters_extra: 1,
    },
    Row {
        name: "validation cancel",
        wish: Wish::Cancel,
        event: REQUEST,
        reasons: WITHDRAW,
        focus: &["ServiceRequest"],
        category: Some(Category::Validation),
        statuses: WITHDRAWN,
        definitions: &["bars-message-servicerequest-request-cancelled"],
        encounters_extra: 0,
    },
    Row {
        name: "did-not-attend feedback",
        wish: Wish::Respond,
        event: RESPONSE,
        reasons: &["new"],
        focus: &["ServiceRequest"],
        category: Some(Category::Referral),
        statuses: &["revoked"],
        definitions: &["bars-message-servicerequest-response-referral"],
        encounters_extra: 0,
    },
    Row {
        name: "referral response",
        wish: Wish::Respond,
        event: RESPONSE,
        reasons: &["new", "update"],
        focus: &["Encounter", "ServiceRequest"],
        category: Some(Category::Referral),
        statuses: &["active"],
        definitions: &[
            "bars-message-servicerequest-response-referral-short",
            "bars-message-servicerequest-response-referral",
        ],
        encounters_extra: 0,
    },
    Row {
        name: "validation interim response",
        wish: Wish::Respond,
        event: RESPONSE,
        reasons: &["new"],
        focus: &["Encounter"],
        category: Some(Category::Validation),
        statuses: &["active", "revoked"],
        definitions: &["bars-message-servicerequest-response-validation-interim"],
        encounters_extra: 0,
    },
    Row {
        name: "validation final response",
        wish: Wish::Respond,
        event: RESPONSE,
        reasons: &["new", "update"],
        focus: &["Encounter"],
        category: Some(Category::Validation),
        statuses: &["active", "completed", "revoked"],
        definitions: &["bars-message-servicerequest-response-validation-full"],
        encounters_extra: 0,
    },
    Row {
        name: "new booking",
        wish: Wish::Book,
        event: BOOKING,
        reasons: &["new"],
        focus: &["Appointment"],
        category: None,
        statuses: &["booked"],
        definitions: &["bars-message-booking-request"],
        encounters_extra: 0,
    },
    Row {
        name: "booking update",
        wish: Wish::AmendBooking,
        event: BOOKING,
        reasons: &["update"],
        focus: &["Appointment"],
        category: None,
        statuses: &["booked"],
        definitions: &["bars-message-booking-request"],
        encounters_extra: 0,
    },
    Row {
        name: "booking cancel",
        wish: Wish::CancelBooking,
        event: BOOKING,
        reasons: WITHDRAW,
        focus: &["Appointment"],
        category: None,
        statuses: &["cancelled", "entered-in-error"],
        definitions: &["bars-message-booking-request-cancelled"],
        encounters_extra: 0,
    },
];

/// The parts of a message that choose its row.
#[derive(Clone, Copy, Debug, Default)]
pub struct Facts<'a> {
    /// `MessageHeader.eventCoding.code`.
    pub event: &'a str,
    /// `MessageHeader.reason.coding.code`.
    pub reason: &'a str,
    /// `ServiceRequest.category` in message-category-servicerequest.
    pub category: &'a str,
    /// Status of the ServiceRequest, or of the Appointment of a booking.
    pub status: &'a str,
    /// `MessageHeader.definition`.
    pub definition: &'a str,
    /// Type of the resource that `MessageHeader.focus` points to.
    pub focus: &'a str,
}

/// The row, or the first part that leaves the table.
pub fn find(facts: &Facts<'_>) -> Result<&'static Row, Box<Issue>> {
    let mut rows: Vec<&'static Row> = ROWS.iter().collect();
    let booking = facts.event == BOOKING;
    let subject = if booking { "Appointment" } else { "ServiceRequest" };
    let narrowed = [
        narrow(&mut rows, |row| row.event == facts.event, "Bundle.entry[0].resource.eventCoding.code".into()),
        narrow(
            &mut rows,
            |row| row.reasons.contains(&facts.reason),
            "Bundle.entry[0].resource.reason.coding.code".into(),
        ),
        narrow(
            &mut rows,
            |row| row.category.map_or(booking, |category| category.as_str() == facts.category),
            "Bundle.entry.resource.ofType(ServiceRequest).category[0].coding.code".into(),
        ),
        narrow(
            &mut rows,
            |row| row.statuses.contains(&facts.status),
            format!("Bundle.entry.resource.ofType({subject}).status"),
        ),
    ];
    if let Some(at) = narrowed.into_iter().flatten().next() {
        return Err(Box::new(Issue::new(&WORKFLOW, at)));
    }
    let name = definitions::find(facts.definition).map(|definition| definition.name);
    let named = narrow(&mut rows, |row| name.is_some_and(|name| row.definitions.contains(&name)), String::new());
    if named.is_some() {
        return Err(Box::new(Issue::new(&DEFINITION_UNKNOWN, "Bundle.entry[0].resource.definition")));
    }
    match rows.iter().find(|row| row.focus.contains(&facts.focus)) {
        Some(row) => Ok(row),
        None => Err(Box::new(Issue::new(&FOCUS, "Bundle.entry[0].resource.focus[0]"))),
    }
}

/// Keeps what fits; if nothing does, says where the message left the table and keeps all.
fn narrow(rows: &mut Vec<&'static Row>, fits: impl Fn(&Row) -> bool, at: String) -> Option<String> {
    let kept: Vec<_> = rows.iter().copied().filter(|row| fits(row)).collect();
    if kept.is_empty() {
        return Some(at);
    }
    *rows = kept;
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_finds_itself() {
        for row in ROWS {
            for (reason, status) in
                row.reasons.iter().flat_map(|reason| row.statuses.iter().map(move |status| (reason, status)))
            {
                for (definition, focus) in
                    row.definitions.iter().flat_map(|name| row.focus.iter().map(move |focus| (name, focus)))
                {
                    let url = format!("https://fhir.nhs.uk/MessageDefinition/{definition}");
                    let category = row.category.map_or("", Category::as_str);
                    let facts = Facts { event: row.event, reason, category, status, definition: &url, focus };
                    assert_eq!(find(&facts).unwrap().name, row.name);
                }
            }
        }
    }

    #[test]
    fn what_leaves_the_table_is_named() {
        let good = Facts {
            event: "booking-request",
            reason: "new",
            category: "",
            status: "booked",
            definition: "https://fhir.nhs.uk/MessageDefinition/bars-message-booking-request",
            focus: "Appointment",
        };
        let place = |facts: Facts<'_>| find(&facts).unwrap_err().at;
        assert_eq!(place(Facts { event: "booking-response", ..good }), "Bundle.entry[0].resource.eventCoding.code");
        assert_eq!(place(Facts { reason: "xxx", ..good }), "Bundle.entry[0].resource.reason.coding.code");
        assert_eq!(place(Facts { status: "proposed", ..good }), "Bundle.entry.resource.ofType(Appointment).status");
        assert_eq!(place(Facts { definition: "unknown", ..good }), "Bundle.entry[0].resource.definition");
        assert_eq!(place(Facts { focus: "Slot", ..good }), "Bundle.entry[0].resource.focus[0]");
    }

    #[test]
    fn every_definition_of_the_table_exists() {
        for name in ROWS.iter().flat_map(|row| row.definitions) {
            assert!(definitions::ALL.iter().any(|definition| definition.name == *name), "{name}");
        }
    }
}
