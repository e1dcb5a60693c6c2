//! OTLP metrics ⇄ [`MetricBatch`], the way Prometheus takes OTLP in:
//!
//! ```text
//! gauge                  name[_ratio]                              value
//! sum, monotonic         name_total                                counter
//! sum, not monotonic     name                                      gauge
//! histogram              name_bucket{le}, name_count, name_sum     classic histogram
//! exponential histogram  name                                      native histogram
//! summary                name{quantile}, name_count, name_sum
//! resource               job, instance (from service.*), target_info for the rest
//! ```
//! Delta temporality is refused as unsupported: adding deltas up needs state that outlives a request.

mod encode;
mod histogram;

use std::borrow::Cow;

use model::{Exemplar, MetricBatch, MetricKind, MetricMetadata, labels::METRIC_NAME, stale_marker};
use prost::Message;
use proto::otlp::{
    collector::metrics::ExportMetricsServiceRequest,
    common::{KeyValue, any_value::Value as Any},
    metrics::{
        AggregationTemporality, DataPointFlags, Exemplar as PbExemplar, Metric, NumberDataPoint,
        SummaryDataPoint, exemplar, metric::Data, number_data_point::Value,
    },
    resource::Resource,
};

pub use self::encode::encode;
use super::{Options, attributes as attr, json};
use crate::{
    Decoded, Error, Reason, Refusals,
    names::{self, NameKind},
    series::SeriesIndex,
    text::quoted,
};

const WHAT: &str = "OTLP metrics request";
/// Characters an exemplar's labels may have together (OpenMetrics); beyond that only its ids are kept.
const MAX_EXEMPLAR_CHARS: usize = 128;

/// Reads `ExportMetricsServiceRequest` in protobuf. Points without a time get `received_ns`.
pub fn decode_protobuf(
    body: &[u8],
    received_ns: i64,
    options: &Options,
) -> Result<Decoded<MetricBatch>, Error> {
    let message = ExportMetricsServiceRequest::decode(body).map_err(|e| Error::protobuf(WHAT, e))?;
    Ok(from_message(message, received_ns, options))
}

/// Reads `ExportMetricsServiceRequest` in OTLP/JSON.
pub fn decode_json(body: &[u8], received_ns: i64, options: &Options) -> Result<Decoded<MetricBatch>, Error> {
    let message: ExportMetricsServiceRequest = json::decode(body).map_err(|e| Error::json(WHAT, e))?;
    Ok(from_message(message, received_ns, options))
}

/// Converts a decoded request. Refusals count data points.
pub fn from_message(
    request: ExportMetricsServiceRequest,
    received_ns: i64,
    options: &Options,
) -> Decoded<MetricBatch> {
    let mut c = Converter {
        options,
        received_ms: received_ns.div_euclid(1_000_000),
        batch: MetricBatch::default(),
        index: SeriesIndex::default(),
        refused: Refusals::default(),
        all_timed: true,
        seen: 0,
        base: Vec::new(),
        latest_ms: None,
    };
    for group in request.resource_metrics {
        let resource = group.resource.unwrap_or_default();
        c.base = base_labels(&resource, options);
        c.latest_ms = None;
        for scoped in group.scope_metrics {
            for metric in scoped.metrics {
                c.metric(metric);
            }
        }
        c.target_info(&resource);
    }
    Decoded { batch: c.batch, refused: c.refused, all_timed: c.all_timed }
}

struct Converter<'a> {
    options: &'a Options,
    received_ms: i64,
    batch: MetricBatch,
    index: SeriesIndex,
    refused: Refusals,
    all_timed: bool,
    /// Data points met so far.
    seen: u64,
    /// Labels that the resource gives to all of its series.
    base: Vec<(Cow<'static, str>, String)>,
    /// The newest point of the resource.
    latest_ms: Option<i64>,
}

/// What all points of one metric share.
struct Family {
    name: String,
    counter: bool,
}

/// Time and start of a point, and whether it only says that the series ended.
#[derive(Clone, Copy)]
struct When {
    at_ms: i64,
    start_ms: i64,
    stale: bool,
}

impl When {
    /// The value, or the stale marker in its place.
    fn value(&self, v: f64) -> f64 {
        if self.stale { stale_marker() } else { v }
    }
}

/// A point's labels, made of its attributes.
type PointLabels<'p> = Vec<(Cow<'p, str>, Cow<'p, str>)>;

