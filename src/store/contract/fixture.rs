//! What the contract's cases are made of: people, referrals, messages, and rules that do as they are told.

use jiff::{SignedDuration, Timestamp};
use uuid::Uuid;

use crate::booking::appointment::{Appointment, AppointmentStatus};
use crate::booking::command::{Book, Carried, Command, PlaceReferral, PublishSlots, Subject};
use crate::booking::decision::{Change, Decision, Refusal, State};
use crate::booking::identifier::{AppointmentId, OdsCode, PatientId, ReferralId, ServiceId, SlotId};
use crate::booking::nhs_number::NhsNumber;
use crate::booking::pathway::Pathway;
use crate::booking::patient::{Address, Demographics, HumanName, Patient};
use crate::booking::referral::{Category, Origin, Party, Referral, ReferralStatus};
use crate::booking::service::Service;
use crate::booking::slot::{Slot, SlotStatus};
use crate::issue::{self, Issue};
use crate::store::{Answer, Letter, Message, Page, Pending, Store, StoreError, Verdict, Work};

/// Does what the command says, without asking whether it makes sense.
pub(crate) fn decide(command: &Command, state: &State, _now: Timestamp) -> Result<Decision, Refusal> {
    let mut decision = Decision {
        patient: None,
        referral: None,
        appointment: None,
        changes: Vec::new(),
        notices: Vec::new(),
        warnings: vec![Issue::with(&issue::LINK_UNVERIFIED, "state", seen(state))],
        effect: Default::default(),
    };
    match command {
        Command::PlaceReferral(it) => place(it, state, &mut decision)?,
        Command::CancelReferral(it) => {
            let (referral, patient) = state.referral.clone().ok_or_else(refusal)?;
            let referral = Referral { status: it.status, ..referral };
            decision.patient = Some(patient);
            write_referral(&mut decision, referral, None);
        }
        Command::RecordResponse(it) => {
            let (referral, patient) = state.referral.clone().ok_or_else(refusal)?;
            decision.patient = Some(patient);
            write_referral(&mut decision, Referral { response: Some(it.kind), ..referral }, None);
        }
        Command::Book(it) => book(it, state, &mut decision),
        Command::CancelBooking(it) => {
            let (appointment, ..) = state.appointment.clone().ok_or_else(refusal)?;
            let slot = appointment.slot.clone();
            write_appointment(&mut decision, Appointment { status: it.status, ..appointment }, None);
            decision.changes.extend(slot.map(|id| Change::Slot { id, status: SlotStatus::Free }));
        }
        Command::PublishSlots(it) => decision.changes.push(Change::Diary(Box::new(it.clone()))),
        _ => return Err(refusal()),
    }
    Ok(decision)
}

fn refusal() -> Refusal {
    Refusal { issue: Box::new(Issue::new(&issue::REFERRAL_NOT_FOUND, "")), alarm: true }
}

/// The state in one line, so that a test can read in the journal what the decision was given.
fn seen(state: &State) -> String {
    format!(
        "service {} patient {} referral {} its appointment {} appointment {} slot {} referrals {} appointments {} used {}",
        state.service.is_some(),
        state.patient.is_some(),
        state.referral.is_some(),
        state.referral_appointment.is_some(),
        state.appointment.is_some(),
        state.slot.as_ref().map_or("none".to_owned(), |slot| format!(
            "{} {}",
            slot.status.as_str(),
            slot.services.len()
        )),
        state.referrals.len(),
        state.appointments.len(),
        state.bundle_used,
    )
}

fn place(it: &PlaceReferral, state: &State, decision: &mut Decision) -> Result<(), Refusal> {
    match it.referral.use_case.as_str() {
        "refuse" => return Err(refusal()),
        "panic" => panic!("as told"),
        _ => {}
    }
    let patient = patient(&it.subject, state);
    let referral = Referral { patient: patient.id, ..it.referral.clone() };
    decision.changes.push(Change::Patient(patient.clone()));
    decision.patient = Some(patient);
    let carried = (it.carried.clone(), it.subject.candidate);
    write_referral(decision, referral, Some(carried));
    if it.referral.use_case == "no worklist"
        && let Some(Change::Referral { worklist, .. }) = decision.changes.last_mut()
    {
        *worklist = None;
    }
    Ok(())
}

