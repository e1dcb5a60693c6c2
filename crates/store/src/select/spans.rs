//! Spans, newest first, in steps back through time: each step reads every source for one stretch of the range and puts
//! what it finds in order. A stretch is as long as the number of spans that may lie in it allows: a little for a first
//! look, more while little is found. Spans of known traces are looked up instead, and where they are many, the stretches
//! are cut by when they begin.

mod located;
pub(crate) mod names;

use std::{collections::HashSet, sync::Arc};

use base::memory::Reservation;
use contract::{Error, Result, Selection, SpanFilter, SpansRequest};
use futures::{StreamExt, stream};
use model::{Signal, Span, SpanBatch, TenantId, TimeRange, TimestampNs, merge::SpanMerger, span::SpanOrigin};
use segment::spans::{Located, Selection as SegmentSelection};

use super::Answer;
use crate::{catalog::SegmentRef, core::Core, head::SpanPart, readers::Reader, shelf::FrozenData};

/// Spans that a stretch should give. More: memory; fewer: pages are unpacked more often.
const PIECE_SPANS: usize = 8 << 10;
/// Spans looked at for the first traces of a search, and the least of any stretch.
const FIRST_LOOK: u64 = 4 << 10;
/// And the most.
const WIDEST_LOOK: u64 = 64 << 20;
/// Attribute under which answers over several tenants say whose a span is.
const TENANT_ATTRIBUTE: &str = super::TENANT_LABEL;

