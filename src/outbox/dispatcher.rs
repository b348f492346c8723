//! One destination: takes letters from the store, sends them on a few connections, says what became of them.
//!
//! Order: the store gives out only the first open letter of each key, and a key is `busy` from then until the
//! settlement of that letter is durable, so two letters of one key are never under way together. Settling does not
//! hold up a connection: the next letter of another key goes out while the disk still works.
//!
//! Failure: when the destination does not answer, it is paused as a whole and then tried with one letter at a time.
//! Letters that were never sent keep their count of attempts, and a hundred thousand of them cost one connection
//! attempt per pause.

use std::collections::{HashMap, HashSet, VecDeque};
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
use super::outcome::Outcome;
use super::{https, mllp};
use crate::store::{OutboxRow, Pending, Settlement, Store, StoreError};
use crate::telemetry::metric;

/// Letters that one look at the store brings.
const LOOK_LEN: usize = 64;
/// Settlements that may be on their way to the disk.
const SETTLING_MAX: usize = 256;
/// Between two looks: what comes in meanwhile is served by the second, so that a busy gateway does not look once for
/// every letter.
const LOOK_PAUSE: Duration = Duration::from_millis(5);
/// A letter that was looked up longer ago than this is looked up again: a person may have decided otherwise.
const FRESH: Duration = Duration::from_secs(1);

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
    /// Letters that may go.
    ready: VecDeque<(OutboxRow, Vec<u8>)>,
    ready_since: Instant,
    /// Keys of letters that are ready, under way or being settled.
    busy: HashSet<Uuid>,
    /// There may be more in the store than is known here.
    stale: bool,
    /// When to look at the store at the latest …
    look_at: Instant,
    /// … and at the earliest.
    look_from: Instant,
    /// Attempts without an answer, in a row.
    failures: u32,
    paused_until: Option<Instant>,
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
            shared,
            flights: JoinSet::new(),
            keys: HashMap::new(),
            settling: FuturesUnordered::new(),
            ready: VecDeque::new(),
            ready_since: Instant::now(),
            busy: HashSet::new(),
            stale: true,
            look_at: Instant::now(),
            look_from: Instant::now(),
            failures: 0,
            paused_until: None,
        }
    }

    /// Works until it is told to stop; then what is under way may land.
    pub(super) async fn run(mut self, stop: CancellationToken) {
        while !stop.is_cancelled() {
            self.look().await;
            self.launch();
            let next = self.next_event();
            tokio::select! {
                () = stop.cancelled() => break,
                Some(landed) = self.flights.join_next_with_id() => self.landed(landed),
                Some(key) = self.settling.next() => self.settled(key),
                () = self.shared.wake.notified() => self.stale = true,
                () = sleep_until(next) => self.stale = true,
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

    /// When something is to be done though nothing happens. Where there is no room, something will.
    fn next_event(&self) -> Instant {
        let now = Instant::now();
        match self.paused_until {
            Some(until) if until > now => until,
            _ if self.room() == 0 => now + self.shared.destination.look_interval,
            _ if self.stale && self.ready.is_empty() => self.look_from,
            _ => self.look_at,
        }
    }

    /// How many more letters may go out now. After a failure it is one at a time until there is an answer.
    fn room(&self) -> usize {
        let paused = self.paused_until.is_some_and(|until| Instant::now() < until);
        if paused || self.settling.len() >= SETTLING_MAX {
            return 0;
        }
        match self.failures {
            0 => self.lines.len(),
            _ => usize::from(self.flights.is_empty()).min(self.lines.len()),
        }
    }

    /// Takes what else has happened meanwhile, so that one look at the store serves all of it.
    fn gather(&mut self) {
        while let Some(landed) = self.flights.try_join_next_with_id() {
            self.landed(landed);
        }
        while let Some(Some(key)) = self.settling.next().now_or_never() {
            self.settled(key);
        }
    }

    /// Fetches letters when there are none at hand, there may be some, and they could go out.
    async fn look(&mut self) {
        if self.ready_since.elapsed() > FRESH {
            self.put_back();
        }
        if !self.stale || !self.ready.is_empty() || self.room() == 0 || Instant::now() < self.look_from {
            return;
        }
        self.paused_until = None;
        self.stale = false;
        self.look_from = Instant::now() + LOOK_PAUSE;
        let now = Timestamp::now();
        let limit = self.busy.len() + if self.failures == 0 { LOOK_LEN } else { 1 };
        match fetch(self.store.clone(), self.shared.clone(), now, limit).await {
            Ok((letters, due_at)) => {
                self.stale = letters.len() == limit;
                self.look_at = self.next_look(now, due_at);
                self.take(letters);
            }
            Err(error) => {
                warn!(destination = self.name(), %error, "The outbox cannot be read");
                self.look_at = Instant::now() + self.shared.destination.look_interval;
            }
        }
    }

    /// When the next letter is due, but soon enough to see what a person decided.
    fn next_look(&self, now: Timestamp, due_at: Option<Timestamp>) -> Instant {
        let longest = self.shared.destination.look_interval;
        let wait = due_at.filter(|due_at| *due_at > now).and_then(|due_at| due_at.duration_since(now).try_into().ok());
        Instant::now() + wait.map_or(longest, |wait: Duration| wait.min(longest))
    }

    fn take(&mut self, letters: Vec<(OutboxRow, Vec<u8>)>) {
        self.ready_since = Instant::now();
        for (letter, body) in letters {
            if self.busy.insert(letter.key) {
                self.ready.push_back((letter, body));
            }
        }
    }

    /// Forgets letters that were not sent.
    fn put_back(&mut self) {
        for (letter, _) in self.ready.drain(..) {
            self.busy.remove(&letter.key);
            self.stale = true;
        }
    }

    /// Sends as much as there is room for.
    fn launch(&mut self) {
        // This process was stopped since the look: others may have sent them.
        if self.ready_since.elapsed() > FRESH {
            return self.put_back();
        }
        while self.room() > 0 && !self.ready.is_empty() {
            let (Some(line), Some((letter, body))) = (self.lines.pop(), self.ready.pop_front()) else { return };
            let key = letter.key;
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
                self.fail();
                let key = self.keys.remove(&crash.id());
                self.settled(key);
            }
        }
    }

    /// Counts, and pauses the destination if it does not answer.
    fn note(&mut self, letter: &OutboxRow, outcome: &Outcome, elapsed: Duration) {
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
        if let Some(pause) = outcome.pause() {
            self.fail();
            self.paused_until = self.paused_until.max(Some(Instant::now() + pause));
        } else if outcome.is_answered() {
            self.failures = 0;
            self.paused_until = None;
        } else if !matches!(outcome, Outcome::Unsendable { .. }) {
            self.fail();
        }
    }

    /// Those that fail together count as one.
    fn fail(&mut self) {
        self.put_back();
        let now = Instant::now();
        if self.paused_until.is_none_or(|until| until <= now) {
            self.failures = self.failures.saturating_add(1);
            self.paused_until = Some(now + self.shared.destination.backoff.pause(self.failures, chance()));
        }
    }

    fn settle(&mut self, letter: OutboxRow, outcome: &Outcome) {
        let destination = &self.shared.destination;
        let Some(settlement) = outcome.settlement(&letter, destination, Timestamp::now(), chance()) else {
            return self.settled(Some(letter.key));
        };
        if let Settlement::Parked { failure } = &settlement {
            let destination = self.name();
            warn!(destination, letter = letter.id, event = letter.event, error = failure, "A letter needs a person");
        }
        let (store, taken) = (self.store.clone(), letter.clone());
        let attempt = move || store.outbox_settle_taken(&taken, settlement.clone());
        self.settling.push(Box::pin(settle(letter, attempt)));
    }

    /// The key's next letter may go. `None`: the store is closed; after a restart the letter is sent again.
    fn settled(&mut self, key: Option<Uuid>) {
        if let Some(key) = key {
            self.busy.remove(&key);
            self.stale = true;
        }
    }

    async fn drain(&mut self) {
        loop {
            tokio::select! {
                Some(landed) = self.flights.join_next_with_id() => self.landed(landed),
                Some(key) = self.settling.next() => self.settled(key),
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

/// Makes a settlement durable, however often that must be tried: what was delivered must not be sent again because
/// the disk was full for a moment. The first try begins now, not when the future is first looked at.
fn settle(
    letter: OutboxRow,
    attempt: impl Fn() -> Pending<()> + Send + 'static,
) -> impl Future<Output = Option<Uuid>> + Send + 'static {
    let mut pending = attempt();
    async move {
        loop {
            match pending.await {
                // Refused: a person superseded it while it was under way, or another gateway took it over.
                Ok(()) | Err(StoreError::Refused(_)) => return Some(letter.key),
                Err(StoreError::Closed) => return None,
                Err(error) => {
                    warn!(destination = letter.destination, letter = letter.id, %error, "A settlement must wait");
                    sleep(Duration::from_millis(200)).await;
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
