//! What every store must do, as tests against the trait alone: `contract_tests!` makes one `#[test]` of
//! each case for one kind of store.
//!
//! The rules of the field are not under test here. [`decide`] does as it is told, also what a real decision
//! never would: what must not be is the store's to refuse.

mod act;
mod fixture;
mod ledger;

use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use uuid::Uuid;

pub(crate) use self::act::*;
pub(crate) use self::fixture::*;
pub(crate) use self::ledger::*;
use super::*;
use crate::booking::appointment::AppointmentStatus;
use crate::booking::command::{CancelBooking, CancelReferral, RecordResponse};
use crate::booking::referral::{Category, Origin, ReferralStatus, ResponseKind};

/// Makes a test of each case for the store that `$fresh` makes: something with a field `store`, or nothing where there
/// is no such database here.
macro_rules! contract_tests {
    ($fresh:path) => {
        $crate::store::contract::contract_tests! { $fresh:
            accepted_is_kept_whole
            a_repeat_of_what_was_accepted_does_nothing
            a_repeat_of_what_was_refused_gets_the_first_answer
            a_failure_of_ours_is_not_kept_as_the_answer
            an_answer_that_fails_takes_its_decision_back
            a_panic_spoils_only_its_own_work
            a_name_that_is_too_long_spoils_only_its_own_work
            many_at_once_with_one_key_are_accepted_once
            an_appointment_on_another_patients_referral_is_refused
            a_slot_is_sold_once
            a_live_referral_without_a_worklist_is_refused
            what_the_command_needs_is_looked_up
            an_answered_message_leads_to_its_referral
            the_patient_in_a_resource_is_the_one_found
            a_cancelled_referral_says_so
            a_cancelled_booking_says_so_and_frees_its_slot
            searches_by_number_and_by_demographics
            a_diary_can_be_imported_again
            letters_of_one_key_go_in_order
            a_letter_that_was_taken_is_settled
            a_parked_letter_holds_up_only_its_key
            letters_go_another_way_in_their_order
            a_settled_letter_stays_settled
            a_letter_parked_while_being_sent_stays_parked
            depth_counts_what_there_is
            every_message_is_in_one_state
            what_is_paused_is_paused_until_it_is_resumed
            a_long_queue_stays_quick
            dropping_the_future_does_not_drop_the_work
            a_closed_store_says_so
        }
    };
    ($fresh:path: $($case:ident)*) => {$(
        #[test]
        fn $case() {
            let Some(fresh) = $fresh() else { return };
            $crate::store::contract::$case(&*fresh.store);
        }
    )*};
}
pub(crate) use contract_tests;

pub(crate) fn accepted_is_kept_whole(store: &dyn Store) {
    let command = place_referral(Some(number(999_000_001)));
    let sent = message("k");
    let id = sent.id;
    let letters = vec![letter("pas", Uuid::nil(), "REF^I12")];
    let verdict = wait(store.submit(sent, work(Command::PlaceReferral(command.clone()), letters))).unwrap();
    assert!(matches!(verdict, Verdict::Accepted { letters: 1, .. }), "{verdict:?}");

    let (row, body, answer) = store.message_show(id).unwrap().unwrap();
    assert_eq!((row.outcome.as_str(), row.status, row.key.as_deref()), ("accepted", 200, Some("k")));
    assert_eq!((row.command.as_deref(), row.referral), (Some("PlaceReferral"), Some(command.referral.id.0)));
    assert_eq!((row.patient, row.appointment), (Some(command.subject.candidate.0), None));
    assert_eq!((body.as_slice(), row.body_bytes), (&b"body of k"[..], 9));
    assert_eq!(row.sha256.len(), 64);
    assert_eq!((answer.status, answer.body), (200, None));
    assert_eq!(row.issues.len(), 1);
    assert_eq!(store.referral_resource(command.referral.id.0).unwrap(), Some(command.carried.0));
    assert_eq!(store.message_list(&all()).unwrap().len(), 1);

    let (letter, bytes) = store.outbox_due("pas", Timestamp::now(), 9).unwrap().remove(0);
    assert_eq!((letter.message, letter.attempts, letter.state), (id, 0, OutboxState::Queued));
    assert_eq!(bytes, b"MSH|^~\\&|");
    assert!(store.health().failure.is_none() && store.health().last_commit.is_some());
}

