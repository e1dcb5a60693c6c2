//! What of a metric query each part can compute by itself, as text to be evaluated there.
//!
//! An expression is local when its series over the whole are those over each part, one after the other: no operator
//! in it brings together lines or series of two parts. Streams carry labels that tell the parts apart, and what has
//! to be followed is whether those labels still have their values: a pipeline may drop them, rename them, or put
//! something parsed in their place.
//!
//! What is local is pushed whole. An aggregation that is not local itself is pushed in pieces where it can be put
//! together from them: over series that are local, or over lines, which are always apart. Nothing else is pushed;
//! its lines are read.

use contract::Part;
use eval::{Apart, Kept};
use model::{Matcher, TimeRange, TimestampNs};

use super::{
    frame::Grid,
    pieces::Make,
    plan::{How, Push, summed},
};
use crate::{
    Expr,
    ast::{
        Binary, BinaryOp, FormatSource, Group, Grouping, LabelChoice, MetricExpr, RangeAggregation, RangeOp,
        Stage, VectorAggregation, VectorOp,
    },
    check::check,
    evaluating::DIALECT,
    parse::parse,
    pipeline::{labels::DUPLICATE_SUFFIX, reads_clock},
};

/// Pieces of one query that parts are asked for; the rest of a query with more is read.
const MAX_PUSHES: usize = 32;

const MS: i64 = 1_000_000;

/// Where an expression can be computed.
#[derive(Debug, Clone, PartialEq)]
enum Class {
    /// A number, the same anywhere.
    Number,
    /// In each part by itself; its series still carry these labels as the streams did.
    Local(Kept),
    /// Only where all parts are seen.
    Hub,
}

/// Chooses what is pushed. Rows take a value for each step, a line takes hundreds of bytes, so whatever can be
/// computed elsewhere is.
pub(super) struct Splitter<'p> {
    parts: &'p [Part],
    apart: Apart,
    grid: Grid,
}

impl<'p> Splitter<'p> {
    pub fn new(parts: &'p [Part], grid: Grid) -> Self {
        Splitter { parts, apart: Apart::new(parts.iter().map(|p| p.labels.clone())), grid }
    }

