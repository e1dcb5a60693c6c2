//! The metrics of a service, added up from its start, and their form in OTLP: a counter of requests, their
//! duration in a histogram with bounds, durations of work and of calls in exponential histograms (native ones
//! in Prometheus), what is under way, and what could not be exported. Buckets carry exemplars: a request of a
//! trace that was as slow.

use std::collections::BTreeMap;

use proto::otlp::{
    common::{AnyValue, InstrumentationScope, KeyValue, any_value::Value as Any},
    metrics::{
        AggregationTemporality, Exemplar, ExponentialHistogram, ExponentialHistogramDataPoint, Gauge,
        Histogram, HistogramDataPoint, Metric, NumberDataPoint, ScopeMetrics, Sum, exemplar,
        exponential_histogram_data_point::Buckets, metric::Data, number_data_point::Value,
    },
};

use super::context::TraceContext;

/// Seconds; the advice of OpenTelemetry's conventions for `http.server.request.duration`.
const BOUNDS: [f64; 14] = [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0];
/// Eight buckets to each doubling: values are known within 9 %.
const SCALE: i32 = 3;
/// Indexes of the first and last bucket: 1 µs and about 17 minutes at this scale.
const FIRST: i32 = -160;
const LAST: i32 = 80;
/// Exemplars that an exponential histogram keeps between two exports.
const MAX_EXEMPLARS: usize = 8;
/// Attribute sets of one metric; what is beyond is counted together, as OpenTelemetry's SDKs do.
const MAX_SETS: usize = 200;

/// Attributes in order of their keys.
pub(super) type Set = Vec<(&'static str, String)>;

/// A value of a trace.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Seen {
    value: f64,
    at_ns: i64,
    context: TraceContext,
}

#[derive(Debug, Clone, Default, PartialEq)]
struct Bounded {
    counts: [u64; BOUNDS.len() + 1],
    exemplars: [Option<Seen>; BOUNDS.len() + 1],
    sum: f64,
}

#[derive(Debug, Clone, Default, PartialEq)]
struct Exponential {
    counts: BTreeMap<i32, u64>,
    zeros: u64,
    exemplars: Vec<Seen>,
    sum: f64,
}

/// Everything counted since the start.
#[derive(Debug, Default)]
pub(super) struct Instruments {
    requests: BTreeMap<Set, u64>,
    durations: BTreeMap<Set, Bounded>,
    work: BTreeMap<Set, Exponential>,
    calls: BTreeMap<Set, Exponential>,
    dropped: BTreeMap<Set, u64>,
    active: i64,
}

/// The entry of a set, or of the one that stands for all others.
fn of<T: Default>(sets: &mut BTreeMap<Set, T>, set: Set) -> &mut T {
    let full = sets.len() >= MAX_SETS && !sets.contains_key(&set);
    let set = if full { vec![("otel.metric.overflow", "true".to_owned())] } else { set };
    sets.entry(set).or_default()
}

impl Instruments {
    pub(super) fn begin(&mut self) {
        self.active += 1;
    }

    /// A request was answered.
    pub(super) fn end(&mut self, set: Set, seconds: f64, at_ns: i64, context: TraceContext) {
        self.active -= 1;
        *of(&mut self.requests, set.clone()) += 1;
        of(&mut self.durations, set).add(Seen { value: seconds, at_ns, context });
    }

    pub(super) fn worked(&mut self, set: Set, seconds: f64, at_ns: i64, context: TraceContext) {
        of(&mut self.work, set).add(Seen { value: seconds, at_ns, context });
    }

    pub(super) fn called(&mut self, set: Set, seconds: f64, at_ns: i64, context: TraceContext) {
        of(&mut self.calls, set).add(Seen { value: seconds, at_ns, context });
    }

    pub(super) fn dropped(&mut self, signal: &str, reason: &str, items: u64) {
        let set = vec![("reason", reason.to_owned()), ("signal", signal.to_owned())];
        *of(&mut self.dropped, set) += items;
    }

