//! Metrics: one figure, or a few, over the documents of a bucket.

use serde_json::{Map, Value, json};
use wire::dates;

use super::sketch::{Distinct, Percentiles};
use crate::{
    field::{Doc, Field, Scalar},
    sort::{self, Rank, SortKey},
};

#[derive(Debug, Clone)]
pub(super) struct Metric {
    pub kind: MetricKind,
    pub field: Field,
    pub missing: Option<f64>,
}

#[derive(Debug, Clone)]
pub(super) enum MetricKind {
    Avg,
    Sum,
    Min,
    Max,
    ValueCount,
    Stats,
    ExtendedStats {
        sigma: f64,
    },
    Percentiles {
        percents: Vec<f64>,
        keyed: bool,
    },
    Cardinality,
    /// The values of fields in the first documents by an order.
    TopMetrics {
        fields: Vec<String>,
        sort: Vec<SortKey>,
        size: usize,
    },
}

/// What all number metrics are made of; the sketches are there where they are asked for.
#[derive(Debug, Default)]
pub(super) struct Numbers {
    count: u64,
    sum: f64,
    min: f64,
    max: f64,
    mean: f64,
    /// Sum of squared distances from the mean.
    m2: f64,
    squares: f64,
    dates: bool,
    percentiles: Option<Percentiles>,
    distinct: Option<Distinct>,
}

#[derive(Debug, Default)]
pub(super) struct Top(Vec<(Vec<Rank>, Map<String, Value>)>);

impl Numbers {
    pub(super) fn new(kind: &MetricKind) -> Self {
        Numbers {
            percentiles: matches!(kind, MetricKind::Percentiles { .. }).then(Percentiles::default),
            distinct: matches!(kind, MetricKind::Cardinality).then(Distinct::default),
            ..Numbers::default()
        }
    }

    pub(super) fn collect(&mut self, metric: &Metric, doc: &Doc<'_>) {
        let mut found = false;
        metric.field.any(doc, |v| {
            found = true;
            if let Some(distinct) = &mut self.distinct {
                distinct.add(xxhash_rust::xxh3::xxh3_64(v.text().as_bytes()));
            } else if matches!(metric.kind, MetricKind::ValueCount) {
                self.count += 1;
            } else if let Some(n) = v.number() {
                self.dates |= matches!(v, Scalar::Time(_) | Scalar::Text(_));
                self.add(n);
            }
            false
        });
        if let (false, Some(missing)) = (found, metric.missing) {
            match &mut self.distinct {
                Some(distinct) => distinct.add(missing.to_bits()),
                None => self.add(missing),
            }
        }
    }

    fn add(&mut self, v: f64) {
        (self.min, self.max) = if self.count == 0 { (v, v) } else { (self.min.min(v), self.max.max(v)) };
        self.count += 1;
        self.sum += v;
        self.squares += v * v;
        let from_mean = v - self.mean;
        self.mean += from_mean / self.count as f64;
        self.m2 += from_mean * (v - self.mean);
        if let Some(p) = &mut self.percentiles {
            p.add(v);
        }
    }

    pub(super) fn answer(&mut self, metric: &Metric) -> Value {
        let some = self.count > 0;
        let value = |v: f64| if some { number(v) } else { Value::Null };
        match &metric.kind {
            MetricKind::Avg => self.dated(value(self.sum / self.count as f64)),
            MetricKind::Sum => json!({"value": number(self.sum)}),
            MetricKind::Min => self.dated(value(self.min)),
            MetricKind::Max => self.dated(value(self.max)),
            MetricKind::ValueCount => json!({"value": self.count}),
            MetricKind::Stats => Value::Object(self.stats()),
            MetricKind::ExtendedStats { sigma } => self.extended(*sigma),
            MetricKind::Cardinality => json!({"value": self.distinct.as_ref().map_or(0, Distinct::count)}),
            MetricKind::Percentiles { percents, keyed } => self.percentiles(percents, *keyed),
            MetricKind::TopMetrics { .. } => json!({"top": []}),
        }
    }

