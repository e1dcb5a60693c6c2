//! `bench verify`: asks for every item of a counting run and compares with its journal. Acknowledged items
//! must be stored once; items never acknowledged may be stored once or not at all.

use std::{collections::BTreeMap, sync::Arc};

use futures::{StreamExt, stream};
use net::{Client, Request};
use serde::Deserialize;

use crate::{
    Error, Result, Signal, VerifyOptions, VerifyReport,
    generate::{COUNT_METRIC, COUNT_SERVICE, trace_id},
    journal::{self, Header, Sent},
    send::{Headers, parse},
};

/// Items asked for at once: few enough for the default limits of query APIs, twice as many allowed in the
/// answer so that doubled ones show.
const WINDOW: u64 = 2000;
/// How many lost or doubled items are named.
const EXAMPLES: usize = 10;

/// Reads the journal, asks, and compares.
///
/// # Errors
/// The journal cannot be read, or a question got no answer: then nothing is known and nothing is reported.
pub async fn verify(options: &VerifyOptions) -> Result<VerifyReport> {
    let (header, sent) = journal::read(&options.journal)?;
    let target = options.target.as_deref().unwrap_or(&header.target);
    let base = parse(target)?.origin().ascii_serialization();
    let tenant = options.tenant.as_deref().or(header.tenant.as_deref());
    let headers = Headers::new(tenant, &options.headers)?;
    let asker = Arc::new(Asker { client: Client::new()?, base, headers, header, options: options.clone() });
    let windows = windows(&sent, asker.header.signal);
    let mut found: BTreeMap<(usize, u64), u64> = BTreeMap::new();
    let mut answers = stream::iter(windows)
        .map(|w| {
            let asker = asker.clone();
            async move { asker.numbers(&w).await.map(|n| (w.worker, n)) }
        })
        .buffer_unordered(options.concurrency.max(1));
    while let Some(answer) = answers.next().await {
        let (worker, numbers) = answer?;
        for n in numbers {
            *found.entry((worker, n)).or_insert(0) += 1;
        }
    }
    Ok(compare(&asker.header.run, &sent, found))
}

/// A run of one worker's items that is asked for at once.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Window {
    worker: usize,
    first: u64,
    count: u64,
    from_ns: i64,
    to_ns: i64,
}

/// Neighbouring batches joined, and large ones of logs split: their records have a nanosecond each. A trace is
/// always asked for alone.
fn windows(sent: &[Sent], signal: Signal) -> Vec<Window> {
    let mut out: Vec<Window> = Vec::new();
    for s in sent {
        let whole =
            Window { worker: s.worker, first: s.first, count: s.count, from_ns: s.from_ns, to_ns: s.to_ns };
        let join = out.last_mut().filter(|last| {
            signal != Signal::Traces && last.worker == s.worker && last.count + s.count <= WINDOW
        });
        match join {
            Some(last) => {
                last.count += s.count;
                last.to_ns = s.to_ns;
            }
            None if signal == Signal::Logs && s.count > WINDOW => out.extend(split(&whole)),
            None => out.push(whole),
        }
    }
    out
}

fn split(w: &Window) -> impl Iterator<Item = Window> + '_ {
    (0..w.count.div_ceil(WINDOW)).map(move |i| {
        let skip = i * WINDOW;
        let count = (w.count - skip).min(WINDOW);
        let from_ns = w.from_ns + skip as i64;
        Window { worker: w.worker, first: w.first + skip, count, from_ns, to_ns: from_ns + count as i64 - 1 }
    })
}

struct Asker {
    client: Client,
    base: String,
    headers: Headers,
    header: Header,
    options: VerifyOptions,
}

impl Asker {
    /// Every number stored in the window, as often as it is stored.
    async fn numbers(&self, w: &Window) -> Result<Vec<u64>> {
        let (run, worker) = (&self.header.run, w.worker);
        let pairs = |pairs: &[(&str, String)]| {
            url::form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish()
        };
        match self.header.signal {
            Signal::Metrics => {
                let (from_ms, to_ms) = (w.from_ns / 1_000_000, w.to_ns / 1_000_000);
                // A range selector leaves its oldest millisecond out.
                let range = to_ms - from_ms + 1;
                let query = format!("{COUNT_METRIC}{{run=\"{run}\",worker=\"w{worker}\"}}[{range}ms]");
                let time = format!("{}.{:03}", to_ms / 1000, to_ms % 1000);
                let url =
                    format!("{}/api/v1/query?{}", self.base, pairs(&[("query", query), ("time", time)]));
                Ok(samples(&self.ask::<Results>(&url).await?.unwrap_or_default()))
            }
            Signal::Logs => {
                let query = format!(
                    "{{service_name=\"{COUNT_SERVICE}\",service_namespace=\"{run}\",k8s_pod_name=\"w{worker}\"}}"
                );
                let url = format!(
                    "{}/loki/api/v1/query_range?{}",
                    self.base,
                    pairs(&[
                        ("query", query),
                        ("start", w.from_ns.to_string()),
                        ("end", (w.to_ns + 1).to_string()),
                        ("limit", (w.count * 2).to_string()),
                        ("direction", "forward".to_owned()),
                    ])
                );
                Ok(lines(&self.ask::<Results>(&url).await?.unwrap_or_default()))
            }
            Signal::Traces => {
                let id: String = trace_id(run, worker, w.first).iter().map(|b| format!("{b:02x}")).collect();
                let url = format!("{}{}/{id}", self.base, self.options.traces_path);
                Ok(spans(&self.ask::<Traces>(&url).await?.unwrap_or_default()))
            }
        }
    }

