//! Evaluation of a plan over what was read for it: every node over all its steps at once.
//!
//! Pure and synchronous. Recursion goes no deeper than the parser let the query nest; chains of operators are
//! walked in a loop. Intermediate results are charged to the meter as they come and given back as they go.

mod call;
mod fuse;
mod histograms;
mod info;
mod job;
mod labels;
mod profile;
mod pushed;
mod ranges;
mod recall;
mod select;
mod simple;
mod tally;

use std::collections::HashMap;

use eval::{
    AggregateOp, Column, Env, Grid, Meter, Notes, Parameter, Pieces, Series, Side, Span, aggregate, binary,
    binary_scalar,
};

pub(crate) use profile::Profile;
use recall::Kept;
pub(crate) use tally::Tally;

use crate::{
    EngineOptions, Error, RangeSeries, ValueType,
    ast::{Aggregate, Binary, NodeId, NodeKind},
    fetch::{Data, Read},
    gather::Moved,
    plan::Plan,
    split::How,
};

type Result<T, E = Error> = std::result::Result<T, E>;

/// A plan, its data and what bounds it.
pub(crate) struct Evaluator {
    pub plan: Plan,
    pub data: Data,
    pub meter: Meter,
    pub asked: Asked,
}

/// How a plan is to be evaluated.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asked {
    pub options: EngineOptions,
    pub lookback_ms: i64,
    pub instant: bool,
    pub max_samples: u64,
    /// Count samples by step.
    pub per_step: bool,
    /// Measure each node.
    pub profile: bool,
    pub wanted: Wanted,
}

/// In what shape a result is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wanted {
    Answer,
    /// Rows with names that are still to be dropped, to be evaluated further.
    Rows,
    /// The pieces of the aggregation that the query is.
    Pieces,
}

/// What the whole query came to.
pub(crate) enum Outcome {
    Scalar(Column),
    String(String),
    Rows(Vec<Series>),
    Pieces(Vec<Pieces>),
    /// A range selector or subquery by itself: its samples.
    Raw(Vec<RangeSeries>),
}

pub(crate) struct Finished {
    pub outcome: Outcome,
    pub notes: Notes,
    pub peak_bytes: u64,
    /// The order of rows is part of the answer.
    pub ordered: bool,
    pub tally: Tally,
    pub profile: Profile,
    pub plan: Plan,
    pub reads: Vec<Read>,
    /// By push: what each part did.
    pub moved: Vec<Vec<Moved>>,
    pub asked: Asked,
}

impl Evaluator {
    /// Nothing where what came from elsewhere does not decide the result.
    pub fn run(self) -> Result<Option<Finished>> {
        let Evaluator { plan, data, meter, asked } = self;
        let ordered = crate::engine::is_ordered(&plan.expr);
        let mut run = Run {
            plan: &plan,
            data: &data,
            meter,
            notes: Notes::default(),
            options: &asked.options,
            lookback_ms: asked.lookback_ms,
            max_samples: asked.max_samples,
            tally: Tally::new(asked.per_step.then(|| plan.grid.len())),
            profile: Profile::new(plan.expr.nodes.len(), asked.profile),
            kept: HashMap::new(),
            undecided: false,
        };
        run.meter.check_deadline()?;
        let outcome = match run.outcome(asked) {
            // What an undecided result leads to may be an error that the right one does not.
            _ if run.undecided => return Ok(None),
            outcome => outcome?,
        };
        let Run { notes, meter, tally, profile, .. } = run;
        let (peak_bytes, reads) = (meter.peak_bytes(), data.reads);
        let moved = data.pushed.into_iter().map(|p| p.moved).collect();
        Ok(Some(Finished { outcome, notes, peak_bytes, ordered, tally, profile, plan, reads, moved, asked }))
    }
}

/// What a node evaluates to.
#[derive(Clone)]
enum Val {
    /// A number at every step.
    Scalar(Column),
    String(String),
    Rows(Vec<Series>),
}

