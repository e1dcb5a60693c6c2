//! Asks one address and reads its answer into what can be compared.

use std::{
    collections::BTreeMap,
    fmt,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::{Duration, Instant},
};

use base::Clock;
use net::{Client, Request};
use serde::Deserialize;
use serde_json::Value;

use super::Question;
use crate::{Error, Result, Target};

/// Larger answers are refused rather than read: dashboards do not ask for them.
const MAX_ANSWER: usize = 256 << 20;

pub(super) struct Asker {
    client: Client,
    target: Target,
    timeout: Duration,
    clock: Clock,
    spent_us: AtomicU64,
}

/// An answer and how long it took.
pub(super) struct Asked {
    pub(super) answer: Result<Answer, Refusal>,
    pub(super) took: Duration,
}

/// Why there is no answer; `kind` is the API's `errorType`, or `unreachable`.
#[derive(Debug, Clone)]
pub(super) struct Refusal {
    pub(super) kind: String,
    pub(super) message: String,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.kind, self.message)
    }
}

/// Series by their labels, values by time.
#[derive(Debug, Clone, Default)]
pub(super) struct Answer {
    pub(super) kind: String,
    pub(super) series: BTreeMap<BTreeMap<String, String>, Points>,
    pub(super) warnings: Vec<String>,
}

pub(super) type Points = BTreeMap<i64, Point>;

#[derive(Debug, Clone)]
pub(super) enum Point {
    Float(f64),
    Text(String),
    /// Count, sum, and per bucket its rule, bounds and count.
    Histogram {
        count: f64,
        sum: f64,
        buckets: Vec<(i64, [f64; 3])>,
    },
}

/// What the language says of a query, other than what a server says of its data.
fn is_annotation(warning: &str) -> bool {
    warning.starts_with("PromQL ")
}

impl Answer {
    pub(super) fn without_annotations(&mut self) {
        self.warnings.retain(|w| !is_annotation(w));
    }

    pub(super) fn len(&self) -> usize {
        self.series.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.series.is_empty()
    }
}

#[derive(Deserialize)]
struct Body {
    #[serde(default)]
    status: String,
    #[serde(default)]
    data: Value,
    #[serde(default, rename = "errorType")]
    error_type: String,
    #[serde(default)]
    error: String,
    #[serde(default)]
    warnings: Vec<String>,
    #[serde(default)]
    infos: Vec<String>,
}

#[derive(Deserialize)]
struct Element {
    #[serde(default)]
    metric: BTreeMap<String, String>,
    #[serde(default)]
    values: Vec<(f64, Value)>,
    value: Option<(f64, Value)>,
    #[serde(default)]
    histograms: Vec<(f64, Value)>,
    histogram: Option<(f64, Value)>,
}

impl Asker {
    pub(super) fn new(target: Target, timeout: Duration) -> Result<Self> {
        Ok(Asker {
            client: Client::new()?,
            target,
            timeout,
            clock: Clock::system(),
            spent_us: AtomicU64::new(0),
        })
    }

    /// Seconds spent waiting for answers.
    pub(super) fn seconds(&self) -> f64 {
        self.spent_us.load(Relaxed) as f64 / 1e6
    }

    /// Whether this is an address that answers queries at all.
    /// Answers whether it annotates what it says, as Prometheus does since 2.48.
    pub(super) async fn probe(&self, at_ms: i64) -> Result<bool> {
        let asked = |query: &str| [("query", query.to_owned()), ("time", seconds(at_ms))];
        if let Err(e) = self.post("/api/v1/query", &asked("vector(1)")).await.and_then(read) {
            return Err(Error::Asked { url: self.target.shown().to_owned(), reason: e.to_string() });
        }
        // No quantile is 2, and who annotates says so.
        let odd = self.post("/api/v1/query", &asked("quantile(2, vector(1))")).await.and_then(read);
        Ok(odd.is_ok_and(|a| a.warnings.iter().any(|w| is_annotation(w))))
    }

    pub(super) async fn ask(&self, q: &Question) -> Asked {
        let began = self.clock.monotonic();
        let mut form =
            vec![("query", q.expr.clone()), ("timeout", format!("{}s", self.timeout.as_secs().max(1)))];
        let path = match q.instant {
            true => {
                form.push(("time", seconds(q.range.end_ms)));
                "/api/v1/query"
            }
            false => {
                form.push(("start", seconds(q.range.start_ms)));
                form.push(("end", seconds(q.range.end_ms)));
                form.push(("step", seconds(q.range.step_ms)));
                "/api/v1/query_range"
            }
        };
        let body = self.post(path, &form).await;
        let took = self.took(began);
        Asked { answer: body.and_then(read), took }
    }

