//! Range aggregations that only count lines, or their bytes, from counts made where the lines are kept.
//!
//! Possible where the stages look at lines only to filter them, and at labels only by name: a record that stands for
//! many then comes to the same labels and passes the same filters as each of them.

use std::{collections::BTreeSet, ops::ControlFlow};

use contract::{LogCounts, LogCountsRequest, Scope};
use futures::StreamExt;
use model::{Labels, LogRecord, TimeRange};

use super::{Run, fold::Pieces, range::Leaf};
use crate::{
    Error, Result,
    ast::{LabelFilter, RangeOp, Stage},
    pipeline::{Pipeline, Row, compile, line::pushed, record::StreamView},
};

/// Is given each count: piece, labels, a time in the piece, and how much.
type Each<'e> = dyn FnMut(&mut Run<'_>, u32, Labels, i64, f64) -> Result<()> + Send + 'e;

/// What to count by, and what is left to do with the counts.
struct Plan {
    request: LogCountsRequest,
    pipeline: Pipeline,
    /// Every record of a stream comes to the same labels.
    by_stream: bool,
}

fn plan(run: &Run<'_>, leaf: &Leaf<'_>, pieces: &Pieces, time: TimeRange) -> Result<Option<Plan>> {
    let range = leaf.range;
    let bytes = match range.op {
        RangeOp::CountOverTime | RangeOp::Rate => false,
        RangeOp::BytesOverTime | RangeOp::BytesRate => true,
        _ => return Ok(None),
    };
    let Some(group) = leaf.group.filter(|g| !g.without && range.range.unwrap.is_none()) else {
        return Ok(None);
    };
    let (mut line_filters, mut labels, mut names) = (Vec::new(), Vec::new(), BTreeSet::new());
    for stage in &range.range.log.stages {
        match stage {
            Stage::Line(f) => match pushed(f) {
                Some(filters) => line_filters.extend(filters),
                None => return Ok(None),
            },
            Stage::Label(f) => {
                add_names(f, &mut names);
                labels.push(stage.clone());
            }
            // Nobody looks at what they find.
            Stage::Json(_) | Stage::Logfmt { .. } | Stage::Regexp(_) | Stage::Pattern(_)
                if leaf.labels_unused => {}
            _ => return Ok(None),
        }
    }
    names.extend(group.labels.iter().map(String::as_str));
    let request = LogCountsRequest {
        scope: Scope { tenants: run.ctx.tenants.clone(), range: time, limits: run.ctx.limits.clone() },
        matchers: range.range.log.matchers.clone(),
        line_filters,
        edges: pieces.edges().into(),
        fields: names.into_iter().map(str::to_owned).collect(),
        bytes,
    };
    let by_stream = labels.is_empty();
    Ok(Some(Plan { request, pipeline: compile(&labels, run.clock())?, by_stream }))
}

fn add_names<'f>(filter: &'f LabelFilter, out: &mut BTreeSet<&'f str>) {
    match filter {
        LabelFilter::Text(m) => {
            out.insert(&m.name);
        }
        LabelFilter::Number { label, .. }
        | LabelFilter::Duration { label, .. }
        | LabelFilter::Bytes { label, .. }
        | LabelFilter::Ip { label, .. } => {
            out.insert(label);
        }
        LabelFilter::And(a, b) | LabelFilter::Or(a, b) => {
            add_names(a, out);
            add_names(b, out);
        }
    }
}

/// Whether only the stream tells what labels a record has.
fn is_bare(r: &LogRecord) -> bool {
    r.attributes.is_empty()
        && LogRecord { stream: r.stream, timestamp_ns: r.timestamp_ns, ..LogRecord::default() } == *r
}

/// Gives `each` the counts, with the piece and the labels they belong to; `false` where lines have to be read instead.
pub(super) async fn count(
    run: &mut Run<'_>,
    leaf: &Leaf<'_>,
    pieces: &Pieces,
    time: TimeRange,
    each: &mut Each<'_>,
) -> Result<bool> {
    let Some(plan) = plan(run, leaf, pieces, time)? else { return Ok(false) };
    let Some(mut found) = run.select().log_counts(plan.request.clone()).await? else { return Ok(false) };
    while let Some(counts) = found.items.next().await {
        if add_counts(run, leaf, &plan, pieces, &counts?, each)?.is_break() {
            break;
        }
    }
    run.coverage.merge(found.coverage());
    Ok(true)
}

fn add_counts(
    run: &mut Run<'_>,
    leaf: &Leaf<'_>,
    plan: &Plan,
    pieces: &Pieces,
    counts: &LogCounts,
    each: &mut Each<'_>,
) -> Result<ControlFlow<()>> {
    run.ctx.limits.check_deadline()?;
    let views: Vec<StreamView> = counts.streams.iter().map(StreamView::new).collect();
    let mut known: Vec<Option<Labels>> = vec![None; views.len()];
    for group in &counts.groups {
        let at = group.record.stream as usize;
        let (Some(view), Some(known)) = (views.get(at), known.get_mut(at)) else {
            let message = format!("a count names stream {at} of {}", views.len());
            return Err(contract::Error::internal(message).into());
        };
        run.stats.lines += group.count;
        run.stats.bytes += group.bytes;
        let Some(piece) = pieces.of(group.record.timestamp_ns) else { continue };
        let same = plan.by_stream && is_bare(&group.record);
        let labels = match known.as_ref().filter(|_| same) {
            Some(labels) => labels.clone(),
            None => {
                let mut row: Row<'_> = view.row(&group.record);
                if !plan.pipeline.run(&mut row) {
                    continue;
                }
                if let Some(name) = row.labels.error() {
                    return Err(Error::Pipeline { name: name.to_owned(), series: row.labels.all() });
                }
                let labels =
                    leaf.group.map_or_else(Labels::default, |g| row.labels.grouped(g.without, &g.labels));
                if same {
                    *known = Some(labels.clone());
                }
                labels
            }
        };
        run.stats.entries += group.count;
        let value = if plan.request.bytes { group.bytes } else { group.count };
        each(run, piece, labels, group.record.timestamp_ns, value as f64)?;
    }
    Ok(ControlFlow::Continue(()))
}
