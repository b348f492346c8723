//! The composition root: a configuration becomes a running gateway, and a running gateway stops in good order.

mod health;
pub mod opening;
mod pauses;

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use rustls::pki_types::ServerName;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

use self::health::{Heard, certificates, feeds_health, profiles_health, sources};
use self::opening::{Missing, open_store};
use self::pauses::Pauses;
use crate::bars::reply;
use crate::booking::command::{Command, PublishSlots};
use crate::booking::decision::Notice;
use crate::config::{self, ClientAuth, Config};
use crate::fhir::json;
use crate::http::{self, Front, Server, ServerSettings, Systems};
use crate::intake::hl7::Feed;
use crate::intake::{Intake, Render, Settings, referrers};
use crate::outbox::destination::Destination;
use crate::outbox::{self, Outbox, OutboxHandle};
use crate::pas;
use crate::pas::channel::Channel;
use crate::pas::inbound::dialect::Dialect;
use crate::profile::current::Current;
use crate::status::{Heartbeats, StatusServer, StatusSources};
use crate::store::{Answer, Letter, Message, OutboxState, Page, Settlement, Store, StoreError, Verdict, Work};
use crate::tls::reload::Reload;
use crate::tls::{self, ReloadingClient, ReloadingServer, TlsError, Watcher};
use crate::{mllp, telemetry};

/// Why a gateway does not start. Each names what is to be mended.
#[derive(Debug, thiserror::Error)]
pub enum AppError {
    /// The settings contradict each other or the world.
    #[error("the configuration cannot be used:\n{0}")]
    Config(String),
    /// A certificate, key or revocation list cannot be used.
    #[error("{what}")]
    Tls {
        /// What it is for.
        what: String,
        /// Which file, and why.
        source: TlsError,
    },
    /// The database cannot be used.
    #[error("{place}")]
    Store {
        /// The file, or the database.
        place: String,
        /// Why.
        source: StoreError,
    },
    /// An address cannot be listened on, or a thread not started.
    #[error("{what}")]
    Io {
        /// What was tried.
        what: String,
        /// Why it failed.
        source: std::io::Error,
    },
}

/// A running gateway.
pub struct App {
    /// Where the API is: `https://host:port/FHIR/R4`.
    pub base: String,
    /// Where the API listens.
    pub https: SocketAddr,
    /// Where the status page is.
    pub status: SocketAddr,
    /// Where HL7 v2 is listened for: name and address.
    pub mllp: Vec<(String, SocketAddr)>,
    /// Everything that is kept.
    pub store: Arc<dyn Store>,
    server: Server,
    _status: StatusServer,
    _watchers: [Watcher; 2],
    shutdown: CancellationToken,
    tracker: TaskTracker,
}