    /// Values of a label of the series a selector matches; with no label the label sets themselves.
    pub(super) async fn label_values(
        &self,
        label: &str,
        selector: &str,
        (start_ms, end_ms): (i64, i64),
    ) -> Result<Vec<String>, Refusal> {
        let mut form = vec![("start", seconds(start_ms)), ("end", seconds(end_ms))];
        if !selector.is_empty() {
            form.push(("match[]", selector.to_owned()));
        }
        let encoded: String =
            url::form_urlencoded::byte_serialize(label.as_bytes()).collect::<String>().replace('+', "%20");
        let body = self.get(&format!("/api/v1/label/{encoded}/values"), &form).await?;
        serde_json::from_value(body.data).map_err(|e| strange(&e.to_string()))
    }

    pub(super) async fn label_names(&self, (start_ms, end_ms): (i64, i64)) -> Result<Vec<String>, Refusal> {
        let form = [("start", seconds(start_ms)), ("end", seconds(end_ms))];
        let body = self.get("/api/v1/labels", &form).await?;
        serde_json::from_value(body.data).map_err(|e| strange(&e.to_string()))
    }

    /// The elements of an instant query, printed as Grafana's `query_result` prints them.
    pub(super) async fn query_result(&self, expr: &str, at_ms: i64) -> Result<Vec<String>, Refusal> {
        let form = [("query", expr.to_owned()), ("time", seconds(at_ms))];
        let answer = self.post("/api/v1/query", &form).await.and_then(read)?;
        Ok(answer
            .series
            .iter()
            .map(|(labels, points)| {
                let name = labels.get("__name__").map_or("", String::as_str);
                let rest: Vec<String> = labels
                    .iter()
                    .filter(|(n, _)| *n != "__name__")
                    .map(|(n, v)| format!("{n}=\"{v}\""))
                    .collect();
                let value = match points.values().next() {
                    Some(Point::Float(v)) => v.to_string(),
                    Some(Point::Text(t)) => t.clone(),
                    _ => String::new(),
                };
                format!("{name}{{{}}} {value} {at_ms}", rest.join(","))
            })
            .collect())
    }

    fn took(&self, began: Instant) -> Duration {
        let took = self.clock.monotonic().duration_since(began);
        self.spent_us.fetch_add(took.as_micros() as u64, Relaxed);
        took
    }

    async fn post(&self, path: &str, form: &[(&str, String)]) -> Result<Body, Refusal> {
        let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
        let request = Request::post(self.target.at(path), body)
            .header("content-type", "application/x-www-form-urlencoded");
        self.send(request).await
    }

    async fn get(&self, path: &str, form: &[(&str, String)]) -> Result<Body, Refusal> {
        let query = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
        self.send(Request::get(format!("{}?{query}", self.target.at(path)))).await
    }

    async fn send(&self, request: Request) -> Result<Body, Refusal> {
        let request = Request { timeout: self.timeout, max_answer_bytes: MAX_ANSWER, ..request };
        let answer = match self.client.send(self.target.add(request)).await {
            Ok(a) => a,
            Err(e) => return Err(Refusal { kind: "unreachable".to_owned(), message: e.to_string() }),
        };
        match serde_json::from_slice::<Body>(&answer.body) {
            Ok(b) if b.status == "success" => Ok(b),
            Ok(b) if !b.error_type.is_empty() => Err(Refusal { kind: b.error_type, message: b.error }),
            _ => Err(strange(&format!("{} {}", answer.status.as_u16(), answer.excerpt()))),
        }
    }
}

fn strange(message: &str) -> Refusal {
    Refusal { kind: "no answer of a query API".to_owned(), message: message.to_owned() }
}

/// Seconds with milliseconds, as every server reads them.
fn seconds(ms: i64) -> String {
    let sign = if ms < 0 { "-" } else { "" };
    format!("{sign}{}.{:03}", ms.unsigned_abs() / 1000, ms.unsigned_abs() % 1000)
}

