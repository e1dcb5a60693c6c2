//! `query_exemplars`: the exemplars of every series that some selector of the query matches.

use base::memory::Use;
use contract::{ExemplarsRequest, QueryLimits, Scope};
use model::{Exemplar, Labels};

use super::{Answered, Ask, PromError, json::Writer, labels::time_range, query::parsed};

pub async fn query(ask: Ask) -> Result<Answered, PromError> {
    let range = time_range(&ask)?;
    let expr = parsed(&ask)?;
    let selectors: Vec<_> = expr.selectors().into_iter().map(|s| s.matchers.clone()).collect();
    if selectors.is_empty() {
        return Ok(Answered { data: b"[]".to_vec(), ..Answered::default() });
    }
    let (select, tenants) = (ask.reads.select.clone(), ask.tenants.clone());
    let run = |limits: QueryLimits| async move {
        let budget = limits.memory.clone();
        let scope = Scope { tenants, range, limits };
        let (found, coverage) = select.exemplars(ExemplarsRequest { scope, selectors }).await?;
        let memory = Some(budget.reserve(Use::Query, found.iter().map(expected_bytes).sum())?);
        let mut w = Writer::default();
        w.list(&found, |w, (labels, exemplars)| {
            w.raw("{\"seriesLabels\":").labels(labels).raw(",\"exemplars\":");
            w.list(exemplars, |w, e| {
                w.raw("{\"labels\":").labels(&e.labels).raw(",\"value\":").value(e.value);
                w.raw(",\"timestamp\":").time(e.timestamp_ms).raw("}");
            });
            w.raw("}");
        });
        Ok(Answered { data: w.0, coverage: Some(coverage), memory, ..Answered::default() })
    };
    Ok(ask.run(run).await?)
}

fn expected_bytes((labels, exemplars): &(Labels, Vec<Exemplar>)) -> u64 {
    let of = |l: &Labels| 64 + 3 * l.packed_len() as u64;
    of(labels) + exemplars.iter().map(|e| of(&e.labels) + 64).sum::<u64>()
}
