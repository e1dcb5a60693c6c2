//! `labels`, `label/…/values`, `series`.

use axum::extract::Path;
use base::{MemoryBudget, memory::Use};
use contract::{Coverage, LabelNamesRequest, LabelValuesRequest, NamedField, QueryLimits, Scope};
use model::{Matcher, Signal, TimeRange, TimestampNs};

use super::{Answered, Ask, LokiError, query::time_range};
use crate::{Error, prom::json::Writer};

/// What a label query reaches back where the client names no start, as in Loki.
const DEFAULT_NS: i64 = 6 * 3_600_000_000_000;

pub async fn names(ask: Ask) -> Result<Answered, LokiError> {
    let (range, selectors) = (range(&ask)?, query_selector(&ask)?);
    let (select, tenants) = (ask.reads.select.clone(), ask.tenants.clone());
    let run = |limits: QueryLimits| async move {
        let budget = limits.memory.clone();
        let scope = Scope { tenants, range, limits };
        let request = LabelNamesRequest { scope, signal: Signal::LOGS, selectors, limit: None };
        let (found, coverage) = select.label_names(request).await?;
        strings(&found, coverage, &budget)
    };
    Ok(ask.run(run).await?)
}

pub async fn values(Path(name): Path<String>, ask: Ask) -> Result<Answered, LokiError> {
    let (range, selectors) = (range(&ask)?, query_selector(&ask)?);
    let (select, tenants) = (ask.reads.select.clone(), ask.tenants.clone());
    let run = |limits: QueryLimits| async move {
        let budget = limits.memory.clone();
        let scope = Scope { tenants, range, limits };
        let field = NamedField::Label(name);
        let request = LabelValuesRequest { scope, signal: Signal::LOGS, field, selectors, limit: None };
        let (found, coverage) = select.label_values(request).await?;
        strings(&found, coverage, &budget)
    };
    Ok(ask.run(run).await?)
}

pub async fn series(ask: Ask) -> Result<Answered, LokiError> {
    let range = range(&ask)?;
    let given = ask.params.all("match[]").chain(ask.params.all("match")).filter(|s| !matches!(*s, "" | "{}"));
    let selectors = given.map(selector).collect::<Result<Vec<_>, _>>()?;
    let (select, tenants) = (ask.reads.select.clone(), ask.tenants.clone());
    let run = |limits: QueryLimits| async move {
        let budget = limits.memory.clone();
        let scope = Scope { tenants, range, limits };
        let request = LabelNamesRequest { scope, signal: Signal::LOGS, selectors, limit: None };
        let (found, coverage) = select.label_sets(request).await?;
        let expected = found.iter().map(|l| 64 + 3 * l.packed_len() as u64).sum();
        let memory = Some(budget.reserve(Use::Query, expected)?);
        let mut w = Writer::default();
        w.list(&found, |w, l| {
            w.labels(l);
        });
        Ok(Answered { data: w.0, warnings: Vec::new(), coverage, memory })
    };
    Ok(ask.run(run).await?)
}

fn strings(found: &[String], coverage: Coverage, budget: &MemoryBudget) -> Result<Answered, Error> {
    let expected = found.iter().map(|s| 32 + 2 * s.len() as u64).sum();
    let memory = Some(budget.reserve(Use::Query, expected)?);
    let mut w = Writer::default();
    w.strings(found);
    Ok(Answered { data: w.0, warnings: Vec::new(), coverage, memory })
}

fn range(ask: &Ask) -> Result<TimeRange, Error> {
    let (start, end) = time_range(&ask.params, ask.state.clock.now_ns(), DEFAULT_NS)?;
    // Both ends are included here, while ranges are half open.
    Ok(TimeRange::new(TimestampNs(start), TimestampNs(end.saturating_add(1))))
}

/// `query`: a stream selector that narrows the answer.
fn query_selector(ask: &Ask) -> Result<Vec<Vec<Matcher>>, Error> {
    match ask.params.get("query") {
        None | Some("{}") => Ok(Vec::new()),
        Some(text) => Ok(vec![selector(text)?]),
    }
}

fn selector(text: &str) -> Result<Vec<Matcher>, Error> {
    logql::parse_selector(text).map_err(|e| logql::Error::from(e).into())
}
