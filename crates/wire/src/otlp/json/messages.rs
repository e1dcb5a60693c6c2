//! The JSON keys of every OTLP message: one table each. How a field is read stands after its name.

use proto::otlp::{
    collector::{
        logs::ExportLogsServiceRequest, metrics::ExportMetricsServiceRequest,
        trace::ExportTraceServiceRequest,
    },
    common::{AnyValue, ArrayValue, InstrumentationScope, KeyValue, KeyValueList, any_value},
    logs::{LogRecord, ResourceLogs, ScopeLogs, SeverityNumber},
    metrics::{
        AggregationTemporality, Exemplar, ExponentialHistogram, ExponentialHistogramDataPoint, Gauge,
        Histogram, HistogramDataPoint, Metric, NumberDataPoint, ResourceMetrics, ScopeMetrics, Sum, Summary,
        SummaryDataPoint, exemplar, exponential_histogram_data_point::Buckets, metric, number_data_point,
        summary_data_point::ValueAtQuantile,
    },
    resource::Resource,
    trace::{
        ResourceSpans, ScopeSpans, Span, Status,
        span::{Event, Link, SpanKind},
        status::StatusCode,
    },
};
use serde::de::MapAccess;

use super::{Base64, Enum, Hex, Message, fresh, message, messages, scalar, scalar::Named, scalars};

/// Reads one field the way its table says.
macro_rules! read {
    (message, $slot:expr, $map:ident) => {
        message($map, &mut $slot)?
    };
    (messages, $slot:expr, $map:ident) => {
        messages($map, &mut $slot)?
    };
    (scalar, $slot:expr, $map:ident) => {
        $slot = scalar($map)?
    };
    (scalars, $slot:expr, $map:ident) => {
        scalars($map, &mut $slot)?
    };
    (hex, $slot:expr, $map:ident) => {
        $slot = scalar::<_, Hex>($map)?.0
    };
    ($enum:ident, $slot:expr, $map:ident) => {
        $slot = scalar::<_, Enum<$enum>>($map)?.0
    };
}

/// `Type { "key" => field: how, ... } one_of field { "key" => Variant(reader), ... }`
macro_rules! tables {
    ($($t:ty { $($key:literal => $field:ident: $how:ident),* $(,)? }
        $(one_of $one:ident { $($okey:literal => $variant:path = $reader:expr),* $(,)? })?;)*) => {$(
        impl Message for $t {
            fn field<'de, A: MapAccess<'de>>(&mut self, key: &str, map: &mut A) -> Result<bool, A::Error> {
                match key {
                    $($key => read!($how, self.$field, map),)*
                    $($($okey => self.$one = Some($variant($reader(map)?)),)*)?
                    _ => return Ok(false),
                }
                Ok(true)
            }
        }
    )*};
}

macro_rules! names {
    ($($t:ty),*) => {$(
        impl Named for $t {
            fn number(name: &str) -> Option<i32> {
                Self::from_str_name(name).map(|e| e as i32)
            }
        }
    )*};
}

names!(SeverityNumber, AggregationTemporality, SpanKind, StatusCode);

fn bytes<'de, A: MapAccess<'de>>(map: &mut A) -> Result<Vec<u8>, A::Error> {
    Ok(scalar::<_, Base64>(map)?.0)
}

