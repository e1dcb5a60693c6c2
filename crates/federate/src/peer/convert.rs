//! Requests, coverage and failures as messages and back. What a message says is checked here: tenants and patterns
//! must be valid, enumerations known; errors name the field.

use std::time::Duration;

use base::Kind;
use contract::{
    Coverage, CoverageState, Error, LineFilter, QueryLimits, Result, Scope, SeriesHints, SourceCoverage,
    SpanFilter, Tenants,
};
use model::{AnyValue, Labels, MatchOp, Matcher, Signal, SpanKind, TenantId, TimeRange, TimestampNs};
use proto::peer as pb;
use tokio::time::Instant;

use super::{Announcement, Asker, Beyond, Held, evaluate};

/// Names of limits that an error may carry over the wire.
const LIMITS: [&str; 5] =
    ["query.max_samples", "query.max_series", "query.max_bytes", "query.timeout", "memory.limit"];
const KINDS: [Kind; 9] = [
    Kind::Invalid,
    Kind::Denied,
    Kind::NotFound,
    Kind::Conflict,
    Kind::Limited,
    Kind::Unavailable,
    Kind::Timeout,
    Kind::Corrupt,
    Kind::Internal,
];
/// Sources and ranges of one coverage that are read; more are no honest answer.
const MAX_SOURCES: usize = 10_000;
const MAX_RANGES: usize = 10_000;
/// Labels, signals and sources of one announcement that are read.
const MAX_ANNOUNCED: usize = 1000;

pub(super) fn scope_to(s: &Scope) -> pb::Scope {
    let left = s.limits.deadline.map(|d| Instant::from_std(d).saturating_duration_since(Instant::now()));
    pb::Scope {
        tenants: s.tenants.iter().map(|t| t.as_str().to_owned()).collect(),
        start_ns: s.range.start.0,
        end_ns: s.range.end.0,
        // Less than a millisecond is still a limit.
        timeout_ms: left.map_or(0, |l| (l.as_millis() as u64).max(1)),
        max_samples: s.limits.max_samples,
        max_series: s.limits.max_series,
        max_bytes: s.limits.max_bytes,
        elsewhere: s.limits.elsewhere.to_vec(),
    }
}

/// `own` is what this node allows at most.
pub(super) fn scope_from(s: Option<pb::Scope>, own: &QueryLimits) -> Result<Scope> {
    let s = s.ok_or_else(|| Error::invalid("the request has no scope"))?;
    let tenant = |t: &String| TenantId::new(t).map_err(|e| Error::invalid(format!("scope.tenants: {e}")));
    let tenants: Vec<TenantId> = s.tenants.iter().map(tenant).collect::<Result<_>>()?;
    let tenants = Tenants::several(tenants).ok_or_else(|| Error::invalid("scope.tenants is empty"))?;
    if s.elsewhere.len() > MAX_SOURCES {
        let message =
            format!("scope.elsewhere has {} names, at most {MAX_SOURCES} are taken", s.elsewhere.len());
        return Err(Error::invalid(message));
    }
    let theirs = match s.timeout_ms {
        0 => None,
        ms => Instant::now().checked_add(Duration::from_millis(ms)).map(Instant::into_std),
    };
    let limits = QueryLimits {
        deadline: [theirs, own.deadline].into_iter().flatten().min(),
        max_samples: s.max_samples.min(own.max_samples),
        max_series: s.max_series.min(own.max_series),
        max_bytes: s.max_bytes.min(own.max_bytes),
        max_rows: own.max_rows,
        memory: own.memory.clone(),
        elsewhere: s.elsewhere.into(),
    };
    let range = TimeRange::new(TimestampNs(s.start_ns), TimestampNs(s.end_ns));
    Ok(Scope { tenants, range, limits })
}

pub(super) fn matchers_to(matchers: &[Matcher]) -> Vec<pb::Matcher> {
    let op = |op| match op {
        MatchOp::Equal => pb::matcher::Op::Equal,
        MatchOp::NotEqual => pb::matcher::Op::NotEqual,
        MatchOp::Regex => pb::matcher::Op::Regex,
        MatchOp::NotRegex => pb::matcher::Op::NotRegex,
    };
    let one = |m: &Matcher| pb::Matcher { name: m.name.clone(), op: op(m.op).into(), value: m.value.clone() };
    matchers.iter().map(one).collect()
}

