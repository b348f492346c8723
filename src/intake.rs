//! The use case: receive, identify, remember, check, translate, decide, commit, answer, as a list of
//! calls. HTTP and MLLP share this and nothing else.

pub mod content;
pub mod examine;
pub mod hl7;
pub mod index;
mod leap;
pub mod referrers;

use std::collections::HashSet;
use std::sync::{Arc, Mutex};

use jiff::Timestamp;
use serde_json::Value;
use uuid::Uuid;

use crate::bars::check::{self, Message as Checked};
use crate::bars::headers::Headers;
use crate::bars::reply::Ids;
use crate::bars::translate::{self, Context};
use crate::bars::{capability, outcome};
use crate::booking::command::Command;
use crate::booking::decision::{Decision, Notice, Refusal};
use crate::booking::feed::Telling;
use crate::booking::identifier::{OdsCode, ServiceId};
use crate::booking::service::Service;
use crate::config::Organisations;
use crate::fhir::document::{Document, Part};
use crate::fhir::json::Limits;
use crate::fhir::splice::Places;
use crate::fhir::tape::{Kind, Tape};
use crate::fhir::view::{resource_type, str_at};
use crate::issue::{
    CLIENT_UNKNOWN, DUPLICATE, IN_FLIGHT, INTERNAL, Issue, Issues, ORGANISATION_CLOSED, ORGANISATION_FORBIDDEN,
    OVERLOADED, STORE_UNAVAILABLE, TARGET_UNKNOWN, TOO_MANY_ENTRIES, USE_CASE_UNSUPPORTED,
};
use crate::profile::current::Current;
use crate::profile::facts::r4;
use crate::profile::library::Library;
use crate::profile::policy::Policies;
use crate::profile::primitive::Primitive;
use crate::profile::validate::Request;
use crate::store::{Answer, AnswerFn, Letter, Message, Store, StoreError, Verdict, Work};

/// Who sent a request, as far as its certificate tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// The registered system.
    pub system: String,
    /// Whom it may act for.
    pub organisations: Organisations,
    /// It may ask the index of patients and change it.
    pub index: bool,
}

/// Renders what a destination is to be told; `None`: the service has no destination.
pub type Render = Arc<dyn Fn(&Notice, Uuid) -> Option<Letter> + Send + Sync>;

/// Renders what a referrer is to be told by a message; `None`: it cannot be said, which the log tells.
pub type Tell = Arc<dyn Fn(&Telling, Uuid) -> Option<Letter> + Send + Sync>;

/// What the use case needs to know.
pub struct Settings {
    /// The environment tolerates what the standard's examples do.
    pub sandbox: bool,
    /// Limits on JSON.
    pub json: Limits,
    /// Most entries of a Bundle.
    pub entries_max: usize,
    /// The definitions that content is checked by.
    pub library: Arc<Current>,
    /// How bad each finding is, for each system.
    pub policies: Policies,
    /// The system of case references.
    pub case_system: String,
    /// Is this organisation closed today?
    pub closed: Arc<dyn Fn(&OdsCode) -> bool + Send + Sync>,
    /// Renders notices for destinations.
    pub render: Render,
    /// Called after something was put into the outbox.
    pub wake: Arc<dyn Fn() + Send + Sync>,
}

/// The use case with everything that it works on.
pub struct Intake {
    store: Arc<dyn Store>,
    settings: Settings,
    in_flight: Mutex<HashSet<String>>,
    counts: leap::Counts,
}

/// What the caller is answered.
#[derive(Clone, Debug)]
pub struct Reply {
    /// HTTP status.
    pub status: u16,
    /// A FHIR resource.
    pub body: Vec<u8>,
}

/// A message that is to be decided on.
struct Translated {
    command: Command,
    ids: Ids,
    /// The message as JSON, which the reply is made of.
    json: Vec<u8>,
    /// Where the reply's ids go.
    places: Places,
}

impl Intake {
    /// Ready to receive.
    pub fn new(store: Arc<dyn Store>, settings: Settings) -> Self {
        Self { store, settings, in_flight: Mutex::default(), counts: leap::Counts::default() }
    }

