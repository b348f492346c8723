//! Delivery: every letter is sent, in order per patient, until the other side has confirmed it or a person is told.
//!
//! One `dispatcher` per destination; what it does next a `machine` decides, which knows no clock and no network, from
//! the `outcome` of each attempt; how it speaks is an adapter (HL7 v2: `mllp`; BaRS: `https`). A letter is settled in
//! the store before the next of its key is sent, and every attempt sends the same bytes, so that a restart at any
//! moment repeats at worst what the receiver can tell by its control id.
//!
//! A destination that a person has paused is asked for nothing: whether it is paused is read from the store together
//! with what could be sent, so that it holds for all gateways and after a restart.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::store::Store;

pub mod backoff;
mod connect;
pub mod destination;
mod dispatcher;
pub mod health;
mod https;
pub(crate) mod machine;
pub mod mllp;
pub(crate) mod outcome;

use destination::Destination;
use dispatcher::{Dispatcher, Shared};
use health::{Health, Pulse};

/// The outbox at work.
pub struct Outbox;

/// What the rest of the gateway holds of the outbox.
#[derive(Clone)]
pub struct OutboxHandle {
    destinations: Arc<[Arc<Shared>]>,
}

impl Outbox {
    /// Starts to deliver. When `stop` is cancelled nothing more is sent; what is under way may land within
    /// [`Destination::drain`], for which the `tracker` waits. The store must stay open until then.
    pub fn start(
        store: Arc<dyn Store>,
        destinations: Vec<Destination>,
        stop: &CancellationToken,
        tracker: &TaskTracker,
    ) -> OutboxHandle {
        let start = |destination: Destination| {
            let pulse = Pulse::new(&destination.name);
            let wake = tokio::sync::Notify::new();
            let shared = Arc::new(Shared { destination: Arc::new(destination), wake, pulse });
            tracker.spawn(Dispatcher::new(store.clone(), shared.clone()).run(stop.clone()));
            shared
        };
        OutboxHandle { destinations: destinations.into_iter().map(start).collect() }
    }
}

impl OutboxHandle {
    /// There may be new letters: to be called after every commit that wrote some. Costs next to nothing.
    pub fn wake(&self) {
        self.destinations.iter().for_each(|shared| shared.wake.notify_one());
    }

    /// How each destination is doing.
    pub fn health(&self) -> Vec<Health> {
        self.destinations.iter().map(|shared| shared.pulse.read()).collect()
    }
}
