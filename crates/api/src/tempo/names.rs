//! `/api/search/tags` and `/api/v2/search/tags`: which attributes spans have, by where they stand.
//!
//! Without a query they are listed by [`contract::Select::span_keys`]. Sources that do not tell where an attribute
//! stands (other systems) have it listed for spans, unless another source told. With a query they are those of spans
//! that pass it, in the newest traces that do ([`super::fitting`]).

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use contract::{Coverage, QueryLimits, Scope, Select, SpanKeysRequest, SpanScope, Tenants};
use model::{Attributes, Span, TimeRange, span::SpanOrigin};
use proto::tempo as pb;

use super::{
    Answered, Ask, TempoError,
    fitting::{Fitting, filter},
    form::Form,
    message::metadata_metrics,
    params::{self, invalid, whole},
};
use crate::{Error, params::Params};

/// Names of one answer at most.
pub(super) const MAX_NAMES: usize = 100_000;

/// The scope whose names are no attributes.
const INTRINSIC: &str = "intrinsic";

/// What a span, an event, a link, an instrumentation scope or a trace has of itself, as Tempo completes it.
const INTRINSICS: [&str; 25] = [
    "duration",
    "event:name",
    "event:timeSinceStart",
    "instrumentation:name",
    "instrumentation:version",
    "kind",
    "link:spanID",
    "link:traceID",
    "name",
    "rootName",
    "rootServiceName",
    "span:duration",
    "span:id",
    "span:kind",
    "span:name",
    "span:parentID",
    "span:status",
    "span:statusMessage",
    "status",
    "statusMessage",
    "trace:duration",
    "trace:id",
    "trace:rootName",
    "trace:rootService",
    "traceDuration",
];

/// Names by the scope they stand in.
type Names = BTreeMap<&'static str, BTreeSet<String>>;

/// Which names are asked for, over HTTP or gRPC.
pub(super) struct Tags {
    /// `None` where only intrinsics are.
    of: Option<SpanScope>,
    intrinsics: bool,
    filter: Option<traceql::Query>,
    range: TimeRange,
    limit: usize,
}

impl Tags {
    pub fn read(params: &Params) -> Result<Self, Error> {
        let (start, end) = params::seconds(params)?;
        let limit = whole(params, "limit")?.unwrap_or(0);
        Tags::new(params.get("scope").unwrap_or_default(), params::query(params), (start, end), limit)
    }

    pub fn of_message(m: &pb::SearchTagsRequest) -> Result<Self, Error> {
        Tags::new(&m.scope, Some(m.query.as_str()), (m.start, m.end), m.max_tags_per_scope)
    }

    fn new(scope: &str, query: Option<&str>, (start, end): (u32, u32), limit: u32) -> Result<Self, Error> {
        let of = match scope {
            INTRINSIC => None,
            "" | "none" => Some(SpanScope::Any),
            "span" => Some(SpanScope::Span),
            "resource" => Some(SpanScope::Resource),
            "event" => Some(SpanScope::Event),
            "link" => Some(SpanScope::Link),
            "instrumentation" => Some(SpanScope::Instrumentation),
            other => return Err(invalid("scope", other, "it is no scope of attributes")),
        };
        Ok(Tags {
            of,
            intrinsics: of.is_none_or(|of| of == SpanScope::Any),
            filter: filter(query.unwrap_or_default())?,
            range: params::range(start, end)?,
            limit: if limit == 0 { MAX_NAMES } else { MAX_NAMES.min(limit as usize) },
        })
    }

    /// The names of all scopes in one list, of intrinsics only where they are asked for by name.
    pub async fn run(
        self,
        select: Arc<dyn Select>,
        tenants: Tenants,
        limits: QueryLimits,
    ) -> Result<(pb::SearchTagsResponse, Coverage), Error> {
        let (intrinsics, limit) = (self.of.is_none(), self.limit);
        let (names, read, coverage) = self.names(select, tenants, limits).await?;
        let mut all: BTreeSet<String> = names.into_values().flatten().collect();
        if intrinsics {
            all.extend(INTRINSICS.map(str::to_owned));
        }
        let metrics = metadata_metrics(read, &coverage);
        let tag_names = all.into_iter().take(limit).collect();
        Ok((pb::SearchTagsResponse { tag_names, metrics: Some(metrics) }, coverage))
    }

    /// The names by scope, `limit` of each.
    pub async fn run_v2(
        self,
        select: Arc<dyn Select>,
        tenants: Tenants,
        limits: QueryLimits,
    ) -> Result<(pb::SearchTagsV2Response, Coverage), Error> {
        let (intrinsics, limit) = (self.intrinsics, self.limit);
        let (mut names, read, coverage) = self.names(select, tenants, limits).await?;
        if intrinsics {
            names.entry(INTRINSIC).or_default().extend(INTRINSICS.map(str::to_owned));
        }
        let scopes = names.into_iter().map(|(name, tags)| pb::SearchTagsV2Scope {
            name: name.to_owned(),
            tags: tags.into_iter().take(limit).collect(),
        });
        let metrics = metadata_metrics(read, &coverage);
        Ok((pb::SearchTagsV2Response { scopes: scopes.collect(), metrics: Some(metrics) }, coverage))
    }

