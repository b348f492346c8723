//! What can be wrong although every setting is of its kind: files that are missing, names that are there
//! twice or point nowhere, limits that let nothing pass. Everything is found, not the first thing only.

use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;

use tokio_postgres::config::Host;

use super::{ClientAuth, Config, Destination, DestinationKind, Mllp, OnRefusal, System, Windows};
use crate::booking::identifier::OdsCode;
use crate::issue::Severity;
use crate::pas::channel::Channel;
use crate::pas::inbound::dialect::Dialect;
use crate::profile::policy::Which;

/// One thing that is wrong with a configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// With [`Severity::Error`] the gateway does not start.
    pub severity: Severity,
    /// The setting: `https.cert`, `service[0].destination`.
    pub setting: String,
    /// What is wrong with it.
    pub text: String,
}

impl Finding {
    /// Does the gateway not start with it?
    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let severity = if self.severity == Severity::Error { "error" } else { "warning" };
        write!(f, "{severity}: {}: {}", self.setting, self.text)
    }
}

#[derive(Default)]
struct Findings(Vec<Finding>);

impl Findings {
    fn error(&mut self, setting: impl Into<String>, text: impl Into<String>) {
        self.0.push(Finding { severity: Severity::Error, setting: setting.into(), text: text.into() });
    }

    fn warning(&mut self, setting: impl Into<String>, text: impl Into<String>) {
        self.0.push(Finding { severity: Severity::Warning, setting: setting.into(), text: text.into() });
    }

    fn error_if(&mut self, wrong: bool, setting: impl Into<String>, text: impl Into<String>) {
        if wrong {
            self.error(setting, text);
        }
    }

    fn positive(&mut self, setting: impl Into<String>, value: u64) {
        self.error_if(value == 0, setting, "must be more than 0");
    }

    fn file(&mut self, setting: impl Into<String>, path: &Path) {
        self.error_if(!path.is_file(), setting, format!("there is no file {}", path.display()));
    }

    fn name(&mut self, setting: impl Into<String>, name: &str) {
        self.error_if(name.trim().is_empty(), setting, "is required");
    }

    /// Nothing may be there twice; answers nothing, says each repeat with its place.
    fn distinct<T: Ord + fmt::Display>(&mut self, items: impl IntoIterator<Item = (String, T)>) {
        let mut first = BTreeMap::new();
        for (setting, item) in items {
            match first.get(&item) {
                Some(other) => self.error(setting, format!("{item} is there twice; first as {other}")),
                None => drop(first.insert(item, setting)),
            }
        }
    }
}

impl Config {
    /// Everything that is wrong; with an error in it the gateway does not start.
    pub fn check(&self) -> Vec<Finding> {
        let mut findings = Findings::default();
        check_general(self, &mut findings);
        check_https(self, &mut findings);
        check_addresses(self, &mut findings);
        self.mllp.iter().enumerate().for_each(|(i, it)| check_mllp(&format!("mllp[{i}]"), it, &mut findings));
        check_speakers(self, &mut findings);
        self.system.iter().enumerate().for_each(|(i, it)| check_system(&format!("system[{i}]"), it, &mut findings));
        check_validation(self, &mut findings);
        check_names(self, &mut findings);
        check_services(self, &mut findings);
        for (index, destination) in self.destination.iter().enumerate() {
            check_destination(&format!("destination[{index}]"), destination, &mut findings);
        }
        check_referrers(self, &mut findings);
        check_production(self, &mut findings);
        findings.0
    }
}

fn check_store(config: &Config, findings: &mut Findings) {
    let store = &config.store;
    findings.positive("store.queue_max", store.queue_max as u64);
    findings.error_if(!(1..=32).contains(&store.writers), "store.writers", "must be from 1 to 32");
    let Some(url) = &store.url else {
        let folder = store.path.parent().filter(|folder| !folder.as_os_str().is_empty());
        let homeless = folder.is_some_and(|folder| !folder.is_dir());
        return findings.error_if(homeless, "store.path", format!("there is no folder for {}", store.path.display()));
    };
    // What the parser says of it may quote it.
    let Ok(database) = url.parse::<tokio_postgres::Config>() else {
        return findings.error("store.url", "is no URL of a PostgreSQL database");
    };
    let secret = database.get_password().is_some();
    findings.error_if(secret, "store.url", "holds a password: it belongs into the file of store.password_file");
    findings.error_if(database.get_hosts().is_empty(), "store.url", "names no host");
    let remote = database.get_hosts().iter().any(is_remote) && store.ca.is_none();
    let open = remote && !config.environment.is_sandbox();
    findings.error_if(open, "store.ca", "must be set in production: patients' data goes over the network");
    for (setting, file) in [("store.password_file", &store.password_file), ("store.ca", &store.ca)] {
        let missing = file.as_ref().filter(|file| !file.is_file());
        missing.iter().for_each(|file| findings.error(setting, format!("there is no file {}", file.display())));
    }
}

