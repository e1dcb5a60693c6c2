//! Runs `tests/scripts/*.test`.
//!
//! ```text
//! load {app="a"}                        records of one stream; times count from 1970
//!   1s a line                           the line is the rest
//!   2s @{trace="x"} another             with attributes
//!   3s %17 a line of severity number 17
//! eval log 0s 10s [limit 5] [forward] {app="a"} |= "x"
//!   2s {app="a", trace="x"} another     time, all labels, line
//! eval instant 10s rate({app="a"}[5s])
//!   {app="a"} 0.4                       or: scalar 5
//! eval range 0s 10s 5s rate({app="a"}[5s])
//!   {app="a"} _ 0.4 0.2                 one value per step, `_` for none
//!   error: some words of the message    for any eval
//! clear                                 forgets what was loaded
//! ```
//! Every eval runs over a `Select` that filters lines and over one that does not; both must answer as written.

use std::{fs, path::Path, sync::Arc};

use base::Clock;
use contract::{Append, AppendUnit, Direction, QueryLimits, Select, Tenants, fake::Fake};
use logql::{Answer, Engine, EngineOptions, QueryContext, Value, by_all_labels, units::parse_duration};
use model::{AnyValue, Attributes, Batch, Labels, LogBatch, LogRecord, LogStream, MatchOp, TenantId};

use crate::seen::Plain;

