//! Tempo's HTTP API (`grafana.com/docs/tempo/latest/api_docs`). A search finds ids of traces, a trace is fetched by its
//! id as OTLP protobuf, and spans are filtered here. `/api/v2/traces` is there since 2.6; before it `/api/traces` gives
//! the same without an envelope.

use std::sync::Arc;

use async_trait::async_trait;
use base::Clock;
use contract::{
    Capabilities, Coverage, LabelNamesRequest, LabelValuesRequest, LogsRequest, MetadataRequest, NamedField,
    QueryLimits, Result, Scope, Select, Selection, SeriesData, SeriesRequest, SpanFilter, SpansRequest,
};
use futures::{StreamExt, TryStreamExt, stream};
use model::{AnyValue, Labels, LogBatch, MetricMetadata, Signal, SpanBatch, SpanKind, TenantId};
use serde::Deserialize;
use wire::otlp::{Options, traces};

use super::{
    ForeignSettings, coverage,
    error::{garbled, not_held, refused},
    nothing,
    selector::quote,
    site::{Form, Site, segment},
    sorted,
    traces::{MOST_TRACES, OLDEST_NS, answer, hex, id, sent},
    visible,
};

/// Traces that are fetched at once.
const AT_ONCE: usize = 8;

pub(super) struct Tempo {
    site: Arc<Site>,
    labels: Labels,
    owner: TenantId,
    clock: Clock,
}

#[derive(Deserialize)]
struct Found {
    #[serde(default)]
    traces: Option<Vec<FoundTrace>>,
}

#[derive(Deserialize)]
struct FoundTrace {
    #[serde(rename = "traceID")]
    id: String,
}

impl Tempo {
    pub(super) fn new(settings: ForeignSettings, clock: Clock) -> crate::Result<Self> {
        let site = Arc::new(Site::new(&settings)?);
        let ForeignSettings { labels, owner, .. } = settings;
        Ok(Tempo { site, labels, owner, clock })
    }

    fn coverage(&self, scope: &Scope, warnings: &[String]) -> Coverage {
        coverage(&self.site.name, Signal::TRACES, scope, warnings)
    }

    /// Whole seconds around the asked range, as Tempo takes times; empty where it lies elsewhere.
    fn window(&self, scope: &Scope) -> Form {
        let now = self.clock.now_ns();
        let start = scope.range.start.0.max(now.saturating_sub(OLDEST_NS)).max(0) / 1_000_000_000;
        let end = scope.range.end.0.min(now.saturating_add(86_400_000_000_000)) / 1_000_000_000 + 1;
        vec![("start", start.to_string()), ("end", end.max(start + 1).to_string())]
    }

    /// Spans of a trace; none where Tempo does not have it.
    async fn trace(&self, trace: &str, limits: &QueryLimits) -> Result<SpanBatch> {
        for (path, enveloped) in [("/api/v2/traces/", true), ("/api/traces/", false)] {
            let request = self.site.request(&format!("{path}{trace}"), &Form::new());
            let got = self.site.ask(request.header("accept", "application/protobuf"), limits).await?;
            if got.status.as_u16() == 404 {
                continue;
            }
            if !got.status.is_success() {
                return Err(refused(&self.site.name, &got));
            }
            let bad = |e: &dyn std::fmt::Display| garbled(&self.site.name, "a trace", e);
            let body = match enveloped {
                true => wire::otlp::traces::enveloped(&got.body).map_err(|e| bad(&e))?,
                false => got.body.to_vec(),
            };
            // `tempopb.Trace` has its resource spans where an export request has them.
            return Ok(traces::decode_protobuf(&body, &Options::default()).map_err(|e| bad(&e))?.batch);
        }
        Ok(SpanBatch::default())
    }

    async fn values_of(&self, tag: &str, query: Option<String>, scope: &Scope) -> Result<Vec<String>> {
        #[derive(Deserialize)]
        struct Values {
            #[serde(default, rename = "tagValues")]
            values: Option<Vec<Value>>,
        }
        #[derive(Deserialize)]
        struct Value {
            value: String,
        }
        let mut form = self.window(scope);
        form.extend(query.map(|q| ("q", q)));
        let path = format!("/api/v2/search/tag/{}/values", segment(tag));
        let got: Values = self.site.json(self.site.request(&path, &form), &scope.limits).await?;
        Ok(got.values.unwrap_or_default().into_iter().map(|v| v.value).collect())
    }
}

/// Filters as TraceQL. An attribute of an event or a link cannot be asked for in all versions, so that one stands for
/// the span and the resource alone.
fn traceql(filters: &[SpanFilter]) -> String {
    let quoted = |text: &str| {
        let mut out = String::new();
        quote(&mut out, text);
        out
    };
    let one = |f: &SpanFilter| match f {
        SpanFilter::Service(s) => format!("resource.service.name = {}", quoted(s)),
        SpanFilter::Name(n) => format!("name = {}", quoted(n)),
        SpanFilter::Kind(k) => format!("kind = {}", k.as_str()),
        SpanFilter::MinDurationNs(d) => format!("duration >= {d}ns"),
        SpanFilter::MaxDurationNs(d) => format!("duration <= {d}ns"),
        SpanFilter::Error(true) => "status = error".to_owned(),
        SpanFilter::Error(false) => "status != error".to_owned(),
        SpanFilter::Attribute(key, value) => {
            let plain =
                !key.is_empty() && key.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-/".contains(&b));
            let name = if plain { format!(".{key}") } else { format!(".{}", quoted(key)) };
            match value {
                AnyValue::Int(_) | AnyValue::Double(_) | AnyValue::Bool(_) => format!("{name} = {value}"),
                // A text may stand for a number.
                text if text.to_string().parse::<f64>().is_ok() => {
                    format!("({name} = {} || {name} = {text})", quoted(&text.to_string()))
                }
                text => format!("{name} = {}", quoted(&text.to_string())),
            }
        }
    };
    let all: Vec<String> =
        filters.iter().filter(|f| !matches!(f, SpanFilter::Kind(SpanKind::Unspecified))).map(one).collect();
    format!("{{{}}}", all.join(" && "))
}