tables! {
    ExportMetricsServiceRequest { "resourceMetrics" => resource_metrics: messages };
    ExportLogsServiceRequest { "resourceLogs" => resource_logs: messages };
    ExportTraceServiceRequest { "resourceSpans" => resource_spans: messages };

    AnyValue {} one_of value {
        "stringValue" => any_value::Value::StringValue = scalar,
        "boolValue" => any_value::Value::BoolValue = scalar,
        "intValue" => any_value::Value::IntValue = scalar,
        "doubleValue" => any_value::Value::DoubleValue = scalar,
        "arrayValue" => any_value::Value::ArrayValue = fresh,
        "kvlistValue" => any_value::Value::KvlistValue = fresh,
        "bytesValue" => any_value::Value::BytesValue = bytes,
    };
    ArrayValue { "values" => values: messages };
    KeyValueList { "values" => values: messages };
    KeyValue { "key" => key: scalar, "value" => value: message };
    InstrumentationScope {
        "name" => name: scalar,
        "version" => version: scalar,
        "attributes" => attributes: messages,
        "droppedAttributesCount" => dropped_attributes_count: scalar,
    };
    Resource {
        "attributes" => attributes: messages,
        "droppedAttributesCount" => dropped_attributes_count: scalar,
    };

    ResourceLogs {
        "resource" => resource: message,
        "scopeLogs" => scope_logs: messages,
        "schemaUrl" => schema_url: scalar,
    };
    ScopeLogs { "scope" => scope: message, "logRecords" => log_records: messages, "schemaUrl" => schema_url: scalar };
    LogRecord {
        "timeUnixNano" => time_unix_nano: scalar,
        "observedTimeUnixNano" => observed_time_unix_nano: scalar,
        "severityNumber" => severity_number: SeverityNumber,
        "severityText" => severity_text: scalar,
        "body" => body: message,
        "attributes" => attributes: messages,
        "droppedAttributesCount" => dropped_attributes_count: scalar,
        "flags" => flags: scalar,
        "traceId" => trace_id: hex,
        "spanId" => span_id: hex,
        "eventName" => event_name: scalar,
    };

    ResourceSpans {
        "resource" => resource: message,
        "scopeSpans" => scope_spans: messages,
        "schemaUrl" => schema_url: scalar,
    };
    ScopeSpans { "scope" => scope: message, "spans" => spans: messages, "schemaUrl" => schema_url: scalar };
    Span {
        "traceId" => trace_id: hex,
        "spanId" => span_id: hex,
        "traceState" => trace_state: scalar,
        "parentSpanId" => parent_span_id: hex,
        "flags" => flags: scalar,
        "name" => name: scalar,
        "kind" => kind: SpanKind,
        "startTimeUnixNano" => start_time_unix_nano: scalar,
        "endTimeUnixNano" => end_time_unix_nano: scalar,
        "attributes" => attributes: messages,
        "droppedAttributesCount" => dropped_attributes_count: scalar,
        "events" => events: messages,
        "droppedEventsCount" => dropped_events_count: scalar,
        "links" => links: messages,
        "droppedLinksCount" => dropped_links_count: scalar,
        "status" => status: message,
    };
    Event {
        "timeUnixNano" => time_unix_nano: scalar,
        "name" => name: scalar,
        "attributes" => attributes: messages,
        "droppedAttributesCount" => dropped_attributes_count: scalar,
    };
    Link {
        "traceId" => trace_id: hex,
        "spanId" => span_id: hex,
        "traceState" => trace_state: scalar,
        "attributes" => attributes: messages,
        "droppedAttributesCount" => dropped_attributes_count: scalar,
        "flags" => flags: scalar,
    };
    Status { "message" => message: scalar, "code" => code: StatusCode };

    ResourceMetrics {
        "resource" => resource: message,
        "scopeMetrics" => scope_metrics: messages,
        "schemaUrl" => schema_url: scalar,
    };
    ScopeMetrics { "scope" => scope: message, "metrics" => metrics: messages, "schemaUrl" => schema_url: scalar };
    Metric {
        "name" => name: scalar,
        "description" => description: scalar,
        "unit" => unit: scalar,
        "metadata" => metadata: messages,
    } one_of data {
        "gauge" => metric::Data::Gauge = fresh,
        "sum" => metric::Data::Sum = fresh,
        "histogram" => metric::Data::Histogram = fresh,
        "exponentialHistogram" => metric::Data::ExponentialHistogram = fresh,
        "summary" => metric::Data::Summary = fresh,
    };
    Gauge { "dataPoints" => data_points: messages };
    Sum {
        "dataPoints" => data_points: messages,
        "aggregationTemporality" => aggregation_temporality: AggregationTemporality,
        "isMonotonic" => is_monotonic: scalar,
    };
    Histogram {
        "dataPoints" => data_points: messages,
        "aggregationTemporality" => aggregation_temporality: AggregationTemporality,
    };
    ExponentialHistogram {
        "dataPoints" => data_points: messages,
        "aggregationTemporality" => aggregation_temporality: AggregationTemporality,
    };
    Summary { "dataPoints" => data_points: messages };
    NumberDataPoint {
        "attributes" => attributes: messages,
        "startTimeUnixNano" => start_time_unix_nano: scalar,
        "timeUnixNano" => time_unix_nano: scalar,
        "exemplars" => exemplars: messages,
        "flags" => flags: scalar,
    } one_of value {
        "asDouble" => number_data_point::Value::AsDouble = scalar,
        "asInt" => number_data_point::Value::AsInt = scalar,
    };
    HistogramDataPoint {
        "attributes" => attributes: messages,
        "startTimeUnixNano" => start_time_unix_nano: scalar,
        "timeUnixNano" => time_unix_nano: scalar,
        "count" => count: scalar,
        "sum" => sum: scalar,
        "bucketCounts" => bucket_counts: scalars,
        "explicitBounds" => explicit_bounds: scalars,
        "exemplars" => exemplars: messages,
        "flags" => flags: scalar,
        "min" => min: scalar,
        "max" => max: scalar,
    };
    ExponentialHistogramDataPoint {
        "attributes" => attributes: messages,
        "startTimeUnixNano" => start_time_unix_nano: scalar,
        "timeUnixNano" => time_unix_nano: scalar,
        "count" => count: scalar,
        "sum" => sum: scalar,
        "scale" => scale: scalar,
        "zeroCount" => zero_count: scalar,
        "positive" => positive: message,
        "negative" => negative: message,
        "flags" => flags: scalar,
        "exemplars" => exemplars: messages,
        "min" => min: scalar,
        "max" => max: scalar,
        "zeroThreshold" => zero_threshold: scalar,
    };
    Buckets { "offset" => offset: scalar, "bucketCounts" => bucket_counts: scalars };
    SummaryDataPoint {
        "attributes" => attributes: messages,
        "startTimeUnixNano" => start_time_unix_nano: scalar,
        "timeUnixNano" => time_unix_nano: scalar,
        "count" => count: scalar,
        "sum" => sum: scalar,
        "quantileValues" => quantile_values: messages,
        "flags" => flags: scalar,
    };
    ValueAtQuantile { "quantile" => quantile: scalar, "value" => value: scalar };
    Exemplar {
        "filteredAttributes" => filtered_attributes: messages,
        "timeUnixNano" => time_unix_nano: scalar,
        "spanId" => span_id: hex,
        "traceId" => trace_id: hex,
    } one_of value {
        "asDouble" => exemplar::Value::AsDouble = scalar,
        "asInt" => exemplar::Value::AsInt = scalar,
    };
}
