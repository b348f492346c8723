//! What a database is for everything above: connections that read, and a queue before whoever writes. With these two
//! it is a [`Store`].

use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::oneshot;
use uuid::Uuid;

use super::fault::Fault;
use super::job::{Answer as Channel, Job, Settle};
use super::outbox::Fence;
use super::pulse::Pulse;
use super::queue::Queue;
use super::session::Session;
use super::submission::Submission;
use super::{act, diary, feed, journal, ledger, outbox, people, search, state};
use crate::booking::appointment::Appointment;
use crate::booking::command::Subject;
use crate::booking::identifier::{AppointmentId, Identifier, PatientId, ReferralId, ServiceId};
use crate::booking::index::{Alike, Link};
use crate::booking::patient::Patient;
use crate::booking::referral::Referral;
use crate::booking::service::Service;
use crate::reconcile::diary::Entry;
use crate::reconcile::weight::Weights;
use crate::store::act::{Act, Pause};
use crate::store::ledger::Held;
use crate::store::{
    Answer, FeedRow, Health, Message, MessageRow, OutboxDepth, OutboxRow, Page, PatientQuery, Pending, Settlement,
    SlotQuery, SlotRow, Store, StoreError, TaskPage, TaskRow, Verdict, Work,
};

/// See the module.
pub(in crate::store) trait Engine: Send + Sync {
    /// Reads on a connection that sees everything that was committed before.
    fn read<T>(&self, work: impl FnMut(&dyn Session) -> Result<T, Fault>) -> Result<T, StoreError>;
    /// The queue before whoever writes.
    fn queue(&self) -> &Queue;
    /// How whoever writes is.
    fn pulse(&self) -> &Pulse;
    /// How people are compared.
    fn weights(&self) -> &Weights;
    /// See [`Store::outbox_take`]. One gateway has all letters.
    fn take(
        &self,
        destination: &str,
        now: Timestamp,
        limit: usize,
        _lease: Duration,
    ) -> Result<Vec<(OutboxRow, Vec<u8>)>, StoreError> {
        self.read(|conn| outbox::due(conn, destination, now, limit))
    }
    /// As whose a letter is settled that was taken under this number.
    fn fence(&self, _lease: i64) -> Option<Fence> {
        None
    }
    /// What the work touches, as far as that is known before anything is looked up. Who writes alone need not know.
    fn claims(&self, _message: &Message, _work: &Work) -> Vec<i32> {
        Vec::new()
    }
    /// Waits until all is done that was queued, and stops.
    fn stop(&self);

    /// Puts a job into the queue now, and waits for its result only when it is asked to.
    fn enqueue<T: Send + 'static>(&self, job: impl FnOnce(Channel<T>) -> Job) -> Pending<T> {
        let (sender, receiver) = oneshot::channel();
        let queued = self.queue().push(job(sender));
        Box::pin(async move {
            queued?;
            receiver.await.unwrap_or(Err(StoreError::Closed))
        })
    }
}

impl<E: Engine> Store for E {
    fn submit(&self, message: Message, work: Work) -> Pending<Verdict> {
        let claims = self.claims(&message, &work);
        let submission = Box::new(Submission::prepare(message, work, claims));
        self.enqueue(|channel| Job::Submit(submission, channel))
    }

    fn first_answer(&self, key: &str) -> Result<Option<(Uuid, bool, Answer)>, StoreError> {
        let found = self.read(|conn| journal::first_find(conn, key))?;
        Ok(found.map(|first| (first.message, first.accepted, first.answer)))
    }

    fn service_find(&self, id: &ServiceId) -> Result<Option<Service>, StoreError> {
        self.read(|conn| diary::service_find(conn, id))
    }

    fn service_list(&self) -> Result<Vec<Service>, StoreError> {
        self.read(diary::service_list)
    }

    fn referral_resource(&self, id: Uuid) -> Result<Option<String>, StoreError> {
        self.read(|conn| search::referral_resource(conn, id))
    }

    fn appointment_resource(&self, id: Uuid) -> Result<Option<String>, StoreError> {
        self.read(|conn| search::appointment_resource(conn, id))
    }

    fn referral_find(&self, id: ReferralId) -> Result<Option<Referral>, StoreError> {
        self.read(|conn| Ok(state::referral_find(conn, id)?.map(|(referral, _)| referral)))
    }

    fn appointment_find(&self, id: AppointmentId) -> Result<Option<Appointment>, StoreError> {
        self.read(|conn| Ok(state::appointment_find(conn, id)?.map(|(appointment, ..)| appointment)))
    }

    fn referral_search(&self, patient: &PatientQuery) -> Result<Vec<String>, StoreError> {
        self.read(|conn| search::resources_of(conn, "referral", patient))
    }

    fn appointment_search(&self, patient: &PatientQuery) -> Result<Vec<String>, StoreError> {
        self.read(|conn| search::resources_of(conn, "appointment", patient))
    }

    fn slot_search(&self, query: &SlotQuery) -> Result<Vec<SlotRow>, StoreError> {
        self.read(|conn| diary::slot_search(conn, query))
    }

