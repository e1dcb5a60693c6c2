//! Functions: which code answers which.

use eval::{Column, Series};
use model::Labels;

use super::{
    Result, Run, Val, bytes_of, labels,
    ranges::{per_step, window_function},
    select::Found,
    simple,
};
use crate::{
    Error,
    ast::{Call, NodeId, NodeKind},
    functions::FunctionId,
};

impl<'a> Run<'a> {
    pub(super) fn call(&mut self, id: NodeId, c: &'a Call) -> Result<Val> {
        use FunctionId::*;
        if let Some(f) = window_function(c.function.id) {
            return self.window_call(id, c, f).map(Val::Rows);
        }
        if let Some(f) = simple::math(c.function.id) {
            return self.map_floats(id, c, f).map(Val::Rows);
        }
        if let Some(f) = simple::calendar(c.function.id) {
            return self.calendar(id, c, f).map(Val::Rows);
        }
        match c.function.id {
            Time | Pi | MaxOf | MinOf | Scalar => self.scalar_call(id, c),
            Vector => {
                let column = self.scalar(arg(c, 0)?)?;
                Ok(Val::Rows(vec![Series::new(Labels::default(), column)]))
            }
            Absent => self.absent(id, arg(c, 0)?).map(Val::Rows),
            AbsentOverTime => self.absent_over_time(id, arg(c, 0)?).map(Val::Rows),
            Timestamp | StartTimestamp => self.timestamps(id, c).map(Val::Rows),
            Clamp | ClampMin | ClampMax => self.clamp(id, c).map(Val::Rows),
            Round => self.round(id, c).map(Val::Rows),
            Sort | SortDesc | SortByLabel | SortByLabelDesc => self.sort(id, c).map(Val::Rows),
            LabelReplace => self.label_replace(c).map(Val::Rows),
            LabelJoin => self.label_join(c).map(Val::Rows),
            HistogramQuantile | HistogramQuantiles | HistogramFraction => {
                self.histogram_share(id, c).map(Val::Rows)
            }
            HistogramAvg | HistogramCount | HistogramSum | HistogramStddev | HistogramStdvar => {
                self.histogram_number(id, c).map(Val::Rows)
            }
            Info => self.info(id, c).map(Val::Rows),
            _ => Err(Error::NotYetSupported { what: format!("function {}", c.function.name) }),
        }
    }

    fn scalar_call(&mut self, id: NodeId, c: &'a Call) -> Result<Val> {
        use FunctionId::*;
        let grid = self.grid(id);
        let constant = |v: f64| Val::Scalar(Column::constant(v, grid.len()));
        Ok(match c.function.id {
            Time => Val::Scalar(Column::from_floats(grid.times().map(|t| t as f64 / 1000.0).collect())),
            Pi => constant(std::f64::consts::PI),
            MaxOf | MinOf => {
                let (a, b) = (self.scalar(arg(c, 0)?)?, self.scalar(arg(c, 1)?)?);
                let pick = if c.function.id == MaxOf { simple::max } else { simple::min };
                Val::Scalar(per_step(grid.len(), |s| Some(pick(a.float(s)?, b.float(s)?))))
            }
            _ => {
                let rows = self.rows(arg(c, 0)?)?;
                let column = simple::only_float(&rows, grid.len());
                self.meter.release(bytes_of(&rows));
                Val::Scalar(column)
            }
        })
    }

    /// 1 at the steps at which there is nothing.
    fn absent(&mut self, id: NodeId, of: NodeId) -> Result<Vec<Series>> {
        let rows = self.rows(of)?;
        let column =
            per_step(self.grid(id).len(), |s| (!rows.iter().any(|r| r.column.is_present(s))).then_some(1.0));
        self.meter.release(bytes_of(&rows));
        if column.is_empty() {
            return Ok(Vec::new());
        }
        Ok(vec![Series::new(labels::absent_labels(&self.plan.expr, of), column)])
    }

    /// When samples were taken or their counters began. Of a selector these are the sample's own times, of
    /// anything else the time of evaluation.
    fn timestamps(&mut self, id: NodeId, c: &Call) -> Result<Vec<Series>> {
        let of = self.plan.expr.unwrap_parens(arg(c, 0)?);
        let grid = self.grid(id);
        let times = |f: Found<'_>| Some(eval::Value::Float(f.t() as f64 / 1000.0));
        let begins = |f: Found<'_>| Some(eval::Value::Float(f.start() as f64 / 1000.0));
        let starts = c.function.id == FunctionId::StartTimestamp;
        let rows = match self.kind(of) {
            NodeKind::Selector(_) if starts && !self.options.experimental.start_timestamps => Vec::new(),
            NodeKind::Selector(s) if starts => self.found(of, s, grid, begins)?,
            NodeKind::Selector(s) => self.found(of, s, grid, times)?,
            _ if starts => Vec::new(),
            _ => {
                let mut rows = self.rows(of)?;
                for row in &mut rows {
                    let there = std::mem::take(&mut row.column);
                    row.column =
                        per_step(grid.len(), |s| there.is_present(s).then(|| grid.at(s) as f64 / 1000.0));
                }
                rows
            }
        };
        let span = self.span(id);
        Ok(eval::drop_names(rows, &mut self.env(span))?)
    }
}

/// An argument the parser made sure of.
pub(super) fn arg(c: &Call, i: usize) -> Result<NodeId> {
    c.args
        .get(i)
        .copied()
        .ok_or_else(|| Error::Internal(format!("argument {i} of {} is missing", c.function.name)))
}
