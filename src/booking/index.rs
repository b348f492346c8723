//! The index of patients: which records are one person's, who said so, and what a person still has to decide.
//!
//! A record stays as it came. A link makes it a person's: [`Patient::replaced_by`] names the record that it follows,
//! and the record at the end of that chain stands for the person; referrals hang on that one. Each referral remembers
//! the record that it came with. So a link that is taken back leaves everything as if it had never been.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::appointment::Appointment;
use super::command::Subject;
use super::identifier::{PatientId, ReferralId};
use super::nhs_number::NhsNumber;
use super::patient::Patient;
use super::referral::Referral;

/// How sure it is that two records are one person's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Likeness {
    /// Worth a look.
    Possible,
    /// A person decides.
    Probable,
    /// They may be linked automatically.
    Certain,
}

impl Likeness {
    /// The name in tables.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Possible => "possible",
            Self::Probable => "probable",
            Self::Certain => "certain",
        }
    }
}

/// Why two records are thought to be one person's. No patient data: fields, levels and weights.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Evidence {
    /// How sure it is.
    pub likeness: Likeness,
    /// The sum of the weights, in bits.
    pub score: f32,
    /// The rule in words.
    pub rule: String,
    /// Field by field: how it compares, and what that weighs in bits.
    pub fields: Vec<(String, String, f32)>,
}

/// A record that may be the same person's as the one that a command is about.
#[derive(Clone, Debug)]
pub struct Alike {
    /// The record.
    pub record: Patient,
    /// Why.
    pub evidence: Evidence,
}

/// Who decided.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Decider {
    /// The rules did, by the evidence.
    Rules,
    /// The source of the records said so: the name of its channel or system.
    Source(String),
    /// A person did. What they say is not overridden by rules.
    Person(String),
}

/// A record was linked to another one's person, or parted from it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Link {
    /// The record; with it go those that follow it.
    pub record: PatientId,
    /// The record that it follows, or followed.
    pub to: PatientId,
    /// `true`: linked; `false`: parted.
    pub linked: bool,
    /// Who decided.
    pub by: Decider,
    /// Why, where a person or a source said so; no patient data.
    pub reason: String,
    /// What the rules found, where they were asked.
    pub evidence: Option<Evidence>,
}

/// What a task is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TaskKind {
    /// Are two records one person's?
    SamePerson,
    /// Are two referrals one?
    SameReferral,
    /// Are two appointments one?
    SameAppointment,
    /// A source makes more records of unproven people than it usually does.
    CreateRate,
}

impl TaskKind {
    /// The name in tables.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::SamePerson => "same-person",
            Self::SameReferral => "same-referral",
            Self::SameAppointment => "same-appointment",
            Self::CreateRate => "create-rate",
        }
    }
}

/// Where a task stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TaskState {
    /// Somebody has to decide.
    Open,
    /// Both are one.
    Linked,
    /// They are two, for good: rules never link them.
    Parted,
    /// They stay as they are; stronger evidence may raise it again.
    Left,
}

impl TaskState {
    /// The name in tables.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Linked => "linked",
            Self::Parted => "parted",
            Self::Left => "left",
        }
    }
}

/// Something that a person has to decide: an entry of the worklist. It also remembers what was decided.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Task {
    /// Follows from the kind and what it is about: the same question is asked once.
    pub id: Uuid,
    /// What it is about.
    pub kind: TaskKind,
    /// The two that it is about; the lesser id first.
    pub pair: (Uuid, Uuid),
    /// Why it was raised.
    pub evidence: Evidence,
    /// Where it stands.
    pub state: TaskState,
    /// Who decided, and why.
    pub decided: Option<(Decider, String)>,
}

impl Task {
    /// An open task about two things.
    pub fn new(kind: TaskKind, a: Uuid, b: Uuid, evidence: Evidence) -> Self {
        let pair = (a.min(b), a.max(b));
        let id = task_id(kind, pair.0, pair.1);
        Self { id, kind, pair, evidence, state: TaskState::Open, decided: None }
    }
}

/// The id of the task about two things, whichever comes first.
pub fn task_id(kind: TaskKind, a: Uuid, b: Uuid) -> Uuid {
    const NAMESPACE: Uuid = Uuid::from_u128(0x6f6e_7761_7264_4000_8000_7461_736b_0001);
    let (a, b) = (a.min(b), a.max(b));
    Uuid::new_v5(&NAMESPACE, format!("{}|{a}|{b}", kind.as_str()).as_bytes())
}

/// What is to be done with records that are held.
#[derive(Clone, Debug)]
pub struct Command {
    /// Who wants it.
    pub by: Decider,
    /// Why; no patient data.
    pub reason: String,
    /// What.
    pub wish: Wish,
}

