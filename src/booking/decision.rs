//! What a command touches, what follows from it, and why it may be refused.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::appointment::Appointment;
use super::command::{Carried, PublishSlots};
use super::duplicate::TwinState;
use super::feed::{Effect, FeedState, Record, Telling};
use super::identifier::{Identifier, PatientId, ReferralId, SlotId};
use super::index::{IndexState, Likeness, Link, Task};
use super::nhs_number::NhsNumber;
use super::patient::Patient;
use super::referral::{Referral, Worklist};
use super::service::Service;
use super::slot::{Slot, SlotStatus};
use crate::issue::Issue;

/// Everything that [`decide`](super::decide::decide) may look at. The store fills it in the same transaction that
/// will make the decision durable, from [`Command::needs`](super::command::Command::needs).
#[derive(Clone, Debug, Default)]
pub struct State {
    /// What differs between environments.
    pub rules: Rules,
    /// The service that the command is for.
    pub service: Option<Service>,
    /// The record with the command's proven NHS number.
    pub patient: Option<Patient>,
    /// The referral that the command names or answers, and the record that it came with.
    pub referral: Option<(Referral, Patient)>,
    /// The current appointment of that referral.
    pub referral_appointment: Option<Appointment>,
    /// The appointment that the command names, its referral, and the record that this came with.
    pub appointment: Option<(Appointment, Referral, Patient)>,
    /// The slot that the command names.
    pub slot: Option<Slot>,
    /// Live referrals at the service, awaited ones too, of everybody above: [`State::patient`], and whose the named
    /// referral and appointment are, which need not be the same record. Of each the oldest first.
    pub referrals: Vec<Referral>,
    /// Current appointments of the same at the service.
    pub appointments: Vec<Appointment>,
    /// The command's `Bundle.id` was accepted before in this conversation.
    pub bundle_used: bool,
    /// What an event of a hospital's system needs.
    pub feed: FeedState,
    /// Who may be who.
    pub index: IndexState,
    /// What may be there already.
    pub twins: TwinState,
}

impl State {
    /// The people that the command may be about, each once.
    pub fn people(&self) -> Vec<PatientId> {
        let referral = self.referral.as_ref().map(|(_, patient)| patient);
        let appointment = self.appointment.as_ref().map(|(_, _, patient)| patient);
        let certain = self.index.alike.iter().filter(|it| it.evidence.likeness == Likeness::Certain);
        let numbers = self.feed.numbers.iter().map(|(_, patient, _)| patient);
        let named = self.patient.iter().chain(referral).chain(appointment).chain(numbers);
        let records = named.chain(certain.map(|it| &it.record));
        let mut people = Vec::new();
        for person in records.map(|record| self.index.person_of(record).id) {
            if !people.contains(&person) {
                people.push(person);
            }
        }
        people
    }

    /// The same, and those who the command may well be about although nobody has said so yet.
    pub fn kin(&self) -> Vec<PatientId> {
        let mut kin = self.people();
        let probable = self.index.alike.iter().filter(|it| Likeness::Probable <= it.evidence.likeness);
        for alike in probable {
            let person = self.index.person_of(&alike.record).id;
            if !kin.contains(&person) {
                kin.push(person);
            }
        }
        kin
    }

    /// Those of [`State::referrals`] that are this patient's.
    pub fn referrals_of(&self, patient: PatientId) -> impl Iterator<Item = &Referral> {
        self.referrals.iter().filter(move |referral| referral.patient == patient)
    }

    /// Those of [`State::appointments`] that are this patient's.
    pub fn appointments_of(&self, patient: PatientId) -> impl Iterator<Item = &Appointment> {
        self.appointments.iter().filter(move |appointment| appointment.patient == patient)
    }
}

/// What differs between environments.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rules {
    /// Accept with a warning what production refuses: an appointment whose time or service is not
    /// its slot's (the standard's own examples are like that).
    pub sandbox: bool,
    /// So many records of people whose identity is unproven may come from one feed in an hour; 0: any number. Where a
    /// source is used to more, three times the usual number.
    pub unproven_per_hour: u32,
}

