//! Why a bench could not run or a verification not be finished. Errors of single requests are counted in the
//! report instead.

use std::path::PathBuf;

use base::Kind;
use thiserror::Error;

#[derive(Debug, Error)]
pub enum Error {
    #[error("{protocol} does not carry {signal}")]
    Mismatch { protocol: &'static str, signal: &'static str },
    #[error("target {url:?} is not a URL that can be sent to: {reason}")]
    Target { url: String, reason: String },
    #[error("option {option} is {value}, it must be {wanted}")]
    Option { option: &'static str, value: String, wanted: &'static str },
    #[error("{doing} the journal {path}: {source}")]
    Journal { doing: &'static str, path: PathBuf, source: std::io::Error },
    #[error("journal {path} line {line} is not one of ours: {text:?}")]
    JournalLine { path: PathBuf, line: usize, text: String },
    #[error("{doing} {path}: {source}")]
    Program { doing: &'static str, path: PathBuf, source: std::io::Error },
    #[error("listening on {address}: {source}")]
    Listen { address: std::net::SocketAddr, source: std::io::Error },
    #[error("asking {url}: {reason}")]
    Ask { url: String, reason: String },
    #[error("interrupted: nothing is reported of half a run")]
    Interrupted,
    #[error("setting up the client: {0}")]
    Client(#[from] net::Error),
}

impl Error {
    pub fn kind(&self) -> Kind {
        match self {
            Error::Mismatch { .. } | Error::Target { .. } | Error::Option { .. } => Kind::Invalid,
            Error::JournalLine { .. } => Kind::Corrupt,
            Error::Journal { .. } | Error::Program { .. } => Kind::Internal,
            Error::Ask { .. } | Error::Listen { .. } | Error::Interrupted => Kind::Unavailable,
            Error::Client(e) => e.kind(),
        }
    }
}
