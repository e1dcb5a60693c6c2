//! One range aggregation: lines to values to windows.

use std::{collections::HashMap, ops::ControlFlow};

use model::{Labels, MatchOp, Matcher, TimeRange, TimestampNs};

use super::{
    Run,
    count::count,
    fold::{Acc, Finish, Pieces},
    frame::{Grid, Series, made_bytes, series_bytes},
    pieces::Made,
    scan::{Scan, scan},
};
use crate::{
    Error, Result,
    ast::{Conversion, Grouping, RangeAggregation, RangeOp, Stage},
    pipeline::{Row, compile, filter::LabelTest},
    units::{parse_bytes, parse_duration},
};

/// A range aggregation and what the operation around it lets it forget.
#[derive(Debug)]
pub(super) struct Leaf<'q> {
    pub range: &'q RangeAggregation,
    /// Labels the result needs; `None` for all. A `sum` around a count is folded right here, so that labels
    /// which it drops never make series.
    pub group: Option<&'q Grouping>,
    /// Nothing of the result or the filters depends on parsed labels.
    pub labels_unused: bool,
}

impl<'q> Leaf<'q> {
    pub fn alone(range: &'q RangeAggregation) -> Self {
        Leaf { range, group: range.grouping.as_ref(), labels_unused: false }
    }

    /// Whether a `sum` around it may be folded into it.
    pub fn can_be_summed(range: &RangeAggregation) -> bool {
        use RangeOp::*;
        let adds = matches!(range.op, CountOverTime | Rate | BytesOverTime | BytesRate | SumOverTime);
        adds && range.grouping.is_none()
    }

    /// The operand of `sum`, by or without labels, where it can be summed.
    pub fn summed(range: &'q RangeAggregation, by: &'q Grouping) -> Self {
        let reads = |s: &Stage| matches!(s, Stage::Label(_) | Stage::LineFormat(_) | Stage::LabelFormat(_));
        let labels_unused = !by.without
            && by.labels.is_empty()
            && range.range.unwrap.is_none()
            && !range.range.log.stages.iter().any(reads);
        Leaf { range, group: Some(by), labels_unused }
    }
}

/// How a row becomes a value.
struct Sample<'q> {
    op: RangeOp,
    unwrap: Option<(&'q str, Option<Conversion>, Vec<LabelTest>)>,
}

impl<'q> Sample<'q> {
    fn new(range: &'q RangeAggregation) -> Result<Self> {
        let unwrap = match &range.range.unwrap {
            None => None,
            Some(u) => {
                let tests = u.filters.iter().map(LabelTest::new).collect::<Result<Vec<_>, _>>();
                let tests = tests.map_err(crate::ParseError::whole)?;
                Some((u.label.as_str(), u.conversion, tests))
            }
        };
        Ok(Sample { op: range.op, unwrap })
    }

    /// `None` where the row has nothing to unwrap or a filter drops it.
    fn value(&self, row: &mut Row<'_>) -> Option<f64> {
        let Some((label, conversion, tests)) = &self.unwrap else {
            return Some(match self.op {
                RangeOp::BytesOverTime | RangeOp::BytesRate => row.line.len() as f64,
                _ => 1.0,
            });
        };
        let text = row.labels.get(label).filter(|t| !t.is_empty())?.to_owned();
        let value = convert(&text, *conversion);
        if value.is_none() {
            let details = format!("label {label} has the value {text:?}, which cannot be unwrapped");
            row.labels.set_error("SampleExtractionErr", details);
        }
        tests.iter().all(|t| t.passes(&mut row.labels)).then_some(value.unwrap_or(0.0))
    }

    fn labels(&self, row: &Row<'_>, group: Option<&Grouping>) -> Labels {
        match (group, &self.unwrap) {
            (Some(g), None) => row.labels.grouped(g.without, &g.labels),
            (Some(g), Some(_)) if !g.without => row.labels.grouped(false, &g.labels),
            (Some(g), Some((label, ..))) => {
                let mut names = g.labels.clone();
                names.push((*label).to_owned());
                row.labels.grouped(true, &names)
            }
            (None, Some((label, ..))) => row.labels.grouped(true, &[(*label).to_owned()]),
            (None, None) => row.labels.all(),
        }
    }
}

fn convert(text: &str, conversion: Option<Conversion>) -> Option<f64> {
    match conversion {
        None => text.trim().parse().ok(),
        Some(Conversion::Duration | Conversion::DurationSeconds) => {
            parse_duration(text).map(|ns| ns as f64 / 1e9)
        }
        Some(Conversion::Bytes) => parse_bytes(text).map(|n| n as f64),
    }
}

/// Accumulators per series, with the series in the order they were first seen.
#[derive(Default)]
struct Folded {
    index: HashMap<Labels, usize>,
    series: Vec<(Labels, Vec<(u32, Acc)>)>,
}

