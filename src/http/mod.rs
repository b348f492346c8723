//! FHIR and BaRS over HTTPS. Every request comes to one function; what it is follows from the table of
//! interactions. Whatever fails is answered with an OperationOutcome, a panic included.

mod body;
mod form;
mod gate;
mod identify;
mod operations;
mod people;
mod reads;
mod server;
mod throttle;

pub use identify::{Peer, Systems};
pub use server::{Pulse, Server, ServerSettings};

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use actix_web::http::header;
use actix_web::web::Payload;
use actix_web::{HttpRequest, HttpResponse};
use futures_util::FutureExt;
use jiff::Timestamp;

use crate::bars::capability::{INTERACTIONS, Interaction, Kind, NOT_OFFERED, SCHEMA};
use crate::bars::headers::{self, Headers, Strictness};
use crate::bars::negotiate::CORE_VERSION;
use crate::bars::search::Params;
use crate::fhir::form::Form;
use crate::intake::{self, Caller, Intake, Reply};
use crate::issue::{
    CLIENT_UNKNOWN, HEADERS_TOO_LARGE, INTERNAL, Issue, Issues, METHOD_UNKNOWN, NOT_IMPLEMENTED, OVERLOADED,
    PATH_UNKNOWN, THROTTLED, TIMEOUT,
};
use gate::{Full, Gate, Pass};
use throttle::Throttle;

/// The path below which everything is.
pub const BASE: &str = "/FHIR/R4";

/// What answering a request needs.
pub struct Front {
    /// The use case.
    pub intake: Arc<Intake>,
    /// Who may call.
    pub systems: Systems,
    /// `https://host:port/FHIR/R4`.
    pub base: String,
    /// Limits of requests.
    pub limits: Limits,
    /// When it began to serve.
    pub started: Timestamp,
    throttle: Throttle,
    gate: Arc<Gate>,
}

/// Limits of requests; see `config::Https`.
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub struct Limits {
    pub header_bytes_max: usize,
    pub body_bytes_max: usize,
    pub inflated_bytes_max: usize,
    pub request_timeout_ms: u64,
    pub answer_timeout_ms: u64,
    pub slot_range_days_max: u32,
    pub rate_per_second: u32,
    pub work_max: usize,
    pub waiting_max: usize,
}

impl Front {
    /// Ready to answer.
    pub fn new(intake: Arc<Intake>, systems: Systems, base: String, limits: Limits) -> Self {
        let throttle = Throttle::new(limits.rate_per_second, systems.rates());
        let gate = Gate::new(limits.work_max, limits.waiting_max);
        Self { intake, systems, base, limits, started: Timestamp::now(), throttle, gate }
    }

    /// Answers a request, whatever it is.
    pub async fn serve(self: Arc<Self>, request: HttpRequest, payload: Payload) -> HttpResponse {
        let began = std::time::Instant::now();
        let route = route(request.method().as_str(), request.path());
        let name = route.as_ref().map_or("none", |(interaction, _)| interaction.path);
        let answered = AssertUnwindSafe(self.answer(&request, payload, route)).catch_unwind().await;
        let reply = answered.unwrap_or_else(|_| {
            tracing::error!(route = name, "a request panicked");
            intake::refusal(&Issue::new(&INTERNAL, "").into(), "Onward")
        });
        metrics::histogram!(crate::telemetry::metric::REQUEST_SECONDS, "route" => name)
            .record(began.elapsed().as_secs_f64());
        metrics::counter!(crate::telemetry::metric::REQUESTS, "route" => name, "status" => reply.status.to_string())
            .increment(1);
        let is_schema = name == SCHEMA && reply.status == 200;
        let form = if is_schema { None } else { Some(form::wanted(&request).unwrap_or_default()) };
        respond(&request, reply, form)
    }