impl Converter<'_> {
    fn metric(&mut self, metric: Metric) {
        let (kind, name_kind) = kinds(metric.data.as_ref());
        let points = point_count(metric.data.as_ref());
        let first = self.seen;
        self.seen += points;
        let name = names::metric_name(&metric.name, &metric.unit, name_kind);
        if name.bytes().all(|b| b == b'_') {
            let why =
                || format!("metric name {} has no character that Prometheus allows", quoted(&metric.name));
            return self.refused.add_many(Reason::InvalidItem, first, points, why);
        }
        if let Some(word) = unsupported(metric.data.as_ref()) {
            let why =
                || format!("metric {} has {word} temporality, cumulative is supported", quoted(&metric.name));
            return self.refused.add_many(Reason::Unsupported, first, points, why);
        }
        if let Err(why) = self.metadata(&name, kind, &metric) {
            return self.refused.add_many(Reason::InvalidLabels, first, points, || why);
        }
        let f = Family { name, counter: name_kind == NameKind::Counter };
        match metric.data {
            Some(Data::Gauge(g)) => self.each(g.data_points, first, |c, p| c.number(&f, &p, false)),
            Some(Data::Sum(s)) => self.each(s.data_points, first, |c, p| c.number(&f, &p, true)),
            Some(Data::Histogram(h)) => self.each(h.data_points, first, |c, p| c.histogram(&f, &p)),
            Some(Data::ExponentialHistogram(h)) => {
                self.each(h.data_points, first, |c, p| c.exponential(&f, &p))
            }
            Some(Data::Summary(s)) => self.each(s.data_points, first, |c, p| c.summary(&f, &p)),
            None => {}
        }
    }

    fn each<P>(
        &mut self,
        points: Vec<P>,
        first: u64,
        mut take: impl FnMut(&mut Self, P) -> Result<(), Refusal>,
    ) {
        for (i, p) in points.into_iter().enumerate() {
            if let Err((reason, why)) = take(self, p) {
                self.refused.add(reason, first + i as u64, || why);
            }
        }
    }

    fn metadata(&mut self, name: &str, kind: MetricKind, metric: &Metric) -> Result<(), String> {
        self.options.limits.check_pair(name, &metric.description)?;
        let (main, per) = names::unit_words(&metric.unit);
        let unit = if per.is_empty() || main.is_empty() { main + &per } else { format!("{main}_{per}") };
        let m = MetricMetadata { family: name.to_owned(), kind, unit, help: metric.description.clone() };
        // Exporters repeat a metric once per scope or resource; what was just said is not said again.
        if self.batch.metadata.last() != Some(&m) {
            self.batch.metadata.push(m);
        }
        Ok(())
    }

    fn when(&mut self, time: u64, start: u64, flags: u32) -> When {
        let ms = |t: u64| i64::try_from(t / 1_000_000).unwrap_or(i64::MAX);
        let at_ms = if time == 0 {
            self.all_timed = false;
            self.received_ms
        } else {
            ms(time)
        };
        self.latest_ms = self.latest_ms.max(Some(at_ms));
        let stale = flags & DataPointFlags::NoRecordedValueMask as u32 != 0;
        When { at_ms, start_ms: ms(start), stale }
    }

    /// The series of `name` with the point's labels and one more.
    fn series(
        &mut self,
        name: &str,
        labels: &PointLabels<'_>,
        extra: Option<(&str, &str)>,
    ) -> Result<u32, Refusal> {
        let mut pairs: Vec<(&str, &str)> = Vec::with_capacity(labels.len() + self.base.len() + 2);
        pairs.push((METRIC_NAME, name));
        pairs.extend(extra);
        for (n, v) in self.base.iter().map(|(n, v)| (n.as_ref(), v.as_str())) {
            if pairs.iter().all(|(have, _)| *have != n) {
                pairs.push((n, v));
            }
        }
        let fixed = pairs.len();
        for (n, v) in labels {
            let taken = pairs.iter().take(fixed).any(|(have, _)| *have == n);
            if !taken {
                pairs.push((n, v));
            }
        }
        let labels = self.options.limits.labels(&mut pairs);
        let labels =
            labels.map_err(|why| (Reason::InvalidLabels, format!("metric {}: {why}", quoted(name))))?;
        Ok(self.index.resolve(&mut self.batch, labels))
    }

    fn push(
        &mut self,
        name: &str,
        labels: &PointLabels<'_>,
        extra: Option<(&str, &str)>,
        when: When,
        value: f64,
    ) -> Result<u32, Refusal> {
        let series = self.series(name, labels, extra)?;
        self.batch.samples.push_started(series, when.at_ms, when.value(value), when.start_ms);
        Ok(series)
    }

    fn number(&mut self, f: &Family, p: &NumberDataPoint, is_sum: bool) -> Result<(), Refusal> {
        let start = if is_sum { p.start_time_unix_nano } else { 0 };
        let when = self.when(p.time_unix_nano, start, p.flags);
        let value = match p.value {
            Some(Value::AsDouble(v)) => v,
            Some(Value::AsInt(v)) => v as f64,
            None if when.stale => 0.0,
            None => {
                return Err((Reason::InvalidItem, format!("a point of {} has no value", quoted(&f.name))));
            }
        };
        let labels = point_labels(&p.attributes);
        let series = self.push(&f.name, &labels, None, when, value)?;
        if f.counter {
            for e in &p.exemplars {
                self.exemplar(series, e, when.at_ms);
            }
        }
        Ok(())
    }

    fn summary(&mut self, f: &Family, p: &SummaryDataPoint) -> Result<(), Refusal> {
        let max = self.options.limits.max_histogram_buckets;
        if p.quantile_values.len() > max {
            let why = format!("{} quantiles, limits.max_histogram_buckets is {max}", p.quantile_values.len());
            return Err((Reason::TooLarge, why));
        }
        let when = self.when(p.time_unix_nano, p.start_time_unix_nano, p.flags);
        let labels = point_labels(&p.attributes);
        // The labels are the same for all, so the first push tells whether the point is refused.
        self.push(&format!("{}_sum", f.name), &labels, None, when, p.sum)?;
        self.push(&format!("{}_count", f.name), &labels, None, when, p.count as f64)?;
        for q in &p.quantile_values {
            let quantile = float_label(q.quantile);
            self.push(&f.name, &labels, Some(("quantile", &quantile)), when, q.value)?;
        }
        Ok(())
    }

    fn exemplar(&mut self, series: u32, e: &PbExemplar, at_ms: i64) {
        let value = match e.value {
            Some(exemplar::Value::AsDouble(v)) => v,
            Some(exemplar::Value::AsInt(v)) => v as f64,
            None => return,
        };
        let hex = |id: &[u8]| id.iter().map(|b| format!("{b:02x}")).collect::<String>();
        let ids: Vec<(&str, String)> = [("trace_id", &e.trace_id), ("span_id", &e.span_id)]
            .into_iter()
            .filter(|(_, id)| !id.is_empty())
            .map(|(n, id)| (n, hex(id)))
            .collect();
        let attributes = point_labels(&e.filtered_attributes);
        let mut pairs: Vec<(&str, &str)> = ids.iter().map(|(n, v)| (*n, v.as_str())).collect();
        pairs.extend(
            attributes
                .iter()
                .map(|(n, v)| (n.as_ref(), v.as_ref()))
                .filter(|(n, _)| *n != "trace_id" && *n != "span_id"),
        );
        let chars: usize = pairs.iter().map(|(n, v)| n.chars().count() + v.chars().count()).sum();
        if chars > MAX_EXEMPLAR_CHARS {
            pairs.truncate(ids.len());
        }
        let timestamp_ms = match e.time_unix_nano {
            0 => at_ms,
            t => i64::try_from(t / 1_000_000).unwrap_or(i64::MAX),
        };
        match self.options.limits.labels(&mut pairs) {
            Ok(labels) => self.batch.exemplars.push((series, Exemplar { labels, value, timestamp_ms })),
            Err(why) => self.refused.add(Reason::InvalidLabels, self.seen, || format!("exemplar: {why}")),
        }
    }

    /// One `target_info` per resource that has more to say than its identity.
    fn target_info(&mut self, resource: &Resource) {
        let Some(at_ms) = self.latest_ms else { return };
        let identified = self.base.iter().any(|(n, _)| n == "job" || n == "instance");
        let rest: Vec<KeyValue> =
            resource.attributes.iter().filter(|kv| !IDENTITY.contains(&kv.key.as_str())).cloned().collect();
        if !identified || rest.is_empty() {
            return;
        }
        let when = When { at_ms, start_ms: 0, stale: false };
        let labels = point_labels(&rest);
        if let Err((reason, why)) = self.push("target_info", &labels, None, when, 1.0) {
            self.refused.add(reason, self.seen, || why);
        }
    }
}

