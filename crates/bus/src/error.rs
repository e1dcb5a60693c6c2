//! What can go wrong with brokers and with settings.

use base::Kind;
use krafka::KrafkaError;
use thiserror::Error;

pub type Result<T, E = Error> = std::result::Result<T, E>;

#[derive(Debug, Clone, Error)]
pub enum Error {
    #[error("kafka: {0}")]
    Kafka(#[from] KrafkaError),
    /// What is configured can never work.
    #[error("{name} is {value:?}, wanted is {wanted}")]
    Setting { name: &'static str, value: String, wanted: &'static str },
    #[error("reading a secret for kafka: {0}")]
    Secret(String),
}

impl Error {
    pub fn kind(&self) -> Kind {
        match self {
            Error::Kafka(KrafkaError::Config { .. }) | Error::Setting { .. } => Kind::Invalid,
            Error::Kafka(KrafkaError::Auth { .. }) => Kind::Denied,
            Error::Kafka(KrafkaError::Timeout { .. }) => Kind::Timeout,
            Error::Kafka(_) | Error::Secret(_) => Kind::Unavailable,
        }
    }
}