#[async_trait]
impl Select for Tempo {
    async fn spans(&self, r: SpansRequest) -> Result<Selection<SpanBatch>> {
        let Some(more) = visible(&r.scope, &self.owner) else {
            return Ok(nothing(&self.site.name, Signal::TRACES, &r.scope));
        };
        let mut warnings = Vec::new();
        let ids = match r.trace_ids.is_empty() {
            false => r.trace_ids.iter().map(|t| hex(t)).collect(),
            true => {
                let most = r.max_traces.unwrap_or(MOST_TRACES);
                let mut form = self.window(&r.scope);
                form.push(("q", traceql(&sent(&r.filters, &self.labels))));
                form.push(("limit", most.to_string()));
                let found: Found =
                    self.site.json(self.site.request("/api/search", &form), &r.scope.limits).await?;
                let found: Vec<String> = found.traces.unwrap_or_default().into_iter().map(|t| t.id).collect();
                if r.max_traces.is_none() && found.len() >= most {
                    warnings.push(format!("no more than {most} traces were asked for"));
                }
                found
            }
        };
        let ids: Vec<String> =
            ids.into_iter().filter_map(|i: String| id::<16>(&i).map(|i| hex(&i))).collect();
        let limits = &r.scope.limits;
        let fetched =
            stream::iter(ids).map(|i| async move { self.trace(&i, limits).await }).buffered(AT_ONCE);
        let found: Vec<SpanBatch> = fetched.try_collect().await?;
        let labels =
            super::labels::Added::new(&self.labels, &Labels::default()).and(&more).dress(Labels::default());
        answer(found, &r, &labels, self.coverage(&r.scope, &warnings))
    }

    async fn series(&self, _: SeriesRequest) -> Result<Selection<SeriesData>> {
        not_held(&self.site.name, "metrics")
    }

    async fn logs(&self, _: LogsRequest) -> Result<Selection<LogBatch>> {
        not_held(&self.site.name, "logs")
    }

    async fn label_names(&self, r: LabelNamesRequest) -> Result<(Vec<String>, Coverage)> {
        #[derive(Deserialize)]
        struct Tags {
            #[serde(default)]
            scopes: Option<Vec<TagScope>>,
        }
        #[derive(Deserialize)]
        struct TagScope {
            #[serde(default)]
            name: String,
            #[serde(default)]
            tags: Option<Vec<String>>,
        }
        let mut names = Vec::new();
        if visible(&r.scope, &self.owner).is_some() {
            let request = self.site.request("/api/v2/search/tags", &self.window(&r.scope));
            let got: Tags = self.site.json(request, &r.scope.limits).await?;
            // Intrinsics are fields of spans and no attributes.
            let scopes = got.scopes.unwrap_or_default().into_iter().filter(|s| s.name != "intrinsic");
            names = scopes.flat_map(|s| s.tags.unwrap_or_default()).collect();
            names.extend(self.labels.iter().map(|(n, _)| n.to_owned()));
        }
        Ok((sorted(names, r.limit), self.coverage(&r.scope, &[])))
    }

    async fn label_values(&self, r: LabelValuesRequest) -> Result<(Vec<String>, Coverage)> {
        let values = match (&r.field, visible(&r.scope, &self.owner)) {
            (_, None) | (NamedField::Label(_), _) => Vec::new(),
            (NamedField::Service, _) => self.values_of("resource.service.name", None, &r.scope).await?,
            (NamedField::Operation { service, kind }, _) => {
                let mut filters: Vec<SpanFilter> = service.iter().cloned().map(SpanFilter::Service).collect();
                filters.extend(kind.map(SpanFilter::Kind));
                let query = (!filters.is_empty()).then(|| traceql(&filters));
                self.values_of("name", query, &r.scope).await?
            }
            (NamedField::Attribute(key), _) => match self.labels.get(key) {
                Some(ours) => vec![ours.to_owned()],
                None => self.values_of(&format!(".{key}"), None, &r.scope).await?,
            },
        };
        Ok((sorted(values, r.limit), self.coverage(&r.scope, &[])))
    }

    async fn label_sets(&self, r: LabelNamesRequest) -> Result<(Vec<Labels>, Coverage)> {
        Ok((Vec::new(), self.coverage(&r.scope, &[])))
    }

    async fn metadata(&self, _: MetadataRequest) -> Result<(Vec<MetricMetadata>, Coverage)> {
        not_held(&self.site.name, "metrics")
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities { signals: vec![Signal::TRACES], filters_lines: false, ..Capabilities::default() }
    }
}

#[cfg(test)]
mod tests;
