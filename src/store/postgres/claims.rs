//! Who may decide about what, where many gateways work on one database.
//!
//! Transactions are READ COMMITTED. Before anything of a batch is looked up, everything that its commands touch is
//! claimed: one statement, in one order for everybody, which locks a row per thing until the commit. What a command
//! touches besides becomes known when it is looked up (the patient behind a referral) or decided. If any of that is
//! not claimed, the transaction is rolled back and begins anew with the larger set. So:
//!
//! * Whatever a decision rests on was claimed before it was read, and each statement sees all that was committed before
//!   it. Two transactions that touch the same thing come one after the other, and the second reads what the first wrote.
//! * That holds for what is not there yet as well: a claim is of a name (a key of the ledger, a slot, an NHS number, the
//!   keys by which the index of patients finds somebody), not of a row.
//! * Nobody waits for a claim while somebody else could wait for a claim of his with a smaller place in the order: all
//!   are taken by the first statement. So claims cannot deadlock.
//!
//! A thing is claimed by the bucket that its name falls into. Two things of one bucket wait for each other, which costs
//! time and no truth; the table stays small for ever. The constraints of the schema stand behind all this.

use std::cell::RefCell;
use std::collections::BTreeSet;

use crate::booking::appointment::Appointment;
use crate::booking::command::{Command, Needs, Subject};
use crate::booking::decision::{Change, Decision, State};
use crate::booking::feed::Record;
use crate::booking::identifier::{Identifier, PatientId};
use crate::booking::index::Likeness;
use crate::booking::nhs_number::NhsNumber;
use crate::booking::patient::{Demographics, Patient};
use crate::booking::referral::Referral;
use crate::reconcile::lookup;
use crate::store::sql::fault::Fault;
use crate::store::sql::submission::Witness;
use crate::store::{Letter, Message, Work};

/// A power of two. A batch of 256 messages touches some 3,000 things: two such batches rarely meet in a bucket.
const BUCKETS: u64 = 1 << 22;

/// What is claimed, or to be claimed.
#[derive(Clone, Debug, Default)]
pub(super) struct Claims(BTreeSet<i32>);

impl Claims {
    /// What is known of a message before anything is looked up.
    pub(super) fn of(message: &Message, work: &Work) -> Self {
        let mut claims = Self::default();
        message.key.iter().for_each(|key| claims.add("ledger", &[key]));
        claims.bundle(&message.bundle);
        if let Some(settles) = message.feed.as_ref().and_then(|feed| feed.settles.as_ref()) {
            claims.add("message", &[&settles.message.to_string()]);
        }
        if let Work::Decide { command, .. } = work {
            claims.needs(&command.needs(), message);
            claims.diary(command);
        }
        claims
    }

    fn needs(&mut self, needs: &Needs<'_>, message: &Message) {
        needs.nhs_number.iter().for_each(|number| self.nhs_number(number));
        needs.slot.iter().for_each(|slot| self.add("slot", &[&slot.0]));
        needs.answered.iter().for_each(|bundle| self.bundle(bundle));
        needs.fresh_bundle.iter().for_each(|(bundle, _)| self.bundle(bundle));
        if let Some(feed) = &needs.feed {
            feed.numbers.iter().chain(&feed.referrals).for_each(|number| self.number(number));
            feed.records.iter().for_each(|(kind, key)| self.add(kind.as_str(), &[&key.system, &key.value]));
        }
        needs.twins.numbers.iter().for_each(|number| self.number(number));
        needs.index.records.iter().for_each(|record| self.person(*record));
        if let Some(subject) = needs.index.said {
            self.said(subject, message);
        }
    }

    fn said(&mut self, subject: &Subject, message: &Message) {
        self.person(subject.candidate);
        self.likeness(subject.nhs_number, &subject.demographics);
        if subject.nhs_number.is_none() {
            self.add("rate", &[&message.caller]);
        }
    }

