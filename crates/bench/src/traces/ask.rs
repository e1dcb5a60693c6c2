//! The questions, and how long their answers take.

use base::{Clock, Shutdown};
use net::Client;

use super::{Needle, TracesOptions, report::TracesAnswered};
use crate::{Error, Result, process};

const HOUR_NS: i64 = 3_600_000_000_000;
/// Traces that a search wants.
const LIMIT: &str = "20";

struct Question {
    name: String,
    /// Asked one after another, each another time.
    urls: Vec<String>,
    /// Where the answer has its list of traces or values.
    list: &'static str,
    times: usize,
    /// Whether an older program may not know it.
    optional: bool,
}

type Query<'a> = &'a [(&'a str, &'a str)];

struct At<'a> {
    url: &'a str,
    start_ns: i64,
    end_ns: i64,
}

impl At<'_> {
    fn address(&self, path: &str, query: Query<'_>) -> Result<String> {
        let whole = format!("{}{path}", self.url);
        let mut url = url::Url::parse(&whole)
            .map_err(|e| Error::Target { url: whole.clone(), reason: e.to_string() })?;
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        Ok(url.into())
    }

    /// A search by Jaeger's API, which takes microseconds.
    fn jaeger(&self, query: Query<'_>) -> Result<String> {
        let (start, end) = ((self.start_ns / 1000).to_string(), (self.end_ns / 1000 + 1).to_string());
        let time = [("start", start.as_str()), ("end", end.as_str()), ("limit", LIMIT)];
        self.address("/jaeger/api/traces", &[&time, query].concat())
    }

    /// A search by Tempo's API, which takes seconds.
    fn tempo(&self, traceql: &str) -> Result<String> {
        let start = (self.start_ns / 1_000_000_000).to_string();
        let end = (self.end_ns / 1_000_000_000 + 1).to_string();
        let time = [("start", start.as_str()), ("end", end.as_str()), ("limit", LIMIT), ("q", traceql)];
        self.address("/api/search", &time)
    }
}

fn hex(id: &[u8; 16]) -> String {
    id.iter().map(|b| format!("{b:02x}")).collect()
}

