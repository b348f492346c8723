//! Who an event is about, and what it says about them.

use super::{Taken, hold, unchanged};
use crate::booking::decide::index::{self, Held, Settled};
use crate::booking::decision::{Change, Decision, Refusal, State};
use crate::booking::feed::{Effect, Event, Group, Kind, Record, Who, Wish, derived_id, person_key};
use crate::booking::identifier::{Identifier, PatientId, ReferralId};
use crate::booking::index::Likeness;
use crate::booking::patient::{Demographics, Patient};
use crate::issue::{
    FEED_IDENTITY_CONFLICT, FEED_IDENTITY_DIFFERS, FEED_IDENTITY_MISSING, IDENTITY_UNPROVEN, Issue, MERGED_NUMBER,
    PERSON_ALIKE, PERSON_LINKED,
};

const PLACE: &str = "PID-3";

/// The record that is meant, with what must be written for it.
pub(super) struct Person {
    /// The record that stands for the person: what is new hangs on it.
    pub(super) patient: Patient,
    /// The record that the event is about.
    pub(super) record: PatientId,
    pub(super) changes: Vec<Change>,
    pub(super) taken: Taken,
    pub(super) warnings: Vec<Issue>,
}

impl Person {
    /// Found by its exact identifiers, or else new; with what the event says about it.
    pub(super) fn resolve(it: &Event, who: &Who, state: &State) -> Result<Self, Refusal> {
        Self::resolve_by(it, who, &[], state)
    }

    fn resolve_by(it: &Event, who: &Who, also: &[Identifier], state: &State) -> Result<Self, Refusal> {
        let local = the_one(who.numbers.iter().chain(also), state)?;
        let number = state.patient.as_ref();
        let person = |record| state.index.person_of(record).id;
        let held = match (local, number) {
            (Some((local, _)), Some(number)) if person(local) != person(number) => {
                return Err(hold(&FEED_IDENTITY_CONFLICT, PLACE));
            }
            (Some((local, merged)), _) => Some((local, merged)),
            (None, Some(number)) => match matched_by_number(number, who) {
                Ok(held) => Some((held, false)),
                // All else says that it is the same person: a record apart, linked, keeps both dates.
                Err(_) if is_certainly(number, state) => None,
                Err(refusal) => return Err(refusal),
            },
            (None, None) => None,
        };
        let Some((held, merged)) = held else { return Self::new(it, who, state) };
        same_person(held, who, merged, state)?;
        Ok(Self::known(it, who, held, merged, state))
    }

    fn new(it: &Event, who: &Who, state: &State) -> Result<Self, Refusal> {
        let first = who.numbers.first().map(|number| derived_id(Kind::Person, number));
        let by_number = who.subject.nhs_number.map(|number| {
            derived_id(Kind::Person, &Identifier { system: "nhs".to_owned(), value: number.as_str().to_owned() })
        });
        let id = first.or(by_number).ok_or_else(|| hold(&FEED_IDENTITY_MISSING, PLACE))?;
        let held = blank(PatientId(id));
        let record = Record::new(Kind::Person, person_key(held.id));
        let mut person = Self::said(it, who, &held, record);
        // Where another record has the number, this one follows that one.
        person.patient.nhs_number = who.subject.nhs_number.filter(|_| state.patient.is_none());
        person.finish(who, true);
        person.settle(Held::Nothing, state);
        if state.patient.is_some() && person.patient.id == person.record {
            return Err(hold(&FEED_IDENTITY_DIFFERS, "PID-7"));
        }
        if who.subject.nhs_number.is_none() {
            if person.patient.id == person.record {
                person.changes.extend(index::created(state).map_err(|code| hold(code, PLACE))?);
            }
            person.warnings.insert(0, Issue::new(&IDENTITY_UNPROVEN, PLACE));
        }
        Ok(person)
    }

    fn known(it: &Event, who: &Who, held: &Patient, merged: bool, state: &State) -> Self {
        if merged {
            // What is said about a record that was merged away is not said about the one that is left.
            return Self {
                patient: state.index.person_of(held).clone(),
                record: held.id,
                changes: Vec::new(),
                taken: Taken::default(),
                warnings: vec![Issue::new(&MERGED_NUMBER, PLACE)],
            };
        }
        let key = person_key(held.id);
        let record = state.feed.record(Kind::Person, &key).cloned();
        let mut person = Self::said(it, who, held, record.unwrap_or_else(|| Record::new(Kind::Person, key)));
        // Another record of the same person may have the number already.
        if state.patient.is_none() {
            person.patient.nhs_number = held.nhs_number.or(who.subject.nhs_number);
        }
        let changed = person.patient != *held || person.taken.any;
        person.finish(who, changed);
        let alone = matches!(it.wish, Wish::Person);
        person.settle(if alone { Held::Alone(held) } else { Held::Record(held) }, state);
        person
    }

