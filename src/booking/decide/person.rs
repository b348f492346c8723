//! Who is meant. A proven NHS number finds a record; anything else makes a record of its own, which is linked to a
//! person only where that is certain ([`super::index`]). A link that a message claims is checked against what is held.

use super::alarm;
use super::index::{self, Held, Settled};
use crate::booking::command::Subject;
use crate::booking::decision::{Change, Refusal, State};
use crate::booking::identifier::{PatientId, ReferralId};
use crate::booking::index::{Alike, Likeness};
use crate::booking::patient::Patient;
use crate::issue::{Code, IDENTITY_UNPROVEN, Issue, PATIENT_MISMATCH, PERSON_ALIKE, PERSON_LINKED};

/// Where a message says who it is about.
const PLACE: &str = "Bundle.entry.resource.ofType(Patient)";

/// The record of a patient, and what must be written for it.
pub(super) struct Person {
    /// The record that stands for the person: what is new hangs on it.
    pub(super) patient: Patient,
    /// The record that the message is about.
    record: PatientId,
    pub(super) changes: Vec<Change>,
    pub(super) warnings: Vec<Issue>,
}

impl Person {
    /// Found by its proven number, or else new. `free`: may what the message brings hang on this person?
    pub(super) fn resolve(subject: &Subject, free: &dyn Fn(PatientId) -> bool, state: &State) -> Result<Self, Refusal> {
        match state.patient.as_ref().or_else(|| repeated(subject, free, state)) {
            Some(patient) if patient.demographics.contradicts(&subject.demographics) => {
                Err(alarm(&PATIENT_MISMATCH, PLACE))
            }
            Some(patient) => Ok(Self::settled(&updated(patient, subject), Held::Record(patient), free, state)),
            None => Ok(Self::new(subject, free, state)),
        }
    }

    /// The patient of something that the message names, after checking that it means the same person.
    pub(super) fn named(
        held: &Patient,
        subject: &Subject,
        state: &State,
        code: &'static Code,
    ) -> Result<Self, Refusal> {
        if differs(held, subject, state) {
            return Err(alarm(code, PLACE));
        }
        if proves_too_much(held, subject, state) {
            let warnings = vec![Issue::new(&IDENTITY_UNPROVEN, PLACE)];
            let patient = state.index.person_of(held).clone();
            return Ok(Self { patient, record: held.id, changes: Vec::new(), warnings });
        }
        // The record may carry a number that was proven just now, so it is written whenever it differs in anything.
        let record = updated(&promoted(held, subject, state), subject);
        let person = state.index.person_of(held);
        let patient = if person.id == record.id { record.clone() } else { person.clone() };
        Ok(Self { patient, record: record.id, changes: vec![Change::Patient(record)], warnings: Vec::new() })
    }

    /// As [`Person::named`], for a link between two messages: "does not contradict" is not enough.
    pub(super) fn linked(held: &Patient, subject: &Subject, state: &State) -> Result<Self, Refusal> {
        let known = state.index.number_of(state.index.person_of(held));
        let proven = matches!((known, subject.nhs_number), (Some(a), Some(b)) if a == b);
        if !proven && !held.demographics.agrees(&subject.demographics) {
            return Err(alarm(&PATIENT_MISMATCH, PLACE));
        }
        Self::named(held, subject, state, &PATIENT_MISMATCH)
    }

    fn new(subject: &Subject, free: &dyn Fn(PatientId) -> bool, state: &State) -> Self {
        let patient = Patient {
            id: subject.candidate,
            nhs_number: subject.nhs_number,
            demographics: subject.demographics.clone(),
            replaced_by: None,
        };
        let mut person = Self::settled(&patient, Held::Nothing, free, state);
        if subject.nhs_number.is_some() {
            return person;
        }
        person.warnings.insert(0, Issue::new(&IDENTITY_UNPROVEN, PLACE));
        person
    }

    /// The record as it is written, linked to whom it certainly is.
    fn settled(record: &Patient, held: Held<'_>, free: &dyn Fn(PatientId) -> bool, state: &State) -> Self {
        let mut warnings = Vec::new();
        let Settled { person, changes, asked } = index::settle(record, held, free, state);
        if matches!(held, Held::Nothing) && person.id != record.id {
            warnings.push(Issue::new(&PERSON_LINKED, PLACE));
        }
        if asked {
            warnings.push(Issue::new(&PERSON_ALIKE, PLACE));
        }
        let changes = std::iter::once(Change::Patient(record.clone())).chain(changes).collect();
        Self { patient: person, record: record.id, changes, warnings }
    }

    /// Remembers the record that a new referral came with, so that it goes with it should the records be parted.
    pub(super) fn home(&self, referral: ReferralId) -> Option<Change> {
        (self.record != self.patient.id).then_some(Change::Home { referral, record: self.record })
    }
}

/// The record that says exactly the same and is certainly the same person's: a second one would say nothing more.
fn repeated<'s>(subject: &Subject, free: &dyn Fn(PatientId) -> bool, state: &'s State) -> Option<&'s Patient> {
    let same = |it: &&Alike| {
        it.evidence.likeness == Likeness::Certain
            && it.record.nhs_number == subject.nhs_number
            && it.record.demographics == subject.demographics
            && free(state.index.person_of(&it.record).id)
    };
    // The same command once more finds the record that it made itself.
    let own = state.index.record(subject.candidate);
    own.or_else(|| state.index.alike.iter().find(same).map(|it| &it.record))
}

/// The record with what the message says.
fn updated(held: &Patient, subject: &Subject) -> Patient {
    Patient { demographics: held.demographics.updated_by(&subject.demographics), ..held.clone() }
}

/// Is the person that the message means certainly not the one that is held?
pub(super) fn differs(held: &Patient, subject: &Subject, state: &State) -> bool {
    let known = state.index.number_of(state.index.person_of(held));
    let numbers = known.zip(subject.nhs_number);
    numbers.is_some_and(|(held, said)| held != said) || held.demographics.contradicts(&subject.demographics)
}

/// Would the message prove who this record is about, although it does not say the same person?
/// A parent's number is not the child's: the record then stays as it is.
fn proves_too_much(held: &Patient, subject: &Subject, state: &State) -> bool {
    let known = state.index.number_of(state.index.person_of(held));
    let first = known.is_none() && subject.nhs_number.is_some();
    first && !held.demographics.is_blank() && !held.demographics.agrees(&subject.demographics)
}

/// The record, with a number that the message proves for the first time, unless another record has it:
/// two records of one person are for a person to join.
fn promoted(held: &Patient, subject: &Subject, state: &State) -> Patient {
    match (held.nhs_number, &state.patient) {
        (None, None) => Patient { nhs_number: subject.nhs_number, ..held.clone() },
        _ => held.clone(),
    }
}
