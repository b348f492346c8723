//! All probes together: what they know becomes a [`Report`], and numbers for Prometheus.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::database::{Database, Examiner};
use super::heartbeat::Heartbeats;
use super::probe::{Pace, Probe, Reading, Stop};
use super::report::{Report, State, judge};
use super::{Certificate, DestinationHealth, FeedHealth, ProfilesHealth, Source, StatusSources};
use crate::booking::index::{Likeness, TaskKind};
use crate::config;
use crate::store::act::Direction;
use crate::store::ledger::{Auditor, Ledger, Standing};
use crate::store::{OutboxDepth, Store};
use crate::telemetry::{self, metric};

/// A listener that is alive takes a connection within this.
const API_CONNECT_MAX: Duration = Duration::from_millis(250);
const UPKEEP_INTERVAL: Duration = Duration::from_secs(5);
/// The ledger is looked at a page at a time, so that ten million messages cost a hundredth of a processor; a small one, so
/// that no caller waits behind it.
const LEDGER: Pace = Pace { interval: Duration::from_secs(1), timeout: Duration::from_secs(60) };
const LEDGER_PAGE_LEN: usize = 2_000;
const DAY_S: f64 = 86_400.0;

type Outbox = Result<Vec<OutboxDepth>, String>;
type Feeds = Result<Vec<FeedHealth>, String>;

/// The probes.
pub(super) struct Sampler {
    limits: config::Status,
    stop: Arc<Stop>,
    started_at: Timestamp,
    database: Option<Probe<Database>>,
    outbox: Option<Probe<Outbox>>,
    ledger: Option<Probe<Result<Ledger, String>>>,
    certificates: Probe<Vec<Certificate>>,
    destinations: Probe<Vec<DestinationHealth>>,
    api: Option<Probe<Result<(), String>>>,
    profiles: Option<Probe<ProfilesHealth>>,
    feeds: Option<Probe<Feeds>>,
    api_heartbeats: Heartbeats,
}

/// What all probes know, at one moment.
pub(super) struct Knowledge {
    pub(super) now: Timestamp,
    pub(super) started_at: Timestamp,
    pub(super) database: Option<Reading<Database>>,
    pub(super) outbox: Option<Reading<Outbox>>,
    /// The last whole look, or one that has found something already.
    pub(super) ledger: Option<Reading<Result<Ledger, String>>>,
    pub(super) certificates: Reading<Vec<Certificate>>,
    pub(super) destinations: Reading<Vec<DestinationHealth>>,
    pub(super) api: Option<Reading<Result<(), String>>>,
    pub(super) profiles: Option<Reading<ProfilesHealth>>,
    pub(super) feeds: Option<Reading<Feeds>>,
    /// Threads of the API, and how many of them are stuck.
    pub(super) api_threads: (usize, usize),
}

impl Sampler {
    /// Begins to ask.
    pub(super) fn start(limits: &config::Status, sources: StatusSources) -> io::Result<Self> {
        let stop = Arc::<Stop>::default();
        let pace = Pace {
            interval: Duration::from_millis(limits.sample_interval_ms),
            timeout: Duration::from_millis(limits.sample_timeout_ms),
        };
        let store = sources.store;
        let database = store.clone().map(|store| database_source(Examiner::new(store, sources.database_file)));
        let ledger = store.clone().map(ledger_source);
        let outbox = store.map(|store| {
            outbox_source(move || {
                gauge_worklist(store.as_ref());
                store.outbox_depth().map_err(|error| error.to_string())
            })
        });
        Probe::start("upkeep", Pace { interval: UPKEEP_INTERVAL, ..pace }, &stop, upkeep_source())?;
        Ok(Self {
            database: database.map(|source| Probe::start("database", pace, &stop, source)).transpose()?,
            outbox: outbox.map(|source| Probe::start("outbox", pace, &stop, source)).transpose()?,
            ledger: ledger.map(|source| Probe::start("ledger", LEDGER, &stop, source)).transpose()?,
            certificates: Probe::start("certificates", pace, &stop, certificates_source(sources.certificates))?,
            destinations: Probe::start("destinations", pace, &stop, destinations_source(sources.destinations))?,
            api: sources
                .api_address
                .map(|at| Probe::start("api", pace, &stop, api_source(at, pace.timeout)))
                .transpose()?,
            profiles: sources.profiles.map(|ask| Probe::start("profiles", pace, &stop, ask)).transpose()?,
            feeds: sources.feeds.map(|ask| Probe::start("feeds", pace, &stop, feeds_source(ask))).transpose()?,
            api_heartbeats: sources.api_heartbeats,
            limits: limits.clone(),
            started_at: Timestamp::now(),
            stop,
        })
    }

