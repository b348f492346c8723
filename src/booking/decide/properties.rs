//! What must always hold (section 2 of the design), after every step of any walk.

use std::cell::RefCell;
use std::collections::BTreeSet;

use jiff::Timestamp;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestCaseError, TestRunner};
use uuid::Uuid;

use super::person::differs;
use super::walk::{self, Action, Scene, Step, instant, walks};
use super::world::{ReferralRow, World, origin};
use crate::booking::appointment::{Appointment, AppointmentStatus};
use crate::booking::command::{Command, Subject};
use crate::booking::decision::{Decision, Refusal, Rules, State};
use crate::booking::identifier::{AppointmentId, PatientId, ReferralId};
use crate::booking::index::{TaskKind, task_id};
use crate::booking::patient::{Demographics, Patient};
use crate::booking::referral::{Origin, Referral};
use crate::booking::slot::SlotStatus;

type Checked = Result<(), TestCaseError>;

/// Walks that every run draws anew.
const WALKS: u32 = 120;
const STEPS: std::ops::Range<usize> = 20..90;

#[test]
fn what_must_always_hold_holds_after_every_step() {
    let config = Config { cases: WALKS, max_shrink_iters: 20_000, ..Config::with_source_file(file!()) };
    TestRunner::new(config)
        .run(&(walks(STEPS), any::<bool>()), |(steps, sandbox)| walked(&steps, sandbox, |step| check(&step)))
        .unwrap_or_else(|found| panic!("{found}"));
}

/// The walks above would prove little if they met nothing but refusals, or never a certain one.
#[test]
fn walks_meet_every_rule() {
    // Nothing is checked on the way, so there is time for more of them.
    let met = RefCell::new(BTreeSet::new());
    TestRunner::new_with_rng(
        Config { cases: 2 * WALKS, failure_persistence: None, ..Config::default() },
        proptest::test_runner::TestRng::deterministic_rng(Default::default()),
    )
    .run(&walks(STEPS), |steps| {
        walked(&steps, false, |step| {
            let verdict = step.verdict.as_ref().map_or_else(|refusal| refusal.issue.code.id, |_| "done");
            met.borrow_mut().insert((step.command.name(), verdict));
            Ok(())
        })
    })
    .unwrap();
    insta::assert_snapshot!(table(&met.borrow()), @r"
    AmendBooking: ONW-1018 ONW-3022 ONW-4005 ONW-4009 ONW-4010 ONW-4011 ONW-4015 ONW-5005 done
    AmendReferral: ONW-1018 ONW-3001 ONW-4006 ONW-4007 ONW-4009 ONW-4010 ONW-4011 ONW-4015 ONW-5005 done
    Book: ONW-1018 ONW-3019 ONW-3022 ONW-3023 ONW-4001 ONW-4002 ONW-4003 ONW-4006 ONW-4011 ONW-4013 ONW-4014 ONW-4015 ONW-5005 done
    CancelBooking: ONW-4005 ONW-4009 ONW-4012 ONW-4015 done
    CancelReferral: ONW-3001 ONW-4006 ONW-4007 ONW-4009 ONW-4011 ONW-4015 done
    PlaceReferral: ONW-1018 ONW-3019 ONW-4004 ONW-4005 ONW-4008 ONW-4011 ONW-5005 done
    PublishSlots: done
    RecordResponse: ONW-3011 ONW-4011 done
    Reschedule: ONW-1018 ONW-3022 ONW-3023 ONW-4001 ONW-4002 ONW-4005 ONW-4009 ONW-4010 ONW-4011 ONW-4015 ONW-5005 done
    ");
}

/// One line for each command: how it ended.
fn table(met: &BTreeSet<(&str, &str)>) -> String {
    let commands: BTreeSet<_> = met.iter().map(|(command, _)| command).collect();
    let verdicts = |command: &str| {
        let of_command = met.iter().filter(|(name, _)| *name == command).map(|(_, verdict)| *verdict);
        of_command.collect::<Vec<_>>().join(" ")
    };
    commands.into_iter().map(|command| format!("{command}: {}\n", verdicts(command))).collect()
}

/// A command, what came of it, and the world before and after it.
struct Taken<'a> {
    command: &'a Command,
    now: Timestamp,
    before: &'a World,
    after: &'a World,
    verdict: &'a Result<Decision, Refusal>,
}