struct Run<'a> {
    plan: &'a Plan,
    data: &'a Data,
    meter: Meter,
    notes: Notes,
    options: &'a EngineOptions,
    lookback_ms: i64,
    max_samples: u64,
    tally: Tally,
    profile: Profile,
    /// Results that are wanted again, by class.
    kept: HashMap<u32, Kept>,
    /// Something depends on an order that was lost on the way from elsewhere.
    undecided: bool,
}

fn bytes_of(rows: &[Series]) -> usize {
    rows.iter().map(Series::heap_bytes).sum()
}

impl<'a> Run<'a> {
    fn outcome(&mut self, asked: Asked) -> Result<Outcome> {
        let root = self.plan.expr.unwrap_parens(self.plan.expr.root());
        Ok(match self.kind(root) {
            NodeKind::Aggregate(a) if asked.wanted == Wanted::Pieces => {
                Outcome::Pieces(self.pieces(root, a)?)
            }
            NodeKind::Matrix { .. } | NodeKind::Subquery(_) if asked.instant => Outcome::Raw(self.raw(root)?),
            _ => match self.eval(root)? {
                Val::Scalar(c) => Outcome::Scalar(c),
                Val::String(s) => Outcome::String(s),
                Val::Rows(rows) if asked.wanted == Wanted::Answer => Outcome::Rows(self.finish(rows)?),
                Val::Rows(rows) => Outcome::Rows(rows),
            },
        })
    }

