//! Just enough of HTTP/1.1: the request line of a GET, and an answer after which the connection is closed.

/// Largest head of a request.
pub(super) const HEAD_BYTES_MAX: usize = 64 << 10;

/// What the bytes so far amount to.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Head<'a> {
    /// More is to come.
    Partial,
    /// A whole head; the path is without its query.
    Whole { method: &'a str, path: &'a str },
    /// It will never be one.
    Broken,
    /// More than is read here.
    TooLarge,
}

/// Reads the bytes so far.
pub(super) fn read(bytes: &[u8]) -> Head<'_> {
    if !bytes.windows(4).any(|window| window == b"\r\n\r\n") {
        return if HEAD_BYTES_MAX <= bytes.len() { Head::TooLarge } else { Head::Partial };
    }
    read_line(bytes).unwrap_or(Head::Broken)
}

fn read_line(bytes: &[u8]) -> Option<Head<'_>> {
    let end = bytes.windows(2).position(|window| window == b"\r\n")?;
    let line = std::str::from_utf8(&bytes[..end]).ok()?;
    let mut words = line.split(' ');
    let (method, target, version) = (words.next()?, words.next()?, words.next()?);
    let fits = words.next().is_none() && version.starts_with("HTTP/1.") && target.starts_with('/');
    let path = target.split_once('?').map_or(target, |(path, _)| path);
    fits.then_some(Head::Whole { method, path })
}

/// An answer.
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) content_type: &'static str,
    pub(super) body: String,
}

impl Reply {
    /// A word or two.
    pub(super) fn text(status: u16, body: &str) -> Self {
        Self { status, content_type: "text/plain; charset=utf-8", body: format!("{body}\n") }
    }

    /// On the wire; `has_body`: no for HEAD.
    pub(super) fn to_bytes(&self, has_body: bool) -> Vec<u8> {
        let allow = if self.status == 405 { "Allow: GET, HEAD\r\n" } else { "" };
        let head = format!(
            "HTTP/1.1 {} {}\r\nContent-Type: {}\r\nContent-Length: {}\r\n{allow}Cache-Control: no-store\r\n\
             X-Content-Type-Options: nosniff\r\nConnection: close\r\n\r\n",
            self.status,
            reason(self.status),
            self.content_type,
            self.body.len(),
        );
        if has_body { [head.as_bytes(), self.body.as_bytes()].concat() } else { head.into_bytes() }
    }
}

fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        400 => "Bad Request",
        404 => "Not Found",
        405 => "Method Not Allowed",
        408 => "Request Timeout",
        431 => "Request Header Fields Too Large",
        _ => "Service Unavailable",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_read_when_its_head_is_whole() {
        assert_eq!(read(b"GET /ready HT"), Head::Partial);
        let whole = Head::Whole { method: "GET", path: "/ready" };
        assert_eq!(read(b"GET /ready?x=1 HTTP/1.1\r\nHost: a\r\n\r\n"), whole);
    }

    #[test]
    fn what_is_not_http_is_broken() {
        for bytes in
            [&b"GET\r\n\r\n"[..], b"GET / HTTP/2\r\n\r\n", b"GET a HTTP/1.1\r\n\r\n", b"\xff / HTTP/1.1\r\n\r\n"]
        {
            assert_eq!(read(bytes), Head::Broken);
        }
        assert_eq!(read(&[b'a'; HEAD_BYTES_MAX]), Head::TooLarge);
    }
}
