//! Counts of log records against the records themselves.

use std::collections::BTreeMap;

use contract::{Direction, LineFilter, LogCountsRequest, LogsRequest, Scope, Select, Tenants};
use model::{LogRecord, LogStream, Matcher, TenantId, TimeRange};

use super::{NOW_NS, all_logs};

/// By labels, piece, and fields: records and bytes of text.
type Counted = BTreeMap<(String, usize, String), (u64, u64)>;

/// Whoever counts records counts those that are selected, each once.
pub(super) async fn same_counts(
    subject: &impl Select,
    oracle: &impl Select,
    tenant: &TenantId,
    range: TimeRange,
) {
    let minute = 60_000_000_000;
    let grids: [Vec<i64>; 3] = [
        vec![NOW_NS - 600 * minute, NOW_NS],
        (0..40).map(|i| NOW_NS - 7 - (40 - i) * 3 * minute).collect(),
        // An edge on a record: it lies in the piece that ends there.
        vec![NOW_NS - 1_000_003, NOW_NS - 501, NOW_NS],
    ];
    let fields: [&[&str]; 10] = [
        &[],
        &["http_status"],
        &["ratio", "tags"],
        &["detected_level"],
        &["severity_text", "event_name"],
        &["trace_id", "flags"],
        &["severity_number", "http_status"],
        &["not_there"],
        &["service_name"],
        &["host_name", "env", "http_status"],
    ];
    let filters = [
        vec![],
        vec![LineFilter::Contains("status=20".into()), LineFilter::NotRegex("/[13]$|=201".into())],
        vec![LineFilter::Regex("\"code\":[0-5]".into())],
    ];
    for edges in &grids {
        for fields in fields {
            for (line_filters, matchers) in
                filters.iter().zip([vec![], vec![Matcher::equal("service_name", "db")], vec![]])
            {
                let request = LogCountsRequest {
                    scope: Scope::new(Tenants::one(tenant.clone()), range),
                    matchers: matchers.clone(),
                    line_filters: line_filters.clone(),
                    edges: edges.as_slice().into(),
                    fields: fields.iter().map(|f| (*f).to_owned()).collect(),
                    bytes: true,
                };
                let Some(got) = counts_of(subject, &request).await else { return };
                assert_eq!(
                    got,
                    folded(oracle, &request).await,
                    "counts by {fields:?} of {tenant} in {range:?}"
                );
                // Without bytes more can be left unread.
                let request = LogCountsRequest { bytes: false, ..request };
                let got = counts_of(subject, &request).await.expect("counted before");
                let mut want = folded(oracle, &request).await;
                want.values_mut().for_each(|v| v.1 = 0);
                assert_eq!(got, want, "counts by {fields:?} of {tenant} in {range:?}, without bytes");
            }
        }
    }
}

fn piece(edges: &[i64], at_ns: i64) -> Option<usize> {
    edges.windows(2).position(|e| e[0] < at_ns && at_ns <= e[1])
}

/// What is asked for of a stream.
fn seen(s: &LogStream, request: &LogCountsRequest) -> String {
    let asked = |name: &str| request.fields.iter().any(|f| f == name);
    let labels: Vec<_> = s.labels.iter().filter(|(name, _)| asked(name)).collect();
    let resource: Vec<_> =
        s.resource.attributes.iter().filter(|(k, _)| asked(&k.replace('.', "_"))).collect();
    format!("{labels:?} {resource:?}")
}

fn shown(r: &LogRecord) -> String {
    format!("{:?}", LogRecord { stream: 0, timestamp_ns: 0, ..r.clone() })
}

async fn counts_of(subject: &impl Select, request: &LogCountsRequest) -> Option<Counted> {
    let found = subject.log_counts(request.clone()).await.expect("counts")?;
    let mut out = Counted::new();
    for counts in found.collect().await.expect("counts").0 {
        for g in counts.groups {
            let labels = seen(&counts.streams[g.record.stream as usize], request);
            let piece = piece(&request.edges, g.record.timestamp_ns).expect("a time inside a piece");
            let sum = out.entry((labels, piece, shown(&g.record))).or_default();
            *sum = (sum.0 + g.count, sum.1 + g.bytes);
        }
    }
    Some(out)
}

async fn folded(oracle: &impl Select, request: &LogCountsRequest) -> Counted {
    let logs = LogsRequest {
        scope: request.scope.clone(),
        matchers: request.matchers.clone(),
        line_filters: request.line_filters.clone(),
        direction: Direction::OldestFirst,
        limit: None,
        fields: Vec::new(),
        passing: None,
    };
    let mut out = Counted::new();
    for (at_ns, stream, r) in all_logs(oracle, logs).await {
        let Some(piece) = piece(&request.edges, at_ns) else { continue };
        let asked = |name: &str| request.fields.iter().any(|f| f == name);
        let mut own = LogRecord::default();
        own.attributes.0 =
            r.attributes.0.iter().filter(|(k, _)| asked(&k.replace('.', "_"))).cloned().collect();
        if asked("severity_number") || asked("detected_level") {
            own.severity_number = r.severity_number;
        }
        if asked("severity_text") {
            own.severity_text = r.severity_text.clone();
        }
        if asked("event_name") {
            own.event_name = r.event_name.clone();
        }
        if asked("trace_id") {
            own.trace_id = r.trace_id;
        }
        if asked("flags") {
            own.flags = r.flags;
        }
        let sum = out.entry((seen(&stream, request), piece, shown(&own))).or_default();
        *sum = (sum.0 + 1, sum.1 + r.body.to_string().len() as u64);
    }
    out
}
