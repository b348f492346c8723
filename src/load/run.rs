//! The workers: each takes what is due, sends it and notes what came of it.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::future::join_all;
use hyper::{HeaderMap, Method, StatusCode};
use jiff::Timestamp;

use super::client::{Client, ClientError, Response};
use super::feed::Feed;
use super::headers::Headers;
use super::mix::Mix;
use super::pace::{Mode, Pace};
use super::reply::{free_slots, outcome_code, service_request_id};
use super::report::{Kind, Outcome, Report, Tally};
use super::slots::Pool;
use super::synthetic::{Bundles, FreeSlot, People};

/// What to send, how fast and for how long.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Kinds of request.
    pub mix: Mix,
    /// Open or closed.
    pub mode: Mode,
    /// When it stops by itself.
    pub duration: Duration,
    /// How many requests may be under way at once.
    pub workers: usize,
    /// The service that it is all about.
    pub service: String,
    /// Decides names, addresses and the order of kinds.
    pub seed: u64,
    /// Whom to ask for: the bodies of `Patient/$match`.
    pub questions: Vec<Bytes>,
}

/// Why a load could not even begin.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The gateway is not there.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// The first request, which is not counted, was refused.
    #[error("the first {0} is refused: {1}")]
    Refused(&'static str, String),
    /// No thread to keep the pace.
    #[error("no thread: {0}")]
    Thread(#[from] std::io::Error),
}

/// Of many ids the newest are enough to read.
const IDS: usize = 4096;

struct Run<'a> {
    plan: &'a Plan,
    clients: &'a [Client],
    feed: Option<&'a Feed>,
    bundles: Bundles,
    headers: Headers,
    people: People,
    numbers: AtomicU64,
    accepted: Mutex<Vec<String>>,
    pool: tokio::sync::Mutex<Pool>,
    /// No free slot is left on any day: bookings are over.
    exhausted: AtomicBool,
    tally: Mutex<Tally>,
}

/// Sends a load through the clients (worker n uses client n modulo their number) and, what is of a hospital, through the
/// feed, calling `progress` with the counts
/// of requests and errors a few times a second.
pub async fn run(
    plan: &Plan,
    clients: &[Client],
    feed: Option<&Feed>,
    target: &str,
    progress: impl Fn(u64, u64),
) -> Result<Report, LoadError> {
    let run = Run {
        plan,
        clients,
        feed,
        bundles: Bundles::new(&plan.service),
        headers: Headers::new(&plan.service),
        people: People::new(plan.seed),
        numbers: AtomicU64::new(0),
        accepted: Mutex::default(),
        pool: tokio::sync::Mutex::new(Pool::new(Timestamp::now())),
        exhausted: AtomicBool::new(false),
        tally: Mutex::new(Tally::new()),
    };
    run.warm_up().await?;
    let begin = Instant::now();
    let pace = Pace::start(plan.mode, plan.duration)?;
    let workers = join_all((0..plan.workers).map(|index| run.work(&clients[index % clients.len()], &pace)));
    tokio::select! {
        _ = workers => {}
        () = run.show(progress) => {}
    }
    let report = lock(&run.tally).report(target, begin.elapsed(), pace.unsent());
    Ok(report)
}