    /// Asks no more.
    pub(super) fn stop(&self) {
        self.stop.say();
    }

    /// What is known now, judged.
    pub(super) fn report(&self) -> Report {
        let silence_max = Duration::from_millis(self.limits.sample_timeout_ms);
        let known = Knowledge {
            now: Timestamp::now(),
            started_at: self.started_at,
            database: self.database.as_ref().map(Probe::read),
            outbox: self.outbox.as_ref().map(Probe::read),
            ledger: self.ledger.as_ref().map(Probe::read),
            certificates: self.certificates.read(),
            destinations: self.destinations.read(),
            api: self.api.as_ref().map(Probe::read),
            profiles: self.profiles.as_ref().map(Probe::read),
            feeds: self.feeds.as_ref().map(Probe::read),
            api_threads: self.api_heartbeats.count(silence_max),
        };
        judge(&known, &self.limits)
    }

    /// Everything measured, in the format of Prometheus.
    pub(super) fn metrics(&self) -> String {
        let report = self.report();
        gauge_state("all", report.state());
        report.components().into_iter().for_each(|(component, state)| gauge_state(component, state));
        telemetry::handle().render()
    }
}

fn gauge_state(check: &'static str, state: State) {
    metrics::gauge!(metric::STATUS, "check" => check).set(state as u8);
}

fn upkeep_source() -> Source<()> {
    Box::new(|| telemetry::handle().run_upkeep())
}

fn database_source(mut examiner: Examiner) -> Source<Database> {
    Box::new(move || examiner.examine())
}

fn outbox_source(mut ask: impl FnMut() -> Outbox + Send + 'static) -> Source<Outbox> {
    Box::new(move || {
        let depths = ask();
        depths.iter().flatten().for_each(gauge_depth);
        depths
    })
}

fn ledger_source(store: Arc<dyn Store>) -> Source<Result<Ledger, String>> {
    let (mut auditor, mut last) = (Auditor::default(), None);
    Box::new(move || {
        if let Some(ledger) = auditor.step(&*store, LEDGER_PAGE_LEN).map_err(|error| error.to_string())? {
            gauge_ledger(&ledger);
            last = Some(ledger);
        }
        let so_far = auditor.so_far();
        Ok(last.clone().filter(|_| so_far.is_balanced()).unwrap_or_else(|| so_far.clone()))
    })
}

fn gauge_ledger(ledger: &Ledger) {
    for standing in Standing::ALL {
        let state = standing.as_str();
        metrics::gauge!(metric::LEDGER_MESSAGES, "state" => state).set(ledger.count(standing) as f64);
    }
    let flaws = ledger.flawed + ledger.messages_missing + ledger.messages_uncounted + ledger.letters_astray;
    metrics::gauge!(metric::LEDGER_FLAWS).set(flaws as f64);
}

/// Where it cannot be counted, the last number stays; that the store is ill is told by others.
fn gauge_worklist(store: &dyn Store) {
    let Ok(counts) = store.task_counts() else { return };
    for kind in [TaskKind::SamePerson, TaskKind::CreateRate] {
        for grade in [Likeness::Possible, Likeness::Probable, Likeness::Certain] {
            let of = counts.iter().find(|(of, sure, _)| of == kind.as_str() && sure == grade.as_str());
            let labels = [("kind", kind.as_str()), ("grade", grade.as_str())];
            metrics::gauge!(metric::WORKLIST_OPEN, &labels).set(of.map_or(0.0, |(.., count)| *count as f64));
        }
    }
}

