//! From what the probes know to what is said: a pure function, and its shape on the wire
//! (draft-inadarei-api-health-check).

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Value, json};

use super::probe::Reading;
use super::sampler::Knowledge;
use super::{Certificate, DestinationHealth, FeedHealth, ProfilesHealth};
use crate::config::{self, Windows};
use crate::store::OutboxDepth;
use crate::store::ledger::Ledger;

const DAY_S: i64 = 86_400;

/// How it goes; the worst of several is the greatest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// Well.
    Pass = 0,
    /// It works, but somebody should look.
    Warn = 1,
    /// It does not work, or nobody can say that it does.
    Fail = 2,
}

/// One thing that was looked at.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Check {
    /// What was looked at: `store`, `ledger`, `outbox`, `destination`, `certificate`, `profiles`, `api`, `feed`.
    #[serde(skip)]
    pub component: &'static str,
    /// What was measured.
    #[serde(skip)]
    pub measurement: &'static str,
    /// Which one, where there are several.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub component_id: Option<String>,
    /// How it goes.
    pub status: State,
    /// Since when.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
    /// When it was last heard of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time: Option<Timestamp>,
    /// Did it fail because no answer came in time?
    pub timeout: bool,
    /// What it answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub response_code: Option<String>,
    /// A number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_value: Option<i64>,
    /// What the number counts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_unit: Option<&'static str>,
    /// What is wrong, in words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output: Option<String>,
}

impl Check {
    fn new(component: &'static str, measurement: &'static str, status: State) -> Self {
        Self {
            component,
            measurement,
            component_id: None,
            status,
            since: None,
            time: None,
            timeout: false,
            response_code: None,
            observed_value: None,
            observed_unit: None,
            output: None,
        }
    }

    fn late(component: &'static str, measurement: &'static str, since: Timestamp) -> Self {
        let output = Some("it does not answer".into());
        Self { since: Some(since), timeout: true, output, ..Self::new(component, measurement, State::Fail) }
    }

    /// Not looked at yet: nobody can say that it is well, but it is too early to complain.
    fn unknown(component: &'static str, measurement: &'static str) -> Self {
        Self { output: Some("not known yet".into()), ..Self::new(component, measurement, State::Warn) }
    }

    fn observed(mut self, value: i64, unit: &'static str) -> Self {
        self.observed_value = Some(value);
        self.observed_unit = Some(unit);
        self
    }
}

/// Everything that is known, judged.
#[derive(Clone, Debug)]
pub struct Report {
    /// When.
    pub at: Timestamp,
    /// When the process started.
    pub started_at: Timestamp,
    /// What was looked at.
    pub checks: Vec<Check>,
    /// Can messages be taken in and made durable? Proven, not assumed.
    pub is_ready: bool,
}

impl Report {
    /// The worst of all.
    pub fn state(&self) -> State {
        self.checks.iter().map(|check| check.status).max().unwrap_or(State::Pass)
    }

    /// The worst of each component.
    pub fn components(&self) -> BTreeMap<&'static str, State> {
        self.checks.iter().fold(BTreeMap::new(), |mut worst, check| {
            let state = worst.entry(check.component).or_insert(State::Pass);
            *state = check.status.max(*state);
            worst
        })
    }

    /// Body of `/_status`.
    pub fn to_json(&self) -> Value {
        let mut checks: BTreeMap<String, Vec<&Check>> = BTreeMap::new();
        for check in &self.checks {
            checks.entry(format!("{}:{}", check.component, check.measurement)).or_default().push(check);
        }
        let output: Vec<String> = self.checks.iter().filter_map(complaint).collect();
        json!({
            "status": self.state(),
            "version": env!("CARGO_PKG_VERSION"),
            "commit": option_env!("ONWARD_COMMIT"),
            "description": "onward, a referral gateway",
            "time": self.at,
            "startedAt": self.started_at,
            "ready": self.is_ready,
            "output": output.join("; "),
            "checks": checks,
        })
    }
}

