//! Metrics.

use proto::otlp::{
    collector::metrics::ExportMetricsServiceRequest,
    metrics::{
        Exemplar, ExponentialHistogram, ExponentialHistogramDataPoint, Gauge, Histogram, HistogramDataPoint,
        Metric, NumberDataPoint, ResourceMetrics, ScopeMetrics, Sum, Summary, SummaryDataPoint, exemplar,
        exponential_histogram_data_point::Buckets, metric::Data, number_data_point,
        summary_data_point::ValueAtQuantile,
    },
};

use super::{Object, Writer, key_value, resource, scope};

pub(in crate::otlp) fn request(request: &ExportMetricsServiceRequest) -> Vec<u8> {
    let mut w = Writer::default();
    w.object(|o| o.list("resourceMetrics", &request.resource_metrics, resource_metrics));
    w.0
}

fn resource_metrics(o: &mut Object<'_>, r: &ResourceMetrics) {
    o.message("resource", r.resource.as_ref(), resource);
    o.list("scopeMetrics", &r.scope_metrics, scope_metrics);
    o.text("schemaUrl", &r.schema_url);
}

fn scope_metrics(o: &mut Object<'_>, s: &ScopeMetrics) {
    o.message("scope", s.scope.as_ref(), scope);
    o.list("metrics", &s.metrics, metric);
    o.text("schemaUrl", &s.schema_url);
}

fn metric(o: &mut Object<'_>, m: &Metric) {
    o.text("name", &m.name);
    o.text("description", &m.description);
    o.text("unit", &m.unit);
    match &m.data {
        None => {}
        Some(Data::Gauge(g)) => o.message("gauge", Some(g), gauge),
        Some(Data::Sum(s)) => o.message("sum", Some(s), sum),
        Some(Data::Histogram(h)) => o.message("histogram", Some(h), histogram),
        Some(Data::ExponentialHistogram(h)) => o.message("exponentialHistogram", Some(h), exponential),
        Some(Data::Summary(s)) => o.message("summary", Some(s), summary),
    }
    o.list("metadata", &m.metadata, key_value);
}

fn gauge(o: &mut Object<'_>, g: &Gauge) {
    o.list("dataPoints", &g.data_points, number);
}

fn sum(o: &mut Object<'_>, s: &Sum) {
    o.list("dataPoints", &s.data_points, number);
    o.signed("aggregationTemporality", s.aggregation_temporality);
    o.flag("isMonotonic", s.is_monotonic);
}

fn histogram(o: &mut Object<'_>, h: &Histogram) {
    o.list("dataPoints", &h.data_points, histogram_point);
    o.signed("aggregationTemporality", h.aggregation_temporality);
}

fn exponential(o: &mut Object<'_>, h: &ExponentialHistogram) {
    o.list("dataPoints", &h.data_points, exponential_point);
    o.signed("aggregationTemporality", h.aggregation_temporality);
}

fn summary(o: &mut Object<'_>, s: &Summary) {
    o.list("dataPoints", &s.data_points, summary_point);
}

fn number(o: &mut Object<'_>, p: &NumberDataPoint) {
    use number_data_point::Value;
    o.list("attributes", &p.attributes, key_value);
    o.long("startTimeUnixNano", p.start_time_unix_nano);
    o.long("timeUnixNano", p.time_unix_nano);
    match p.value {
        None => {}
        Some(Value::AsDouble(d)) => o.key("asDouble").double(d),
        Some(Value::AsInt(i)) => o.key("asInt").display(format_args!("\"{i}\"")),
    }
    o.list("exemplars", &p.exemplars, an_exemplar);
    o.count("flags", p.flags);
}

fn histogram_point(o: &mut Object<'_>, p: &HistogramDataPoint) {
    o.list("attributes", &p.attributes, key_value);
    o.long("startTimeUnixNano", p.start_time_unix_nano);
    o.long("timeUnixNano", p.time_unix_nano);
    o.long("count", p.count);
    o.optional_double("sum", p.sum);
    o.longs("bucketCounts", &p.bucket_counts);
    o.doubles("explicitBounds", &p.explicit_bounds);
    o.list("exemplars", &p.exemplars, an_exemplar);
    o.count("flags", p.flags);
    o.optional_double("min", p.min);
    o.optional_double("max", p.max);
}

fn exponential_point(o: &mut Object<'_>, p: &ExponentialHistogramDataPoint) {
    o.list("attributes", &p.attributes, key_value);
    o.long("startTimeUnixNano", p.start_time_unix_nano);
    o.long("timeUnixNano", p.time_unix_nano);
    o.long("count", p.count);
    o.optional_double("sum", p.sum);
    o.signed("scale", p.scale);
    o.long("zeroCount", p.zero_count);
    o.message("positive", p.positive.as_ref(), buckets);
    o.message("negative", p.negative.as_ref(), buckets);
    o.count("flags", p.flags);
    o.list("exemplars", &p.exemplars, an_exemplar);
    o.optional_double("min", p.min);
    o.optional_double("max", p.max);
    o.double("zeroThreshold", p.zero_threshold);
}