    fn env(&mut self, span: &Span) -> Env<'_> {
        Env {
            meter: &mut self.meter,
            notes: &mut self.notes,
            span: span.clone(),
            delay_name_removal: self.options.delayed_name_removal,
        }
    }

    fn kind(&self, id: NodeId) -> &'a NodeKind {
        self.plan.expr.kind(id)
    }

    fn span(&self, id: NodeId) -> &'a Span {
        self.plan.expr.span(id)
    }

    /// The steps of a node that is evaluated.
    fn grid(&self, id: NodeId) -> Grid {
        self.plan.grid_of(id).unwrap_or(self.plan.grid)
    }

    fn eval(&mut self, id: NodeId) -> Result<Val> {
        self.meter.tick()?;
        if let Some(value) = self.recall(id)? {
            return Ok(value);
        }
        let began = self.profile.begin();
        let value = self.evaluate(id)?;
        self.profile.end(id, began, &value);
        Ok(value)
    }

    /// A node at the steps of its own.
    fn node(&mut self, id: NodeId) -> Result<Val> {
        if let Some(rows) = self.pushed_rows(id)? {
            return Ok(Val::Rows(rows));
        }
        if self.plan.type_of(id) == ValueType::Vector
            && let Some(job) = self.fused(id)?
        {
            return self.collect(job).map(Val::Rows);
        }
        match self.kind(id) {
            NodeKind::Number(n) => Ok(Val::Scalar(Column::constant(n.value, self.grid(id).len()))),
            NodeKind::String(s) => Ok(Val::String(s.clone())),
            NodeKind::Paren(inner) => self.eval(*inner),
            NodeKind::Selector(_) => {
                let job = self.selector_job(id)?;
                self.collect(job).map(Val::Rows)
            }
            NodeKind::Unary { negate, expr } => self.unary(id, *negate, *expr),
            NodeKind::Binary(_) => self.chain(id),
            NodeKind::Aggregate(a) => self.aggregate(id, a).map(Val::Rows),
            NodeKind::Call(c) => self.call(id, c),
            NodeKind::Matrix { .. } | NodeKind::Subquery(_) => {
                Err(Error::Internal("a range vector stands where an instant vector should".to_owned()))
            }
        }
    }

    fn rows(&mut self, id: NodeId) -> Result<Vec<Series>> {
        match self.eval(id)? {
            Val::Rows(rows) => Ok(rows),
            Val::Scalar(_) | Val::String(_) => Err(wrong_type(self, id, "an instant vector")),
        }
    }

    fn scalar(&mut self, id: NodeId) -> Result<Column> {
        match self.eval(id)? {
            Val::Scalar(c) => Ok(c),
            Val::Rows(_) | Val::String(_) => Err(wrong_type(self, id, "a scalar")),
        }
    }

    fn string(&mut self, id: NodeId) -> Result<String> {
        match self.eval(id)? {
            Val::String(s) => Ok(s),
            Val::Rows(_) | Val::Scalar(_) => Err(wrong_type(self, id, "a string")),
        }
    }

    /// A string that names a label; `what` says which one, in errors.
    fn label_name(&mut self, id: NodeId, what: &str) -> Result<String> {
        let name = self.string(id)?;
        let id = self.plan.expr.unwrap_parens(id);
        let broken = self.plan.expr.broken_string(id).map(str::to_owned);
        if let Some(shown) = broken.or_else(|| name.is_empty().then(|| "\"\"".to_owned())) {
            let message = match what {
                "" => format!("invalid label name {shown}"),
                what => format!("invalid {what}: {}", shown.trim_matches('"')),
            };
            return Err(eval::Error::invalid(message).into());
        }
        Ok(name)
    }

    /// Charges new rows and gives back what they were made from.
    fn settle(&mut self, consumed: usize, rows: &[Series]) -> Result<()> {
        self.meter.charge(bytes_of(rows))?;
        self.meter.release(consumed);
        self.check_points(rows.iter().map(|r| r.column.len() as u64).sum())
    }

    fn unary(&mut self, id: NodeId, negate: bool, inner: NodeId) -> Result<Val> {
        let value = self.eval(inner)?;
        if !negate {
            return Ok(value);
        }
        match value {
            Val::Scalar(mut c) => {
                c.map_floats(|v| -v);
                Ok(Val::Scalar(c))
            }
            Val::Rows(mut rows) => {
                for row in &mut rows {
                    let old = std::mem::replace(&mut row.column, Column::empty(0));
                    row.column = simple::negate(&old);
                }
                let span = self.span(id);
                Ok(Val::Rows(eval::drop_names(rows, &mut self.env(span))?))
            }
            Val::String(_) => Err(wrong_type(self, inner, "a number or vector")),
        }
    }

    /// A chain of operators grows to the left: down to its first operand, then one operator after the other.
    fn chain(&mut self, id: NodeId) -> Result<Val> {
        let mut operators: Vec<(NodeId, &'a Binary)> = Vec::new();
        let mut at = id;
        while let NodeKind::Binary(b) = self.kind(at) {
            // What is evaluated apart from this chain is an operand of it.
            if at != id && !self.stands_alone(at) {
                break;
            }
            operators.push((at, b));
            at = b.lhs;
        }
        let mut value = self.eval(at)?;
        while let Some((id, b)) = operators.pop() {
            let rhs = self.eval(b.rhs)?;
            value = self.binary(id, b, value, rhs)?;
        }
        Ok(value)
    }

    fn binary(&mut self, id: NodeId, b: &Binary, lhs: Val, rhs: Val) -> Result<Val> {
        let span = self.span(id);
        let (op, flag) = (b.op, b.return_bool);
        let (consumed, rows) = match (lhs, rhs) {
            (Val::Scalar(mut l), Val::Scalar(r)) => {
                for step in 0..l.len() {
                    if let (Some(x), Some(y)) = (l.float(step), r.float(step)) {
                        l.set_float(step, eval::scalar_op(op, x, y));
                    }
                }
                return Ok(Val::Scalar(l));
            }
            (Val::Rows(l), Val::Scalar(r)) => {
                (bytes_of(&l), binary_scalar(op, flag, l, &r, Side::Right, &mut self.env(span))?)
            }
            (Val::Scalar(l), Val::Rows(r)) => {
                (bytes_of(&r), binary_scalar(op, flag, r, &l, Side::Left, &mut self.env(span))?)
            }
            (Val::Rows(l), Val::Rows(r)) => {
                let matching = b.matching.clone().unwrap_or_default();
                (bytes_of(&l) + bytes_of(&r), binary(op, flag, &matching, l, r, &mut self.env(span))?)
            }
            _ => return Err(wrong_type(self, id, "numbers or vectors")),
        };
        self.settle(consumed, &rows)?;
        Ok(Val::Rows(rows))
    }

    fn aggregate(&mut self, id: NodeId, a: &Aggregate) -> Result<Vec<Series>> {
        if a.parameter.is_none()
            && let Some(reducer) = self.reduced(id, a, false)?
        {
            let span = self.span(a.expr);
            let rows = reducer.finish(&mut self.env(span))?;
            self.settle(0, &rows)?;
            return Ok(rows);
        }
        let input = match self.pushed(id, How::Picks) {
            Some(pushed) => self.took(pushed)?,
            None => self.rows(a.expr)?,
        };
        let consumed = bytes_of(&input);
        let label;
        let numbers;
        let parameter = match (a.op, a.parameter) {
            (AggregateOp::CountValues, Some(p)) => {
                label = self.label_name(p, "")?;
                Parameter::Label(&label)
            }
            (_, Some(p)) => {
                numbers = self.scalar(p)?;
                self.note_parameter(a.op, p, &numbers);
                if matches!(a.op, AggregateOp::Topk | AggregateOp::Bottomk) && self.plan.split.is_above(id) {
                    self.meter.work(input.len().saturating_mul(numbers.len()))?;
                    self.undecided |= pushed::picks_by_chance(a, &numbers, &input);
                }
                Parameter::Numbers(&numbers)
            }
            _ => Parameter::None,
        };
        let span = match a.op {
            AggregateOp::Topk | AggregateOp::Bottomk => self.span(id),
            _ => self.span(a.expr),
        };
        let rows = aggregate(a.op, &a.grouping, parameter, input, &mut self.env(span))?;
        self.settle(consumed, &rows)?;
        Ok(rows)
    }

    /// Whether a node is evaluated for the one above it only, at the same steps.
    fn stands_alone(&self, id: NodeId) -> bool {
        let id = self.plan.expr.unwrap_parens(id);
        self.plan.repeated(id).is_none()
            && self.plan.shared().of(id).is_none()
            && self.plan.pushed(id).is_none()
    }

    /// Says so when a quantile or ratio lies outside of what makes sense.
    fn note_parameter(&mut self, op: AggregateOp, p: NodeId, numbers: &Column) {
        let values = || numbers.steps().filter_map(|s| numbers.float(s));
        let (min, max) = values().fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), v| (a.min(v), b.max(v)));
        let span = self.span(p);
        let show = eval::histogram::general;
        if op == AggregateOp::Quantile {
            let mut outside: Vec<f64> = Vec::new();
            outside.extend(values().find(|v| v.is_nan()));
            outside.extend([max].into_iter().filter(|v| *v > 1.0));
            outside.extend([min].into_iter().filter(|v| *v < 0.0));
            for q in outside {
                let message =
                    format!("PromQL warning: quantile value should be between 0 and 1, got {}", show(q));
                self.notes.warn(span, message);
            }
        }
        if op == AggregateOp::LimitRatio {
            for (v, cap) in [(max, 1.0), (min, -1.0)] {
                if v.abs() > 1.0 && v * cap > 0.0 {
                    let message = format!(
                        "PromQL warning: ratio value should be between -1 and 1, got {}, capping to {}",
                        show(v),
                        show(cap)
                    );
                    self.notes.warn(span, message);
                }
            }
        }
    }

    /// The end of the query: names that were to be dropped go now.
    fn finish(&mut self, rows: Vec<Series>) -> Result<Vec<Series>> {
        if self.options.delayed_name_removal { Ok(eval::rows::apply_drops(rows)?) } else { Ok(rows) }
    }
}

fn wrong_type(run: &Run<'_>, id: NodeId, wanted: &str) -> Error {
    Error::Internal(format!("{} is not {wanted}", crate::print::print(&run.plan.expr, id)))
}
