// SPDX-License-Identifier: Apache-2.0
//! The head of a request at the metrics endpoint.

/// The endpoint's parser is private to the daemon, a program that has no library.
#[path = "../../../videostreamd/src/metrics/http.rs"]
#[allow(dead_code, unreachable_pub, reason = "only its parser is of interest here")]
mod parser;

/// What the parser takes from the module beside it.
mod exposition {
    pub(super) const CONTENT_TYPE: &str = "text/plain";
}

/// Any bytes get an answer: the metrics for requests of `/metrics`, else a refusal.
pub(crate) fn run(data: &[u8]) {
    let head = &data[..data.len().min(parser::HEAD_MAX)];
    let complete = parser::is_complete(head);
    // More bytes never make a complete head incomplete, or the endpoint would wait for ever.
    assert!(!complete || parser::is_complete(&[head, b"x"].concat()));
    match parser::parse(head) {
        parser::Request::Metrics { .. } => {
            assert!(head.windows(9).any(|bytes| bytes == b" /metrics"));
        }
        parser::Request::Refused(refusal) => {
            assert!(parser::refused(refusal).starts_with("HTTP/1.1 4"));
        }
    }
}