/// Does what is said to it leave the machine?
fn is_remote(host: &Host) -> bool {
    let Host::Tcp(name) = host else { return false };
    name != "localhost" && !name.parse().is_ok_and(|address: IpAddr| address.is_loopback())
}

fn check_general(config: &Config, findings: &mut Findings) {
    check_store(config, findings);
    findings.positive("status.sample_interval_ms", config.status.sample_interval_ms);
    findings.positive("status.sample_timeout_ms", config.status.sample_timeout_ms);
    let status = &config.status;
    let reversed = status.undelivered_fail_s < status.undelivered_warn_s;
    findings.error_if(reversed, "status.undelivered_fail_s", "is less than undelivered_warn_s");
    let reversed = status.certificate_warn_days < status.certificate_fail_days;
    findings.error_if(reversed, "status.certificate_warn_days", "is less than certificate_fail_days");
    if let Err(error) = tracing_subscriber::EnvFilter::builder().parse(&config.log.level) {
        findings.error("log.level", error.to_string());
    }
    let forgetful = config.retention.messages_days != 0;
    findings.error_if(forgetful, "retention.messages_days", "must be 0: nothing is deleted by this version");
}

fn check_https(config: &Config, findings: &mut Findings) {
    let https = &config.https;
    findings.name("https.host", &https.host);
    findings.file("https.cert", &https.cert);
    findings.file("https.key", &https.key);
    https.client_ca.iter().for_each(|path| findings.file("https.client_ca", path));
    https.crl.iter().for_each(|path| findings.file("https.crl", path));
    let unchecked = https.client_auth != ClientAuth::Off && https.client_ca.is_none();
    findings.error_if(unchecked, "https.client_ca", "is required, because client_auth is not off");
    for (name, limit) in [
        ("body_bytes_max", https.body_bytes_max),
        ("inflated_bytes_max", https.inflated_bytes_max),
        ("json_depth_max", https.json_depth_max),
        ("entries_max", https.entries_max),
        ("header_bytes_max", https.header_bytes_max),
        ("connections_max", https.connections_max),
        ("handshake_timeout_ms", https.handshake_timeout_ms as usize),
        ("request_timeout_ms", https.request_timeout_ms as usize),
        ("work_max", https.work_max),
        ("slot_range_days_max", https.slot_range_days_max as usize),
    ] {
        findings.positive(format!("https.{name}"), limit as u64);
    }
    let deep = 120 < https.json_depth_max;
    findings.error_if(deep, "https.json_depth_max", "must be at most 120: the parser reads no deeper");
}

fn check_addresses(config: &Config, findings: &mut Findings) {
    let mllp = config.mllp.iter().enumerate().map(|(i, it)| (format!("mllp[{i}].listen"), it.listen));
    let own = [("https.listen".to_owned(), config.https.listen), ("status.listen".to_owned(), config.status.listen)];
    let fixed = |(_, address): &(String, SocketAddr)| address.port() != 0;
    findings.distinct(own.into_iter().chain(mllp).filter(fixed));
}

fn check_mllp(at: &str, listener: &Mllp, findings: &mut Findings) {
    findings.name(format!("{at}.name"), &listener.name);
    findings.positive(format!("{at}.message_bytes_max"), listener.message_bytes_max as u64);
    findings.positive(format!("{at}.connections_max"), listener.connections_max as u64);
    findings.positive(format!("{at}.handshake_timeout_ms"), listener.handshake_timeout_ms);
    findings.positive(format!("{at}.message_timeout_ms"), listener.message_timeout_ms);
    let hours = 0 <= listener.busy_from_hour && listener.busy_from_hour < listener.busy_until_hour;
    let text = "must be an hour before busy_until_hour, which is 24 at most";
    findings.error_if(!hours || 24 < listener.busy_until_hour, format!("{at}.busy_from_hour"), text);
    if !listener.organisation.is_empty()
        && let Err(error) = OdsCode::parse(&listener.organisation)
    {
        findings.error(format!("{at}.organisation"), error.to_string());
    }
    if let Some(tls) = &listener.tls {
        findings.file(format!("{at}.tls.cert"), &tls.cert);
        findings.file(format!("{at}.tls.key"), &tls.key);
        tls.client_ca.iter().for_each(|path| findings.file(format!("{at}.tls.client_ca"), path));
    }
    let unseen = listener.tls.as_ref().is_none_or(|tls| tls.client_ca.is_none());
    let text = "are known by certificates, which are asked for only where tls.client_ca is set";
    findings.error_if(unseen && !listener.systems.is_empty(), format!("{at}.systems"), text);
    if let Err(error) = Dialect::read(&listener.channel) {
        findings.error(format!("{at}.channel"), error.to_string());
    }
}

