//! Delivery of BaRS messages: `POST …/$process-message` over HTTPS, one at a time on a connection that is kept.
//!
//! The letter holds the request's headers and its body, so that every attempt is the same request with the same
//! `X-Request-Id`. A receiver that has seen it answers 409 with an issue `duplicate`: it has it.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper::header::{CONTENT_LENGTH, HOST, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use jiff::Timestamp;
use jiff::fmt::rfc2822;
use serde_json::Value;
use tokio::time::timeout;

use super::connect::connect;
use super::destination::Site;
use super::outcome::Outcome;

/// Most bytes of an answer that are read; more of it is not waited for.
const ANSWER_BYTES_MAX: usize = 256 << 10;
/// Most bytes of its head.
const HEAD_BYTES_MAX: usize = 64 << 10;
/// Longest pause that an answer may ask for.
const PAUSE_MAX: Duration = Duration::from_secs(24 * 60 * 60);
/// Most issues whose codes are kept.
const ISSUES_MAX: usize = 3;

/// A connection that is opened when it is needed and kept while it works.
#[derive(Default)]
pub(super) struct Line {
    open: Option<SendRequest<Full<Bytes>>>,
}

impl Line {
    /// Posts a letter and waits for what is answered.
    pub(super) async fn deliver(&mut self, site: &Site, letter: &[u8]) -> Outcome {
        let Some(request) = request(site, letter) else {
            return Outcome::Unsendable { failure: "the letter is no request".to_owned() };
        };
        match timeout(site.peer.connect_timeout + site.peer.ack_timeout, self.exchange(site, request)).await {
            Ok(outcome) => outcome,
            Err(_) => Outcome::Lost { failure: "timeout".to_owned() },
        }
    }

    /// A kept connection may have been closed by its peer just now; what it never took is sent on another.
    async fn exchange(&mut self, site: &Site, mut request: Request<Full<Bytes>>) -> Outcome {
        loop {
            let mut sender = match self.take(site).await {
                Ok(sender) => sender,
                Err(failure) => return Outcome::Unreachable { failure },
            };
            match timeout(site.peer.ack_timeout, sender.try_send_request(request)).await {
                Err(_) => return Outcome::Lost { failure: "timeout".to_owned() },
                Ok(Ok(response)) => return self.answered(sender, response).await,
                Ok(Err(mut error)) => match error.take_message() {
                    Some(unsent) => request = unsent,
                    None => return Outcome::Lost { failure: text(error.error()) },
                },
            }
        }
    }

    async fn answered(&mut self, sender: SendRequest<Full<Bytes>>, response: Response<Incoming>) -> Outcome {
        let (head, body) = response.into_parts();
        let retry = retry_after(&head.headers, Timestamp::now());
        // What is too long is no answer that codes could be read from; its status counts all the same.
        let body = match Limited::new(body, ANSWER_BYTES_MAX).collect().await {
            Ok(body) => {
                self.open = Some(sender);
                body.to_bytes()
            }
            Err(_) => Bytes::new(),
        };
        outcome(head.status, &body, retry)
    }

    /// The open connection if its peer is still there, or else a new one.
    async fn take(&mut self, site: &Site) -> Result<SendRequest<Full<Bytes>>, String> {
        if let Some(mut sender) = self.open.take()
            && sender.ready().await.is_ok()
        {
            return Ok(sender);
        }
        let transport = TokioIo::new(connect(&site.peer).await?);
        let handshake = http1::Builder::new().max_buf_size(HEAD_BYTES_MAX).handshake(transport).await;
        let (sender, connection) = handshake.map_err(|error| text(&error))?;
        // It ends with its sender; why it ends is told to whoever waits for an answer on it.
        tokio::spawn(async { drop(connection.await) });
        Ok(sender)
    }
}

/// What an answer means for the letter. Of its words only codes are kept: peers quote patients.
fn outcome(status: StatusCode, body: &[u8], after: Option<Duration>) -> Outcome {
    let issues = issues(body);
    let failure =
        std::iter::once(status.as_str()).chain(issues.iter().map(String::as_str)).collect::<Vec<_>>().join(" ");
    match status.as_u16() {
        200..=299 => Outcome::Delivered { code: "2xx" },
        409 if issues.iter().any(|issue| issue.ends_with("duplicate")) => Outcome::Delivered { code: "409 duplicate" },
        429 | 502 | 503 | 504 => Outcome::Busy { failure, after },
        408 | 425 | 500..=599 => Outcome::Failing { failure, after },
        _ => Outcome::Refused { failure },
    }
}

