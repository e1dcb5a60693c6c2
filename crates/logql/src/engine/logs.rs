//! Log queries: the first `limit` lines from one end, grouped into streams.

use std::{collections::BTreeMap, ops::ControlFlow};

use contract::Direction;
use model::{Labels, TimeRange};

use super::{
    Run,
    scan::{Scan, scan},
};
use crate::{Entry, Result, StreamEntries, ast::LogExpr, pipeline::compile};

pub(super) async fn run(
    run: &mut Run<'_>,
    log: &LogExpr,
    range: TimeRange,
    limit: usize,
    direction: Direction,
) -> Result<Vec<StreamEntries>> {
    let pipeline = compile(&log.stages, run.clock())?;
    let mut streams: BTreeMap<Labels, Vec<Entry>> = BTreeMap::new();
    let mut left = limit;
    if limit > 0 {
        let what = Scan { direction, limit: Some(limit), ..Scan::of(log, range) };
        scan(run, what, &pipeline, &mut |run, row| {
            let (labels, structured, parsed) = row.labels.split();
            let held = row.line.len() + structured.packed_len() + parsed.packed_len();
            run.memory.add(held + std::mem::size_of::<Entry>())?;
            let entry = Entry { ts_ns: row.ts_ns, line: row.line.into_owned(), structured, parsed };
            streams.entry(labels).or_default().push(entry);
            left -= 1;
            Ok(if left == 0 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
        })
        .await?;
    }
    Ok(streams.into_iter().map(|(labels, entries)| StreamEntries { labels, entries }).collect())
}
