//! `bench query`: a list of expressions asked in turn by several askers.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use base::{Clock, Shutdown};
use net::{Client, Request};
use parking_lot::Mutex;
use serde::Deserialize;
use tokio::task::JoinSet;

use crate::{
    Error, Latencies, Progress, QueryKind, QueryOptions, QueryReport, Result,
    report::QueryLine,
    send::{Headers, parse},
};

/// Asks until the duration is over. `on_progress` is called once a second.
pub async fn query(options: &QueryOptions, on_progress: impl FnMut(&Progress)) -> Result<QueryReport> {
    query_until(options, &Clock::system(), &Shutdown::new(), on_progress).await
}

/// The same with a clock of the caller's, and an end when `stop` is started.
pub async fn query_until(
    options: &QueryOptions,
    clock: &Clock,
    stop: &Shutdown,
    mut on_progress: impl FnMut(&Progress),
) -> Result<QueryReport> {
    if options.queries.is_empty() || options.concurrency == 0 {
        let value = format!("{} queries by {} askers", options.queries.len(), options.concurrency);
        return Err(Error::Option { option: "queries", value, wanted: "at least one of each" });
    }
    let base = String::from(parse(&options.target)?);
    let lines = options
        .queries
        .iter()
        .map(|q| QueryLine {
            query: q.clone(),
            latency: Latencies::default(),
            errors: BTreeMap::new(),
            answer_bytes: 0,
            elements: 0,
        })
        .collect();
    let (started, client) = (clock.monotonic(), Client::new()?);
    let asker = Arc::new(Asker {
        base: base.trim_end_matches('/').to_owned(),
        lines: Mutex::new(lines),
        next: AtomicUsize::new(0),
        clock: clock.clone(),
        client,
        headers: Headers::new(options.tenant.as_deref(), &options.headers)?,
        options: options.clone(),
    });
    let mut tasks = JoinSet::new();
    for _ in 0..asker.options.concurrency {
        let (asker, stop, clock) = (asker.clone(), stop.clone(), clock.clone());
        tasks.spawn(async move {
            while !stop.is_started() && clock.monotonic().duration_since(started) < asker.options.duration {
                asker.ask_next().await;
            }
        });
    }
    let mut before = 0;
    loop {
        tokio::select! {
            ended = tasks.join_next() => if ended.is_none() { break },
            () = clock.sleep(Duration::from_secs(1)) => {
                let mut p = asker.progress();
                p.elapsed = clock.monotonic().duration_since(started);
                p.per_second = p.done.saturating_sub(before) as f64;
                before = p.done;
                on_progress(&p);
            }
        }
    }
    Ok(asker.report(clock.monotonic().duration_since(started)))
}

struct Asker {
    options: QueryOptions,
    base: String,
    client: Client,
    headers: Headers,
    clock: Clock,
    next: AtomicUsize,
    lines: Mutex<Vec<QueryLine>>,
}

impl Asker {
    async fn ask_next(&self) {
        let at = self.next.fetch_add(1, Relaxed) % self.options.queries.len().max(1);
        let Some(spec) = self.options.queries.get(at) else { return };
        let url = self.url(spec.kind, &spec.expr);
        let request = Request { timeout: self.options.timeout, ..Request::get(url) };
        let began = self.clock.monotonic();
        let answer = self.client.send(self.headers.add(request)).await;
        let took = self.clock.monotonic().duration_since(began);
        let mut lines = self.lines.lock();
        let Some(line) = lines.get_mut(at) else { return };
        let error = match answer {
            Ok(a) if a.status.is_success() => match elements(&a.body) {
                Some(n) => {
                    line.latency.record(took);
                    line.answer_bytes = a.body.len() as u64;
                    line.elements = n;
                    return;
                }
                None => "an answer that is no query result".to_owned(),
            },
            Ok(a) => format!("{} {}", a.status.as_u16(), a.excerpt().chars().take(120).collect::<String>()),
            Err(e) => e.to_string(),
        };
        if line.errors.len() < 50 || line.errors.contains_key(&error) {
            *line.errors.entry(error).or_insert(0) += 1;
        } else {
            *line.errors.entry("other errors".to_owned()).or_insert(0) += 1;
        }
    }

    fn url(&self, kind: QueryKind, expr: &str) -> String {
        let (now_ns, o) = (self.clock.now_ns(), &self.options);
        let from_ns = now_ns.saturating_sub(o.range.as_nanos() as i64);
        let seconds = |ns: i64| format!("{:.3}", ns as f64 / 1e9);
        let mut pairs = url::form_urlencoded::Serializer::new(String::new());
        pairs.append_pair("query", expr);
        let path = match kind {
            QueryKind::PromqlInstant => {
                pairs.append_pair("time", &seconds(now_ns));
                "/api/v1/query"
            }
            QueryKind::PromqlRange => {
                pairs.append_pair("start", &seconds(from_ns)).append_pair("end", &seconds(now_ns));
                pairs.append_pair("step", &format!("{}", o.step.as_secs_f64()));
                "/api/v1/query_range"
            }
            QueryKind::LogqlRange => {
                pairs.append_pair("start", &from_ns.to_string()).append_pair("end", &now_ns.to_string());
                pairs.append_pair("limit", &o.limit.to_string());
                pairs.append_pair("step", &format!("{}", o.step.as_secs_f64()));
                "/loki/api/v1/query_range"
            }
        };
        format!("{}{path}?{}", self.base, pairs.finish())
    }

    fn progress(&self) -> Progress {
        let lines = self.lines.lock();
        let mut all = Latencies::default();
        lines.iter().for_each(|l| all.merge(&l.latency));
        Progress {
            elapsed: Duration::ZERO,
            done: all.count(),
            per_second: 0.0,
            errors: lines.iter().flat_map(|l| l.errors.values()).sum(),
            p99: all.quantile(0.99),
        }
    }

    fn report(&self, took: Duration) -> QueryReport {
        let queries = std::mem::take(&mut *self.lines.lock());
        let mut latency = Latencies::default();
        queries.iter().for_each(|l| latency.merge(&l.latency));
        let seconds = took.as_secs_f64().max(1e-9);
        let queries_per_second = latency.count() as f64 / seconds;
        QueryReport { target: self.options.target.clone(), seconds, queries_per_second, latency, queries }
    }
}

/// Elements of the result; `None` where the body is no answer of a query API.
pub(crate) fn elements(body: &[u8]) -> Option<u64> {
    let answer: Answer = serde_json::from_slice(body).ok()?;
    Some(answer.data.result.0)
}

/// What all query APIs answer with.
#[derive(Deserialize)]
struct Answer {
    data: Data,
}

#[derive(Deserialize)]
struct Data {
    #[serde(default)]
    result: Length,
}

/// The length of an array, its elements skipped.
#[derive(Default)]
struct Length(u64);

impl<'de> Deserialize<'de> for Length {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct V;
        impl<'de> serde::de::Visitor<'de> for V {
            type Value = Length;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an array")
            }

            fn visit_seq<A: serde::de::SeqAccess<'de>>(self, mut seq: A) -> Result<Length, A::Error> {
                let mut n = 0;
                while seq.next_element::<serde::de::IgnoredAny>()?.is_some() {
                    n += 1;
                }
                Ok(Length(n))
            }
        }
        d.deserialize_any(V)
    }
}