    /// Everything as of now. Exemplars are handed out once.
    pub(super) fn collect(
        &mut self,
        started_ns: i64,
        now_ns: i64,
        scope: InstrumentationScope,
    ) -> ScopeMetrics {
        let at = Times { start: nanos(started_ns), now: nanos(now_ns) };
        let mut metrics = vec![
            sum("shop.requests", "Requests answered", "{request}", at.numbers(&self.requests)),
            gauge("shop.requests.active", "Requests under way", at.number(&Set::new(), self.active)),
        ];
        if !self.dropped.is_empty() {
            let points = at.numbers(&self.dropped);
            metrics.push(sum("shop.export.dropped", "Telemetry given up", "{item}", points));
        }
        let data_points: Vec<_> = self.durations.iter_mut().map(|(s, b)| b.point(s, at)).collect();
        if !data_points.is_empty() {
            let data = Data::Histogram(Histogram { data_points, aggregation_temporality: CUMULATIVE });
            let help = "Duration of requests answered";
            metrics.push(metric("http.server.request.duration", help, "s", data));
        }
        let natives = [
            ("shop.work.duration", "Duration of a request's own work", &mut self.work),
            ("http.client.request.duration", "Duration of calls to other services", &mut self.calls),
        ];
        for (name, help, sets) in natives {
            let data_points: Vec<_> = sets.iter_mut().map(|(s, e)| e.point(s, at)).collect();
            if !data_points.is_empty() {
                let data = ExponentialHistogram { data_points, aggregation_temporality: CUMULATIVE };
                metrics.push(metric(name, help, "s", Data::ExponentialHistogram(data)));
            }
        }
        ScopeMetrics { scope: Some(scope), metrics, schema_url: String::new() }
    }
}

impl Bounded {
    fn add(&mut self, seen: Seen) {
        let bucket = BOUNDS.partition_point(|b| *b < seen.value);
        if let (Some(n), Some(e)) = (self.counts.get_mut(bucket), self.exemplars.get_mut(bucket)) {
            *n += 1;
            *e = Some(seen);
        }
        self.sum += seen.value;
    }

    fn point(&mut self, set: &Set, at: Times) -> HistogramDataPoint {
        HistogramDataPoint {
            attributes: attributes(set),
            start_time_unix_nano: at.start,
            time_unix_nano: at.now,
            count: self.counts.iter().sum(),
            sum: Some(self.sum),
            bucket_counts: self.counts.to_vec(),
            explicit_bounds: BOUNDS.to_vec(),
            exemplars: self.exemplars.iter_mut().filter_map(Option::take).map(exemplar).collect(),
            flags: 0,
            min: None,
            max: None,
        }
    }
}

impl Exponential {
    fn add(&mut self, seen: Seen) {
        match index(seen.value) {
            Some(i) => *self.counts.entry(i).or_default() += 1,
            None => self.zeros += 1,
        }
        self.sum += seen.value;
        // The newest are kept.
        if self.exemplars.len() >= MAX_EXEMPLARS {
            self.exemplars.remove(0);
        }
        self.exemplars.push(seen);
    }

    fn point(&mut self, set: &Set, at: Times) -> ExponentialHistogramDataPoint {
        let first = self.counts.keys().next().copied().unwrap_or(0);
        let last = self.counts.keys().next_back().copied().unwrap_or(first);
        let counts = (first..=last).map(|i| self.counts.get(&i).copied().unwrap_or(0));
        ExponentialHistogramDataPoint {
            attributes: attributes(set),
            start_time_unix_nano: at.start,
            time_unix_nano: at.now,
            count: self.zeros + self.counts.values().sum::<u64>(),
            sum: Some(self.sum),
            scale: SCALE,
            zero_count: self.zeros,
            positive: Some(Buckets { offset: first, bucket_counts: counts.collect() }),
            negative: None,
            flags: 0,
            exemplars: std::mem::take(&mut self.exemplars).into_iter().map(exemplar).collect(),
            min: None,
            max: None,
            zero_threshold: 0.0,
        }
    }
}

