//! Two Prometheus-compatible addresses asked the same, and every difference between their answers.
//!
//! ```text
//! dashboards, rules ─► expressions (dashboard) ─► variables from label values (variables)
//!        ─► each expression at each range, to both addresses (ask) ─► differences (diff) ─► report
//! ```
//! What is asked are the expressions people really use. Rule files are read by whoever calls, since YAML is
//! read in one place; they come in as [`Expression`]s.

pub mod dashboard;
pub mod report;

mod ask;
mod diff;
mod variables;

use std::{sync::Arc, time::Duration};

use base::{Clock, Shutdown};
use futures::{StreamExt, stream};

use self::{
    ask::{Asked, Asker},
    variables::Values,
};
pub use self::{
    dashboard::{Dashboard, Expression, Variable},
    diff::{Difference, Tolerance},
    report::{Outcome, Query, Report},
};
use crate::{Error, Result, Target};

/// A stretch of time and the distance of its steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct Range {
    pub start_ms: i64,
    pub end_ms: i64,
    pub step_ms: i64,
}

impl Range {
    /// The steps one answer may have, as every Prometheus-compatible server has it.
    const MAX_STEPS: i64 = 11_000;

    /// `length` up to `end`, both moved to multiples of the step. Without a step there are some 250.
    pub fn new(end_ms: i64, length: Duration, step: Option<Duration>) -> Result<Self> {
        let length_ms = i64::try_from(length.as_millis()).unwrap_or(i64::MAX);
        let usual = (length_ms / 250 / 15_000).max(1) * 15_000;
        let step_ms = step.map_or(usual, |s| i64::try_from(s.as_millis()).unwrap_or(i64::MAX));
        if step_ms <= 0 || length_ms / step_ms >= Self::MAX_STEPS {
            let value = format!("{length:?} by {step:?}");
            let wanted = "a range has from 1 to 11000 steps of at least a millisecond";
            return Err(Error::Option { option: "range", value, wanted });
        }
        let end_ms = end_ms.div_euclid(step_ms) * step_ms;
        Ok(Range { start_ms: end_ms - length_ms.div_euclid(step_ms) * step_ms, end_ms, step_ms })
    }
}

/// What a comparison is told.
#[derive(Debug, Clone)]
pub struct Options {
    pub a: Target,
    pub b: Target,
    pub dashboards: Vec<Dashboard>,
    /// Expressions that need no variables: of rules, or given by hand.
    pub expressions: Vec<Expression>,
    pub ranges: Vec<Range>,
    pub tolerance: Tolerance,
    /// Labels taken off every series before comparing, such as one that only one side stamps.
    pub ignore_labels: Vec<String>,
    /// Values of variables given by hand, before anything else.
    pub variables: Vec<(String, String)>,
    /// What `$__rate_interval` is made of beside the step.
    pub scrape_interval: Duration,
    /// Questions under way at once; each goes to both addresses.
    pub concurrency: usize,
    pub timeout: Duration,
}

#[derive(Debug, Clone, Default)]
pub struct Progress {
    pub asked: usize,
    pub of: usize,
    pub different: usize,
}

impl std::fmt::Display for Progress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} of {} compared, {} different", self.asked, self.of, self.different)
    }
}

/// One question: an expression with its variables filled in, at one range.
struct Question {
    source: String,
    expr: String,
    instant: bool,
    range: Range,
}

/// Asks everything. A question that only one side can answer is a difference; an address that does not answer
/// at all is an error.
pub async fn run(
    options: &Options,
    clock: &Clock,
    stop: &Shutdown,
    mut on_progress: impl FnMut(&Progress),
) -> Result<Report> {
    let Some(last) = options.ranges.last() else {
        let wanted = "at least one range is needed";
        return Err(Error::Option { option: "range", value: "none".to_owned(), wanted });
    };
    let a = Asker::new(options.a.clone(), options.timeout)?;
    let b = Asker::new(options.b.clone(), options.timeout)?;
    let mut report = Report::new(options, clock.now_ms());
    let annotated = (a.probe(last.end_ms).await?, b.probe(last.end_ms).await?);
    if annotated.0 != annotated.1 {
        let (which, other) = if annotated.0 { ("B", "A") } else { ("A", "B") };
        report.note(format!(
            "{which} does not annotate its answers, as Prometheus before 2.48: annotations of {other} are not compared"
        ));
    }
    let mut questions = Vec::new();
    for d in &options.dashboards {
        for range in &options.ranges {
            let values = Values::find(d, &a, options, *range).await?;
            for note in &values.notes {
                report.note(format!("{}: {note}", d.name));
            }
            for e in &d.expressions {
                match values.fill(&e.text) {
                    Ok(expr) => questions.push(question(e, expr, *range)),
                    Err(why) => report.skip(e, why),
                }
            }
        }
    }
    for e in &options.expressions {
        questions.extend(options.ranges.iter().map(|r| question(e, e.text.clone(), *r)));
    }
    let mut progress = Progress { of: questions.len(), ..Progress::default() };
    let sides = Arc::new((a, b));
    let mut answers = stream::iter(questions)
        .map(|q| {
            let sides = sides.clone();
            async move {
                let (x, y) = futures::join!(sides.0.ask(&q), sides.1.ask(&q));
                (q, x, y)
            }
        })
        .buffered(options.concurrency.max(1));
    while let Some((q, x, y)) = answers.next().await {
        let query = judge(q, x, y, options, annotated.0 && annotated.1);
        progress.asked += 1;
        progress.different += usize::from(query.outcome == Outcome::Different);
        report.add(query);
        on_progress(&progress);
        if stop.is_started() {
            break;
        }
    }
    drop(answers);
    report.seconds = sides.0.seconds() + sides.1.seconds();
    Ok(report)
}

fn question(e: &Expression, expr: String, range: Range) -> Question {
    Question { source: e.source.clone(), expr, instant: e.instant, range }
}

fn judge(q: Question, mut a: Asked, mut b: Asked, o: &Options, annotated: bool) -> Query {
    if !annotated {
        for answer in [&mut a.answer, &mut b.answer].into_iter().flatten() {
            answer.without_annotations();
        }
    }
    let differences = match (&a.answer, &b.answer) {
        (Ok(x), Ok(y)) => diff::answers(x, y, &o.tolerance, &o.ignore_labels),
        // Both refuse: that is agreement, whatever words they find.
        (Err(x), Err(y)) if x.kind == y.kind => diff::Found::default(),
        (x, y) => diff::Found::one(Difference::Answer { a: told(x), b: told(y) }),
    };
    let refused = a.answer.is_err() && b.answer.is_err();
    let empty = [&a, &b].iter().all(|x| x.answer.as_ref().is_ok_and(ask::Answer::is_empty));
    let outcome = match (differences.count, refused, empty) {
        (0, true, _) => Outcome::Refused,
        (0, _, true) => Outcome::Empty,
        (0, ..) => Outcome::Same,
        _ => Outcome::Different,
    };
    Query {
        source: q.source,
        expr: q.expr,
        instant: q.instant,
        range: q.range,
        outcome,
        series: a.answer.as_ref().map_or(0, ask::Answer::len),
        said: a.answer.as_ref().err().map(|e| e.to_string()),
        a_ms: a.took.as_secs_f64() * 1e3,
        b_ms: b.took.as_secs_f64() * 1e3,
        difference_count: differences.count,
        differences: differences.first,
    }
}

fn told(answer: &Result<ask::Answer, ask::Refusal>) -> String {
    match answer {
        Ok(a) => format!("{} series", a.len()),
        Err(e) => e.to_string(),
    }
}

#[cfg(test)]
mod tests;
