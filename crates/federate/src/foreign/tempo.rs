//! Tempo's HTTP API (`grafana.com/docs/tempo/latest/api_docs`). A search finds ids of traces, a trace is fetched by its
//! id as OTLP protobuf, and spans are filtered here. `/api/v2/traces` is there since 2.6; before it `/api/traces` gives
//! the same without an envelope.
//!
//! Tempo refuses to search more than a week at once unless it is told otherwise, so that a longer time is gone through
//! from its end in windows as long as are not refused.

mod query;

use std::{
    collections::HashSet,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
};

use async_trait::async_trait;
use base::Clock;
use contract::{
    Capabilities, Coverage, Error, LabelNamesRequest, LabelValuesRequest, LogsRequest, MetadataRequest,
    NamedField, QueryLimits, Result, Scope, Select, Selection, SeriesData, SeriesRequest, SpanCondition,
    SpanField, SpanFilter, SpansRequest,
};
use futures::{StreamExt, TryStreamExt, stream};
use model::{Labels, LogBatch, MetricMetadata, Signal, SpanBatch, TenantId};
use parking_lot::Mutex;
use serde::{Deserialize, de::DeserializeOwned};
use wire::{
    jaeger_json::id,
    otlp::{Options, traces},
};

use self::query::traceql;
use super::{
    ForeignSettings, coverage,
    error::{garbled, not_held, refused},
    nothing,
    site::{Form, Site, segment},
    sorted,
    traces::{MOST_TRACES, OLDEST_NS, answer, hex, sent},
    visible,
};

/// Traces that are fetched at once.
const AT_ONCE: usize = 8;
/// Windows a search goes through at most, so that one that finds nothing ends.
const MAX_WINDOWS: usize = 500;
/// The same of a list of names: four weeks where windows are as Tempo has them by default, twice what it keeps then.
const LIST_WINDOWS: usize = 4;
const LEAST_WINDOW_S: i64 = 60;

pub(super) struct Tempo {
    site: Arc<Site>,
    /// The longest window that was not refused yet.
    width_s: AtomicI64,
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
        Ok(Tempo { site, width_s: AtomicI64::new(i64::MAX), labels, owner, clock })
    }

    fn coverage(&self, scope: &Scope, warnings: &[String]) -> Coverage {
        coverage(&self.site.name, Signal::TRACES, scope, warnings)
    }

    /// Whole seconds around the asked range, as Tempo takes times; empty where it lies elsewhere.
    fn seconds(&self, scope: &Scope) -> (i64, i64) {
        let now = self.clock.now_ns();
        let start = scope.range.start.0.max(now.saturating_sub(OLDEST_NS)).max(0) / 1_000_000_000;
        let end = scope.range.end.0.min(now.saturating_add(86_400_000_000_000)) / 1_000_000_000 + 1;
        (start, end.max(start + 1))
    }

    /// Asks one window after the other from the newest on, until `take` has enough; where that is not all, what was
    /// left out.
    async fn windows<T: DeserializeOwned>(
        &self,
        scope: &Scope,
        path: &str,
        max_windows: usize,
        mut form: impl FnMut() -> Form,
        mut take: impl FnMut(T) -> bool,
    ) -> Result<Option<String>> {
        let (start, mut end) = self.seconds(scope);
        let mut asked = 0;
        while end > start {
            if asked == max_windows {
                return Ok(Some(format!("nothing before {end} s was searched")));
            }
            let from = end.saturating_sub(self.width_s.load(Ordering::Relaxed)).max(start);
            let mut form = form();
            form.extend([("start", from.to_string()), ("end", end.to_string())]);
            match self.site.json::<T>(self.site.request(path, &form), &scope.limits).await {
                Ok(body) => {
                    if take(body) {
                        return Ok(None);
                    }
                    end = from;
                    asked += 1;
                }
                Err(e) => match shorter(&e, end - from) {
                    Some(width) => self.width_s.store(width, Ordering::Relaxed),
                    None => return Err(e),
                },
            }
        }
        Ok(None)
    }

    /// The alternatives that are left to ask: what our labels decide is looked at when spans are here.
    fn asked(&self, any_of: &[Vec<SpanCondition>]) -> Vec<Vec<SpanCondition>> {
        let ours = |c: &SpanCondition| matches!(&c.field, SpanField::Attribute(_, k) if self.labels.get(k).is_some());
        any_of.iter().map(|all| all.iter().filter(|c| !ours(c)).cloned().collect()).collect()
    }

    /// Ids of traces that a search finds, each once; and what it left out.
    async fn search(&self, r: &SpansRequest, most: usize) -> Result<(Vec<String>, Option<String>)> {
        let query = traceql(&sent(&r.filters, &self.labels), &self.asked(&r.any_of));
        let (mut known, ids) = (HashSet::new(), Mutex::new(Vec::new()));
        let form = || {
            let left = most.saturating_sub(ids.lock().len());
            vec![("q", query.clone()), ("limit", left.to_string())]
        };
        let take = |found: Found| {
            let mut ids = ids.lock();
            let found = found.traces.unwrap_or_default().into_iter();
            let new = found.filter_map(|t| id::<16>(&t.id)).filter(|i| known.insert(*i));
            ids.extend(new.map(|i| hex(&i)));
            ids.len() >= most
        };
        let missed = self.windows(&r.scope, "/api/search", MAX_WINDOWS, form, take).await?;
        Ok((ids.into_inner(), missed))
    }

    /// Spans of a trace, none where Tempo does not have it; and what of it is not there.
    async fn trace(&self, trace: &str, limits: &QueryLimits) -> Result<(SpanBatch, Option<String>)> {
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
                true => traces::by_id(&got.body).map_err(|e| bad(&e))?,
                false => traces::ById { trace: got.body.to_vec(), ..traces::ById::default() },
            };
            // `tempopb.Trace` has its resource spans where an export request has them.
            let read = traces::decode_protobuf(&body.trace, &Options::default()).map_err(|e| bad(&e))?;
            let mut lacking: Vec<String> = Vec::new();
            if body.partial {
                lacking.push(format!("trace {trace} is not whole: {}", body.message));
            }
            lacking.extend(
                read.refused.iter().map(|r| format!("trace {trace}: {} spans: {}", r.count, r.detail)),
            );
            return Ok((read.batch, (!lacking.is_empty()).then(|| lacking.join("; "))));
        }
        Ok((SpanBatch::default(), None))
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
        let path = format!("/api/v2/search/tag/{}/values", segment(tag));
        let mut all = Vec::new();
        let take = |got: Values| {
            all.extend(got.values.unwrap_or_default().into_iter().map(|v| v.value));
            false
        };
        let form = || -> Form { query.iter().map(|q| ("q", q.clone())).collect() };
        self.windows(scope, &path, LIST_WINDOWS, form, take).await?;
        Ok(all)
    }
}

