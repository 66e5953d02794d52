// SPDX-License-Identifier: Apache-2.0
//! As much of HTTP/1 (RFC 9112) as one answer takes: a request's head in, a response out, and
//! the connection ends. A library for HTTP would bring a hundred times more than is used.

use super::exposition::CONTENT_TYPE;

/// The longest head of a request. Scrapers send some 300 bytes.
pub const HEAD_MAX: usize = 8192;

/// What came of reading a request's head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Request {
    /// The metrics are wanted.
    Metrics {
        /// Without the text: a HEAD request.
        head_only: bool,
    },
    /// Something else is, or nothing that can be understood.
    Refused(Refusal),
}

/// Why there is no answer, as a status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// Not HTTP/1.
    BadRequest,
    /// There is only one page.
    NotFound,
    /// It can only be read.
    MethodNotAllowed,
    /// The head does not end.
    TooLong,
}

/// Whether the head is complete: it ends with an empty line.
pub fn is_complete(head: &[u8]) -> bool {
    head.windows(4).any(|end| end == b"\r\n\r\n") || head.windows(2).any(|end| end == b"\n\n")
}

/// Understands a complete head. Header fields do not matter.
pub fn parse(head: &[u8]) -> Request {
    let line = head.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let line = std::str::from_utf8(line).unwrap_or_default().trim_end_matches('\r');
    let mut words = line.split(' ');
    let (Some(method), Some(target), Some(version), None) = (words.next(), words.next(), words.next(), words.next())
    else {
        return Request::Refused(Refusal::BadRequest);
    };
    if !version.starts_with("HTTP/1.") || method.is_empty() || target.is_empty() {
        return Request::Refused(Refusal::BadRequest);
    }
    let path = target.split(['?', '#']).next().unwrap_or_default();
    match method {
        _ if path != "/metrics" => Request::Refused(Refusal::NotFound),
        "GET" => Request::Metrics { head_only: false },
        "HEAD" => Request::Metrics { head_only: true },
        _ => Request::Refused(Refusal::MethodNotAllowed),
    }
}

/// The head of a response with the metrics, which have `length` bytes.
pub fn ok(length: usize) -> String {
    head("200 OK", CONTENT_TYPE, length, "")
}

/// A whole response without them.
pub fn refused(refusal: Refusal) -> String {
    let (status, more, text) = match refusal {
        Refusal::BadRequest => ("400 Bad Request", "", "not an HTTP/1 request\n"),
        Refusal::NotFound => ("404 Not Found", "", "the metrics are at /metrics\n"),
        Refusal::MethodNotAllowed => ("405 Method Not Allowed", "Allow: GET, HEAD\r\n", "metrics can only be read\n"),
        Refusal::TooLong => ("431 Request Header Fields Too Large", "", "the head of the request is too long\n"),
    };
    head(status, "text/plain; charset=utf-8", text.len(), more) + text
}

fn head(status: &str, kind: &str, length: usize, more: &str) -> String {
    format!(
        "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\nCache-Control: no-store\r\n{more}\
         Connection: close\r\n\r\n"
    )
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn requests_are_understood() {
        let metrics = |head_only| Request::Metrics { head_only };
        let cases = [
            ("GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n", metrics(false)),
            ("GET /metrics?name=x HTTP/1.0\n\n", metrics(false)),
            ("HEAD /metrics HTTP/1.1\r\n\r\n", metrics(true)),
            ("GET / HTTP/1.1\r\n\r\n", Request::Refused(Refusal::NotFound)),
            ("GET /metrics/ HTTP/1.1\r\n\r\n", Request::Refused(Refusal::NotFound)),
            ("POST /metrics HTTP/1.1\r\n\r\n", Request::Refused(Refusal::MethodNotAllowed)),
            ("GET /metrics\r\n\r\n", Request::Refused(Refusal::BadRequest)),
            ("GET  /metrics HTTP/1.1\r\n\r\n", Request::Refused(Refusal::BadRequest)),
            ("PRI * HTTP/2.0\r\n\r\n", Request::Refused(Refusal::BadRequest)),
            ("\r\n\r\n", Request::Refused(Refusal::BadRequest)),
        ];
        for (head, expected) in cases {
            assert!(is_complete(head.as_bytes()), "{head:?}");
            assert_eq!(parse(head.as_bytes()), expected, "{head:?}");
        }
        assert!(!is_complete(b"GET /metrics HTTP/1.1\r\nHost: x\r\n"));
    }

    #[test]
    fn lengths_are_true() {
        for refusal in [Refusal::BadRequest, Refusal::NotFound, Refusal::MethodNotAllowed, Refusal::TooLong] {
            let response = refused(refusal);
            let (head, body) = response.split_once("\r\n\r\n").unwrap();
            assert!(head.contains(&format!("Content-Length: {}\r\n", body.len())), "{response}");
        }
    }

    proptest! {
        #[test]
        fn nothing_that_is_sent_matters(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = is_complete(&bytes);
            let _ = parse(&bytes);
        }
    }
}
