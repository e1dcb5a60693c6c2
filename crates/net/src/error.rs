//! Why an answer did not come.

use std::time::Duration;

use base::Kind;
use thiserror::Error;

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
}

impl Error {
    pub fn kind(&self) -> Kind {
        match self {
            Error::Setup { .. } => Kind::Invalid,
            Error::Unreachable { .. } => Kind::Unavailable,
            Error::Timeout { .. } => Kind::Timeout,
            Error::TooLarge { .. } => Kind::Limited,
        }
    }
}