#[test]
fn every_script_answers_as_written_whether_or_not_the_select_filters_lines() {
    let dir = Path::new(env!("ORRERY_CHECKOUT")).join("crates/logql/tests/scripts");
    let mut files: Vec<_> = fs::read_dir(dir).unwrap().map(|e| e.unwrap().path()).collect();
    files.sort();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let (mut evals, mut failures) = (0, Vec::new());
    for file in &files {
        let text = fs::read_to_string(file).unwrap();
        let name = file.file_name().unwrap().to_string_lossy().into_owned();
        runtime.block_on(run(&name, &text, &mut evals, &mut failures));
    }
    println!("{} scripts, {evals} evals, {} failures", files.len(), failures.len());
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

async fn run(name: &str, text: &str, evals: &mut usize, failures: &mut Vec<String>) {
    let mut fake = Arc::new(Fake::new());
    let lines: Vec<(usize, &str)> = text.lines().enumerate().collect();
    let mut at = 0;
    while at < lines.len() {
        let (number, line) = lines[at];
        at += 1;
        let from = at;
        while at < lines.len() && lines[at].1.starts_with(' ') {
            at += 1;
        }
        let body: Vec<&str> = lines[from..at].iter().map(|(_, l)| l.trim_start()).collect();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        if line == "clear" {
            fake = Arc::new(Fake::new());
        } else if let Some(labels) = line.strip_prefix("load ") {
            load(&fake, labels, &body).await;
        } else if let Some(eval) = line.strip_prefix("eval ") {
            *evals += 1;
            let selects: [(&str, Arc<dyn Select>); 2] =
                [("filtering", fake.clone()), ("plain", Arc::new(Plain(fake.clone())))];
            for (what, select) in selects {
                let got = answer(select, eval).await;
                if !same(&body, &got) {
                    failures.push(format!(
                        "{name}:{}: {line} ({what})\n  want:\n    {}\n  got:\n    {}",
                        number + 1,
                        body.join("\n    "),
                        got.join("\n    ")
                    ));
                }
            }
        } else {
            panic!("{name}:{}: what is {line:?}?", number + 1);
        }
    }
}

/// Errors are compared by some of their words, everything else exactly.
fn same(want: &[&str], got: &[String]) -> bool {
    match (want, got) {
        ([w], [g]) if w.starts_with("error: ") => {
            g.starts_with("error: ") && g.contains(w.trim_start_matches("error: "))
        }
        _ => want.len() == got.len() && want.iter().zip(got).all(|(w, g)| w == g),
    }
}

fn ns(text: &str) -> i64 {
    parse_duration(text).unwrap_or_else(|| panic!("not a time: {text:?}"))
}

pub fn labels(text: &str) -> Labels {
    let matchers = logql::parse_selector(text).unwrap_or_else(|e| panic!("{text}: {e}"));
    Labels::from_pairs(matchers.into_iter().map(|m| {
        assert_eq!(m.op, MatchOp::Equal);
        (m.name, m.value)
    }))
}

async fn load(fake: &Fake, stream: &str, body: &[&str]) {
    let streams = vec![LogStream { labels: labels(stream), ..LogStream::default() }];
    let mut records = Vec::new();
    for line in body {
        let (time, mut rest) = line.split_once(' ').unwrap_or((line, ""));
        let mut record = LogRecord { timestamp_ns: ns(time), ..LogRecord::default() };
        if let Some(r) = rest.strip_prefix('%') {
            let (number, r) = r.split_once(' ').unwrap();
            record.severity_number = number.parse().unwrap();
            rest = r;
        }
        if let Some(r) = rest.strip_prefix('@') {
            let (set, r) = r.split_once("} ").unwrap();
            let set = labels(&format!("{set}}}"));
            record.attributes =
                Attributes::from_iter(set.iter().map(|(n, v)| (n.replace("__dot__", "."), v)));
            rest = r;
        }
        record.body = match rest.strip_prefix("#int ") {
            Some(n) => AnyValue::Int(n.parse().unwrap()),
            None => AnyValue::String(rest.replace("\\e", "\u{1b}").replace("\\n", "\n")),
        };
        records.push(record);
    }
    let unit = AppendUnit {
        batch_id: None,
        received_ns: 0,
        batches: vec![Batch::Logs(LogBatch { streams, records })],
    };
    fake.append(&TenantId::default(), unit).await.unwrap();
}

async fn answer(select: Arc<dyn Select>, eval: &str) -> Vec<String> {
    let options = EngineOptions { clock: Clock::manual(0), ..EngineOptions::default() };
    let engine = Engine::new(select, options);
    let ctx = QueryContext { tenants: Tenants::one(TenantId::default()), limits: QueryLimits::default() };
    let (kind, rest) = eval.split_once(' ').unwrap();
    let word = |rest: &mut &str| {
        let (w, r) = rest.split_once(' ').unwrap();
        let w = w.to_owned();
        *rest = r;
        w
    };
    let mut rest = rest;
    let mut grid = Vec::new();
    let (mut limit, mut direction) = (1000, Direction::NewestFirst);
    let result = match kind {
        "instant" => {
            let t = ns(&word(&mut rest));
            engine.instant(rest, t, limit, direction, &ctx).await
        }
        "range" => {
            let (a, b, step) = (ns(&word(&mut rest)), ns(&word(&mut rest)), ns(&word(&mut rest)));
            grid = (a..=b).step_by(step as usize).map(|t| t / 1_000_000).collect();
            engine.range(rest, a, b, step, limit, direction, &ctx).await
        }
        "log" => {
            let (a, b) = (ns(&word(&mut rest)), ns(&word(&mut rest)));
            if let Some(r) = rest.strip_prefix("limit ") {
                rest = r;
                limit = word(&mut rest).parse().unwrap();
            }
            if let Some(r) = rest.strip_prefix("forward ") {
                rest = r;
                direction = Direction::OldestFirst;
            }
            engine.range(rest, a, b, 1, limit, direction, &ctx).await
        }
        other => panic!("eval {other:?}?"),
    };
    match result {
        Ok(a) => printed(a, &grid),
        Err(e) => vec![format!("error: {}", e.to_string().replace('\n', " "))],
    }
}

fn time(ns: i64) -> String {
    format!("{}s", ns as f64 / 1e9)
}

fn set(labels: &Labels) -> String {
    let all: Vec<String> = labels.iter().map(|(n, v)| format!("{n}={v:?}")).collect();
    format!("{{{}}}", all.join(", "))
}

fn printed(answer: Answer, grid: &[i64]) -> Vec<String> {
    assert!(answer.coverage.is_complete());
    match answer.value {
        Value::Scalar(_, v) => vec![format!("scalar {v}")],
        Value::Vector(v) => v.iter().map(|(l, _, x)| format!("{} {x}", set(l))).collect(),
        Value::Streams(s) => {
            let mut out = Vec::new();
            for stream in by_all_labels(s) {
                for e in stream.entries {
                    // An error's details are ours to word; scripts test its name.
                    let shown = stream.labels.without(&["__error_details__"]);
                    let line = e.line.replace('\u{1b}', "\\e").replace('\n', "\\n");
                    out.push(format!("{} {} {line}", time(e.ts_ns), set(&shown)).trim_end().to_owned());
                }
            }
            out
        }
        Value::Matrix(m) => m
            .iter()
            .map(|(l, points)| {
                let value = |t: i64| match points.iter().find(|(x, _)| *x == t) {
                    Some((_, v)) => v.to_string(),
                    None => "_".to_owned(),
                };
                let values: Vec<String> = grid.iter().map(|t| value(*t)).collect();
                format!("{} {}", set(l), values.join(" "))
            })
            .collect(),
    }
}
