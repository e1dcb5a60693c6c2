//! The newest of what has been found.

use std::{cmp::Reverse, collections::BTreeMap};

use base::memory::Reservation;
use model::AnyValue;

use crate::{
    Query, Result,
    answer::{FoundSpan, FoundSpanset, FoundTrace},
    eval::{Spanset, field::Subject},
    field::{Field, Intrinsic},
    trace::Trace,
};

/// Newest found span, then id.
type Place = (Reverse<i64>, [u8; 16]);

pub(super) struct Found<'q> {
    limit: usize,
    spans_per_spanset: usize,
    /// What is told of each span.
    fields: Vec<&'q Field>,
    by_place: BTreeMap<Place, FoundTrace>,
    /// What has not been told of.
    new: Vec<Place>,
}

impl<'q> Found<'q> {
    pub fn new(query: &'q Query, limit: usize, spans_per_spanset: usize) -> Self {
        let fields = query.fields().into_iter().filter(|f| is_told(f)).collect();
        Found { limit, spans_per_spanset, fields, by_place: BTreeMap::new(), new: Vec::new() }
    }

    /// Whether traces whose found spans are this old or older change nothing.
    pub fn is_settled(&self, newest_ns: i64) -> bool {
        let last = self.by_place.last_key_value();
        self.by_place.len() >= self.limit && last.is_some_and(|((Reverse(at), _), _)| *at > newest_ns)
    }

    pub fn add(
        &mut self,
        newest_ns: i64,
        trace: &Trace,
        sets: &[Spanset],
        memory: &mut Reservation,
    ) -> Result<()> {
        let place = (Reverse(newest_ns), trace.id);
        if self.by_place.len() >= self.limit
            && self.by_place.last_key_value().is_some_and(|(last, _)| *last < place)
        {
            return Ok(());
        }
        let found = self.trace(trace, sets);
        memory.grow(size(&found))?;
        self.by_place.insert(place, found);
        self.new.push(place);
        if self.by_place.len() > self.limit
            && let Some((_, gone)) = self.by_place.pop_last()
        {
            memory.shrink_to(memory.bytes().saturating_sub(size(&gone)));
        }
        Ok(())
    }

    /// What was found since the last call and still counts, newest first.
    pub fn take_new(&mut self) -> Vec<FoundTrace> {
        let mut new = std::mem::take(&mut self.new);
        new.sort_unstable();
        new.iter().filter_map(|place| self.by_place.get(place).cloned()).collect()
    }

    pub fn into_traces(self) -> Vec<FoundTrace> {
        let mut all: Vec<FoundTrace> = self.by_place.into_values().collect();
        all.sort_by_key(|t| (Reverse(t.start_ns), t.trace_id));
        all
    }

    fn trace(&self, trace: &Trace, sets: &[Spanset]) -> FoundTrace {
        let root = trace.root();
        FoundTrace {
            trace_id: trace.id,
            root_service: root.map(|(_, o)| o.service_name().to_owned()),
            root_name: root.map(|(s, _)| s.name.clone()),
            start_ns: trace.start_ns(),
            duration_ns: trace.duration_ns(),
            spansets: sets.iter().map(|s| self.spanset(trace, s)).collect(),
            services: trace.services(),
        }
    }

    fn spanset(&self, trace: &Trace, set: &Spanset) -> FoundSpanset {
        let listed = set.spans.iter().take(self.spans_per_spanset);
        FoundSpanset {
            attributes: set.attributes.clone(),
            matched: set.spans.len() as u32,
            spans: listed.filter_map(|i| Some(self.span(&Subject::in_trace(trace, *i)?))).collect(),
        }
    }

    fn span(&self, s: &Subject<'_>) -> FoundSpan {
        let told = |f: &&Field| -> Option<(String, AnyValue)> {
            let v = s.get(f).filter(|v| !v.is_nil())?;
            Some((f.name().to_owned(), v.to_any()))
        };
        FoundSpan {
            span_id: s.span.span_id,
            name: s.span.name.clone(),
            start_ns: s.span.start_ns,
            duration_ns: s.span.duration_ns(),
            attributes: self.fields.iter().filter_map(told).collect(),
        }
    }
}

/// Whether it is told among a span's attributes: what has a place of its own is not.
fn is_told(f: &Field) -> bool {
    !matches!(
        f,
        Field::Intrinsic(
            Intrinsic::Name
                | Intrinsic::Duration
                | Intrinsic::SpanId
                | Intrinsic::TraceId
                | Intrinsic::TraceDuration
                | Intrinsic::RootName
                | Intrinsic::RootServiceName
        )
    )
}

fn size(t: &FoundTrace) -> u64 {
    let attributes = |all: &[(String, AnyValue)]| -> usize {
        all.iter().map(|(k, v)| k.len() + 24 + v.heap_bytes()).sum()
    };
    let spans = t.spansets.iter().flat_map(|s| &s.spans);
    let bytes = size_of::<FoundTrace>()
        + t.services.iter().map(|s| s.service.len() + 40).sum::<usize>()
        + t.spansets.iter().map(|s| size_of::<FoundSpanset>() + attributes(&s.attributes)).sum::<usize>()
        + spans.map(|s| size_of::<FoundSpan>() + s.name.len() + attributes(&s.attributes)).sum::<usize>();
    bytes as u64
}
