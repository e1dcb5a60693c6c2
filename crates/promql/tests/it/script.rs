//! Runs scripts in the test language of Prometheus (`promql/promqltest/README.md`): `load`, `clear`, `eval`.

use std::{collections::BTreeMap, sync::Arc};

use contract::Tenants;
use model::{
    Histogram, Labels, TenantId,
    histogram::{BucketSpan, CUSTOM_BUCKETS_SCHEMA},
    labels::METRIC_NAME,
};
use promql::{Answer, Engine, EngineOptions, Error, Experimental, QueryContext, SampleValue, Value};
use regex::Regex;

use crate::{
    divided,
    memory::{Memory, Sample},
    notation::{self, Item},
};

/// How one `eval` went.
pub struct Case {
    pub line: usize,
    pub query: String,
    pub outcome: Result<(), String>,
    /// What the engine said it cannot do yet.
    pub unsupported: Option<String>,
    /// How the answer over parts differs from the one over the whole.
    pub differs: Option<String>,
}

#[derive(Default)]
struct Expected {
    fail: bool,
    warn: Vec<Pattern>,
    info: Vec<Pattern>,
    no_warn: bool,
    no_info: bool,
    fail_message: Option<Pattern>,
    ordered: bool,
    string: Option<String>,
    /// Start and step of an expected range vector.
    range: Option<(i64, i64)>,
    scalar: Option<f64>,
    series: Vec<(Labels, Vec<Item>)>,
}

enum Pattern {
    Any,
    Message(String),
    Regex(Regex),
}

impl Pattern {
    fn matches(&self, text: &str) -> bool {
        match self {
            Pattern::Any => true,
            Pattern::Message(m) => m == text,
            Pattern::Regex(r) => r.is_match(text),
        }
    }
}

#[derive(Clone, Copy)]
enum When {
    Instant(i64),
    Range(i64, i64, i64),
}

/// The engine as the scripts assume it: everything on, names dropped at the end.
pub fn options() -> EngineOptions {
    let experimental = Experimental { type_and_unit_labels: false, ..Experimental::all() };
    EngineOptions { delayed_name_removal: true, experimental, ..Default::default() }
}

pub struct Runner {
    memory: Arc<Memory>,
    engine: Engine,
    /// Over the same series in parts. What is expected is then compared without the label that tells them apart.
    divided: Option<Engine>,
    runtime: tokio::runtime::Runtime,
    context: QueryContext,
}

impl Runner {
    pub fn new(options: EngineOptions) -> Self {
        let memory = Arc::new(Memory::default());
        let engine = Engine::new(memory.clone(), options);
        Self::with(memory, engine, None)
    }