pub(super) fn matchers_from(matchers: Vec<pb::Matcher>) -> Result<Vec<Matcher>> {
    let one = |m: pb::Matcher| {
        let op = match pb::matcher::Op::try_from(m.op) {
            Ok(pb::matcher::Op::Equal) => MatchOp::Equal,
            Ok(pb::matcher::Op::NotEqual) => MatchOp::NotEqual,
            Ok(pb::matcher::Op::Regex) => MatchOp::Regex,
            Ok(pb::matcher::Op::NotRegex) => MatchOp::NotRegex,
            Err(_) => {
                return Err(Error::invalid(format!("matcher of {:?} has unknown operator {}", m.name, m.op)));
            }
        };
        Matcher::new(m.name, op, m.value).map_err(|e| Error::invalid(e.to_string()))
    };
    matchers.into_iter().map(one).collect()
}

pub(super) fn selectors_to(selectors: &[Vec<Matcher>]) -> Vec<pb::Selector> {
    selectors.iter().map(|s| pb::Selector { matchers: matchers_to(s) }).collect()
}

pub(super) fn selectors_from(selectors: Vec<pb::Selector>) -> Result<Vec<Vec<Matcher>>> {
    selectors.into_iter().map(|s| matchers_from(s.matchers)).collect()
}

pub(super) fn limit_to(limit: Option<usize>) -> Option<u64> {
    limit.map(|l| l as u64)
}

pub(super) fn limit_from(limit: Option<u64>) -> Option<usize> {
    limit.map(|l| usize::try_from(l).unwrap_or(usize::MAX))
}

pub(super) fn hints_from(r: &mut pb::SeriesRequest) -> SeriesHints {
    SeriesHints {
        step_ms: r.step_ms,
        window_ms: r.window_ms,
        function: r.function.take(),
        by: std::mem::take(&mut r.by),
        without: r.without,
    }
}

pub(super) fn line_filter_to(f: &LineFilter) -> pb::LineFilter {
    use pb::line_filter::Filter;
    let filter = match f {
        LineFilter::Contains(s) => Filter::Contains(s.clone()),
        LineFilter::NotContains(s) => Filter::NotContains(s.clone()),
        LineFilter::Regex(s) => Filter::Regex(s.clone()),
        LineFilter::NotRegex(s) => Filter::NotRegex(s.clone()),
    };
    pb::LineFilter { filter: Some(filter) }
}

pub(super) fn line_filter_from(f: pb::LineFilter) -> Result<LineFilter> {
    use pb::line_filter::Filter;
    Ok(match f.filter {
        Some(Filter::Contains(s)) => LineFilter::Contains(s),
        Some(Filter::NotContains(s)) => LineFilter::NotContains(s),
        Some(Filter::Regex(s)) => LineFilter::Regex(s),
        Some(Filter::NotRegex(s)) => LineFilter::NotRegex(s),
        None => return Err(Error::invalid("a line filter is of a kind this version does not know")),
    })
}

pub(super) fn span_filter_to(f: &SpanFilter) -> Result<pb::SpanFilter> {
    use pb::span_filter::Filter;
    let filter = match f {
        SpanFilter::Service(s) => Filter::Service(s.clone()),
        SpanFilter::Name(s) => Filter::Name(s.clone()),
        SpanFilter::Kind(k) => Filter::Kind(k.number()),
        SpanFilter::MinDurationNs(d) => Filter::MinDurationNs(*d),
        SpanFilter::MaxDurationNs(d) => Filter::MaxDurationNs(*d),
        SpanFilter::Error(e) => Filter::Error(*e),
        SpanFilter::Attribute(key, value) => {
            use pb::attribute::Value;
            let value = match value {
                AnyValue::String(s) => Value::Text(s.clone()),
                AnyValue::Bool(b) => Value::Bool(*b),
                AnyValue::Int(i) => Value::Int(*i),
                AnyValue::Double(d) => Value::Double(*d),
                other => {
                    let kind = other.type_name();
                    let message =
                        format!("peers cannot be asked for attribute {key:?} with a value of type {kind}");
                    return Err(Error::invalid(message));
                }
            };
            Filter::Attribute(pb::Attribute { key: key.clone(), value: Some(value) })
        }
    };
    Ok(pb::SpanFilter { filter: Some(filter) })
}

