//! Is it there already? Two referrals of one person that may be one, and two appointments that may be one, are put side
//! by side for a person to decide. Nothing is cancelled or joined by itself.

use jiff::{SignedDuration, Timestamp};
use uuid::Uuid;

use super::alarm;
use crate::booking::appointment::Appointment;
use crate::booking::decision::{Change, Refusal, State};
use crate::booking::identifier::PatientId;
use crate::booking::index::{Evidence, Likeness, Task, TaskKind, TaskState, task_id};
use crate::booking::referral::{Priority, Referral, ReferralStatus};
use crate::issue::{Issue, NUMBER_ELSEWHERE, TWIN};

/// Referrals further apart than this are about something new.
const WINDOW: SignedDuration = SignedDuration::from_hours(30 * 24);
/// The same where either is urgent.
const WINDOW_URGENT: SignedDuration = SignedDuration::from_hours(14 * 24);
/// Questions that one message raises at most: the surest.
const ASKED_MAX: usize = 5;

/// A referral's number is one patient's: whoever sends it for another one has taken the wrong patient or the wrong number.
pub(super) fn numbers_are_theirs(referral: &Referral, patient: PatientId, state: &State) -> Result<(), Refusal> {
    let owner = referral.ubrn.as_ref().and_then(|ubrn| state.twins.owner_of(&ubrn.into()));
    if owner.is_some_and(|(held, owner)| held != referral.id && owner != patient) {
        return Err(alarm(&NUMBER_ELSEWHERE, "Bundle.entry.resource.ofType(ServiceRequest).identifier"));
    }
    Ok(())
}

/// Questions about a new referral and those that are held of the same person.
pub(super) fn of_referral(new: &Referral, state: &State) -> Vec<Task> {
    if !matches!(new.status, ReferralStatus::Active | ReferralStatus::OnHold) {
        return Vec::new();
    }
    let numbered = state.twins.numbered.iter().map(|(_, referral)| referral);
    let mut found: Vec<(Uuid, Evidence)> = Vec::new();
    for held in state.twins.referrals.iter().chain(numbered) {
        if held.id == new.id || !is_other(held) || found.iter().any(|(id, _)| *id == held.id.0) {
            continue;
        }
        let Some(kin) = kinship(held.patient, new.patient, state) else { continue };
        found.extend(referrals_compared(new, held).map(|evidence| (held.id.0, capped(evidence, kin))));
    }
    asked(TaskKind::SameReferral, new.id.0, found, state)
}

/// One that is awaited stands for the new one; one that was withdrawn is nobody's any more.
fn is_other(held: &Referral) -> bool {
    matches!(held.status, ReferralStatus::Active | ReferralStatus::OnHold | ReferralStatus::Completed)
}

/// Questions about what two people had who turn out to be one.
pub(super) fn of_joined(own: PatientId, survivor: PatientId, state: &State) -> Vec<Task> {
    let (referrals, appointments) = &state.index.belongings;
    let of = |person: PatientId| referrals.iter().filter(move |it| it.patient == person && is_other(it));
    let mut tasks = Vec::new();
    for new in of(own).filter(|it| it.status != ReferralStatus::Completed) {
        let compared = of(survivor).filter_map(|held| Some((held.id.0, referrals_compared(new, held)?)));
        tasks.extend(asked(TaskKind::SameReferral, new.id.0, compared.collect(), state));
    }
    let of = |person: PatientId| appointments.iter().filter(move |it| it.patient == person && it.status.is_current());
    for new in of(own) {
        let compared = of(survivor).filter_map(|held| Some((held.id.0, appointments_compared(new, held)?)));
        tasks.extend(asked(TaskKind::SameAppointment, new.id.0, compared.collect(), state));
    }
    tasks
}

/// Questions about an appointment and those that are held of the same person for the same time.
pub(super) fn of_appointment(new: &Appointment, state: &State) -> Vec<Task> {
    if !new.status.is_current() {
        return Vec::new();
    }
    let mut found = Vec::new();
    for held in state.twins.appointments.iter().filter(|held| held.id != new.id && held.status.is_current()) {
        let Some(kin) = kinship(held.patient, new.patient, state) else { continue };
        found.extend(appointments_compared(new, held).map(|evidence| (held.id.0, capped(evidence, kin))));
    }
    asked(TaskKind::SameAppointment, new.id.0, found, state)
}

/// The questions as changes, and the word to whoever sent it.
pub(super) fn told(tasks: Vec<Task>, at: &str) -> (Vec<Change>, Option<Issue>) {
    let issue = (!tasks.is_empty()).then(|| Issue::new(&TWIN, at));
    (tasks.into_iter().map(Change::Task).collect(), issue)
}

/// How sure it is that what hangs on these is one person's: certain if it is the same one.
fn kinship(held: PatientId, new: PatientId, state: &State) -> Option<Likeness> {
    if held == new {
        return Some(Likeness::Certain);
    }
    let index = &state.index;
    let alike = index.alike.iter().filter(|it| index.person_of(&it.record).id == held);
    alike.map(|it| it.evidence.likeness).max().filter(|it| Likeness::Probable <= *it)
}