fn complaint(check: &Check) -> Option<String> {
    let output = check.output.as_ref()?;
    let id = check.component_id.as_ref().map(|id| format!(" {id}")).unwrap_or_default();
    Some(format!("{}{id}: {output}", check.component))
}

/// Says what the knowledge amounts to.
pub(super) fn judge(known: &Knowledge, limits: &config::Status) -> Report {
    let (store, api) = (judge_store(known), judge_api(known));
    let is_ready = store.status == State::Pass && api.iter().all(is_serving);
    let mut checks = vec![store];
    checks.extend(api);
    checks.extend(known.ledger.as_ref().map(judge_ledger));
    checks.extend(judge_outbox(known, limits));
    checks.extend(judge_destinations(&known.destinations));
    checks.extend(judge_certificates(known, limits));
    checks.extend(known.profiles.as_ref().map(judge_profiles));
    checks.extend(judge_feeds(known));
    Report { at: known.now, started_at: known.started_at, checks, is_ready }
}

/// Some of the API's threads may be stuck; that it takes connections must be known, not assumed.
fn is_serving(check: &Check) -> bool {
    let worst = if check.measurement == "threads" { State::Warn } else { State::Pass };
    check.status <= worst
}

fn judge_store(known: &Knowledge) -> Check {
    let (component, measurement) = ("store", "durability");
    match &known.database {
        None => Check {
            output: Some("there is no store".into()),
            since: Some(known.started_at),
            ..Check::new(component, measurement, State::Fail)
        },
        Some(Reading::Unknown) => Check::unknown(component, measurement),
        Some(Reading::Late(since)) => Check::late(component, measurement, *since),
        Some(Reading::Known(found, _)) => Check {
            component_id: Some(found.name.into()),
            since: Some(found.since),
            time: found.last_commit,
            output: found.failure.clone(),
            ..Check::new(component, measurement, if found.failure.is_some() { State::Fail } else { State::Pass })
        },
    }
}

fn judge_api(known: &Knowledge) -> Vec<Check> {
    let connection = known.api.as_ref().map(|reading| match reading {
        Reading::Unknown => Check::unknown("api", "connection"),
        Reading::Late(since) => Check::late("api", "connection", *since),
        Reading::Known(Ok(()), at) => Check { time: Some(*at), ..Check::new("api", "connection", State::Pass) },
        Reading::Known(Err(error), at) => {
            Check { time: Some(*at), output: Some(error.clone()), ..Check::new("api", "connection", State::Fail) }
        }
    });
    connection.into_iter().chain(judge_api_threads(known.api_threads)).collect()
}

/// One stuck thread holds up its own callers; with all of them stuck nobody is served.
fn judge_api_threads((all, stuck): (usize, usize)) -> Option<Check> {
    let state = match stuck {
        0 => State::Pass,
        _ if stuck == all => State::Fail,
        _ => State::Warn,
    };
    let output = (stuck != 0).then(|| format!("{stuck} of {all} threads are stuck"));
    let check = Check { output, timeout: stuck != 0, ..Check::new("api", "threads", state) };
    (all != 0).then(|| check.observed(all as i64 - stuck as i64, "threads free to work"))
}

fn judge_outbox(known: &Knowledge, limits: &config::Status) -> Vec<Check> {
    match &known.outbox {
        None => Vec::new(),
        Some(Reading::Unknown) => vec![Check::unknown("outbox", "oldest")],
        Some(Reading::Late(since)) => vec![Check::late("outbox", "oldest", *since)],
        Some(Reading::Known(Err(error), at)) => {
            let check = Check::new("outbox", "oldest", State::Fail);
            vec![Check { output: Some(error.clone()), time: Some(*at), ..check }]
        }
        Some(Reading::Known(Ok(depths), _)) => {
            depths.iter().flat_map(|depth| judge_depth(depth, known, limits)).collect()
        }
    }
}

