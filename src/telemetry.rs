//! Log lines and numbers.
//!
//! No patient data comes here, by construction rather than by care: what is logged is a sentence that is fixed
//! in the source, with these fields and no others:
//!
//! * ids that this gateway made: `message`, `letter`, `referral`, `appointment`, `patient` (UUIDs and row numbers);
//! * names from the configuration: `channel`, `destination`, `system`, `service`, `organisation`, `listener`;
//! * what happened: `outcome`, `status`, `code` (`ONW-…`), `event` (`REF^I12`), `attempt`, `count`, `bytes`;
//! * when and how long: `at`, `due_at`, `elapsed_ms`;
//! * where: `peer` (address), `place` (file and line), `thread`;
//! * `error`: the text of an error type of this gateway, none of which quotes a message.
//!
//! Bodies, headers, URLs, query strings and values from messages are never fields. Other people's libraries do
//! not know this rule (an HTTP/2 library at `debug` writes every header), so only their warnings and errors are
//! let through, whatever the configuration says. A panic is logged with its place, without its words.

use std::io::IsTerminal;
use std::sync::OnceLock;

use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use tracing::{Level, Metadata};
use tracing_subscriber::filter::{FilterExt, filter_fn};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer};

use crate::config::{Log, LogFormat};

/// The names of all numbers, so that nobody writes one by hand.
pub mod metric {
    macro_rules! metrics {
        ($($kind:ident $name:ident $text:literal $help:literal)*) => {
            $(#[doc = concat!($help, " (", stringify!($kind), " `", $text, "`)")] pub const $name: &str = $text;)*

            pub(super) fn describe() {
                $(metrics!(@describe $kind $name $help);)*
            }

            #[cfg(test)]
            pub(super) const ALL: &[(&str, &str)] = &[$((stringify!($kind), $text)),*];
        };
        (@describe counter $name:ident $help:literal) => { metrics::describe_counter!($name, $help) };
        (@describe gauge $name:ident $help:literal) => { metrics::describe_gauge!($name, $help) };
        (@describe histogram $name:ident $help:literal) => { metrics::describe_histogram!($name, $help) };
    }

    metrics! {
        counter MESSAGES "onward_messages_total" "HL7 v2 messages that came in, by `channel` and the state that they are in (`outcome`)."
        counter ISSUES "onward_issues_total" "Issues found in messages, by `code`."
        counter REQUESTS "onward_requests_total" "HTTP requests, by `route` and `status`."
        histogram REQUEST_SECONDS "onward_request_seconds" "Time from the first byte to the answer, by `route`."
        histogram COMMIT_SECONDS "onward_commit_seconds" "Time that a commit took to become durable."
        histogram COMMIT_MESSAGES "onward_commit_messages" "Submissions that shared a commit."
        counter STORE_FAILURES "onward_store_failures_total" "Commits that failed."
        counter DELIVERIES "onward_deliveries_total" "Attempts to deliver, by `destination` and `outcome`."
        histogram DELIVERY_SECONDS "onward_delivery_seconds" "Time from sending to acknowledgement, by `destination`."
        gauge OUTBOX_LETTERS "onward_outbox_letters" "Letters in the outbox, by `destination` and `state`."
        gauge OUTBOX_OLDEST_SECONDS "onward_outbox_oldest_seconds" "Age of the oldest undelivered letter, by `destination`."
        gauge LEDGER_MESSAGES "onward_ledger_messages" "Messages in each `state`, at the last whole look at the ledger."
        gauge LEDGER_FLAWS "onward_ledger_flaws" "Messages and letters that are gone, in no state or in more than one: not 0 is an alarm."
        gauge WORKLIST_OPEN "onward_worklist_open" "Entries of the worklist that a person has to decide, by `kind` and `grade`."
        gauge DESTINATION_UP "onward_destination_up" "1: the last attempt succeeded; by `destination`."
        gauge CERTIFICATE_DAYS "onward_certificate_days" "Days until a certificate expires, by `certificate`."
        histogram ACKNOWLEDGEMENT_SECONDS "onward_acknowledgement_seconds" "Time from the last byte of an HL7 v2 message to its answer, by `listener`."
        gauge FEED_HEARD_SECONDS "onward_feed_heard_seconds" "Time since something was heard on a channel of HL7 v2, by `channel`."
        counter FEED_LEAPS "onward_feed_leaps_total" "Leaps in the count of a sender (MSH-13), by `channel`: messages are missing."
        gauge FEED_QUARANTINED "onward_feed_quarantined" "Messages in quarantine, by `channel`; of very many only the oldest are counted."
        gauge PAUSED "onward_paused" "1: a person has paused it; by `direction` (`in`: a channel of HL7 v2, `out`: a destination) and `name`."
        gauge CONNECTIONS "onward_connections" "Open connections, by `listener`."
        counter CONNECTIONS_REFUSED "onward_connections_refused_total" "Connections refused, by `listener` and `reason`."
        counter PANICS "onward_panics_total" "Panics: each is a fault of this program."
        gauge STATUS "onward_status" "0 pass, 1 warn, 2 fail; by `check`, the whole as `all`."
    }
}

const SECONDS: [f64; 14] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];
const COUNTS: [f64; 9] = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0];