impl App {
    /// Starts everything, or nothing.
    pub async fn start(config: Config) -> Result<Self, AppError> {
        tls::install_provider();
        check(&config)?;
        let config = Arc::new(config);
        let tls = load_tls(&config)?;
        let clients = load_clients(&config)?;
        let library = load_library(&config)?;
        let channels = load_channels(&config)?;
        let failed = |source| AppError::Store { place: config.store.place(), source };
        let store = open_store(&config, Missing::Make).map_err(failed)?;
        publish_services(&config, store.as_ref()).await?;
        redirect(&config, store.as_ref()).await?;
        let (shutdown, tracker) = (CancellationToken::new(), TaskTracker::new());
        let outbox = start_outbox(&config, &store, &clients, &shutdown, &tracker)?;
        let listener = bind("https", config.https.listen)?;
        let https = listener.local_addr().map_err(io("https"))?;
        let base = format!("https://{}:{}{}", config.https.host, https.port(), http::BASE);
        let intake = Arc::new(Intake::new(Arc::clone(&store), settings(&config, &outbox, &library)?));
        let heartbeats = Heartbeats::default();
        let front = front(&config, Arc::clone(&intake), base.clone());
        let server =
            Server::start(front, server_settings(&config, listener, &tls, &heartbeats)).map_err(io("https"))?;
        let heard: Heard = channels.iter().map(|_| Arc::new(AtomicI64::new(Timestamp::now().as_second()))).collect();
        let pauses = Pauses::look(&store, &config.mllp).map_err(failed)?;
        let mllp = listen_mllp(&channels, &heard, &config, &intake, &pauses, (&shutdown, &tracker)).await?;
        pauses.watch(&shutdown, &tracker);
        let sources = StatusSources {
            certificates: certificates(&tls, &clients, &channels),
            profiles: Some(profiles_health(&library)),
            feeds: (!config.mllp.is_empty()).then(|| feeds_health(&config, &store, heard)),
            ..sources(&config, &store, &outbox, https, heartbeats)
        };
        let status = StatusServer::start(&config.status, sources).map_err(io("status"))?;
        let watched = std::iter::once(Arc::clone(&tls) as Arc<dyn Reload>)
            .chain(clients.iter().map(|(_, client)| Arc::clone(client) as Arc<dyn Reload>))
            .chain(channels.iter().filter_map(|(_, tls)| tls.clone().map(|tls| tls as Arc<dyn Reload>)));
        let second = Duration::from_secs(1);
        let watcher = Watcher::start("tls-files", second, watched.collect()).map_err(io("certificate watcher"))?;
        let packages = Watcher::start("packages", second, vec![library]).map_err(io("package watcher"))?;
        Ok(Self {
            base,
            https,
            status: status.address(),
            mllp,
            store,
            server,
            _status: status,
            _watchers: [watcher, packages],
            shutdown,
            tracker,
        })
    }

    /// Takes nothing new, finishes what is under way, and closes the store.
    pub async fn stop(self) {
        self.server.stop().await;
        self.shutdown.cancel();
        self.tracker.close();
        let _ = tokio::time::timeout(Duration::from_secs(10), self.tracker.wait()).await;
        let store = self.store;
        let _ = tokio::task::spawn_blocking(move || store.close()).await;
    }
}

fn io(what: &str) -> impl FnOnce(std::io::Error) -> AppError + use<> {
    let what = what.to_owned();
    move |source| AppError::Io { what, source }
}

fn bind(what: &str, address: SocketAddr) -> Result<TcpListener, AppError> {
    TcpListener::bind(address).map_err(io(&format!("{what}: {address}")))
}

fn check(config: &Config) -> Result<(), AppError> {
    let findings = config.check();
    let errors: Vec<String> = findings.iter().filter(|finding| finding.is_error()).map(ToString::to_string).collect();
    if errors.is_empty() { Ok(()) } else { Err(AppError::Config(errors.join("\n"))) }
}

fn load_tls(config: &Config) -> Result<Arc<ReloadingServer>, AppError> {
    let https = &config.https;
    let settings = tls::ServerTls {
        cert: https.cert.clone(),
        key: https.key.clone(),
        client_ca: https.client_ca.clone(),
        client_auth: match https.client_auth {
            ClientAuth::Off => tls::server::ClientAuth::Off,
            ClientAuth::Optional => tls::server::ClientAuth::Optional,
            ClientAuth::Required => tls::server::ClientAuth::Required,
        },
        crl: https.crl.clone(),
        host: Some(https.host.clone()),
    };
    ReloadingServer::load(settings, Timestamp::now()).map_err(|source| AppError::Tls { what: "https".into(), source })
}

/// Certificates for destinations that are spoken to over TLS, by the destination's name.
type Clients = Vec<(String, Arc<ReloadingClient>)>;

fn load_clients(config: &Config) -> Result<Clients, AppError> {
    let with_tls = config.destination.iter().filter_map(|it| Some((it, it.tls.as_ref()?)));
    with_tls
        .map(|(destination, files)| {
            let settings = tls::ClientTls { ca: files.ca.clone(), cert: files.cert.clone(), key: files.key.clone() };
            let what = format!("destination {}", destination.name);
            let client =
                ReloadingClient::load(settings, Timestamp::now()).map_err(|source| AppError::Tls { what, source })?;
            Ok((destination.name.clone(), client))
        })
        .collect()
}

