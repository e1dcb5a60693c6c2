//! Spans, newest first, in steps back through time: each step reads every source for one stretch of the
//! range and puts what it finds in order. Steps begin short where few traces are wanted and grow while they
//! find nothing.

use std::{
    collections::{BTreeSet, HashSet},
    sync::Arc,
};

use base::memory::Reservation;
use contract::{Error, Result, Selection, SpanFilter, SpansRequest};
use futures::{StreamExt, stream};
use model::{Signal, Span, SpanBatch, TenantId, TimeRange, TimestampNs, merge::SpanMerger, span::SpanOrigin};
use segment::spans::Selection as SegmentSelection;

use super::Answer;
use crate::{catalog::SegmentRef, core::Core, head::SpanPart, readers::Reader, shelf::FrozenData};

/// First step where the newest few traces are wanted, and the widest step that found something.
const FIRST_STEP_NS: i64 = 300_000_000_000;
const MAX_STEP_NS: i64 = 7_200_000_000_000;
/// Attribute under which answers over several tenants say whose a span is.
const TENANT_ATTRIBUTE: &str = super::TENANT_LABEL;

pub(crate) fn spans(core: &Arc<Core>, r: SpansRequest) -> Result<Selection<SpanBatch>> {
    let answer = Answer::new(core, &r.scope, Signal::TRACES);
    let many = !r.scope.tenants.is_single();
    let mut sources = Vec::new();
    for tenant in r.scope.tenants.iter() {
        sources.extend(of_tenant(&answer, tenant).into_iter().map(|s| (many.then(|| tenant.clone()), s)));
    }
    let step_ns = if r.max_traces.is_some() { FIRST_STEP_NS } else { MAX_STEP_NS };
    let held = answer.reserve(0)?;
    let coverage = answer.coverage.clone();
    let walk = Walk {
        cursor: r.scope.range.end,
        answer,
        sources,
        trace_ids: r.trace_ids.clone(),
        left: r.max_traces,
        seen: HashSet::new(),
        step_ns,
        held,
        filters: Arc::new(r),
        bytes: 0,
    };
    let items = stream::try_unfold(walk, |mut w| async move { Ok(w.piece().await?.map(|p| (p, w))) });
    Ok(Selection::new(items.boxed(), coverage))
}

/// Where spans of one tenant lie.
pub(crate) enum Source {
    Segment(Arc<SegmentRef>),
    Part(Arc<SpanPart>),
}

impl Source {
    fn range(&self) -> TimeRange {
        match self {
            Source::Segment(s) => s.range(),
            Source::Part(p) => p.range,
        }
    }
}

pub(crate) fn of_tenant(answer: &Answer, tenant: &TenantId) -> Vec<Source> {
    let Some(shelf) = answer.shelf(tenant) else { return Vec::new() };
    let view = shelf.view(&[], answer.range, u64::MAX);
    let mut sources: Vec<_> = view.segments(answer.range).into_iter().map(Source::Segment).collect();
    for data in view.heads() {
        if let FrozenData::Spans(s) = data {
            let inside = s.parts.iter().filter(|p| p.range.overlaps(answer.range));
            sources.extend(inside.cloned().map(Source::Part));
        }
    }
    sources
}

struct Walk {
    answer: Answer,
    sources: Vec<(Option<TenantId>, Source)>,
    trace_ids: Vec<[u8; 16]>,
    filters: Arc<SpansRequest>,
    /// Distinct traces that may still come; `None`: all.
    left: Option<usize>,
    seen: HashSet<[u8; 16]>,
    /// Everything from here on has been answered.
    cursor: TimestampNs,
    step_ns: i64,
    held: Reservation,
    bytes: u64,
}

