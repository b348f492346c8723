//! What referrers are told is a message of the standard, whatever there is to tell and however little is known.

use jiff::{SignedDuration, Timestamp};
use onward::bars::check::check;
use onward::bars::headers::{self, Strictness};
use onward::bars::telling::{Rendered, render};
use onward::bars::translate::{Context, translate};
use onward::booking::appointment::{Appointment, AppointmentStatus};
use onward::booking::feed::{News, Telling};
use onward::booking::identifier::{AppointmentId, OdsCode, PatientId, ReferralId, ServiceId};
use onward::booking::nhs_number::NhsNumber;
use onward::booking::patient::{Demographics, Patient};
use onward::booking::referral::{Category, Origin, Party, Referral, ReferralStatus, ResponseKind};
use onward::booking::service::Service;
use onward::fhir::document::Document;
use onward::fhir::json::Limits;
use onward::issue::Severity;
use onward::load::synthetic::{Bundles, FreeSlot, People, SENDER};
use onward::profile::facts::r4;
use onward::profile::library::built_in;
use onward::profile::policy::Policy;
use onward::profile::validate::Request;
use serde_json::Value;
use uuid::Uuid;

/// For feeds whose letters nobody looks at: no address is registered.
pub(crate) fn nobody() -> onward::intake::Tell {
    onward::intake::referrers::tell(Vec::new(), "https://onward.test/Id/case-reference".into())
}

const AT: &str = "2026-05-04T09:30:00Z";

fn at(minutes: i64) -> Timestamp {
    AT.parse::<Timestamp>().unwrap() + SignedDuration::from_mins(minutes)
}

fn origin() -> Origin {
    Origin {
        correlation: "0b4a6d5a-6a5e-4d7a-9d0a-5f5a0c4e1a11".into(),
        bundle: "79120f41-a431-4f08-bcc5-1e67006fcae0".into(),
        reply_to: format!("https://fhir.nhs.uk/Id/dos-service-id|{SENDER}"),
        last_updated: None,
    }
}

fn referral(category: Category) -> Referral {
    Referral {
        id: ReferralId(Uuid::from_u128(2)),
        patient: PatientId(Uuid::from_u128(1)),
        service: ServiceId("111111111".into()),
        category,
        use_case: if category == Category::Validation { "a4t1" } else { "a1t1" }.into(),
        status: ReferralStatus::Active,
        priority: None,
        authored_on: Some(at(-600)),
        received_at: at(-600),
        occurrence: (None, None),
        reasons: Vec::new(),
        reason_text: None,
        patient_instruction: None,
        requester: Party::default(),
        ubrn: None,
        identifiers: Vec::new(),
        case_reference: "ABCD-1234".into(),
        based_on: Vec::new(),
        replaces: Vec::new(),
        linked_appointment: None,
        pathway: Default::default(),
        response: None,
        origin: origin(),
    }
}

fn appointment(status: AppointmentStatus) -> Appointment {
    Appointment {
        id: AppointmentId(Uuid::from_u128(3)),
        referral: ReferralId(Uuid::from_u128(2)),
        patient: PatientId(Uuid::from_u128(1)),
        service: ServiceId("111111111".into()),
        slot: None,
        status,
        start: at(60),
        end: at(80),
        created: at(-600),
        use_case: "a1t1".into(),
        description: None,
        cancel_reason: Some("In words".into()).filter(|_| status == AppointmentStatus::Cancelled),
        identifiers: Vec::new(),
        origin: origin(),
        passed: None,
    }
}

/// Everything that there can be to tell.
fn tellings() -> Vec<Telling> {
    let telling = |news, referral: Referral, appointment| Telling {
        news,
        service: Service {
            id: ServiceId("111111111".into()),
            name: String::new(),
            organisation: OdsCode::parse("RZ9").unwrap(),
            use_cases: Vec::new(),
            treatment_function: None,
            destination: None,
            closed: false,
        },
        patient: Patient {
            id: PatientId(Uuid::from_u128(1)),
            nhs_number: None,
            demographics: Demographics::default(),
            replaced_by: None,
        },
        order: referral.id,
        referral,
        appointment,
        origin: origin(),
        original: None,
        at: at(0),
    };
    let mut all = Vec::new();
    let referred = || referral(Category::Referral);
    for status in AppointmentStatus::ALL {
        let news = match status {
            AppointmentStatus::Booked => News::BookingChanged,
            AppointmentStatus::Cancelled | AppointmentStatus::EnteredInError => News::BookingWithdrawn,
            AppointmentStatus::NoShow => News::DidNotAttend,
            AppointmentStatus::Arrived | AppointmentStatus::Fulfilled => News::Progress,
        };
        all.push(telling(news, referred(), Some(appointment(status))));
        // A hospital's own booking for somebody's referral has no use case.
        let own = Appointment { use_case: String::new(), origin: Origin::default(), ..appointment(status) };
        let news = if news == News::DidNotAttend { news } else { News::Progress };
        all.push(telling(news, referred(), Some(own)));
    }
    let responses = [
        None,
        Some(ResponseKind::Started),
        Some(ResponseKind::Rejected),
        Some(ResponseKind::Planned),
        Some(ResponseKind::FinishedAct),
        Some(ResponseKind::FinishedNoAction),
        Some(ResponseKind::DidNotAttend),
    ];
    for category in [Category::Referral, Category::Validation] {
        for status in ReferralStatus::ALL {
            for response in responses {
                all.push(telling(News::Progress, Referral { status, response, ..referral(category) }, None));
            }
        }
    }
    assert!(News::ALL.iter().all(|news| all.iter().any(|it| it.news == *news)));
    all
}