fn load_library(config: &Config) -> Result<Arc<Current>, AppError> {
    let library = Current::load(config.validation.packages.clone(), Timestamp::now());
    library.map(Arc::new).map_err(|errors| AppError::Config(format!("validation.packages:\n{}", errors.join("\n"))))
}

/// What was freed after loading goes back to the system only when memory is asked for and freed again, which a gateway
/// that nobody calls may not do for hours: some 20 MB.
fn give_back() {
    const LARGE: usize = 8 << 20;
    drop(std::hint::black_box(Vec::<u8>::with_capacity(LARGE)));
}

/// Changed packages are taken up like changed certificates, but by a thread of their own: compiling takes a while.
impl Reload for Current {
    fn poll(&self, now: Timestamp) {
        Self::poll(self, now);
        give_back();
    }
}

/// The configured services take their place in the diary before the first request.
async fn publish_services(config: &Config, store: &dyn Store) -> Result<(), AppError> {
    let services = config.service.iter().map(|entry| (entry.to_service(), None)).collect();
    let publish = PublishSlots { services, ..PublishSlots::default() };
    let failed = |source| AppError::Store { place: config.store.place(), source };
    publish_diary(store, publish).await.map_err(failed)
}

/// Letters to referrers whose address was not registered when they were written go to where it is registered now.
async fn redirect(config: &Config, store: &dyn Store) -> Result<(), AppError> {
    let failed = |source| AppError::Store { place: config.store.place(), source };
    let addresses = config.addresses();
    for depth in store.outbox_depth().map_err(failed)? {
        let destination = referrers::destination(&addresses, &depth.destination);
        let known = config.destination_find(&depth.destination).is_some();
        if known || config.destination_find(destination).is_none() {
            continue;
        }
        for state in [OutboxState::Queued, OutboxState::Parked] {
            let of = Page {
                state: Some(state.as_str().to_owned()),
                destination: Some(depth.destination.clone()),
                limit: usize::MAX,
            };
            let mut letters = store.outbox_list(&of).map_err(failed)?;
            letters.sort_by_key(|letter| letter.id);
            for letter in letters {
                let redirected = Settlement::Redirected { destination: destination.to_owned() };
                store.outbox_settle(letter.id, redirected).await.map_err(failed)?;
            }
        }
    }
    Ok(())
}

/// Publishes a diary through the same door as everything else.
pub async fn publish_diary(store: &dyn Store, publish: PublishSlots) -> Result<(), StoreError> {
    let message = Message {
        id: Uuid::now_v7(),
        received_at: Timestamp::now(),
        channel: "cli",
        caller: "onward".into(),
        organisation: String::new(),
        kind: "diary".into(),
        key: None,
        correlation: String::new(),
        bundle: String::new(),
        body: Vec::new(),
        issues: Vec::new(),
        feed: None,
    };
    let answer = Box::new(|_: &Result<_, _>| Answer { status: 200, ..Answer::default() });
    let work = Work::Decide { command: Box::new(Command::PublishSlots(publish)), answer };
    match store.submit(message, work).await? {
        Verdict::Accepted { .. } => Ok(()),
        _ => Err(StoreError::Refused("the diary was refused")),
    }
}

fn start_outbox(
    config: &Config,
    store: &Arc<dyn Store>,
    clients: &Clients,
    shutdown: &CancellationToken,
    tracker: &TaskTracker,
) -> Result<OutboxHandle, AppError> {
    let destinations = config.destination.iter().map(|it| {
        let client = clients.iter().find(|(name, _)| *name == it.name).map(|(_, client)| Arc::clone(client));
        Ok(Destination::from_config(it, client.map(|client| outbound_tls(it, client)).transpose()?))
    });
    let destinations = destinations.collect::<Result<Vec<_>, AppError>>()?;
    Ok(Outbox::start(Arc::clone(store), destinations, shutdown, tracker))
}

