//! Jaeger's HTTP API, as its own UI uses it (`/api/traces`, `/api/services`, `/api/operations`): version 1, which
//! Jaeger 2 serves as well. A search needs a service, so that one without asks for each service in turn; what Jaeger
//! cannot filter by is filtered here.

use std::sync::Arc;

use async_trait::async_trait;
use base::Clock;
use contract::{
    Capabilities, Coverage, LabelNamesRequest, LabelValuesRequest, LogsRequest, MetadataRequest, NamedField,
    QueryLimits, Result, Scope, Select, Selection, SeriesData, SeriesRequest, SpanFilter, SpansRequest,
};
use futures::{StreamExt, TryStreamExt, stream};
use model::{AnyValue, Labels, LogBatch, MetricMetadata, Signal, SpanBatch, TenantId};
use parking_lot::Mutex;
use serde::{Deserialize, de::DeserializeOwned};
use wire::jaeger_json::Trace;

use super::{
    ForeignSettings, coverage,
    error::{garbled, not_held, refused},
    nothing,
    site::{Form, Site, segment},
    sorted,
    traces::{MOST_TRACES, OLDEST_NS, answer, hex, sent},
    visible,
};

/// Questions that are asked at once.
const AT_ONCE: usize = 4;
/// Services a search without one goes through.
const MOST_SERVICES: usize = 200;
/// Spans as they were sent. Without it Jaeger moves spans whose clocks seem to differ, and gives new ids to those of
/// client and server that share one, which here may be in another cluster.
fn raw() -> (&'static str, String) {
    ("raw", "true".to_owned())
}

pub(super) struct Jaeger {
    site: Arc<Site>,
    labels: Labels,
    owner: TenantId,
    clock: Clock,
}

/// Every answer of version 1. With errors beside data the data are what could be had.
#[derive(Deserialize)]
#[serde(bound = "T: DeserializeOwned")]
struct Body<T> {
    #[serde(default = "Option::default")]
    data: Option<Vec<T>>,
    #[serde(default)]
    errors: Option<Vec<Fault>>,
}

#[derive(Deserialize)]
struct Fault {
    #[serde(default)]
    msg: String,
    #[serde(default, rename = "traceID")]
    trace: String,
}

impl<T> Body<T> {
    fn read(self, warnings: &Mutex<Vec<String>>) -> Vec<T> {
        let said = self.errors.unwrap_or_default().into_iter().map(|f| match f.trace.is_empty() {
            true => f.msg,
            false => format!("{}: {}", f.trace, f.msg),
        });
        warnings.lock().extend(said);
        self.data.unwrap_or_default()
    }
}

impl Jaeger {
    pub(super) fn new(settings: ForeignSettings, clock: Clock) -> crate::Result<Self> {
        let site = Arc::new(Site::new(&settings)?);
        let ForeignSettings { labels, owner, .. } = settings;
        Ok(Jaeger { site, labels, owner, clock })
    }

    fn coverage(&self, scope: &Scope, warnings: &[String]) -> Coverage {
        coverage(&self.site.name, Signal::TRACES, scope, warnings)
    }

    async fn listed<T: DeserializeOwned>(
        &self,
        path: &str,
        form: &Form,
        limits: &QueryLimits,
        warnings: &Mutex<Vec<String>>,
    ) -> Result<Vec<T>> {
        let body: Body<T> = self.site.json(self.site.request(path, form), limits).await?;
        Ok(body.read(warnings))
    }

    async fn trace(
        &self,
        trace: &str,
        limits: &QueryLimits,
        warnings: &Mutex<Vec<String>>,
    ) -> Result<Vec<SpanBatch>> {
        let request = self.site.request(&format!("/api/traces/{trace}"), &vec![raw()]);
        let got = self.site.ask(request, limits).await?;
        if got.status.as_u16() == 404 {
            return Ok(Vec::new());
        }
        if !got.status.is_success() {
            return Err(refused(&self.site.name, &got));
        }
        let body: Body<Trace> =
            serde_json::from_slice(&got.body).map_err(|e| garbled(&self.site.name, "a trace", e))?;
        self.read(body.read(warnings))
    }

    fn read(&self, list: Vec<Trace>) -> Result<Vec<SpanBatch>> {
        list.into_iter().map(|t| t.read().map_err(|e| garbled(&self.site.name, "a trace", e))).collect()
    }

    /// What a search sends beside the service; microseconds.
    fn search(&self, r: &SpansRequest, limit: usize) -> Form {
        let now = self.clock.now_ns();
        let start = r.scope.range.start.0.max(now.saturating_sub(OLDEST_NS)).max(0) / 1000;
        let end = r.scope.range.end.0.min(now.saturating_add(86_400_000_000_000)) / 1000 + 1;
        let mut form: Form =
            vec![("start", start.to_string()), ("end", end.to_string()), ("limit", limit.to_string()), raw()];
        let mut tags = serde_json::Map::new();
        for f in sent(&r.filters, &self.labels) {
            match f {
                SpanFilter::Name(n) => form.push(("operation", n)),
                SpanFilter::MinDurationNs(d) => form.push(("minDuration", format!("{}us", d.max(0) / 1000))),
                SpanFilter::MaxDurationNs(d) => {
                    form.push(("maxDuration", format!("{}us", d.max(0) / 1000 + 1)))
                }
                SpanFilter::Attribute(key, value) => {
                    // Tags are compared as text there.
                    tags.insert(key, AnyValue::to_string(&value).into());
                }
                SpanFilter::Error(true) => {
                    tags.insert("error".to_owned(), "true".into());
                }
                SpanFilter::Service(_) | SpanFilter::Kind(_) | SpanFilter::Error(false) => {}
            }
        }
        if !tags.is_empty() {
            form.push(("tags", serde_json::Value::Object(tags).to_string()));
        }
        form
    }

