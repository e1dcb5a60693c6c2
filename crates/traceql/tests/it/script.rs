//! Runs `tests/scripts/*.test`, see [`crate::notation`]. Every eval runs over one `Select` that has all spans and over
//! one between whose members they are dealt; both must answer as written.

use std::{fs, path::Path, sync::Arc};

use contract::{Scope, Select, Tenants};
use model::{AnyValue, TenantId, TimeRange, TimestampNs};
use traceql::{
    FoundSpan, FoundTrace, MetricSeries, MetricsRequest, SearchRequest, metrics_instant, metrics_range,
    parse, search, units::format_duration,
};

use crate::{
    dealt::both,
    notation::{Ask, Line, What, read},
};

#[test]
fn every_script_answers_as_written_wherever_its_spans_lie() {
    let dir = Path::new(env!("ORRERY_CHECKOUT")).join("crates/traceql/tests/scripts");
    let mut files: Vec<_> = fs::read_dir(dir).unwrap().map(|e| e.unwrap().path()).collect();
    files.sort();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let (mut evals, mut failures) = (0, Vec::new());
    for file in &files {
        let name = file.file_name().unwrap().to_string_lossy().into_owned();
        runtime.block_on(run(&name, &fs::read_to_string(file).unwrap(), &mut evals, &mut failures));
    }
    println!("{} scripts, {evals} evals, {} failures", files.len(), failures.len());
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

async fn run(name: &str, script: &str, evals: &mut usize, failures: &mut Vec<String>) {
    let mut loaded = Vec::new();
    for line in read(script) {
        match line {
            Line::Clear => loaded.clear(),
            Line::Load(batch) => loaded.push(batch),
            Line::Eval { number, text, ask, want } => {
                *evals += 1;
                for (what, select) in both(&tenant(), &loaded).await {
                    let got = answer(&select, &ask).await.unwrap_or_else(|e| vec![format!("error: {e}")]);
                    if !same(&want, &got) {
                        let lines = |l: &[String]| l.join("\n    ");
                        let (want, got) = (lines(&want), lines(&got));
                        failures.push(format!(
                            "{name}:{number}: {text} ({what})\n  want:\n    {want}\n  got:\n    {got}"
                        ));
                    }
                }
            }
        }
    }
}

/// Errors are compared by some of their words, everything else exactly.
fn same(want: &[String], got: &[String]) -> bool {
    match (want, got) {
        ([w], [g]) if w.starts_with("error: ") => {
            g.starts_with("error: ") && g.contains(w.trim_start_matches("error: "))
        }
        _ => want == got,
    }
}

pub fn tenant() -> TenantId {
    TenantId::new("t").unwrap()
}

pub fn scope(start_ns: i64, end_ns: i64) -> Scope {
    Scope::new(Tenants::one(tenant()), TimeRange::new(TimestampNs(start_ns), TimestampNs(end_ns)))
}

async fn answer(select: &Arc<dyn Select>, ask: &Ask) -> traceql::Result<Vec<String>> {
    let query = parse(&ask.query)?;
    let scope = scope(ask.start_ns, ask.end_ns);
    let (limit, show): (usize, fn(&FoundTrace) -> Vec<String>) = match ask.what {
        What::Search { limit } => (limit, |t| sets(t, &|s| id(&s.span_id))),
        What::Spans { limit } => (limit, |t| sets(t, &with_attributes)),
        What::Traces { limit } => (limit, |t| vec![meta(t)]),
        What::Range { step_ns } => {
            let answer =
                metrics_range(select, &query, MetricsRequest { scope, step_ns, exemplars: 0 }).await?;
            let first = answer.series.iter().filter_map(|s| s.samples.first()).map(|(t, _)| *t).min();
            let steps = steps(ask, step_ns);
            assert!(first.is_none_or(|t| steps.contains(&t)), "{first:?} is none of {steps:?}");
            return Ok(answer.series.iter().map(|s| series(s, &steps)).collect());
        }
        What::Instant => {
            let answer =
                metrics_instant(select, &query, MetricsRequest { scope, step_ns: 0, exemplars: 0 }).await?;
            return Ok(answer.series.iter().map(|s| series(s, &[ask.end_ns / 1_000_000])).collect());
        }
    };
    let request = SearchRequest { scope, limit, spans_per_spanset: 100 };
    let answer = search(select, &query, request, |_| ()).await?;
    Ok(answer.traces.iter().flat_map(show).collect())
}

/// Milliseconds of every sample.
fn steps(ask: &Ask, step_ns: i64) -> Vec<i64> {
    let first = ask.start_ns / step_ns;
    let last = (ask.end_ns + step_ns - 1) / step_ns;
    (first..=last).map(|i| i * step_ns / 1_000_000).collect()
}

pub fn id(bytes: &[u8]) -> String {
    let text: String = bytes.iter().map(|b| format!("{b:02x}")).collect();
    text.trim_start_matches('0').to_owned()
}

fn pairs(all: &[(String, AnyValue)]) -> String {
    all.iter().map(|(k, v)| format!("{k}={v}")).collect::<Vec<_>>().join(" ")
}

fn sets(t: &FoundTrace, show: &dyn Fn(&FoundSpan) -> String) -> Vec<String> {
    let one = |s: &traceql::FoundSpanset| {
        let attributes = pairs(&s.attributes);
        let gap = if attributes.is_empty() { "" } else { " " };
        let spans: Vec<String> = s.spans.iter().map(show).collect();
        assert_eq!(s.matched as usize, s.spans.len());
        format!("{}{gap}{attributes}: {}", id(&t.trace_id), spans.join(" "))
    };
    t.spansets.iter().map(one).collect()
}

fn with_attributes(s: &FoundSpan) -> String {
    match s.attributes.is_empty() {
        true => id(&s.span_id),
        false => format!("{}({})", id(&s.span_id), pairs(&s.attributes)),
    }
}

fn meta(t: &FoundTrace) -> String {
    let root = t.root_service.as_deref().unwrap_or("-");
    let name = t.root_name.as_deref().map_or("-".to_owned(), |n| format!("{n:?}"));
    let services: Vec<String> =
        t.services.iter().map(|s| format!("{}:{}/{}", s.service, s.spans, s.errors)).collect();
    let (start, duration) = (format_duration(t.start_ns), format_duration(t.duration_ns));
    format!("{} {root} {name} {start} {duration} {}", id(&t.trace_id), services.join(" "))
}

fn series(s: &MetricSeries, steps: &[i64]) -> String {
    let labels: Vec<String> = s.labels.iter().map(|(k, v)| format!("{k}={v}")).collect();
    let sample = |at: &i64| {
        let found = s.samples.iter().find(|(t, _)| t == at);
        found.map_or("_".to_owned(), |(_, v)| v.to_string())
    };
    let samples: Vec<String> = steps.iter().map(sample).collect();
    format!("{{{}}} {}", labels.join(", "), samples.join(" "))
}
