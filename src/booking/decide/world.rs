//! A world in memory for tests: it looks up what a command touches and takes in what was decided, exactly as a
//! store does, but with nothing between the rule and the reader.

use jiff::Timestamp;
use serde_json::Value;

use super::decide;
use crate::booking::appointment::Appointment;
use crate::booking::command::{Carried, Command, Needs, PublishSlots};
use crate::booking::decision::{Change, Decision, Refusal, Rules, State};
use crate::booking::duplicate::TwinState;
use crate::booking::identifier::{AppointmentId, Identifier, PatientId, ReferralId, ServiceId, SlotId};
use crate::booking::index::{Alike, IndexState, Task};
use crate::booking::patient::Patient;
use crate::booking::referral::{Origin, Referral, Worklist};
use crate::booking::service::Service;
use crate::booking::slot::{Slot, SlotStatus};
use crate::reconcile::lookup::{self, Neighbour, Unseen, View};
use crate::reconcile::weight::Weights;

/// Everything that is held; records stand in the order in which they came.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct World {
    pub(crate) rules: Rules,
    pub(crate) patients: Vec<Patient>,
    pub(crate) referrals: Vec<ReferralRow>,
    pub(crate) appointments: Vec<AppointmentRow>,
    pub(crate) services: Vec<Service>,
    pub(crate) slots: Vec<Slot>,
    /// What was accepted.
    pub(crate) journal: Vec<Accepted>,
    /// The worklist.
    pub(crate) tasks: Vec<Task>,
    /// The records that referrals came with, where they hang on another one.
    pub(crate) homes: Vec<(ReferralId, PatientId)>,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ReferralRow {
    pub(crate) model: Referral,
    pub(crate) worklist: Option<Worklist>,
    pub(crate) resource: Option<Value>,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct AppointmentRow {
    pub(crate) model: Appointment,
    pub(crate) resource: Option<Value>,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Accepted {
    pub(crate) bundle: String,
    pub(crate) correlation: String,
    pub(crate) referral: Option<ReferralId>,
}

/// The message that a command came in; a diary comes in none.
pub(crate) fn origin(command: &Command) -> Origin {
    let origin = match command {
        Command::PlaceReferral(it) => &it.referral.origin,
        Command::AmendReferral(it) => &it.referral.origin,
        Command::CancelReferral(it) => &it.origin,
        Command::RecordResponse(it) => &it.origin,
        Command::Book(it) => &it.appointment.origin,
        Command::AmendBooking(it) => &it.appointment.origin,
        Command::Reschedule(it) => &it.appointment.origin,
        Command::CancelBooking(it) => &it.origin,
        Command::Feed(it) => &it.origin,
        Command::PublishSlots(_) | Command::Index(_) | Command::Skip => return Origin::default(),
    };
    origin.clone()
}

impl World {
    /// Decides, and takes in what follows. Nothing changes where it is refused.
    pub(crate) fn submit(&mut self, command: &Command, now: Timestamp) -> Result<Decision, Refusal> {
        let decision = decide(command, &self.state(&command.needs(), now), now)?;
        decision.changes.iter().for_each(|change| self.apply(change));
        let Origin { bundle, correlation, .. } = origin(command);
        let referral = decision.referral.as_ref().map(|referral| referral.id);
        self.journal.push(Accepted { bundle, correlation, referral });
        Ok(decision)
    }

    pub(crate) fn patient(&self, id: PatientId) -> Option<&Patient> {
        self.patients.iter().find(|it| it.id == id)
    }

    pub(crate) fn referral(&self, id: ReferralId) -> Option<&Referral> {
        self.referrals.iter().map(|row| &row.model).find(|it| it.id == id)
    }

    pub(crate) fn appointment(&self, id: AppointmentId) -> Option<&Appointment> {
        self.appointments.iter().map(|row| &row.model).find(|it| it.id == id)
    }

    pub(crate) fn slot(&self, id: &SlotId) -> Option<&Slot> {
        self.slots.iter().find(|it| it.id == *id)
    }

    /// The appointments that take up a slot.
    pub(crate) fn current(&self) -> impl Iterator<Item = &Appointment> {
        self.appointments.iter().map(|row| &row.model).filter(|it| it.status.is_current())
    }

    pub(crate) fn appointment_of(&self, referral: ReferralId) -> Option<&Appointment> {
        self.current().find(|it| it.referral == referral)
    }

    /// What the command touches.
    pub(crate) fn state(&self, needs: &Needs<'_>, now: Timestamp) -> State {
        let number = needs.nhs_number;
        let patient = number.and_then(|_| self.patients.iter().find(|it| it.nhs_number == number)).cloned();
        let referral = needs.referral.or(needs.answered.and_then(|bundle| self.answered(bundle)));
        let mut state = State {
            rules: self.rules,
            service: self.services.iter().find(|it| Some(&it.id) == needs.service).cloned(),
            referral: referral.and_then(|id| self.referral_with_patient(id)),
            referral_appointment: referral.and_then(|id| self.appointment_of(id)).cloned(),
            appointment: needs.appointment.and_then(|id| self.appointment_with_referral(id)),
            slot: needs.slot.and_then(|id| self.slot(id)).cloned(),
            bundle_used: needs.fresh_bundle.is_some_and(|(bundle, correlation)| self.is_used(bundle, correlation)),
            patient,
            ..State::default()
        };
        state.index = self.index(needs, &state, now);
        state.twins = self.twins(needs, &state);
        if let Some(service) = needs.service {
            for patient in state.people() {
                state.referrals.extend(self.live_at(patient, service));
                state.appointments.extend(self.current_at(patient, service));
            }
        }
        state
    }

    fn twins(&self, needs: &Needs<'_>, state: &State) -> TwinState {
        let kin = state.kin();
        let referrals = self.referrals.iter().rev().map(|row| row.model.clone());
        let numbered = needs.twins.numbers.iter().filter_map(|number| {
            let has =
                |row: &&ReferralRow| row.model.ubrn.as_ref().is_some_and(|ubrn| Identifier::from(ubrn) == *number);
            Some((number.clone(), self.referrals.iter().find(has)?.model.clone()))
        });
        TwinState {
            referrals: referrals.filter(|it| needs.twins.referrals && kin.contains(&it.patient)).collect(),
            appointments: self
                .current()
                .filter(|it| needs.twins.appointments && kin.contains(&it.patient))
                .cloned()
                .collect(),
            numbered: numbered.collect(),
            tasks: self.tasks.clone(),
        }
    }

    /// Everybody is a neighbour, who shares a key.
    fn index(&self, needs: &Needs<'_>, state: &State, now: Timestamp) -> IndexState {
        let referrals = self.referrals.iter().map(|row| row.model.clone()).collect();
        let appointments = self.appointments.iter().map(|row| row.model.clone()).collect();
        let mut index = IndexState {
            members: self.patients.clone(),
            tasks: self.tasks.clone(),
            belongings: (referrals, appointments),
            homes: self.homes.clone(),
            ..IndexState::default()
        };
        let Some(subject) = needs.index.said else { return index };
        let keys = lookup::keys_of(subject.nhs_number, &subject.demographics);
        let keys_of = |it: &Patient| lookup::keys_of(it.nhs_number, &it.demographics);
        if state.patient.as_ref().is_some_and(|own| keys.iter().all(|key| keys_of(own).contains(key))) {
            return index;
        }
        let neighbours: Vec<Neighbour<'_>> =
            self.patients.iter().map(|record| Neighbour { record, person: index.person_of(record).id }).collect();
        let weights = Weights::default();
        let view = View { weights: &weights, now, unseen: Unseen::Nobody };
        let found = lookup::alike(subject.nhs_number, &subject.demographics, &neighbours, &view);
        let own = state.patient.as_ref().map(|own| own.id);
        let alike = found.into_iter().flatten().filter(|it| Some(it.record.id) != own);
        let alike: Vec<Alike> = alike.filter(|it| keys_of(&it.record).iter().any(|key| keys.contains(key))).collect();
        index.alike = alike;
        index
    }

    fn referral_with_patient(&self, id: ReferralId) -> Option<(Referral, Patient)> {
        let referral = self.referral(id)?;
        let home = self.homes.iter().find(|(of, _)| *of == id).map_or(referral.patient, |(_, record)| *record);
        Some((referral.clone(), self.patient(home)?.clone()))
    }

    fn appointment_with_referral(&self, id: AppointmentId) -> Option<(Appointment, Referral, Patient)> {
        let appointment = self.appointment(id)?;
        let (referral, patient) = self.referral_with_patient(appointment.referral)?;
        Some((appointment.clone(), referral, patient))
    }

    fn live_at(&self, patient: PatientId, service: &ServiceId) -> Vec<Referral> {
        let live = |it: &&Referral| it.patient == patient && it.service == *service && it.status.is_live();
        self.referrals.iter().map(|row| &row.model).filter(live).cloned().collect()
    }

    fn current_at(&self, patient: PatientId, service: &ServiceId) -> Vec<Appointment> {
        self.current().filter(|it| it.patient == patient && it.service == *service).cloned().collect()
    }

    /// The referral that the last accepted message of this bundle was about.
    fn answered(&self, bundle: &str) -> Option<ReferralId> {
        let of_bundle = |it: &&Accepted| it.bundle == bundle && !bundle.is_empty() && it.referral.is_some();
        self.journal.iter().rev().find(of_bundle)?.referral
    }

    fn is_used(&self, bundle: &str, correlation: &str) -> bool {
        let same = |it: &Accepted| it.bundle == bundle && it.correlation == correlation;
        !bundle.is_empty() && self.journal.iter().any(same)
    }

    fn apply(&mut self, change: &Change) {
        match change {
            Change::Patient(patient) => replace(&mut self.patients, patient.clone(), |it| it.id),
            Change::Referral { referral, worklist, carried } => {
                let held = self.referrals.iter().find(|row| row.model.id == referral.id);
                let held = held.and_then(|row| row.resource.clone());
                let resource = resource(held, carried.as_ref(), referral.patient, referral.status.as_str());
                let row = ReferralRow { model: referral.clone(), worklist: *worklist, resource };
                replace(&mut self.referrals, row, |it| it.model.id);
            }
            Change::Appointment { appointment, carried } => {
                let held = self.appointments.iter().find(|row| row.model.id == appointment.id);
                let held = held.and_then(|row| row.resource.clone());
                let resource = resource(held, carried.as_ref(), appointment.patient, appointment.status.as_str());
                let row = AppointmentRow { model: appointment.clone(), resource };
                replace(&mut self.appointments, row, |it| it.model.id);
            }
            Change::Slot { id, status } => {
                self.slots.iter_mut().filter(|slot| slot.id == *id).for_each(|slot| slot.status = *status);
            }
            Change::Diary(diary) => self.publish(diary),
            Change::Link(link) if link.linked => {
                let theirs = self.referrals.iter().map(|row| &row.model).filter(|it| it.patient == link.record);
                let homes: Vec<_> = theirs.map(|it| (it.id, it.patient)).collect();
                let known = |id: ReferralId, world: &Self| world.homes.iter().any(|(of, _)| *of == id);
                let new: Vec<_> = homes.into_iter().filter(|(id, _)| !known(*id, self)).collect();
                self.homes.extend(new);
            }
            Change::Home { referral, record } => {
                self.homes.retain(|(of, _)| of != referral);
                if self.referral(*referral).is_some_and(|it| it.patient != *record) {
                    self.homes.push((*referral, *record));
                }
            }
            Change::Task(task) => replace(&mut self.tasks, task.clone(), |it| it.id),
            // No walk has a hospital's feed in it; `tests/it/hl7_order.rs` does, against the store.
            Change::Record(_)
            | Change::Number { .. }
            | Change::Link(_)
            | Change::Created
            | Change::Retired { .. }
            | Change::ReferralNumber { .. }
            | Change::Tell(_) => {}
        }
    }

    fn publish(&mut self, diary: &PublishSlots) {
        for (service, _) in &diary.services {
            replace(&mut self.services, service.clone(), |it| it.id.clone());
        }
        for (slot, _) in &diary.slots {
            let sold = self.current().any(|it| it.slot.as_ref() == Some(&slot.id));
            let status = if sold { SlotStatus::Busy } else { slot.status };
            let mut services = slot.services.clone();
            services.sort();
            services.dedup();
            replace(&mut self.slots, Slot { status, services, ..slot.clone() }, |it| it.id.clone());
        }
    }
}

/// A record takes the place of the one with its key, or comes last.
fn replace<T, K: PartialEq>(rows: &mut Vec<T>, row: T, key: impl Fn(&T) -> K) {
    match rows.iter_mut().find(|held| key(held) == key(&row)) {
        Some(held) => *held = row,
        None => rows.push(row),
    }
}

/// The resource as sent, naming the patient that it turned out to be about; or else as held, with its status now.
fn resource(
    held: Option<Value>,
    carried: Option<&(Carried, PatientId)>,
    patient: PatientId,
    status: &str,
) -> Option<Value> {
    if let Some((Carried(text), placeholder)) = carried {
        return serde_json::from_str(&text.replace(&placeholder.to_string(), &patient.to_string())).ok();
    }
    let mut resource = held?;
    resource["status"] = status.into();
    Some(resource)
}