impl Walk {
    async fn piece(&mut self) -> Result<Option<SpanBatch>> {
        while let Some(stretch) = self.next_stretch() {
            self.answer.limits.check_deadline()?;
            self.held.shrink_to(0);
            let ids = self.wanted_ids();
            let mut found = Vec::new();
            for (tenant, source) in self.sources.iter().filter(|(_, s)| s.range().overlaps(stretch)) {
                let from = found.len();
                match source {
                    Source::Part(part) => collect(part.spans(&ids), stretch, &self.filters, &mut found),
                    Source::Segment(s) => {
                        read_segment(&self.answer, s, stretch, &ids, &self.filters, &mut found).await;
                    }
                }
                let bytes: u64 = found.iter().skip(from).map(|(s, _)| s.heap_bytes() as u64).sum();
                self.held.grow(bytes)?;
                self.bytes += bytes;
                if self.bytes > self.answer.limits.max_bytes {
                    let max = self.answer.limits.max_bytes;
                    return Err(Error::limited(
                        "query.max_bytes",
                        format!("the query reads more than query.max_bytes ({max}) of spans"),
                    ));
                }
                if let Some(t) = tenant {
                    for (_, origin) in found.iter_mut().skip(from) {
                        let mut named = (**origin).clone();
                        named.resource.attributes.push(TENANT_ATTRIBUTE, t.as_str());
                        *origin = Arc::new(named);
                    }
                }
            }
            self.step_ns = if found.is_empty() {
                self.step_ns.saturating_mul(4)
            } else {
                (self.step_ns * 2).min(MAX_STEP_NS)
            };
            let batch = self.choose(found);
            if !batch.spans.is_empty() {
                return Ok(Some(batch));
            }
        }
        Ok(None)
    }

    /// The stretch to look at next, newest first; `None` at the end of the range or of the data.
    fn next_stretch(&mut self) -> Option<TimeRange> {
        let before = self.answer.range.intersect(TimeRange::new(TimestampNs(i64::MIN), self.cursor));
        let newest = self
            .sources
            .iter()
            .map(|(_, s)| s.range().intersect(before))
            .filter(|r| !r.is_empty())
            .map(|r| r.end)
            .max()?;
        // Once the traces are chosen, what remains of them is read in one go; so is what is asked by id.
        let whole = !self.trace_ids.is_empty() || self.left == Some(0);
        let start = if whole {
            before.start
        } else {
            before.start.max(TimestampNs(newest.0.saturating_sub(self.step_ns)))
        };
        self.cursor = start;
        Some(TimeRange::new(start, newest))
    }

    fn wanted_ids(&self) -> Vec<[u8; 16]> {
        if self.left == Some(0) {
            return self.seen.iter().copied().collect();
        }
        self.trace_ids.clone()
    }

    /// Puts spans in order, newest first, and leaves out traces beyond the asked number.
    fn choose(&mut self, mut found: Vec<(Span, Arc<SpanOrigin>)>) -> SpanBatch {
        found.sort_by_key(|(s, _)| std::cmp::Reverse(s.start_ns));
        let mut out = SpanMerger::default();
        for (span, origin) in found {
            if let Some(left) = &mut self.left
                && !self.seen.contains(&span.trace_id)
            {
                if *left == 0 {
                    continue;
                }
                *left -= 1;
                self.seen.insert(span.trace_id);
            }
            let at = out.origin(&origin);
            out.push(at, span);
        }
        out.take()
    }
}

fn collect<'a>(
    spans: impl Iterator<Item = (&'a Span, &'a SpanOrigin)>,
    stretch: TimeRange,
    filters: &SpansRequest,
    found: &mut Vec<(Span, Arc<SpanOrigin>)>,
) {
    // Neighbours tend to share their origin.
    let mut last: Option<(*const SpanOrigin, Arc<SpanOrigin>)> = None;
    for (span, origin) in spans {
        if stretch.contains(TimestampNs(span.start_ns)) && filters.passes(span, origin) {
            let shared = match &last {
                Some((at, shared)) if std::ptr::eq(*at, origin) => shared.clone(),
                _ => Arc::new(origin.clone()),
            };
            last = Some((origin, shared.clone()));
            let mut span = span.clone();
            filters.wanted.trim(&mut span);
            found.push((span, shared));
        }
    }
}