/// The messages that may be answered: none that can be read, a referral, a booking with and without one.
fn originals() -> Vec<Option<Value>> {
    let bundles = Bundles::new("111111111");
    let person = People::new(11).next();
    let slot = FreeSlot {
        id: "slot-1".into(),
        schedule: "diary-1".into(),
        start: at(60).to_string(),
        end: at(80).to_string(),
    };
    let referral = Uuid::from_u128(2).to_string();
    let messages = [
        bundles.referral(&person, at(-600)),
        bundles.booking(&person, &slot, None, at(-600)),
        bundles.booking(&person, &slot, Some(&referral), at(-600)),
    ];
    let read = |message: &onward::load::synthetic::Message| Some(serde_json::from_slice(&message.body).unwrap());
    std::iter::once(None).chain(messages.iter().map(read)).collect()
}

/// Reads a letter as its receiver would, and answers everything that is wrong with it.
fn faults(letter: &Rendered, policy: &Policy) -> Vec<String> {
    let text = std::str::from_utf8(&letter.body).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    let get = |name: &str| {
        head.split("\r\n").filter_map(|line| line.split_once(": ")).find(|(it, _)| *it == name).map(|(_, value)| value)
    };
    let (headers, mut issues) = headers::read(get, Strictness::IdsAndTarget);
    assert_eq!(headers.request, Some(letter.request));
    let validator = &built_in().validator;
    let tape = validator.read(body.as_bytes(), &Limits::default()).unwrap();
    // Of profiles the errors only: that a narrative would be good is said of every message of the standard.
    let found = policy.apply(validator.check(&tape, &Request::default()).issues);
    found.errors().for_each(|issue| issues.push(issue.clone()));
    let document = Document::of(&tape, r4().names());
    let (checked, found) = check(&document, &headers);
    issues.extend(found);
    if let Some(checked) = checked {
        assert_eq!(letter.event, format!("{} {}", checked.row.event, checked.row.reasons[0]), "{}", checked.row.name);
        let context = Context { correlation: String::new(), now: at(1), sandbox: true };
        let (command, found) = translate(&checked, &context);
        issues.extend(found);
        assert!(command.is_some() || issues.has_errors());
    }
    let wrong = issues.iter().filter(|issue| issue.severity != Severity::Information);
    wrong.map(|issue| format!("{} {}: {}", issue.code.id, issue.at, issue.text)).collect()
}

#[test]
fn everything_that_is_told_is_a_valid_message_of_the_standard() {
    let (mut seen, mut wrong) = (0, std::collections::BTreeMap::new());
    for original in originals() {
        // What comes back as the referrer sent it is held to no more than that was.
        let policy = if original.is_some() { Policy::bars() } else { Policy::strict() };
        // What was asked to be validated was no referral.
        let fits = |it: &Telling| original.is_none() || it.referral.category == Category::Referral;
        for mut telling in tellings().into_iter().filter(fits) {
            for known in [false, true] {
                if known {
                    let number = NhsNumber::parse("9000000009").unwrap();
                    telling.patient.nhs_number = Some(number);
                    telling.patient.demographics.birth_date = Some("1980-02-29".into());
                }
                let letter = render(&telling, original.as_ref(), Uuid::from_u128(9), "https://x.test/Id/case").unwrap();
                let again = render(&telling, original.as_ref(), Uuid::from_u128(9), "https://x.test/Id/case").unwrap();
                assert_eq!(letter.body, again.body, "the same bytes however often it is rendered");
                let booked = telling.appointment.as_ref().map(|it| it.status);
                for fault in faults(&letter, &policy) {
                    let example = format!("{:?} {:?} {booked:?}", telling.news, telling.referral.status);
                    wrong.entry(fault).or_insert(example);
                }
                seen += 1;
            }
        }
    }
    assert!(500 < seen, "{seen}");
    assert!(wrong.is_empty(), "{wrong:#?}");
}