    /// With the bytes of spans that were read for it.
    async fn names(
        self,
        select: Arc<dyn Select>,
        tenants: Tenants,
        limits: QueryLimits,
    ) -> Result<(Names, u64, Coverage), Error> {
        let Some(of) = self.of else { return Ok((Names::new(), 0, Coverage::default())) };
        let scope = Scope { tenants, range: self.range, limits };
        let mut names = Names::new();
        if let Some(query) = &self.filter {
            let mut fitting = Fitting::new(query);
            fitting.read(&*select, scope, |span, origin| of_span(of, span, origin, &mut names)).await?;
            return Ok((names, fitting.bytes, fitting.coverage));
        }
        // A limit counts by scope, so that it cannot be passed on.
        let request = SpanKeysRequest { scope, of, limit: Some(MAX_NAMES) };
        let (keys, coverage) = select.span_keys(request).await?;
        let (unplaced, placed): (Vec<_>, Vec<_>) =
            keys.into_iter().partition(|(scope, _)| *scope == SpanScope::Any);
        for (scope, key) in placed {
            names.entry(scope_name(scope)).or_default().insert(key);
        }
        for (_, key) in unplaced {
            if !names.values().any(|known| known.contains(&key)) {
                names.entry(scope_name(of)).or_default().insert(key);
            }
        }
        Ok((names, 0, coverage))
    }
}

/// What the names of a scope stand under; those of no scope in particular are listed for spans.
fn scope_name(scope: SpanScope) -> &'static str {
    match scope {
        SpanScope::Any | SpanScope::Span => "span",
        SpanScope::Resource => "resource",
        SpanScope::Instrumentation => "instrumentation",
        SpanScope::Event => "event",
        SpanScope::Link => "link",
    }
}

fn of_span(of: SpanScope, span: &Span, origin: &SpanOrigin, names: &mut Names) {
    let mut add = |scope: SpanScope, attributes: &Attributes| {
        if !of.takes_in(scope) || attributes.is_empty() {
            return;
        }
        let known = names.entry(scope_name(scope)).or_default();
        for (key, _) in attributes.iter() {
            if known.len() < MAX_NAMES && !known.contains(key) {
                known.insert(key.to_owned());
            }
        }
    };
    add(SpanScope::Span, &span.attributes);
    add(SpanScope::Resource, &origin.resource.attributes);
    add(SpanScope::Instrumentation, &origin.scope.attributes);
    span.events.iter().for_each(|e| add(SpanScope::Event, &e.attributes));
    span.links.iter().for_each(|l| add(SpanScope::Link, &l.attributes));
}

pub(super) async fn tags(ask: Ask) -> Result<Answered<pb::SearchTagsResponse>, TempoError> {
    let tags = Tags::read(&ask.params)?;
    let form = Form::of(&ask.headers);
    let (select, tenants) = (ask.reads.select.clone(), ask.tenants.clone());
    let run = |limits: QueryLimits| async move {
        let budget = limits.memory.clone();
        let (message, coverage) = tags.run(select, tenants, limits).await?;
        Answered::new(message, coverage, form, &budget)
    };
    Ok(ask.run(run).await?)
}

pub(super) async fn tags_v2(ask: Ask) -> Result<Answered<pb::SearchTagsV2Response>, TempoError> {
    let tags = Tags::read(&ask.params)?;
    let form = Form::of(&ask.headers);
    let (select, tenants) = (ask.reads.select.clone(), ask.tenants.clone());
    let run = |limits: QueryLimits| async move {
        let budget = limits.memory.clone();
        let (message, coverage) = tags.run_v2(select, tenants, limits).await?;
        Answered::new(message, coverage, form, &budget)
    };
    Ok(ask.run(run).await?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_intrinsic_is_one_that_a_query_knows() {
        for name in INTRINSICS {
            assert!(traceql::Intrinsic::parse(name).is_some(), "{name}");
        }
        assert!(INTRINSICS.is_sorted());
    }

    #[test]
    fn a_scope_is_one_of_tempos() {
        let read = |q: &str| Tags::read(&Params::from_query(q));
        assert_eq!(read("scope=event").unwrap().of, Some(SpanScope::Event));
        let all = read("").unwrap();
        assert!(all.of == Some(SpanScope::Any) && all.intrinsics && all.limit == MAX_NAMES);
        assert!(!read("scope=span").unwrap().intrinsics);
        assert_eq!(read("limit=5").unwrap().limit, 5);
        for (q, what) in
            [("scope=blerg", "invalid scope"), ("limit=-1", "invalid limit"), ("start=x", "invalid start")]
        {
            assert!(read(q).err().unwrap().to_string().contains(what), "{q}");
        }
    }
}