    /// The store, for reads.
    pub fn store(&self) -> &Arc<dyn Store> {
        &self.store
    }

    /// The definitions in force.
    pub fn library(&self) -> Arc<Library> {
        self.settings.library.get()
    }

    /// Is this a test environment?
    pub fn sandbox(&self) -> bool {
        self.settings.sandbox
    }

    /// `POST /$process-message`.
    pub async fn process_message(
        self: &Arc<Self>,
        caller: Option<&Caller>,
        headers: Headers,
        mut issues: Issues,
        body: Vec<u8>,
    ) -> Reply {
        // Only a request that could be identified is put into the ledger.
        let key = headers.request.filter(|_| !issues.has_errors()).map(|id| format!("bars:{id}"));
        let _flight = match self.take_off(key.as_deref()) {
            Ok(flight) => flight,
            Err(issue) => return self.refusal(&issue.into(), None),
        };
        let service = self.service(&headers, &mut issues);
        let access = self.access(caller, &headers, service.as_ref());
        let key = key.filter(|_| access.is_ok());
        access.unwrap_or_else(|issue| issues.push(issue));
        let mut message = envelope(caller, &headers, key, body);
        if issues.has_errors() {
            return self.keep_refused(message, issues, service.as_ref()).await;
        }
        let outcome = self.decide(&mut message, &headers, service.as_ref());
        match outcome {
            Err(issues) => self.keep_refused(message, issues, service.as_ref()).await,
            Ok(decided) => self.submit(message, decided, service).await,
        }
    }

    /// One attempt at a time for each key.
    fn take_off(self: &Arc<Self>, key: Option<&str>) -> Result<Option<Flight>, Issue> {
        let Some(key) = key else { return Ok(None) };
        let mut flying = self.in_flight.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if !flying.insert(key.to_owned()) {
            return Err(Issue::new(&IN_FLIGHT, "http.X-Request-Id"));
        }
        Ok(Some(Flight { intake: Arc::clone(self), key: key.to_owned() }))
    }

    fn service(&self, headers: &Headers, issues: &mut Issues) -> Option<Service> {
        let target = headers.target.as_ref()?;
        match self.store.service_find(target) {
            Ok(Some(service)) => return Some(service),
            Ok(None) => issues.add(&TARGET_UNKNOWN, "http.NHSD-Target-Identifier"),
            Err(error) => issues.push(store_issue(&error)),
        }
        None
    }

    /// May this system speak for that organisation, and are both sides open?
    fn access(&self, caller: Option<&Caller>, headers: &Headers, service: Option<&Service>) -> Result<(), Issue> {
        const AT: &str = "http.NHSD-End-User-Organisation";
        let caller = caller.ok_or_else(|| Issue::new(&CLIENT_UNKNOWN, ""))?;
        if let Some(organisation) = &headers.organisation {
            if !caller.organisations.contains(organisation) {
                return Err(Issue::new(&ORGANISATION_FORBIDDEN, AT));
            }
            if (self.settings.closed)(organisation) {
                return Err(Issue::new(&ORGANISATION_CLOSED, AT));
            }
        }
        match service {
            Some(service) if (self.settings.closed)(&service.organisation) => {
                Err(Issue::new(&ORGANISATION_CLOSED, "http.NHSD-Target-Identifier"))
            }
            _ => Ok(()),
        }
    }

