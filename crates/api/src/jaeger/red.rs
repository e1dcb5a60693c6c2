//! What Jaeger's Monitor tab asks: rates of calls and errors and quantiles of latency by service and operation, from the
//! RED metrics that are made of spans at ingest (`traces_spanmetrics_*`, labels `service`, `span_name`, `span_kind`,
//! `status_code`, as Tempo's generator names them).
//!
//! The answer is `jaeger.api_v2.metrics.MetricFamily` in protobuf's JSON; latencies are milliseconds there.

use contract::{Coverage, QueryLimits};
use http::StatusCode;
use promql::{QueryContext, Value};

use super::{
    Answered, Ask, JaegerError,
    asked::{flag, ms},
    names, pretty,
};
use crate::{
    Error,
    ask::Covered,
    coverage,
    params::{Params, bad, format_rfc3339},
    prom::{json::Writer, json_response},
};

/// As in Jaeger, milliseconds.
const DEFAULT_LOOKBACK_MS: i64 = 3_600_000;
const DEFAULT_STEP_MS: i64 = 5_000;
const DEFAULT_RATE_MS: i64 = 600_000;
/// The kinds that answer others, which is what rates of a service are about.
const DEFAULT_KINDS: &str = "SPAN_KIND_SERVER";

const CALLS: &str = "traces_spanmetrics_calls_total";
const LATENCY: &str = "traces_spanmetrics_latency";
/// What our labels are called there.
const LABELS: [(&str, &str); 2] = [("service", "service_name"), ("span_name", "operation")];

/// What is asked for, apart from which metric.
struct Asked {
    /// Selector of series, without braces.
    matchers: String,
    /// Labels of the answer.
    by: &'static str,
    is_by_operation: bool,
    start_ms: i64,
    end_ms: i64,
    step_ms: i64,
    rate_ms: i64,
}

impl Asked {
    fn read(p: &Params, now_ms: i64) -> Result<Self, Error> {
        let services: Vec<String> = p.all("service").filter(|s| !s.is_empty()).map(escaped).collect();
        if services.is_empty() {
            return Err(bad("service", "", "please provide at least one service name"));
        }
        let mut kinds = Vec::new();
        for text in p.all("spanKind").filter(|k| !k.is_empty()) {
            let kind = names::kind(text).ok_or_else(|| bad("spanKind", text, "it is not a span kind"))?;
            kinds.push(format!("SPAN_KIND_{}", kind.as_str().to_ascii_uppercase()));
        }
        let kinds = if kinds.is_empty() { DEFAULT_KINDS.to_owned() } else { kinds.join("|") };
        let matchers = format!("service=~{},span_kind=~{}", quoted(&services.join("|")), quoted(&kinds));
        let is_by_operation = flag(p, "groupByOperation")?;
        let end_ms = ms(p, "endTs")?.unwrap_or(now_ms);
        let positive = |name: &str, default: i64| match ms(p, name)? {
            Some(0) => Err(bad(name, "0", "it must be positive")),
            given => Ok(given.unwrap_or(default)),
        };
        Ok(Asked {
            matchers,
            by: if is_by_operation { "service,span_name" } else { "service" },
            is_by_operation,
            start_ms: end_ms.saturating_sub(positive("lookback", DEFAULT_LOOKBACK_MS)?),
            end_ms,
            step_ms: positive("step", DEFAULT_STEP_MS)?,
            rate_ms: positive("ratePer", DEFAULT_RATE_MS)?,
        })
    }

    /// Rates by service or operation.
    fn rate(&self, metric: &str, more: &str, by: &str) -> String {
        let (matchers, window) = (&self.matchers, self.rate_ms);
        format!("sum by ({}{by}) (rate({metric}{{{matchers}{more}}}[{window}ms]))", self.by)
    }
}

impl Asked {
    /// Milliseconds, from classic histograms or, where there are none, from native ones.
    fn quantile(&self, quantile: f64) -> String {
        let classic = self.rate(&format!("{LATENCY}_bucket"), "", ",le");
        let native = self.rate(LATENCY, "", "");
        format!(
            "(histogram_quantile({quantile}, {classic}) or histogram_quantile({quantile}, {native})) * 1000"
        )
    }
}

