//! Records of one selector through one pipeline.

use std::ops::ControlFlow;

use contract::{Direction, LogsRequest, Scope};
use futures::StreamExt;
use model::{LogBatch, Matcher, TimeRange};

use super::Run;
use crate::{
    Error, Result,
    ast::{LogExpr, Stage},
    passing::passing,
    pipeline::{
        Pipeline, Row,
        line::{Pushdown, pushdown},
        only::fields,
        record::StreamView,
    },
};

/// The deadline is looked at once in so many records.
const RECORDS_PER_CHECK: u64 = 1024;

/// What to read.
pub(super) struct Scan<'q> {
    pub matchers: &'q [Matcher],
    pub stages: &'q [Stage],
    pub range: TimeRange,
    pub direction: Direction,
    /// How many rows the caller takes at most; pushed down as far as somebody knows which records are rows.
    pub limit: Option<usize>,
}

impl<'q> Scan<'q> {
    pub fn of(log: &'q LogExpr, range: TimeRange) -> Self {
        Scan {
            matchers: &log.matchers,
            stages: &log.stages,
            range,
            direction: Direction::OldestFirst,
            limit: None,
        }
    }
}

/// Sends every record through the pipeline and the survivors to `each`, in the asked order, until it breaks.
pub(super) async fn scan(
    run: &mut Run<'_>,
    scan: Scan<'_>,
    pipeline: &Pipeline,
    each: &mut (dyn for<'r> FnMut(&mut Run<'_>, Row<'r>) -> Result<ControlFlow<()>> + Send),
) -> Result<()> {
    if scan.range.is_empty() {
        return Ok(());
    }
    let Pushdown { filters: line_filters, needed } = pushdown(scan.stages);
    let filtered = line_filters.is_empty() || run.select().capabilities().filters_lines;
    let request = LogsRequest {
        scope: Scope { tenants: run.ctx.tenants.clone(), range: scan.range, limits: run.ctx.limits.clone() },
        matchers: scan.matchers.to_vec(),
        line_filters,
        direction: scan.direction,
        limit: scan.limit.filter(|_| needed == 0 && filtered),
        fields: fields(scan.stages),
        passing: scan.stages.get(..needed).and_then(|stages| passing(scan.matchers, stages, scan.limit)),
    };
    let mut selection = run.select().logs(request).await?;
    while let Some(batch) = selection.items.next().await {
        if batch_rows(run, &batch?, pipeline, each)?.is_break() {
            break;
        }
    }
    run.coverage.merge(selection.coverage());
    Ok(())
}

fn batch_rows(
    run: &mut Run<'_>,
    batch: &LogBatch,
    pipeline: &Pipeline,
    each: &mut (dyn for<'r> FnMut(&mut Run<'_>, Row<'r>) -> Result<ControlFlow<()>> + Send),
) -> Result<ControlFlow<()>> {
    run.ctx.limits.check_deadline()?;
    let views: Vec<StreamView> = batch.streams.iter().map(StreamView::new).collect();
    for record in &batch.records {
        let Some(view) = views.get(record.stream as usize) else {
            let message = format!("a record names stream {} of {}", record.stream, views.len());
            return Err(contract::Error::internal(message).into());
        };
        let mut row = view.row(record);
        run.stats.lines += 1;
        run.stats.bytes += row.line.len() as u64;
        if run.stats.bytes > run.ctx.limits.max_bytes {
            return Err(Error::too_many_bytes(run.ctx.limits.max_bytes));
        }
        if run.stats.lines.is_multiple_of(RECORDS_PER_CHECK) {
            run.ctx.limits.check_deadline()?;
        }
        if pipeline.run(&mut row) {
            run.stats.entries += 1;
            if each(run, row)?.is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
    }
    Ok(ControlFlow::Continue(()))
}