type Refusal = (Reason, String);

/// Resource attributes that `job` and `instance` are made of.
const IDENTITY: [&str; 3] = ["service.name", "service.namespace", "service.instance.id"];

fn kinds(data: Option<&Data>) -> (MetricKind, NameKind) {
    match data {
        Some(Data::Gauge(_)) => (MetricKind::Gauge, NameKind::Gauge),
        Some(Data::Sum(s)) if s.is_monotonic => (MetricKind::Counter, NameKind::Counter),
        Some(Data::Sum(_)) => (MetricKind::Gauge, NameKind::Other),
        Some(Data::Histogram(_) | Data::ExponentialHistogram(_)) => (MetricKind::Histogram, NameKind::Other),
        Some(Data::Summary(_)) => (MetricKind::Summary, NameKind::Other),
        None => (MetricKind::Unknown, NameKind::Other),
    }
}

fn point_count(data: Option<&Data>) -> u64 {
    let n = match data {
        Some(Data::Gauge(d)) => d.data_points.len(),
        Some(Data::Sum(d)) => d.data_points.len(),
        Some(Data::Histogram(d)) => d.data_points.len(),
        Some(Data::ExponentialHistogram(d)) => d.data_points.len(),
        Some(Data::Summary(d)) => d.data_points.len(),
        None => 0,
    };
    n as u64
}

