//! The forms of requests and answers. Inside there is only JSON; here it becomes what the caller asked for.

use actix_web::HttpRequest;

use crate::bars::negotiate;
use crate::bars::search::Params;
use crate::fhir::form::Form;
use crate::fhir::json::{self, Limits};
use crate::issue::{Issue, MEDIA_TYPE};
use crate::profile::xml;

/// An answer is our own, so only what protects the stack limits it.
const ANY: Limits = Limits { bytes_max: usize::MAX, depth_max: 512, values_max: usize::MAX };

/// The form that the caller wants the answer in; where that is left open, the form of the request.
pub(super) fn wanted(request: &HttpRequest) -> Result<Form, Issue> {
    let params = Params::read(request.query_string());
    let sent = sent(request).ok().flatten().unwrap_or_default();
    negotiate::accept(header(request, "Accept"), params.first("_format"), sent)
}

/// The form that the body is said to have.
pub(super) fn sent(request: &HttpRequest) -> Result<Option<Form>, Issue> {
    negotiate::content_type(header(request, "Content-Type"))
}

/// Is the body in the form that it is said to have?
pub(super) fn agrees(request: &HttpRequest, body: &[u8]) -> Result<(), Issue> {
    match sent(request) {
        Ok(Some(said)) if !body.is_empty() && said != Form::of(body) => {
            Err(Issue::with(&MEDIA_TYPE, "http.Content-Type", "The body is in another form than Content-Type says."))
        }
        _ => Ok(()),
    }
}

/// An answer in the form that is wanted, and the form that it got.
pub(super) fn written(body: Vec<u8>, wanted: Form) -> (Vec<u8>, Form) {
    if wanted == Form::Json || body.is_empty() {
        return (body, wanted);
    }
    let Ok(resource) = json::parse(&body, &ANY) else {
        tracing::error!("an answer is no JSON, so it cannot be written as XML");
        return (body, Form::Json);
    };
    let (xml, issues) = xml::write(&resource);
    if let Some(issue) = issues.iter().next() {
        tracing::warn!(code = issue.code.id, "an answer has something that XML cannot say");
    }
    (xml, Form::Xml)
}

fn header<'r>(request: &'r HttpRequest, name: &str) -> Option<&'r str> {
    request.headers().get(name).and_then(|value| value.to_str().ok())
}
