//! The HTTP API beside a real Prometheus that was sent the same samples. What differs is listed with its reason;
//! Prometheus 3 is the model, and the one that is asked may be older.

use std::{path::Path, time::Duration};

use model::{Labels, MetricBatch};
use net::{Answer, Client, Request};
use serde_json::Value;

use crate::{
    lifecycle::now_ns,
    moving::{value, write},
    node::{Home, encode},
    peers::{Peer, program, receiving_prometheus},
};

/// What the two answers have to do with each other.
#[derive(Clone, Copy)]
enum Verdict {
    /// Status, media type and JSON are the same; of errors the type, not the words.
    Same,
    /// Status and media type are the same, and ours has every field that theirs has.
    Shape,
    /// Status and media type are the same, the contents are not, for this reason.
    Body(&'static str),
    /// Their status and ours, and why.
    Status(u16, u16, &'static str),
}
use Verdict::{Body, Same, Shape, Status};

const LEFT_OPEN: &str = "ranges are open to the left since Prometheus 3";
const UTF8: &str = "names of any characters since Prometheus 3";
const LATER: &str = "the parameter came after this release";
const LIMITED: &str = "limits of lists came after this release";
const FAR: &str = "a time outside all that can be stored overflows there";

/// A request is `METHOD path?name=value&name=value`, `POST path name=value` for a form. `$start`, `$end`, `$now` are
/// seconds; values are written plainly.
const QUERIES: &[(&str, Verdict)] = &[
    ("/api/v1/query?query=g&time=$end", Same),
    ("/api/v1/query?query=1&time=$end", Same),
    ("/api/v1/query?query=\"x\"&time=$end", Same),
    ("/api/v1/query?query=g[40s]&time=$end", Same),
    ("/api/v1/query?query=g[40s] offset 1m&time=$end", Same),
    ("/api/v1/query?query=sum by (job) (rate(c_total[2m]))&time=$end", Same),
    ("/api/v1/query?query=topk(2, g)&time=$end", Same),
    ("/api/v1/query?query=sort_desc(c_total)&time=$end", Same),
    ("/api/v1/query?query=histogram_quantile(0.9, rate(h_bucket[2m]))&time=$end", Same),
    ("/api/v1/query?query=absent(nosuch{a=\"b\"})&time=$end", Same),
    ("/api/v1/query?query=g @ $start&time=$end", Same),
    ("/api/v1/query?query=-1^2&time=$end", Same),
    ("/api/v1/query?query=0x1f&time=$end", Same),
    ("/api/v1/query?query=1/0&time=$end", Same),
    ("/api/v1/query?query=0/0&time=$end", Same),
    ("/api/v1/query?query=nosuch&time=$end", Same),
    ("/api/v1/query?query=g == bool 42&time=$end", Same),
    ("/api/v1/query?query=time()&time=1.5", Same),
    ("/api/v1/query?query=time()&time=-5", Same),
    ("/api/v1/query?query=time()&time=2020-01-01T00:00:00.123+02:00", Same),
    ("/api/v1/query?query=g[1m:20s]&time=$end", Body(LEFT_OPEN)),
    ("/api/v1/query?query=quantile(2, g)&time=$end", Body("annotations came after this release")),
    ("/api/v1/query?query=1&time=$end&stats=all", Body("times taken")),
    ("/api/v1/query?query={\"a name\"}&time=$end", Status(400, 200, UTF8)),
    ("/api/v1/query?query=count_values(\"a b\", g)&time=$end", Status(422, 200, UTF8)),
    ("/api/v1/query?query=1&time=$end&limit=-1", Status(200, 400, LATER)),
    ("/api/v1/query?query=1&time=$end&lookback_delta=abc", Status(200, 400, LATER)),
    ("/api/v1/query?query=1&time=1e30", Status(200, 400, FAR)),
    ("/api/v1/query?query=1&time=NaN", Status(200, 400, FAR)),
    ("/api/v1/query", Same),
    ("/api/v1/query?query=", Same),
    ("/api/v1/query?query=g{&time=$end", Same),
    ("/api/v1/query?query=foo bar&time=$end", Same),
    ("/api/v1/query?query=rate(g)&time=$end", Same),
    ("/api/v1/query?query=sum by (&time=$end", Same),
    ("/api/v1/query?query={__name__=~\".*\"}&time=$end", Same),
    ("/api/v1/query?query=g{s=~\"(\"}&time=$end", Same),
    ("/api/v1/query?query=g + on(nosuch) c_total&time=$end", Same),
    ("/api/v1/query?query=label_replace(g, \"a\", \"b\", \"s\", \"(\")&time=$end", Same),
    ("/api/v1/query?query=1&time=abc", Same),
    ("/api/v1/query?query=1&time=2020-01-01", Same),
    ("/api/v1/query?query=1&time=2021-02-29T00:00:00Z", Same),
    ("/api/v1/query?query=1&timeout=abc", Same),
    ("/api/v1/query?query=1&timeout=-1s", Same),
    ("/api/v1/query?query=1&timeout=0", Same),
    ("POST /api/v1/query query=g&time=$end", Same),
    ("POST /api/v1/query?query=1&time=5 query=2", Same),
    ("POST /api/v1/query query=g&time=abc", Same),
    ("/api/v1/query_range?query=g&start=$start&end=$end&step=15", Same),
    ("/api/v1/query_range?query=g&start=$start&end=$end&step=15s", Same),
    ("/api/v1/query_range?query=sum(rate(c_total[1m]))&start=$start&end=$end&step=20", Same),
    ("/api/v1/query_range?query=time()&start=1.5&end=2.25&step=0.25", Same),
    ("/api/v1/query_range?query=time()&start=1&end=2&step=1h30m", Same),
    ("/api/v1/query_range?query=time()&start=0&end=11000&step=1", Same),
    ("POST /api/v1/query_range query=g&start=$start&end=$end&step=15", Same),
    ("/api/v1/query_range?start=1&end=2&step=1", Same),
    ("/api/v1/query_range?query=time()", Same),
    ("/api/v1/query_range?query=time()&start=1", Same),
    ("/api/v1/query_range?query=time()&start=1&end=2", Same),
    ("/api/v1/query_range?query=time()&start=1&end=2&step=", Same),
    ("/api/v1/query_range?query=time()&start=1&end=2&step=0", Same),
    ("/api/v1/query_range?query=time()&start=1&end=2&step=-1", Same),
    ("/api/v1/query_range?query=time()&start=1&end=2&step=-1s", Same),
    ("/api/v1/query_range?query=time()&start=1&end=2&step=abc", Same),
    ("/api/v1/query_range?query=time()&start=1&end=2&step=1e20", Same),
    ("/api/v1/query_range?query=time()&start=1&end=2&step=NaN", Same),
    ("/api/v1/query_range?query=time()&start=2&end=1&step=1", Same),
    ("/api/v1/query_range?query=time()&start=0&end=11001&step=1", Same),
    ("/api/v1/query_range?query=time()&start=abc&end=2&step=1", Same),
    ("/api/v1/query_range?query=time()&start=1&end=abc&step=1", Same),
    ("/api/v1/query_range?query=time()&start=1&end=2&step=1&timeout=x", Same),
    ("/api/v1/query_range?query=g[1m]&start=1&end=2&step=1", Same),
    (
        "/api/v1/query_range?query=time()&start=1&end=2&step=0.0001",
        Status(422, 400, "a step below a millisecond divides by zero there"),
    ),
    ("/api/v1/query_exemplars?query=g&start=$start&end=$end", Same),
    ("/api/v1/query_exemplars?query=g", Same),
    ("/api/v1/query_exemplars?start=1&end=2", Same),
    ("/api/v1/query_exemplars?query=g&start=2&end=1", Same),
    ("/api/v1/query_exemplars?query=g&start=abc&end=1", Same),
    ("/api/v1/query_exemplars?query=g{&start=1&end=2", Same),
    ("POST /api/v1/query_exemplars query=g&start=$start&end=$end", Same),
    (
        "/api/v1/query_exemplars?query=1+1&start=1&end=2",
        Status(204, 200, "a list of none is an answer every client reads"),
    ),
    ("/api/v1/format_query?query=sum(g)by(job)", Same),
    ("/api/v1/format_query?query=a+b/c", Same),
    ("/api/v1/format_query?query=foo bar", Same),
    ("/api/v1/format_query", Same),
    ("POST /api/v1/format_query query=a+b", Same),
];

const SERIES: &[(&str, Verdict)] = &[
    ("/api/v1/series?match[]=g", Same),
    ("/api/v1/series?match[]=g&match[]=c_total", Same),
    ("/api/v1/series?match[]=g{s=~\"0[12]\"}&start=$start&end=$end", Same),
    (
        "/api/v1/series?match[]=g&start=-292273086-05-16T16:47:06Z&end=292277025-08-18T07:12:54.999999999Z",
        Same,
    ),
    ("/api/v1/series?match[]=g&end=9999-12-31T23:59:59Z", Same),
    ("/api/v1/series?match[]=nosuch", Same),
    ("/api/v1/series", Same),
    ("/api/v1/series?match[]={}", Same),
    ("/api/v1/series?match[]={job=~\".*\"}", Same),
    ("/api/v1/series?match[]=g[5m]", Same),
    ("/api/v1/series?match[]=g offset 5m", Same),
    ("/api/v1/series?match[]=g @ 0", Same),
    ("/api/v1/series?match[]=sum(g)", Same),
    ("/api/v1/series?match[]=(g)", Same),
    ("/api/v1/series?match[]=g{", Same),
    ("/api/v1/series?match[]=", Same),
    ("/api/v1/series?match[]=g&start=abc", Same),
    ("/api/v1/series?match[]=g&limit=1", Body(LIMITED)),
    ("/api/v1/series?match[]=g&limit=-1", Status(200, 400, LIMITED)),
    ("/api/v1/series?match[]=g&limit=99999999999999999999", Status(200, 400, LIMITED)),
    (
        "/api/v1/series?match[]=g&start=2&end=1",
        Status(200, 400, "a stretch that ends before it starts is a mistake, as for query_range"),
    ),
    ("POST /api/v1/series match[]=g", Same),
    ("/api/v1/labels", Same),
    ("/api/v1/labels?match[]=g", Same),
    ("/api/v1/labels?match[]=nosuch", Same),
    ("/api/v1/labels?start=$start&end=$end", Same),
    ("/api/v1/labels?match[]={}", Same),
    ("/api/v1/labels?match[]=g{", Same),
    ("/api/v1/labels?end=abc", Same),
    ("/api/v1/labels?limit=abc", Status(200, 400, LIMITED)),
    ("POST /api/v1/labels match[]=g", Same),
    ("/api/v1/label/job/values", Same),
    ("/api/v1/label/__name__/values", Same),
    ("/api/v1/label/job/values?match[]=c_total", Same),
    ("/api/v1/label/nosuch/values", Same),
    ("/api/v1/label/job/values?match[]={}", Same),
    ("/api/v1/label/job/values?start=abc", Same),
    ("/api/v1/label/a-b/values", Status(400, 200, UTF8)),
    ("POST /api/v1/label/job/values match[]=g", Body("the words of a method that is not allowed")),
    ("/api/v1/metadata", Same),
    ("/api/v1/metadata?metric=nosuch", Same),
    ("/api/v1/metadata?limit=0", Same),
    ("/api/v1/metadata?limit=-1", Same),
    ("/api/v1/metadata?limit=abc", Same),
];

const REST: &[(&str, Verdict)] = &[
    ("/api/v1/targets", Shape),
    ("/api/v1/targets?state=active", Shape),
    ("/api/v1/targets?state=dropped", Shape),
    ("/api/v1/targets?state=nosuch", Shape),
    ("/api/v1/targets/metadata", Same),
    ("/api/v1/targets/metadata?match_target={}&limit=2", Same),
    ("/api/v1/targets/metadata?match_target=x{", Same),
    ("/api/v1/targets/metadata?limit=abc", Same),
    ("/api/v1/scrape_pools", Shape),
    ("/api/v1/rules", Same),
    ("/api/v1/rules?type=alert", Same),
    ("/api/v1/rules?type=nosuch", Same),
    ("/api/v1/alerts", Same),
    ("/api/v1/alertmanagers", Same),
    ("/api/v1/status/config", Shape),
    ("/api/v1/status/flags", Body("flags are the program's own")),
    ("/api/v1/status/buildinfo", Shape),
    ("/api/v1/status/runtimeinfo", Shape),
    ("/api/v1/status/tsdb", Shape),
    ("/api/v1/status/tsdb?limit=abc", Status(200, 400, LATER)),
    ("/api/v1/status/walreplay", Shape),
    ("/federate?match[]=g", Body(ESCAPING)),
    ("/federate?match[]={job=~\".*\"}", Body(ESCAPING)),
    ("/federate?match[]={}", Body("a selector without matchers selects nothing there")),
    ("/federate?match[]=g&match[]=nosuch", Body(ESCAPING)),
    ("/federate", Body(ESCAPING)),
    ("/federate?match[]=g{", Body("the words of the error")),
    ("/federate?match[]=sum(g)", Body("the words of the error")),
    ("POST /api/v1/write x=y", Status(400, 415, "a wrong media type is told since Prometheus 3")),
    ("POST /api/v1/read x=y", Body("the words of the error")),
    ("POST /api/v1/admin/tsdb/delete_series", Same),
    ("POST /api/v1/admin/tsdb/delete_series?match[]=g&start=abc", Same),
    ("POST /api/v1/admin/tsdb/clean_tombstones", Same),
    ("PUT /api/v1/query?query=1", Body("the words of a method that is not allowed")),
];

const ESCAPING: &str = "the media type names how names are escaped since Prometheus 3";

/// Five gauges, counters of two jobs and a histogram of buckets, every 15 seconds off the grid, as both take it.
pub fn samples(from_ms: i64) -> MetricBatch {
    let mut batch = MetricBatch::default();
    let mut push = |pairs: &[(&str, String)], at: &dyn Fn(u64) -> f64| {
        let labels = pairs.iter().map(|(n, v)| (n.to_string(), v.clone()));
        // Some have an instance, which a federation treats in a way of its own.
        let instance = pairs.len() > 2;
        let instance = instance.then(|| ("instance".to_owned(), "i".to_owned()));
        let series = batch.push_series(Labels::from_pairs(labels.chain(instance)));
        for i in 0..40u64 {
            batch.samples.push(series, from_ms + i as i64 * 15_000, at(i));
        }
    };
    let name = |n: &str| ("__name__", n.to_owned());
    for s in 0..5u64 {
        push(&[name("g"), ("s", format!("{s:02}"))], &|i| value(s, i));
    }
    for job in ["a", "b"] {
        for code in ["200", "500"] {
            let step = if job == "a" { 3.5 } else { 7.25 };
            push(&[name("c_total"), ("code", code.to_owned()), ("job", job.to_owned())], &|i| {
                step * i as f64
            });
        }
    }
    for (n, le) in ["0.1", "0.5", "1", "+Inf"].into_iter().enumerate() {
        push(&[name("h_bucket"), ("job", "a".to_owned()), ("le", le.to_owned())], &|i| {
            (n as u64 * 3 * i) as f64
        });
    }
    batch
}

async fn ask(client: &Client, http: &str, row: &str, times: &[(&str, String); 3]) -> Answer {
    let mut row = row.to_owned();
    for (name, value) in times {
        row = row.replace(name, value);
    }
    let (method, rest) = row.split_once(" /").unwrap_or(("GET", row.trim_start_matches('/')));
    // A form stands behind the first blank of a POST, and its queries have none before it.
    let (path, form) = match method {
        "POST" => rest.split_once(' ').unwrap_or((rest, "")),
        _ => (rest, ""),
    };
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    let url = format!("{http}/{path}?{}", encoded(query));
    let request = match method {
        "GET" => Request::get(url),
        "POST" => {
            Request::post(url, encoded(form)).header("content-type", "application/x-www-form-urlencoded")
        }
        _ => Request { method: method.parse().unwrap(), ..Request::get(url) },
    };
    client.send(Request { timeout: Duration::from_secs(30), ..request }).await.unwrap()
}

pub fn encoded(pairs: &str) -> String {
    let one = |p: &str| {
        p.split_once('=').map_or_else(|| encode(p), |(n, v)| format!("{}={}", encode(n), encode(v)))
    };
    pairs.split('&').filter(|p| !p.is_empty()).map(one).collect::<Vec<_>>().join("&")
}

fn json(answer: &Answer) -> Option<Value> {
    let mut v: Value = serde_json::from_slice(&answer.body).ok()?;
    if let Some(fields) = v.as_object_mut() {
        // Ours alone: where the answer came from.
        fields.remove("coverage");
    }
    Some(v)
}

/// Whether `ours` has every field of `theirs`, with values of the same kind.
fn has_shape(theirs: &Value, ours: &Value) -> bool {
    match (theirs, ours) {
        (Value::Object(a), Value::Object(b)) => {
            a.iter().all(|(name, v)| b.get(name).is_some_and(|w| has_shape(v, w)))
        }
        (Value::Array(a), Value::Array(b)) => match (a.first(), b.first()) {
            (Some(v), Some(w)) => has_shape(v, w),
            _ => true,
        },
        (Value::Null, _) | (_, Value::Null) => true,
        (a, b) => std::mem::discriminant(a) == std::mem::discriminant(b),
    }
}

/// Numbers as text within an ulp or two: sums are made in another order.
pub fn alike(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| alike(a, b)),
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(n, v)| b.get(n).is_some_and(|w| alike(v, w)))
        }
        (Value::String(a), Value::String(b)) => {
            let close = |x: f64, y: f64| (x - y).abs() <= x.abs().max(y.abs()) * 1e-14;
            a == b || a.parse().ok().zip(b.parse().ok()).is_some_and(|(x, y)| close(x, y))
        }
        (a, b) => a == b,
    }
}

