//! `patterns`: which kinds of lines streams have, as they were mined when the lines came in.

use base::memory::Use;
use contract::{PatternsRequest, QueryLimits, Scope, SeriesData};
use ingest::patterns::{LEVEL_LABEL, PATTERN_LABEL};
use model::{TimeRange, TimestampNs};

use super::{
    Answered, Ask, LokiError,
    query::{HOUR_NS, step_ns, time_range},
};
use crate::prom::json::Writer;

pub async fn patterns(ask: Ask) -> Result<Answered, LokiError> {
    let (start, end) = time_range(&ask.params, ask.state.clock.now_ns(), HOUR_NS)?;
    let step_ms = step_ns(&ask.params, start, end)? / 1_000_000;
    let matchers = logql::parse_selector(ask.params.require("query")?).map_err(logql::Error::from)?;
    let (select, tenants) = (ask.reads.select.clone(), ask.tenants.clone());
    let run = |limits: QueryLimits| async move {
        let budget = limits.memory.clone();
        let range = TimeRange::new(TimestampNs(start), TimestampNs(end.saturating_add(1)));
        let scope = Scope { tenants, range, limits };
        let (mut found, coverage) =
            select.patterns(PatternsRequest { scope, matchers, step_ms: step_ms.max(1) }).await?;
        let bytes = |s: &SeriesData| 64 + 3 * s.labels.packed_len() + 32 * s.values.len();
        let memory = Some(budget.reserve(Use::Query, found.iter().map(bytes).sum::<usize>() as u64)?);
        let lines = |s: &SeriesData| s.values.iter().sum::<f64>();
        found.sort_by(|a, b| lines(b).total_cmp(&lines(a)).then_with(|| a.labels.cmp(&b.labels)));
        let mut w = Writer::default();
        w.list(&found, pattern);
        Ok(Answered { data: w.0, warnings: Vec::new(), coverage, memory })
    };
    Ok(ask.run(run).await?)
}

/// `{"pattern":"…","level":"…","samples":[[<s>,<lines>], …]}`
fn pattern(w: &mut Writer, s: &SeriesData) {
    w.raw("{\"pattern\":").string(s.labels.value(PATTERN_LABEL));
    w.raw(",\"level\":").string(s.labels.value(LEVEL_LABEL)).raw(",\"samples\":");
    w.list(s.timestamps_ms.iter().zip(&s.values), |w, (at, lines)| {
        w.raw(&format!("[{},{}]", at.div_euclid(1000), *lines as u64));
    });
    w.raw("}");
}