/// What is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Wish {
    /// Both are one person's: the record's person from now on is the other record's.
    Link { record: PatientId, to: PatientId },
    /// The record is not the person's that it is linked to; it is its own again, with all that came with it.
    Part { record: PatientId },
    /// The record is another person's than the one that it is linked to.
    Relink { record: PatientId, to: PatientId },
    /// The proven NHS number of the record is nobody's any more: the newer one took its place (`heir`: the record that
    /// has that already), or, where there is none, it was declared invalid.
    Renumber { record: PatientId, newer: Option<NhsNumber>, heir: Option<PatientId> },
    /// An entry of the worklist is decided.
    Settle { task: Uuid, state: TaskState },
}

/// What must be looked up for the index.
#[derive(Clone, Debug, Default)]
pub struct IndexNeeds<'a> {
    /// Who may be the same person as this one, should no number find a record.
    pub said: Option<&'a Subject>,
    /// These records, and all that are linked to them.
    pub records: Vec<PatientId>,
    /// This entry of the worklist, and the records that it is about.
    pub task: Option<Uuid>,
    /// Records may be joined or parted: all that hangs on them too.
    pub belongings: bool,
}

/// What is held of that.
#[derive(Clone, Debug, Default)]
pub struct IndexState {
    /// Records that are linked to each other, as far as the command touches them: everybody of each person.
    pub members: Vec<Patient>,
    /// Records that may be the same person's as the one that the command is about.
    pub alike: Vec<Alike>,
    /// What was decided or asked before about pairs of these.
    pub tasks: Vec<Task>,
    /// Referrals and appointments of everybody in [`IndexState::members`].
    pub belongings: (Vec<Referral>, Vec<Appointment>),
    /// The record that a referral came with, where that is not the one that it hangs on.
    pub homes: Vec<(ReferralId, PatientId)>,
    /// Records of unproven people that the source made in this hour, and how many it made in the same hour on an
    /// average day of the last four weeks.
    pub created: (u32, u32),
    /// Stands for the source.
    pub rate_id: Uuid,
}

impl IndexState {
    /// A record, if it was looked up.
    pub fn record(&self, id: PatientId) -> Option<&Patient> {
        self.members.iter().find(|record| record.id == id)
    }

    /// The record that stands for the person of this one.
    pub fn person_of<'s>(&'s self, record: &'s Patient) -> &'s Patient {
        let mut person = record;
        // No chain is longer than there are records.
        for _ in 0..=self.members.len() {
            let next = person.replaced_by.filter(|next| *next != person.id).and_then(|next| self.record(next));
            match next {
                Some(next) => person = next,
                None => break,
            }
        }
        person
    }

    /// Everybody who is linked to a person.
    pub fn members_of(&self, person: PatientId) -> impl Iterator<Item = &Patient> {
        self.members.iter().filter(move |record| self.person_of(record).id == person)
    }

    /// The proven NHS number of a person, whichever of the records has it.
    pub fn number_of(&self, person: &Patient) -> Option<NhsNumber> {
        person.nhs_number.or_else(|| self.members_of(person.id).find_map(|record| record.nhs_number))
    }

    /// A record and all that follow it.
    pub fn followers_of(&self, record: PatientId) -> Vec<PatientId> {
        let mut found = vec![record];
        let mut at = 0;
        while let Some(leader) = found.get(at).copied() {
            let next = self.members.iter().filter(|it| it.replaced_by == Some(leader) && !found.contains(&it.id));
            let next: Vec<PatientId> = next.map(|it| it.id).collect();
            found.extend(next);
            at += 1;
        }
        found
    }

    /// The task about two records.
    pub fn task_about(&self, a: PatientId, b: PatientId) -> Option<&Task> {
        let id = task_id(TaskKind::SamePerson, a.0, b.0);
        self.tasks.iter().find(|task| task.id == id)
    }

    /// Did a person say that two of these records are two people's?
    pub fn are_parted(&self, one: PatientId, other: PatientId) -> bool {
        let parted =
            |a: &Patient, b: &Patient| self.task_about(a.id, b.id).is_some_and(|task| task.state == TaskState::Parted);
        self.members_of(one).any(|a| self.members_of(other).any(|b| parted(a, b)))
    }

    /// The record that a referral came with.
    pub fn home_of(&self, referral: &Referral) -> PatientId {
        let home = self.homes.iter().find(|(id, _)| *id == referral.id);
        home.map_or(referral.patient, |(_, record)| *record)
    }
}

impl Command {
    /// What must be looked up to decide it.
    pub fn needs(&self) -> IndexNeeds<'_> {
        match self.wish {
            Wish::Link { record, to } | Wish::Relink { record, to } => {
                IndexNeeds { records: vec![record, to], belongings: true, ..IndexNeeds::default() }
            }
            Wish::Renumber { record, heir, .. } => {
                let records = [record].into_iter().chain(heir).collect();
                IndexNeeds { records, belongings: true, ..IndexNeeds::default() }
            }
            Wish::Part { record } => IndexNeeds { records: vec![record], belongings: true, ..IndexNeeds::default() },
            Wish::Settle { task, .. } => IndexNeeds { task: Some(task), belongings: true, ..IndexNeeds::default() },
        }
    }
}