/// What is wrong with a pair of answers.
fn judge(verdict: Verdict, theirs: &Answer, ours: &Answer) -> Option<String> {
    let statuses = (theirs.status.as_u16(), ours.status.as_u16());
    let wanted = if let Status(a, b, _) = verdict { (a, b) } else { (statuses.0, statuses.0) };
    if statuses != wanted {
        return Some(format!("status {} and {}", statuses.0, statuses.1));
    }
    if matches!(verdict, Status(..)) {
        return None;
    }
    let media = (theirs.header("content-type"), ours.header("content-type"));
    let escaping = matches!(verdict, Body(why) if why == ESCAPING);
    if media.0 != media.1 && !(matches!(verdict, Body(_)) && media.1.starts_with(media.0)) {
        return Some(format!("media type {} and {}", media.0, media.1));
    }
    if escaping && theirs.body != ours.body {
        return Some("other samples".to_owned());
    }
    let (Some(a), Some(b)) = (json(theirs), json(ours)) else {
        let text = matches!(verdict, Body(_)) || theirs.body == ours.body;
        return (!text).then(|| "not both are JSON".to_owned());
    };
    match verdict {
        Shape if !has_shape(&a, &b) => Some("a field is missing or of another kind".to_owned()),
        Same if a["status"] == "error" => {
            (a["errorType"] != b["errorType"]).then(|| "another type of error".to_owned())
        }
        Same if !alike(&a, &b) => Some("other contents".to_owned()),
        _ => None,
    }
}