fn buckets(o: &mut Object<'_>, b: &Buckets) {
    o.signed("offset", b.offset);
    o.longs("bucketCounts", &b.bucket_counts);
}

fn summary_point(o: &mut Object<'_>, p: &SummaryDataPoint) {
    o.list("attributes", &p.attributes, key_value);
    o.long("startTimeUnixNano", p.start_time_unix_nano);
    o.long("timeUnixNano", p.time_unix_nano);
    o.long("count", p.count);
    o.double("sum", p.sum);
    o.list("quantileValues", &p.quantile_values, quantile);
    o.count("flags", p.flags);
}

fn quantile(o: &mut Object<'_>, q: &ValueAtQuantile) {
    o.double("quantile", q.quantile);
    o.double("value", q.value);
}

fn an_exemplar(o: &mut Object<'_>, e: &Exemplar) {
    o.list("filteredAttributes", &e.filtered_attributes, key_value);
    o.long("timeUnixNano", e.time_unix_nano);
    match e.value {
        None => {}
        Some(exemplar::Value::AsDouble(d)) => o.key("asDouble").double(d),
        Some(exemplar::Value::AsInt(i)) => o.key("asInt").display(format_args!("\"{i}\"")),
    }
    o.hex("spanId", &e.span_id);
    o.hex("traceId", &e.trace_id);
}

#[cfg(test)]
mod tests {
    use prost::Message;
    use proto::otlp::{collector::metrics::ExportMetricsServiceRequest, metrics::*};

    use crate::otlp::json;

    fn numbers(value: number_data_point::Value) -> Vec<NumberDataPoint> {
        let exemplar = Exemplar {
            time_unix_nano: 5,
            value: Some(exemplar::Value::AsInt(-3)),
            trace_id: vec![1; 16],
            span_id: vec![2; 8],
            ..Exemplar::default()
        };
        vec![NumberDataPoint {
            start_time_unix_nano: 1,
            time_unix_nano: u64::MAX,
            value: Some(value),
            exemplars: vec![exemplar],
            flags: 1,
            ..NumberDataPoint::default()
        }]
    }

    fn every_kind() -> Vec<metric::Data> {
        use metric::Data;
        let buckets =
            exponential_histogram_data_point::Buckets { offset: -7, bucket_counts: vec![0, 1, u64::MAX] };
        let exponential = ExponentialHistogramDataPoint {
            time_unix_nano: 9,
            count: 3,
            sum: Some(0.0),
            scale: -4,
            zero_count: 1,
            positive: Some(buckets.clone()),
            negative: Some(buckets),
            min: Some(-1.5),
            max: Some(f64::INFINITY),
            zero_threshold: 1e-9,
            ..ExponentialHistogramDataPoint::default()
        };
        let classic = HistogramDataPoint {
            time_unix_nano: 9,
            count: 3,
            sum: Some(2.5),
            bucket_counts: vec![1, 2],
            explicit_bounds: vec![0.5],
            ..HistogramDataPoint::default()
        };
        let quantile = summary_data_point::ValueAtQuantile { quantile: 0.99, value: -0.25 };
        let summary = SummaryDataPoint {
            time_unix_nano: 9,
            count: 3,
            sum: 1.0,
            quantile_values: vec![quantile],
            ..SummaryDataPoint::default()
        };
        vec![
            Data::Gauge(Gauge { data_points: numbers(number_data_point::Value::AsDouble(0.0)) }),
            Data::Sum(Sum {
                data_points: numbers(number_data_point::Value::AsInt(i64::MIN)),
                aggregation_temporality: 2,
                is_monotonic: true,
            }),
            Data::Histogram(Histogram { data_points: vec![classic], aggregation_temporality: 1 }),
            Data::ExponentialHistogram(ExponentialHistogram {
                data_points: vec![exponential],
                aggregation_temporality: 2,
            }),
            Data::Summary(Summary { data_points: vec![summary] }),
        ]
    }

    #[test]
    fn every_kind_of_metric_is_read_back_to_the_byte() {
        let metric = |data| Metric {
            name: "m".to_owned(),
            description: "what \"it\" is".to_owned(),
            unit: "s".to_owned(),
            data: Some(data),
            ..Metric::default()
        };
        let metrics = every_kind().into_iter().map(metric).collect();
        let scope_metrics = vec![ScopeMetrics { metrics, ..ScopeMetrics::default() }];
        let resource_metrics = vec![ResourceMetrics { scope_metrics, ..ResourceMetrics::default() }];
        let request = ExportMetricsServiceRequest { resource_metrics };
        let text = super::request(&request);
        let back: ExportMetricsServiceRequest =
            json::decode(&text).unwrap_or_else(|e| panic!("{e}: {}", String::from_utf8_lossy(&text)));
        assert_eq!(back.encode_to_vec(), request.encode_to_vec());
    }
}