/// What a segment has is added to `found`; a segment that breaks off is noted and adds what it gave.
async fn read_segment(
    answer: &Answer,
    segment: &Arc<SegmentRef>,
    stretch: TimeRange,
    ids: &[[u8; 16]],
    filters: &Arc<SpansRequest>,
    found: &mut Vec<(Span, Arc<SpanOrigin>)>,
) {
    let service = filters.filters.iter().find_map(|f| if let SpanFilter::Service(s) = f { Some(s) } else { None });
    if service.is_some_and(|s| !segment.info.may_hold_service(s)) {
        return;
    }
    let Some(Reader::Spans(reader)) = answer.open(segment).await else { return };
    if !ids.is_empty() {
        match reader.by_trace_ids(ids, stretch).await {
            Ok(batch) => collect(with_origins(&batch), stretch, filters, found),
            Err(e) => answer.missing(segment, &e),
        }
        return;
    }
    let mut selected = reader.select(selection(stretch, filters));
    while let Some(batch) = selected.next().await {
        match batch {
            Ok(batch) => collect(with_origins(&batch), stretch, filters, found),
            Err(e) => return answer.missing(segment, &e),
        }
    }
}

fn with_origins(batch: &SpanBatch) -> impl Iterator<Item = (&Span, &SpanOrigin)> {
    batch.spans.iter().filter_map(|s| Some((s, batch.origins.get(s.origin as usize)?)))
}

/// The conditions as columns know them; [`SpansRequest::passes`] still decides.
fn selection(range: TimeRange, filters: &Arc<SpansRequest>) -> SegmentSelection {
    let mut s = SegmentSelection::new(range);
    for f in &filters.filters {
        match f {
            SpanFilter::Service(v) => s.service = Some(v.clone()),
            SpanFilter::Name(v) => s.name = Some(v.clone()),
            SpanFilter::Kind(k) => s.kind = Some(*k),
            SpanFilter::MinDurationNs(d) => {
                s.min_duration_ns = Some((*d).max(s.min_duration_ns.unwrap_or(*d)))
            }
            SpanFilter::MaxDurationNs(d) => {
                s.max_duration_ns = Some((*d).min(s.max_duration_ns.unwrap_or(*d)))
            }
            SpanFilter::Error(e) => s.error = Some(*e),
            SpanFilter::Attribute(..) => {}
        }
    }
    let all = filters.clone();
    s.predicate = Some(Arc::new(move |span, origin| all.passes(span, origin)));
    s
}

/// What is asked about spans by name rather than span by span.
pub(crate) enum Ask<'a> {
    Services,
    Operations { service: Option<&'a str>, kind: Option<model::SpanKind> },
    Keys,
    Values { key: &'a str, limit: usize },
}

/// Adds a source's answer for the range.
pub(crate) async fn ask(
    answer: &Answer,
    source: &Source,
    ask: &Ask<'_>,
    out: &mut BTreeSet<String>,
) -> Result<()> {
    answer.limits.check_deadline()?;
    let segment = match source {
        Source::Part(part) => {
            let inside = |s: &&(&Span, &SpanOrigin)| answer.range.contains(TimestampNs(s.0.start_ns));
            part.spans(&[]).filter(|s| inside(&s)).for_each(|(s, o)| ask_span(s, o, ask, out));
            return Ok(());
        }
        Source::Segment(segment) => segment,
    };
    let Some(Reader::Spans(reader)) = answer.open(segment).await else { return Ok(()) };
    let found = match ask {
        Ask::Services => reader.services(answer.range).await,
        Ask::Operations { service, kind } => reader.operations(answer.range, *service, *kind).await,
        Ask::Keys => reader.attribute_keys(answer.range).await,
        Ask::Values { key, limit } => reader.attribute_values(answer.range, key, *limit).await,
    };
    match found {
        Ok(values) => out.extend(values),
        Err(e) => answer.missing(segment, &e),
    }
    Ok(())
}

fn ask_span(s: &Span, o: &SpanOrigin, ask: &Ask<'_>, out: &mut BTreeSet<String>) {
    let mut add = |v: &str| {
        if !out.contains(v) {
            out.insert(v.to_owned());
        }
    };
    match ask {
        Ask::Services => add(o.service_name()),
        Ask::Operations { service, kind } => {
            if service.is_none_or(|v| v == o.service_name()) && kind.is_none_or(|k| k == s.kind) {
                add(&s.name);
            }
        }
        Ask::Keys => s.attributes.iter().chain(o.resource.attributes.iter()).for_each(|(k, _)| add(k)),
        Ask::Values { key, .. } => {
            if let Some(v) = s.attributes.get(key).or_else(|| o.resource.attributes.get(key)) {
                add(&v.to_string());
            }
        }
    }
}