async fn prometheus(dir: &Path) -> Option<(Peer, String)> {
    Some(receiving_prometheus(&program("prometheus")?, dir, &[]).await)
}

/// Status, media type and contents of every part of the API, with right and wrong parameters.
#[tokio::test]
async fn every_answer_is_that_of_prometheus_or_differs_for_a_reason() {
    let home = Home::new("http: {enable_admin: true}\n");
    let Some((_peer, theirs)) = prometheus(home.dir.path()).await else { return };
    let node = home.start();
    let client = Client::new().unwrap();
    let now = now_ns() / 1_000_000_000;
    let from_ms = (now - 605) * 1000 + 1;
    for http in [&theirs, &node.http] {
        assert_eq!(write(&client, http, &samples(from_ms)).await, 204, "{http}");
    }
    let times =
        [("$start", (now - 300).to_string()), ("$end", (now - 20).to_string()), ("$now", now.to_string())];
    let mut wrong = String::new();
    for (row, verdict) in QUERIES.iter().chain(SERIES).chain(REST) {
        let a = ask(&client, &theirs, row, &times).await;
        let b = ask(&client, &node.http, row, &times).await;
        if let Body(why) | Status(_, _, why) = verdict {
            println!("{row}: {why}");
        }
        if let Some(what) = judge(*verdict, &a, &b) {
            wrong.push_str(&format!(
                "\n{row}: {what}\n  theirs {} {}\n  ours   {} {}\n",
                a.status,
                a.excerpt(),
                b.status,
                b.excerpt()
            ));
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
    println!("{} requests answered alike", QUERIES.len() + SERIES.len() + REST.len());
}

/// A remote read request of one query: matcher types are 0 for `=` and 2 for `=~`.
fn read_request(from_ms: i64, to_ms: i64, matchers: &[(u64, &str, &str)], accepted: Option<u64>) -> Vec<u8> {
    fn varint(out: &mut Vec<u8>, mut v: u64) {
        while v >= 0x80 {
            out.push(v as u8 | 0x80);
            v >>= 7;
        }
        out.push(v as u8);
    }
    fn bytes(out: &mut Vec<u8>, field: u64, b: &[u8]) {
        varint(out, field << 3 | 2);
        varint(out, b.len() as u64);
        out.extend_from_slice(b);
    }
    let mut query = Vec::new();
    for (field, at) in [(1u64, from_ms), (2, to_ms)] {
        varint(&mut query, field << 3);
        varint(&mut query, at as u64);
    }
    for (op, name, value) in matchers {
        let mut m = Vec::new();
        varint(&mut m, 1 << 3);
        varint(&mut m, *op);
        bytes(&mut m, 2, name.as_bytes());
        bytes(&mut m, 3, value.as_bytes());
        bytes(&mut query, 3, &m);
    }
    let mut out = Vec::new();
    bytes(&mut out, 1, &query);
    if let Some(form) = accepted {
        varint(&mut out, 2 << 3);
        varint(&mut out, form);
    }
    snap::raw::Encoder::new().compress_vec(&out).unwrap()
}

/// Fields of a message: number, number inside, bytes inside.
fn fields(mut body: &[u8]) -> Vec<(u64, u64, &[u8])> {
    fn varint(body: &mut &[u8]) -> u64 {
        let (mut out, mut shift) = (0, 0);
        while let Some((b, rest)) = body.split_first() {
            *body = rest;
            out |= u64::from(b & 0x7f) << shift;
            shift += 7;
            if b & 0x80 == 0 {
                break;
            }
        }
        out
    }
    let mut out = Vec::new();
    while !body.is_empty() {
        let tag = varint(&mut body);
        let (number, bytes) = match tag & 7 {
            0 => (varint(&mut body), 0),
            1 => (0, 8),
            2 => (0, varint(&mut body) as usize),
            other => panic!("wire type {other}"),
        };
        let (inside, rest) = body.split_at(bytes);
        body = rest;
        let number = inside.try_into().map_or(number, u64::from_le_bytes);
        out.push((tag >> 3, number, inside));
    }
    out
}

type ReadSeries = (Vec<(String, String)>, Vec<(i64, u64)>);

/// Series of all results with their labels, and each sample's time and bits; defaults may be written or left out.
fn read_response(body: &[u8]) -> Vec<ReadSeries> {
    let text = |b: &[u8]| String::from_utf8(b.to_vec()).unwrap();
    let series = |body: &[u8]| {
        let (mut labels, mut samples) = (Vec::new(), Vec::new());
        for (field, _, inside) in fields(body) {
            let of = |n: u64| fields(inside).into_iter().find(|f| f.0 == n);
            match field {
                1 => labels.push((
                    of(1).map_or(String::new(), |f| text(f.2)),
                    of(2).map_or(String::new(), |f| text(f.2)),
                )),
                2 => {
                    let bits = of(1).map_or(0, |f| f.1);
                    // The sign of nothing is lost where nothing is left out.
                    let bits = if f64::from_bits(bits) == 0.0 { 0 } else { bits };
                    samples.push((of(2).map_or(0, |f| f.1 as i64), bits));
                }
                other => panic!("field {other} of a series"),
            }
        }
        (labels, samples)
    };
    let results = fields(body).into_iter().flat_map(|result| fields(result.2));
    results.map(|s| series(s.2)).collect()
}

/// The samples Prometheus gives; chunks with the same status and media type.
#[tokio::test]
async fn remote_read_gives_the_samples_prometheus_gives() {
    let home = Home::new("");
    let Some((_peer, theirs)) = prometheus(home.dir.path()).await else { return };
    let node = home.start();
    let client = Client::new().unwrap();
    let from_ms = (now_ns() / 1_000_000_000 - 605) * 1000 + 1;
    for http in [&theirs, &node.http] {
        assert_eq!(write(&client, http, &samples(from_ms)).await, 204, "{http}");
    }
    let all = (from_ms, from_ms + 600_000);
    for (range, matchers, accepted) in [
        (all, vec![(0, "__name__", "g")], None),
        (all, vec![(2, "__name__", ".+"), (2, "job", "a|b")], Some(0)),
        ((from_ms + 60_000, from_ms + 90_000), vec![(0, "__name__", "g"), (2, "s", "0[12]")], None),
        (all, vec![(0, "__name__", "nosuch")], None),
        (all, vec![(0, "__name__", "g")], Some(1)),
        (all, vec![(2, "__name__", "(")], None),
        (all, vec![(0, "__name__", "g")], Some(9)),
    ] {
        let body = read_request(range.0, range.1, &matchers, accepted);
        let mut answers = Vec::new();
        for http in [&theirs, &node.http] {
            let request = Request::post(format!("{http}/api/v1/read"), body.clone())
                .header("content-type", "application/x-protobuf")
                .header("content-encoding", "snappy");
            answers.push(client.send(request).await.unwrap());
        }
        let (a, b) = (&answers[0], &answers[1]);
        if !a.status.is_success() {
            // What is wrong with a request is the asker's fault, also a pattern, which is 500 there.
            assert_eq!(b.status, 400, "{matchers:?}: {} {}", a.excerpt(), b.excerpt());
            continue;
        }
        assert_eq!(a.status, b.status, "{matchers:?}: {} {}", a.excerpt(), b.excerpt());
        assert_eq!(a.header("content-type"), b.header("content-type"), "{matchers:?}");
        if accepted != Some(1) {
            let plain =
                |a: &Answer| read_response(&snap::raw::Decoder::new().decompress_vec(&a.body).unwrap());
            assert_eq!(plain(a), plain(b), "{matchers:?}");
        }
    }
}