/// The temporality's name where it is not cumulative.
fn unsupported(data: Option<&Data>) -> Option<&'static str> {
    let temporality = match data {
        Some(Data::Sum(d)) => d.aggregation_temporality,
        Some(Data::Histogram(d)) => d.aggregation_temporality,
        Some(Data::ExponentialHistogram(d)) => d.aggregation_temporality,
        _ => return None,
    };
    match AggregationTemporality::try_from(temporality) {
        Ok(AggregationTemporality::Cumulative) => None,
        Ok(AggregationTemporality::Delta) => Some("delta"),
        _ => Some("unspecified"),
    }
}

/// `job`, `instance` and what is promoted.
fn base_labels(resource: &Resource, options: &Options) -> Vec<(Cow<'static, str>, String)> {
    let get = |key: &str| {
        let found = resource.attributes.iter().find(|kv| kv.key == key);
        found.map(|kv| value_text(kv).into_owned()).filter(|v| !v.is_empty())
    };
    let mut out: Vec<(Cow<'static, str>, String)> = Vec::new();
    match (get("service.name"), get("service.namespace")) {
        (Some(name), Some(namespace)) => out.push((Cow::Borrowed("job"), format!("{namespace}/{name}"))),
        (Some(name), None) => out.push((Cow::Borrowed("job"), name)),
        _ => {}
    }
    if let Some(instance) = get("service.instance.id") {
        out.push((Cow::Borrowed("instance"), instance));
    }
    for key in &options.promote_to_metrics {
        if let Some(value) = get(key) {
            out.push((Cow::Owned(names::label_name(key).into_owned()), value));
        }
    }
    out
}

fn value_text(kv: &KeyValue) -> Cow<'_, str> {
    match kv.value.as_ref().and_then(|v| v.value.as_ref()) {
        None => Cow::Borrowed(""),
        Some(Any::StringValue(s)) => Cow::Borrowed(s),
        Some(_) => Cow::Owned(attr::from_value(kv.value.clone()).to_string()),
    }
}

/// Attributes as labels. Keys that become one name have their values joined by ';' in the order of the keys,
/// as the specification says.
fn point_labels(attributes: &[KeyValue]) -> PointLabels<'_> {
    let mut sorted: Vec<&KeyValue> = attributes.iter().filter(|kv| !kv.key.is_empty()).collect();
    sorted.sort_by(|a, b| a.key.cmp(&b.key));
    let mut out: PointLabels<'_> = Vec::with_capacity(sorted.len());
    for kv in sorted {
        let (name, value) = (names::label_name(&kv.key), value_text(kv));
        match out.iter_mut().find(|(n, _)| *n == name) {
            Some((_, held)) => {
                held.to_mut().push(';');
                held.to_mut().push_str(&value);
            }
            None => out.push((name, value)),
        }
    }
    out
}

/// A float as a label value: shortest decimal, `+Inf` for infinity.
fn float_label(v: f64) -> String {
    if v == f64::INFINITY { "+Inf".to_owned() } else { v.to_string() }
}
