//! What each node of a plan took, for whoever asks to have it explained.

use std::time::{Duration, Instant};

use super::{Val, bytes_of};
use crate::ast::NodeId;

/// By node; empty unless asked for.
#[derive(Default)]
pub(crate) struct Profile(Vec<Measure>);

#[derive(Clone, Default)]
pub(crate) struct Measure {
    /// Time from begin to end, with all below; of work spread over cores the sum over all of them.
    pub time: Duration,
    pub series: u64,
    pub bytes: u64,
    /// How often its result served again.
    pub reused: u64,
    /// It was done in one pass with the operator above.
    pub fused: bool,
}

impl Profile {
    pub fn new(nodes: usize, wanted: bool) -> Self {
        Profile(if wanted { vec![Measure::default(); nodes] } else { Vec::new() })
    }

    pub fn of(&self, id: NodeId) -> Option<&Measure> {
        self.0.get(id.0 as usize)
    }

    fn at(&mut self, id: NodeId) -> Option<&mut Measure> {
        self.0.get_mut(id.0 as usize)
    }

    pub(super) fn begin(&self) -> Option<Instant> {
        (!self.0.is_empty()).then(Instant::now)
    }

    pub(super) fn end(&mut self, id: NodeId, began: Option<Instant>, value: &Val) {
        let (Some(m), Some(began)) = (self.at(id), began) else { return };
        m.time += began.elapsed();
        m.fused = false;
        (m.series, m.bytes) = match value {
            Val::Rows(rows) => (rows.len() as u64, bytes_of(rows) as u64),
            Val::Scalar(c) => (1, c.heap_bytes() as u64),
            Val::String(s) => (1, s.len() as u64),
        };
    }

    /// A job done; where it is a node of its own, [`Profile::end`] overwrites this.
    pub(super) fn job(&mut self, id: NodeId, busy: Duration, series: u64, bytes: u64) {
        if let Some(m) = self.at(id) {
            m.fused = true;
            m.time = busy;
            (m.series, m.bytes) = (series, bytes);
        }
    }

    pub(super) fn reused(&mut self, id: NodeId) {
        if let Some(m) = self.at(id) {
            m.reused += 1;
        }
    }
}
