//! Warnings and infos that come with an answer, in the order they arose. The same message from two places is kept
//! once, with the place it came from last, as Prometheus does.

use std::ops::Range;

/// Byte offsets in the query text.
pub type Span = Range<usize>;

/// How many notes of one sort are kept; a query over a million series may have a reason for each.
const MAX_NOTES: usize = 64;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    pub message: String,
    pub span: Span,
    /// How often it arose, where the reader is told; 0 where not.
    pub occurrences: u64,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Notes {
    pub warnings: Vec<Note>,
    pub infos: Vec<Note>,
}

impl Notes {
    pub fn warn(&mut self, span: &Span, message: impl Into<String>) {
        push(&mut self.warnings, span, message.into(), 0);
    }

    /// A warning that says how often it arose.
    pub fn warn_counted(&mut self, span: &Span, message: impl Into<String>) {
        push(&mut self.warnings, span, message.into(), 1);
    }

    pub fn info(&mut self, span: &Span, message: impl Into<String>) {
        push(&mut self.infos, span, message.into(), 0);
    }

    pub fn merge(&mut self, other: Notes) {
        for n in other.warnings {
            push(&mut self.warnings, &n.span, n.message, n.occurrences);
        }
        for n in other.infos {
            push(&mut self.infos, &n.span, n.message, n.occurrences);
        }
    }
}

fn push(list: &mut Vec<Note>, span: &Span, message: String, occurrences: u64) {
    if let Some(n) = list.iter_mut().find(|n| n.message == message) {
        n.span = span.clone();
        n.occurrences += occurrences;
    } else if list.len() < MAX_NOTES {
        list.push(Note { message, span: span.clone(), occurrences });
    }
}