impl Run<'_> {
    /// Handshakes, one referral to read and the first free slots: not part of what is measured.
    async fn warm_up(&self) -> Result<(), LoadError> {
        for client in self.clients {
            client.warm_up().await?;
        }
        if let Some(feed) = self.feed {
            feed.warm_up(self.plan.workers)
                .await
                .map_err(|error| LoadError::Refused("connection of the feed", error))?;
        }
        if self.plan.mix.has(Kind::Read)
            && let Outcome::Error(error) = self.referral(&self.clients[0]).await
        {
            return Err(LoadError::Refused("referral", error));
        }
        if self.plan.mix.has(Kind::Booking) {
            let mut pool = self.pool.lock().await;
            self.refill(&self.clients[0], &mut pool).await;
        }
        *lock(&self.tally) = Tally::new();
        Ok(())
    }

    async fn work(&self, client: &Client, pace: &Pace) {
        while let Some(due) = pace.next().await {
            let number = self.numbers.fetch_add(1, Ordering::Relaxed);
            match self.plan.mix.pick(self.plan.seed, number) {
                Kind::Booking if !self.exhausted.load(Ordering::Relaxed) => self.book(client, due).await,
                Kind::Read => self.note(Kind::Read, due, self.read(client, number).await),
                Kind::Admission => self.note(Kind::Admission, due, self.admission().await),
                Kind::Match => self.note(Kind::Match, due, self.ask(client, number).await),
                _ => self.note(Kind::Referral, due, self.referral(client).await),
            }
            // A server that refuses at once must not keep a worker from ever letting the others go on.
            tokio::task::consume_budget().await;
        }
    }

    async fn show(&self, progress: impl Fn(u64, u64)) {
        loop {
            tokio::time::sleep(Duration::from_millis(250)).await;
            let (requests, errors) = lock(&self.tally).so_far();
            progress(requests, errors);
        }
    }

    fn note(&self, kind: Kind, due: Instant, outcome: Outcome) {
        lock(&self.tally).record(kind, due.elapsed(), outcome);
    }

    async fn referral(&self, client: &Client) -> Outcome {
        let message = self.bundles.referral(&self.people.next(), Timestamp::now());
        let answer = self.process(client, message.body).await;
        answer.and_then(|body| self.accept(&body)).map_or_else(Outcome::Error, |()| Outcome::Good)
    }

    fn accept(&self, body: &[u8]) -> Result<(), String> {
        let id = service_request_id(body).ok_or("200 without a ServiceRequest.id")?;
        let mut accepted = lock(&self.accepted);
        if accepted.len() < IDS {
            accepted.push(id);
        } else {
            let place = self.numbers.load(Ordering::Relaxed) as usize % IDS;
            accepted[place] = id;
        }
        Ok(())
    }

    async fn read(&self, client: &Client, number: u64) -> Outcome {
        let path = {
            let accepted = lock(&self.accepted);
            // The warm-up left one at least.
            let place = super::people::mix(number) as usize % accepted.len().max(1);
            accepted.get(place).map(|id| format!("/ServiceRequest/{id}"))
        };
        let Some(path) = path else { return Outcome::Error("nothing to read".to_owned()) };
        ok(client.send(Method::GET, &path, self.headers.read(), None).await)
            .map_or_else(Outcome::Error, |_| Outcome::Good)
    }

    async fn admission(&self) -> Outcome {
        match self.feed {
            Some(feed) => feed.admit(&self.people.next()).await,
            None => Outcome::Error("no feed to send it on".to_owned()),
        }
    }

    async fn ask(&self, client: &Client, number: u64) -> Outcome {
        let questions = &self.plan.questions;
        let place = super::people::mix(number) as usize % questions.len().max(1);
        let Some(question) = questions.get(place) else { return Outcome::Error("nobody to ask for".to_owned()) };
        ok(client.send(Method::POST, "/Patient/$match", self.headers.write(), Some(question.clone())).await)
            .map_or_else(Outcome::Error, |_| Outcome::Good)
    }

    /// When the pool is empty, the search is counted by itself, and the booking is due when it has its slot.
    async fn book(&self, client: &Client, due: Instant) {
        let mut pool = self.pool.lock().await;
        let (slot, due) = match pool.take() {
            Some(slot) => (Some(slot), due),
            None => {
                self.refill(client, &mut pool).await;
                (pool.take(), Instant::now())
            }
        };
        drop(pool);
        let outcome = match slot {
            Some(slot) => self.booking(client, &slot).await,
            None if self.exhausted.swap(true, Ordering::Relaxed) => return,
            None => Outcome::Error("no free slot is left".to_owned()),
        };
        self.note(Kind::Booking, due, outcome);
    }

    async fn booking(&self, client: &Client, slot: &FreeSlot) -> Outcome {
        let message = self.bundles.booking(&self.people.next(), slot, None, Timestamp::now());
        match self.process(client, message.body).await {
            Ok(_) => Outcome::Good,
            Err(code) if code == "409 REC_CONFLICT conflict" => Outcome::Conflict,
            Err(code) => Outcome::Error(code),
        }
    }

    /// Searches day after day until there is a free slot.
    async fn refill(&self, client: &Client, pool: &mut Pool) {
        while pool.is_empty()
            && let Some(path) = pool.next_search(&self.plan.service)
        {
            let begin = Instant::now();
            let answer = ok(client.send(Method::GET, &path, self.headers.read(), None).await);
            match answer.and_then(|body| free_slots(&body).ok_or_else(|| "200 without a Bundle".to_owned())) {
                Ok(slots) => {
                    self.note(Kind::Search, begin, Outcome::Good);
                    pool.fill(slots);
                }
                Err(code) => self.note(Kind::Search, begin, Outcome::Error(code)),
            }
        }
    }

    async fn process(&self, client: &Client, body: Vec<u8>) -> Result<Bytes, String> {
        let headers: HeaderMap = self.headers.write();
        ok(client.send(Method::POST, "/$process-message", headers, Some(body.into())).await)
    }
}

/// The body of a 200, or the status and code of anything else.
fn ok(answer: Result<Response, ClientError>) -> Result<Bytes, String> {
    match answer {
        Ok(response) if response.status == StatusCode::OK => Ok(response.body),
        Ok(response) => {
            let (code, issue) = outcome_code(&response.body);
            Err(format!("{} {code} {issue}", response.status.as_u16()))
        }
        Err(error) => Err(error.to_string()),
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
