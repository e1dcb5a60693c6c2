//! The configuration of every role: YAML *as written* ([`written`]) becomes a *checked* [`Node`], or a list of
//! problems that each name file, line, field and what to do.
//!
//! This crate exists because it has a reader of its own: the person who writes the file. It is the only place
//! that reads the environment. It must never know behaviour: what a setting does stands where it is used.
//! Start reading at [`load`], then [`written`] for the keys and [`check`] for the rules; at [`lint::check`] for files of
//! other programs.

mod check;
mod error;
pub mod forward;
pub mod lint;
mod listen;
mod node;
mod otlp;
mod peers;
mod prometheus;
mod receive;
mod rules;
mod scalar;
mod traces;
pub mod written;
mod yaml;

pub use error::{Error, Problem};
pub use listen::{Listen, Listener};
pub use node::{Collect, Disk, Files, Host, Http, Ingest, Memory, Node, OwnTraces, Pods, Query, Retention};
pub use otlp::Otlp;
pub use peers::{AnswerTo, Peer, PeerKind, Peers, Replication, Shared, read_peers};
pub use rules::{RuleExpression, rule_expressions};
pub use scalar::duration;

use std::path::Path;

/// The largest configuration file read; a larger one is a mistake.
const MAX_FILE_BYTES: u64 = 4 << 20;

/// Reads, parses and checks a file. Relative paths inside it are relative to its directory.
pub fn load(path: &Path) -> Result<Node, Error> {
    let text = read(path)?;
    parse(&text, path)
}

/// Parses and checks text; `path` is used in messages and to resolve relative paths.
pub fn parse(text: &str, path: &Path) -> Result<Node, Error> {
    let written: written::Node = from_yaml(text, path)?;
    check::check(written, text, path)
}

/// What a node runs with when it is given no file at all.
pub fn defaults() -> Node {
    // The empty document has no key that could be wrong.
    check::check(written::Node::default(), "", Path::new("orrery.yaml")).unwrap_or_default()
}

/// The log filter (`ORRERY_LOG`, then `RUST_LOG`); `info` where neither is set.
#[allow(clippy::disallowed_methods)] // The one crate that may read the environment.
pub fn log_filter() -> String {
    std::env::var("ORRERY_LOG").or_else(|_| std::env::var("RUST_LOG")).unwrap_or_else(|_| "info".to_owned())
}

/// A variable of the environment, none where it is unset or empty.
#[allow(clippy::disallowed_methods)] // The one crate that may read the environment.
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|v| !v.is_empty())
}

/// The text with the values of keys that hold secrets replaced, for showing a configuration to people. What is
/// indented below such a key, and the rest of its line, is hidden whole: rather too much than too little.
pub fn masked(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut hidden_below: Option<usize> = None;
    for line in text.lines() {
        let indent = line.len() - line.trim_start_matches([' ', '-']).len();
        if hidden_below.is_some_and(|h| line.trim().is_empty() || indent > h) {
            continue;
        }
        hidden_below = secret_key_end(line).map(|_| indent);
        match secret_key_end(line) {
            Some(at) => out.push_str(&format!("{} <secret>", &line[..at])),
            None => out.push_str(&without_users(line)),
        }
        out.push('\n');
    }
    out
}

/// The line with users and passwords of URLs replaced.
fn without_users(line: &str) -> String {
    let mut out = String::with_capacity(line.len());
    let mut rest = line;
    while let Some((before, after)) = rest.split_once("://") {
        out.push_str(before);
        out.push_str("://");
        let host = after.find(['/', '?', '#', '"', '\'', ' ', ',']).unwrap_or(after.len());
        rest = match after.get(..host).and_then(|authority| authority.rfind('@')) {
            Some(at) => {
                out.push_str("<secret>");
                after.get(at..).unwrap_or_default()
            }
            None => after,
        };
    }
    out.push_str(rest);
    out
}

/// Where the value of the first key that holds a secret begins, if the line has one.
fn secret_key_end(line: &str) -> Option<usize> {
    const SECRET: [&str; 16] = [
        "password",
        "credentials",
        "bearer_token",
        "client_secret",
        "client_certificate_key",
        "secret_key",
        "service_account_key",
        "private_key",
        "application_secret",
        "consumer_key",
        "token",
        "secrets",
        "key",
        // Of remote writing: what proves who sends often stands in a header.
        " headers",
        "{headers",
        ",headers",
    ];
    let ends = SECRET.iter().flat_map(|key| line.match_indices(key).map(|(at, found)| at + found.len()));
    ends.filter_map(|at| {
        let rest = line[at..].trim_start_matches(['"', '\'']).trim_start().strip_prefix(':')?;
        Some(line.len() - rest.len())
    })
    .min()
}

fn read(path: &Path) -> Result<String, Error> {
    let fail = |reason: String| Error::Unreadable { path: path.to_owned(), reason };
    let size = std::fs::metadata(path).map_err(|e| fail(e.to_string()))?.len();
    if size > MAX_FILE_BYTES {
        return Err(fail(format!(
            "it has {size} bytes, more than the {MAX_FILE_BYTES} a configuration may have"
        )));
    }
    std::fs::read_to_string(path).map_err(|e| fail(e.to_string()))
}

fn from_yaml<T: serde::de::DeserializeOwned + Default>(text: &str, path: &Path) -> Result<T, Error> {
    let only_comments = text.lines().all(|l| l.trim().is_empty() || l.trim_start().starts_with('#'));
    if only_comments {
        return Ok(T::default());
    }
    serde_saphyr::from_str::<T>(text).map_err(|e| {
        let at = e.location();
        Error::Invalid(vec![Problem {
            path: path.to_owned(),
            line: at.map_or(0, |l| l.line()),
            column: at.map_or(0, |l| l.column()),
            field: String::new(),
            message: error::plain(&e),
        }])
    })
}

#[cfg(test)]
mod tests;
