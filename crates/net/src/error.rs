//! Why an answer did not come.

use std::{path::PathBuf, time::Duration};

use base::Kind;
use thiserror::Error;

use crate::tls::Reason;

#[derive(Debug, Clone, Error)]
pub enum Error {
    #[error("the HTTP client cannot do that: {reason}")]
    Setup { reason: String },
    #[error("asking {url}: {reason}")]
    Unreachable { url: String, reason: String },
    #[error("asking {url}: no whole answer within {after:?}")]
    Timeout { url: String, after: Duration },
    #[error("asking {url}: the answer is longer than {limit} bytes")]
    TooLarge { url: String, limit: usize },
    /// A certificate, key or list that cannot be used.
    #[error("{}: {reason}", path.display())]
    File { path: PathBuf, reason: String },
    /// A handshake that failed; the message names the other side.
    #[error("{message}")]
    Tls { reason: Reason, message: String },
}

impl Error {
    pub fn kind(&self) -> Kind {
        match self {
            Error::Setup { .. } => Kind::Invalid,
            Error::Unreachable { .. } => Kind::Unavailable,
            Error::Timeout { .. } => Kind::Timeout,
            Error::TooLarge { .. } => Kind::Limited,
            Error::File { .. } => Kind::Invalid,
            Error::Tls { reason: Reason::Timeout, .. } => Kind::Timeout,
            Error::Tls { reason: Reason::Closed, .. } => Kind::Unavailable,
            Error::Tls { .. } => Kind::Denied,
        }
    }
}
