//! The questions, and how long their answers take.

use std::time::Duration;

use base::{Clock, Shutdown};
use net::Client;

use super::{
    LogsOptions,
    report::{Answered, Asked},
};
use crate::{Error, Result, process};

/// Every stream there is.
const ALL: &str = r#"{service_name=~".+"}"#;

struct Question {
    name: &'static str,
    /// Asked one after another, each another time.
    expressions: Vec<String>,
    /// Lines wanted; a range query over the whole span in so many steps otherwise.
    limit: Option<usize>,
    steps: u64,
    times: usize,
}

fn questions(o: &LogsOptions, needles: &[String]) -> Vec<Question> {
    let lines = |name, expressions, times| Question { name, expressions, limit: Some(100), steps: 1, times };
    let metric = |name, expression: String, steps| Question {
        name,
        expressions: vec![expression],
        limit: None,
        steps,
        times: o.repeats,
    };
    let present = needles.iter().map(|id| format!(r#"{ALL} |= "{id}""#)).collect();
    let absent =
        (0..20u64).map(|i| format!(r#"{ALL} |= "{:032x}""#, u128::from(i + 1) << 64 | 0xabc)).collect();
    vec![
        lines("an id that one line has", present, 40),
        lines("an id that no line has", absent, 20),
        lines("two words, newest 100", vec![format!(r#"{ALL} |= "connection reset by peer""#)], o.repeats),
        lines("one service, newest 100", vec![r#"{service_name="checkout"}"#.to_owned()], o.repeats),
        metric("count by level, 5 min steps", format!("sum by (level) (count_over_time({ALL}[5m]))"), 288),
        metric(
            "count by service, 5 min steps",
            format!("sum by (service_name) (count_over_time({ALL}[5m]))"),
            288,
        ),
        metric(
            "bytes by namespace, 1 h steps",
            format!("sum by (namespace) (bytes_over_time({ALL}[1h]))"),
            24,
        ),
        metric(
            "top 10 pods by errors",
            format!(r#"topk(10, sum by (pod) (count_over_time({ALL} | level="error" [24h])))"#),
            1,
        ),
        metric(
            "a pattern without a word, counted",
            format!(
                r#"sum(count_over_time({ALL} |~ "[a-f][0-9][a-f][0-9][a-f][0-9]{{3}}[a-f]{{4}}" [24h]))"#
            ),
            1,
        ),
        metric(
            "a text in few lines, counted",
            format!(r#"sum(count_over_time({ALL} |= "optimistic lock failed" [24h]))"#),
            1,
        ),
        metric(
            "JSON of one service, mean time",
            r#"avg(avg_over_time({service_name="search"} | json | unwrap took_ms [1h]))"#.to_owned(),
            24,
        ),
    ]
}

/// Asks everything.
#[allow(clippy::too_many_arguments)]
pub(super) async fn all(
    o: &LogsOptions,
    name: &str,
    url: &str,
    end_ns: i64,
    needles: &[String],
    cpu: &(dyn Fn() -> Option<f64> + Send + Sync),
    clock: &Clock,
    stop: &Shutdown,
) -> Result<Asked> {
    let client = Client::new()?;
    let mut answered = Vec::new();
    for q in questions(o, needles) {
        let mut times = Vec::new();
        let mut said = 0;
        let (mut first_ms, mut before) = (0.0, cpu());
        for (i, expression) in q.expressions.iter().cycle().take(q.times.max(1) + 1).enumerate() {
            if stop.is_started() {
                return Err(Error::Interrupted);
            }
            let url = address(url, &q, expression, end_ns, o.span)?;
            let began = clock.monotonic();
            let body = process::get(&client, &url).await?;
            let ms = clock.monotonic().duration_since(began).as_secs_f64() * 1e3;
            if i == 0 {
                (first_ms, before) = (ms, cpu());
            } else {
                times.push(ms);
            }
            said = said.max(values(&url, &body)?);
        }
        times.sort_by(f64::total_cmp);
        let spent = cpu().zip(before).map(|(now, before)| (now - before) * 1e3 / times.len().max(1) as f64);
        answered.push(Answered {
            question: q.name.to_owned(),
            expression: q.expressions.first().cloned().unwrap_or_default(),
            values: said,
            first_ms,
            median_ms: times.get(times.len() / 2).copied().unwrap_or(first_ms),
            worst_ms: times.last().copied().unwrap_or(first_ms),
            cpu_ms: spent,
        });
    }
    Ok(Asked { name: name.to_owned(), answered })
}

fn address(url: &str, q: &Question, expression: &str, end_ns: i64, span: Duration) -> Result<String> {
    let whole = format!("{url}/loki/api/v1/query_range");
    let mut url =
        url::Url::parse(&whole).map_err(|e| Error::Target { url: whole.clone(), reason: e.to_string() })?;
    let span_ns = i64::try_from(span.as_nanos()).unwrap_or(i64::MAX);
    let step = span.as_secs() / q.steps.max(1);
    // A range aggregation looks back from its first step.
    let start = match q.limit {
        Some(_) => end_ns - span_ns,
        None => end_ns - span_ns + i64::try_from(step).unwrap_or(0) * 1_000_000_000,
    };
    url.query_pairs_mut()
        .append_pair("query", expression)
        .append_pair("start", &start.to_string())
        .append_pair("end", &(end_ns + 1).to_string())
        .append_pair("limit", &q.limit.unwrap_or(100).to_string())
        .append_pair("step", &step.max(1).to_string());
    Ok(url.into())
}

/// Values of an answer: lines, or points of all series.
fn values(url: &str, body: &[u8]) -> Result<u64> {
    let fail = |reason: String| Error::Ask { url: url.to_owned(), reason };
    let json: serde_json::Value = serde_json::from_slice(body).map_err(|e| fail(e.to_string()))?;
    let result = json.pointer("/data/result").and_then(|r| r.as_array());
    let result = result.ok_or_else(|| fail("the answer has no data.result".to_owned()))?;
    let of = |s: &serde_json::Value| s.get("values").and_then(|v| v.as_array()).map_or(0, Vec::len);
    Ok(result.iter().map(|s| of(s) as u64).sum())
}