    /// Traces of a search over one service or over all.
    async fn found(&self, r: &SpansRequest, warnings: &Mutex<Vec<String>>) -> Result<Vec<SpanBatch>> {
        let limits = &r.scope.limits;
        let named = r.filters.iter().find_map(|f| match f {
            SpanFilter::Service(s) => Some(s.clone()),
            _ => None,
        });
        let mut services = match named {
            Some(s) => vec![s],
            None => self.listed::<String>("/api/services", &Form::new(), limits, warnings).await?,
        };
        if services.len() > MOST_SERVICES {
            let message = format!("only {MOST_SERVICES} of {} services were searched", services.len());
            warnings.lock().push(message);
            services.truncate(MOST_SERVICES);
        }
        let most = r.max_traces.unwrap_or(MOST_TRACES);
        let form = self.search(r, most);
        let searches = stream::iter(services).map(|service| {
            let mut form = form.clone();
            form.push(("service", service));
            async move { self.listed::<Trace>("/api/traces", &form, limits, warnings).await }
        });
        let all: Vec<Vec<Trace>> = searches.buffered(AT_ONCE).try_collect().await?;
        if r.max_traces.is_none() && all.iter().any(|l| l.len() >= most) {
            warnings.lock().push(format!("no more than {most} traces of a service were asked for"));
        }
        self.read(all.into_iter().flatten().collect())
    }
}

#[async_trait]
impl Select for Jaeger {
    async fn spans(&self, r: SpansRequest) -> Result<Selection<SpanBatch>> {
        let Some(more) = visible(&r.scope, &self.owner) else {
            return Ok(nothing(&self.site.name, Signal::TRACES, &r.scope));
        };
        let warnings = Mutex::default();
        let found = match r.trace_ids.is_empty() {
            true => self.found(&r, &warnings).await?,
            false => {
                let ids: Vec<String> = r.trace_ids.iter().map(|t| hex(t)).collect();
                let (limits, warnings) = (&r.scope.limits, &warnings);
                let fetched = stream::iter(ids)
                    .map(|i| async move { self.trace(&i, limits, warnings).await })
                    .buffered(AT_ONCE);
                fetched.try_collect::<Vec<_>>().await?.into_iter().flatten().collect()
            }
        };
        let labels =
            super::labels::Added::new(&self.labels, &Labels::default()).and(&more).dress(Labels::default());
        let coverage = self.coverage(&r.scope, &warnings.into_inner());
        answer(found, &r, &labels, coverage)
    }

    async fn series(&self, _: SeriesRequest) -> Result<Selection<SeriesData>> {
        not_held(&self.site.name, "metrics")
    }

    async fn logs(&self, _: LogsRequest) -> Result<Selection<LogBatch>> {
        not_held(&self.site.name, "logs")
    }

    /// Jaeger lists no names of tags; ours it has all the same.
    async fn label_names(&self, r: LabelNamesRequest) -> Result<(Vec<String>, Coverage)> {
        let names = match visible(&r.scope, &self.owner) {
            Some(_) => self.labels.iter().map(|(n, _)| n.to_owned()).collect(),
            None => Vec::new(),
        };
        Ok((sorted(names, r.limit), self.coverage(&r.scope, &[])))
    }

    async fn label_values(&self, r: LabelValuesRequest) -> Result<(Vec<String>, Coverage)> {
        #[derive(Deserialize)]
        struct Operation {
            name: String,
        }
        let (limits, warnings) = (&r.scope.limits, &Mutex::default());
        let mut values = Vec::new();
        match (&r.field, visible(&r.scope, &self.owner)) {
            (_, None) | (NamedField::Label(_), _) => {}
            (NamedField::Service, _) => {
                values = self.listed("/api/services", &Form::new(), limits, warnings).await?
            }
            (NamedField::Operation { service, kind }, _) => {
                let services = match service {
                    Some(s) => vec![s.clone()],
                    None => self.listed("/api/services", &Form::new(), limits, warnings).await?,
                };
                for service in services.into_iter().take(MOST_SERVICES) {
                    // With a kind the list is of objects, and so it is without since 1.18; `/api/services/…` is older.
                    let list: Vec<String> = match kind {
                        Some(kind) => {
                            let form = vec![("service", service), ("spanKind", kind.as_str().to_owned())];
                            let list: Vec<Operation> =
                                self.listed("/api/operations", &form, limits, warnings).await?;
                            list.into_iter().map(|o| o.name).collect()
                        }
                        None => {
                            let path = format!("/api/services/{}/operations", segment(&service));
                            self.listed(&path, &Form::new(), limits, warnings).await?
                        }
                    };
                    values.extend(list);
                }
            }
            (NamedField::Attribute(key), _) => values.extend(self.labels.get(key).map(str::to_owned)),
        }
        Ok((sorted(values, r.limit), self.coverage(&r.scope, &warnings.lock())))
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