    /// The record with all that the event says later than what was said before.
    fn said(it: &Event, who: &Who, held: &Patient, mut record: Record) -> Self {
        let mut taken = Taken::default();
        let demographics = updated(&held.demographics, it, who, &mut record, &mut taken);
        record.entity = Some(held.id.0);
        let changes = vec![Change::Record(record)];
        let patient = Patient { demographics, ..held.clone() };
        Self { patient, record: held.id, changes, taken, warnings: Vec::new() }
    }

    fn finish(&mut self, who: &Who, changed: bool) {
        if changed {
            self.changes.insert(0, Change::Patient(self.patient.clone()));
        }
        for number in &who.numbers {
            self.changes.push(Change::Number { number: number.clone(), patient: self.record, merged: false });
        }
    }

    /// From the record to its person.
    fn settle(&mut self, held: Held<'_>, state: &State) {
        let Settled { person, changes, asked } = index::settle(&self.patient, held, &|_| true, state);
        if changes.iter().any(|change| matches!(change, Change::Link(_))) {
            self.warnings.push(Issue::new(&PERSON_LINKED, PLACE));
        }
        if asked {
            self.warnings.push(Issue::new(&PERSON_ALIKE, PLACE));
        }
        self.changes.extend(changes);
        self.patient = person;
    }

    /// Remembers the record that a new referral came with, so that it goes with it should the records be parted.
    pub(super) fn home(&self, referral: ReferralId) -> Option<Change> {
        (self.record != self.patient.id).then_some(Change::Home { referral, record: self.record })
    }

    /// A decision about this person and nothing else so far.
    pub(super) fn decision(self) -> Decision {
        let effect = self.taken.effect();
        let warnings = self.warnings.into_iter().chain(self.taken.warning()).collect();
        Decision { patient: Some(self.patient), changes: self.changes, warnings, ..unchanged(effect) }
    }
}

/// A record of which nothing is known yet.
pub(super) fn blank(id: PatientId) -> Patient {
    Patient { id, nhs_number: None, demographics: Demographics::default(), replaced_by: None }
}

/// The one record that the local numbers are linked to; held where they are linked to two people's. A number that came with
/// a merge counts only where no other does; of two records of one person the one that stands for it counts.
fn the_one<'s>(
    numbers: impl Iterator<Item = &'s Identifier>,
    state: &'s State,
) -> Result<Option<(&'s Patient, bool)>, Refusal> {
    let stands = |record: &Patient| state.index.person_of(record).id == record.id;
    let mut found: Option<(&Patient, bool)> = None;
    for number in numbers {
        let Some((_, patient, merged)) = state.feed.numbers.iter().find(|(held, ..)| held == number) else { continue };
        match found {
            Some((other, _)) if state.index.person_of(other).id != state.index.person_of(patient).id => {
                return Err(hold(&FEED_IDENTITY_CONFLICT, PLACE));
            }
            Some((known, false)) if *merged || stands(known) || !stands(patient) => {}
            _ => found = Some((patient, *merged)),
        }
    }
    Ok(found)
}

/// Do the rules take the record for the same person's as what is said now, and nobody else's?
fn is_certainly(record: &Patient, state: &State) -> bool {
    let person = state.index.person_of(record).id;
    let certain = state.index.alike.iter().filter(|it| it.evidence.likeness == Likeness::Certain);
    let mut people = certain.map(|it| state.index.person_of(&it.record).id);
    let mut found = people.clone();
    found.any(|it| it == person) && people.all(|it| it == person)
}

/// A number alone, with another date of birth, is a slip of a pen or somebody else.
fn matched_by_number<'s>(held: &'s Patient, who: &Who) -> Result<&'s Patient, Refusal> {
    let dates = held.demographics.birth_date.as_ref().zip(who.subject.demographics.birth_date.as_ref());
    if dates.is_some_and(|(held, said)| held != said) {
        return Err(hold(&FEED_IDENTITY_DIFFERS, "PID-7"));
    }
    Ok(held)
}

fn same_person(held: &Patient, who: &Who, merged: bool, state: &State) -> Result<(), Refusal> {
    let known = state.index.number_of(state.index.person_of(held));
    let numbers = known.zip(who.subject.nhs_number);
    if numbers.is_some_and(|(held, said)| held != said) && !merged {
        return Err(hold(&FEED_IDENTITY_CONFLICT, PLACE));
    }
    if held.demographics.contradicts(&who.subject.demographics) && !merged {
        return Err(hold(&FEED_IDENTITY_DIFFERS, "PID-5"));
    }
    Ok(())
}