/// Why telemetry cannot start.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The filter cannot be read.
    #[error("log.level: {0}")]
    Filter(#[from] tracing_subscriber::filter::ParseError),
}

/// Starts logging and measuring, and sees to panics. A second call changes nothing.
pub fn install(log: &Log) -> Result<PrometheusHandle, TelemetryError> {
    let filter = EnvFilter::builder().parse(&log.level)?;
    let lines = match format(log) {
        LogFormat::Json => json().boxed(),
        LogFormat::Text => tracing_subscriber::fmt::layer().with_writer(std::io::stderr).boxed(),
    };
    // A process has one subscriber; in tests it is whoever came first.
    let _ = tracing_subscriber::registry().with(lines.with_filter(filter.and(filter_fn(is_ours_or_grave)))).try_init();
    log_panics();
    Ok(handle())
}

fn format(log: &Log) -> LogFormat {
    let seen = if std::io::stderr().is_terminal() { LogFormat::Text } else { LogFormat::Json };
    log.format.unwrap_or(seen)
}

fn json<S>() -> impl Layer<S>
where
    S: tracing::Subscriber + for<'a> tracing_subscriber::registry::LookupSpan<'a>,
{
    tracing_subscriber::fmt::layer()
        .json()
        .flatten_event(true)
        .with_current_span(true)
        .with_span_list(false)
        .with_writer(std::io::stderr)
}

/// Other libraries may write what they see of a message at `info` and below.
fn is_ours_or_grave(metadata: &Metadata<'_>) -> bool {
    let target = metadata.target();
    target == "onward" || target.starts_with("onward::") || *metadata.level() <= Level::WARN
}

/// The recorder of this process, installed at the first call; renders what was recorded.
pub fn handle() -> PrometheusHandle {
    static HANDLE: OnceLock<PrometheusHandle> = OnceLock::new();
    HANDLE.get_or_init(install_recorder).clone()
}

fn install_recorder() -> PrometheusHandle {
    let recorder = builder().build_recorder();
    let handle = recorder.handle();
    // Somebody else's recorder stays; ours then renders nothing, which is better than no start.
    let _ = metrics::set_global_recorder(recorder);
    metric::describe();
    handle
}

fn builder() -> PrometheusBuilder {
    let plain = PrometheusBuilder::new();
    // Buckets are refused only where they are empty, and these are not.
    let Ok(seconds) = plain.set_buckets_for_metric(Matcher::Suffix("_seconds".into()), &SECONDS) else {
        return PrometheusBuilder::new();
    };
    seconds
        .set_buckets_for_metric(Matcher::Suffix("_messages".into()), &COUNTS)
        .unwrap_or_else(|_| PrometheusBuilder::new())
}

/// A panic's words may quote what was being worked on, so they are not logged; its place is enough to find it.
fn log_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        let thread = std::thread::current();
        metrics::counter!(metric::PANICS).increment(1);
        tracing::error!(place, thread = thread.name().unwrap_or_default(), "panicked");
    }));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_rendered_with_their_help() {
        let handle = handle();
        metrics::counter!(metric::MESSAGES, "channel" => "test", "outcome" => "accepted").increment(2);
        metrics::histogram!(metric::REQUEST_SECONDS, "route" => "test").record(0.004);
        let text = handle.render();
        assert!(text.contains("# HELP onward_messages_total HL7 v2 messages that came in"), "{text}");
        assert!(text.contains(r#"onward_messages_total{channel="test",outcome="accepted"} 2"#), "{text}");
        assert!(text.contains(r#"onward_request_seconds_bucket{route="test",le="0.005"} 1"#), "{text}");
    }

    #[test]
    fn names_say_what_they_count() {
        for (kind, name) in metric::ALL {
            assert!(name.starts_with("onward_"), "{name}");
            assert_eq!(*kind == "counter", name.ends_with("_total"), "{name}");
        }
    }

    #[test]
    fn a_filter_that_cannot_be_read_is_refused() {
        assert!(install(&Log { level: "loud=very".into(), format: None }).is_err());
    }
}