    pub fn with(memory: Arc<Memory>, engine: Engine, divided: Option<Engine>) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let context = QueryContext::new(Tenants::one(TenantId::new("test").unwrap()));
        Runner { memory, engine, divided, runtime, context }
    }

    /// Runs a script; an error is one of the script itself.
    pub fn run(&self, text: &str) -> Result<Vec<Case>, String> {
        self.memory.clear();
        let lines: Vec<&str> =
            text.lines().map(str::trim).map(|l| if l.starts_with('#') { "" } else { l }).collect();
        let mut cases = Vec::new();
        let mut i = 0;
        while i < lines.len() {
            let line = lines[i];
            let mut end = i + 1;
            while end < lines.len() && !lines[end].is_empty() {
                end += 1;
            }
            let first = line.split_whitespace().next().unwrap_or("").to_ascii_lowercase();
            let at = |e: String| format!("line {}: {e}", i + 1);
            match first.as_str() {
                "" => end = i + 1,
                "clear" => {
                    self.memory.clear();
                    end = i + 1;
                }
                "load" => self.load(line, &lines[i + 1..end], false).map_err(at)?,
                "load_with_nhcb" => self.load(line, &lines[i + 1..end], true).map_err(at)?,
                w if w.starts_with("eval") => {
                    cases.push(self.eval(i + 1, line, &lines[i + 1..end]).map_err(at)?)
                }
                other => return Err(at(format!("unknown command {other:?}"))),
            }
            i = end;
        }
        Ok(cases)
    }

    fn load(&self, line: &str, body: &[&str], with_nhcb: bool) -> Result<(), String> {
        let step = duration(line.split_whitespace().nth(1).ok_or("load without a step")?)?;
        let mut starts: Option<Vec<Option<i64>>> = None;
        let mut floats = Vec::new();
        for l in body {
            let word_end = l.find(char::is_whitespace).unwrap_or(l.len());
            if l[..word_end].ends_with("@st") {
                starts = Some(notation::starts(&l[word_end..])?);
                continue;
            }
            let (labels, rest) = notation::metric(l)?;
            let starts = starts.take().unwrap_or_default();
            for (i, item) in notation::values(rest)?.into_iter().enumerate() {
                let t = i as i64 * step;
                let Some(sample) = item.sample else { continue };
                let start = starts.get(i).copied().flatten().map_or(0, |d| t + d);
                if let Sample::Float(v) = &sample {
                    floats.push((labels.clone(), t, *v));
                }
                self.memory.put(&labels, t, start, sample);
            }
        }
        if with_nhcb {
            self.load_nhcb(&floats);
        }
        Ok(())
    }

    /// Classic histograms once more as native ones with custom buckets.
    fn load_nhcb(&self, floats: &[(Labels, i64, f64)]) {
        #[derive(Default)]
        struct Parts {
            buckets: Vec<(f64, f64)>,
            count: Option<f64>,
            sum: f64,
        }
        let mut all: BTreeMap<(Labels, i64), Parts> = BTreeMap::new();
        for (labels, t, v) in floats {
            let name = labels.metric_name();
            let parts = |base: &str, all: &mut BTreeMap<(Labels, i64), Parts>, f: &dyn Fn(&mut Parts)| {
                let key = labels.without(&["le"]).with(METRIC_NAME, base);
                f(all.entry((key, *t)).or_default());
            };
            if let Some(base) = name.strip_suffix("_bucket") {
                if let Ok(le) = labels.value("le").parse::<f64>() {
                    parts(base, &mut all, &|p| p.buckets.push((le, *v)));
                }
            } else if let Some(base) = name.strip_suffix("_count") {
                parts(base, &mut all, &|p| p.count = Some(*v));
            } else if let Some(base) = name.strip_suffix("_sum") {
                parts(base, &mut all, &|p| p.sum = *v);
            }
        }
        for ((labels, t), mut p) in all {
            p.buckets.sort_by(|a, b| a.0.total_cmp(&b.0));
            let total = p.count.or(p.buckets.last().map(|b| b.1)).unwrap_or(0.0);
            if p.buckets.last().is_none_or(|b| b.0 != f64::INFINITY) {
                p.buckets.push((f64::INFINITY, total));
            }
            let mut before = 0.0;
            let mut counts = Vec::new();
            for (_, v) in &p.buckets {
                counts.push(v - before);
                before = *v;
            }
            let mut h = Histogram {
                schema: CUSTOM_BUCKETS_SCHEMA,
                count: total,
                sum: p.sum,
                custom_values: p.buckets.iter().map(|b| b.0).filter(|b| b.is_finite()).collect(),
                positive_spans: vec![BucketSpan { offset: 0, length: counts.len() as u32 }],
                positive_buckets: counts,
                ..Default::default()
            };
            eval::histogram::compact(&mut h);
            self.memory.put(&labels, t, 0, Sample::Histogram(Box::new(h)));
        }
    }

    fn eval(&self, number: usize, line: &str, body: &[&str]) -> Result<Case, String> {
        let instant =
            Regex::new(r"^eval(?:_(fail|warn|ordered|info))?\s+instant\s+at\s+(\S+)\s+(.+)$").unwrap();
        let range = Regex::new(
            r"^eval(?:_(fail|warn|info))?\s+range\s+from\s+(\S+)\s+to\s+(\S+)\s+step\s+(\S+)\s+(.+)$",
        )
        .unwrap();
        let (mode, when, query) = if let Some(c) = instant.captures(line) {
            (c.get(1).map(|m| m.as_str()), When::Instant(duration(&c[2])?), c[3].to_owned())
        } else if let Some(c) = range.captures(line) {
            let when = When::Range(duration(&c[2])?, duration(&c[3])?, duration(&c[4])?);
            (c.get(1).map(|m| m.as_str()), when, c[5].to_owned())
        } else {
            return Err(format!("not an eval: {line:?}"));
        };
        let mut expected = Expected::default();
        match mode {
            Some("fail") => expected.fail = true,
            Some("warn") => expected.warn.push(Pattern::Any),
            Some("info") => expected.info.push(Pattern::Any),
            Some("ordered") => expected.ordered = true,
            _ => {}
        }
        for l in body {
            expectation(l, &mut expected)?;
        }
        let mut unsupported = None;
        let outcome = self.check(&query, when, &expected, &mut unsupported);
        let differs = self.divided.as_ref().and_then(|divided| self.compare_with(divided, &query, when));
        Ok(Case { line: number, query, outcome, unsupported, differs })
    }

    fn ask(&self, query: &str, when: When) -> Result<Answer, Error> {
        let mut answer = self.ask_of(&self.engine, query, when)?;
        if self.divided.is_some() {
            divided::forget_cluster(&mut answer.value);
        }
        Ok(answer)
    }

    fn ask_of(&self, engine: &Engine, query: &str, when: When) -> Result<Answer, Error> {
        self.runtime.block_on(async {
            match when {
                When::Instant(t) => engine.instant(query, t, &self.context).await,
                When::Range(a, b, s) => engine.range(query, a, b, s, &self.context).await,
            }
        })
    }

    /// At its time, and over a range around it.
    fn compare_with(&self, divided: &Engine, query: &str, when: When) -> Option<String> {
        let around = match when {
            When::Instant(t) => vec![when, When::Range(t - 120_000, t + 60_000, 60_000)],
            When::Range(..) => vec![when],
        };
        around.into_iter().find_map(|when| {
            let (whole, parts) = (self.ask_of(&self.engine, query, when), self.ask_of(divided, query, when));
            divided::difference(&whole, &parts).map(|d| format!("{query}: {d}"))
        })
    }

    fn check(
        &self,
        query: &str,
        when: When,
        expected: &Expected,
        unsupported: &mut Option<String>,
    ) -> Result<(), String> {
        let answer = match self.ask(query, when) {
            Ok(a) => a,
            Err(e) => {
                if let Error::NotYetSupported { what } = &e {
                    *unsupported = Some(what.clone());
                    return Err(e.to_string());
                }
                let text = match &e {
                    Error::Parse(p) => p.to_string(),
                    other => other.to_string(),
                };
                if !expected.fail {
                    return Err(format!("failed: {text}"));
                }
                return match &expected.fail_message {
                    Some(p) if !p.matches(&text) => Err(format!("failed with another message: {text}")),
                    _ => Ok(()),
                };
            }
        };
        if expected.fail {
            return Err("did not fail".to_owned());
        }
        check_notes("warning", &expected.warn, expected.no_warn, &answer.warnings)?;
        check_notes("info", &expected.info, expected.no_info, &answer.infos)?;
        compare(&answer.value, when, expected)?;
        self.check_in_range_mode(query, when, expected, &answer)
    }

    /// An instant query must answer the same in the middle of a range query.
    fn check_in_range_mode(
        &self,
        query: &str,
        when: When,
        expected: &Expected,
        answer: &Answer,
    ) -> Result<(), String> {
        let When::Instant(t) = when else { return Ok(()) };
        let of_query = Regex::new(r"\b(start|end|range|step)\s*\(\s*\)").unwrap();
        if expected.string.is_some() || expected.range.is_some() || of_query.is_match(query) {
            return Ok(());
        }
        let range = self
            .ask(query, When::Range(t - 60_000, t + 60_000, 60_000))
            .map_err(|e| format!("in range mode: {e}"))?;
        if expected.ordered {
            return Ok(());
        }
        let Value::Matrix(series) = range.value else { return Err("range mode gave no matrix".to_owned()) };
        let middle = series.into_iter().filter_map(|s| {
            let float = s.floats.iter().find(|(at, _)| *at == t).map(|(_, v)| SampleValue::Float(*v));
            let histogram = s.histograms.into_iter().find(|(at, _)| *at == t);
            let value = float.or(histogram.map(|(_, h)| SampleValue::Histogram(Box::new(h))))?;
            Some(promql::InstantSample { labels: s.labels, t_ms: t, value })
        });
        let middle: Vec<_> = middle.collect();
        let value = match (&answer.value, middle.first().map(|s| &s.value)) {
            (Value::Scalar { .. }, Some(SampleValue::Float(v))) => Value::Scalar { t_ms: t, v: *v },
            _ => Value::Vector(middle),
        };
        compare(&value, when, expected).map_err(|e| format!("in range mode: {e}"))
    }
}

