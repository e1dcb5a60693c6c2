//! OTLP metrics ⇄ [`MetricBatch`], the way Prometheus takes OTLP in:
//!
//! ```text
//! gauge                  name[_ratio]                              value
//! sum, monotonic         name_total                                counter
//! sum, not monotonic     name                                      gauge
//! histogram              name_bucket{le}, name_count, name_sum     classic histogram, or native with custom buckets
//! exponential histogram  name                                      native histogram
//! summary                name{quantile}, name_count, name_sum
//! resource               job, instance (from service.*), target_info for the rest
//! ```
//! Points of delta temporality come out as they are, with a mark each ([`Deltas`]): adding them up needs state
//! that outlives a request, which is admission's.
//!
//! ```text
//! message ─ Converter (names, times) ─┬─ labels: attributes + resource + scope ─┬─► batch, marks, refusals
//!                                     └─ number · histogram · exponential · summary
//! ```

mod encode;
mod exemplar;
mod histogram;
mod labels;
mod points;
mod resource;

use model::{MetricBatch, MetricKind, MetricMetadata, stale_marker};
use prost::Message;
use proto::otlp::{
    collector::metrics::ExportMetricsServiceRequest,
    metrics::{AggregationTemporality, DataPointFlags, Metric, metric::Data},
};

pub use self::encode::encode;
use self::{labels::Names, resource::Context};
use super::{Options, attributes as attr, json};
use crate::{
    Decoded, Error, Reason, Refusals,
    names::{NameKind, Naming, units},
    series::SeriesIndex,
    text::quoted,
};

const WHAT: &str = "OTLP metrics request";

/// [`encode`] as OTLP/JSON: `{"resourceMetrics":[...]}`.
pub fn encode_json(batch: &MetricBatch) -> Vec<u8> {
    json::write::metrics(&encode(batch))
}

/// How the metrics of a request become series; `otlp` of the configuration, defaults as in Prometheus.
#[derive(Debug, Clone, PartialEq)]
pub struct MetricOptions {
    pub naming: Naming,
    pub promote: Promote,
    /// Whether `service.*` stay in `target_info` beside `job` and `instance`.
    pub keep_identifying: bool,
    /// Whether name, version, schema and attributes of the scope become labels `otel_scope_…`.
    pub promote_scope: bool,
    /// Whether histograms with explicit bounds become native ones with custom buckets.
    pub histograms_to_custom: bool,
    /// How far back queries look: `target_info` has a sample at least twice in that time.
    pub lookback_ms: i64,
}

/// Resource attributes that become labels of every series, besides what `job` and `instance` are made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Promote {
    Only(Vec<String>),
    AllBut(Vec<String>),
}

impl Default for MetricOptions {
    fn default() -> Self {
        MetricOptions {
            naming: Naming::default(),
            promote: Promote::Only(Vec::new()),
            keep_identifying: false,
            promote_scope: false,
            histograms_to_custom: false,
            lookback_ms: 300_000,
        }
    }
}

/// Which points of a batch are differences to the one before and not totals: positions, ascending.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Deltas {
    /// In `batch.samples`.
    pub samples: Vec<u32>,
    /// In `batch.histograms`.
    pub histograms: Vec<u32>,
}

impl Deltas {
    pub fn is_empty(&self) -> bool {
        self.samples.is_empty() && self.histograms.is_empty()
    }
}

/// Reads `ExportMetricsServiceRequest` in protobuf. Points without a time get `received_ns`. Points of delta
/// temporality are marked in `deltas`, and refused as unsupported where that is `None`.
pub fn decode_protobuf(
    body: &[u8],
    received_ns: i64,
    options: &Options,
    deltas: Option<&mut Deltas>,
) -> Result<Decoded<MetricBatch>, Error> {
    let message = ExportMetricsServiceRequest::decode(body).map_err(|e| Error::protobuf(WHAT, e))?;
    Ok(from_message(&message, received_ns, options, deltas))
}

/// Reads `ExportMetricsServiceRequest` in OTLP/JSON, otherwise as [`decode_protobuf`].
pub fn decode_json(
    body: &[u8],
    received_ns: i64,
    options: &Options,
    deltas: Option<&mut Deltas>,
) -> Result<Decoded<MetricBatch>, Error> {
    let message: ExportMetricsServiceRequest = json::decode(body).map_err(|e| Error::json(WHAT, e))?;
    Ok(from_message(&message, received_ns, options, deltas))
}

/// Converts a decoded request. Refusals count data points.
pub fn from_message(
    request: &ExportMetricsServiceRequest,
    received_ns: i64,
    options: &Options,
    deltas: Option<&mut Deltas>,
) -> Decoded<MetricBatch> {
    let mut c = Converter {
        options,
        received_ms: received_ns.div_euclid(1_000_000),
        batch: MetricBatch::default(),
        index: SeriesIndex::default(),
        deltas,
        refused: Refusals::default(),
        all_timed: true,
        seen: 0,
        names: Names::new(options.metrics.naming),
        context: Context::default(),
        times: None,
    };
    for group in &request.resource_metrics {
        c.enter_resource(group.resource.as_ref());
        for scoped in &group.scope_metrics {
            c.enter_scope(scoped);
            for metric in &scoped.metrics {
                c.metric(metric);
            }
        }
        c.target_info(group.resource.as_ref());
    }
    Decoded { batch: c.batch, refused: c.refused, all_timed: c.all_timed }
}

