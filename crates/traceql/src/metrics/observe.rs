//! Spans into cells: which series a span belongs to, and what it adds.

use base::memory::Reservation;
use contract::{QueryLimits, SpanParts};

use super::{
    cell::{Cells, Measure, Sum},
    compare::Compared,
    exemplars::{Exemplars, Shape},
    grid::Grid,
    quantile::quantile_rows,
    rows::{Labels, Row},
};
use crate::{
    Error, Result,
    ast::{Function, MetricsExpr, OverTimeOp},
    conditions::parts,
    eval::field::Subject,
    field::Field,
    value::{Groups, Value},
};

/// What a series takes beside its cells.
const SERIES_BYTES: u64 = 256;
/// The label under which a function without grouping is named.
const NAME: &str = "__name__";
/// The label of a histogram's bucket: its upper bound.
const BUCKET: &str = "__bucket";

pub(super) struct Series {
    pub cells: Cells,
    pub exemplars: Exemplars,
}

impl Series {
    fn new(function: &Function, steps: usize) -> Self {
        let cells = match function {
            Function::OverTime { op: OverTimeOp::Min, .. } => Cells::Min(vec![f64::NAN; steps]),
            Function::OverTime { op: OverTimeOp::Max, .. } => Cells::Max(vec![f64::NAN; steps]),
            Function::OverTime { .. } => Cells::Sum(vec![Sum::default(); steps]),
            _ => Cells::Count(vec![0; steps]),
        };
        Series { cells, exemplars: Exemplars::default() }
    }
}

/// Everything observed for one query of an expression.
pub(super) struct Observer<'q> {
    function: &'q Function,
    grid: Grid,
    shape: Shape<'q>,
    kind: Kind,
}

enum Kind {
    /// By the values of `by`, and of a bucket where the function has buckets.
    Series(Groups<Series>),
    Compare(Compared),
}

impl<'q> Observer<'q> {
    pub fn new(leaf: &'q MetricsExpr, function: &'q Function, grid: &Grid, exemplars: usize) -> Result<Self> {
        let mut fields: Vec<&Field> = Vec::new();
        leaf.each_field(&mut |f| {
            if !fields.contains(&f) {
                fields.push(f);
            }
        });
        let shape = Shape::new(fields, grid, exemplars);
        let kind = match function {
            Function::Compare(_) => Kind::Compare(Compared::default()),
            _ => Kind::Series(Groups::default()),
        };
        let mut observer = Observer { function, grid: *grid, shape, kind };
        if !has_buckets(function) && function.by().is_empty() {
            // Without grouping there is always the one series, also where no span was found.
            if let Kind::Series(groups) = &mut observer.kind {
                groups.entry(&[], || Series::new(function, grid.len));
            }
        }
        Ok(observer)
    }

    /// What has to be read of spans.
    pub fn wanted(&self) -> SpanParts {
        match self.kind {
            Kind::Series(_) => parts(self.shape.fields().iter().copied()),
            Kind::Compare(_) => SpanParts::everything(),
        }
    }

    /// Takes a span that was found and starts inside of the grid.
    pub fn observe(&mut self, s: &Subject<'_>, limits: &QueryLimits, memory: &mut Reservation) -> Result<()> {
        let Some(step) = self.grid.step_of(s.span.start_ns) else { return Ok(()) };
        if let (Kind::Compare(c), Function::Compare(comparison)) = (&mut self.kind, self.function) {
            return c.observe(comparison, s, step, self.grid.len, &self.shape, memory);
        }
        let by = self.function.by().iter();
        let key: Vec<Value<'_>> = by.map(|f| s.get(f).unwrap_or_default().first()).collect();
        let Some(of) = self.function.of() else {
            return self.add(key, s, step, None, limits, memory);
        };
        let value = s.get(of).unwrap_or_default();
        let Some(several) = value.elements() else {
            return self.measured(key, s, step, Measure::of(&value), limits, memory);
        };
        for one in several {
            self.measured(key.clone(), s, step, Measure::of(&one), limits, memory)?;
        }
        Ok(())
    }