    async fn answer(
        self: &Arc<Self>,
        request: &HttpRequest,
        payload: Payload,
        route: Result<(&'static Interaction, &str), Issue>,
    ) -> Reply {
        let (interaction, id) = match route {
            Ok(found) => found,
            Err(issue) => return intake::refusal(&issue.into(), "Onward"),
        };
        if self.limits.header_bytes_max < header_bytes(request) {
            return intake::refusal(&Issue::new(&HEADERS_TOO_LARGE, "").into(), "Onward");
        }
        let caller = self.systems.caller(request.conn_data::<Peer>());
        if let Some(caller) = &caller
            && !self.throttle.admit(&caller.system)
        {
            return intake::refusal(&Issue::new(&THROTTLED, "").into(), "Onward");
        }
        let (headers, issues) = read_headers(request, interaction.kind);
        match interaction.kind {
            Kind::ProcessMessage => self.process_message(request, payload, caller.as_ref(), headers, issues).await,
            Kind::Validate => self.validate(request, payload, caller.as_ref(), issues, id).await,
            kind if people::asks(kind) => self.people(request, payload, caller.as_ref(), issues, (kind, id)).await,
            kind => self.read(kind, request, caller.as_ref(), &headers, issues, id),
        }
    }

    async fn process_message(
        self: &Arc<Self>,
        request: &HttpRequest,
        payload: Payload,
        caller: Option<&Caller>,
        headers: Headers,
        mut issues: Issues,
    ) -> Reply {
        let body = match body::read(request, payload, &self.limits).await {
            Ok(body) => body,
            Err(issue) => return intake::refusal(&issue.into(), "Onward"),
        };
        if let Err(issue) = form::agrees(request, &body) {
            let later = std::mem::replace(&mut issues, issue.into());
            issues.extend(later);
        }
        let wait = std::time::Duration::from_millis(self.limits.answer_timeout_ms);
        let work = async {
            let Ok(_pass) = self.turn(caller).await else { return overloaded() };
            self.intake.process_message(caller, headers, issues, body).await
        };
        // The work goes on when the answer comes too late; the sender's retry then finds it in the ledger.
        match tokio::time::timeout(wait, work).await {
            Ok(reply) => reply,
            Err(_) => intake::refusal(&Issue::new(&TIMEOUT, "").into(), "Onward"),
        }
    }

    /// Waits until a message of the caller may be worked on.
    async fn turn(&self, caller: Option<&Caller>) -> Result<Pass, Full> {
        self.gate.enter(caller.map_or("", |caller| &caller.system)).await
    }

    fn read(
        &self,
        kind: Kind,
        request: &HttpRequest,
        caller: Option<&Caller>,
        headers: &Headers,
        mut issues: Issues,
        id: &str,
    ) -> Reply {
        if caller.is_none() && kind != Kind::Metadata {
            issues = Issue::new(&CLIENT_UNKNOWN, "").into();
        }
        if issues.has_errors() {
            return intake::refusal(&issues, "Onward");
        }
        let params = Params::read(request.query_string());
        let found = match people::allowed(caller) {
            Err(issue) if people::reads(kind) => Err(issue.into()),
            _ if people::reads(kind) => people::answer(self, kind, &params, id),
            _ => reads::answer(self, kind, &params, headers, id),
        };
        match found {
            Ok(body) => Reply { status: 200, body },
            Err(issues) => intake::refusal(&issues, "Onward"),
        }
    }
}

/// Nothing was done: the same may come again.
fn overloaded() -> Reply {
    intake::refusal(&Issue::new(&OVERLOADED, "").into(), "Onward")
}

/// As much as the request line and the headers take up, without the blanks and line ends between.
fn header_bytes(request: &HttpRequest) -> usize {
    let headers: usize = request.headers().iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
    headers + request.path().len() + request.query_string().len()
}

/// The interaction of a path, and the id in it.
fn route<'p>(method: &str, path: &'p str) -> Result<(&'static Interaction, &'p str), Issue> {
    let Some(path) = path.strip_prefix(BASE) else { return Err(Issue::new(&PATH_UNKNOWN, "http.path")) };
    let matching: Vec<_> = INTERACTIONS.iter().filter_map(|it| Some((it, matches(it.path, path)?))).collect();
    let head_as_get = if method == "HEAD" { "GET" } else { method };
    match matching.iter().find(|(it, _)| it.method == head_as_get) {
        Some((interaction, id)) => Ok((interaction, id)),
        None if !matching.is_empty() => Err(Issue::new(&METHOD_UNKNOWN, "http.method")),
        None if NOT_OFFERED.iter().any(|known| path.starts_with(known)) => {
            Err(Issue::new(&NOT_IMPLEMENTED, "http.path"))
        }
        None => Err(Issue::new(&PATH_UNKNOWN, "http.path")),
    }
}

/// The methods that a path takes (RFC 9110: a 405 names them).
fn allowed(path: &str) -> String {
    let path = path.strip_prefix(BASE).unwrap_or_default();
    let methods = INTERACTIONS.iter().filter(|it| matches(it.path, path).is_some()).map(|it| it.method);
    methods.map(|method| if method == "GET" { "GET, HEAD" } else { method }).collect::<Vec<_>>().join(", ")
}

/// What stands for the part in braces, empty where the pattern has none. `/Slot` is not `/Slot/`.
fn matches<'p>(pattern: &str, path: &'p str) -> Option<&'p str> {
    let encoded = pattern.replace('$', "%24");
    part(pattern, path).or_else(|| part(&encoded, path))
}

