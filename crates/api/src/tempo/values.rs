//! `/api/search/tag/…/values` and `/api/v2/search/tag/…/values`: which values a field has.
//!
//! Without a query they are listed by [`contract::Select::span_values`]; of status and kind they are known beforehand,
//! and durations and ids, of which every span has another, are not listed, as in Tempo. With a query they are those
//! of spans that pass it, in the newest traces that do ([`super::fitting`]).

use std::{collections::BTreeSet, sync::Arc};

use axum::extract::Path;
use contract::{
    Comparison, Coverage, QueryLimits, Scope, Select, SpanCondition, SpanField, SpanScope, SpanTest,
    SpanValue, SpanValuesRequest, Tenants,
};
use model::{SpanKind, StatusCode, TimeRange};
use proto::tempo as pb;
use traceql::{Field, Intrinsic};

use super::{
    Answered, Ask, TempoError,
    fitting::{Fitting, filter},
    form::Form,
    message::metadata_metrics,
    params::{self, invalid, whole},
};
use crate::{Error, params::Params};

/// Values of one answer at most, and their bytes.
const MAX_VALUES: usize = 100_000;
const MAX_VALUE_BYTES: usize = 5 << 20;

const STATUS: [StatusCode; 3] = [StatusCode::Ok, StatusCode::Error, StatusCode::Unset];
const KINDS: [SpanKind; 6] = [
    SpanKind::Client,
    SpanKind::Server,
    SpanKind::Producer,
    SpanKind::Consumer,
    SpanKind::Internal,
    SpanKind::Unspecified,
];

/// Where the values of a field come from.
#[derive(Debug, Clone, PartialEq)]
enum Source {
    /// They are these, whatever there is.
    Known(Vec<SpanValue>),
    /// A field of spans that meet all of the conditions.
    Field(SpanField, Vec<SpanCondition>),
}

/// Which values are asked for, over HTTP or gRPC.
pub(super) struct Values {
    source: Source,
    filter: Option<traceql::Query>,
    range: TimeRange,
    limit: usize,
}

/// Which of Tempo's two paths; the first knows no scopes and no types.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Version {
    V1,
    V2,
}

impl Values {
    fn read(version: Version, path: &str, params: &Params) -> Result<Self, Error> {
        let tag = path
            .strip_suffix("/values")
            .filter(|tag| !tag.is_empty())
            .ok_or_else(|| Error::new(base::Kind::NotFound, format!("there is nothing at tag/{path:?}")))?;
        let (start, end) = params::seconds(params)?;
        let limit = whole(params, "limit")?.unwrap_or(0);
        Values::new(version, &unescaped(tag), params::query(params), (start, end), limit)
    }

    pub fn of_message(version: Version, m: &pb::SearchTagValuesRequest) -> Result<Self, Error> {
        Values::new(version, &m.tag_name, Some(m.query.as_str()), (m.start, m.end), m.max_tag_values)
    }

    fn new(
        version: Version,
        tag: &str,
        query: Option<&str>,
        (start, end): (u32, u32),
        limit: u32,
    ) -> Result<Self, Error> {
        let source = match version {
            Version::V1 => loose_source(tag)?,
            Version::V2 => source(tag)?,
        };
        // The first path takes no query.
        let query = query.filter(|_| version == Version::V2).unwrap_or_default();
        Ok(Values {
            source,
            filter: filter(query)?,
            range: params::range(start, end)?,
            limit: if limit == 0 { MAX_VALUES } else { MAX_VALUES.min(limit as usize) },
        })
    }

    pub async fn run(
        self,
        select: Arc<dyn Select>,
        tenants: Tenants,
        limits: QueryLimits,
    ) -> Result<(pb::SearchTagValuesResponse, Coverage), Error> {
        let (values, read, coverage) = self.values(select, tenants, limits).await?;
        let texts: BTreeSet<String> = values.into_iter().map(|v| v.1).collect();
        let metrics = metadata_metrics(read, &coverage);
        let tag_values = texts.into_iter().collect();
        Ok((pb::SearchTagValuesResponse { tag_values, metrics: Some(metrics) }, coverage))
    }