/// Walks one request; `'r` is its lifetime.
struct Converter<'r, 'o> {
    options: &'o Options,
    received_ms: i64,
    batch: MetricBatch,
    index: SeriesIndex,
    deltas: Option<&'o mut Deltas>,
    refused: Refusals,
    all_timed: bool,
    /// Data points met so far.
    seen: u64,
    names: Names<'r>,
    /// Labels that resource and scope give to all of their series.
    context: Context,
    /// The oldest and the newest point of the resource.
    times: Option<(i64, i64)>,
}

/// What all points of one metric share.
struct Family {
    name: String,
    delta: bool,
}

/// Time and start of a point, and whether it only says that the series ended.
#[derive(Clone, Copy)]
struct When {
    at_ms: i64,
    start_ms: i64,
    stale: bool,
    /// The point is a difference.
    delta: bool,
}

impl When {
    /// The value, or the stale marker in its place.
    fn value(&self, v: f64) -> f64 {
        if self.stale { stale_marker() } else { v }
    }
}

/// Why a point is left out.
type Refusal = (Reason, String);

impl<'r> Converter<'r, '_> {
    fn metric(&mut self, metric: &'r Metric) {
        let data = metric.data.as_ref();
        let (kind, name_kind) = kinds(data);
        let points = point_count(data);
        let first = self.seen;
        self.seen += points;
        let Some(name) = self.options.metrics.naming.metric(&metric.name, &metric.unit, name_kind) else {
            let why =
                || format!("of metric name {} nothing is left that Prometheus allows", quoted(&metric.name));
            return self.refused.add_many(Reason::InvalidItem, first, points, why);
        };
        let delta = match temporality(data) {
            Ok(delta) if !delta || self.deltas.is_some() => delta,
            Ok(_) => {
                let why = || format!("metric {} has delta temporality", quoted(&metric.name));
                return self.refused.add_many(Reason::Unsupported, first, points, why);
            }
            Err(number) => {
                let why = || format!("metric {} has no known temporality ({number})", quoted(&metric.name));
                return self.refused.add_many(Reason::Unsupported, first, points, why);
            }
        };
        if let Err(why) = self.options.limits.check_pair(&name, "") {
            return self.refused.add_many(Reason::InvalidLabels, first, points, || why);
        }
        self.metadata(&name, kind, metric);
        let f = Family { name: name.into_owned(), delta };
        match data {
            Some(Data::Gauge(g)) => self.each(&g.data_points, first, |c, p| c.number(&f, p, false)),
            Some(Data::Sum(s)) => self.each(&s.data_points, first, |c, p| c.number(&f, p, true)),
            Some(Data::Histogram(h)) if self.options.metrics.histograms_to_custom => {
                self.each(&h.data_points, first, |c, p| c.custom(&f, p));
            }
            Some(Data::Histogram(h)) => self.each(&h.data_points, first, |c, p| c.classic(&f, p)),
            Some(Data::ExponentialHistogram(h)) => {
                self.each(&h.data_points, first, |c, p| c.exponential(&f, p));
            }
            Some(Data::Summary(s)) => self.each(&s.data_points, first, |c, p| c.summary(&f, p)),
            None => {}
        }
    }

    fn each<P>(
        &mut self,
        points: &'r [P],
        first: u64,
        mut take: impl FnMut(&mut Self, &'r P) -> Result<(), Refusal>,
    ) {
        for (i, p) in points.iter().enumerate() {
            if let Err((reason, why)) = take(self, p) {
                self.refused.add(reason, first + i as u64, || why);
            }
        }
    }

    fn metadata(&mut self, name: &str, kind: MetricKind, metric: &Metric) {
        let help = clip_bytes(&metric.description, self.options.limits.max_label_value_bytes);
        // Exporters repeat a metric once per scope or resource; what was just said is not said again.
        let last = self.batch.metadata.last();
        if last.is_some_and(|m| m.family == name && m.kind == kind && m.help == help) {
            return;
        }
        let unit = units::metadata_unit(&metric.unit);
        let (family, help) = (name.to_owned(), help.to_owned());
        self.batch.metadata.push(MetricMetadata { family, kind, unit, help });
    }

    fn when(&mut self, f: &Family, time: u64, start: u64, flags: u32) -> When {
        let ms = |t: u64| i64::try_from(t / 1_000_000).unwrap_or(i64::MAX);
        let at_ms = if time == 0 {
            self.all_timed = false;
            self.received_ms
        } else {
            ms(time)
        };
        let (oldest, newest) = self.times.unwrap_or((at_ms, at_ms));
        self.times = Some((oldest.min(at_ms), newest.max(at_ms)));
        let stale = flags & DataPointFlags::NoRecordedValueMask as u32 != 0;
        When { at_ms, start_ms: ms(start), stale, delta: f.delta && !stale }
    }
}

/// At most `max` bytes of `s`, cut between characters.
fn clip_bytes(s: &str, max: usize) -> &str {
    let end = (0..=max.min(s.len())).rev().find(|i| s.is_char_boundary(*i));
    s.get(..end.unwrap_or(0)).unwrap_or_default()
}

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

/// Whether the points are differences; the number of a temporality that is neither.
fn temporality(data: Option<&Data>) -> Result<bool, i32> {
    let temporality = match data {
        Some(Data::Sum(d)) => d.aggregation_temporality,
        Some(Data::Histogram(d)) => d.aggregation_temporality,
        Some(Data::ExponentialHistogram(d)) => d.aggregation_temporality,
        _ => return Ok(false),
    };
    match AggregationTemporality::try_from(temporality) {
        Ok(AggregationTemporality::Cumulative) => Ok(false),
        Ok(AggregationTemporality::Delta) => Ok(true),
        _ => Err(temporality),
    }
}

#[cfg(test)]
mod tests;