fn check_speakers(config: &Config, findings: &mut Findings) {
    for (index, listener) in config.mllp.iter().enumerate() {
        let unknown = |name: &&String| config.system.iter().all(|system| system.id != **name);
        for name in listener.systems.iter().filter(unknown) {
            findings.error(format!("mllp[{index}].systems"), format!("{name:?} is not among the systems"));
        }
    }
}

fn check_system(at: &str, system: &System, findings: &mut Findings) {
    findings.name(format!("{at}.id"), &system.id);
    let faceless = system.certificate_sha256.is_empty() && system.common_name.is_none() && system.uri.is_none();
    findings.error_if(faceless, at, "needs certificate_sha256, common_name or uri to be recognised by");
    if system.organisations.is_empty() {
        findings.warning(format!("{at}.organisations"), "it may act for nobody, so everything it sends is refused");
    }
}

fn check_validation(config: &Config, findings: &mut Findings) {
    for (index, path) in config.validation.packages.iter().enumerate().filter(|(_, path)| !path.exists()) {
        let text = format!("there is no file or folder {}", path.display());
        findings.error(format!("validation.packages[{index}]"), text);
    }
    for rule in config.validation.rules.keys().filter(|rule| Which::parse(rule).is_none()) {
        let text =
            "is neither the code of a finding about content (ONW-2005 and following) nor a profile's URL with # or *";
        findings.error(format!("validation.rules.\"{rule}\""), text);
    }
}

fn check_names(config: &Config, findings: &mut Findings) {
    fn places<'a, T: 'a, N>(list: &str, key: &str, items: &'a [T], name: impl Fn(&'a T) -> N) -> Vec<(String, N)> {
        items.iter().enumerate().map(|(i, item)| (format!("{list}[{i}].{key}"), name(item))).collect()
    }
    findings.distinct(places("mllp", "name", &config.mllp, |it| it.name.as_str()));
    findings.distinct(places("system", "id", &config.system, |it| it.id.as_str()));
    findings.distinct(places("organisation", "ods", &config.organisation, |it| it.ods.as_str()));
    findings.distinct(places("service", "id", &config.service, |it| it.id.0.as_str()));
    findings.distinct(places("destination", "name", &config.destination, |it| it.name.as_str()));
    let faces = config.system.iter().enumerate().flat_map(|(i, system)| faces(&format!("system[{i}]"), system));
    findings.distinct(faces);
}

/// What a system is recognised by: no two may share one of them.
fn faces(at: &str, system: &System) -> Vec<(String, String)> {
    let prints = system.certificate_sha256.iter().map(|it| (format!("{at}.certificate_sha256"), it.as_str().into()));
    let name = system.common_name.iter().map(|it| (format!("{at}.common_name"), format!("CN={it}")));
    let uri = system.uri.iter().map(|it| (format!("{at}.uri"), format!("URI:{it}")));
    prints.chain(name).chain(uri).collect()
}

fn check_services(config: &Config, findings: &mut Findings) {
    for (index, service) in config.service.iter().enumerate() {
        let at = format!("service[{index}]");
        findings.name(format!("{at}.id"), &service.id.0);
        if let Some(name) = service.destination.as_deref().filter(|name| config.destination_find(name).is_none()) {
            findings.error(format!("{at}.destination"), format!("there is no destination of the name {name}"));
        }
        let function = service.treatment_function.as_deref();
        let odd = function.is_some_and(|code| code.len() != 3 || !code.bytes().all(|byte| byte.is_ascii_digit()));
        findings.error_if(odd, format!("{at}.treatment_function"), "a treatment function code has three digits");
        if !config.organisation.iter().any(|it| it.ods == service.organisation) {
            let text = format!("{} is not among the organisations", service.organisation.as_str());
            findings.warning(format!("{at}.organisation"), text);
        }
    }
}

