//! What a comparison found, for people and as JSON.

use std::fmt;

use serde::Serialize;

use super::{Difference, Expression, Options, Range, Tolerance};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    Same,
    /// The same nothing: it says little.
    Empty,
    /// Both sides refuse for the same reason.
    Refused,
    Different,
}

/// One question and what became of it.
#[derive(Debug, Clone, Serialize)]
pub struct Query {
    /// File, dashboard, panel or rule.
    pub source: String,
    /// As it was asked, variables filled in.
    pub expr: String,
    pub instant: bool,
    pub range: Range,
    pub outcome: Outcome,
    /// Series in A's answer.
    pub series: usize,
    /// Why A refuses, where it does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub said: Option<String>,
    pub a_ms: f64,
    pub b_ms: f64,
    pub difference_count: usize,
    /// The first ones.
    pub differences: Vec<Difference>,
}

#[derive(Debug, Clone, Serialize)]
pub struct Skipped {
    pub source: String,
    pub expr: String,
    pub why: String,
}

#[derive(Debug, Clone, Serialize)]
pub struct Report {
    pub a: String,
    pub b: String,
    pub at_ms: i64,
    pub tolerance: Tolerance,
    pub ignored_labels: Vec<String>,
    pub same: usize,
    pub empty: usize,
    pub refused: usize,
    pub different: usize,
    /// Seconds both sides took to answer, added up.
    pub seconds: f64,
    pub queries: Vec<Query>,
    /// Expressions that could not be asked.
    pub skipped: Vec<Skipped>,
    /// Variables that had to be guessed, and what could not be compared.
    pub notes: Vec<String>,
}

impl Report {
    pub(super) fn new(o: &Options, at_ms: i64) -> Self {
        Report {
            a: o.a.shown().to_owned(),
            b: o.b.shown().to_owned(),
            at_ms,
            tolerance: o.tolerance,
            ignored_labels: o.ignore_labels.clone(),
            same: 0,
            empty: 0,
            refused: 0,
            different: 0,
            seconds: 0.0,
            queries: Vec::new(),
            skipped: Vec::new(),
            notes: Vec::new(),
        }
    }

    pub(super) fn add(&mut self, q: Query) {
        *match q.outcome {
            Outcome::Same => &mut self.same,
            Outcome::Empty => &mut self.empty,
            Outcome::Refused => &mut self.refused,
            Outcome::Different => &mut self.different,
        } += 1;
        self.queries.push(q);
    }

    pub(super) fn skip(&mut self, e: &Expression, why: String) {
        let s = Skipped { source: e.source.clone(), expr: e.text.clone(), why };
        if !self.skipped.iter().any(|k| k.source == s.source && k.expr == s.expr) {
            self.skipped.push(s);
        }
    }

    pub(super) fn note(&mut self, note: String) {
        if !self.notes.contains(&note) {
            self.notes.push(note);
        }
    }

    /// Nothing differs.
    pub fn is_same(&self) -> bool {
        self.different == 0
    }

    /// Neither is there an answer, nor one side that refuses what the other answers.
    pub fn is_nothing(&self) -> bool {
        self.same + self.empty + self.different == 0
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "A {}\nB {}", self.a, self.b)?;
        for q in self.queries.iter().filter(|q| q.outcome == Outcome::Different) {
            let kind = if q.instant { "at" } else { "up to" };
            let Range { start_ms, end_ms, step_ms } = q.range;
            writeln!(f, "\n{}\n  {}", q.source, q.expr.replace('\n', "\n  "))?;
            writeln!(
                f,
                "  {kind} {end_ms} ms from {start_ms} ms, step {step_ms} ms: {} differences",
                q.difference_count
            )?;
            q.differences.iter().try_for_each(|d| writeln!(f, "    {d}"))?;
            if q.difference_count > q.differences.len() {
                writeln!(f, "    and {} more", q.difference_count - q.differences.len())?;
            }
        }
        for q in self.queries.iter().filter(|q| q.outcome == Outcome::Refused) {
            writeln!(
                f,
                "\nrefused by both: {}\n  {}\n  {}",
                q.source,
                q.expr,
                q.said.as_deref().unwrap_or_default()
            )?;
        }
        for s in &self.skipped {
            writeln!(f, "\nnot asked: {}\n  {}\n  {}", s.source, s.expr, s.why)?;
        }
        if !self.notes.is_empty() {
            writeln!(f, "\nnotes:")?;
            self.notes.iter().try_for_each(|n| writeln!(f, "  {n}"))?;
        }
        writeln!(
            f,
            "\n{} compared: {} the same, {} empty on both sides, {} refused by both, {} different; {} not asked",
            self.queries.len(),
            self.same,
            self.empty,
            self.refused,
            self.different,
            self.skipped.len()
        )
    }
}
