//! What is asked about spans by name: services, operations, keys and values.

use std::{collections::BTreeSet, sync::Arc};

use contract::{
    Coverage, Result, SpanKeysRequest, SpanScope, SpanValue, SpanValuesRequest, spans::passes_any,
};
use futures::{StreamExt, stream};
use model::{Signal, Span, TimestampNs, span::SpanOrigin};
use segment::spans::Selection;

use super::{Source, of_tenant};
use crate::{core::Core, readers::Reader, select::Answer};

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

/// Segments that are read side by side.
const AT_ONCE: usize = 4;

pub(crate) async fn keys(
    core: &Arc<Core>,
    r: SpanKeysRequest,
) -> Result<(Vec<(SpanScope, String)>, Coverage)> {
    let answer = Answer::new(core, &r.scope, Signal::TRACES);
    let mut keys = BTreeSet::new();
    let mut sources = Vec::new();
    for tenant in r.scope.tenants.iter() {
        sources.extend(of_tenant(&answer, tenant));
    }
    let mut found = stream::iter(sources).map(|s| keys_of(&answer, s, r.of)).buffer_unordered(AT_ONCE);
    while let Some(more) = found.next().await {
        keys.extend(more?);
    }
    Ok((keys.into_iter().take(r.limit.unwrap_or(usize::MAX)).collect(), answer.final_coverage()))
}

async fn keys_of(answer: &Answer, source: Source, of: SpanScope) -> Result<BTreeSet<(SpanScope, String)>> {
    answer.limits.check_deadline()?;
    let mut keys = BTreeSet::new();
    match source {
        Source::Part(part) => {
            let inside = |s: &Span| answer.range.contains(TimestampNs(s.start_ns));
            part.spans(&[]).filter(|(s, _)| inside(s)).for_each(|(s, o)| add_keys(s, o, of, &mut keys));
        }
        Source::Segment(segment) => {
            let Some(Reader::Spans(reader)) = answer.open(&segment).await else { return Ok(keys) };
            match reader.scoped_keys(answer.range).await {
                Ok(found) => keys.extend(found.into_iter().filter(|(scope, _)| of.takes_in(*scope))),
                Err(e) => answer.missing(&segment, &e),
            }
        }
    }
    Ok(keys)
}

fn add_keys(s: &Span, o: &SpanOrigin, of: SpanScope, keys: &mut BTreeSet<(SpanScope, String)>) {
    let mut add = |scope: SpanScope, attributes: &model::Attributes| {
        if of.takes_in(scope) {
            keys.extend(attributes.iter().map(|(k, _)| (scope, k.to_owned())));
        }
    };
    add(SpanScope::Span, &s.attributes);
    add(SpanScope::Resource, &o.resource.attributes);
    add(SpanScope::Instrumentation, &o.scope.attributes);
    s.events.iter().for_each(|e| add(SpanScope::Event, &e.attributes));
    s.links.iter().for_each(|l| add(SpanScope::Link, &l.attributes));
}

pub(crate) async fn values(core: &Arc<Core>, r: SpanValuesRequest) -> Result<(Vec<SpanValue>, Coverage)> {
    let answer = Answer::new(core, &r.scope, Signal::TRACES);
    let limit = r.limit.unwrap_or(usize::MAX);
    let selection = Selection { any_of: r.any_of.clone().into(), ..Selection::new(answer.range) };
    let mut values = BTreeSet::new();
    for tenant in r.scope.tenants.iter() {
        for source in of_tenant(&answer, tenant) {
            answer.limits.check_deadline()?;
            values.extend(values_of(&answer, source, (&r, &selection), limit).await);
        }
    }
    Ok((values.into_iter().take(limit).collect(), answer.final_coverage()))
}

/// The least `limit` values of one source, or some of them where it has more.
async fn values_of(
    answer: &Answer,
    source: Source,
    (r, selection): (&SpanValuesRequest, &Selection),
    limit: usize,
) -> BTreeSet<SpanValue> {
    let mut values = BTreeSet::new();
    match source {
        Source::Part(part) => {
            let inside = |s: &Span| answer.range.contains(TimestampNs(s.start_ns));
            let passes = |(s, o): &(&Span, &SpanOrigin)| inside(s) && passes_any(&r.any_of, s, o);
            for (s, o) in part.spans(&[]).filter(passes) {
                r.field.any(s, o, &mut |seen| {
                    values.extend(seen.to_value());
                    false
                });
            }
        }
        Source::Segment(segment) => {
            let Some(Reader::Spans(reader)) = answer.open(&segment).await else { return values };
            if let Err(e) = reader.values(selection, &r.field, limit, &mut values).await {
                answer.missing(&segment, &e);
            }
        }
    }
    values
}