/// The bucket of a value: bucket `i` holds what is above `base^i` up to `base^(i+1)`, with `base` = 2^(1/8).
/// `None` is the bucket of zero.
fn index(value: f64) -> Option<i32> {
    if value.is_nan() || value <= 0.0 {
        return None;
    }
    let exact = value.log2() * f64::from(1 << SCALE);
    Some((exact.ceil() as i32).saturating_sub(1).clamp(FIRST, LAST))
}

const CUMULATIVE: i32 = AggregationTemporality::Cumulative as i32;

#[derive(Clone, Copy)]
struct Times {
    start: u64,
    now: u64,
}

impl Times {
    fn number(self, set: &Set, value: i64) -> NumberDataPoint {
        NumberDataPoint {
            attributes: attributes(set),
            start_time_unix_nano: self.start,
            time_unix_nano: self.now,
            value: Some(Value::AsInt(value)),
            exemplars: Vec::new(),
            flags: 0,
        }
    }

    fn numbers(self, sets: &BTreeMap<Set, u64>) -> Vec<NumberDataPoint> {
        sets.iter().map(|(s, n)| self.number(s, i64::try_from(*n).unwrap_or(i64::MAX))).collect()
    }
}

fn nanos(ns: i64) -> u64 {
    u64::try_from(ns).unwrap_or(0)
}

fn metric(name: &str, description: &str, unit: &str, data: Data) -> Metric {
    Metric {
        name: name.to_owned(),
        description: description.to_owned(),
        unit: unit.to_owned(),
        data: Some(data),
        metadata: Vec::new(),
    }
}

fn sum(name: &str, help: &str, unit: &str, data_points: Vec<NumberDataPoint>) -> Metric {
    let sum = Sum { data_points, aggregation_temporality: CUMULATIVE, is_monotonic: true };
    metric(name, help, unit, Data::Sum(sum))
}

fn gauge(name: &str, help: &str, point: NumberDataPoint) -> Metric {
    metric(name, help, "{request}", Data::Gauge(Gauge { data_points: vec![point] }))
}

fn attributes(set: &Set) -> Vec<KeyValue> {
    let text = |v: &String| Some(AnyValue { value: Some(Any::StringValue(v.clone())) });
    set.iter().map(|(k, v)| KeyValue { key: (*k).to_owned(), value: text(v) }).collect()
}

fn exemplar(seen: Seen) -> Exemplar {
    Exemplar {
        filtered_attributes: Vec::new(),
        time_unix_nano: nanos(seen.at_ns),
        span_id: seen.context.span_id.to_vec(),
        trace_id: seen.context.trace_id.to_vec(),
        value: Some(exemplar::Value::AsDouble(seen.value)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_lies_within_the_bounds_of_its_bucket() {
        let base = 2f64.powf(1.0 / 8.0);
        for value in [2e-6, 0.001, 0.0371, 0.5, 0.99, 1.01, 3.3, 700.0] {
            let i = index(value).unwrap();
            let (low, high) = (base.powi(i), base.powi(i + 1));
            assert!(low < value * (1.0 + 1e-12) && value <= high * (1.0 + 1e-12), "{value} {i}");
        }
        // Upper bounds belong to the bucket below them, as OTLP has it.
        assert_eq!((index(1.0), index(2.0), index(0.5)), (Some(-1), Some(7), Some(-9)));
        assert_eq!((index(0.0), index(-1.0), index(f64::NAN)), (None, None, None));
        assert_eq!((index(1e-30), index(f64::INFINITY)), (Some(FIRST), Some(LAST)));
    }

    #[test]
    fn too_many_attribute_sets_are_counted_as_one() {
        let mut sets: BTreeMap<Set, u64> = BTreeMap::new();
        for n in 0..1000 {
            *of(&mut sets, vec![("n", n.to_string())]) += 1;
        }
        assert_eq!(sets.len(), MAX_SETS + 1);
        assert_eq!(sets.values().sum::<u64>(), 1000);
    }
}