/// Each group has its own time. What is absent stays; a list that is said is the whole list.
fn updated(held: &Demographics, it: &Event, who: &Who, record: &mut Record, taken: &mut Taken) -> Demographics {
    let said = &who.subject.demographics;
    let mut now = held.clone();
    for group in Group::OF_PERSONS {
        let speaks = match group {
            Group::Identifiers => !said.identifiers.is_empty(),
            Group::NumberStatus => said.nhs_number_status.is_some(),
            Group::Names => !said.names.is_empty(),
            Group::BirthDate => said.birth_date.is_some(),
            Group::Gender => said.gender.is_some(),
            Group::Addresses => !said.addresses.is_empty(),
            Group::Telecoms => !said.telecoms.is_empty(),
            Group::Practice => said.practice.is_some(),
            Group::Death => said.deceased.is_some(),
            Group::Restriction => said.restricted,
            Group::Unidentified => said.unidentified || held.unidentified,
            Group::Status | Group::Time | Group::Content | Group::Person | Group::Response | Group::NotArrived => false,
        };
        if (speaks || who.cleared.contains(&group)) && taken.note(record.take(&it.source, group, it.version)) {
            write(group, said, &mut now);
        }
    }
    now
}

/// The group is as it is said.
fn write(group: Group, said: &Demographics, now: &mut Demographics) {
    match group {
        Group::Identifiers => {
            let is_old = |old: &&Identifier| !said.identifiers.iter().any(|new| new.system == old.system);
            now.identifiers = said.identifiers.iter().chain(now.identifiers.iter().filter(is_old)).cloned().collect();
            now.identifiers.sort_by(|a, b| (&a.system, &a.value).cmp(&(&b.system, &b.value)));
        }
        Group::NumberStatus => now.nhs_number_status.clone_from(&said.nhs_number_status),
        Group::Names => now.names.clone_from(&said.names),
        Group::BirthDate => now.birth_date.clone_from(&said.birth_date),
        Group::Gender => now.gender = said.gender,
        Group::Addresses => now.addresses.clone_from(&said.addresses),
        Group::Telecoms => now.telecoms.clone_from(&said.telecoms),
        Group::Practice => now.practice.clone_from(&said.practice),
        Group::Death => now.deceased.clone_from(&said.deceased),
        Group::Restriction => now.restricted = said.restricted,
        Group::Unidentified => now.unidentified = said.unidentified,
        Group::Status | Group::Time | Group::Content | Group::Person | Group::Response | Group::NotArrived => {}
    }
}

/// Something is said about a person.
pub(super) fn update(it: &Event, who: &Who, state: &State) -> Result<Decision, Refusal> {
    Ok(Person::resolve(it, who, state)?.decision())
}

/// The record is no longer used; nothing that hangs on it is.
pub(super) fn withdraw(it: &Event, who: &Who, state: &State) -> Result<Decision, Refusal> {
    let mut person = Person::resolve(it, who, state)?;
    person.taken.any = true;
    // A record that follows another one is in nobody's way.
    if person.record == person.patient.id {
        person.patient.replaced_by = Some(person.patient.id);
        person.changes.retain(|change| !matches!(change, Change::Patient(_)));
        person.changes.insert(0, Change::Patient(person.patient.clone()));
    }
    Ok(Decision { effect: Effect::Applied, ..person.decision() })
}

/// The same record under other numbers; the old ones still find it. Where the new number was spoken of before this came,
/// what was said of it belongs to the record too.
pub(super) fn renumber(it: &Event, who: &Who, old: &[Identifier], state: &State) -> Result<Decision, Refusal> {
    let mut person = Person::resolve_by(it, who, old, state)?;
    for number in old {
        person.changes.push(Change::Number { number: number.clone(), patient: person.record, merged: false });
    }
    let mut others: Vec<&Patient> = Vec::new();
    for (number, other, merged) in &state.feed.numbers {
        let is_meant = !merged && (old.contains(number) || who.numbers.contains(number));
        if is_meant && other.id != person.record && others.iter().all(|known| known.id != other.id) {
            others.push(other);
        }
    }
    others.into_iter().for_each(|other| take_over(&mut person, other, state));
    person.taken.any = true;
    Ok(person.decision())
}

/// What was said later of another record of the same person is said of the one that is left.
fn take_over(person: &mut Person, other: &Patient, state: &State) {
    let (left, place) = (person.record, person_key(person.record));
    let told = state.feed.record(Kind::Person, &person_key(other.id));
    let record = person.changes.iter_mut().find_map(|change| match change {
        Change::Record(record) if record.key == place => Some(record),
        _ => None,
    });
    let (Some(told), Some(record)) = (told, record) else { return };
    let newer = record.older_than(told);
    for (source, group, version) in &newer {
        record.take(source, *group, *version);
    }
    let is_left = |change: &Change| matches!(change, Change::Patient(patient) if patient.id == left);
    if !person.changes.iter().any(is_left) {
        let held = state.feed.numbers.iter().map(|(_, patient, _)| patient).find(|patient| patient.id == left);
        person.changes.extend(held.cloned().map(Change::Patient));
    }
    for change in &mut person.changes {
        let Change::Patient(patient) = change else { continue };
        if patient.id == left {
            newer.iter().for_each(|(_, group, _)| write(*group, &other.demographics, &mut patient.demographics));
            if person.patient.id == left {
                person.patient = patient.clone();
            }
        }
    }
}
