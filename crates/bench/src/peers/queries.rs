//! The fixed set of forty queries: what dashboards of hosts ask, from one series to all.

use std::time::Duration;

use base::Clock;
use net::Client;

use super::{PeersOptions, report::QueryFigures, running::Running};
use crate::{Error, Result, answer::Answered, process::get};

/// However cheap a query is, it is asked no oftener: the kernel's clock then shows little of it anyway.
const MOST_ASKED: usize = 400;

/// Asked over each of the three ranges.
const SHAPES: [(&str, &str); 12] = [
    ("one gauge", r#"node_memory_bytes{instance="node-00000:9100",collector="cpu"}"#),
    ("rates of one host", r#"rate(node_cpu_seconds_total{instance="node-00000:9100"}[5m])"#),
    (
        "sum of one host by mode",
        r#"sum by (mode) (rate(node_cpu_seconds_total{instance="node-00000:9100"}[5m]))"#,
    ),
    ("a gauge of every host", r#"node_memory_bytes{collector="cpu"}"#),
    ("one rate of every host", r#"sum(rate(node_network_receive_bytes_total{device="eth0"}[5m]))"#),
    ("rates by host", "sum by (instance) (rate(node_network_receive_bytes_total[5m]))"),
    ("five largest", r#"topk(5, rate(node_network_transmit_bytes_total{device!="lo"}[5m]))"#),
    (
        "quantile of buckets",
        "histogram_quantile(0.99, sum by (le) (rate(node_request_duration_seconds_bucket[5m])))",
    ),
    ("rates by mode", "sum by (mode) (rate(node_cpu_seconds_total[5m]))"),
    (
        "share of busy time",
        r#"100 * (1 - avg by (instance) (rate(node_cpu_seconds_total{mode="idle"}[5m])))"#,
    ),
    ("largest of an hour", r#"max_over_time(node_memory_bytes{collector="cpu"}[1h])"#),
    (
        "ratio of two sums",
        "sum by (instance) (node_filesystem_files) / on (instance) sum by (instance) (node_filesystem_size_bytes)",
    ),
];

/// Over every series; the first two at one time only.
const ALL: [(&str, &str, Option<usize>); 4] = [
    ("count of everything", r#"count({__name__=~"node_.+"})"#, None),
    ("count by name", r#"count by (__name__) ({__name__=~"node_.+"})"#, None),
    ("sums by name", r#"sum by (__name__) ({__name__=~"node_.+"})"#, Some(0)),
    ("count over a day", r#"count({__name__=~"node_.+"})"#, Some(1)),
];

/// Steps of a range query, as wide as a dashboard's panel.
const STEPS: u64 = 240;

struct Query {
    name: String,
    expr: &'static str,
    /// None: at one time.
    range: Option<Duration>,
}

fn all(o: &PeersOptions) -> Vec<Query> {
    let ranges = [o.query_span / 168, o.query_span / 7, o.query_span];
    let mut out = Vec::new();
    for range in ranges {
        for (name, expr) in SHAPES {
            out.push(Query { name: format!("{name}, {}", written(range)), expr, range: Some(range) });
        }
    }
    for (name, expr, range) in ALL {
        let range = range.and_then(|i| ranges.get(i).copied());
        let name = range.map_or(name.to_owned(), |r| format!("{name}, {}", written(r)));
        out.push(Query { name, expr, range });
    }
    out
}

pub(super) fn written(d: Duration) -> String {
    match d.as_secs() {
        s if s % 86_400 == 0 => format!("{}d", s / 86_400),
        s if s % 3600 == 0 => format!("{}h", s / 3600),
        s => format!("{}m", s / 60),
    }
}

/// Asks each query once for nothing and then, one at a time, `repeats` times or until what it costs is seen by the
/// kernel's coarse clock.
pub(super) async fn ask_all(
    o: &PeersOptions,
    running: &Running,
    last_ms: i64,
    clock: &Clock,
) -> Result<Vec<QueryFigures>> {
    let client = Client::new()?;
    let mut figures = Vec::new();
    for q in all(o) {
        let url = url(&running.url, &q, last_ms, o);
        let answer = Answered::read(&get(&client, &url).await?);
        let reason = || format!("{} has no result that can be read", q.name);
        let answer = answer.ok_or_else(|| Error::Ask { url: url.clone(), reason: reason() })?;
        let before = running.cpu_seconds()?;
        let mut cpu = 0.0;
        let mut took = Vec::new();
        while took.len() < o.repeats.max(1) || (cpu < o.seen_cpu.as_secs_f64() && took.len() < MOST_ASKED) {
            let began = clock.monotonic();
            get(&client, &url).await?;
            took.push(clock.monotonic().duration_since(began).as_secs_f64() * 1e3);
            cpu = running.cpu_seconds()? - before;
        }
        let cpu_ms = cpu * 1e3 / took.len() as f64;
        took.sort_by(f64::total_cmp);
        let median_ms = took.get(took.len() / 2).copied().unwrap_or_default();
        figures.push(QueryFigures {
            name: q.name,
            expr: q.expr.to_owned(),
            range_seconds: q.range.map_or(0, |r| r.as_secs()),
            asked: took.len(),
            series: answer.series,
            points: answer.points,
            sum: answer.sum,
            median_ms,
            cpu_ms,
        });
    }
    Ok(figures)
}

fn url(base: &str, q: &Query, last_ms: i64, o: &PeersOptions) -> String {
    let seconds = |ms: i64| format!("{}.{:03}", ms.div_euclid(1000), ms.rem_euclid(1000));
    let mut pairs = url::form_urlencoded::Serializer::new(String::new());
    pairs.append_pair("query", q.expr);
    let path = match q.range {
        None => {
            pairs.append_pair("time", &seconds(last_ms));
            "/api/v1/query"
        }
        Some(range) => {
            let step = (range.as_secs() / STEPS).max(o.query_interval.as_secs().min(15)).max(1);
            let start = last_ms - i64::try_from(range.as_millis()).unwrap_or(i64::MAX);
            pairs.append_pair("start", &seconds(start)).append_pair("end", &seconds(last_ms));
            pairs.append_pair("step", &step.to_string());
            "/api/v1/query_range"
        }
    };
    format!("{base}{path}?{}", pairs.finish())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_forty_queries_over_an_hour_a_day_and_a_week() {
        let all = all(&PeersOptions::full(Vec::new(), "x".into()));
        assert_eq!(all.len(), 40);
        assert!(all.iter().any(|q| q.name == "rates by mode, 7d"));
        let mut names: Vec<_> = all.iter().map(|q| &q.name).collect();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), 40);
    }
}