    fn measured(
        &mut self,
        mut key: Vec<Value<'_>>,
        s: &Subject<'_>,
        step: usize,
        measure: Option<Measure>,
        limits: &QueryLimits,
        memory: &mut Reservation,
    ) -> Result<()> {
        let Some(m) = measure else { return Ok(()) };
        if has_buckets(self.function) {
            let Some(bucket) = m.bucket() else { return Ok(()) };
            key.push(Value::Float(bucket));
        }
        self.add(key, s, step, Some(m), limits, memory)
    }

    fn add(
        &mut self,
        key: Vec<Value<'_>>,
        s: &Subject<'_>,
        step: usize,
        measure: Option<Measure>,
        limits: &QueryLimits,
        memory: &mut Reservation,
    ) -> Result<()> {
        let (function, steps) = (self.function, self.grid.len);
        let Kind::Series(groups) = &mut self.kind else { return Ok(()) };
        let (series, is_new) = groups.entry(&key, || Series::new(function, steps));
        if is_new {
            memory.grow(series.cells.bytes() + SERIES_BYTES)?;
        }
        series.cells.add(step, measure);
        let value = match self.function {
            Function::OverTime { .. } | Function::QuantileOverTime { .. } => measure.map(Measure::number),
            _ => None,
        };
        self.shape.offer(&mut series.exemplars, s, value, memory)?;
        if is_new && groups.len() as u64 > limits.max_series {
            let message =
                format!("maximum number of series ({}) reached for a single query", limits.max_series);
            return Err(Error::Limited { limit: "query.max_series", message });
        }
        Ok(())
    }

    pub fn rows(self) -> Vec<Row> {
        let Observer { function, grid, shape, kind } = self;
        let groups = match (kind, function) {
            (Kind::Series(groups), _) => groups.into_all(),
            (Kind::Compare(c), Function::Compare(comparison)) => return c.rows(comparison, grid.len, &shape),
            (Kind::Compare(_), _) => return Vec::new(),
        };
        if let Function::QuantileOverTime { quantiles, by, .. } = function {
            return quantile_rows(groups, quantiles, by, &shape);
        }
        let per_second = grid.step_seconds();
        let row = |(key, series): (Vec<Value<'static>>, Series)| {
            let values = match (series.cells, function) {
                (Cells::Count(v), Function::Rate { .. }) => {
                    v.iter().map(|n| *n as f64 / per_second).collect()
                }
                (Cells::Count(v), _) => v.iter().map(|n| *n as f64).collect(),
                (Cells::Min(v) | Cells::Max(v), _) => v,
                (Cells::Sum(v), Function::OverTime { op: OverTimeOp::Avg, .. }) => {
                    v.iter().map(Sum::avg).collect()
                }
                (Cells::Sum(v), _) => v.iter().map(Sum::sum).collect(),
            };
            Row { labels: labels(function, key), values, exemplars: shape.take(series.exemplars) }
        };
        groups.into_iter().map(row).collect()
    }
}

fn has_buckets(f: &Function) -> bool {
    matches!(f, Function::QuantileOverTime { .. } | Function::HistogramOverTime { .. })
}

fn labels(function: &Function, mut key: Vec<Value<'static>>) -> Labels {
    let by = function.by();
    let bucket = if has_buckets(function) { key.pop() } else { None };
    let mut labels = group_labels(by, key);
    if let Some(b) = bucket {
        labels.push((BUCKET.to_owned(), b.to_any()));
    } else if by.is_empty() {
        labels.push((NAME.to_owned(), function.name().into()));
    } else if labels.is_empty() {
        // A series has a label; that of what has no value at all says so.
        labels.extend(by.first().map(|f| (f.to_string(), Value::Nil.to_any())));
    }
    labels
}

/// Values that are not there make no label.
pub(super) fn group_labels(by: &[Field], key: Vec<Value<'static>>) -> Labels {
    let label = |(f, v): (&Field, Value<'static>)| (!v.is_nil()).then(|| (f.to_string(), v.to_any()));
    by.iter().zip(key).filter_map(label).collect()
}
