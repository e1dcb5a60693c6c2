//! Results that are asked for more than once, and those that are the same at every step.

use eval::{Notes, Span};

use super::{Result, Run, Val, bytes_of, tally::Tally};
use crate::ast::NodeId;

/// A result kept until everyone who wants it has had it.
pub(super) struct Kept {
    value: Val,
    left: u32,
    /// What evaluating it said, and where it stood: whoever asks again says the same from his own place.
    notes: Notes,
    span: Span,
    tally: Tally,
}

impl<'a> Run<'a> {
    /// The result of an equal node that was evaluated before.
    pub(super) fn recall(&mut self, id: NodeId) -> Result<Option<Val>> {
        let Some((class, _)) = self.plan.shared().of(id) else { return Ok(None) };
        let Some(kept) = self.kept.get_mut(&class) else { return Ok(None) };
        kept.left = kept.left.saturating_sub(1);
        let span = self.plan.expr.span(id);
        let moved = |s: &Span| {
            let at = (s.start + span.start).saturating_sub(kept.span.start);
            at..at + s.len()
        };
        let mut notes = kept.notes.clone();
        for note in notes.warnings.iter_mut().chain(&mut notes.infos) {
            note.span = moved(&note.span);
        }
        self.notes.merge(notes);
        self.tally.merge(&kept.tally);
        self.profile.reused(id);
        if kept.left == 0 {
            return Ok(self.kept.remove(&class).map(|k| k.value));
        }
        let value = kept.value.clone();
        if let Val::Rows(rows) = &value {
            self.meter.charge(bytes_of(rows))?;
        }
        Ok(Some(value))
    }

    /// Evaluates a node, and keeps the result if it is wanted again.
    pub(super) fn evaluate(&mut self, id: NodeId) -> Result<Val> {
        let Some((class, uses)) = self.plan.shared().of(id) else { return self.at_its_steps(id) };
        let said = std::mem::take(&mut self.notes);
        let fresh = Tally::new(Some(self.tally.per_step.len()));
        let counted = std::mem::replace(&mut self.tally, fresh);
        let value = self.at_its_steps(id);
        let notes = std::mem::replace(&mut self.notes, said);
        let tally = std::mem::replace(&mut self.tally, counted);
        self.notes.merge(notes.clone());
        self.tally.merge(&tally);
        let value = value?;
        if let Val::Rows(rows) = &value {
            self.meter.charge(bytes_of(rows))?;
        }
        let span = self.span(id).clone();
        self.kept.insert(class, Kept { value: value.clone(), left: uses - 1, notes, span, tally });
        Ok(value)
    }

    /// A node that is the same at every step is evaluated at one.
    fn at_its_steps(&mut self, id: NodeId) -> Result<Val> {
        let Some(steps) = self.plan.repeated(id) else { return self.node(id) };
        let counted = std::mem::take(&mut self.tally);
        let value = self.node(id);
        let one = std::mem::replace(&mut self.tally, counted);
        self.tally.repeat(&one, steps);
        Ok(match value? {
            Val::Scalar(c) => Val::Scalar(c.broadcast(steps)),
            Val::String(s) => Val::String(s),
            Val::Rows(mut rows) => {
                let consumed = bytes_of(&rows);
                self.check_points(rows.len() as u64 * steps as u64)?;
                for row in &mut rows {
                    self.meter.work(steps)?;
                    row.column = row.column.broadcast(steps);
                }
                self.settle(consumed, &rows)?;
                Val::Rows(rows)
            }
        })
    }
}