    pub async fn run_v2(
        self,
        select: Arc<dyn Select>,
        tenants: Tenants,
        limits: QueryLimits,
    ) -> Result<(pb::SearchTagValuesV2Response, Coverage), Error> {
        let (values, read, coverage) = self.values(select, tenants, limits).await?;
        let typed = values.into_iter().map(|(kind, value)| pb::TagValue { r#type: kind.to_owned(), value });
        let metrics = metadata_metrics(read, &coverage);
        Ok((pb::SearchTagValuesV2Response { tag_values: typed.collect(), metrics: Some(metrics) }, coverage))
    }

    /// Types and texts, with the bytes of spans that were read for them.
    async fn values(
        self,
        select: Arc<dyn Select>,
        tenants: Tenants,
        limits: QueryLimits,
    ) -> Result<(Vec<(&'static str, String)>, u64, Coverage), Error> {
        let scope = Scope { tenants, range: self.range, limits };
        let (found, read, coverage) = match (self.source, &self.filter) {
            (Source::Known(values), _) => (values, 0, Coverage::default()),
            (Source::Field(field, conditions), Some(query)) => {
                let mut values = BTreeSet::new();
                let mut fitting = Fitting::new(query);
                let each = |span: &model::Span, origin: &model::span::SpanOrigin| {
                    if values.len() < MAX_VALUES && conditions.iter().all(|c| c.passes(span, origin)) {
                        field.any(span, origin, &mut |seen| {
                            values.extend(seen.to_value());
                            false
                        });
                    }
                };
                fitting.read(&*select, scope, each).await?;
                (values.into_iter().collect(), fitting.bytes, fitting.coverage)
            }
            (Source::Field(field, conditions), None) => {
                let limit = Some(self.limit);
                let request = SpanValuesRequest { scope, field, any_of: vec![conditions], limit };
                let (values, coverage) = select.span_values(request).await?;
                (values, 0, coverage)
            }
        };
        let mut room = MAX_VALUE_BYTES;
        let shown = found.into_iter().take(self.limit).map(shown).map_while(|(kind, text)| {
            room = room.checked_sub(kind.len() + text.len())?;
            Some((kind, text))
        });
        Ok((shown.collect(), read, coverage))
    }
}

/// The name of a value's type and its text.
fn shown(value: SpanValue) -> (&'static str, String) {
    match value {
        SpanValue::Text(s) => ("string", s),
        SpanValue::Int(i) => ("int", i.to_string()),
        SpanValue::Float(f) => ("float", f.to_string()),
        SpanValue::Bool(b) => ("bool", b.to_string()),
        SpanValue::Status(s) => ("keyword", traceql::Value::Status(s).to_string()),
        SpanValue::Kind(k) => ("keyword", k.as_str().to_owned()),
    }
}

/// A field as TraceQL writes it: `resource.service.name`, `.a`, `status`, `span:name`.
fn source(tag: &str) -> Result<Source, Error> {
    let field = Field::parse(tag)
        .ok_or_else(|| invalid("tagName", tag, "please provide a valid tagName, such as .a or status"))?;
    match field {
        Field::Intrinsic(i) => Ok(intrinsic(i)),
        Field::Attribute { parent: true, .. } | Field::Parent => {
            Err(invalid("tagName", tag, "values of parents are not listed"))
        }
        Field::Attribute { scope, name, .. } => Ok(attribute(span_scope(scope), name)),
    }
}

fn span_scope(scope: traceql::Scope) -> SpanScope {
    match scope {
        traceql::Scope::Any => SpanScope::Any,
        traceql::Scope::Span => SpanScope::Span,
        traceql::Scope::Resource => SpanScope::Resource,
        traceql::Scope::Event => SpanScope::Event,
        traceql::Scope::Link => SpanScope::Link,
        traceql::Scope::Instrumentation => SpanScope::Instrumentation,
    }
}

fn attribute(scope: SpanScope, name: String) -> Source {
    Source::Field(SpanField::Attribute(scope, name), Vec::new())
}

fn intrinsic(i: Intrinsic) -> Source {
    let of_root = |field| {
        let is_root = SpanTest::Is(Comparison::Equal, SpanValue::Bool(true));
        Source::Field(field, vec![SpanCondition::new(SpanField::Root, is_root)])
    };
    let of_span = |field| Source::Field(field, Vec::new());
    match i {
        Intrinsic::Status => Source::Known(STATUS.map(SpanValue::Status).to_vec()),
        Intrinsic::Kind => Source::Known(KINDS.map(SpanValue::Kind).to_vec()),
        Intrinsic::Name => of_span(SpanField::Name),
        Intrinsic::StatusMessage => of_span(SpanField::StatusMessage),
        Intrinsic::EventName => of_span(SpanField::EventName),
        Intrinsic::InstrumentationName => of_span(SpanField::ScopeName),
        Intrinsic::InstrumentationVersion => of_span(SpanField::ScopeVersion),
        Intrinsic::RootName => of_root(SpanField::Name),
        Intrinsic::RootServiceName => {
            of_root(SpanField::Attribute(SpanScope::Resource, "service.name".to_owned()))
        }
        Intrinsic::Duration
        | Intrinsic::TraceDuration
        | Intrinsic::EventTimeSinceStart
        | Intrinsic::SpanId
        | Intrinsic::ParentId
        | Intrinsic::TraceId
        | Intrinsic::LinkTraceId
        | Intrinsic::LinkSpanId
        | Intrinsic::ChildCount
        | Intrinsic::NestedSetLeft
        | Intrinsic::NestedSetRight
        | Intrinsic::NestedSetParent => Source::Known(Vec::new()),
    }
}

/// A tag as it was named before TraceQL: attributes without scope, and some words of Tempo's own.
fn loose_source(tag: &str) -> Result<Source, Error> {
    Ok(match tag {
        "status.code" => intrinsic(Intrinsic::Status),
        "error" => Source::Known(vec![SpanValue::Text("true".to_owned())]),
        "root.name" => intrinsic(Intrinsic::RootName),
        "root.service.name" => intrinsic(Intrinsic::RootServiceName),
        "service.name" => attribute(SpanScope::Resource, tag.to_owned()),
        _ => match Intrinsic::parse(tag) {
            Some(i) => intrinsic(i),
            // Scoped names and those with a leading dot mean here what they mean in a query.
            None if tag.starts_with('.') || scoped(tag) => source(tag)?,
            None => attribute(SpanScope::Any, tag.to_owned()),
        },
    })
}

fn scoped(tag: &str) -> bool {
    let scopes = traceql::Scope::ALL.iter().filter(|s| **s != traceql::Scope::Any);
    scopes.into_iter().any(|s| tag.strip_prefix(s.as_str()).is_some_and(|rest| rest.starts_with('.')))
}

/// A tag that is escaped twice, as Grafana's editor has it on its way through Grafana.
fn unescaped(tag: &str) -> String {
    if !tag.contains('%') {
        return tag.to_owned();
    }
    let pair = format!("x={}", tag.replace('+', "%2B"));
    let read = url::form_urlencoded::parse(pair.as_bytes()).next();
    read.map_or_else(|| tag.to_owned(), |(_, value)| value.into_owned())
}

pub(super) async fn values(
    Path(path): Path<String>,
    ask: Ask,
) -> Result<Answered<pb::SearchTagValuesResponse>, TempoError> {
    let values = Values::read(Version::V1, &path, &ask.params)?;
    let form = Form::of(&ask.headers);
    let (select, tenants) = (ask.reads.select.clone(), ask.tenants.clone());
    let run = |limits: QueryLimits| async move {
        let budget = limits.memory.clone();
        let (message, coverage) = values.run(select, tenants, limits).await?;
        Answered::new(message, coverage, form, &budget)
    };
    Ok(ask.run(run).await?)
}

pub(super) async fn values_v2(
    Path(path): Path<String>,
    ask: Ask,
) -> Result<Answered<pb::SearchTagValuesV2Response>, TempoError> {
    let values = Values::read(Version::V2, &path, &ask.params)?;
    let form = Form::of(&ask.headers);
    let (select, tenants) = (ask.reads.select.clone(), ask.tenants.clone());
    let run = |limits: QueryLimits| async move {
        let budget = limits.memory.clone();
        let (message, coverage) = values.run_v2(select, tenants, limits).await?;
        Answered::new(message, coverage, form, &budget)
    };
    Ok(ask.run(run).await?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(version: Version, path: &str) -> Result<Source, String> {
        let params = Params::from_query("");
        Values::read(version, path, &params).map(|v| v.source).map_err(|e| e.to_string())
    }

    #[test]
    fn a_tag_is_a_field_of_traceql() {
        let v2 = |path: &str| read(Version::V2, path);
        let any = |scope, name: &str| attribute(scope, name.to_owned());
        assert_eq!(v2("resource.service.name/values"), Ok(any(SpanScope::Resource, "service.name")));
        assert_eq!(v2(".a/values"), Ok(any(SpanScope::Any, "a")));
        assert_eq!(v2("span.http/route/values"), Ok(any(SpanScope::Span, "http/route")));
        assert_eq!(v2("span.http%2Froute/values"), Ok(any(SpanScope::Span, "http/route")));
        assert_eq!(v2("event.exception.type/values"), Ok(any(SpanScope::Event, "exception.type")));
        assert_eq!(v2("span:name/values"), Ok(intrinsic(Intrinsic::Name)));
        assert!(matches!(v2("status/values"), Ok(Source::Known(v)) if v.len() == 3));
        assert!(matches!(v2("traceDuration/values"), Ok(Source::Known(v)) if v.is_empty()));
        assert!(v2("a/values").unwrap_err().contains("please provide a valid tagName"));
        assert!(v2("/values").is_err() && v2("values").is_err() && v2(".a").is_err());
    }

    #[test]
    fn a_tag_of_before_needs_no_scope() {
        let v1 = |path: &str| read(Version::V1, path).unwrap();
        assert_eq!(v1("foo.bar/values"), attribute(SpanScope::Any, "foo.bar".to_owned()));
        assert_eq!(v1("service.name/values"), attribute(SpanScope::Resource, "service.name".to_owned()));
        assert_eq!(v1("span.a/values"), attribute(SpanScope::Span, "a".to_owned()));
        assert_eq!(v1("name/values"), intrinsic(Intrinsic::Name));
        assert!(matches!(v1("status.code/values"), Source::Known(v) if v.len() == 3));
        assert!(matches!(v1("error/values"), Source::Known(v) if v.len() == 1));
    }
}