fn duration(text: &str) -> Result<i64, String> {
    promql::literal::parse_duration(text)
}

fn expectation(line: &str, out: &mut Expected) -> Result<(), String> {
    if let Some(rest) = line.strip_prefix("expect range vector") {
        let w: Vec<&str> = rest.split_whitespace().collect();
        let ["from", from, "to", _, "step", step] = w.as_slice() else {
            return Err(format!("not a range: {rest:?}"));
        };
        out.range = Some((duration(from)?, duration(step)?));
    } else if let Some(rest) = line.strip_prefix("expect string") {
        let text = rest.trim();
        let e = promql::parse(text, &Default::default()).map_err(|e| e.to_string())?;
        if let promql::NodeKind::String(s) = e.kind(e.root()) {
            out.string = Some(s.clone());
        }
    } else if let Some(rest) = line.strip_prefix("expect ") {
        let mut parts = rest.trim().splitn(2, char::is_whitespace);
        let mode = parts.next().unwrap_or("");
        let pattern = match parts.next().map(str::trim).unwrap_or("") {
            "" => Pattern::Any,
            p if p.starts_with("msg:") => Pattern::Message(p[4..].trim().to_owned()),
            p if p.starts_with("regex:") => {
                Pattern::Regex(Regex::new(p[6..].trim()).map_err(|e| e.to_string())?)
            }
            other => return Err(format!("unknown pattern {other:?}")),
        };
        match mode {
            "fail" => {
                out.fail = true;
                out.fail_message = Some(pattern);
            }
            "warn" => out.warn.push(pattern),
            "info" => out.info.push(pattern),
            "no_warn" => out.no_warn = true,
            "no_info" => out.no_info = true,
            "ordered" => out.ordered = true,
            other => return Err(format!("unknown expectation {other:?}")),
        }
    } else if let Some(m) = line.strip_prefix("expected_fail_message") {
        out.fail_message = Some(Pattern::Message(m.trim().to_owned()));
    } else if let Some(m) = line.strip_prefix("expected_fail_regexp") {
        out.fail_message = Some(Pattern::Regex(Regex::new(m.trim()).map_err(|e| e.to_string())?));
    } else if let Ok(v) = line.parse::<f64>() {
        out.scalar = Some(v);
    } else {
        let (labels, rest) = notation::metric(line)?;
        out.series.push((labels, notation::values(rest)?));
    }
    Ok(())
}