    /// The answer, `None` where there is nothing of that name.
    async fn ask<T: for<'a> Deserialize<'a>>(&self, url: &str) -> Result<Option<T>> {
        let fail = |reason: String| Error::Ask { url: url.to_owned(), reason };
        let request = Request { timeout: self.options.timeout, ..Request::get(url) };
        let answer = self.client.send(self.headers.add(request)).await.map_err(|e| fail(e.to_string()))?;
        if answer.status.as_u16() == 404 {
            return Ok(None);
        }
        if !answer.status.is_success() {
            return Err(fail(format!("{} {}", answer.status.as_u16(), answer.excerpt())));
        }
        serde_json::from_slice(&answer.body)
            .map(Some)
            .map_err(|e| fail(format!("the answer is unreadable: {e}")))
    }
}

/// Prometheus' and Loki's shape: `data.result[].values[][…]`.
#[derive(Deserialize, Default)]
struct Results {
    data: ResultData,
}

#[derive(Deserialize, Default)]
struct ResultData {
    #[serde(default)]
    result: Vec<Values>,
}

#[derive(Deserialize)]
struct Values {
    #[serde(default)]
    values: Vec<Vec<serde_json::Value>>,
}

/// Jaeger's shape.
#[derive(Deserialize, Default)]
struct Traces {
    #[serde(default)]
    data: Option<Vec<Trace>>,
}

#[derive(Deserialize)]
struct Trace {
    #[serde(default)]
    spans: Vec<SpanTags>,
}

#[derive(Deserialize)]
struct SpanTags {
    #[serde(default)]
    tags: Vec<Tag>,
}

#[derive(Deserialize)]
struct Tag {
    key: String,
    value: serde_json::Value,
}

fn samples(r: &Results) -> Vec<u64> {
    let values = r.data.result.iter().flat_map(|s| &s.values);
    values.filter_map(|v| v.get(1)?.as_str()?.parse::<f64>().ok()).map(|v| v as u64).collect()
}

fn lines(r: &Results) -> Vec<u64> {
    let values = r.data.result.iter().flat_map(|s| &s.values);
    let number = |line: &str| line.split("n=").nth(1)?.split(' ').next()?.parse().ok();
    values.filter_map(|v| number(v.get(1)?.as_str()?)).collect()
}

fn spans(t: &Traces) -> Vec<u64> {
    let spans = t.data.iter().flatten().flat_map(|t| &t.spans);
    spans
        .filter_map(|s| {
            let value = &s.tags.iter().find(|t| t.key == "bench.n")?.value;
            value.as_u64().or_else(|| value.as_str()?.parse().ok())
        })
        .collect()
}

fn compare(run: &str, sent: &[Sent], mut found: BTreeMap<(usize, u64), u64>) -> VerifyReport {
    let mut r = VerifyReport { run: run.to_owned(), ..VerifyReport::default() };
    for s in sent {
        for n in s.first..s.first.saturating_add(s.count) {
            let times = found.remove(&(s.worker, n)).unwrap_or(0);
            match (s.acknowledged, times) {
                (true, 0) => r.lost += 1,
                (true, _) => r.stored += 1,
                (false, 0) => r.unacknowledged_missing += 1,
                (false, _) => r.unacknowledged_stored += 1,
            }
            r.acknowledged += u64::from(s.acknowledged);
            r.doubled += times.saturating_sub(1);
            if (times > 1 || (s.acknowledged && times == 0)) && r.examples.len() < EXAMPLES {
                r.examples.push(format!("w{}/{n} stored {times} times", s.worker));
            }
        }
    }
    r.unknown = found.values().sum();
    r
}

#[cfg(test)]
mod tests;