fn gauge_depth(depth: &OutboxDepth) {
    for (state, count) in [("queued", depth.queued), ("parked", depth.parked)] {
        let labels = [("destination", depth.destination.clone()), ("state", state.into())];
        metrics::gauge!(metric::OUTBOX_LETTERS, &labels).set(count as f64);
    }
    let age = depth.oldest.map_or(0.0, |at| Timestamp::now().duration_since(at).as_secs_f64());
    metrics::gauge!(metric::OUTBOX_OLDEST_SECONDS, "destination" => depth.destination.clone()).set(age);
}

fn certificates_source(mut ask: Source<Vec<Certificate>>) -> Source<Vec<Certificate>> {
    Box::new(move || {
        let certificates = ask();
        for Certificate { name, not_after } in &certificates {
            let days = not_after.duration_since(Timestamp::now()).as_secs_f64() / DAY_S;
            metrics::gauge!(metric::CERTIFICATE_DAYS, "certificate" => name.clone()).set(days);
        }
        certificates
    })
}

fn destinations_source(mut ask: Source<Vec<DestinationHealth>>) -> Source<Vec<DestinationHealth>> {
    Box::new(move || {
        let destinations = ask();
        for DestinationHealth { name, up, paused, .. } in &destinations {
            gauge_pause(Direction::Out, name, paused.is_some());
            metrics::gauge!(metric::DESTINATION_UP, "destination" => name.clone()).set(u8::from(*up));
        }
        destinations
    })
}

fn gauge_pause(direction: Direction, name: &str, paused: bool) {
    let labels = [("direction", direction.as_str().to_owned()), ("name", name.to_owned())];
    metrics::gauge!(metric::PAUSED, &labels).set(u8::from(paused));
}

fn feeds_source(mut ask: Source<Feeds>) -> Source<Feeds> {
    Box::new(move || {
        let feeds = ask();
        for FeedHealth { name, heard, quarantined, paused, .. } in feeds.iter().flatten() {
            gauge_pause(Direction::In, name, paused.is_some());
            let silence = Timestamp::now().duration_since(*heard).as_secs_f64();
            metrics::gauge!(metric::FEED_HEARD_SECONDS, "channel" => name.clone()).set(silence);
            metrics::gauge!(metric::FEED_QUARANTINED, "channel" => name.clone()).set(*quarantined as f64);
        }
        feeds
    })
}

fn api_source(address: SocketAddr, timeout: Duration) -> Source<Result<(), String>> {
    let address = reachable(address);
    Box::new(move || {
        let mut connection = TcpStream::connect_timeout(&address, API_CONNECT_MAX)
            .map_err(|error| format!("it takes no connection: {}", error.kind()))?;
        is_served(&mut connection, timeout)
    })
}

/// The system takes connections for a listener that is at its limit, and nobody speaks to them. So something is said
/// that is no TLS: a thread that serves refuses it at once.
fn is_served(connection: &mut TcpStream, timeout: Duration) -> Result<(), String> {
    // Where one of the first two fails, so does the read.
    let _ = connection.set_read_timeout(Some(timeout));
    let _ = connection.write_all(b"Is anybody there?\r\n");
    match connection.read(&mut [0; 16]) {
        Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
            Err("it takes connections, but nobody serves them".into())
        }
        _ => Ok(()),
    }
}

/// A listener on all addresses is reached through the local one.
pub(super) fn reachable(mut address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() {
        match &mut address {
            SocketAddr::V4(v4) => v4.set_ip(std::net::Ipv4Addr::LOCALHOST),
            SocketAddr::V6(v6) => v6.set_ip(std::net::Ipv6Addr::LOCALHOST),
        }
    }
    address
}