fn outbound_tls(it: &config::Destination, client: Arc<ReloadingClient>) -> Result<outbox::destination::Tls, AppError> {
    let name = it.tls.as_ref().and_then(|tls| tls.server_name.clone()).unwrap_or_else(|| it.host.clone());
    let server_name = ServerName::try_from(name)
        .map_err(|_| AppError::Config(format!("destination {}: the server's name is no host name", it.name)))?;
    Ok(outbox::destination::Tls { server_name, config: Arc::new(move || client.config()) })
}

fn settings(config: &Arc<Config>, outbox: &OutboxHandle, library: &Arc<Current>) -> Result<Settings, AppError> {
    let outbox = outbox.clone();
    let closed = Arc::clone(config);
    Ok(Settings {
        sandbox: config.environment.is_sandbox(),
        json: json::Limits {
            bytes_max: config.https.inflated_bytes_max.max(config.https.body_bytes_max),
            depth_max: config.https.json_depth_max,
            ..json::Limits::default()
        },
        entries_max: config.https.entries_max,
        library: Arc::clone(library),
        policies: config.policies(),
        case_system: reply::case_system(&config.https.host),
        closed: Arc::new(move |code| {
            let today = Timestamp::now().to_zoned(TimeZone::UTC).date();
            closed.organisation.iter().any(|it| it.ods == *code && it.is_closed(today))
        }),
        render: render(config)?,
        wake: Arc::new(move || outbox.wake()),
    })
}

/// How each destination's messages look is settled at start, so that nothing can fail inside a transaction.
fn render(config: &Config) -> Result<Render, AppError> {
    let channels: Vec<(String, Channel)> = config
        .destination
        .iter()
        .map(|it| {
            let channel = it
                .channel
                .clone()
                .try_into()
                .map_err(|error| AppError::Config(format!("destination {}: channel: {error}", it.name)))?;
            Ok((it.name.clone(), channel))
        })
        .collect::<Result<_, AppError>>()?;
    Ok(Arc::new(move |notice, message| {
        let wanted = notice.service.destination.as_ref()?;
        let Some((name, channel)) = channels.iter().find(|(name, _)| name == wanted) else {
            tracing::error!(destination = %wanted, service = %notice.service.id, "a service's destination is not configured");
            return None;
        };
        match pas::render(notice, channel, message) {
            Ok(rendered) => Some(letter(name, notice, rendered)),
            Err(error) => {
                tracing::error!(%error, %message, destination = %name, "a notice cannot be said to its destination");
                None
            }
        }
    }))
}

fn letter(destination: &str, notice: &Notice, rendered: pas::Rendered) -> Letter {
    Letter {
        destination: destination.to_owned(),
        key: notice.patient.id.0,
        event: rendered.event.to_owned(),
        control_id: rendered.control_id,
        body: rendered.body,
    }
}

fn front(config: &Config, intake: Arc<Intake>, base: String) -> Arc<Front> {
    let https = &config.https;
    let limits = http::Limits {
        header_bytes_max: https.header_bytes_max,
        body_bytes_max: https.body_bytes_max,
        inflated_bytes_max: https.inflated_bytes_max,
        request_timeout_ms: https.request_timeout_ms,
        answer_timeout_ms: https.answer_timeout_ms,
        slot_range_days_max: https.slot_range_days_max,
        rate_per_second: https.rate_per_second,
        work_max: https.work_max,
        waiting_max: https.waiting_max,
    };
    let systems = Systems::new(config.system.clone(), https.client_auth == ClientAuth::Off);
    Arc::new(Front::new(intake, systems, base, limits))
}

fn server_settings(
    config: &Config,
    listener: TcpListener,
    tls: &Arc<ReloadingServer>,
    beats: &Heartbeats,
) -> ServerSettings {
    let beats = beats.clone();
    ServerSettings {
        listener,
        tls: Arc::clone(tls),
        limits: config.https.clone(),
        pulse: Arc::new(move || {
            let beat = beats.register();
            Box::new(move || beat.beat())
        }),
    }
}