    /// What is pushed of an expression, where `already` others are.
    pub fn push<'q>(&self, expr: &'q MetricExpr, in_pieces: bool, already: usize) -> Option<Push<'q>> {
        let how = if already < MAX_PUSHES { self.how(expr, in_pieces)? } else { return None };
        self.made(expr, how)
    }

    fn how(&self, expr: &MetricExpr, in_pieces: bool) -> Option<How> {
        if !in_pieces && matches!(self.class(expr), Class::Local(_)) {
            return Some(How::Rows);
        }
        match expr {
            MetricExpr::Range(r) if Make::of_range(r.op).is_some() => Some(How::Pieces),
            MetricExpr::Range(r) if r.op == RangeOp::AbsentOverTime => Some(How::Absence),
            MetricExpr::Aggregate(a) if summed(a).is_some() => Some(How::Pieces),
            MetricExpr::Aggregate(a) if matches!(self.class(&a.inner), Class::Local(_)) => match a.op {
                // Which of several equal values are picked follows from labels, wherever that is.
                VectorOp::Topk | VectorOp::Bottomk | VectorOp::ApproxTopk => Some(How::Picks),
                op => Make::of_vector(op).map(|_| How::Pieces),
            },
            _ => None,
        }
    }

    fn class(&self, expr: &MetricExpr) -> Class {
        let class = match expr {
            MetricExpr::Literal(_) => Class::Number,
            MetricExpr::Range(r) if r.op != RangeOp::AbsentOverTime => Class::Local(kept(r)),
            MetricExpr::Aggregate(a) => self.aggregate(a),
            MetricExpr::Binary(b) => self.binary(b),
            MetricExpr::LabelReplace(l) => match self.class(&l.inner) {
                Class::Local(kept) => Class::Local(kept.minus([&l.target])),
                _ => Class::Hub,
            },
            // `vector(1)` is one series over all parts, and one in each.
            MetricExpr::Vector(_) | MetricExpr::Range(_) | MetricExpr::Variants(_) => Class::Hub,
        };
        match class {
            Class::Local(kept) if !self.told(|n| kept.has(n)) => Class::Hub,
            class => class,
        }
    }

    /// What a parser finds under a name that the stream has goes by another, which may be that of a label too.
    fn told(&self, has: impl Fn(&str) -> bool) -> bool {
        self.apart.told(|n| !n.ends_with(DUPLICATE_SUFFIX) && has(n))
    }

    fn aggregate(&self, a: &VectorAggregation) -> Class {
        let Class::Local(kept) = self.class(&a.inner) else { return Class::Hub };
        let groups = match &a.grouping {
            None => Kept::only(&kept, []),
            Some(g) => grouped(&kept, g),
        };
        match a.op {
            // Order is a matter of the final answer.
            VectorOp::Sort | VectorOp::SortDesc => Class::Local(kept),
            _ if !self.told(|n| groups.has(n)) => Class::Hub,
            VectorOp::Topk | VectorOp::Bottomk | VectorOp::ApproxTopk => Class::Local(kept),
            _ => Class::Local(groups),
        }
    }

    /// Two series find each other by labels that tell the parts apart, or they might come from two of them.
    fn binary(&self, b: &Binary) -> Class {
        let (l, r) = match (self.class(&b.left), self.class(&b.right)) {
            (Class::Number, Class::Number) => return Class::Number,
            (Class::Local(kept), Class::Number) | (Class::Number, Class::Local(kept)) => {
                return Class::Local(kept);
            }
            (Class::Local(l), Class::Local(r)) => (l, r),
            _ => return Class::Hub,
        };
        let m = b.matching.as_ref();
        let compared = |name: &str| m.is_none_or(|m| m.labels.iter().any(|n| n == name) == m.on);
        if !self.told(|n| compared(n) && l.has(n) && r.has(n)) {
            return Class::Hub;
        }
        Class::Local(match (b.op, m) {
            (BinaryOp::Or, _) => l.and(&r),
            (op, _) if op.is_set() => l,
            (_, None) => l,
            (_, Some(m)) => match &m.group {
                Group::Left(include) => l.minus(include),
                Group::Right(include) => r.minus(include),
                Group::None if m.on => l.only(&m.labels),
                Group::None => l.minus(&m.labels),
            },
        })
    }

    fn made<'q>(&self, expr: &'q MetricExpr, how: How) -> Option<Push<'q>> {
        let (first, last, text) = self.alone(expr)?;
        let mut selectors: Vec<&[Matcher]> = Vec::new();
        let mut clock = false;
        expr.each_range(&mut |r| {
            selectors.push(&r.range.log.matchers);
            clock |= reads_clock(&r.range.log.stages);
        });
        // What the time is differs with whoever looks.
        if clock {
            return None;
        }
        let may_match = |p: &Part| {
            let fits = |m: &Matcher| p.labels.get(&m.name).is_none_or(|v| m.matches(v));
            selectors.iter().any(|s| s.iter().all(fits))
        };
        let parts: Vec<usize> =
            self.parts.iter().enumerate().filter(|(_, p)| may_match(p)).map(|(i, _)| i).collect();
        let able =
            |i: &usize| self.parts.get(*i).is_some_and(|p| p.select.capabilities().understands(DIALECT));
        if !parts.iter().any(able) {
            return None;
        }
        let step_ms = if self.grid.len > 1 { self.grid.step_ns / MS } else { 1 };
        let grid_ms = (self.grid.at_ms(0), self.grid.at_ms(self.grid.len.saturating_sub(1)), step_ms);
        let range = TimeRange::new(TimestampNs(first), TimestampNs(last.saturating_add(1)));
        Some(Push { how, expr, text, grid_ms, parts, range })
    }

    /// The expression as a query of its own over steps at whole milliseconds, with the first and the last nanosecond
    /// it looks at. `None` where there is no text that says the same.
    fn alone(&self, expr: &MetricExpr) -> Option<(i64, i64, String)> {
        if self.grid.len > 1 && self.grid.step_ns % MS != 0 {
            return None;
        }
        let shift = self.grid.start_ns.rem_euclid(MS);
        let mut own = expr.clone();
        let mut hull: Option<(i64, i64)> = None;
        let mut fits = true;
        own.each_range_mut(&mut |r| {
            let offset = r.range.offset_ns;
            let from = self.grid.start_ns.saturating_sub(offset).saturating_sub(r.range.range_ns);
            let to = self.grid.at_ns(self.grid.len.saturating_sub(1)).saturating_sub(offset);
            let (first, last) = hull.unwrap_or((i64::MAX, i64::MIN));
            hull = Some((first.min(from.saturating_add(1)), last.max(to)));
            match offset.checked_sub(shift) {
                Some(shifted) => r.range.offset_ns = shifted,
                None => fits = false,
            }
        });
        let (first, last) = hull.filter(|_| fits)?;
        let own = Expr::Metric(own);
        let text = own.to_string();
        let again = parse(&text).ok()?;
        (again == own && check(&again).is_ok()).then_some((first, last, text))
    }
}

fn grouped(kept: &Kept, g: &Grouping) -> Kept {
    if g.without { kept.minus(&g.labels) } else { kept.only(&g.labels) }
}

/// The labels that the series of a range aggregation have as the streams did.
fn kept(r: &RangeAggregation) -> Kept {
    let mut kept = Kept::all_but([]);
    for stage in &r.range.log.stages {
        kept = match stage {
            Stage::LabelFormat(formats) => formats.iter().fold(kept, |kept, f| match &f.source {
                FormatSource::Label(from) => kept.minus([&f.label, from]),
                FormatSource::Template(_) => kept.minus([&f.label]),
            }),
            Stage::Drop(choices) => choices.iter().fold(kept, |kept, c| kept.minus([&c.name().to_owned()])),
            // One that is kept for its value is not kept in every line.
            Stage::Keep(choices) => kept.only(choices.iter().filter_map(|c| match c {
                LabelChoice::Name(name) => Some(name),
                LabelChoice::Matching(_) => None,
            })),
            // Parsers put what they find beside the stream's labels, filters and formats of lines touch none.
            Stage::Json(_)
            | Stage::Logfmt { .. }
            | Stage::Regexp(_)
            | Stage::Pattern(_)
            | Stage::Unpack
            | Stage::Line(_)
            | Stage::Label(_)
            | Stage::LineFormat(_)
            | Stage::Decolorize => kept,
        };
    }
    let by_name = r.grouping.as_ref().filter(|g| !g.without);
    if let (Some(u), None) = (&r.range.unwrap, by_name) {
        kept = kept.minus([&u.label]);
    }
    match &r.grouping {
        Some(g) => grouped(&kept, g),
        None => kept,
    }
}

#[cfg(test)]
mod tests;
