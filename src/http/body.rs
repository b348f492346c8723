//! Bodies: read with a limit on size and time, inflated with a limit on what comes out.

use std::io::{Read, Write};
use std::time::Duration;

use actix_web::HttpRequest;
use actix_web::http::header::{ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_LENGTH};
use actix_web::web::Payload;
use flate2::Compression;
use flate2::read::MultiGzDecoder;
use flate2::write::GzEncoder;
use futures_util::StreamExt;

use super::Limits;
use crate::issue::{BODY_TOO_LARGE, Issue, MEDIA_TYPE, REQUEST_INVALID, TIMEOUT};

/// Below this a gzipped answer is not worth the work.
const GZIP_BYTES_MIN: usize = 1024;

/// The body as the sender meant it.
pub(super) async fn read(request: &HttpRequest, payload: Payload, limits: &Limits) -> Result<Vec<u8>, Issue> {
    let wait = Duration::from_millis(limits.request_timeout_ms);
    let raw = match tokio::time::timeout(wait, receive(request, payload, limits.body_bytes_max)).await {
        Ok(raw) => raw?,
        Err(_) => return Err(Issue::with(&TIMEOUT, "", "The request did not arrive in time.")),
    };
    match coding(request).as_deref() {
        None | Some("identity") => Ok(raw),
        Some("gzip" | "x-gzip") => inflated(&raw, limits.inflated_bytes_max),
        Some(_) => Err(Issue::with(&MEDIA_TYPE, "http.Content-Encoding", "Only gzip is read.")),
    }
}

async fn receive(request: &HttpRequest, mut payload: Payload, bytes_max: usize) -> Result<Vec<u8>, Issue> {
    let said = request.headers().get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
    if said.is_some_and(|said| bytes_max < said) {
        return Err(Issue::new(&BODY_TOO_LARGE, ""));
    }
    let mut body = Vec::with_capacity(said.unwrap_or(16 << 10));
    while let Some(chunk) = payload.next().await {
        let chunk = chunk.map_err(|_| Issue::with(&REQUEST_INVALID, "", "The body broke off."))?;
        if bytes_max < body.len() + chunk.len() {
            return Err(Issue::new(&BODY_TOO_LARGE, ""));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

fn coding(request: &HttpRequest) -> Option<String> {
    Some(request.headers().get(CONTENT_ENCODING)?.to_str().ok()?.trim().to_ascii_lowercase())
}

fn inflated(raw: &[u8], bytes_max: usize) -> Result<Vec<u8>, Issue> {
    let mut out = Vec::with_capacity(raw.len() * 4);
    let mut decoder = MultiGzDecoder::new(raw).take(bytes_max as u64 + 1);
    decoder.read_to_end(&mut out).map_err(|_| Issue::with(&REQUEST_INVALID, "", "The body is not valid gzip."))?;
    if bytes_max < out.len() {
        return Err(Issue::new(&BODY_TOO_LARGE, ""));
    }
    Ok(out)
}

/// The body gzipped, if the caller takes that and it is worth it.
pub(super) fn gzipped(request: &HttpRequest, body: &[u8]) -> Option<Vec<u8>> {
    let accepted = request.headers().get(ACCEPT_ENCODING)?.to_str().ok()?;
    let takes = accepted.split(',').map(str::trim).any(|coding| {
        let refused = coding.replace(' ', "").ends_with(";q=0");
        coding.starts_with("gzip") && !refused
    });
    if !takes || body.len() < GZIP_BYTES_MIN {
        return None;
    }
    let mut encoder = GzEncoder::new(Vec::with_capacity(body.len() / 4), Compression::fast());
    encoder.write_all(body).ok()?;
    encoder.finish().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bomb_is_cut_off() {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(&vec![b' '; 1 << 20]).unwrap();
        let bomb = encoder.finish().unwrap();
        assert!(bomb.len() < 2000);
        assert_eq!(inflated(&bomb, 1000).unwrap_err().code.id, BODY_TOO_LARGE.id);
        assert_eq!(inflated(&bomb, 1 << 20).unwrap().len(), 1 << 20);
        assert_eq!(inflated(b"no gzip", 1000).unwrap_err().code.id, REQUEST_INVALID.id);
    }
}