fn book(it: &Book, state: &State, decision: &mut Decision) {
    let patient = patient(&it.subject, state);
    decision.changes.push(Change::Patient(patient.clone()));
    let referral = match &state.referral {
        Some((referral, _)) => referral.clone(),
        None => Referral { patient: patient.id, ..it.awaited.clone() },
    };
    write_referral(decision, referral.clone(), None);
    let appointment = Appointment { referral: referral.id, patient: patient.id, ..it.appointment.clone() };
    write_appointment(decision, appointment, Some((it.carried.clone(), it.subject.candidate)));
    decision.changes.push(Change::Slot { id: it.slot.clone(), status: SlotStatus::Busy });
    decision.patient = Some(patient);
}

fn patient(subject: &Subject, state: &State) -> Patient {
    state.patient.clone().unwrap_or_else(|| Patient {
        id: subject.candidate,
        nhs_number: subject.nhs_number,
        demographics: subject.demographics.clone(),
        replaced_by: None,
    })
}

fn write_referral(decision: &mut Decision, referral: Referral, carried: Option<(Carried, PatientId)>) {
    decision.referral = Some(referral.clone());
    let worklist = referral.worklist(None);
    decision.changes.push(Change::Referral { referral, worklist, carried });
}

fn write_appointment(decision: &mut Decision, appointment: Appointment, carried: Option<(Carried, PatientId)>) {
    decision.appointment = Some(appointment.clone());
    decision.changes.push(Change::Appointment { appointment, carried });
}

/// Waits for it.
pub(crate) fn wait<T>(pending: Pending<T>) -> Result<T, StoreError> {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(pending)
}

/// A message with this key.
pub(crate) fn message(key: &str) -> Message {
    Message {
        id: Uuid::now_v7(),
        received_at: Timestamp::now(),
        channel: "https",
        caller: "practice-system".to_owned(),
        organisation: "A81001".to_owned(),
        kind: "servicerequest-request new".to_owned(),
        key: Some(key.to_owned()),
        correlation: "conversation".to_owned(),
        bundle: format!("bundle of {key}"),
        body: format!("body of {key}").into_bytes(),
        issues: Vec::new(),
        feed: None,
    }
}

pub(crate) fn service() -> ServiceId {
    ServiceId("2000099999".to_owned())
}

pub(crate) fn number(prefix: u32) -> NhsNumber {
    (prefix..).find_map(NhsNumber::from_prefix).unwrap()
}

pub(crate) fn subject(nhs_number: Option<NhsNumber>) -> Subject {
    let name = HumanName { family: Some("O'Neill-Smith".to_owned()), ..HumanName::default() };
    let home =
        Address { usage: Some("home".to_owned()), postal_code: Some("ls1 4ap".to_owned()), ..Address::default() };
    let demographics = Demographics {
        names: vec![name],
        birth_date: Some("1970-01-02".to_owned()),
        addresses: vec![home],
        ..Demographics::default()
    };
    Subject { candidate: PatientId(Uuid::now_v7()), nhs_number, demographics }
}

pub(crate) fn referral(patient: PatientId, status: ReferralStatus) -> Referral {
    Referral {
        id: ReferralId(Uuid::now_v7()),
        patient,
        service: service(),
        category: Category::Referral,
        use_case: "a1t1".to_owned(),
        status,
        priority: None,
        authored_on: None,
        received_at: Timestamp::now(),
        occurrence: (None, None),
        reasons: Vec::new(),
        reason_text: None,
        patient_instruction: None,
        requester: Party::default(),
        ubrn: None,
        identifiers: Vec::new(),
        case_reference: "case".to_owned(),
        based_on: Vec::new(),
        replaces: Vec::new(),
        linked_appointment: None,
        pathway: Pathway::default(),
        response: None,
        origin: Origin::default(),
    }
}

/// A referral of somebody with this number. Its resource names the patient and has a status.
pub(crate) fn place_referral(nhs_number: Option<NhsNumber>) -> PlaceReferral {
    let subject = subject(nhs_number);
    let referral = referral(subject.candidate, ReferralStatus::Active);
    let carried = format!(
        r#"{{"resourceType":"ServiceRequest","id":"{}","status":"active","x":1.50,"subject":{{"reference":"Patient/{}"}}}}"#,
        referral.id, subject.candidate
    );
    PlaceReferral { subject, referral, carried: Carried(carried) }
}