/// The window that a refusal says is allowed, or a shorter one; `None` where it is refused for something else.
fn shorter(e: &Error, width: i64) -> Option<i64> {
    let (_, said) = e.message.split_once("range specified by start and end exceeds ")?;
    if e.kind != base::Kind::Invalid || width <= LEAST_WINDOW_S {
        return None;
    }
    let allowed = said.split_whitespace().next().and_then(|d| go_seconds(d.trim_end_matches('.')));
    Some(allowed.filter(|a| *a < width).unwrap_or(width / 4).max(LEAST_WINDOW_S))
}

/// `168h0m0s`, as Go writes durations of whole seconds.
fn go_seconds(text: &str) -> Option<i64> {
    let (mut total, mut rest) = (0i64, text);
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit())?;
        let (number, unit) = rest.split_at(digits);
        let by = match unit.chars().next()? {
            'h' => 3600,
            'm' => 60,
            's' => 1,
            _ => return None,
        };
        total = total.checked_add(number.parse::<i64>().ok()?.checked_mul(by)?)?;
        rest = unit.get(1..)?;
    }
    Some(total)
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
                let (found, missed) = self.search(&r, most).await?;
                warnings.extend(missed);
                if r.max_traces.is_none() && found.len() >= most {
                    warnings.push(format!("no more than {most} traces were asked for"));
                }
                found
            }
        };
        let limits = &r.scope.limits;
        let fetched =
            stream::iter(ids).map(|i| async move { self.trace(&i, limits).await }).buffered(AT_ONCE);
        let fetched: Vec<(SpanBatch, Option<String>)> = fetched.try_collect().await?;
        let (found, lacking): (Vec<_>, Vec<_>) = fetched.into_iter().unzip();
        warnings.extend(lacking.into_iter().flatten());
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
            let take = |got: Tags| {
                // Intrinsics are fields of spans and no attributes.
                let scopes = got.scopes.unwrap_or_default().into_iter().filter(|s| s.name != "intrinsic");
                names.extend(scopes.flat_map(|s| s.tags.unwrap_or_default()));
                false
            };
            self.windows(&r.scope, "/api/v2/search/tags", LIST_WINDOWS, Form::new, take).await?;
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
                let query = (!filters.is_empty()).then(|| traceql(&filters, &[]));
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
