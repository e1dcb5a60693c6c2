//! Why an import or a comparison could not be finished.

use std::path::PathBuf;

use base::Kind;
use thiserror::Error;

#[derive(Debug, Error)]
pub enum Error {
    #[error("address {url:?} cannot be asked: {reason}")]
    Target { url: String, reason: String },
    #[error("option {option} is {value}: {wanted}")]
    Option { option: &'static str, value: String, wanted: &'static str },
    #[error("{action} {path}: {source}")]
    File { action: &'static str, path: PathBuf, source: std::io::Error },
    #[error("{path}: {what}")]
    Written { path: PathBuf, what: String },
    #[error(transparent)]
    Block(#[from] tsdb::Error),
    #[error(transparent)]
    Net(#[from] net::Error),
    #[error("{dir} holds no block: {hint}")]
    NoBlock { dir: PathBuf, hint: &'static str },
    /// The receiver will not take this however often it is sent.
    #[error("{url} refused samples of block {block} with {answer}")]
    Refused { url: String, block: String, answer: String },
    #[error("{url} took nothing for {seconds} s, last with: {answer}")]
    GaveUp { url: String, seconds: u64, answer: String },
    #[error("{url} cannot be asked, is this the right address and does it run? {reason}")]
    Asked { url: String, reason: String },
    #[error("{0}")]
    Internal(String),
}

impl Error {
    pub fn kind(&self) -> Kind {
        match self {
            Error::Target { .. } | Error::Option { .. } | Error::Written { .. } | Error::Refused { .. } => {
                Kind::Invalid
            }
            Error::NoBlock { .. } => Kind::NotFound,
            Error::File { .. } => Kind::Unavailable,
            Error::Block(e) => e.kind(),
            Error::Net(e) => e.kind(),
            Error::GaveUp { .. } | Error::Asked { .. } => Kind::Unavailable,
            Error::Internal(_) => Kind::Internal,
        }
    }

    pub(crate) fn file(action: &'static str, path: &std::path::Path) -> impl FnOnce(std::io::Error) -> Error {
        let path = path.to_owned();
        move |source| Error::File { action, path, source }
    }
}