/// A name as an expression that matches it alone.
fn escaped(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    for c in name.chars() {
        if r"\.+*?()|[]{}^$".contains(c) {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

/// A string of PromQL; JSON's escapes are among Go's.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

pub async fn calls(ask: Ask) -> Result<Family, JaegerError> {
    let asked = Asked::read(&ask.params, ask.state.clock.now_ms())?;
    let query = asked.rate(CALLS, "", "");
    family(&ask, asked, query, "call_rate", "calls/sec, grouped by service".to_owned()).await
}

/// Where there are calls and no errors the rate is zero.
pub async fn errors(ask: Ask) -> Result<Family, JaegerError> {
    let asked = Asked::read(&ask.params, ask.state.clock.now_ms())?;
    let all = asked.rate(CALLS, "", "");
    let failed = asked.rate(CALLS, ",status_code=\"STATUS_CODE_ERROR\"", "");
    let query = format!("({failed} or {all} * 0) / {all}");
    let help = "error rate, computed as a fraction of errors/sec over calls/sec, grouped by service";
    family(&ask, asked, query, "error_rate", help.to_owned()).await
}

pub async fn latencies(ask: Ask) -> Result<Family, JaegerError> {
    let text = ask.params.require("quantile")?;
    let quantile = text.parse::<f64>().ok().filter(|q| (0.0..=1.0).contains(q));
    let quantile = quantile.ok_or_else(|| bad("quantile", text, "it must be a number from 0 to 1"))?;
    let asked = Asked::read(&ask.params, ask.state.clock.now_ms())?;
    let query = asked.quantile(quantile);
    let help = format!("{quantile:.2}th quantile latency, grouped by service");
    family(&ask, asked, query, "latencies", help).await
}

/// The smallest step that may be asked for, in milliseconds.
pub async fn min_step() -> Answered {
    Answered { data: b"1".to_vec(), total: 1, ..Answered::default() }
}

async fn family(
    ask: &Ask,
    asked: Asked,
    query: String,
    name: &'static str,
    mut help: String,
) -> Result<Family, JaegerError> {
    let name = match asked.is_by_operation {
        true => format!("service_operation_{name}"),
        false => format!("service_{name}"),
    };
    if asked.is_by_operation {
        help.push_str(" & operation");
    }
    let (engine, tenants, pretty) = (ask.reads.promql.clone(), ask.tenants.clone(), pretty(&ask.params));
    let run = |limits: QueryLimits| async move {
        let context = QueryContext { limits, ..QueryContext::new(tenants) };
        let answer = engine.range(&query, asked.start_ms, asked.end_ms, asked.step_ms, &context).await?;
        Ok(Family { name, help, value: answer.value, coverage: answer.coverage, pretty })
    };
    Ok(ask.run(run).await?)
}

/// A metric with its points.
pub struct Family {
    name: String,
    help: String,
    value: Value,
    coverage: Coverage,
    pretty: bool,
}

impl Covered for Family {
    fn covered(&self) -> Option<&Coverage> {
        Some(&self.coverage)
    }
}

impl axum::response::IntoResponse for Family {
    fn into_response(self) -> axum::response::Response {
        let mut w = Writer::default();
        w.raw("{\"name\":").string(&self.name).raw(",\"type\":\"GAUGE\",\"help\":").string(&self.help);
        w.raw(",\"metrics\":");
        let series = if let Value::Matrix(series) = &self.value { series.as_slice() } else { &[] };
        w.list(series, |w, s| {
            let labels: Vec<(&str, &str)> = s.labels.iter().collect();
            w.raw("{\"labels\":").list(&labels, |w, (name, value)| {
                let named = LABELS.iter().find(|(ours, _)| ours == name).map_or(*name, |(_, theirs)| theirs);
                w.raw("{\"name\":").string(named).raw(",\"value\":").string(value).raw("}");
            });
            w.raw(",\"metricPoints\":").list(&s.floats, |w, (t, v)| {
                w.raw("{\"gaugeValue\":{\"doubleValue\":").raw(&double(*v)).raw("},\"timestamp\":");
                w.string(&format_rfc3339(t.saturating_mul(1_000_000))).raw("}");
            });
            w.raw("}");
        });
        w.raw(",\"coverage\":").raw(&coverage::to_json(&self.coverage).to_string()).raw("}");
        let body = super::indented(w.0, self.pretty);
        let mut response = json_response(StatusCode::OK, body.into());
        coverage::stamp(&mut response, &self.coverage);
        response
    }
}

/// Protobuf's JSON has words for what JSON has no number for.
fn double(v: f64) -> String {
    match v {
        v if v.is_finite() => v.to_string(),
        v if v.is_nan() => "\"NaN\"".to_owned(),
        v if v > 0.0 => "\"Infinity\"".to_owned(),
        _ => "\"-Infinity\"".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_match_themselves_alone() {
        let p = Params::from_query("service=a.b&service=c%22%7C%5C&spanKind=client&ratePer=60000");
        let asked = Asked::read(&p, 10_000_000).unwrap();
        let query = asked.rate(CALLS, "", "");
        assert_eq!(
            query,
            r#"sum by (service) (rate(traces_spanmetrics_calls_total{service=~"a\\.b|c\"\\|\\\\",span_kind=~"SPAN_KIND_CLIENT"}[60000ms]))"#
        );
        promql::parse(&query, &Default::default()).unwrap();
        promql::parse(&asked.quantile(0.95), &Default::default()).unwrap();
        assert_eq!((asked.start_ms, asked.end_ms, asked.step_ms), (6_400_000, 10_000_000, 5000));
    }

    #[test]
    fn what_cannot_be_read_is_named() {
        for (query, what) in [
            ("", "service"),
            ("service=a&spanKind=x", "spanKind"),
            ("service=a&step=0", "step"),
            ("service=a&lookback=1h", "lookback"),
            ("service=a&groupByOperation=maybe", "groupByOperation"),
        ] {
            let e = Asked::read(&Params::from_query(query), 0).err().unwrap().to_string();
            assert!(e.contains(what), "{query}: {e}");
        }
    }
}