pub(crate) fn spans(core: &Arc<Core>, r: SpansRequest) -> Result<Selection<SpanBatch>> {
    let answer = Answer::new(core, &r.scope, Signal::TRACES);
    let many = !r.scope.tenants.is_single();
    let mut places = Vec::new();
    for tenant in r.scope.tenants.iter() {
        let named = many.then(|| tenant.clone());
        let place = |source| Place { tenant: named.clone(), source, located: None };
        places.extend(of_tenant(&answer, tenant).into_iter().map(place));
    }
    let held = answer.reserve(0)?;
    let coverage = answer.coverage.clone();
    let walk = Walk {
        cursor: r.scope.range.end,
        answer,
        places,
        by_id: (!r.trace_ids.is_empty()).then(|| ById::new(r.trace_ids.clone())),
        left: r.max_traces,
        seen: HashSet::new(),
        look: if r.max_traces.is_some() { FIRST_LOOK } else { PIECE_SPANS as u64 },
        held,
        bytes: 0,
        asked: Arc::new(r),
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

    fn spans(&self) -> u64 {
        match self {
            Source::Segment(s) => s.info.rows,
            Source::Part(p) => p.batch.spans.len() as u64,
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

struct Place {
    /// Where several are asked.
    tenant: Option<TenantId>,
    source: Source,
    /// Of a segment, where the spans of the traces asked for lie.
    located: Option<Located>,
}

/// Traces that are looked up.
struct ById {
    ids: Vec<[u8; 16]>,
    /// Where stretches begin, the next one last; `None` until the traces are located.
    edges: Option<Vec<TimestampNs>>,
}

impl ById {
    fn new(ids: Vec<[u8; 16]>) -> Self {
        ById { ids, edges: None }
    }
}

struct Walk {
    answer: Answer,
    places: Vec<Place>,
    asked: Arc<SpansRequest>,
    by_id: Option<ById>,
    /// Distinct traces that may still come; `None`: all.
    left: Option<usize>,
    seen: HashSet<[u8; 16]>,
    /// Everything from here on has been answered.
    cursor: TimestampNs,
    /// Spans that the next stretch may have.
    look: u64,
    held: Reservation,
    bytes: u64,
}

type Found = (Span, Arc<SpanOrigin>);

impl Walk {
    async fn piece(&mut self) -> Result<Option<SpanBatch>> {
        loop {
            self.answer.limits.check_deadline()?;
            if self.left == Some(0) && self.by_id.is_none() {
                // Once the traces are chosen, what remains of them is looked up.
                self.by_id = Some(ById::new(self.seen.iter().copied().collect()));
            }
            if self.by_id.as_ref().is_some_and(|b| b.edges.is_none()) {
                self.locate().await?;
            }
            let Some(stretch) = self.next_stretch() else { return Ok(None) };
            self.held.shrink_to(0);
            let found = self.read(stretch).await?;
            self.look = match found.len() {
                0 => self.look.saturating_mul(8),
                n if n < PIECE_SPANS / 4 => self.look.saturating_mul(4),
                n if n > PIECE_SPANS * 2 => self.look / 4,
                _ => self.look,
            }
            .clamp(FIRST_LOOK, WIDEST_LOOK);
            let batch = self.choose(found);
            if !batch.spans.is_empty() {
                return Ok(Some(batch));
            }
        }
    }

    /// The stretch to look at next, newest first; `None` at the end of the range or of the data.
    fn next_stretch(&mut self) -> Option<TimeRange> {
        let before = self.answer.range.intersect(TimeRange::new(TimestampNs(i64::MIN), self.cursor));
        let ranges = self.places.iter().map(|p| p.source.range().intersect(before));
        let newest = ranges.filter(|r| !r.is_empty()).map(|r| r.end).max()?;
        let start = match &mut self.by_id {
            Some(by_id) => by_id.edges.as_mut().and_then(Vec::pop).unwrap_or(before.start),
            None => TimestampNs(newest.0.saturating_sub(self.step_ns(newest))),
        };
        let start = start.max(before.start);
        self.cursor = start;
        Some(TimeRange::new(start, newest))
    }

    /// How long the spans that may be looked at take, by how close they lie at the end of the stretch.
    fn step_ns(&self, newest: TimestampNs) -> i64 {
        let here = TimeRange::new(TimestampNs(newest.0.saturating_sub(1)), newest);
        let per_ns: f64 = self
            .places
            .iter()
            .map(|p| (&p.source, p.source.range()))
            .filter(|(_, r)| r.overlaps(here))
            .map(|(s, r)| s.spans() as f64 / r.end.0.saturating_sub(r.start.0).max(1) as f64)
            .sum();
        // A float becomes the nearest integer there is.
        ((self.look as f64 / per_ns.max(f64::MIN_POSITIVE)) as i64).max(1)
    }

    /// What all sources have in a stretch.
    async fn read(&mut self, stretch: TimeRange) -> Result<Vec<Found>> {
        let ids = self.by_id.as_ref().map(|b| b.ids.as_slice()).unwrap_or_default();
        let mut found = Vec::new();
        for place in self.places.iter().filter(|p| p.source.range().overlaps(stretch)) {
            let from = found.len();
            match &place.source {
                Source::Part(part) => collect(part.spans(ids), stretch, &self.asked, &mut found),
                Source::Segment(s) => {
                    let what = (stretch, place.located.as_ref());
                    read_segment(&self.answer, s, what, &self.asked, &mut found).await;
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
            if let Some(tenant) = &place.tenant {
                name(found.iter_mut().skip(from), tenant);
            }
        }
        Ok(found)
    }

    /// Puts spans in order, newest first, and leaves out traces beyond the asked number.
    fn choose(&mut self, mut found: Vec<Found>) -> SpanBatch {
        found.sort_by_key(|(s, _)| std::cmp::Reverse(s.start_ns));
        let mut out = SpanMerger::default();
        // Neighbours tend to share their origin.
        let mut last: Option<(Arc<SpanOrigin>, u32)> = None;
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
            let at = match &last {
                Some((known, at)) if Arc::ptr_eq(known, &origin) => *at,
                _ => out.origin(&origin),
            };
            last = Some((origin, at));
            out.push(at, span);
        }
        out.take()
    }
}

/// Says whose spans are.
fn name<'a>(found: impl Iterator<Item = &'a mut Found>, tenant: &TenantId) {
    let mut last: Option<(Arc<SpanOrigin>, Arc<SpanOrigin>)> = None;
    for (_, origin) in found {
        let named = match &last {
            Some((plain, named)) if Arc::ptr_eq(plain, origin) => named.clone(),
            _ => {
                let mut named = (**origin).clone();
                named.resource.attributes.push(TENANT_ATTRIBUTE, tenant.as_str());
                Arc::new(named)
            }
        };
        last = Some((std::mem::replace(origin, named.clone()), named));
    }
}

fn collect<'a>(
    spans: impl Iterator<Item = (&'a Span, &'a SpanOrigin)>,
    stretch: TimeRange,
    asked: &SpansRequest,
    found: &mut Vec<Found>,
) {
    let mut last: Option<(*const SpanOrigin, Arc<SpanOrigin>)> = None;
    for (span, origin) in spans {
        if stretch.contains(TimestampNs(span.start_ns)) && asked.passes(span, origin) {
            let shared = match &last {
                Some((at, shared)) if std::ptr::eq(*at, origin) => shared.clone(),
                _ => Arc::new(origin.clone()),
            };
            last = Some((origin, shared.clone()));
            found.push((asked.wanted.of(span), shared));
        }
    }
}

/// What a segment has in a stretch, of located traces where they are, is added to `found`; a segment that breaks off is
/// noted and adds what it gave.
async fn read_segment(
    answer: &Answer,
    segment: &Arc<SegmentRef>,
    (stretch, located): (TimeRange, Option<&Located>),
    asked: &SpansRequest,
    found: &mut Vec<Found>,
) {
    if !may_have_service(segment, asked) {
        return;
    }
    let Some(Reader::Spans(reader)) = answer.open(segment).await else { return };
    let selection = selection(stretch, asked);
    let mut selected = match located {
        Some(located) => reader.select_located(located.clone(), selection),
        None => reader.select(selection),
    };
    while let Some(batch) = selected.next().await {
        match batch {
            Ok(batch) => {
                let origins: Vec<Arc<SpanOrigin>> = batch.origins.into_iter().map(Arc::new).collect();
                let with_origin = |s: Span| origins.get(s.origin as usize).cloned().map(|o| (s, o));
                found.extend(batch.spans.into_iter().filter_map(with_origin));
            }
            Err(e) => return answer.missing(segment, &e),
        }
    }
}

fn may_have_service(segment: &SegmentRef, asked: &SpansRequest) -> bool {
    let service = |f: &SpanFilter| if let SpanFilter::Service(s) = f { Some(s.clone()) } else { None };
    asked.filters.iter().filter_map(service).all(|s| segment.info.may_hold_service(&s))
}

/// What is asked, as segments know it.
fn selection(range: TimeRange, asked: &SpansRequest) -> SegmentSelection {
    let mut s = SegmentSelection::new(range);
    s.any_of = asked.any_of.clone().into();
    s.wanted = asked.wanted.clone();
    let mut possible = true;
    for f in &asked.filters {
        match f {
            SpanFilter::Service(v) => possible &= narrow(&mut s.service, v.clone()),
            SpanFilter::Name(v) => possible &= narrow(&mut s.name, v.clone()),
            SpanFilter::Kind(k) => possible &= narrow(&mut s.kind, *k),
            SpanFilter::Error(e) => possible &= narrow(&mut s.error, *e),
            SpanFilter::MinDurationNs(d) => {
                s.min_duration_ns = Some((*d).max(s.min_duration_ns.unwrap_or(*d)))
            }
            SpanFilter::MaxDurationNs(d) => {
                s.max_duration_ns = Some((*d).min(s.max_duration_ns.unwrap_or(*d)))
            }
            SpanFilter::Attribute(key, value) => s.attributes.push((key.clone(), value.clone())),
        }
    }
    if !possible {
        s.range = TimeRange::new(range.start, range.start);
    }
    s
}

/// Asks for one value; false where another is asked for already.
fn narrow<T: PartialEq>(slot: &mut Option<T>, value: T) -> bool {
    match slot {
        Some(known) => *known == value,
        None => {
            *slot = Some(value);
            true
        }
    }
}