/// The codes of an OperationOutcome's first issues: `REC_CONFLICT/duplicate`.
fn issues(body: &[u8]) -> Vec<String> {
    let outcome: Value = serde_json::from_slice(body).unwrap_or_default();
    let word = |value: Option<&Value>| {
        let text = value.and_then(Value::as_str)?;
        let is_code =
            text.len() <= 40 && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte));
        is_code.then(|| text.to_owned())
    };
    let code = |issue: &Value| {
        let coding = issue.pointer("/details/coding/0/code");
        let codes = [word(coding), word(issue.get("code"))];
        Some(codes.into_iter().flatten().collect::<Vec<_>>().join("/")).filter(|codes| !codes.is_empty())
    };
    let list = outcome.get("issue").and_then(Value::as_array);
    list.into_iter().flatten().take(ISSUES_MAX).filter_map(code).collect()
}

/// Seconds, or a date (RFC 9110, 10.2.3).
fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    let pause = match text.parse::<u64>() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => Duration::try_from(rfc2822::parse(text).ok()?.timestamp().duration_since(now)).ok()?,
    };
    Some(pause.min(PAUSE_MAX))
}

/// The request that a letter holds: headers, each on a line, an empty line, the body.
fn request(site: &Site, letter: &[u8]) -> Option<Request<Full<Bytes>>> {
    const END: &[u8] = b"\r\n\r\n";
    let end = memchr::memmem::find(letter, END)?;
    let head = std::str::from_utf8(&letter[..end]).ok()?;
    let body = Bytes::copy_from_slice(&letter[end + END.len()..]);
    let mut request = Request::builder().method(Method::POST).uri(format!("{}/$process-message", site.path));
    for line in head.split("\r\n") {
        let (name, value) = line.split_once(": ")?;
        request = request.header(HeaderName::from_bytes(name.as_bytes()).ok()?, HeaderValue::from_str(value).ok()?);
    }
    request = request.header(HOST, &site.host).header(CONTENT_LENGTH, body.len());
    request.body(Full::new(body)).ok()
}

/// What the operator reads: the kind of failure; what the peer wrote is left out.
fn text(error: &hyper::Error) -> String {
    let kind = match error {
        it if it.is_parse() || it.is_parse_status() => "the answer is no HTTP",
        it if it.is_incomplete_message() || it.is_closed() || it.is_canceled() => {
            "the connection was closed before an answer"
        }
        _ => "the connection failed",
    };
    kind.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_answer_has_its_meaning() {
        let duplicate = br#"{"issue":[{"code":"duplicate","details":{"coding":[{"code":"REC_CONFLICT"}]}}]}"#;
        let conflict = br#"{"issue":[{"code":"conflict","diagnostics":"Mrs Smith","details":{"coding":[{"code":"REC_CONFLICT"}]}}]}"#;
        let read = |status: u16, body: &[u8]| {
            let outcome = outcome(StatusCode::from_u16(status).unwrap(), body, None);
            (outcome.name(), outcome.failure().unwrap_or_default().to_owned())
        };
        let plain = |name, failure: &str| (name, failure.to_owned());
        assert_eq!(read(200, b""), plain("delivered", ""));
        assert_eq!(read(202, b"whatever"), plain("delivered", ""));
        assert_eq!(read(409, duplicate), plain("delivered", ""));
        assert_eq!(read(409, conflict), plain("refused", "409 REC_CONFLICT/conflict"));
        assert_eq!(read(409, b"<html>"), plain("refused", "409"));
        assert_eq!(read(302, b""), plain("refused", "302"));
        assert_eq!(read(404, br#"{"issue":[{"code":"Mrs Smith, 1 High Street"}]}"#), plain("refused", "404"));
        for status in [429, 502, 503, 504] {
            assert_eq!(read(status, b""), plain("busy", &status.to_string()));
        }
        for status in [408, 425, 500, 501, 599] {
            assert_eq!(read(status, b""), plain("failing", &status.to_string()));
        }
    }

    #[test]
    fn a_pause_is_asked_for_in_seconds_or_by_a_date() {
        let now: Timestamp = "2026-05-01T10:00:00Z".parse().unwrap();
        let read = |text: &str| {
            let headers = HeaderMap::from_iter([(RETRY_AFTER, HeaderValue::from_str(text).unwrap())]);
            retry_after(&headers, now).map(|pause| pause.as_secs())
        };
        assert_eq!(read("120"), Some(120));
        assert_eq!(read("Fri, 01 May 2026 10:02:00 GMT"), Some(120));
        assert_eq!(read("Fri, 01 May 2026 09:00:00 GMT"), None);
        assert_eq!(read("99999999999"), Some(86_400));
        assert_eq!(read("soon"), None);
    }
}