    fn diary(&mut self, command: &Command) {
        let Command::PublishSlots(diary) = command else { return };
        self.add("diary", &[]);
        diary.slots.iter().for_each(|(slot, _)| self.add("slot", &[&slot.id.0]));
    }

    /// What a decision was made on. Bookings and referrals are claimed with whose they are.
    fn state(&mut self, state: &State) {
        let referral = state.referral.iter();
        let appointment = state.appointment.iter();
        let feed = &state.feed;
        let people =
            state.patient.iter().chain(referral.clone().map(|it| &it.1)).chain(appointment.clone().map(|it| &it.2));
        let people = people.chain(&state.index.members).chain(state.index.alike.iter().map(|it| &it.record));
        let people = people.chain(feed.numbers.iter().map(|it| &it.1)).chain(feed.referrals.iter().map(|it| &it.1));
        let people = people.chain(feed.bookings.iter().map(|it| &it.patient)).chain(&feed.moved_to);
        people.for_each(|it| self.person(it.id));
        let referrals = referral.map(|it| &it.0).chain(appointment.clone().map(|it| &it.1));
        let referrals = referrals.chain(feed.referrals.iter().map(|it| &it.0)).chain(&state.referrals);
        referrals.chain(feed.bookings.iter().map(|it| &it.referral)).for_each(|it| self.person(it.patient));
        let appointments = appointment.map(|it| &it.0).chain(&state.referral_appointment);
        appointments.chain(feed.bookings.iter().map(|it| &it.appointment)).for_each(|it| self.person(it.patient));
        let twins = &state.twins;
        let referrals = twins.referrals.iter().chain(twins.numbered.iter().map(|it| &it.1));
        referrals
            .map(|it| it.patient)
            .chain(twins.appointments.iter().map(|it| it.patient))
            .for_each(|it| self.person(it));
        feed.records.iter().for_each(|record| self.record(record));
        // Whoever is certain was compared with those who are like them.
        let certain = state.index.alike.iter().filter(|it| it.evidence.likeness == Likeness::Certain);
        certain.for_each(|it| self.likeness(it.record.nhs_number, &it.record.demographics));
    }

    fn change(&mut self, change: &Change) {
        match change {
            Change::Patient(patient) => self.patient(patient),
            Change::Referral { referral, .. } => self.referral(referral),
            Change::Appointment { appointment, .. } => self.appointment(appointment),
            Change::Slot { id, .. } => self.add("slot", &[&id.0]),
            Change::Record(record) => self.record(record),
            Change::Number { number, patient, .. } => {
                self.number(number);
                self.person(*patient);
            }
            Change::Link(link) => {
                self.person(link.record);
                self.person(link.to);
            }
            Change::Home { record, .. } => self.person(*record),
            Change::Task(task) => {
                self.person(PatientId(task.pair.0));
                self.person(PatientId(task.pair.1));
            }
            Change::ReferralNumber { number, .. } => self.number(number),
            // What these write is claimed with the message, or with the record.
            Change::Created | Change::Retired { .. } | Change::Tell(_) | Change::Diary(_) => {}
        }
    }

    fn patient(&mut self, patient: &Patient) {
        self.person(patient.id);
        patient.nhs_number.iter().for_each(|number| self.nhs_number(number));
        self.likeness(patient.nhs_number, &patient.demographics);
    }

    fn referral(&mut self, referral: &Referral) {
        self.person(referral.patient);
        referral.ubrn.iter().for_each(|ubrn| self.number(&Identifier::from(ubrn)));
    }

    fn appointment(&mut self, appointment: &Appointment) {
        self.person(appointment.patient);
        appointment.slot.iter().for_each(|slot| self.add("slot", &[&slot.0]));
    }

    fn record(&mut self, record: &Record) {
        self.add(record.kind.as_str(), &[&record.key.system, &record.key.value]);
    }

    /// Letters are sent in order for each person, so this claims their line as well.
    fn person(&mut self, id: PatientId) {
        self.add_bytes("person", &[id.0.as_bytes()]);
    }