    /// Beside the number, the date it is.
    fn dated(&self, value: Value) -> Value {
        match value.as_f64().filter(|_| self.dates) {
            Some(ms) => json!({
                "value": value,
                "value_as_string": dates::format((ms as i64).saturating_mul(1_000_000)),
            }),
            None => json!({"value": value}),
        }
    }

    fn stats(&self) -> Map<String, Value> {
        let some = self.count > 0;
        let value = |v: f64| if some { number(v) } else { Value::Null };
        [
            ("count", Value::from(self.count)),
            ("min", value(self.min)),
            ("max", value(self.max)),
            ("avg", value(self.sum / self.count as f64)),
            ("sum", number(self.sum)),
        ]
        .into_iter()
        .map(|(k, v)| (k.to_owned(), v))
        .collect()
    }

    fn extended(&self, sigma: f64) -> Value {
        let mut out = self.stats();
        let n = self.count as f64;
        let some = self.count > 0;
        let value = |v: f64| if some && v.is_finite() { number(v) } else { Value::Null };
        let (population, sampling) = (self.m2 / n, self.m2 / (n - 1.0));
        let mean = self.sum / n;
        let bound = |spread: f64, side: f64| value(mean + side * sigma * spread);
        let (deviation, sampled) = (population.sqrt(), sampling.sqrt());
        for (key, v) in [
            ("sum_of_squares", value(self.squares)),
            ("variance", value(population)),
            ("variance_population", value(population)),
            ("variance_sampling", value(sampling)),
            ("std_deviation", value(deviation)),
            ("std_deviation_population", value(deviation)),
            ("std_deviation_sampling", value(sampled)),
            (
                "std_deviation_bounds",
                json!({
                    "upper": bound(deviation, 1.0), "lower": bound(deviation, -1.0),
                    "upper_population": bound(deviation, 1.0), "lower_population": bound(deviation, -1.0),
                    "upper_sampling": bound(sampled, 1.0), "lower_sampling": bound(sampled, -1.0),
                }),
            ),
        ] {
            out.insert(key.to_owned(), v);
        }
        Value::Object(out)
    }

    fn percentiles(&mut self, percents: &[f64], keyed: bool) -> Value {
        let Some(sketch) = &mut self.percentiles else { return json!({"values": {}}) };
        let mut at = |p: f64| sketch.at(p).map_or(Value::Null, number);
        let name = |p: f64| if p.fract() == 0.0 { format!("{p:.1}") } else { p.to_string() };
        match keyed {
            true => {
                let all: Map<String, Value> = percents.iter().map(|p| (name(*p), at(*p))).collect();
                json!({"values": all})
            }
            false => {
                let all: Vec<Value> = percents.iter().map(|p| json!({"key": p, "value": at(*p)})).collect();
                json!({"values": all})
            }
        }
    }
}

/// Doubles as Elasticsearch writes them; what is no number is null.
pub(super) fn number(v: f64) -> Value {
    serde_json::Number::from_f64(v).map_or(Value::Null, Value::Number)
}

impl Top {
    pub(super) fn collect(&mut self, metric: &Metric, doc: &Doc<'_>) {
        let MetricKind::TopMetrics { fields, sort, size } = &metric.kind else { return };
        let rank = sort::ranks(sort, doc);
        let at = self.0.partition_point(|(known, _)| *known <= rank);
        if at >= *size {
            return;
        }
        let values = fields.iter().map(|f| {
            let field = Field::parse(f);
            let value = field.first(doc).map_or(Value::Null, |v| match v {
                Scalar::Int(i) => Value::from(i),
                Scalar::Double(d) => number(d),
                Scalar::Bool(b) => Value::from(b),
                other => Value::from(other.text().into_owned()),
            });
            (f.clone(), value)
        });
        self.0.insert(at, (rank, values.collect()));
        self.0.truncate(*size);
    }

    pub(super) fn answer(self, metric: &Metric) -> Value {
        let MetricKind::TopMetrics { sort, .. } = &metric.kind else { return json!({"top": []}) };
        let one = |(rank, metrics): (Vec<Rank>, Map<String, Value>)| json!({"sort": sort::shown(sort, &rank), "metrics": metrics});
        json!({"top": self.0.into_iter().map(one).collect::<Vec<_>>()})
    }
}
