//! What is told of a file.

use std::{
    fmt,
    path::{Path, PathBuf},
};

use serde::Serialize;

use crate::{Problem, yaml::At};

/// Whether a finding makes the check end in failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// The program refuses the file, or what it says cannot have the effect it was written for.
    Error,
    /// It works, and bites later.
    Warning,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Severity::Error => "error",
            Severity::Warning => "warning",
        })
    }
}

/// One defect. It never holds the value of a secret: addresses are told without user, query and fragment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    pub path: PathBuf,
    /// Counted from 1; 0 is unknown.
    pub line: u64,
    /// In characters, counted from 1; 0 is unknown.
    pub column: u64,
    pub severity: Severity,
    /// Short name of the rule, stable across versions.
    pub rule: &'static str,
    /// Where in the document, such as `remote_write[0].write_relabel_configs[1].regex`.
    pub key: String,
    /// What is wrong.
    pub message: String,
    /// What that does at run time.
    pub effect: String,
    /// What to write.
    pub instead: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}: {}: ", self.path.display(), self.line, self.column, self.severity)?;
        if !self.key.is_empty() {
            write!(f, "{}: ", self.key)?;
        }
        write!(f, "{} [{}]", self.message, self.rule)?;
        for (name, text) in [("effect", &self.effect), ("instead", &self.instead)] {
            if !text.is_empty() {
                write!(f, "\n    {name}: {text}")?;
            }
        }
        Ok(())
    }
}

/// What a rule says; the file is added by whoever asked it.
#[derive(Debug, Clone)]
pub(super) struct Told {
    pub(super) severity: Severity,
    pub(super) rule: &'static str,
    pub(super) message: String,
    pub(super) effect: String,
    pub(super) instead: String,
}

/// The findings of one file while it is read.
#[derive(Debug, Default)]
pub(super) struct Findings {
    path: PathBuf,
    all: Vec<Finding>,
}

/// Findings told of one file; what comes on top of so many helps nobody.
const MAX_FINDINGS: usize = 1000;

impl Findings {
    pub(super) fn of(path: &Path) -> Self {
        Findings { path: path.to_owned(), all: Vec::new() }
    }

    pub(super) fn add(&mut self, at: At, key: &str, told: Told) {
        if self.all.len() >= MAX_FINDINGS {
            return;
        }
        self.all.push(Finding {
            path: self.path.clone(),
            line: at.line,
            column: at.column,
            severity: told.severity,
            rule: told.rule,
            key: key.to_owned(),
            message: told.message,
            effect: told.effect,
            instead: told.instead,
        });
    }

    /// What the reader of a format says, which may be about a file that this one includes.
    pub(super) fn add_problem(&mut self, p: Problem, effect: &str) {
        let told = Told {
            severity: Severity::Error,
            rule: "invalid",
            message: p.message,
            effect: effect.to_owned(),
            instead: String::new(),
        };
        self.add(At { line: p.line, column: p.column }, &p.field, told);
        if let Some(last) = self.all.last_mut() {
            last.path = p.path;
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    pub(super) fn append(&mut self, mut other: Findings) {
        self.all.append(&mut other.all);
    }

    /// By place; each once, though several ways may lead a rule to it.
    pub(super) fn sorted(mut self) -> Vec<Finding> {
        self.all.sort_by(|a, b| {
            (&a.path, a.line, a.column, a.rule, &a.key).cmp(&(&b.path, b.line, b.column, b.rule, &b.key))
        });
        self.all.dedup();
        self.all
    }
}