/// Work that does it and answers 200 with these letters.
pub(crate) fn work(command: Command, letters: Vec<Letter>) -> Work {
    Work::Decide {
        command: Box::new(command),
        answer: Box::new(move |outcome| match outcome {
            Ok(_) => Answer { status: 200, body: None, letters: letters.clone() },
            Err(_) => Answer { status: 422, body: Some(b"the first refusal".to_vec()), letters: Vec::new() },
        }),
    }
}

/// A letter of this line to `destination`.
pub(crate) fn letter(destination: &str, key: Uuid, event: &str) -> Letter {
    Letter {
        destination: destination.to_owned(),
        key,
        event: event.to_owned(),
        control_id: Uuid::now_v7().to_string(),
        body: b"MSH|^~\\&|".to_vec(),
    }
}

pub(crate) fn submit(store: &dyn Store, key: &str, command: Command) -> Result<Verdict, StoreError> {
    wait(store.submit(message(key), work(command, Vec::new())))
}

/// Does it, and hands back the decision.
pub(crate) fn accept(store: &dyn Store, key: &str, command: Command) -> Decision {
    match submit(store, key, command).unwrap() {
        Verdict::Accepted { decision, .. } => *decision,
        other => panic!("{other:?}"),
    }
}

pub(crate) fn post(store: &dyn Store, letters: Vec<Letter>) {
    let command = Command::PublishSlots(PublishSlots::default());
    let message = Message { key: None, ..message("post") };
    wait(store.submit(message, work(command, letters))).unwrap();
}

pub(crate) fn diary(slots: &[&str]) -> PublishSlots {
    let slot = |id: &&str| {
        let slot = Slot {
            id: SlotId((*id).to_owned()),
            schedule: "schedule".to_owned(),
            services: vec![service(), ServiceId("other".to_owned())],
            start: "2026-11-02T09:00:00Z".parse().unwrap(),
            end: "2026-11-02T09:15:00Z".parse().unwrap(),
            status: SlotStatus::Free,
        };
        (slot, Carried(format!(r#"{{"resourceType":"Slot","id":"{id}"}}"#)))
    };
    PublishSlots {
        services: vec![(held_service(), Some(Carried(r#"{"resourceType":"HealthcareService"}"#.to_owned())))],
        directory: vec![("Schedule".to_owned(), "schedule".to_owned(), Carried("{}".to_owned()))],
        slots: slots.iter().map(slot).collect(),
    }
}

pub(crate) fn held_service() -> Service {
    Service {
        id: service(),
        name: "Physiotherapy".to_owned(),
        organisation: OdsCode::parse("RH8").unwrap(),
        use_cases: vec!["a1t1".to_owned()],
        treatment_function: None,
        destination: Some("pas".to_owned()),
        closed: false,
    }
}

pub(crate) fn book_slot(subject: Subject, slot: &str, based_on: Option<ReferralId>) -> Book {
    let awaited = referral(subject.candidate, ReferralStatus::Awaited);
    let start: Timestamp = "2026-11-02T09:00:00Z".parse().unwrap();
    let appointment = Appointment {
        id: AppointmentId(Uuid::now_v7()),
        referral: awaited.id,
        patient: subject.candidate,
        service: service(),
        slot: Some(SlotId(slot.to_owned())),
        status: AppointmentStatus::Booked,
        start,
        end: start + SignedDuration::from_mins(15),
        created: Timestamp::now(),
        use_case: "a1t1".to_owned(),
        description: None,
        cancel_reason: None,
        identifiers: Vec::new(),
        origin: Origin::default(),
        passed: None,
    };
    let carried = Carried(format!(r#"{{"resourceType":"Appointment","id":"{}","status":"booked"}}"#, appointment.id));
    Book { subject, appointment, slot: SlotId(slot.to_owned()), based_on, awaited, carried }
}

pub(crate) fn events(store: &dyn Store, destination: &str) -> Vec<String> {
    let due = store.outbox_due(destination, Timestamp::now(), 100).unwrap();
    due.into_iter().map(|(row, _)| row.event).collect()
}

pub(crate) fn count_of(store: &dyn Store, outcome: &str) -> u64 {
    store.message_counts().unwrap().into_iter().find(|(name, _)| name == outcome).map_or(0, |(_, n)| n)
}

pub(crate) fn all() -> Page {
    Page { limit: 1000, ..Page::default() }
}

pub(crate) fn is_database<T: std::fmt::Debug>(result: Result<T, StoreError>, text: &str) {
    match result {
        Err(StoreError::Database(why)) => assert!(why.contains(text), "{why}"),
        other => panic!("{other:?}"),
    }
}
