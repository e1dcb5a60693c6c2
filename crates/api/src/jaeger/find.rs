//! Version 1: search and traces by id.

use axum::extract::Path;
use base::Kind;
use contract::QueryLimits;
use model::TimeRange;

use super::{
    Answered, Ask, JaegerError, UiError,
    adjust::adjust,
    asked::{Wanted, flag, trace_range},
    pretty,
    reads::Reads,
    search::trace_id,
    to_json,
    trace::{self, trace_text},
};
use crate::Error;

/// JSON is larger than what it is made of: keys, quotes, hexadecimal ids.
const JSON_FACTOR: usize = 3;

/// How traces are to be shown.
#[derive(Clone, Copy)]
struct Shown {
    /// As stored.
    raw: bool,
    /// For people.
    pretty: bool,
    /// A trace that is not there becomes an error of the answer.
    names_missing: bool,
}

pub async fn traces(ask: Ask) -> Result<Answered, JaegerError> {
    let wanted = Wanted::read(&ask.params, ask.state.clock.now_ns())?;
    let shown = Shown { raw: flag(&ask.params, "raw")?, pretty: pretty(&ask.params), names_missing: false };
    let (from, tenants) = (ask.reads.clone(), ask.tenants.clone());
    let run = |limits: QueryLimits| async move {
        let reads = Reads::new(&from, tenants, limits);
        match wanted {
            Wanted::Traces(ids) => {
                answer(reads, &ids, TimeRange::ALL, Shown { names_missing: true, ..shown }).await
            }
            Wanted::Search(search) => {
                let mut reads = reads;
                let found = reads.matching(&search).await?;
                answer(reads, &found.ids, found.around, shown).await
            }
        }
    };
    Ok(ask.run(run).await?)
}

#[derive(serde::Deserialize)]
pub struct TracePath {
    pub id: String,
}

/// One trace, of all time unless `start` and `end` narrow it.
pub async fn trace(Path(TracePath { id }): Path<TracePath>, ask: Ask) -> Result<Answered, JaegerError> {
    let (wanted, range) = (trace_id(&id)?, trace_range(&ask.params)?);
    let shown = Shown { raw: flag(&ask.params, "raw")?, pretty: pretty(&ask.params), names_missing: true };
    let (from, tenants) = (ask.reads.clone(), ask.tenants.clone());
    let run = |limits: QueryLimits| async move {
        let answer = answer(Reads::new(&from, tenants, limits), &[wanted], range, shown).await?;
        // Whoever did not answer may have it, so an incomplete answer is no "not found".
        match answer.errors.is_empty() || !answer.coverage.is_complete() {
            true => Ok(answer),
            false => Err(Error::new(Kind::NotFound, "trace not found")),
        }
    };
    Ok(ask.run(run).await?)
}

/// All spans of the traces.
async fn answer(
    mut reads: Reads,
    ids: &[[u8; 16]],
    range: TimeRange,
    shown: Shown,
) -> Result<Answered, Error> {
    let mut memory = reads.reserve()?;
    let traces = reads.traces(ids, range, &mut memory, JSON_FACTOR).await?;
    let missing = ids.iter().filter(|id| shown.names_missing && !traces.has(id));
    let errors = missing
        .map(|id| UiError { code: 404, msg: "trace not found".to_owned(), trace_id: Some(trace_text(id)) })
        .collect();
    let ui: Vec<_> = traces
        .newest_first()
        .into_iter()
        .map(|(id, mut batch)| {
            if !shown.raw {
                adjust(&mut batch);
            }
            trace::ui(&id, &batch)
        })
        .collect();
    let data = to_json(&ui)?;
    memory.shrink_to(data.len() as u64);
    let (coverage, pretty) = (reads.coverage, shown.pretty);
    Ok(Answered { data, errors, coverage, pretty, memory: Some(memory), ..Answered::default() })
}
