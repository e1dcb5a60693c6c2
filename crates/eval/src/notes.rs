//! Warnings and infos that come with an answer, without duplicates, in the order they arose.

use std::ops::Range;

/// Byte offsets in the query text.
pub type Span = Range<usize>;

/// How many notes of one sort are kept; a query over a million series may have a reason for each.
const MAX_NOTES: usize = 64;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    pub message: String,
    pub span: Span,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Notes {
    pub warnings: Vec<Note>,
    pub infos: Vec<Note>,
}

impl Notes {
    pub fn warn(&mut self, span: &Span, message: impl Into<String>) {
        push(&mut self.warnings, span, message.into());
    }

    pub fn info(&mut self, span: &Span, message: impl Into<String>) {
        push(&mut self.infos, span, message.into());
    }

    pub fn merge(&mut self, other: Notes) {
        for n in other.warnings {
            push(&mut self.warnings, &n.span, n.message);
        }
        for n in other.infos {
            push(&mut self.infos, &n.span, n.message);
        }
    }
}

fn push(list: &mut Vec<Note>, span: &Span, message: String) {
    if list.len() < MAX_NOTES && !list.iter().any(|n| n.message == message && n.span == *span) {
        list.push(Note { message, span: span.clone() });
    }
}
