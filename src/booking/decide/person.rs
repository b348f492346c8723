//! Who is meant. Only a proven NHS number finds a record; anything else makes a record of its own,
//! until a person says otherwise. A link that a message claims is checked against what is held.

use super::alarm;
use crate::booking::command::Subject;
use crate::booking::decision::{Change, Refusal, State};
use crate::booking::patient::Patient;
use crate::issue::{Code, IDENTITY_UNPROVEN, Issue, PATIENT_MISMATCH};

/// Where a message says who it is about.
const PLACE: &str = "Bundle.entry.resource.ofType(Patient)";

/// The record of a patient, and what must be written for it.
pub(super) struct Person {
    pub(super) patient: Patient,
    pub(super) change: Option<Change>,
    pub(super) warning: Option<Issue>,
}

impl Person {
    /// Found by its proven number, or else new.
    pub(super) fn resolve(subject: &Subject, state: &State) -> Result<Self, Refusal> {
        match &state.patient {
            Some(patient) if patient.demographics.contradicts(&subject.demographics) => {
                Err(alarm(&PATIENT_MISMATCH, PLACE))
            }
            Some(patient) => Ok(Self::known(patient, subject)),
            None => Ok(Self::new(subject)),
        }
    }

    /// The patient of something that the message names, after checking that it means the same person.
    pub(super) fn named(
        held: &Patient,
        subject: &Subject,
        state: &State,
        code: &'static Code,
    ) -> Result<Self, Refusal> {
        if differs(held, subject) {
            return Err(alarm(code, PLACE));
        }
        if proves_too_much(held, subject) {
            let warning = Some(Issue::new(&IDENTITY_UNPROVEN, PLACE));
            return Ok(Self { patient: held.clone(), change: None, warning });
        }
        Ok(Self::known(&promoted(held, subject, state), subject))
    }

    /// As [`Person::named`], for a link between two messages: "does not contradict" is not enough.
    pub(super) fn linked(held: &Patient, subject: &Subject, state: &State) -> Result<Self, Refusal> {
        let proven = matches!((held.nhs_number, subject.nhs_number), (Some(a), Some(b)) if a == b);
        if !proven && !held.demographics.agrees(&subject.demographics) {
            return Err(alarm(&PATIENT_MISMATCH, PLACE));
        }
        Self::named(held, subject, state, &PATIENT_MISMATCH)
    }

    fn known(patient: &Patient, subject: &Subject) -> Self {
        let updated =
            Patient { demographics: patient.demographics.updated_by(&subject.demographics), ..patient.clone() };
        // The record may carry a number that was proven just now, so it is written whenever it differs in anything.
        let change = Some(Change::Patient(updated.clone()));
        Self { patient: updated, change, warning: None }
    }

    fn new(subject: &Subject) -> Self {
        let patient = Patient {
            id: subject.candidate,
            nhs_number: subject.nhs_number,
            demographics: subject.demographics.clone(),
            replaced_by: None,
        };
        let warning = subject.nhs_number.is_none().then(|| Issue::new(&IDENTITY_UNPROVEN, PLACE));
        Self { change: Some(Change::Patient(patient.clone())), patient, warning }
    }
}

/// Is the person that the message means certainly not the one that is held?
pub(super) fn differs(held: &Patient, subject: &Subject) -> bool {
    let numbers = held.nhs_number.zip(subject.nhs_number);
    numbers.is_some_and(|(held, said)| held != said) || held.demographics.contradicts(&subject.demographics)
}

/// Would the message prove who this record is about, although it does not say the same person?
/// A parent's number is not the child's: the record then stays as it is.
fn proves_too_much(held: &Patient, subject: &Subject) -> bool {
    let first = held.nhs_number.is_none() && subject.nhs_number.is_some();
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