impl Folded {
    fn add(&mut self, run: &mut Run<'_>, labels: Labels, piece: u32, acc: Acc) -> Result<()> {
        let at = match self.index.get(&labels) {
            Some(at) => *at,
            None => {
                let max = run.ctx.limits.max_series;
                if self.series.len() as u64 >= max {
                    return Err(Error::too_many_series(max));
                }
                run.memory.add(2 * labels.packed_len() + 128)?;
                self.index.insert(labels.clone(), self.series.len());
                // Where labels tell lines apart, most series stay with one piece.
                self.series.push((labels, Vec::with_capacity(1)));
                self.series.len() - 1
            }
        };
        let parts = &mut self.series[at].1;
        if let Acc::All(_) = acc {
            run.memory.add(std::mem::size_of::<f64>())?;
        }
        match parts.last_mut() {
            Some((last, mine)) if *last == piece => mine.merge(&acc),
            Some((last, _)) if *last > piece => {
                // A source that answers slightly out of order costs a search, not the result.
                match parts.binary_search_by_key(&piece, |(p, _)| *p) {
                    Ok(i) => parts[i].1.merge(&acc),
                    Err(i) => parts.insert(i, (piece, acc)),
                }
            }
            _ => {
                run.memory.add(std::mem::size_of::<(u32, Acc)>())?;
                parts.push((piece, acc));
            }
        }
        Ok(())
    }
}

/// Reads a range aggregation.
async fn fold(run: &mut Run<'_>, leaf: &Leaf<'_>, grid: Grid) -> Result<(Pieces, Folded)> {
    let range = leaf.range;
    let mut pipeline = compile(&range.range.log.stages, run.clock())?;
    if leaf.labels_unused {
        pipeline = pipeline.without_parsers();
    }
    let sample = Sample::new(range)?;
    let pieces = Pieces::new(grid, range.range.range_ns, range.range.offset_ns);
    let (first, last) = pieces.bounds();
    let time = TimeRange::new(TimestampNs(first), TimestampNs(last.saturating_add(1)));
    let absent = range.op == RangeOp::AbsentOverTime;
    let mut folded = Folded::default();
    let mut add = |run: &mut Run<'_>, piece, labels, at_ns, value| {
        folded.add(run, labels, piece, Acc::one(range.op, at_ns, value))
    };
    if count(run, leaf, &pieces, time, &mut add).await? {
        run.stats.series += folded.series.len() as u64;
        return Ok((pieces, folded));
    }
    scan(run, Scan::of(&range.range.log, time), &pipeline, &mut |run, mut row| {
        let Some(piece) = pieces.of(row.ts_ns) else { return Ok(ControlFlow::Continue(())) };
        let Some(value) = sample.value(&mut row) else { return Ok(ControlFlow::Continue(())) };
        if let Some(name) = row.labels.error() {
            return Err(Error::Pipeline { name: name.to_owned(), series: row.labels.all() });
        }
        let labels = if absent { Labels::default() } else { sample.labels(&row, leaf.group) };
        folded.add(run, labels, piece, Acc::one(range.op, row.ts_ns, value))?;
        Ok(ControlFlow::Continue(()))
    })
    .await?;
    run.stats.series += folded.series.len() as u64;
    Ok((pieces, folded))
}

/// What is known of a range aggregation at every step, without finishing it.
pub(super) async fn accumulate(run: &mut Run<'_>, leaf: &Leaf<'_>, grid: Grid) -> Result<Vec<Made>> {
    let (pieces, folded) = fold(run, leaf, grid).await?;
    let mut out = Vec::with_capacity(folded.series.len());
    for (labels, parts) in folded.series {
        run.ctx.limits.check_deadline()?;
        run.memory.add(made_bytes(&labels, grid.len))?;
        out.push(Made { labels, accs: pieces.accumulate(&parts) });
    }
    Ok(out)
}

/// Evaluates a range aggregation at every step.
pub(super) async fn evaluate(run: &mut Run<'_>, leaf: &Leaf<'_>, grid: Grid) -> Result<Vec<Series>> {
    let range = leaf.range;
    let (pieces, folded) = fold(run, leaf, grid).await?;
    let how = Finish {
        op: range.op,
        range_ns: range.range.range_ns,
        parameter: range.parameter.unwrap_or_default(),
    };
    let mut out = Vec::with_capacity(folded.series.len());
    for (labels, parts) in folded.series {
        run.ctx.limits.check_deadline()?;
        run.memory.add(series_bytes(&labels, grid.len))?;
        out.push(Series { labels, values: pieces.finish(&how, &parts) });
    }
    if range.op == RangeOp::AbsentOverTime {
        let present = |k: usize| out.first().is_some_and(|s| s.values.get(k).is_some_and(Option::is_some));
        return Ok(vec![absent_series(&range.range.log.matchers, grid, present)]);
    }
    out.sort_by(|a, b| a.labels.cmp(&b.labels));
    Ok(out)
}

/// 1 at every step without a line; labelled by the matchers that name one value.
pub(super) fn absent_series(matchers: &[Matcher], grid: Grid, present: impl Fn(usize) -> bool) -> Series {
    let named =
        |m: &&Matcher| m.op == MatchOp::Equal && matchers.iter().filter(|o| o.name == m.name).count() == 1;
    let labels = Labels::from_pairs(matchers.iter().filter(named).map(|m| (m.name.clone(), m.value.clone())));
    let values = (0..grid.len).map(|k| (!present(k)).then_some(1.0)).collect();
    Series { labels, values }
}