/// What is to happen, all of it or nothing.
#[derive(Clone, Debug)]
pub struct Decision {
    /// Whose it is.
    pub patient: Option<Patient>,
    /// The referral as it is afterwards.
    pub referral: Option<Referral>,
    /// The appointment as it is afterwards.
    pub appointment: Option<Appointment>,
    /// What is to be written.
    pub changes: Vec<Change>,
    /// What others are to be told.
    pub notices: Vec<Notice>,
    /// Accepted, but somebody should look.
    pub warnings: Vec<Issue>,
    /// What came of it, where it was an event that may have come late.
    pub effect: Effect,
}

/// One thing to be written.
#[derive(Clone, Debug)]
#[expect(clippy::large_enum_variant, reason = "a decision has a handful, in a list that is on the heap")]
pub enum Change {
    /// Insert or replace the patient record.
    Patient(Patient),
    /// Insert or replace the referral; `worklist` is `None` only when it is no longer live.
    /// `carried`: its resource is replaced; where it names `placeholder`, the patient's id is meant.
    #[allow(missing_docs)]
    Referral { referral: Referral, worklist: Option<Worklist>, carried: Option<(Carried, PatientId)> },
    /// Insert or replace the appointment; `carried` as above.
    #[allow(missing_docs)]
    Appointment { appointment: Appointment, carried: Option<(Carried, PatientId)> },
    /// The slot is sold, or on offer again.
    #[allow(missing_docs)]
    Slot { id: SlotId, status: SlotStatus },
    /// Insert or replace what is remembered of a source's word.
    Record(Record),
    /// A number is this patient's from now on. `merged`: it was another record's before.
    #[allow(missing_docs)]
    Number { number: Identifier, patient: PatientId, merged: bool },
    /// A record is linked to another one, or parted from it. Before what moves with it where it is linked, after that
    /// where it is parted.
    Link(Link),
    /// A referral came with a record that is not the one that it hangs on.
    #[allow(missing_docs)]
    Home { referral: ReferralId, record: PatientId },
    /// Insert or replace an entry of the worklist.
    Task(Task),
    /// The source has made one more record of somebody whose identity is unproven.
    Created,
    /// An NHS number is nobody's any more: a newer one took its place, or it was declared invalid.
    #[allow(missing_docs)]
    Retired { number: NhsNumber, newer: Option<NhsNumber> },
    /// A referral has this number.
    #[allow(missing_docs)]
    ReferralNumber { number: Identifier, referral: ReferralId },
    /// Whoever made a booking or a referral is to be told: a letter is written of it.
    Tell(Box<Telling>),
    /// Insert or replace services, schedules and slots. A slot that is sold stays sold.
    Diary(Box<PublishSlots>),
}

/// Something that another system must be told.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Notice {
    /// What happened.
    pub kind: NoticeKind,
    /// To whose destination.
    pub service: Service,
    /// Whose it is.
    pub patient: Patient,
    /// The referral as it is afterwards.
    pub referral: Referral,
    /// The appointment as it is afterwards, where it is about one.
    pub appointment: Option<Appointment>,
    /// When it happened.
    pub at: Timestamp,
}

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NoticeKind {
    /// HL7 v2 REF^I12.
    ReferralPlaced,
    /// HL7 v2 REF^I13.
    ReferralAmended,
    /// HL7 v2 REF^I14.
    ReferralCancelled,
    /// HL7 v2 SIU^S12.
    Booked,
    /// HL7 v2 SIU^S13.
    Rescheduled,
    /// HL7 v2 SIU^S14.
    BookingAmended,
    /// HL7 v2 SIU^S15.
    BookingCancelled,
    /// HL7 v2 SIU^S17.
    BookingDeleted,
    /// HL7 v2 SIU^S26.
    NotAttended,
}

/// Why a command was refused. Nothing changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{issue}")]
pub struct Refusal {
    /// What is wrong, where, and what to do; no patient data.
    pub issue: Box<Issue>,
    /// Somebody on this side must look (such as a booking for another person's referral).
    pub alarm: bool,
}