/// What is no surer than that it is one person's.
fn capped(evidence: Evidence, kin: Likeness) -> Evidence {
    let likeness = if kin == Likeness::Certain { evidence.likeness } else { Likeness::Possible };
    Evidence { likeness, ..evidence }
}

fn referrals_compared(new: &Referral, held: &Referral) -> Option<Evidence> {
    let number = new.numbers().any(|number| held.numbers().any(|other| other == number));
    let service = new.service == held.service && new.category == held.category;
    let reason = new.reasons.iter().any(|a| held.reasons.iter().any(|b| (&a.system, &a.code) == (&b.system, &b.code)));
    let words = new.reason_text.is_some() && new.reason_text == held.reason_text;
    let referrer = new.requester.organisation.is_some() && new.requester.organisation == held.requester.organisation;
    let apart = written(new).duration_since(written(held)).abs();
    let urgent = |it: &Referral| it.priority.is_some_and(|priority| priority != Priority::Routine);
    let window = if urgent(new) || urgent(held) { WINDOW_URGENT } else { WINDOW };
    let (likeness, rule) = match (number, service && apart <= window, reason || words || referrer) {
        (true, ..) => (Likeness::Certain, "the same number"),
        (_, true, true) => (Likeness::Probable, "the same service, and the same reason or referrer, within weeks"),
        (_, true, false) => (Likeness::Possible, "the same service within weeks"),
        _ => return None,
    };
    let days = apart.as_hours() / 24;
    let fields = [
        ("number", said(number, new.numbers().next().is_some() && held.numbers().next().is_some())),
        ("service", said(service, true)),
        ("reason", said(reason || words, !new.reasons.is_empty() && !held.reasons.is_empty())),
        ("referrer", said(referrer, new.requester.organisation.is_some() && held.requester.organisation.is_some())),
        ("time", format!("{days} days apart")),
    ];
    Some(evidence(likeness, rule, fields))
}

fn appointments_compared(new: &Appointment, held: &Appointment) -> Option<Evidence> {
    let overlap = new.start < held.end && held.start < new.end;
    let start = new.start == held.start;
    if !overlap && !start {
        return None;
    }
    let service = new.service == held.service;
    let (likeness, rule) = match (service, start) {
        (true, true) => (Likeness::Probable, "the same service at the same time"),
        (true, false) => (Likeness::Possible, "the same service at a time that overlaps"),
        (false, _) => {
            (Likeness::Possible, "another service at a time that overlaps: one of them may be somebody else's")
        }
    };
    let time = if start { "same" } else { "overlaps" }.to_owned();
    Some(evidence(likeness, rule, [("service", said(service, true)), ("time", time)]))
}

/// When the referrer wrote it, as far as is known.
fn written(referral: &Referral) -> Timestamp {
    referral.authored_on.unwrap_or(referral.received_at)
}

fn said(same: bool, both: bool) -> String {
    match (same, both) {
        (true, _) => "same",
        (false, true) => "differs",
        (false, false) => "not said",
    }
    .to_owned()
}

/// Nothing here is a weight of evidence: the rule decides, and the fields say why.
fn evidence<const N: usize>(likeness: Likeness, rule: &str, fields: [(&str, String); N]) -> Evidence {
    let fields = fields.into_iter().map(|(name, level)| (name.to_owned(), level, 0.0)).collect();
    Evidence { likeness, score: 0.0, rule: rule.to_owned(), fields }
}

/// Entries of the worklist, but those that were asked before and of which nothing is surer now.
fn asked(kind: TaskKind, new: Uuid, mut found: Vec<(Uuid, Evidence)>, state: &State) -> Vec<Task> {
    // The order in which they were looked up says nothing.
    found.sort_by_key(|(held, evidence)| (std::cmp::Reverse(evidence.likeness), *held));
    let is_new = |(held, evidence): &(Uuid, Evidence)| {
        let id = task_id(kind, new, *held);
        match state.twins.tasks.iter().find(|task| task.id == id) {
            Some(task) if matches!(task.state, TaskState::Open | TaskState::Left) => {
                task.evidence.likeness < evidence.likeness
            }
            Some(_) => false,
            None => true,
        }
    };
    let asked = found.into_iter().filter(is_new).take(ASKED_MAX);
    asked.map(|(held, evidence)| Task::new(kind, new, held, evidence)).collect()
}

#[cfg(test)]
mod tests {
    use super::super::walk::{self, Scene, Step, instant};
    use super::super::world::World;
    use super::*;
    use crate::booking::command::{Command, PlaceReferral};
    use crate::booking::identifier::{Coding, Identifier, OdsCode, ReferralId, ServiceId, Ubrn};

