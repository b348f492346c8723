//! One destination: takes letters from the store, sends them on a few connections, says what became of them. What is
//! done when is decided by the [`Machine`]; here it is done.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, StreamExt};
use jiff::Timestamp;
use metrics::{counter, histogram};
use tokio::sync::Notify;
use tokio::task::{Id, JoinError, JoinSet, spawn_blocking};
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, warn};
use uuid::Uuid;

use super::backoff::chance;
use super::destination::{Adapter, Destination};
use super::health::Pulse;
use super::machine::{Machine, Moment, Settled};
use super::outcome::Outcome;
use super::{https, mllp};
use crate::store::act::Direction;
use crate::store::{OutboxRow, Pending, Settlement, Store, StoreError};
use crate::telemetry::metric;

/// What a dispatcher shares with the rest of the gateway.
pub(super) struct Shared {
    pub(super) destination: Arc<Destination>,
    pub(super) wake: Notify,
    pub(super) pulse: Pulse,
}

pub(super) struct Dispatcher {
    store: Arc<dyn Store>,
    shared: Arc<Shared>,
    /// Connections that are idle.
    lines: Vec<Line>,
    /// Letters that are under way, and the keys of each.
    flights: JoinSet<Landing>,
    keys: HashMap<Id, Uuid>,
    /// Settlements on their way to the disk; each gives its key back.
    settling: FuturesUnordered<BoxFuture<'static, Option<Uuid>>>,
    machine: Machine,
    begun: Instant,
}

/// A connection of either kind; which one is open follows from the destination.
#[derive(Default)]
struct Line {
    mllp: mllp::Line,
    https: https::Line,
}

/// A letter whose attempt is over.
struct Landing {
    line: Line,
    letter: OutboxRow,
    outcome: Outcome,
    elapsed: Duration,
}

impl Dispatcher {
    pub(super) fn new(store: Arc<dyn Store>, shared: Arc<Shared>) -> Self {
        let lines = shared.destination.connections.max(1);
        Self {
            store,
            lines: std::iter::repeat_with(Line::default).take(lines).collect(),
            machine: Machine::new(shared.destination.clone()),
            shared,
            flights: JoinSet::new(),
            keys: HashMap::new(),
            settling: FuturesUnordered::new(),
            begun: Instant::now(),
        }
    }

    /// Works until it is told to stop; then what is under way may land.
    pub(super) async fn run(mut self, stop: CancellationToken) {
        while !stop.is_cancelled() {
            self.look().await;
            self.launch();
            let next = self.begun + self.machine.next_event(self.now());
            tokio::select! {
                () = stop.cancelled() => break,
                Some(landed) = self.flights.join_next_with_id() => self.landed(landed),
                Some(key) = self.settling.next() => self.machine.settled(key),
                () = self.shared.wake.notified() => self.machine.wake(),
                () = sleep_until(next) => self.machine.wake(),
            }
            self.gather();
        }
        let drain = self.shared.destination.drain;
        if timeout(drain, self.drain()).await.is_err() {
            warn!(destination = self.name(), count = self.flights.len(), "Stopped before every answer had come");
        }
    }

    fn name(&self) -> &str {
        &self.shared.destination.name
    }

    fn now(&self) -> Moment {
        self.begun.elapsed()
    }

    /// Takes what else has happened meanwhile, so that one look at the store serves all of it.
    fn gather(&mut self) {
        while let Some(landed) = self.flights.try_join_next_with_id() {
            self.landed(landed);
        }
        while let Some(Some(key)) = self.settling.next().now_or_never() {
            self.machine.settled(key);
        }
    }

    /// Fetches letters where there may be some that could go out.
    async fn look(&mut self) {
        let Some(limit) = self.machine.look(self.now()) else { return };
        let asked_at = Timestamp::now();
        match fetch(self.store.clone(), self.shared.clone(), asked_at, limit).await {
            Ok((letters, due_at)) => self.machine.looked(self.now(), asked_at, limit, letters, due_at),
            Err(error) => {
                warn!(destination = self.name(), %error, "The outbox cannot be read");
                self.machine.look_failed(self.now());
            }
        }
    }

    /// Sends as much as there is room for.
    fn launch(&mut self) {
        while let Some((letter, body)) = self.machine.launch(self.now()) {
            let key = letter.key;
            let line = self.lines.pop().unwrap_or_default();
            let flight = self.flights.spawn(fly(self.shared.destination.clone(), line, letter, body));
            self.keys.insert(flight.id(), key);
        }
    }

    fn landed(&mut self, landed: Result<(Id, Landing), JoinError>) {
        match landed {
            Ok((id, landing)) => {
                self.keys.remove(&id);
                self.lines.push(landing.line);
                self.note(&landing.letter, &landing.outcome, landing.elapsed);
                self.settle(landing.letter, &landing.outcome);
            }
            Err(crash) => {
                error!(destination = self.name(), "An attempt to deliver ended in a panic");
                self.lines.push(Line::default());
                let key = self.keys.remove(&crash.id());
                self.machine.crashed(key, self.now(), chance());
            }
        }
    }