/// The channels that HL7 v2 comes in by, with the certificates of those that speak TLS.
async fn listen_mllp(
    channels: &Channels,
    heard: &Heard,
    config: &Config,
    intake: &Arc<Intake>,
    pauses: &Pauses,
    (shutdown, tracker): (&CancellationToken, &TaskTracker),
) -> Result<Vec<(String, SocketAddr)>, AppError> {
    let mut listening = Vec::new();
    for ((channel, tls), heard) in channels.iter().zip(heard) {
        let what = format!("mllp {}: {}", channel.name, channel.listen);
        let listener = tokio::net::TcpListener::bind(channel.listen).await.map_err(io(&what))?;
        let address = listener.local_addr().map_err(io(&what))?;
        let source = tls.clone().map(|tls| Arc::new(move || Arc::new(tls.config())) as mllp::TlsSource);
        let options = mllp::Options::from_config(channel, &config.system, source);
        let options = mllp::Options { paused: pauses.of(&channel.name), ..options };
        mllp::listen(listener, options, hl7_handler(channel, heard, config, intake)?, shutdown, tracker);
        listening.push((channel.name.clone(), address));
    }
    Ok(listening)
}

fn hl7_handler(
    channel: &config::Mllp,
    heard: &Arc<AtomicI64>,
    config: &Config,
    intake: &Arc<Intake>,
) -> Result<mllp::Handler, AppError> {
    let feed = Arc::new(feed(channel, config)?);
    let (intake, heard) = (Arc::clone(intake), Arc::clone(heard));
    // A bulk load has one place before the writer, however many connections it comes by.
    let place = channel.bulk.then(|| Arc::new(Semaphore::new(1)));
    Ok(Arc::new(move |message, _peer| {
        heard.store(Timestamp::now().as_second(), Ordering::Relaxed);
        let (intake, feed, place) = (Arc::clone(&intake), Arc::clone(&feed), place.clone());
        Box::pin(async move {
            let _turn = match place {
                Some(place) => place.acquire_owned().await.ok(),
                None => None,
            };
            intake.receive_hl7(&feed, message).await
        })
    }))
}

/// How the messages of a channel are read, and what referrers are told of them, settled at start.
pub fn feed(channel: &config::Mllp, config: &Config) -> Result<Feed, AppError> {
    let dialect = Dialect::read(&channel.channel)
        .map_err(|error| AppError::Config(format!("mllp {}: channel: {error}", channel.name)))?;
    let tell = referrers::tell(config.addresses(), reply::case_system(&config.https.host));
    Ok(Feed { channel: channel.name.clone(), organisation: channel.organisation.clone(), dialect, tell })
}

/// Channels that HL7 v2 comes in by, with the certificates of those that speak TLS.
type Channels = Vec<(config::Mllp, Option<Arc<ReloadingServer>>)>;

fn load_channels(config: &Config) -> Result<Channels, AppError> {
    let load = |channel: &config::Mllp| {
        let Some(files) = &channel.tls else { return Ok((channel.clone(), None)) };
        let client_auth =
            if files.client_ca.is_some() { tls::server::ClientAuth::Required } else { tls::server::ClientAuth::Off };
        let settings = tls::ServerTls {
            cert: files.cert.clone(),
            key: files.key.clone(),
            client_ca: files.client_ca.clone(),
            client_auth,
            crl: None,
            host: None,
        };
        let what = format!("mllp {}", channel.name);
        let server =
            ReloadingServer::load(settings, Timestamp::now()).map_err(|source| AppError::Tls { what, source })?;
        Ok((channel.clone(), Some(server)))
    };
    config.mllp.iter().map(load).collect()
}

/// Starts logging and measuring; to be called once, before anything else.
pub fn install_telemetry(config: &Config) -> Result<(), AppError> {
    telemetry::install(&config.log).map(drop).map_err(|error| AppError::Config(error.to_string()))
}