/// Takes the steps one after the other.
fn walked(steps: &[Step], sandbox: bool, look: impl Fn(Taken<'_>) -> Checked) -> Checked {
    let mut world = World { rules: Rules { sandbox, ..Rules::default() }, ..World::default() };
    world.submit(&Command::PublishSlots(walk::diary()), instant(0)).unwrap();
    for (number, step) in steps.iter().enumerate() {
        let (before, now) = (world.clone(), instant(number));
        let command = Scene { world: &before, step: *step, number }.command();
        let verdict = world.submit(&command, now);
        look(Taken { command: &command, now, before: &before, after: &world, verdict: &verdict })?;
    }
    Ok(())
}

fn check(step: &Taken<'_>) -> Checked {
    let Taken { command, now, before, after, verdict } = step;
    let mut twin = (*before).clone();
    let again = twin.submit(command, *now);
    prop_assert_eq!(again.map(drop), verdict.as_ref().map(drop).map_err(Clone::clone), "decided differently");
    prop_assert!(twin == **after, "decided differently");
    if verdict.is_err() {
        prop_assert!(before == after, "a refusal changed something");
        return Ok(());
    }
    holds(after)?;
    follows(before, after)?;
    if let Some(subject) = subject(command) {
        meant(subject, before, after)?;
    }
    notices_agree(verdict.as_ref().unwrap(), after)?;
    repeated(step)
}

fn subject(command: &Command) -> Option<&Subject> {
    Some(match command {
        Command::PlaceReferral(it) => &it.subject,
        Command::AmendReferral(it) => &it.subject,
        Command::CancelReferral(it) => &it.subject,
        Command::RecordResponse(it) => &it.subject,
        Command::Book(it) => &it.subject,
        Command::AmendBooking(it) => &it.subject,
        Command::Reschedule(it) => &it.subject,
        Command::CancelBooking(it) => &it.subject,
        Command::PublishSlots(_) | Command::Feed(_) | Command::Index(_) | Command::Skip => return None,
    })
}

/// Of one world.
fn holds(world: &World) -> Checked {
    for appointment in world.appointments.iter().map(|row| &row.model) {
        appointment_holds(world, appointment)?;
    }
    for row in &world.referrals {
        referral_holds(world, row)?;
    }
    for appointment in world.current() {
        let rival = |it: &&Appointment| (it.patient, &it.service) == (appointment.patient, &appointment.service);
        prop_assert_eq!(world.current().filter(rival).count(), 1, "two appointments of one patient at one service");
    }
    for slot in &world.slots {
        let of_slot = |it: &&Appointment| it.slot.as_ref() == Some(&slot.id);
        let current = world.current().filter(of_slot).count();
        prop_assert!(current <= 1, "a slot is sold twice");
        prop_assert!(current == 0 || slot.status == SlotStatus::Busy, "a sold slot is on offer");
        // Nobody else can have the time of somebody who did not come.
        let missed = world.appointments.iter().map(|row| &row.model).filter(of_slot);
        let missed = missed.filter(|it| it.status == AppointmentStatus::NoShow).count();
        prop_assert!(0 < current + missed || slot.status != SlotStatus::Busy, "a slot is busy for nobody");
    }
    let numbers: Vec<_> = world.patients.iter().filter_map(|it| it.nhs_number).collect();
    let distinct: BTreeSet<_> = numbers.iter().collect();
    prop_assert_eq!(numbers.len(), distinct.len(), "two records have one number");
    Ok(())
}

fn appointment_holds(world: &World, appointment: &Appointment) -> Checked {
    let Some(referral) = world.referral(appointment.referral) else {
        return Err(TestCaseError::fail("an appointment without a referral"));
    };
    prop_assert_eq!(appointment.patient, referral.patient, "an appointment on somebody else's referral");
    prop_assert_eq!(&appointment.service, &referral.service, "an appointment on another service's referral");
    prop_assert!(world.patient(appointment.patient).is_some());
    if appointment.status.is_current() {
        prop_assert!(referral.status.is_live(), "an appointment on a referral that is not live");
        let slot = appointment.slot.as_ref().and_then(|id| world.slot(id));
        prop_assert!(slot.is_some(), "an appointment without a slot");
        let as_slot = slot.is_some_and(|slot| slot.start == appointment.start && slot.end == appointment.end);
        prop_assert!(world.rules.sandbox || as_slot, "an appointment at another time than its slot's");
    }
    Ok(())
}

fn referral_holds(world: &World, row: &ReferralRow) -> Checked {
    let ReferralRow { model, worklist, .. } = row;
    let current: Vec<AppointmentId> = world.current().filter(|it| it.referral == model.id).map(|it| it.id).collect();
    prop_assert!(current.len() <= 1, "two appointments on one referral");
    prop_assert_eq!(*worklist, model.worklist(current.first().copied()), "a stale worklist");
    prop_assert_eq!(worklist.is_some(), model.status.is_live());
    let rival = |other: &&ReferralRow| {
        let (a, b) = (&other.model, model);
        a.id != b.id && (a.patient, &a.service, a.category) == (b.patient, &b.service, b.category) && active(a)
    };
    // Two records that turned out to be one person's had one each; somebody is asked.
    let asked = |other: &ReferralRow| {
        let task = task_id(TaskKind::SameReferral, model.id.0, other.model.id.0);
        world.tasks.iter().any(|it| it.id == task)
    };
    let unasked = world.referrals.iter().filter(rival).any(|it| !asked(it));
    prop_assert!(!active(model) || !unasked, "two live referrals for the same, and nobody is asked");
    Ok(())
}

/// Live, and not only awaited.
fn active(referral: &Referral) -> bool {
    referral.status.is_live() && referral.status.as_str() != "draft"
}

/// From one world to the next.
fn follows(before: &World, after: &World) -> Checked {
    for (row, held) in before.patients.iter().zip(&after.patients) {
        prop_assert_eq!(row.id, held.id);
        prop_assert!(row.nhs_number.is_none() || row.nhs_number == held.nhs_number, "a proven number was lost");
        prop_assert!(keeps(&row.demographics, &held.demographics), "an absent value erased a present one");
    }
    prop_assert!(before.patients.len() <= after.patients.len());
    prop_assert!(before.referrals.len() <= after.referrals.len());
    for (row, held) in before.referrals.iter().zip(&after.referrals) {
        referral_follows(&row.model, &held.model)?;
    }
    prop_assert!(before.appointments.len() <= after.appointments.len());
    for (row, held) in before.appointments.iter().zip(&after.appointments) {
        appointment_follows(&row.model, &held.model)?;
    }
    Ok(())
}

fn referral_follows(old: &Referral, new: &Referral) -> Checked {
    prop_assert_eq!((old.id, old.patient), (new.id, new.patient));
    prop_assert_eq!((&old.service, old.category), (&new.service, new.category));
    prop_assert_eq!(&old.case_reference, &new.case_reference);
    let clock = old.pathway.clock_start;
    prop_assert!(clock.is_none() || clock == new.pathway.clock_start, "a waiting-time clock was started again");
    prop_assert!(old.pathway.id.is_none() || new.pathway.id.is_some(), "a pathway lost its name");
    prop_assert!(old.status.is_live() || old.status == new.status, "what was over is not");
    newest_versions(&old.origin, &new.origin)
}

fn appointment_follows(old: &Appointment, new: &Appointment) -> Checked {
    prop_assert_eq!((old.id, old.patient, old.created), (new.id, new.patient, new.created));
    prop_assert_eq!(&old.service, &new.service);
    prop_assert!(old.status.is_current() || old == new, "what was over is not");
    prop_assert!(old.slot != new.slot || (old.start, old.end) == (new.start, new.end), "a slot has another time");
    newest_versions(&old.origin, &new.origin)
}

fn newest_versions(old: &Origin, new: &Origin) -> Checked {
    prop_assert!(old.last_updated <= new.last_updated, "a version went backwards");
    Ok(())
}

/// Is everything that was known still known, or known better?
fn keeps(old: &Demographics, new: &Demographics) -> bool {
    fn stays<T>(old: Option<T>, new: Option<T>) -> bool {
        old.is_none() || new.is_some()
    }
    fn of_each_kind<T>(old: &[T], new: &[T], same: impl Fn(&T, &T) -> bool) -> bool {
        old.iter().all(|held| new.iter().any(|it| same(held, it)))
    }
    let family = |who: &Demographics| who.name().and_then(|name| name.family.clone());
    let given = |who: &Demographics| who.name().and_then(|name| name.given.first().cloned());
    let renamed = family(old) != family(new);
    stays(old.birth_date.as_ref(), new.birth_date.as_ref())
        && stays(old.gender, new.gender)
        && stays(old.practice.as_ref(), new.practice.as_ref())
        && stays(old.nhs_number_status.as_ref(), new.nhs_number_status.as_ref())
        && stays(family(old), family(new))
        && (renamed || stays(given(old), given(new)))
        && of_each_kind(&old.names, &new.names, |a, b| a.usage == b.usage)
        && of_each_kind(&old.addresses, &new.addresses, |a, b| a.usage == b.usage)
        && of_each_kind(&old.telecoms, &new.telecoms, |a, b| (&a.system, &a.usage) == (&b.system, &b.usage))
        && of_each_kind(&old.identifiers, &new.identifiers, |a, b| a.system == b.system)
}

/// Whatever a message changed belongs to somebody whom it may mean.
fn meant(subject: &Subject, before: &World, after: &World) -> Checked {
    let mut known = State::default();
    known.index.members.clone_from(&before.patients);
    for id in touched(before, after) {
        let Some(owner) = before.patient(id) else {
            prop_assert_eq!(id, subject.candidate, "a record that nobody asked for");
            continue;
        };
        prop_assert!(!differs(owner, subject, &known), "it is about somebody else");
        let held = after.patient(id).map(|it| it.nhs_number);
        let promoted = owner.nhs_number.is_none() && held != Some(None);
        prop_assert!(!promoted || held == Some(subject.nhs_number));
    }
    let patients: Vec<_> = after.patients.iter().filter(|it| before.patient(it.id).is_none()).collect();
    prop_assert!(patients.len() <= 1);
    prop_assert!(patients.iter().all(|it| it.nhs_number == subject.nhs_number), "a new record without its number");
    Ok(())
}

/// Whose record, referral or appointment is not what it was.
fn touched(before: &World, after: &World) -> Vec<PatientId> {
    let changed = |it: &&Patient| before.patient(it.id) != Some(it);
    let patients = after.patients.iter().filter(changed).map(|it| it.id);
    let referrals = after.referrals.iter().filter(|row| !before.referrals.contains(row)).map(|row| row.model.patient);
    let appointments =
        after.appointments.iter().filter(|row| !before.appointments.contains(row)).map(|row| row.model.patient);
    patients.chain(referrals).chain(appointments).collect()
}

/// Others are told what is held, and of no one else.
fn notices_agree(decision: &Decision, world: &World) -> Checked {
    for notice in &decision.notices {
        prop_assert_eq!(Some(&notice.patient), world.patient(notice.patient.id));
        prop_assert_eq!(Some(&notice.referral), world.referral(notice.referral.id));
        prop_assert_eq!(notice.referral.patient, notice.patient.id);
        if let Some(appointment) = &notice.appointment {
            prop_assert_eq!(Some(appointment), world.appointment(appointment.id));
            prop_assert_eq!(appointment.patient, notice.patient.id);
        }
    }
    Ok(())
}

/// The same once more, at once, has no second effect; nor has a new message of the same, where identity is proven.
fn repeated(step: &Taken<'_>) -> Checked {
    let mut twice = step.after.clone();
    if twice.submit(step.command, step.now).is_ok() {
        prop_assert!(records(&twice) == records(step.after), "the same command again changed something");
    }
    let Some(renewed) = renewed(step.command) else { return Ok(()) };
    let mut twice = step.after.clone();
    let verdict = twice.submit(&renewed, step.now);
    prop_assert!(verdict.is_err(), "the same was done twice for one person: {}", origin(step.command).bundle);
    Ok(())
}

/// A world without its journal, which keeps every message.
fn records(world: &World) -> World {
    World { journal: Vec::new(), ..world.clone() }
}

/// The same wish in a new message, with new ids throughout; only where the sender proves who is meant.
fn renewed(command: &Command) -> Option<Command> {
    let id = Uuid::from_u128(u128::MAX);
    let mut renewed = command.clone();
    let (subject, origin) = match &mut renewed {
        Command::PlaceReferral(it) => {
            it.referral.id = ReferralId(id);
            (&mut it.subject, &mut it.referral.origin)
        }
        Command::Book(it) => {
            it.appointment.id = AppointmentId(id);
            it.awaited.id = ReferralId(id);
            (&mut it.subject, &mut it.appointment.origin)
        }
        _ => return None,
    };
    subject.candidate = PatientId(id);
    origin.bundle = "another".to_owned();
    subject.nhs_number.is_some().then_some(renewed)
}

/// Somebody with a number has a referral and, from another conversation, a booking that still waits for one.
fn booked_beside_a_referral() -> (World, [Step; 2]) {
    let place = Step { who: 0, ..walk::STEP };
    let book = Step { action: Action::Book, conversation: 1, ..place };
    let mut world = World::default();
    world.submit(&Command::PublishSlots(walk::diary()), instant(0)).unwrap();
    for (number, step) in [place, book].into_iter().enumerate() {
        let command = Scene { world: &world, step, number }.command();
        world.submit(&command, instant(number)).unwrap();
    }
    // The same person again, whose number is not proven this time: only what the message names leads to the record.
    let unproven = Step { who: 1, conversation: 2, ..place };
    let book = Step { action: Action::Book, link: Some(1), slot: 3, ..unproven };
    (world, [Step { link: Some(0), ..unproven }, book])
}

#[test]
fn one_who_proves_no_number_has_no_second_referral_or_booking_either() {
    let (world, steps) = booked_beside_a_referral();
    for (step, code) in steps.into_iter().zip(["ONW-4004", "ONW-4003"]) {
        let command = Scene { world: &world, step, number: 9 }.command();
        let verdict = world.clone().submit(&command, instant(9));
        assert_eq!(verdict.unwrap_err().issue.code.id, code, "{}", command.name());
    }
}
