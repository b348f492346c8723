//! Which records are one person's: what rules link by themselves, what they ask a person, and what people decide.
//!
//! Only what is certain is linked automatically, and only where nothing that is known speaks against it. Whatever a
//! person or a source has decided stays: rules neither part what they linked nor link what they parted.

use super::{duplicate, refuse};
use crate::booking::appointment::Appointment;
use crate::booking::decision::{Change, Decision, Refusal, State};
use crate::booking::identifier::PatientId;
use crate::booking::index::{
    Alike, Command, Decider, Evidence, Likeness, Link, Task, TaskKind, TaskState, Wish, task_id,
};
use crate::booking::nhs_number::NhsNumber;
use crate::booking::patient::Patient;
use crate::booking::referral::Referral;
use crate::issue::{
    CREATE_RATE, Code, NUMBER_NOT_HELD, NUMBERS_DIFFER, RECORD_NOT_LINKED, RECORD_UNKNOWN, RECORDS_ARE_ONE,
    TASK_DECIDED, TASK_UNKNOWN,
};

/// Questions that one message raises at most: the surest. Whoever decides them sees the others.
const ASKED_MAX: usize = 5;
/// How many times the usual number of new records is too many.
const RATE_FACTOR: u32 = 3;

/// What rules made of a record that is new or says something new.
pub(super) struct Settled {
    /// The record that stands for its person.
    pub(super) person: Patient,
    /// Links and entries of the worklist.
    pub(super) changes: Vec<Change>,
    /// A person is asked.
    pub(super) asked: bool,
}

