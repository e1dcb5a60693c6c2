//! How an answer says how complete it is: a JSON field, a header, and a warning for clients that know neither.
//!
//! ```text
//! "coverage": [{"cluster":"prod-01","replica":null,"signal":"metrics","state":"complete",
//!               "covered":[[1700000000,1700003600.5]],"watermark":1700003599.25,"reason":""}]
//! X-Orrery-Coverage: prod-01 metrics complete; dev-01 metrics missing (timeout)
//! ```
//! Times are Unix seconds as JSON numbers with milliseconds, ranges half open; `null` where unknown.

use axum::response::Response;
use contract::Coverage;
use http::{HeaderName, HeaderValue};
use model::TimestampNs;
use serde_json::{Value, json};

pub const HEADER_NAME: &str = "x-orrery-coverage";
pub const HEADER: HeaderName = HeaderName::from_static(HEADER_NAME);

/// Longer headers are cut by proxies on the way.
const MAX_HEADER_BYTES: usize = 2048;

/// The value of the top-level field `coverage`.
pub fn to_json(coverage: &Coverage) -> Value {
    let sources = coverage.sources().iter().map(|s| {
        json!({
            "cluster": s.cluster,
            "replica": s.replica,
            "signal": s.signal.as_str(),
            "state": s.state.as_str(),
            "covered": s.covered.iter().map(|r| [seconds(r.start), seconds(r.end)]).collect::<Vec<_>>(),
            "watermark": s.watermark.map(seconds),
            "reason": s.reason,
        })
    });
    Value::Array(sources.collect())
}

/// A JSON number without a fraction where there is none, as Prometheus writes times.
fn seconds(t: TimestampNs) -> Value {
    let ms = t.to_ms().0;
    match ms % 1000 {
        0 => Value::from(ms / 1000),
        _ => Value::from(ms as f64 / 1000.0),
    }
}

/// One sentence per source that is not complete.
pub fn warnings(coverage: &Coverage) -> Vec<String> {
    let incomplete = coverage.sources().iter().filter(|s| s.state != contract::CoverageState::Complete);
    incomplete
        .map(|s| {
            let replica = s.replica.as_ref().map(|r| format!(" (replica {r})")).unwrap_or_default();
            let reason = if s.reason.is_empty() { String::new() } else { format!(": {}", s.reason) };
            format!(
                "incomplete answer: {} of cluster {}{replica} are {}{reason}",
                s.signal,
                s.cluster,
                s.state.as_str()
            )
        })
        .collect()
}

/// What stands in the header. An answer that asked nobody lacks nothing.
pub fn header_text(coverage: &Coverage) -> String {
    match coverage.sources().is_empty() {
        true => "complete".to_owned(),
        false => coverage.summary(MAX_HEADER_BYTES),
    }
}

/// Sets the header.
pub fn stamp(response: &mut Response, coverage: &Coverage) {
    if let Ok(v) = HeaderValue::try_from(header_text(coverage)) {
        response.headers_mut().insert(HEADER, v);
    }
}

#[cfg(test)]
mod tests {
    use contract::{CoverageState, SourceCoverage};
    use model::{Signal, TimeRange};

    use super::*;

    fn missing() -> Coverage {
        Coverage::one(SourceCoverage {
            cluster: "dev-01".into(),
            replica: None,
            signal: Signal::METRICS,
            state: CoverageState::Missing,
            covered: vec![TimeRange::from_ms_inclusive(1000, 2499)],
            watermark: Some(TimestampNs(1_500_000_000)),
            reason: "timeout".into(),
        })
    }

    #[test]
    fn every_field_of_a_source_is_shown_with_times_in_seconds() {
        let v = to_json(&missing());
        assert_eq!(v[0]["covered"], json!([[1, 2.5]]));
        assert_eq!(v[0]["watermark"], json!(1.5));
        assert_eq!(v[0]["state"], "missing");
        assert_eq!(v[0]["replica"], Value::Null);
    }

    #[test]
    fn an_incomplete_source_becomes_a_warning_that_names_it() {
        assert_eq!(
            warnings(&missing()),
            ["incomplete answer: metrics of cluster dev-01 are missing: timeout"]
        );
    }

    #[test]
    fn the_header_stays_below_two_kilobytes_however_many_sources_answered() {
        let mut all = Coverage::default();
        for i in 0..500 {
            all.merge(Coverage::one(SourceCoverage {
                cluster: format!("cluster-{i:04}"),
                reason: "a\nb\u{e9}".into(),
                ..missing().sources()[0].clone()
            }));
        }
        let mut r = Response::default();
        stamp(&mut r, &all);
        let v = r.headers()[HEADER].to_str().unwrap();
        assert!(v.len() <= 2048 && v.contains("more, missing"), "{v}");
    }
}