pub(super) fn span_filter_from(f: pb::SpanFilter) -> Result<SpanFilter> {
    use pb::{attribute::Value, span_filter::Filter};
    let unknown = || Error::invalid("a span filter is of a kind this version does not know");
    Ok(match f.filter.ok_or_else(unknown)? {
        Filter::Service(s) => SpanFilter::Service(s),
        Filter::Name(s) => SpanFilter::Name(s),
        Filter::Kind(k) => SpanFilter::Kind(SpanKind::from_number(k)),
        Filter::MinDurationNs(d) => SpanFilter::MinDurationNs(d),
        Filter::MaxDurationNs(d) => SpanFilter::MaxDurationNs(d),
        Filter::Error(e) => SpanFilter::Error(e),
        Filter::Attribute(a) => {
            let value = match a.value.ok_or_else(unknown)? {
                Value::Text(s) => AnyValue::String(s),
                Value::Bool(b) => AnyValue::Bool(b),
                Value::Int(i) => AnyValue::Int(i),
                Value::Double(d) => AnyValue::Double(d),
            };
            SpanFilter::Attribute(a.key, value)
        }
    })
}

pub(super) fn coverage_to(c: &Coverage) -> pb::Coverage {
    let one = |s: &SourceCoverage| pb::Source {
        cluster: s.cluster.clone(),
        replica: s.replica.clone(),
        signal: s.signal.as_str().to_owned(),
        state: match s.state {
            CoverageState::Complete => pb::source::State::Complete,
            CoverageState::Partial => pb::source::State::Partial,
            CoverageState::Late => pb::source::State::Late,
            CoverageState::Missing => pb::source::State::Missing,
        }
        .into(),
        covered: s.covered.iter().map(|r| pb::Range { start_ns: r.start.0, end_ns: r.end.0 }).collect(),
        watermark_ns: s.watermark.map(|w| w.0),
        reason: s.reason.clone(),
    };
    pb::Coverage { sources: c.sources().iter().map(one).collect() }
}

/// A state that is not known is not complete.
pub(super) fn coverage_from(c: pb::Coverage) -> Result<Coverage> {
    if c.sources.len() > MAX_SOURCES || c.sources.iter().any(|s| s.covered.len() > MAX_RANGES) {
        let message = format!("a coverage has more than {MAX_SOURCES} sources or {MAX_RANGES} ranges of one");
        return Err(Error::new(Kind::Corrupt, message));
    }
    let mut all = Coverage::default();
    for s in c.sources {
        let range = |r: &pb::Range| TimeRange::new(TimestampNs(r.start_ns), TimestampNs(r.end_ns));
        all.merge(Coverage::one(SourceCoverage {
            state: match pb::source::State::try_from(s.state) {
                Ok(pb::source::State::Complete) => CoverageState::Complete,
                Ok(pb::source::State::Late) => CoverageState::Late,
                Ok(pb::source::State::Missing) => CoverageState::Missing,
                Ok(pb::source::State::Partial) | Err(_) => CoverageState::Partial,
            },
            cluster: s.cluster,
            replica: s.replica,
            signal: Signal::new(&s.signal),
            covered: s.covered.iter().map(range).collect(),
            watermark: s.watermark_ns.map(TimestampNs),
            reason: s.reason,
        }));
    }
    Ok(all)
}

pub(super) fn failure_to(e: &Error) -> pb::Failure {
    let limit = e.limit.unwrap_or_default().to_owned();
    pb::Failure { kind: e.kind.as_str().to_owned(), message: e.message.clone(), limit }
}