/// What is held of a record about which something new is said.
#[derive(Clone, Copy)]
pub(super) enum Held<'a> {
    /// Nothing: it is new.
    Nothing,
    /// The record as it was. Much may hang on it, so it is only asked whether it is somebody else's too.
    Record(&'a Patient),
    /// The same, and nothing but the person is spoken of: it may be linked with all that hangs on it.
    Alone(&'a Patient),
}

/// Links the record to the one person that it certainly is, or asks. `free`: may what comes with the record hang on that
/// person? Where it may not, the record stays apart: no message is refused for what rules found out.
pub(super) fn settle(record: &Patient, held: Held<'_>, free: &dyn Fn(PatientId) -> bool, state: &State) -> Settled {
    let index = &state.index;
    let own = match held {
        Held::Nothing => record,
        Held::Record(held) | Held::Alone(held) => index.person_of(held),
    };
    let own = if own.id == record.id { record } else { own };
    let mut settled = Settled { person: own.clone(), changes: Vec::new(), asked: false };
    let others = best_of_each_person(own.id, state);
    let certain: Vec<&Alike> = others.iter().filter(|it| it.evidence.likeness == Likeness::Certain).copied().collect();
    let linked = match certain.as_slice() {
        [alike] if !matches!(held, Held::Record(_)) && !record.demographics.unidentified => {
            Some(alike).filter(|it| free(index.person_of(&it.record).id)).and_then(|alike| linked(own, alike, state))
        }
        _ => None,
    };
    if let Some((person, changes)) = linked {
        settled.person = person;
        settled.changes = changes;
    }
    let person = settled.person.id;
    let others = others.into_iter().filter(|it| index.person_of(&it.record).id != person);
    for alike in others.take(ASKED_MAX) {
        let task = asked(record, alike, state);
        settled.asked |= task.is_some();
        settled.changes.extend(task.map(Change::Task));
    }
    settled
}

/// Of each other person the record that is most alike; none that a person has said to be somebody else's.
fn best_of_each_person(own: PatientId, state: &State) -> Vec<&Alike> {
    let index = &state.index;
    let mut best: Vec<(PatientId, &Alike)> = Vec::new();
    for alike in &index.alike {
        let person = index.person_of(&alike.record).id;
        let weight = |it: &Alike| (it.evidence.likeness, it.evidence.score);
        match best.iter_mut().find(|(known, _)| *known == person) {
            Some((_, known)) if weight(known) < weight(alike) => *known = alike,
            Some(_) => {}
            None if person != own && !index.are_parted(own, person) => best.push((person, alike)),
            None => {}
        }
    }
    best.sort_by(|(_, a), (_, b)| {
        let by_score = b.evidence.score.total_cmp(&a.evidence.score);
        b.evidence.likeness.cmp(&a.evidence.likeness).then(by_score)
    });
    best.into_iter().map(|(_, alike)| alike).collect()
}

fn linked(own: &Patient, alike: &Alike, state: &State) -> Option<(Patient, Vec<Change>)> {
    let person = state.index.person_of(&alike.record);
    let link = Link {
        record: own.id,
        to: alike.record.id,
        linked: true,
        by: Decider::Rules,
        reason: String::new(),
        evidence: Some(alike.evidence.clone()),
    };
    let changes = join(own, alike.record.id, person, link, state).ok()?;
    Some((person.clone(), changes))
}

/// An entry of the worklist, unless the same was asked before and nothing is surer now.
fn asked(record: &Patient, alike: &Alike, state: &State) -> Option<Task> {
    let evidence = || Evidence { likeness: alike.evidence.likeness.min(Likeness::Probable), ..alike.evidence.clone() };
    let before = state.index.task_about(record.id, alike.record.id);
    let surer = match before {
        Some(task) if matches!(task.state, TaskState::Open | TaskState::Left) => {
            task.evidence.likeness < evidence().likeness
        }
        Some(_) => false,
        None => true,
    };
    surer.then(|| Task::new(TaskKind::SamePerson, record.id.0, alike.record.id.0, evidence()))
}

/// `own`, which stands for a person, follows `to` from now on, and all that hangs on it hangs on the other person; what
/// both had is asked about.
/// `survivor`: the record that stands for that one's person.
pub(super) fn join(
    own: &Patient,
    to: PatientId,
    survivor: &Patient,
    link: Link,
    state: &State,
) -> Result<Vec<Change>, Refusal> {
    let index = &state.index;
    if index.number_of(own).zip(index.number_of(survivor)).is_some_and(|(a, b)| a != b) {
        return Err(refuse(&NUMBERS_DIFFER, ""));
    }
    let (referrals, appointments) = &index.belongings;
    let theirs: Vec<&Referral> = referrals.iter().filter(|referral| referral.patient == own.id).collect();
    let following = Patient { replaced_by: Some(to), ..own.clone() };
    let mut changes = vec![Change::Patient(following), Change::Link(link)];
    theirs.into_iter().for_each(|referral| changes.extend(moved(referral, appointments, survivor.id)));
    changes.extend(duplicate::of_joined(own.id, survivor.id, state).into_iter().map(Change::Task));
    Ok(changes)
}

/// A referral with its appointments, now another record's.
fn moved(referral: &Referral, appointments: &[Appointment], patient: PatientId) -> Vec<Change> {
    let hanging = || appointments.iter().filter(|it| it.referral == referral.id);
    let booked = hanging().find(|it| it.status.is_current()).map(|appointment| appointment.id);
    let referral = Referral { patient, ..referral.clone() };
    let mut changes = vec![Change::Referral { worklist: referral.worklist(booked), referral, carried: None }];
    changes.extend(hanging().map(|appointment| {
        let appointment = Appointment { patient, ..appointment.clone() };
        Change::Appointment { appointment, carried: None }
    }));
    changes
}

/// The record is its own again, with everything that came with it and with those that follow it.
pub(super) fn part(record: &Patient, by: Decider, reason: String, state: &State) -> Result<Vec<Change>, Refusal> {
    let index = &state.index;
    let leader = record.replaced_by.filter(|leader| *leader != record.id);
    let leader = leader.ok_or_else(|| refuse(&RECORD_NOT_LINKED, ""))?;
    let followers = index.followers_of(record.id);
    let (referrals, appointments) = &index.belongings;
    let mut changes = vec![Change::Patient(Patient { replaced_by: None, ..record.clone() })];
    for referral in referrals.iter().filter(|it| followers.contains(&index.home_of(it))) {
        changes.extend(moved(referral, appointments, record.id));
    }
    let link =
        Link { record: record.id, to: leader, linked: false, by: by.clone(), reason: reason.clone(), evidence: None };
    changes.push(Change::Link(link));
    changes.push(Change::Task(decided(record.id, leader, TaskState::Parted, by, reason, state)));
    Ok(changes)
}

/// What was decided about two records, so that it is remembered.
fn decided(a: PatientId, b: PatientId, state_after: TaskState, by: Decider, reason: String, state: &State) -> Task {
    let known = state.index.task_about(a, b).cloned();
    let evidence = || Evidence { likeness: Likeness::Possible, score: 0.0, rule: String::new(), fields: Vec::new() };
    let task = known.unwrap_or_else(|| Task::new(TaskKind::SamePerson, a.0, b.0, evidence()));
    Task { state: state_after, decided: Some((by, reason)), ..task }
}

/// What follows from somebody's wish.
pub(super) fn follow(it: &Command, state: &State) -> Result<Decision, Refusal> {
    match it.wish {
        Wish::Link { record, to } => link(it, record, to, state),
        Wish::Part { record } => {
            let record = known(record, state)?;
            let changes = part(record, it.by.clone(), it.reason.clone(), state)?;
            Ok(decision(Patient { replaced_by: None, ..record.clone() }, changes))
        }
        Wish::Relink { record, to } => relink(it, record, to, state),
        Wish::Renumber { record, newer, heir } => renumber(it, record, newer, heir, state),
        Wish::Settle { task, state: wanted } => settle_task(it, task, wanted, state),
    }
}

/// The record has the newer number, or follows the one that has it, or proves nothing any more. Later messages that say
/// the old number mean the newer one.
fn renumber(
    it: &Command,
    record: PatientId,
    newer: Option<NhsNumber>,
    heir: Option<PatientId>,
    state: &State,
) -> Result<Decision, Refusal> {
    let held = known(record, state)?;
    let old = held.nhs_number.filter(|old| Some(*old) != newer).ok_or_else(|| refuse(&NUMBER_NOT_HELD, ""))?;
    let mut after = Patient { nhs_number: newer.filter(|_| heir.is_none()), ..held.clone() };
    after.demographics.renumber(old, newer);
    let mut changes = vec![Change::Patient(after.clone()), Change::Retired { number: old, newer }];
    let Some(heir) = heir else { return Ok(decision(after, changes)) };
    let heir = known(heir, state)?;
    if heir.nhs_number != newer {
        return Err(refuse(&NUMBER_NOT_HELD, ""));
    }
    if state.index.person_of(held).id == state.index.person_of(heir).id {
        return Ok(decision(after, changes));
    }
    let mut so = state.clone();
    changes.iter().for_each(|change| take_in(&mut so, change));
    let linked = link(it, record, heir.id, &so)?;
    changes.extend(linked.changes);
    Ok(Decision { changes, ..linked })
}

fn known(id: PatientId, state: &State) -> Result<&Patient, Refusal> {
    state.index.record(id).ok_or_else(|| refuse(&RECORD_UNKNOWN, ""))
}

fn link(it: &Command, record: PatientId, to: PatientId, state: &State) -> Result<Decision, Refusal> {
    let (record, to) = (known(record, state)?, known(to, state)?);
    let (own, survivor) = (state.index.person_of(record), state.index.person_of(to));
    if own.id == survivor.id {
        return Err(refuse(&RECORDS_ARE_ONE, ""));
    }
    let mut changes = join(own, to.id, survivor, said(it, own.id, to.id), state)?;
    changes.push(Change::Task(decided(record.id, to.id, TaskState::Linked, it.by.clone(), it.reason.clone(), state)));
    Ok(decision(survivor.clone(), changes))
}

fn said(it: &Command, record: PatientId, to: PatientId) -> Link {
    Link { record, to, linked: true, by: it.by.clone(), reason: it.reason.clone(), evidence: None }
}

/// Parted and linked in one step, so that nobody sees the record between two people.
fn relink(it: &Command, record: PatientId, to: PatientId, state: &State) -> Result<Decision, Refusal> {
    let (record, to) = (known(record, state)?, known(to, state)?);
    if state.index.followers_of(record.id).contains(&to.id) {
        return Err(refuse(&RECORDS_ARE_ONE, ""));
    }
    let mut changes = part(record, it.by.clone(), it.reason.clone(), state)?;
    let mut after = state.clone();
    changes.iter().for_each(|change| take_in(&mut after, change));
    let second = link(it, record.id, to.id, &after)?;
    changes.extend(second.changes);
    Ok(Decision { changes, ..second })
}

/// As far as a second step in the same command looks at it.
fn take_in(state: &mut State, change: &Change) {
    let index = &mut state.index;
    match change {
        Change::Patient(patient) => index.members.iter_mut().filter(|it| it.id == patient.id).for_each(|it| {
            it.clone_from(patient);
        }),
        Change::Referral { referral, .. } => {
            index.belongings.0.iter_mut().filter(|it| it.id == referral.id).for_each(|it| it.clone_from(referral));
        }
        Change::Appointment { appointment, .. } => {
            let held = index.belongings.1.iter_mut().filter(|it| it.id == appointment.id);
            held.for_each(|it| it.clone_from(appointment));
        }
        _ => {}
    }
}

fn settle_task(it: &Command, id: uuid::Uuid, wanted: TaskState, state: &State) -> Result<Decision, Refusal> {
    let task = state.index.tasks.iter().find(|task| task.id == id).ok_or_else(|| refuse(&TASK_UNKNOWN, ""))?;
    if !matches!(task.state, TaskState::Open | TaskState::Left) {
        return Err(refuse(&TASK_DECIDED, ""));
    }
    let done = Task { state: wanted, decided: Some((it.by.clone(), it.reason.clone())), ..task.clone() };
    let (a, b) = (PatientId(task.pair.0), PatientId(task.pair.1));
    let one = |state: &State| match (state.index.record(a), state.index.record(b)) {
        (Some(a), Some(b)) => state.index.person_of(a).id == state.index.person_of(b).id,
        _ => false,
    };
    if task.kind != TaskKind::SamePerson || wanted == TaskState::Left || (wanted == TaskState::Linked) == one(state) {
        return Ok(Decision { patient: None, ..decision_of(vec![Change::Task(done)]) });
    }
    if wanted == TaskState::Linked {
        return link(it, b, a, state);
    }
    // Whichever follows goes: the other one may be what everybody else follows.
    let leader_of = |record: PatientId| state.index.record(record).and_then(|it| it.replaced_by);
    let leaving = if leader_of(a) == Some(b) || leader_of(b).is_none() { a } else { b };
    let parted = follow(&Command { wish: Wish::Part { record: leaving }, ..it.clone() }, state)?;
    let changes = parted.changes.into_iter().chain([Change::Task(done)]).collect();
    Ok(Decision { changes, ..parted })
}

fn decision(patient: Patient, changes: Vec<Change>) -> Decision {
    Decision { patient: Some(patient), ..decision_of(changes) }
}

fn decision_of(changes: Vec<Change>) -> Decision {
    Decision {
        patient: None,
        referral: None,
        appointment: None,
        changes,
        notices: Vec::new(),
        warnings: Vec::new(),
        effect: Default::default(),
    }
}

/// One more record of somebody whose identity is unproven: counted. Where there are too many, whatever would make one
/// more is held from then on, until a person has looked at the source.
pub(super) fn created(state: &State) -> Result<Vec<Change>, &'static Code> {
    let limit = state.rules.unproven_per_hour;
    if state.index.tasks.iter().any(|it| it.kind == TaskKind::CreateRate && it.state == TaskState::Open) {
        return Err(&CREATE_RATE);
    }
    let (now, usual) = state.index.created;
    let limit = if limit == 0 { u32::MAX } else { limit.max(usual.saturating_mul(RATE_FACTOR)) };
    let mut changes = vec![Change::Created];
    // Each time that so many more have come: also where the limit was lowered meanwhile, and after somebody has looked.
    if (now + 1).is_multiple_of(limit) {
        changes.push(Change::Task(too_many(limit, state)));
    }
    Ok(changes)
}