fn check_notes(what: &str, expected: &[Pattern], none: bool, found: &[String]) -> Result<(), String> {
    if none && !found.is_empty() {
        return Err(format!("unexpected {what}s: {found:?}"));
    }
    if expected.is_empty() {
        return Ok(());
    }
    if !expected.iter().all(|p| found.iter().any(|f| p.matches(f))) {
        return Err(format!("an expected {what} is missing, found {found:?}"));
    }
    match found.iter().find(|f| !expected.iter().any(|p| p.matches(f))) {
        Some(extra) => Err(format!("unexpected {what}: {extra}")),
        None => Ok(()),
    }
}

/// Equal up to a relative error of 1e-6.
pub fn close(a: f64, b: f64) -> bool {
    if a.is_nan() || b.is_nan() {
        return a.is_nan() && b.is_nan();
    }
    if a == b {
        return true;
    }
    let (sum, diff) = (a.abs() + b.abs(), (a - b).abs());
    if a == 0.0 || b == 0.0 || sum < f64::MIN_POSITIVE {
        return diff < 1e-6 * f64::MIN_POSITIVE;
    }
    diff / sum.min(f64::MAX) < 1e-6
}

fn compare(value: &Value, when: When, expected: &Expected) -> Result<(), String> {
    match value {
        Value::Scalar { v, .. } => match expected.scalar {
            Some(want) if close(want, *v) => Ok(()),
            want => Err(format!("got scalar {v}, expected {want:?}")),
        },
        Value::String { s, .. } => match &expected.string {
            Some(want) if want == s => Ok(()),
            want => Err(format!("got string {s:?}, expected {want:?}")),
        },
        Value::Vector(samples) => {
            let found = samples.iter().map(|s| {
                let item = match &s.value {
                    SampleValue::Float(v) => Sample::Float(*v),
                    SampleValue::Histogram(h) => Sample::Histogram(h.clone()),
                };
                (s.labels.clone(), vec![(s.t_ms, item)])
            });
            compare_series(found.collect(), s_of(when), 1, expected)
        }
        Value::Matrix(series) => {
            let found = series.iter().map(|s| {
                let mut points: Vec<(i64, Sample)> =
                    s.floats.iter().map(|(t, v)| (*t, Sample::Float(*v))).collect();
                points.extend(s.histograms.iter().map(|(t, h)| (*t, Sample::Histogram(Box::new(h.clone())))));
                points.sort_by_key(|p| p.0);
                (s.labels.clone(), points)
            });
            let (start, step) = match (expected.range, when) {
                (Some(r), _) => r,
                (None, When::Range(a, _, s)) => (a, s),
                (None, When::Instant(t)) => (t, 1),
            };
            compare_series(found.collect(), start, step, expected)
        }
    }
}

