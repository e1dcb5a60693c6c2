//! `labels`, `label/…/values`, `series`.

use axum::extract::Path;
use contract::{LabelNamesRequest, LabelValuesRequest, NamedField, Scope};
use model::{Matcher, Signal, TimeRange, TimestampNs};

use super::{Answered, Ask, LokiError, query::time_range};
use crate::{Error, prom::json::Writer};

/// What a label query reaches back where the client names no start, as in Loki.
const DEFAULT_NS: i64 = 6 * 3_600_000_000_000;

pub async fn names(ask: Ask) -> Result<Answered, LokiError> {
    let (range, selectors) = (range(&ask)?, query_selector(&ask)?);
    let (select, tenants) = (ask.state.select.clone(), ask.tenants.clone());
    let run = |limits| async move {
        let scope = Scope { tenants, range, limits };
        let request = LabelNamesRequest { scope, signal: Signal::LOGS, selectors, limit: None };
        let (found, coverage) = select.label_names(request).await?;
        Ok(Answered { data: strings(&found), warnings: Vec::new(), coverage })
    };
    Ok(ask.run(run).await?)
}

pub async fn values(Path(name): Path<String>, ask: Ask) -> Result<Answered, LokiError> {
    let (range, selectors) = (range(&ask)?, query_selector(&ask)?);
    let (select, tenants) = (ask.state.select.clone(), ask.tenants.clone());
    let run = |limits| async move {
        let scope = Scope { tenants, range, limits };
        let field = NamedField::Label(name);
        let request = LabelValuesRequest { scope, signal: Signal::LOGS, field, selectors, limit: None };
        let (found, coverage) = select.label_values(request).await?;
        Ok(Answered { data: strings(&found), warnings: Vec::new(), coverage })
    };
    Ok(ask.run(run).await?)
}

pub async fn series(ask: Ask) -> Result<Answered, LokiError> {
    let range = range(&ask)?;
    let given = ask.params.all("match[]").chain(ask.params.all("match")).filter(|s| !matches!(*s, "" | "{}"));
    let selectors = given.map(selector).collect::<Result<Vec<_>, _>>()?;
    let (select, tenants) = (ask.state.select.clone(), ask.tenants.clone());
    let run = |limits| async move {
        let scope = Scope { tenants, range, limits };
        let request = LabelNamesRequest { scope, signal: Signal::LOGS, selectors, limit: None };
        let (found, coverage) = select.label_sets(request).await?;
        let mut w = Writer::default();
        w.list(&found, |w, l| {
            w.labels(l);
        });
        Ok(Answered { data: w.0, warnings: Vec::new(), coverage })
    };
    Ok(ask.run(run).await?)
}

fn strings(found: &[String]) -> Vec<u8> {
    let mut w = Writer::default();
    w.strings(found);
    w.0
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