/// From here on the source's new records are held.
fn too_many(limit: u32, state: &State) -> Task {
    let rule = format!("{limit} new records of unproven people within an hour; usual are {}", state.index.created.1);
    let evidence = Evidence { likeness: Likeness::Certain, score: limit as f32, rule, fields: Vec::new() };
    let pair = (uuid::Uuid::nil(), state.index.rate_id);
    Task {
        id: task_id(TaskKind::CreateRate, pair.0, pair.1),
        ..Task::new(TaskKind::CreateRate, pair.0, pair.1, evidence)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::booking::decision::Rules;
    use crate::booking::index::IndexState;

    fn made(before: u32, usual: u32, tasks: Vec<Task>) -> Result<usize, &'static str> {
        let rules = Rules { unproven_per_hour: 20, ..Rules::default() };
        let index = IndexState { created: (before, usual), tasks, ..IndexState::default() };
        created(&State { rules, index, ..State::default() }).map(|changes| changes.len()).map_err(|code| code.id)
    }

    /// One change counts the record, a second one asks a person.
    #[test]
    fn somebody_is_asked_each_time_that_too_many_records_were_made() {
        let asked: Vec<u32> = (0..60).filter(|before| made(*before, 0, Vec::new()) == Ok(2)).collect();
        assert_eq!(asked, [19, 39, 59]);
        let asked: Vec<u32> = (0..60).filter(|before| made(*before, 15, Vec::new()) == Ok(2)).collect();
        assert_eq!(asked, [44], "three times the usual number");
        let open = too_many(20, &State::default());
        assert_eq!(made(20, 0, vec![open.clone()]), Err("ONW-7001"));
        assert_eq!(made(20, 0, vec![Task { state: TaskState::Left, ..open }]), Ok(1));
    }
}
