//! What can go wrong between a statement and its rows.

use base::Kind;
use datafusion::{arrow::error::ArrowError, error::DataFusionError};
use thiserror::Error;

#[derive(Debug, Error)]
pub enum Error {
    /// What is read from refused or broke.
    #[error(transparent)]
    Select(#[from] contract::Error),
    /// The statement is wrong, or its values are.
    #[error("{0}")]
    Statement(String),
    /// The statement is larger than statements may be.
    #[error("the statement has {found} {what}, at most {most} are allowed")]
    TooLarge { what: &'static str, found: usize, most: usize },
    /// A defect of ours or of the engine's.
    #[error("the statement could not be answered: {0}")]
    Internal(String),
}

/// Longer texts of errors are cut: they quote statements.
const MAX_TEXT: usize = 2000;

impl Error {
    pub fn kind(&self) -> Kind {
        match self {
            Error::Select(e) => e.kind(),
            Error::Statement(_) | Error::TooLarge { .. } => Kind::Invalid,
            Error::Internal(_) => Kind::Internal,
        }
    }
}

impl From<Error> for contract::Error {
    fn from(e: Error) -> Self {
        match e {
            Error::Select(e) => e,
            other => contract::Error::new(other.kind(), other.to_string()),
        }
    }
}

/// Errors of a `Select` pass through the engine as what they were.
pub(crate) fn through(e: contract::Error) -> DataFusionError {
    DataFusionError::External(Box::new(e))
}

impl From<DataFusionError> for Error {
    fn from(e: DataFusionError) -> Self {
        if let Some(ours) = ours(&e) {
            return Error::Select(ours);
        }
        let text = short(&e.strip_backtrace());
        match root(&e) {
            DataFusionError::Internal(_)
            | DataFusionError::ExecutionJoin(_)
            | DataFusionError::IoError(_)
            | DataFusionError::External(_) => Error::Internal(text),
            DataFusionError::ResourcesExhausted(_) => Error::Select(contract::Error {
                kind: Kind::Unavailable,
                message: text,
                limit: Some("memory.limit"),
            }),
            // What is left is about the statement or about values that it meets.
            _ => Error::Statement(text),
        }
    }
}

impl From<ArrowError> for Error {
    fn from(e: ArrowError) -> Self {
        Error::from(DataFusionError::from(e))
    }
}

/// How deep errors are looked into; the engine wraps each a few times.
const MAX_DEPTH: usize = 32;

fn ours(e: &DataFusionError) -> Option<contract::Error> {
    let mut at: &(dyn std::error::Error + 'static) = e;
    for _ in 0..MAX_DEPTH {
        if let Some(found) = at.downcast_ref::<contract::Error>() {
            return Some(found.clone());
        }
        at = match at.downcast_ref::<DataFusionError>() {
            // Its source would be the cause of this one.
            Some(DataFusionError::External(inner)) => inner.as_ref(),
            Some(DataFusionError::Shared(inner)) => inner.as_ref(),
            Some(DataFusionError::ArrowError(inner, _)) => match inner.as_ref() {
                ArrowError::ExternalError(inner) => inner.as_ref(),
                _ => return None,
            },
            _ => at.source()?,
        };
    }
    None
}

fn root(e: &DataFusionError) -> &DataFusionError {
    match e.find_root() {
        DataFusionError::Collection(all) => all.first().map_or(e, |first| first.find_root()),
        other => other,
    }
}

fn short(text: &str) -> String {
    let mut all: String = text.chars().take(MAX_TEXT).collect();
    if all.len() < text.len() {
        all.push('…');
    }
    all
}