    /// Check and translate. What was found goes into the message's journal entry either way.
    fn decide(
        &self,
        message: &mut Message,
        headers: &Headers,
        service: Option<&Service>,
    ) -> Result<Translated, Issues> {
        let content = content::read(&message.body, &self.settings.json)?;
        let library = self.settings.library.get();
        let tape = library.validator.read(&content.json, &content.limits(&self.settings.json));
        let tape = tape.map_err(|error| content.fault(&error))?;
        let document = Document::of(&tape, r4().names());
        let mut issues = content.issues.clone();
        let found = content.placed(self.profile(&library, message, &tape, &document));
        // The first error decides the answer's code: R4's own shape, then the standard's rules, then profiles.
        let (of_r4, of_profiles) = found.into_parts(is_of_r4);
        issues.extend(of_r4);
        message.bundle = bundle_id(document.root()).to_owned();
        message.kind = kind(&document);
        let (checked, found) = check::check(&document, headers);
        issues.extend(found);
        issues.extend(of_profiles);
        let Some(checked) = checked else { return Err(issues) };
        if let Some(issue) = unsupported(&checked, service) {
            issues.push(issue);
        }
        let context = Context {
            correlation: message.correlation.clone(),
            now: message.received_at,
            sandbox: self.settings.sandbox,
        };
        let (translated, found) = translate::translate(&checked, &context);
        issues.extend(found);
        match translated.zip(Places::of(&document)) {
            Some(((command, ids), places)) if !issues.has_errors() => {
                message.issues = issues.iter().cloned().collect();
                let json = content.json.into_owned();
                Ok(Translated { command, ids, places, json })
            }
            _ => Err(issues),
        }
    }

    /// By the packages in force, as strictly as this sender's policy has it.
    fn profile(&self, library: &Library, message: &Message, tape: &Tape<'_>, document: &Document<'_>) -> Issues {
        let mut issues = Issues::default();
        if self.settings.entries_max < document.parts().len() {
            issues.add(&TOO_MANY_ENTRIES, "Bundle.entry");
        } else if resource_type(document.root()) == Some("Bundle") {
            let policy = self.settings.policies.of(&message.caller);
            // What is only good practice is told by `$validate`; a journal with some fifty such rows for every message
            // would be read by nobody.
            let request = Request { now: Some(message.received_at), brief: !policy.raises(), ..Request::default() };
            issues.extend(policy.apply(library.validator.check(tape, &request).issues));
        }
        issues
    }

    async fn keep_refused(&self, mut message: Message, issues: Issues, service: Option<&Service>) -> Reply {
        message.issues = issues.iter().cloned().collect();
        let reply = self.refusal(&issues, service);
        let answer = Answer { status: reply.status, body: Some(reply.body.clone()), letters: Vec::new() };
        match self.store.submit(message, Work::Refuse(answer)).await {
            Ok(verdict) => self.told(verdict, service).unwrap_or(reply),
            Err(error) => self.refusal(&store_issue(&error).into(), service),
        }
    }

    async fn submit(&self, message: Message, translated: Translated, service: Option<Service>) -> Reply {
        let Translated { command, ids, json, places } = translated;
        let answer = self.answer(message.id, receiver(service.as_ref()));
        let work = Work::Decide { command: Box::new(command), answer };
        match self.store.submit(message, work).await {
            Ok(Verdict::Accepted { decision, letters }) => {
                if 0 < letters {
                    (self.settings.wake)();
                }
                Reply { status: 200, body: ids.reply(&json, &places, &decision, &self.settings.case_system) }
            }
            Ok(verdict) => self.told(verdict, service.as_ref()).unwrap_or_else(|| self.internal(service.as_ref())),
            Err(error) => self.refusal(&store_issue(&error).into(), service.as_ref()),
        }
    }

    /// Rendered inside the transaction, so that the decision and what others are told of it are one.
    fn answer(&self, message: Uuid, who: String) -> AnswerFn {
        let render = Arc::clone(&self.settings.render);
        Box::new(move |result: &Result<Decision, Refusal>| match result {
            Ok(decision) => Answer {
                status: 200,
                body: None,
                letters: decision.notices.iter().filter_map(|notice| render(notice, message)).collect(),
            },
            Err(refusal) => {
                let issues = Issues::from((*refusal.issue).clone());
                Answer {
                    status: outcome::status_of(&issues),
                    body: Some(outcome::outcome(&issues, &who)),
                    letters: Vec::new(),
                }
            }
        })
    }

    /// The answer to anything but a success.
    fn told(&self, verdict: Verdict, service: Option<&Service>) -> Option<Reply> {
        match verdict {
            Verdict::Accepted { .. } => None,
            Verdict::Refused { answer, .. } | Verdict::Repeated { answer } => {
                Some(Reply { status: answer.status, body: answer.body.unwrap_or_default() })
            }
            Verdict::Duplicate { .. } => {
                Some(self.refusal(&Issue::new(&DUPLICATE, "http.X-Request-Id").into(), service))
            }
        }
    }