pub(crate) fn a_repeat_of_what_was_accepted_does_nothing(store: &dyn Store) {
    accept(store, "k", Command::PlaceReferral(place_referral(None)));
    let first = store.message_list(&all()).unwrap()[0].id;
    let again = place_referral(None);
    let id = again.referral.id.0;
    let verdict = submit(store, "k", Command::PlaceReferral(again)).unwrap();
    assert!(matches!(verdict, Verdict::Duplicate { first: it, .. } if it == first), "{verdict:?}");
    assert_eq!(store.referral_resource(id).unwrap(), None);
    assert_eq!((count_of(store, "accepted"), count_of(store, "duplicate")), (1, 1));
    assert_eq!(store.message_list(&all()).unwrap()[0].key, None);
    assert!(matches!(store.first_answer("k").unwrap(), Some((it, true, _)) if it == first));
}

pub(crate) fn a_repeat_of_what_was_refused_gets_the_first_answer(store: &dyn Store) {
    let mut command = place_referral(None);
    command.referral.use_case = "refuse".to_owned();
    let verdict = submit(store, "k", Command::PlaceReferral(command)).unwrap();
    assert!(matches!(&verdict, Verdict::Refused { refusal: Some(it), .. } if it.alarm), "{verdict:?}");

    // Whatever comes under the key now: it had its answer.
    let verdict = submit(store, "k", Command::PlaceReferral(place_referral(None))).unwrap();
    let Verdict::Repeated { answer } = verdict else { panic!("{verdict:?}") };
    assert_eq!((answer.status, answer.body.as_deref()), (422, Some(&b"the first refusal"[..])));
    assert_eq!((count_of(store, "refused"), count_of(store, "repeated")), (1, 1));
    let refused = Page { state: Some("refused".to_owned()), ..all() };
    assert_eq!(store.message_list(&refused).unwrap()[0].issues[0].code, "ONW-4007");

    let before = Answer { status: 400, body: Some(b"unread".to_vec()), letters: Vec::new() };
    wait(store.submit(message("j"), Work::Refuse(before))).unwrap();
    let (_, accepted, answer) = store.first_answer("j").unwrap().unwrap();
    assert_eq!((accepted, answer.status, answer.body.as_deref()), (false, 400, Some(&b"unread"[..])));
}

pub(crate) fn a_failure_of_ours_is_not_kept_as_the_answer(store: &dyn Store) {
    let failure = Answer { status: 503, ..Answer::default() };
    let verdict = wait(store.submit(message("k"), Work::Refuse(failure))).unwrap();
    assert!(matches!(verdict, Verdict::Refused { refusal: None, .. }), "{verdict:?}");
    assert!(store.first_answer("k").unwrap().is_none());
    accept(store, "k", Command::PlaceReferral(place_referral(None)));
}

pub(crate) fn an_answer_that_fails_takes_its_decision_back(store: &dyn Store) {
    let command = place_referral(None);
    let id = command.referral.id.0;
    let answer = |_: &Result<Decision, Refusal>| Answer { status: 500, ..Answer::default() };
    let work = Work::Decide { command: Box::new(Command::PlaceReferral(command)), answer: Box::new(answer) };
    let verdict = wait(store.submit(message("k"), work)).unwrap();
    assert!(matches!(verdict, Verdict::Refused { refusal: None, .. }), "{verdict:?}");
    assert_eq!(store.referral_resource(id).unwrap(), None);
    assert_eq!((count_of(store, "accepted"), count_of(store, "refused")), (0, 1));
}