fn check_destination(at: &str, destination: &Destination, findings: &mut Findings) {
    findings.name(format!("{at}.name"), &destination.name);
    findings.name(format!("{at}.host"), &destination.host);
    findings.positive(format!("{at}.port"), destination.port.into());
    findings.positive(format!("{at}.connections"), destination.connections as u64);
    findings.positive(format!("{at}.connect_timeout_ms"), destination.connect_timeout_ms);
    findings.positive(format!("{at}.ack_timeout_ms"), destination.ack_timeout_ms);
    findings.positive(format!("{at}.backoff_min_ms"), destination.backoff_min_ms);
    findings.positive(format!("{at}.ar_attempts_max"), destination.ar_attempts_max.into());
    if let Err(error) = serde_path_to_error::deserialize::<_, Channel>(destination.channel.clone()) {
        let setting = format!("{at}.channel.{}", error.path());
        findings.error(setting, error.into_inner().message());
    }
    if let Err((number, error)) = Windows::read(&destination.windows) {
        findings.error(format!("{at}.windows[{number}]"), error.to_string());
    }
    let day_ms = 86_400_000;
    findings.error_if(day_ms < destination.gap_min_ms, format!("{at}.gap_min_ms"), "is more than a day");
    for (name, then) in [("on_ae", destination.on_ae), ("on_ar", destination.on_ar)] {
        if then == OnRefusal::Skip {
            let text = "is skip: what the other side refuses it never learns, and no person is asked";
            findings.warning(format!("{at}.{name}"), text);
        }
    }
    let reversed = destination.backoff_max_ms < destination.backoff_min_ms;
    findings.error_if(reversed, format!("{at}.backoff_max_ms"), "is less than backoff_min_ms");
    if let Some(tls) = &destination.tls {
        findings.file(format!("{at}.tls.ca"), &tls.ca);
        tls.cert.iter().for_each(|path| findings.file(format!("{at}.tls.cert"), path));
        tls.key.iter().for_each(|path| findings.file(format!("{at}.tls.key"), path));
        let half = tls.cert.is_some() != tls.key.is_some();
        findings.error_if(half, format!("{at}.tls"), "cert and key are there together or not at all");
    }
}

/// Referrers are told over HTTPS only, and each at one place.
fn check_referrers(config: &Config, findings: &mut Findings) {
    let mut addresses = Vec::new();
    for (index, destination) in config.destination.iter().enumerate() {
        let at = format!("destination[{index}]");
        let bars = destination.kind == DestinationKind::Bars;
        let shows = destination.tls.as_ref().is_some_and(|tls| tls.cert.is_some());
        findings.error_if(bars && !shows, format!("{at}.tls"), "with cert and key is required where kind is bars");
        let slashed = destination.path.is_empty() || destination.path.starts_with('/');
        findings.error_if(!slashed, format!("{at}.path"), "must begin with /");
        let text = "is for destinations whose kind is bars";
        findings.error_if(!bars && !destination.addresses.is_empty(), format!("{at}.addresses"), text);
        findings.error_if(!bars && !destination.path.is_empty(), format!("{at}.path"), text);
        for (number, address) in destination.addresses.iter().enumerate() {
            let at = format!("{at}.addresses[{number}]");
            let whole = address.split_once('|').is_some_and(|(system, value)| !system.is_empty() && !value.is_empty());
            findings.error_if(!whole, &at, "must be <system>|<value>");
            addresses.push((at, address.as_str()));
        }
        let unlike = (destination.on_ae, destination.on_ar) != (OnRefusal::Park, OnRefusal::Retry);
        let text = "is for mllp: a referrer's refusal is always looked at by a person";
        findings.error_if(bars && unlike, format!("{at}.on_ae"), text);
        let told = config.service.iter().any(|service| service.destination.as_ref() == Some(&destination.name));
        findings.error_if(bars && told, format!("{at}.kind"), "bars is for referrers; services are told by mllp");
    }
    findings.distinct(addresses);
}

fn check_production(config: &Config, findings: &mut Findings) {
    if config.environment.is_sandbox() {
        return;
    }
    let open = config.https.client_auth != ClientAuth::Required;
    findings.error_if(open, "https.client_auth", "must be required in production");
    if config.system.is_empty() {
        findings.warning("system", "no client system is registered, so nobody can call");
    }
    for (index, _) in config.mllp.iter().enumerate().filter(|(_, it)| it.tls.is_none() && !it.listen.ip().is_loopback())
    {
        findings.warning(format!("mllp[{index}].tls"), "is not set: patient data comes in clear over this channel");
    }
    for (index, _) in config.destination.iter().enumerate().filter(|(_, it)| it.tls.is_none()) {
        findings.warning(format!("destination[{index}].tls"), "is not set: patient data goes out in clear");
    }
}