fn part<'p>(pattern: &str, path: &'p str) -> Option<&'p str> {
    let braces = pattern.split_once('{').and_then(|(start, rest)| Some((start, rest.split_once('}')?.1)));
    let Some((start, end)) = braces else { return (pattern == path).then_some("") };
    path.strip_prefix(start)?.strip_suffix(end).filter(|found| !found.contains('/'))
}

fn read_headers(request: &HttpRequest, kind: Kind) -> (Headers, Issues) {
    let get = |name: &str| request.headers().get(name).and_then(|value| value.to_str().ok());
    let strictness = match kind {
        // The standard's headers are for the standard's own interactions.
        Kind::Metadata | Kind::Validate | Kind::Schema => Strictness::Nothing,
        kind if people::asks(kind) || people::reads(kind) => Strictness::Nothing,
        Kind::ProcessMessage => Strictness::IdsAndTarget,
        _ => Strictness::Ids,
    };
    let (headers, mut issues) = headers::read(get, strictness);
    // The form comes first: nothing else can be said in a form that the caller cannot read.
    let mut found = Issues::default();
    let wanted = if kind == Kind::Schema { None } else { form::wanted(request).err() };
    wanted.into_iter().for_each(|issue| found.push(issue));
    if matches!(kind, Kind::ProcessMessage | Kind::Validate) || people::asks(kind) {
        form::sent(request).err().into_iter().for_each(|issue| found.push(issue));
    }
    found.extend(std::mem::take(&mut issues));
    (headers, found)
}

/// The answer in the form of FHIR that is wanted, or else a JSON Schema, with the echoed ids, gzipped where that is asked for and worth it.
fn respond(request: &HttpRequest, reply: Reply, form: Option<Form>) -> HttpResponse {
    let (body, media) = match form {
        None => (reply.body, "application/schema+json".to_owned()),
        Some(form) => {
            let (body, form) = form::written(reply.body, form);
            (body, format!("{}; version={CORE_VERSION}", form.media_type()))
        }
    };
    let status = actix_web::http::StatusCode::from_u16(reply.status)
        .unwrap_or(actix_web::http::StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = HttpResponse::build(status);
    response.insert_header((header::CONTENT_TYPE, media));
    for name in ["X-Request-Id", "X-Correlation-Id"] {
        if let Some(value) = request.headers().get(name) {
            response.insert_header((name, value.clone()));
        }
    }
    if reply.status == 405 {
        response.insert_header((header::ALLOW, allowed(request.path())));
    }
    if matches!(reply.status, 425 | 429 | 503) {
        response.insert_header((header::RETRY_AFTER, "1"));
    }
    match body::gzipped(request, &body) {
        Some(gzipped) => response.insert_header((header::CONTENT_ENCODING, "gzip")).body(gzipped),
        None => response.body(body),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(method: &str, path: &str) -> Result<Kind, &'static str> {
        route(method, path).map(|(interaction, _)| interaction.kind).map_err(|issue| issue.code.id)
    }

    #[test]
    fn routes_follow_the_table() {
        assert_eq!(kind("POST", "/FHIR/R4/$process-message"), Ok(Kind::ProcessMessage));
        assert_eq!(kind("GET", "/FHIR/R4/Slot"), Ok(Kind::SlotSearch));
        assert_eq!(kind("GET", "/FHIR/R4/Appointment/"), Ok(Kind::AppointmentRead));
        assert_eq!(route("GET", "/FHIR/R4/Appointment/abc").unwrap().1, "abc");
        assert_eq!(kind("POST", "/FHIR/R4/%24validate"), Ok(Kind::Validate));
        assert_eq!(route("POST", "/FHIR/R4/Appointment/$validate").unwrap().1, "Appointment");
        assert_eq!(route("GET", "/FHIR/R4/StructureDefinition/UKCore-Patient/%24schema").unwrap().1, "UKCore-Patient");
    }

    #[test]
    fn what_is_not_in_the_table_is_named() {
        assert_eq!(kind("PUT", "/FHIR/R4/$process-message"), Err(METHOD_UNKNOWN.id));
        assert_eq!(kind("GET", "/FHIR/R4/Slots"), Err(PATH_UNKNOWN.id));
        assert_eq!(kind("GET", "/FHIR/R4/slot"), Err(PATH_UNKNOWN.id));
        assert_eq!(kind("GET", "/"), Err(PATH_UNKNOWN.id));
        assert_eq!(kind("POST", "/FHIR/R4/DocumentReference"), Err(NOT_IMPLEMENTED.id));
        assert_eq!(allowed("/FHIR/R4/$process-message"), "POST");
        assert_eq!(allowed("/FHIR/R4/Slot"), "GET, HEAD");
    }
}