fn s_of(when: When) -> i64 {
    match when {
        When::Instant(t) | When::Range(t, ..) => t,
    }
}

fn compare_series(
    found: Vec<(Labels, Vec<(i64, Sample)>)>,
    start: i64,
    step: i64,
    expected: &Expected,
) -> Result<(), String> {
    if let Some(v) = expected.scalar {
        return Err(format!("expected scalar {v}, got {} series", found.len()));
    }
    for (n, (labels, points)) in found.iter().enumerate() {
        let Some(at) = expected.series.iter().position(|(l, _)| l == labels) else {
            return Err(format!("unexpected series {labels}: {points:?}"));
        };
        if expected.ordered && at != n {
            return Err(format!("{labels} stands at {n}, expected at {at}"));
        }
        let wanted: Vec<(i64, &Item)> = expected.series[at]
            .1
            .iter()
            .enumerate()
            .filter(|(_, i)| i.sample.is_some())
            .map(|(i, item)| (start + i as i64 * step, item))
            .collect();
        let same = wanted.len() == points.len()
            && wanted.iter().zip(points).all(|((t, item), (at, got))| t == at && same_sample(item, got));
        if !same {
            return Err(format!("{labels}: got {points:?}, expected {wanted:?}"));
        }
    }
    match expected.series.iter().find(|(l, _)| !found.iter().any(|(f, _)| f == l)) {
        Some((missing, _)) => Err(format!("series {missing} is missing")),
        None => Ok(()),
    }
}

fn same_sample(expected: &Item, got: &Sample) -> bool {
    match (&expected.sample, got) {
        (Some(Sample::Float(a)), Sample::Float(b)) => close(*a, *b),
        (Some(Sample::Histogram(a)), Sample::Histogram(b)) => {
            same_histogram(a, b) && (!expected.hinted || a.reset_hint == b.reset_hint)
        }
        _ => false,
    }
}

pub fn same_histogram(a: &Histogram, b: &Histogram) -> bool {
    let (mut a, mut b) = (a.clone(), b.clone());
    eval::histogram::compact(&mut a);
    eval::histogram::compact(&mut b);
    let lists = |x: &[f64], y: &[f64]| x.len() == y.len() && x.iter().zip(y).all(|(p, q)| close(*p, *q));
    a.schema == b.schema
        && close(a.count, b.count)
        && close(a.sum, b.sum)
        && a.zero_threshold == b.zero_threshold
        && close(a.zero_count, b.zero_count)
        && a.custom_values == b.custom_values
        && a.positive_spans == b.positive_spans
        && a.negative_spans == b.negative_spans
        && lists(&a.positive_buckets, &b.positive_buckets)
        && lists(&a.negative_buckets, &b.negative_buckets)
}