/// The time outside of a destination's delivery windows does not count: nothing was to be sent then.
fn judge_depth(depth: &OutboxDepth, known: &Knowledge, limits: &config::Status) -> [Check; 3] {
    let destinations = if let Reading::Known(found, _) = &known.destinations { found.as_slice() } else { &[] };
    let windows = destinations.iter().find(|it| it.name == depth.destination).map(|it| &it.windows);
    let waited = |at| windows.unwrap_or(&Windows::default()).open_seconds(at, known.now);
    let age_s = depth.oldest.map_or(0, waited);
    let state = match u64::try_from(age_s).unwrap_or(0) {
        age if limits.undelivered_fail_s < age => State::Fail,
        age if limits.undelivered_warn_s < age => State::Warn,
        _ => State::Pass,
    };
    let id = Some(depth.destination.clone());
    let late = (state != State::Pass).then(|| format!("the oldest message has waited for {age_s} s"));
    let parked = (depth.parked != 0).then(|| format!("{} messages are parked: somebody must look", depth.parked));
    let parked_state = if depth.parked == 0 { State::Pass } else { State::Warn };
    [
        Check { component_id: id.clone(), ..Check::new("outbox", "queued", State::Pass) }
            .observed(depth.queued as i64, "messages"),
        Check { component_id: id.clone(), output: parked, ..Check::new("outbox", "parked", parked_state) }
            .observed(depth.parked as i64, "messages"),
        Check { component_id: id, output: late, since: depth.oldest, ..Check::new("outbox", "oldest", state) }
            .observed(age_s, "s"),
    ]
}

/// A store that cannot be read is complained of by its own check.
fn judge_ledger(known: &Reading<Result<Ledger, String>>) -> Check {
    let (component, measurement) = ("ledger", "balance");
    match known {
        Reading::Unknown => Check::unknown(component, measurement),
        Reading::Late(since) => Check { status: State::Warn, ..Check::late(component, measurement, *since) },
        Reading::Known(Err(error), at) => {
            let check = Check::new(component, measurement, State::Warn);
            Check { output: Some(error.clone()), time: Some(*at), ..check }
        }
        Reading::Known(Ok(ledger), at) => {
            let state = if ledger.is_balanced() { State::Pass } else { State::Fail };
            let output = (!ledger.is_balanced()).then(|| format!("{ledger}: run onward ledger"));
            let check = Check::new(component, measurement, state).observed(ledger.received as i64, "messages");
            Check { output, time: Some(*at), ..check }
        }
    }
}

/// A destination that is down is a warning: messages are taken and kept; their age decides about more.
fn judge_destinations(known: &Reading<Vec<DestinationHealth>>) -> Vec<Check> {
    match known {
        Reading::Unknown => vec![Check::unknown("destination", "delivery")],
        Reading::Late(since) => vec![Check::late("destination", "delivery", *since)],
        Reading::Known(destinations, _) => destinations
            .iter()
            .flat_map(|it| [judge_destination(it)].into_iter().chain(judge_pause("destination", &it.name, it.paused)))
            .collect(),
    }
}

fn judge_destination(destination: &DestinationHealth) -> Check {
    Check {
        component_id: Some(destination.name.clone()),
        since: Some(destination.since),
        time: destination.last_response,
        timeout: destination.timeout,
        response_code: destination.response_code.clone(),
        output: (!destination.up).then(|| destination.last_error.clone().unwrap_or_else(|| "it is down".into())),
        ..Check::new("destination", "delivery", if destination.up { State::Pass } else { State::Warn })
    }
}

fn judge_certificates(known: &Knowledge, limits: &config::Status) -> Vec<Check> {
    match &known.certificates {
        Reading::Unknown => vec![Check::unknown("certificate", "expiry")],
        Reading::Late(since) => vec![Check::late("certificate", "expiry", *since)],
        Reading::Known(certificates, _) => {
            certificates.iter().map(|certificate| judge_certificate(certificate, known.now, limits)).collect()
        }
    }
}