    fn world() -> World {
        let mut world = World::default();
        world.submit(&Command::PublishSlots(walk::diary()), instant(0)).unwrap();
        world
    }

    fn placing(world: &World, who: u8, number: usize) -> PlaceReferral {
        let step = Step { who, ..walk::STEP };
        match (Scene { world, step, number }.command()) {
            Command::PlaceReferral(it) => it,
            other => panic!("{}", other.name()),
        }
    }

    fn ubrn(digits: &str) -> Option<Ubrn> {
        Some(Ubrn::parse(digits).unwrap())
    }

    type Differs<'c> = &'c dyn Fn(&mut Referral);

    /// What a second referral of the same person differs in, and what that makes of the two.
    #[test]
    fn referrals_are_one_by_number_or_alike_by_what_they_are_for() {
        let days = |days: i64| {
            move |it: &mut Referral| it.authored_on = Some(instant(0) + SignedDuration::from_hours(24 * days))
        };
        let first = Referral {
            ubrn: ubrn("000000070001"),
            authored_on: Some(instant(0)),
            reasons: vec![Coding { system: "s".into(), code: "chest pain".into(), display: String::new() }],
            reason_text: None,
            ..placing(&world(), 0, 0).referral
        };
        let other = |change: Differs<'_>| {
            let mut second = Referral { id: ReferralId(Uuid::nil()), ubrn: ubrn("000000070002"), ..first.clone() };
            change(&mut second);
            referrals_compared(&second, &first).map(|it| it.likeness)
        };
        let same_number = |it: &mut Referral| it.ubrn.clone_from(&first.ubrn);
        let elsewhere = |it: &mut Referral| it.service = ServiceId("dermatology".into());
        let unlike = |it: &mut Referral| it.reasons.clear();
        let urgent = |it: &mut Referral| it.priority = Some(Priority::Urgent);
        let own = Identifier { system: "urn:own".into(), value: "7".into() };
        let cases: [(Differs<'_>, Option<Likeness>); 10] = [
            (&same_number, Some(Likeness::Certain)),
            (
                &|it| {
                    same_number(it);
                    elsewhere(it);
                    days(500)(it)
                },
                Some(Likeness::Certain),
            ),
            (&days(3), Some(Likeness::Probable)),
            (
                &|it| {
                    unlike(it);
                    days(3)(it)
                },
                Some(Likeness::Possible),
            ),
            (
                &|it| {
                    unlike(it);
                    it.requester.organisation = OdsCode::parse("A81001").ok();
                    days(3)(it)
                },
                Some(Likeness::Possible),
            ),
            (&days(20), Some(Likeness::Probable)),
            (
                &|it| {
                    urgent(it);
                    days(20)(it)
                },
                None,
            ),
            (&days(420), None),
            (&elsewhere, None),
            (
                &|it| {
                    it.identifiers.push(own.clone());
                    elsewhere(it)
                },
                None,
            ),
        ];
        for (at, (change, expected)) in cases.into_iter().enumerate() {
            assert_eq!(other(change), expected, "case {at}");
        }
    }

    #[test]
    fn a_booking_reference_is_one_patients() {
        let mut world = world();
        let mut first = placing(&world, 0, 1);
        first.referral.ubrn = ubrn("000000070001");
        world.submit(&Command::PlaceReferral(first.clone()), instant(1)).unwrap();
        let mut second = placing(&world, 2, 2);
        assert_ne!(second.subject.nhs_number, first.subject.nhs_number);
        second.referral.ubrn = ubrn("0000-0007-0001");
        let refusal = world.submit(&Command::PlaceReferral(second.clone()), instant(2)).unwrap_err();
        assert_eq!((refusal.issue.code.id, refusal.alarm), ("ONW-4016", true));
        second.referral.ubrn = ubrn("000000070002");
        world.submit(&Command::PlaceReferral(second), instant(3)).unwrap();
    }

    /// Done a week ago, and asked for once more: both stay, and a person looks.
    #[test]
    fn a_referral_that_follows_upon_another_is_taken_and_asked_about_once() {
        let mut world = world();
        let first = placing(&world, 0, 1);
        world.submit(&Command::PlaceReferral(first.clone()), instant(1)).unwrap();
        world.referrals[0].model.status = ReferralStatus::Completed;
        world.referrals[0].worklist = None;
        let mut second = placing(&world, 0, 2);
        second.referral.reason_text.clone_from(&first.referral.reason_text);
        let decision = world.submit(&Command::PlaceReferral(second.clone()), instant(2)).unwrap();
        assert!(decision.warnings.iter().any(|it| it.code == &TWIN));
        let [task] = &world.tasks[..] else { panic!("{:?}", world.tasks) };
        assert_eq!((task.kind, task.evidence.likeness), (TaskKind::SameReferral, Likeness::Probable));
        assert_eq!(task.pair, {
            let (a, b) = (first.referral.id.0, second.referral.id.0);
            (a.min(b), a.max(b))
        });
    }
}