fn read(body: Body) -> Result<Answer, Refusal> {
    let Body { mut data, warnings, infos, .. } = body;
    let kind = data.get("resultType").and_then(Value::as_str).unwrap_or_default().to_owned();
    let result = data.get_mut("result").map(Value::take).unwrap_or_default();
    let mut answer = Answer { kind, warnings, ..Answer::default() };
    answer.warnings.extend(infos);
    let bad = |what: &str| strange(what);
    match answer.kind.as_str() {
        "scalar" | "string" => {
            let (at, value): (f64, Value) =
                serde_json::from_value(result).map_err(|e| bad(&e.to_string()))?;
            let point = point(&value).ok_or_else(|| bad("a value that is none"))?;
            answer.series.insert(BTreeMap::new(), Points::from([(ms(at), point)]));
        }
        "vector" | "matrix" => {
            let elements: Vec<Element> = serde_json::from_value(result).map_err(|e| bad(&e.to_string()))?;
            for e in elements {
                let mut points = Points::new();
                for (at, v) in e.values.into_iter().chain(e.value) {
                    points.insert(ms(at), point(&v).ok_or_else(|| bad("a value that is none"))?);
                }
                for (at, h) in e.histograms.into_iter().chain(e.histogram) {
                    points.insert(ms(at), histogram(&h).ok_or_else(|| bad("a histogram that is none"))?);
                }
                answer.series.insert(e.metric, points);
            }
        }
        other => return Err(bad(&format!("result type {other:?}"))),
    }
    Ok(answer)
}

fn ms(seconds: f64) -> i64 {
    (seconds * 1000.0).round() as i64
}

fn number(v: &Value) -> Option<f64> {
    match v {
        Value::String(s) => match s.as_str() {
            "NaN" => Some(f64::NAN),
            "+Inf" | "Inf" => Some(f64::INFINITY),
            "-Inf" => Some(f64::NEG_INFINITY),
            other => other.parse().ok(),
        },
        other => other.as_f64(),
    }
}

/// A float, or the text of a string result.
fn point(v: &Value) -> Option<Point> {
    match (number(v), v) {
        (Some(n), _) => Some(Point::Float(n)),
        (None, Value::String(s)) => Some(Point::Text(s.clone())),
        _ => None,
    }
}

fn histogram(v: &Value) -> Option<Point> {
    let buckets = match v.get("buckets") {
        None => Vec::new(),
        Some(list) => list
            .as_array()?
            .iter()
            .map(|b| {
                let b = b.as_array()?;
                Some((b.first()?.as_i64()?, [number(b.get(1)?)?, number(b.get(2)?)?, number(b.get(3)?)?]))
            })
            .collect::<Option<_>>()?,
    };
    Some(Point::Histogram { count: number(v.get("count")?)?, sum: number(v.get("sum")?)?, buckets })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Answer {
        read(serde_json::from_str(text).unwrap()).unwrap()
    }

    #[test]
    fn every_result_type_is_read() {
        let m = parsed(
            r#"{"status":"success","data":{"resultType":"matrix","result":[{"metric":{"a":"b"},"values":[[1.5,"2"],[3,"+Inf"]]}]},"infos":["i"]}"#,
        );
        assert_eq!((m.len(), m.warnings.len()), (1, 1));
        let points = m.series.values().next().unwrap();
        assert!(
            matches!(points[&1500], Point::Float(2.0))
                && matches!(points[&3000], Point::Float(f64::INFINITY))
        );
        let h = parsed(
            r#"{"status":"success","data":{"resultType":"vector","result":[{"metric":{},"histogram":[1,{"count":"3","sum":"4","buckets":[[0,"1","2","3"]]}]}]}}"#,
        );
        let Point::Histogram { buckets, .. } = &h.series.values().next().unwrap()[&1000] else { panic!() };
        assert_eq!(buckets[0], (0, [1.0, 2.0, 3.0]));
        let s = parsed(r#"{"status":"success","data":{"resultType":"string","result":[1,"x"]}}"#);
        assert!(matches!(&s.series[&BTreeMap::new()][&1000], Point::Text(t) if t == "x"));
    }

    #[test]
    fn times_are_written_to_the_millisecond() {
        assert_eq!(
            (seconds(1_500), seconds(-1_250), seconds(7)),
            ("1.500".into(), "-1.250".into(), "0.007".into())
        );
    }
}
