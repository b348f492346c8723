//! Where the status page has its knowledge from.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use jiff::Timestamp;

use super::{Channels, Clients};
use crate::config::{self, Config, Windows};
use crate::outbox::OutboxHandle;
use crate::outbox::health::{Health, State};
use crate::profile::current::Current;
use crate::status::{Certificate, DestinationHealth, FeedHealth, Heartbeats, ProfilesHealth, Source, StatusSources};
use crate::store::Store;
use crate::store::act::Direction;
use crate::tls::{Expiry, ReloadingServer};

/// All but what the callers add.
pub(super) fn sources(
    config: &Config,
    store: &Arc<dyn Store>,
    outbox: &OutboxHandle,
    https: SocketAddr,
    api_heartbeats: Heartbeats,
) -> StatusSources {
    let outbox = outbox.clone();
    let windows: Vec<(String, Windows)> =
        config.destination.iter().map(|it| (it.name.clone(), Windows::read(&it.windows).unwrap_or_default())).collect();
    let windows = move |name: &str| windows.iter().find(|it| it.0 == name).map(|it| it.1.clone()).unwrap_or_default();
    StatusSources {
        store: Some(Arc::clone(store)),
        database_file: config.store.url.is_none().then(|| config.store.path.clone()),
        destinations: Box::new(move || {
            let said = |it: Health| DestinationHealth { windows: windows(&it.destination), ..health(it) };
            outbox.health().into_iter().map(said).collect()
        }),
        api_address: Some(https),
        api_heartbeats,
        ..StatusSources::default()
    }
}

/// Every certificate in use: those of the API, of destinations, and of the listeners for HL7 v2.
pub(super) fn certificates(
    tls: &Arc<ReloadingServer>,
    clients: &Clients,
    channels: &Channels,
) -> Source<Vec<Certificate>> {
    let (tls, clients, channels) = (Arc::clone(tls), clients.clone(), channels.clone());
    Box::new(move || {
        let of = |name: String, expiries: Vec<Expiry>| {
            expiries.into_iter().map(move |expiry| certificate(&name, expiry)).collect::<Vec<_>>()
        };
        let theirs = clients.iter().map(|(name, client)| of(format!("destination {name}"), client.expiries()));
        let listeners = channels
            .iter()
            .filter_map(|(channel, tls)| tls.as_ref().map(|tls| of(format!("mllp {}", channel.name), tls.expiries())));
        std::iter::once(of("https".to_owned(), tls.expiries())).chain(theirs).chain(listeners).flatten().collect()
    })
}

/// When something came last on each channel, in seconds since 1970.
pub(super) type Heard = Vec<Arc<AtomicI64>>;

/// What the status page tells of the channels of HL7 v2.
pub(super) fn feeds_health(
    config: &Arc<Config>,
    store: &Arc<dyn Store>,
    heard: Heard,
) -> Source<Result<Vec<FeedHealth>, String>> {
    /// More than this many are not counted: one is reason enough to look.
    const COUNTED_MAX: usize = 1000;
    let (config, store) = (Arc::clone(config), Arc::clone(store));
    Box::new(move || {
        let (now, waiting) = (Timestamp::now(), store.feed_list("quarantined", COUNTED_MAX));
        let waiting = waiting.map_err(|error| error.to_string())?;
        let pauses = store.pauses().map_err(|error| error.to_string())?;
        let health = |(channel, heard): (&config::Mllp, &Arc<AtomicI64>)| {
            let heard = Timestamp::from_second(heard.load(Ordering::Relaxed)).unwrap_or(now);
            let own = || waiting.iter().filter(|row| row.channel == channel.name);
            FeedHealth {
                name: channel.name.clone(),
                heard,
                silent: channel.is_silent(heard, now),
                quarantined: own().count(),
                oldest: own().next().map(|row| row.received_at),
                paused: pauses
                    .iter()
                    .find(|it| it.direction == Direction::In && it.name == channel.name)
                    .map(|it| it.since),
            }
        };
        Ok(config.mllp.iter().zip(&heard).map(health).collect())
    })
}

/// What the status page tells of the packages.
pub(super) fn profiles_health(library: &Arc<Current>) -> Source<ProfilesHealth> {
    let library = Arc::clone(library);
    Box::new(move || {
        let state = library.state();
        ProfilesHealth { loaded_at: state.loaded_at, profiles: state.profiles, refused: state.refused }
    })
}

fn certificate(of: &str, expiry: Expiry) -> Certificate {
    Certificate { name: format!("{of}: {}", expiry.name), not_after: expiry.not_after }
}

fn health(it: Health) -> DestinationHealth {
    let down = it.state == State::Down;
    DestinationHealth {
        up: !down,
        windows: Windows::default(),
        paused: it.paused,
        since: it.since,
        last_response: it.last_response,
        response_code: it.last_answer,
        timeout: down && it.last_error.as_deref() == Some("timeout"),
        last_error: it.last_error.filter(|_| down),
        name: it.destination,
    }
}