    fn internal(&self, service: Option<&Service>) -> Reply {
        self.refusal(&Issue::new(&INTERNAL, "").into(), service)
    }

    /// An OperationOutcome with the status of the first error.
    pub fn refusal(&self, issues: &Issues, service: Option<&Service>) -> Reply {
        refusal(issues, &receiver(service))
    }
}

/// An OperationOutcome with the status of the first error.
pub fn refusal(issues: &Issues, who: &str) -> Reply {
    Reply { status: outcome::status_of(issues), body: outcome::outcome(issues, who) }
}

/// How the receiver calls itself.
fn receiver(service: Option<&Service>) -> String {
    service.map_or("Onward", |service| service.organisation.as_str()).to_owned()
}

/// A key that is being worked on; it lands when this is dropped, however the request ended.
struct Flight {
    intake: Arc<Intake>,
    key: String,
}

impl Drop for Flight {
    fn drop(&mut self) {
        self.intake.in_flight.lock().unwrap_or_else(std::sync::PoisonError::into_inner).remove(&self.key);
    }
}

fn envelope(caller: Option<&Caller>, headers: &Headers, key: Option<String>, body: Vec<u8>) -> Message {
    Message {
        id: Uuid::now_v7(),
        received_at: Timestamp::now(),
        channel: "https",
        caller: caller.map(|caller| caller.system.clone()).unwrap_or_default(),
        organisation: headers.organisation.as_ref().map(|code| code.as_str().to_owned()).unwrap_or_default(),
        kind: "message".into(),
        key,
        correlation: headers.correlation.map(|id| id.to_string()).unwrap_or_default(),
        bundle: String::new(),
        body,
        issues: Vec::new(),
        feed: None,
    }
}

/// Is it about R4 itself, and not about a profile of it?
fn is_of_r4(issue: &Issue) -> bool {
    issue.rule.is_empty() || issue.rule.starts_with("http://hl7.org/fhir/")
}

/// `Bundle.id`, if it is one: it is listed and searched for, so it must not hold just anything.
fn bundle_id(value: &Value) -> &str {
    let is_id = |id: &&Value| id.as_str().is_some_and(|id| Primitive::Id.fault(Kind::Plain, id).is_none());
    value.get("id").filter(is_id).and_then(Value::as_str).unwrap_or_default()
}

/// What a message claims to be, if that is something that the standard has: event and reason.
fn kind(document: &Document<'_>) -> String {
    let header = document.parts().first().and_then(Part::resource);
    let known = |text: Option<&str>, known: &[&'static str]| known.iter().find(|it| Some(**it) == text).copied();
    let event = known(
        header.and_then(|header| str_at(header, "eventCoding.code")),
        &["servicerequest-request", "servicerequest-response", "booking-request", "booking-response"],
    );
    let reason = known(header.and_then(|header| str_at(header, "reason.coding.code")), &["new", "update", "delete"]);
    format!("{} {}", event.unwrap_or("message"), reason.unwrap_or_default()).trim().to_owned()
}

/// Known to the standard, but not offered by this service.
fn unsupported(checked: &Checked<'_>, service: Option<&Service>) -> Option<Issue> {
    let refused = service.is_some_and(|service| !capability::takes(service, checked.use_case));
    refused.then(|| Issue::new(&USE_CASE_UNSUPPORTED, checked.subject.place_of("category[0].coding")))
}

/// What a caller is told when the store cannot do it. Nothing was done, so the same may be sent again.
pub fn store_issue(error: &StoreError) -> Issue {
    match error {
        StoreError::Full => Issue::new(&OVERLOADED, ""),
        _ => {
            tracing::error!(%error, "the store could not do it");
            Issue::new(&STORE_UNAVAILABLE, "")
        }
    }
}

/// The service that a search names, if it is known.
pub fn service_named(store: &dyn Store, id: &ServiceId) -> Result<Option<Service>, Issue> {
    store.service_find(id).map_err(|error| store_issue(&error))
}