fn judge_feeds(known: &Knowledge) -> Vec<Check> {
    match &known.feeds {
        None => Vec::new(),
        Some(Reading::Unknown) => vec![Check::unknown("feed", "silence")],
        Some(Reading::Late(since)) => vec![Check::late("feed", "silence", *since)],
        Some(Reading::Known(Err(error), at)) => {
            let check = Check::new("feed", "quarantine", State::Fail);
            vec![Check { output: Some(error.clone()), time: Some(*at), ..check }]
        }
        Some(Reading::Known(Ok(feeds), _)) => feeds
            .iter()
            .flat_map(|it| judge_feed(it, known.now).into_iter().chain(judge_pause("feed", &it.name, it.paused)))
            .collect(),
    }
}

/// What a person paused is a warning for as long as it lasts: it is easily forgotten.
fn judge_pause(component: &'static str, name: &str, paused: Option<Timestamp>) -> Option<Check> {
    let since = paused?;
    let (component_id, output) = (Some(name.to_owned()), Some(format!("a person has paused it at {since:.0}")));
    Some(Check { component_id, since: Some(since), output, ..Check::new(component, "pause", State::Warn) })
}

/// A hospital that says nothing on a working day is not well, or cannot be heard.
fn judge_feed(feed: &FeedHealth, now: Timestamp) -> [Check; 2] {
    let minutes = now.duration_since(feed.heard).as_secs().max(0) / 60;
    let silence = feed.silent.then(|| format!("nothing has been heard for {minutes} minutes"));
    let waiting =
        (feed.quarantined != 0).then(|| format!("{} messages are in quarantine: somebody must look", feed.quarantined));
    let silent = if feed.silent { State::Fail } else { State::Pass };
    let waits = if waiting.is_some() { State::Warn } else { State::Pass };
    let id = Some(feed.name.clone());
    [
        Check {
            component_id: id.clone(),
            output: silence,
            time: Some(feed.heard),
            ..Check::new("feed", "silence", silent)
        }
        .observed(minutes, "minutes"),
        Check { component_id: id, output: waiting, since: feed.oldest, ..Check::new("feed", "quarantine", waits) }
            .observed(feed.quarantined as i64, "messages"),
    ]
}

/// Refused packages are a warning: what was in force before still is.
fn judge_profiles(known: &Reading<ProfilesHealth>) -> Check {
    match known {
        Reading::Unknown => Check::unknown("profiles", "packages"),
        Reading::Late(since) => Check::late("profiles", "packages", *since),
        Reading::Known(found, at) => {
            let refused = (!found.refused.is_empty()).then(|| {
                format!("changed packages are refused, the old ones stay in force: {}", found.refused.join("; "))
            });
            let state = if refused.is_some() { State::Warn } else { State::Pass };
            let check = Check::new("profiles", "packages", state).observed(found.profiles as i64, "profiles");
            Check { since: Some(found.loaded_at), time: Some(*at), output: refused, ..check }
        }
    }
}

fn judge_certificate(certificate: &Certificate, now: Timestamp, limits: &config::Status) -> Check {
    let left_s = certificate.not_after.duration_since(now).as_secs();
    let days = left_s.div_euclid(DAY_S);
    let state = match days {
        _ if left_s <= 0 || days < limits.certificate_fail_days => State::Fail,
        _ if days < limits.certificate_warn_days => State::Warn,
        _ => State::Pass,
    };
    let output = match state {
        State::Pass => None,
        _ if left_s <= 0 => Some(format!("it expired on {}", certificate.not_after)),
        _ => Some(format!("it expires in {days} days")),
    };
    let check = Check::new("certificate", "expiry", state);
    Check { component_id: Some(certificate.name.clone()), output, ..check }.observed(days, "days")
}