pub(super) fn failure_from(f: pb::Failure) -> Error {
    let kind = KINDS.into_iter().find(|k| k.as_str() == f.kind).unwrap_or(Kind::Internal);
    let limit = LIMITS.into_iter().find(|l| *l == f.limit);
    Error { kind, message: f.message, limit }
}

pub(super) fn asker_to(a: &Asker) -> pb::AnnounceRequest {
    pb::AnnounceRequest {
        cluster: a.cluster.clone(),
        version: a.version.clone(),
        replica: a.replica.clone().unwrap_or_default(),
        node: a.node.clone(),
    }
}

pub(super) fn asker_from(a: pb::AnnounceRequest) -> Asker {
    Asker { cluster: a.cluster, replica: named(a.replica), node: a.node, version: a.version }
}

pub(super) fn announcement_to(a: Announcement) -> pb::AnnounceResponse {
    let beyond = |b: Beyond| pb::Beyond {
        cluster: b.cluster,
        replica: b.replica.unwrap_or_default(),
        labels: labels_to(&b.labels),
        hops: b.hops,
        held: held_to(&b.held),
    };
    pb::AnnounceResponse {
        labels: labels_to(&a.labels),
        held: held_to(&a.held),
        cluster: a.cluster,
        replica: a.replica.unwrap_or_default(),
        version: a.version,
        signals: a.signals.iter().map(|s| s.as_str().to_owned()).collect(),
        filters_lines: a.filters_lines,
        filters_spans: a.filters_spans,
        evaluates: a.evaluates.iter().map(evaluate::dialect_to).collect(),
        node: a.node,
        beyond: a.beyond.into_iter().map(beyond).collect(),
    }
}

pub(super) fn announcement_from(a: pb::AnnounceResponse) -> Result<Announcement> {
    let most = |b: &pb::Beyond| b.labels.len().max(b.held.len());
    let all = [a.labels.len(), a.signals.len(), a.held.len(), a.beyond.len(), a.evaluates.len()];
    if all.into_iter().chain(a.beyond.iter().map(most)).any(|n| n > MAX_ANNOUNCED) {
        let message = format!("the peer announces more than {MAX_ANNOUNCED} labels, signals or sources");
        return Err(Error::new(Kind::Corrupt, message));
    }
    let beyond = |b: pb::Beyond| Beyond {
        cluster: b.cluster,
        replica: named(b.replica),
        labels: labels_from(b.labels),
        hops: b.hops.max(1),
        held: held_from(b.held),
    };
    Ok(Announcement {
        cluster: a.cluster,
        replica: named(a.replica),
        node: a.node,
        labels: labels_from(a.labels),
        version: a.version,
        signals: a.signals.iter().map(|s| Signal::new(s)).collect(),
        filters_lines: a.filters_lines,
        filters_spans: a.filters_spans,
        evaluates: a.evaluates.iter().filter_map(evaluate::dialect_from).collect(),
        held: held_from(a.held),
        beyond: a.beyond.into_iter().map(beyond).collect(),
    })
}

fn named(name: String) -> Option<String> {
    Some(name).filter(|n| !n.is_empty())
}

fn labels_to(labels: &Labels) -> Vec<pb::Label> {
    labels.iter().map(|(n, v)| pb::Label { name: n.to_owned(), value: v.to_owned() }).collect()
}

fn labels_from(labels: Vec<pb::Label>) -> Labels {
    Labels::from_pairs(labels.into_iter().map(|l| (l.name, l.value)))
}

fn held_to(held: &[Held]) -> Vec<pb::Held> {
    let one = |h: &Held| pb::Held {
        signal: h.signal.as_str().to_owned(),
        oldest_ns: h.oldest.map(|t| t.0),
        watermark_ns: h.watermark.map(|t| t.0),
    };
    held.iter().map(one).collect()
}

fn held_from(held: Vec<pb::Held>) -> Vec<Held> {
    let one = |h: pb::Held| Held {
        signal: Signal::new(&h.signal),
        oldest: h.oldest_ns.map(TimestampNs),
        watermark: h.watermark_ns.map(TimestampNs),
    };
    held.into_iter().map(one).collect()
}