pub(crate) fn a_panic_spoils_only_its_own_work(store: &dyn Store) {
    let mut command = place_referral(None);
    command.referral.use_case = "panic".to_owned();
    let panics = store.submit(message("a"), work(Command::PlaceReferral(command), Vec::new()));
    let fine = store.submit(message("b"), work(Command::PlaceReferral(place_referral(None)), Vec::new()));
    let late = Work::Decide {
        command: Box::new(Command::PlaceReferral(place_referral(None))),
        answer: Box::new(|_| panic!("as told")),
    };
    let late = store.submit(message("c"), late);
    is_database(wait(panics), "panicked");
    assert!(matches!(wait(fine), Ok(Verdict::Accepted { .. })));
    is_database(wait(late), "panicked");
    assert_eq!(store.message_list(&all()).unwrap().len(), 1);
    assert!(store.health().failure.is_none());
}

/// One database keeps it, another takes no such name into an index; neither is ill because of it.
pub(crate) fn a_name_that_is_too_long_spoils_only_its_own_work(store: &dyn Store) {
    let long: String = (0..1_000).map(|_| Uuid::new_v4().to_string()).collect();
    let place = || work(Command::PlaceReferral(place_referral(None)), Vec::new());
    let odd = store.submit(Message { bundle: long, ..message("a") }, place());
    let fine = store.submit(message("b"), place());
    drop(wait(odd));
    assert!(store.health().failure.is_none(), "{:?}", store.health());
    assert!(matches!(wait(fine), Ok(Verdict::Accepted { .. })));
}

pub(crate) fn many_at_once_with_one_key_are_accepted_once(store: &dyn Store) {
    let submit = || store.submit(message("k"), work(Command::PlaceReferral(place_referral(None)), Vec::new()));
    let verdicts: Vec<Verdict> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..200).map(|_| scope.spawn(|| wait(submit()).unwrap())).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let accepted = verdicts.iter().filter(|verdict| matches!(verdict, Verdict::Accepted { .. })).count();
    let duplicate = verdicts.iter().filter(|verdict| matches!(verdict, Verdict::Duplicate { .. })).count();
    assert_eq!((accepted, duplicate), (1, 199));
    assert_eq!((count_of(store, "accepted"), count_of(store, "duplicate")), (1, 199));
}

pub(crate) fn an_appointment_on_another_patients_referral_is_refused(store: &dyn Store) {
    let other = accept(store, "q", Command::PlaceReferral(place_referral(Some(number(999_000_001)))));
    let based_on = other.referral.map(|referral| referral.id);
    let book = book_slot(subject(Some(number(999_000_101))), "slot", based_on);
    let (id, slot) = (book.appointment.id.0, store.submit(message("b"), work(Command::Book(book), Vec::new())));
    is_database(wait(slot), "FOREIGN KEY");
    assert_eq!(store.appointment_resource(id).unwrap(), None);
    assert_eq!(store.message_list(&all()).unwrap().len(), 1);
    assert!(store.first_answer("b").unwrap().is_none());
}

pub(crate) fn a_slot_is_sold_once(store: &dyn Store) {
    accept(store, "d", Command::PublishSlots(diary(&["s"])));
    let first = book_slot(subject(Some(number(999_000_001))), "s", None);
    let second = book_slot(subject(Some(number(999_000_101))), "s", None);
    let third = Command::PlaceReferral(place_referral(None));
    let pending = [("1", Command::Book(first)), ("2", Command::Book(second)), ("3", third)]
        .map(|(key, command)| store.submit(message(key), work(command, Vec::new())));
    let [first, second, third] = pending.map(wait);
    // Whichever comes first.
    let (sold, late) = if first.is_ok() { (first, second) } else { (second, first) };
    assert!(matches!(sold, Ok(Verdict::Accepted { .. })));
    is_database(late, "UNIQUE");
    assert!(matches!(third, Ok(Verdict::Accepted { .. })));
    assert_eq!(count_of(store, "accepted"), 3);
}

pub(crate) fn a_live_referral_without_a_worklist_is_refused(store: &dyn Store) {
    let mut command = place_referral(None);
    command.referral.use_case = "no worklist".to_owned();
    is_database(submit(store, "k", Command::PlaceReferral(command)), "live_is_on_a_worklist");
}