    /// For whoever watches.
    fn note(&self, letter: &OutboxRow, outcome: &Outcome, elapsed: Duration) {
        let destination = self.name().to_owned();
        debug!(
            destination,
            letter = letter.id,
            event = letter.event,
            attempt = letter.attempts.saturating_add(1),
            outcome = outcome.name(),
            error = outcome.failure(),
            elapsed_ms = elapsed.as_millis(),
            "Tried to deliver"
        );
        counter!(metric::DELIVERIES, "destination" => destination.clone(), "outcome" => outcome.name()).increment(1);
        self.shared.pulse.note(outcome, Timestamp::now());
        if outcome.is_answered() {
            histogram!(metric::DELIVERY_SECONDS, "destination" => destination).record(elapsed);
        }
    }

    fn settle(&mut self, letter: OutboxRow, outcome: &Outcome) {
        let (now, at) = (self.now(), Timestamp::now());
        let Some(settlement) = self.machine.landed(&letter, outcome, now, at, chance()) else { return };
        let (destination, number, event) = (self.name(), letter.id, &letter.event);
        match &settlement {
            Settlement::Parked { failure } => {
                warn!(destination, letter = number, event, error = failure, "A letter needs a person");
            }
            Settlement::Superseded { reason } => {
                warn!(destination, letter = number, event, error = reason, "A letter is skipped");
            }
            _ => {}
        }
        let (store, taken) = (self.store.clone(), letter.clone());
        let attempt = move || store.outbox_settle_taken(&taken, settlement.clone());
        self.settling.push(Box::pin(settle(letter, attempt)));
    }

    async fn drain(&mut self) {
        loop {
            tokio::select! {
                Some(landed) = self.flights.join_next_with_id() => self.landed(landed),
                Some(key) = self.settling.next() => self.machine.settled(key),
                else => return,
            }
        }
    }
}

type Fetched = (Vec<(OutboxRow, Vec<u8>)>, Option<Timestamp>);

/// On a thread of its own: a few milliseconds of disk must not hold up the acknowledgements of others.
async fn fetch(
    store: Arc<dyn Store>,
    shared: Arc<Shared>,
    now: Timestamp,
    limit: usize,
) -> Result<Fetched, StoreError> {
    let read = move || {
        let name = &shared.destination.name;
        let paused = store.pauses()?.into_iter().find(|it| it.direction == Direction::Out && it.name == *name);
        shared.pulse.pause(paused.as_ref().map(|pause| pause.since));
        if paused.is_some() || !shared.destination.windows.is_open(now) {
            return Ok((Vec::new(), None));
        }
        Ok((store.outbox_take(name, now, limit, shared.destination.lease())?, store.outbox_next_due(name)?))
    };
    spawn_blocking(read).await.unwrap_or(Err(StoreError::Closed))
}

/// One attempt.
async fn fly(destination: Arc<Destination>, mut line: Line, letter: OutboxRow, body: Vec<u8>) -> Landing {
    let begun = Instant::now();
    let outcome = match &destination.adapter {
        Adapter::Mllp(peer) => line.mllp.deliver(peer, &letter.control_id, &body).await,
        Adapter::Bars(site) => line.https.deliver(site, &body).await,
    };
    Landing { line, letter, outcome, elapsed: begun.elapsed() }
}

/// Makes a settlement durable, however often that must be tried. The first try begins now, not when the future is first
/// looked at.
fn settle(
    letter: OutboxRow,
    attempt: impl Fn() -> Pending<()> + Send + 'static,
) -> impl Future<Output = Option<Uuid>> + Send + 'static {
    let mut pending = attempt();
    async move {
        loop {
            let said = pending.await;
            match Settled::of(&said) {
                Settled::Over => return Some(letter.key),
                Settled::Never => return None,
                Settled::AgainIn(pause) => {
                    let error = said.err().map(|error| error.to_string());
                    warn!(destination = letter.destination, letter = letter.id, error, "A settlement must wait");
                    sleep(pause).await;
                    pending = attempt();
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::outbox::outcome::tests::letter;

    #[tokio::test]
    async fn a_settlement_is_tried_until_the_store_takes_it() {
        let tries = Arc::new(AtomicUsize::new(0));
        let counted = tries.clone();
        let key = settle(letter(0, None), move || {
            let tried = counted.fetch_add(1, Ordering::SeqCst);
            Box::pin(async move { if tried < 3 { Err(StoreError::Full) } else { Ok(()) } })
        });
        assert_eq!(tries.load(Ordering::SeqCst), 1, "it begins at once");
        assert_eq!((key.await, tries.load(Ordering::SeqCst)), (Some(Uuid::nil()), 4));
    }

    #[tokio::test]
    async fn a_closed_store_keeps_the_key_and_a_refusal_gives_it_back() {
        assert_eq!(settle(letter(0, None), || Box::pin(async { Err(StoreError::Closed) })).await, None);
        let refused = settle(letter(0, None), || Box::pin(async { Err(StoreError::Refused("settled")) }));
        assert_eq!(refused.await, Some(Uuid::nil()));
    }
}