    fn directory_resource(&self, kind: &str, id: &str) -> Result<Option<String>, StoreError> {
        self.read(|conn| diary::directory_resource(conn, kind, id))
    }

    fn outbox_due(
        &self,
        destination: &str,
        now: Timestamp,
        limit: usize,
    ) -> Result<Vec<(OutboxRow, Vec<u8>)>, StoreError> {
        self.read(|conn| outbox::due(conn, destination, now, limit))
    }

    fn outbox_next_due(&self, destination: &str) -> Result<Option<Timestamp>, StoreError> {
        self.read(|conn| outbox::next_due(conn, destination))
    }

    fn outbox_settle(&self, id: i64, settlement: Settlement) -> Pending<()> {
        let settle = Box::new(Settle { letter: id, settlement, fence: None });
        self.enqueue(|channel| Job::Settle(settle, channel))
    }

    fn outbox_take(
        &self,
        destination: &str,
        now: Timestamp,
        limit: usize,
        lease: Duration,
    ) -> Result<Vec<(OutboxRow, Vec<u8>)>, StoreError> {
        self.take(destination, now, limit, lease)
    }

    fn outbox_settle_taken(&self, letter: &OutboxRow, settlement: Settlement) -> Pending<()> {
        let settle = Box::new(Settle { letter: letter.id, settlement, fence: self.fence(letter.lease) });
        self.enqueue(|channel| Job::Settle(settle, channel))
    }

    fn outbox_list(&self, page: &Page) -> Result<Vec<OutboxRow>, StoreError> {
        self.read(|conn| outbox::list(conn, page))
    }

    fn outbox_show(&self, id: i64) -> Result<Option<(OutboxRow, Vec<u8>)>, StoreError> {
        self.read(|conn| outbox::show(conn, id))
    }

    fn outbox_depth(&self) -> Result<Vec<OutboxDepth>, StoreError> {
        self.read(outbox::depth)
    }

    fn message_list(&self, page: &Page) -> Result<Vec<MessageRow>, StoreError> {
        self.read(|conn| journal::list(conn, page))
    }

    fn message_show(&self, id: Uuid) -> Result<Option<(MessageRow, Vec<u8>, Answer)>, StoreError> {
        self.read(|conn| journal::show(conn, id))
    }

    fn message_counts(&self) -> Result<Vec<(String, u64)>, StoreError> {
        self.read(journal::counts)
    }

    fn feed_list(&self, state: &str, limit: usize) -> Result<Vec<FeedRow>, StoreError> {
        self.read(|conn| feed::list(conn, state, limit))
    }

    fn feed_find(&self, message: Uuid) -> Result<Option<FeedRow>, StoreError> {
        self.read(|conn| feed::find(conn, message))
    }

    fn feed_counts(&self) -> Result<Vec<(String, u64)>, StoreError> {
        self.read(feed::counts)
    }

    fn ledger_page(&self, after: Option<Uuid>, limit: usize) -> Result<Vec<Held>, StoreError> {
        self.read(|conn| ledger::page(conn, after, limit))
    }

    fn ledger_letters_astray(&self, limit: usize) -> Result<Vec<i64>, StoreError> {
        self.read(|conn| ledger::letters_astray(conn, limit))
    }

    fn patient_records(&self, id: PatientId) -> Result<Vec<Patient>, StoreError> {
        self.read(|conn| people::records(conn, id))
    }

    fn patient_search(&self, identifier: &Identifier) -> Result<Vec<PatientId>, StoreError> {
        self.read(|conn| people::search(conn, identifier))
    }

    fn patient_match(&self, subject: &Subject) -> Result<Vec<(PatientId, Alike)>, StoreError> {
        self.read(|conn| people::find(conn, subject, self.weights()))
    }

    fn patient_history(&self, id: PatientId) -> Result<Vec<(Timestamp, Link)>, StoreError> {
        self.read(|conn| people::history(conn, id))
    }

    fn diary_entries(&self, from: Timestamp, to: Timestamp) -> Result<Vec<Entry>, StoreError> {
        self.read(|conn| people::bookings(conn, from, to))
    }

    fn task_list(&self, page: &TaskPage) -> Result<Vec<TaskRow>, StoreError> {
        self.read(|conn| people::tasks(conn, page))
    }

    fn task_show(&self, id: Uuid) -> Result<Option<TaskRow>, StoreError> {
        self.read(|conn| people::task(conn, id))
    }

    fn task_counts(&self) -> Result<Vec<(String, String, u64)>, StoreError> {
        self.read(people::task_counts)
    }

    fn act(&self, act: Act) -> Pending<()> {
        self.enqueue(|channel| Job::Act(Box::new(act), channel))
    }

    fn act_list(&self, limit: usize) -> Result<Vec<Act>, StoreError> {
        self.read(|conn| act::list(conn, limit))
    }

    fn pauses(&self) -> Result<Vec<Pause>, StoreError> {
        self.read(act::pauses)
    }

    fn health(&self) -> Health {
        self.pulse().health()
    }

    fn close(&self) {
        self.queue().close();
        self.stop();
    }
}