fn last_state(store: &dyn Store) -> String {
    store.message_list(&Page { limit: 1, ..Page::default() }).unwrap()[0].issues[0].text.clone()
}

pub(crate) fn what_the_command_needs_is_looked_up(store: &dyn Store) {
    let nhs_number = Some(number(999_000_001));
    accept(store, "d", Command::PublishSlots(diary(&["s"])));
    let mut command = place_referral(nhs_number);
    command.referral.origin = Origin { bundle: "b".into(), correlation: "c".into(), ..Origin::default() };
    let first = Message { bundle: "b".into(), correlation: "c".into(), ..message("1") };
    wait(store.submit(first, work(Command::PlaceReferral(command.clone()), Vec::new()))).unwrap();
    assert_eq!(
        last_state(store),
        "service true patient false referral false its appointment false appointment false slot none \
         referrals 0 appointments 0 used false"
    );
    let held = accept(store, "2", Command::Book(book_slot(subject(nhs_number), "s", Some(command.referral.id))));
    assert_eq!(
        last_state(store),
        "service true patient true referral true its appointment false appointment false slot free 2 \
         referrals 1 appointments 0 used false"
    );
    let mut again = place_referral(nhs_number);
    again.referral.category = Category::Validation;
    again.referral.linked_appointment = held.appointment.map(|appointment| appointment.id);
    again.referral.origin = command.referral.origin;
    accept(store, "3", Command::PlaceReferral(again));
    assert_eq!(
        last_state(store),
        "service true patient true referral false its appointment false appointment true slot none \
         referrals 1 appointments 1 used true"
    );
}

pub(crate) fn an_answered_message_leads_to_its_referral(store: &dyn Store) {
    let placed = accept(store, "k", Command::PlaceReferral(place_referral(None))).referral.unwrap();
    accept(store, "b", Command::Book(book_slot(subject(Some(number(999_000_001))), "s", None)));
    let response = |answers: &str| {
        Command::RecordResponse(RecordResponse {
            answers: answers.to_owned(),
            subject: subject(None),
            service: service(),
            kind: ResponseKind::Planned,
            reason: None,
            appointment: None,
            origin: Origin::default(),
        })
    };
    let answered = accept(store, "r", response("bundle of k")).referral.unwrap();
    assert_eq!((answered.id, answered.response), (placed.id, Some(ResponseKind::Planned)));
    accept(store, "s", response("bundle of b"));
    assert!(last_state(store).contains("referral true its appointment true"));
    assert!(matches!(submit(store, "t", response("no such")), Ok(Verdict::Refused { .. })));
}

pub(crate) fn the_patient_in_a_resource_is_the_one_found(store: &dyn Store) {
    let nhs_number = Some(number(999_000_001));
    let first = place_referral(nhs_number);
    let known = first.subject.candidate;
    accept(store, "1", Command::PlaceReferral(first));
    let mut second = place_referral(nhs_number);
    second.referral.category = Category::Validation;
    let (id, candidate) = (second.referral.id.0, second.subject.candidate);
    accept(store, "2", Command::PlaceReferral(second));
    let resource = store.referral_resource(id).unwrap().unwrap();
    assert!(resource.contains(&known.to_string()) && !resource.contains(&candidate.to_string()), "{resource}");
}

