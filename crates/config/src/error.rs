//! What is wrong with a configuration, told so that it can be mended without a search.

use std::{fmt, path::PathBuf};

use base::Kind;
use thiserror::Error;

#[derive(Debug, Error)]
pub enum Error {
    #[error("configuration {} cannot be read: {reason}", path.display())]
    Unreadable { path: PathBuf, reason: String },
    #[error("{}", list(.0))]
    Invalid(Vec<Problem>),
}

impl Error {
    pub fn kind(&self) -> Kind {
        match self {
            Error::Unreadable { .. } => Kind::NotFound,
            Error::Invalid(_) => Kind::Invalid,
        }
    }
}

/// One problem. Line and column count from 1; 0 means unknown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    pub path: PathBuf,
    pub line: u64,
    pub column: u64,
    /// Dotted, e.g. `retention.logs`; empty where the text is no valid YAML at all.
    pub field: String,
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}: ", self.path.display(), self.line, self.column)?;
        if !self.field.is_empty() {
            write!(f, "{}: ", self.field)?;
        }
        f.write_str(&self.message)
    }
}

fn list(problems: &[Problem]) -> String {
    problems.iter().map(Problem::to_string).collect::<Vec<_>>().join("\n")
}

/// The parser's message on one line, without the excerpt and the position that [`Problem`] already carries.
pub(crate) fn plain(e: &serde_saphyr::Error) -> String {
    let text = e.without_snippet().to_string();
    let first = text.lines().map(str::trim).find(|l| !l.is_empty()).unwrap_or("not valid YAML");
    let first = first.strip_prefix("error: ").unwrap_or(first);
    match first.rfind(" at line ") {
        Some(at) => first[..at].to_owned(),
        None => first.to_owned(),
    }
}
