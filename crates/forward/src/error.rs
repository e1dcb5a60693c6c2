//! What can go wrong with the queue and with settings. What becomes of items is no error: the ledger counts it.

use base::Kind;
use thiserror::Error;

use crate::frame::FrameError;

pub type Result<T, E = Error> = std::result::Result<T, E>;

#[derive(Debug, Clone, Error)]
pub enum Error {
    #[error("the queue of forwarding: {0}")]
    Log(#[from] disklog::Error),
    #[error("the queue of forwarding: {0}")]
    Frame(#[from] FrameError),
    #[error("the state of the queue of forwarding cannot be used: {reason}")]
    State { reason: String, kind: Kind },
    /// What a destination is configured with can never work.
    #[error("{name} of destination {destination} is {value:?}, wanted is {wanted}")]
    Setting { destination: String, name: &'static str, value: String, wanted: &'static str },
    #[error("forwarding is closed")]
    Closed,
    #[error("{0}")]
    Internal(String),
}

impl Error {
    pub fn kind(&self) -> Kind {
        match self {
            Error::Log(e) => e.kind(),
            Error::Frame(_) => Kind::Corrupt,
            Error::State { kind, .. } => *kind,
            Error::Setting { .. } => Kind::Invalid,
            Error::Closed => Kind::Unavailable,
            Error::Internal(_) => Kind::Internal,
        }
    }
}

impl From<Error> for contract::Error {
    fn from(e: Error) -> Self {
        contract::Error::new(e.kind(), e.to_string())
    }
}