fn questions(o: &TracesOptions, at: &At<'_>, needles: &[Needle]) -> Result<Vec<Question>> {
    let one = |name: &str, url: Result<String>, list, optional| {
        Ok(Question { name: name.to_owned(), urls: vec![url?], list, times: o.repeats, optional })
    };
    let recent: Vec<&Needle> = needles.iter().filter(|n| n.start_ns >= at.start_ns).collect();
    let by_id = |n: &Needle| at.address(&format!("/jaeger/api/traces/{}", hex(&n.trace_id)), &[]);
    let absent = |i: u8| at.address(&format!("/jaeger/api/traces/{}", hex(&[i | 0x80; 16])), &[]);
    let order = |n: &&Needle| {
        let tags = format!(r#"{{"app.order.id":"{}"}}"#, n.order);
        at.jaeger(&[("service", "checkout"), ("tags", &tags)])
    };
    let ordered = |n: &&Needle| at.tempo(&format!(r#"{{ span.app.order.id = "{}" }}"#, n.order));
    let several = |name: &str, urls: Vec<Result<String>>, list, optional| {
        let urls: Vec<String> = urls.into_iter().collect::<Result<_>>()?;
        Ok(Question { name: name.to_owned(), times: urls.len() * 2, urls, list, optional })
    };
    let jaeger = |name: &str, query: Query<'_>| one(name, at.jaeger(query), "/data", false);
    let tempo = |name: &str, q: &str| one(name, at.tempo(q), "/traces", true);
    let all = vec![
        several("a trace by its id", needles.iter().map(by_id).collect(), "/data", false),
        several("a trace that is not there", (0..20).map(absent).collect(), "/data", false),
        jaeger("1 h: one service", &[("service", "checkout")]),
        jaeger("1 h: service and operation", &[("service", "cart"), ("operation", "HGETALL")]),
        jaeger(
            "1 h: a tag that many have",
            &[("service", "gateway"), ("tags", r#"{"http.response.status_code":"200"}"#)],
        ),
        jaeger(
            "1 h: a tag that few have",
            &[("service", "payment"), ("tags", r#"{"http.response.status_code":"500"}"#)],
        ),
        several("1 h: a tag that one trace has", recent.iter().map(order).collect(), "/data", false),
        jaeger(
            "1 h: a tag that none has",
            &[("service", "checkout"), ("tags", r#"{"app.order.id":"none"}"#)],
        ),
        jaeger("1 h: errors of a service", &[("service", "payment"), ("tags", r#"{"error":"true"}"#)]),
        jaeger("1 h: slow ones of a service", &[("service", "payment"), ("minDuration", "800ms")]),
        one("services", at.address("/jaeger/api/services", &[]), "/data", false),
        one(
            "operations of a service",
            at.address("/jaeger/api/services/gateway/operations", &[]),
            "/data",
            false,
        ),
        several(
            "1 h TraceQL: an attribute of one trace",
            recent.iter().map(ordered).collect(),
            "/traces",
            true,
        ),
        tempo("1 h TraceQL: an attribute that none has", r#"{ .app.order.id = "none" }"#),
        tempo(
            "1 h TraceQL: errors and a number",
            "{ status = error && span.http.response.status_code = 500 }",
        ),
        tempo("1 h TraceQL: slow ones", "{ kind = server && duration > 1s }"),
        tempo(
            "1 h TraceQL: a resource and a pattern",
            r#"{ resource.service.name = "cart" && name =~ "H.*" }"#,
        ),
        tempo(
            "1 h TraceQL: a parent's child",
            r#"{ resource.service.name = "checkout" } > { span.db.system.name = "postgresql" && status = error }"#,
        ),
    ];
    all.into_iter().collect()
}

/// A trace that was sent last; milliseconds.
pub(super) async fn fresh(url: &str, needles: &[Needle], clock: &Clock) -> Result<f64> {
    let (client, at) = (Client::new()?, At { url, start_ns: 0, end_ns: 0 });
    let Some(last) = needles.last() else { return Ok(0.0) };
    let url = at.address(&format!("/jaeger/api/traces/{}", hex(&last.trace_id)), &[])?;
    let began = clock.monotonic();
    let body = process::get(&client, &url).await?;
    let spans = length(&url, &body, "/data/0/spans")?;
    if spans != last.spans as u64 {
        let reason = format!("the trace has {spans} of {} spans", last.spans);
        return Err(Error::Ask { url, reason });
    }
    Ok(clock.monotonic().duration_since(began).as_secs_f64() * 1e3)
}

/// Asks everything.
pub(super) async fn all(
    o: &TracesOptions,
    url: &str,
    (end_ns, needles): (i64, &[Needle]),
    cpu: &(dyn Fn() -> Option<f64> + Send + Sync),
    (clock, stop): (&Clock, &Shutdown),
) -> Result<Vec<TracesAnswered>> {
    let client = Client::new()?;
    let at = At { url, start_ns: end_ns - HOUR_NS, end_ns };
    let mut answered = Vec::new();
    for q in questions(o, &at, needles)?.into_iter().filter(|q| !q.urls.is_empty()) {
        match ask(&client, &q, cpu, (clock, stop)).await {
            Ok(a) => answered.push(a),
            Err(Error::Ask { .. }) if q.optional => {}
            Err(e) => return Err(e),
        }
    }
    Ok(answered)
}

async fn ask(
    client: &Client,
    q: &Question,
    cpu: &(dyn Fn() -> Option<f64> + Send + Sync),
    (clock, stop): (&Clock, &Shutdown),
) -> Result<TracesAnswered> {
    let (mut times, mut said) = (Vec::new(), 0);
    let (mut first_ms, mut before) = (0.0, cpu());
    for (i, url) in q.urls.iter().cycle().take(q.times.max(1) + 1).enumerate() {
        if stop.is_started() {
            return Err(Error::Interrupted);
        }
        let began = clock.monotonic();
        let body = match q.name.ends_with("not there") {
            true => process::get(client, url).await.unwrap_or_else(|_| br#"{"data":[]}"#.to_vec()),
            false => process::get(client, url).await?,
        };
        let ms = clock.monotonic().duration_since(began).as_secs_f64() * 1e3;
        if i == 0 {
            (first_ms, before) = (ms, cpu());
        } else {
            times.push(ms);
        }
        said = said.max(length(url, &body, q.list)?);
    }
    times.sort_by(f64::total_cmp);
    let spent = cpu().zip(before).map(|(now, before)| (now - before) * 1e3 / times.len().max(1) as f64);
    Ok(TracesAnswered {
        question: q.name.clone(),
        url: q.urls.first().cloned().unwrap_or_default(),
        found: said,
        first_ms,
        median_ms: times.get(times.len() / 2).copied().unwrap_or(first_ms),
        worst_ms: times.last().copied().unwrap_or(first_ms),
        cpu_ms: spent,
    })
}

/// How long a list of an answer is.
fn length(url: &str, body: &[u8], list: &str) -> Result<u64> {
    let fail = |reason: String| Error::Ask { url: url.to_owned(), reason };
    let json: serde_json::Value = serde_json::from_slice(body).map_err(|e| fail(e.to_string()))?;
    match json.pointer(list) {
        None | Some(serde_json::Value::Null) => Ok(0),
        Some(found) => {
            let length = found.as_array().map(|l| l.len() as u64);
            length.ok_or_else(|| fail(format!("the answer has no list at {list}")))
        }
    }
}