pub(crate) fn a_cancelled_referral_says_so(store: &dyn Store) {
    let command = place_referral(None);
    let target = command.referral.id;
    accept(store, "1", Command::PlaceReferral(command.clone()));
    let cancel = CancelReferral {
        target,
        subject: subject(None),
        service: service(),
        category: Category::Referral,
        status: ReferralStatus::Revoked,
        reason: None,
        origin: Origin::default(),
    };
    accept(store, "2", Command::CancelReferral(cancel));
    let expected = command.carried.0.replace(r#""status":"active""#, r#""status":"revoked""#);
    assert_eq!(store.referral_resource(target.0).unwrap(), Some(expected));
}

pub(crate) fn a_cancelled_booking_says_so_and_frees_its_slot(store: &dyn Store) {
    accept(store, "d", Command::PublishSlots(diary(&["s"])));
    let who = subject(Some(number(999_000_001)));
    let booked = accept(store, "1", Command::Book(book_slot(who.clone(), "s", None))).appointment.unwrap();
    let free = |store: &dyn Store| slots(store, vec![SlotStatus::Free]).len();
    assert_eq!((free(store), slots(store, Vec::new()).len()), (0, 1));
    let cancel = CancelBooking {
        target: booked.id,
        subject: who.clone(),
        service: service(),
        status: AppointmentStatus::Cancelled,
        start: None,
        reason: None,
        origin: Origin::default(),
    };
    accept(store, "2", Command::CancelBooking(cancel));
    assert!(store.appointment_resource(booked.id.0).unwrap().unwrap().contains(r#""status":"cancelled""#));
    assert_eq!(free(store), 1);
    accept(store, "3", Command::Book(book_slot(who, "s", Some(booked.referral))));
}

fn slots(store: &dyn Store, statuses: Vec<SlotStatus>) -> Vec<SlotRow> {
    let from = "2026-11-02T09:00:00Z".parse().unwrap();
    let to = "2026-11-02T10:00:00Z".parse().unwrap();
    store.slot_search(&SlotQuery { service: service(), from, to, statuses, limit: 100 }).unwrap()
}

pub(crate) fn searches_by_number_and_by_demographics(store: &dyn Store) {
    let nhs_number = number(999_000_001);
    let first = place_referral(Some(nhs_number));
    let mut second = place_referral(Some(nhs_number));
    second.referral.category = Category::Validation;
    let newest = second.referral.id.to_string();
    accept(store, "1", Command::PlaceReferral(first));
    accept(store, "2", Command::PlaceReferral(second));
    // Its referral is awaited, so it is not found; the appointment is.
    let mut stranger = subject(Some(number(999_000_101)));
    stranger.demographics.names[0].family = Some("Stranger".to_owned());
    accept(store, "3", Command::Book(book_slot(stranger, "s", None)));

    let demographics = |family: &str, postal_code: &str| PatientQuery::Demographics {
        family: family.to_owned(),
        birth_date: "1970-01-02".to_owned(),
        postal_code: postal_code.to_owned(),
    };
    let found = store.referral_search(&PatientQuery::NhsNumber(nhs_number)).unwrap();
    assert!(found.len() == 2 && found[0].contains(&newest));
    assert_eq!(store.referral_search(&demographics("oneill SMITH", "LS14AP")).unwrap(), found);
    assert!(store.referral_search(&demographics("oneill", "LS14AP")).unwrap().is_empty());
    assert!(store.referral_search(&demographics("stranger", "LS1 4AP")).unwrap().is_empty());
    assert_eq!(store.appointment_search(&demographics("stranger", "LS1 4AP")).unwrap().len(), 1);
    assert!(store.appointment_search(&PatientQuery::NhsNumber(nhs_number)).unwrap().is_empty());
}

pub(crate) fn a_diary_can_be_imported_again(store: &dyn Store) {
    accept(store, "1", Command::PublishSlots(diary(&["a", "b"])));
    accept(store, "2", Command::Book(book_slot(subject(Some(number(999_000_001))), "a", None)));
    let mut again = diary(&["a", "b"]);
    let silent = Service { destination: None, use_cases: Vec::new(), name: "Physio".to_owned(), ..held_service() };
    again.services = vec![(silent, None)];
    accept(store, "3", Command::PublishSlots(again));

    let found: Vec<_> = slots(store, Vec::new()).into_iter().map(|slot| (slot.id, slot.status)).collect();
    assert_eq!(found, [("a".to_owned(), SlotStatus::Busy), ("b".to_owned(), SlotStatus::Free)]);
    let held = Service { name: "Physio".to_owned(), ..held_service() };
    assert_eq!(store.service_find(&service()).unwrap(), Some(held.clone()));
    assert_eq!(store.service_list().unwrap(), [held]);
    assert_eq!(store.directory_resource("Schedule", "schedule").unwrap().as_deref(), Some("{}"));
    assert!(store.directory_resource("HealthcareService", &service().0).unwrap().is_some());
    assert_eq!(store.directory_resource("Location", "schedule").unwrap(), None);
}

pub(crate) fn letters_of_one_key_go_in_order(store: &dyn Store) {
    let (a, b) = (Uuid::now_v7(), Uuid::now_v7());
    post(store, vec![letter("pas", a, "a1"), letter("pas", a, "a2"), letter("pas", b, "b1"), letter("ris", a, "r1")]);
    post(store, vec![letter("pas", a, "a3")]);
    assert_eq!(events(store, "pas"), ["a1", "b1"]);
    assert_eq!(events(store, "ris"), ["r1"]);

    let first = store.outbox_due("pas", Timestamp::now(), 1).unwrap()[0].0.id;
    let later = Timestamp::now() + SignedDuration::from_hours(1);
    wait(store.outbox_settle(first, Settlement::Retry { failure: "timeout".into(), due_at: later })).unwrap();
    assert_eq!(events(store, "pas"), ["b1"]);
    assert_eq!(store.outbox_due("pas", later, 9).unwrap()[0].0.attempts, 1);

    wait(store.outbox_settle(first, Settlement::Delivered)).unwrap();
    assert_eq!(events(store, "pas"), ["a2", "b1"]);
    assert!(store.outbox_next_due("pas").unwrap().unwrap() <= Timestamp::now());
    assert_eq!(store.outbox_next_due("none").unwrap(), None);
    let (row, _) = store.outbox_show(first).unwrap().unwrap();
    assert_eq!((row.attempts, row.failure, row.state), (2, None, OutboxState::Delivered));
}

pub(crate) fn a_letter_that_was_taken_is_settled(store: &dyn Store) {
    let (a, b) = (Uuid::now_v7(), Uuid::now_v7());
    post(store, vec![letter("pas", a, "a1"), letter("pas", a, "a2"), letter("pas", b, "b1")]);
    let take = || store.outbox_take("pas", Timestamp::now(), 9, Duration::from_secs(60)).unwrap();
    let taken = take();
    let events = |taken: &[(OutboxRow, Vec<u8>)]| taken.iter().map(|(row, _)| row.event.clone()).collect::<Vec<_>>();
    assert_eq!(events(&taken), ["a1", "b1"]);
    assert_eq!(taken[0].1, b"MSH|^~\\&|");
    // Whoever has them may look again.
    assert_eq!(events(&take()), ["a1", "b1"]);
    wait(store.outbox_settle_taken(&taken[0].0, Settlement::Delivered)).unwrap();
    assert_eq!(events(&take()), ["a2", "b1"]);
    // A person's word counts whoever has the letter.
    wait(store.outbox_settle(taken[1].0.id, Settlement::Superseded { reason: "x".into() })).unwrap();
    let late = wait(store.outbox_settle_taken(&taken[1].0, Settlement::Delivered));
    assert!(matches!(late, Err(StoreError::Refused(_))), "{late:?}");
    assert_eq!(events(&take()), ["a2"]);
}

pub(crate) fn a_parked_letter_holds_up_only_its_key(store: &dyn Store) {
    let (a, b) = (Uuid::now_v7(), Uuid::now_v7());
    post(store, vec![letter("pas", a, "a1"), letter("pas", a, "a2"), letter("pas", b, "b1")]);
    let first = store.outbox_due("pas", Timestamp::now(), 1).unwrap()[0].0.id;
    wait(store.outbox_settle(first, Settlement::Parked { failure: "AR".into() })).unwrap();
    assert_eq!(events(store, "pas"), ["b1"]);
    post(store, vec![letter("pas", a, "a3")]);
    assert_eq!(events(store, "pas"), ["b1"]);

    wait(store.outbox_settle(first, Settlement::Requeue)).unwrap();
    assert_eq!(events(store, "pas"), ["a1", "b1"]);
    wait(store.outbox_settle(first, Settlement::Parked { failure: "AR".into() })).unwrap();
    wait(store.outbox_settle(first, Settlement::Superseded { reason: "by telephone".into() })).unwrap();
    assert_eq!(events(store, "pas"), ["a2", "b1"]);
    let parked = Page { state: Some("superseded".into()), ..all() };
    assert_eq!(store.outbox_list(&parked).unwrap()[0].failure.as_deref(), Some("by telephone"));
}

pub(crate) fn letters_go_another_way_in_their_order(store: &dyn Store) {
    let (a, b) = (Uuid::now_v7(), Uuid::now_v7());
    post(store, vec![letter("new", a, "a0"), letter("old", a, "a1"), letter("old", a, "a2"), letter("old", b, "b1")]);
    let mut rows = store.outbox_list(&Page { destination: Some("old".into()), ..all() }).unwrap();
    rows.sort_by_key(|row| row.id);
    for row in &rows {
        wait(store.outbox_settle(row.id, Settlement::Redirected { destination: "new".into() })).unwrap();
    }
    assert_eq!((events(store, "old"), events(store, "new")), (vec![], vec!["a0".to_owned(), "b1".to_owned()]));
    let queued = |name: &str| {
        let depths = store.outbox_depth().unwrap();
        depths.iter().find(|depth| depth.destination == name).map(|depth| depth.queued)
    };
    assert_eq!((queued("old"), queued("new")), (Some(0), Some(4)));
    for next in ["a1", "a2"] {
        let mut open = store.outbox_list(&Page { state: Some("queued".into()), ..all() }).unwrap();
        open.sort_by_key(|row| row.id);
        let first = open.iter().find(|row| row.key == a).unwrap().id;
        wait(store.outbox_settle(first, Settlement::Delivered)).unwrap();
        assert_eq!(events(store, "new"), [next, "b1"]);
    }
    let delivered = Page { state: Some("delivered".into()), ..all() };
    let settled = store.outbox_list(&delivered).unwrap()[0].id;
    assert!(wait(store.outbox_settle(settled, Settlement::Redirected { destination: "old".into() })).is_err());
}

pub(crate) fn a_settled_letter_stays_settled(store: &dyn Store) {
    post(store, vec![letter("pas", Uuid::nil(), "1"), letter("pas", Uuid::max(), "2")]);
    let ids: Vec<i64> = store.outbox_list(&all()).unwrap().iter().map(|row| row.id).collect();
    wait(store.outbox_settle(ids[0], Settlement::Delivered)).unwrap();
    wait(store.outbox_settle(ids[1], Settlement::Superseded { reason: "x".into() })).unwrap();
    for id in ids.into_iter().chain([4711]) {
        for settlement in [Settlement::Delivered, Settlement::Requeue, Settlement::Parked { failure: "x".into() }] {
            assert!(matches!(wait(store.outbox_settle(id, settlement)), Err(StoreError::Refused(_))));
        }
    }
    assert!(store.health().failure.is_none());
}

pub(crate) fn a_letter_parked_while_being_sent_stays_parked(store: &dyn Store) {
    post(store, vec![letter("pas", Uuid::nil(), "1")]);
    let id = store.outbox_list(&all()).unwrap()[0].id;
    wait(store.outbox_settle(id, Settlement::Parked { failure: "a person".into() })).unwrap();
    wait(store.outbox_settle(id, Settlement::Retry { failure: "timeout".into(), due_at: Timestamp::now() })).unwrap();
    assert_eq!(store.outbox_show(id).unwrap().unwrap().0.state, OutboxState::Parked);
    assert_eq!(store.outbox_next_due("pas").unwrap(), None);
    wait(store.outbox_settle(id, Settlement::Delivered)).unwrap();
}

pub(crate) fn depth_counts_what_there_is(store: &dyn Store) {
    assert!(store.outbox_depth().unwrap().is_empty());
    post(store, (0..5).map(|_| letter("pas", Uuid::now_v7(), "x")).collect());
    post(store, vec![letter("ris", Uuid::nil(), "x")]);
    let rows = store.outbox_due("pas", Timestamp::now(), 9).unwrap();
    wait(store.outbox_settle(rows[0].0.id, Settlement::Delivered)).unwrap();
    wait(store.outbox_settle(rows[1].0.id, Settlement::Parked { failure: "AR".into() })).unwrap();
    wait(store.outbox_settle(rows[2].0.id, Settlement::Superseded { reason: "x".into() })).unwrap();
    let ris = store.outbox_due("ris", Timestamp::now(), 9).unwrap()[0].0.id;
    wait(store.outbox_settle(ris, Settlement::Delivered)).unwrap();

    let depth = store.outbox_depth().unwrap();
    let numbers = |it: &OutboxDepth| (it.destination.clone(), it.queued, it.parked, it.delivered, it.superseded);
    assert_eq!(numbers(&depth[0]), ("pas".to_owned(), 2, 1, 1, 1));
    assert_eq!(numbers(&depth[1]), ("ris".to_owned(), 0, 0, 1, 0));
    assert_eq!(depth[0].oldest, Some(rows[1].0.created_at));
    assert_eq!(depth[1].oldest, None);
}

/// A destination that is down: a hundred thousand letters behind a few hundred that are to be tried later.
pub(crate) fn a_long_queue_stays_quick(store: &dyn Store) {
    let keys: Vec<Uuid> = (0..200).map(|_| Uuid::now_v7()).collect();
    for _ in 0..50 {
        post(store, keys.iter().cycle().take(2_000).map(|key| letter("pas", *key, "x")).collect());
    }
    let later = Timestamp::now() + SignedDuration::from_hours(1);
    let heads = store.outbox_due("pas", Timestamp::now(), 1_000).unwrap();
    assert_eq!(heads.len(), 200);
    let retries: Vec<_> = heads
        .iter()
        .map(|(row, _)| store.outbox_settle(row.id, Settlement::Retry { failure: "down".into(), due_at: later }))
        .collect();
    retries.into_iter().for_each(|retry| wait(retry).unwrap());
    post(store, (0..200).map(|_| letter("pas", Uuid::now_v7(), "new")).collect());

    let quick = |what: &str, work: &dyn Fn()| {
        work();
        let started = Instant::now();
        (0..20).for_each(|_| work());
        let each = started.elapsed() / 20;
        assert!(each < Duration::from_millis(10), "{what} took {each:?}");
    };
    quick("due", &|| assert_eq!(store.outbox_due("pas", Timestamp::now(), 64).unwrap().len(), 64));
    quick("next due", &|| assert!(store.outbox_next_due("pas").unwrap().is_some()));
    quick("depth", &|| assert_eq!(store.outbox_depth().unwrap()[0].queued, 100_200));
}

pub(crate) fn dropping_the_future_does_not_drop_the_work(store: &dyn Store) {
    let command = place_referral(None);
    let id = command.referral.id.0;
    drop(store.submit(message("k"), work(Command::PlaceReferral(command), Vec::new())));
    let deadline = Instant::now() + Duration::from_secs(10);
    while store.referral_resource(id).unwrap().is_none() {
        assert!(Instant::now() < deadline, "it was not done");
        std::thread::sleep(Duration::from_millis(5));
    }
    let verdict = submit(store, "k", Command::PlaceReferral(place_referral(None))).unwrap();
    assert!(matches!(verdict, Verdict::Duplicate { .. }), "{verdict:?}");
}

pub(crate) fn a_closed_store_says_so(store: &dyn Store) {
    let pending = store.submit(message("k"), work(Command::PlaceReferral(place_referral(None)), Vec::new()));
    store.close();
    assert!(matches!(wait(pending), Ok(Verdict::Accepted { .. })));
    let late = submit(store, "l", Command::PlaceReferral(place_referral(None)));
    assert!(matches!(late, Err(StoreError::Closed)), "{late:?}");
    assert!(matches!(wait(store.outbox_settle(1, Settlement::Delivered)), Err(StoreError::Closed)));
    store.close();
}
