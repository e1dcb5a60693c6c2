//! What foreign servers say when something is wrong, in their words and with the kind that fits.

use base::Kind;
use net::{Answer, StatusCode};
use serde::Deserialize;

/// Longest message of a server that is passed on.
const MAX_WORDS: usize = 300;

/// A message on one line, cut where it is long.
pub(super) fn one_line(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(MAX_WORDS) {
        Some((cut, _)) => format!("{}…", line.get(..cut).unwrap_or_default()),
        None => line,
    }
}

/// The kind of an error status. What a peer takes for a bad request is our question in its language, so the caller's
/// own request may well be right: retrying it is pointless nonetheless.
pub(super) fn kind_of(status: StatusCode) -> Kind {
    match status.as_u16() {
        401 | 403 => Kind::Denied,
        404 => Kind::NotFound,
        408 | 504 => Kind::Timeout,
        413 | 429 => Kind::Limited,
        400..=499 => Kind::Invalid,
        _ => Kind::Unavailable,
    }
}

/// An answer with an error status: `legacy answered 422: execution: query timed out`.
pub(super) fn refused(name: &str, answer: &Answer) -> contract::Error {
    #[derive(Deserialize)]
    struct Body {
        #[serde(default, rename = "errorType")]
        kind: String,
        error: String,
    }
    let words = match serde_json::from_slice::<Body>(&answer.body) {
        Ok(b) if b.kind.is_empty() => b.error,
        Ok(b) => format!("{}: {}", b.kind, b.error),
        Err(_) => answer.excerpt(),
    };
    let status = answer.status.as_u16();
    let message = match one_line(&words) {
        words if words.is_empty() => format!("{name} answered {status} without a word"),
        words => format!("{name} answered {status}: {words}"),
    };
    contract::Error::new(kind_of(answer.status), message)
}

/// An answer that is not what it should be.
pub(super) fn garbled(name: &str, what: &str, reason: impl std::fmt::Display) -> contract::Error {
    contract::Error::new(
        Kind::Corrupt,
        one_line(&format!("{name} sent {what} that cannot be read: {reason}")),
    )
}

pub(super) fn unreached(e: net::Error) -> contract::Error {
    contract::Error::new(e.kind(), e.to_string())
}

/// A question about a signal that the peer has not.
pub(super) fn not_held<T>(name: &str, what: &str) -> contract::Result<T> {
    Err(contract::Error::invalid(format!("{name} holds no {what}")))
}