    /// The line that a letter stands in.
    pub(super) fn line(&mut self, key: uuid::Uuid) {
        self.person(PatientId(key));
    }

    fn nhs_number(&mut self, number: &NhsNumber) {
        self.add("nhs", &[number.as_str()]);
    }

    fn number(&mut self, number: &Identifier) {
        self.add("number", &[&number.system, &number.value]);
    }

    fn bundle(&mut self, bundle: &str) {
        if !bundle.is_empty() {
            self.add("bundle", &[bundle]);
        }
    }

    fn likeness(&mut self, nhs_number: Option<NhsNumber>, who: &Demographics) {
        let keys = lookup::keys_of(nhs_number, who);
        keys.iter().for_each(|key| self.add_bytes("like", &[&key.to_le_bytes()]));
    }

    fn add(&mut self, kind: &str, name: &[&str]) {
        let parts: Vec<&[u8]> = name.iter().map(|part| part.as_bytes()).collect();
        self.add_bytes(kind, &parts);
    }

    fn add_bytes(&mut self, kind: &str, name: &[&[u8]]) {
        self.0.insert(bucket(kind, name));
    }

    /// Takes these in as well.
    pub(super) fn extend(&mut self, others: &Self) {
        self.0.extend(&others.0);
    }

    /// Takes these in as well: [`Claims::buckets`] of others.
    pub(super) fn add_buckets(&mut self, buckets: &[i32]) {
        self.0.extend(buckets);
    }

    /// In the order in which everybody claims.
    pub(super) fn buckets(&self) -> Vec<i32> {
        self.0.iter().copied().collect()
    }
}

/// The same in every gateway and every version: FNV-1a, with a byte between the parts that no UTF-8 has.
fn bucket(kind: &str, name: &[&[u8]]) -> i32 {
    let parts = std::iter::once(kind.as_bytes()).chain(name.iter().copied());
    let bytes = parts.flat_map(|part| part.iter().copied().chain([0xff]));
    let hash =
        bytes.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3));
    ((hash ^ (hash >> 32)) % BUCKETS) as i32
}

/// Looks over the shoulder of whoever decides, and notes what was not claimed.
pub(super) struct Overseer<'a> {
    held: &'a Claims,
    missing: RefCell<Claims>,
}

impl<'a> Overseer<'a> {
    pub(super) fn new(held: &'a Claims) -> Self {
        Self { held, missing: RefCell::default() }
    }

    /// What must be claimed besides; `None`: nothing.
    pub(super) fn missing(self) -> Option<Claims> {
        let missing = self.missing.into_inner();
        (!missing.0.is_empty()).then_some(missing)
    }

    fn note(&self, touched: &Claims) {
        let missing = touched.0.difference(&self.held.0);
        self.missing.borrow_mut().0.extend(missing);
    }
}

impl Witness for Overseer<'_> {
    fn read(&self, state: &State) -> Result<(), Fault> {
        let mut touched = Claims::default();
        touched.state(state);
        self.note(&touched);
        Ok(())
    }

    fn decided(&self, decision: &Decision, letters: &[Letter]) -> Result<(), Fault> {
        let mut touched = Claims::default();
        decision.changes.iter().for_each(|change| touched.change(change));
        letters.iter().for_each(|letter| touched.line(letter.key));
        self.note(&touched);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gateways of two versions that disagree about a bucket would no longer wait for each other.
    #[test]
    fn buckets_never_change() {
        assert_eq!(bucket("slot", &[b"a"]), bucket("slot", &[b"a"]));
        assert_ne!(bucket("slot", &[b"a", b"b"]), bucket("slot", &[b"ab"]));
        assert_eq!([bucket("slot", &[b"a"]), bucket("diary", &[])], [4_017_066, 1_644_979]);
        let many: BTreeSet<i32> = (0..1000_u32).map(|n| bucket("person", &[&n.to_le_bytes()])).collect();
        assert!(many.len() > 990 && many.iter().all(|it| (0..BUCKETS as i32).contains(it)));
    }
}
