//! Aggregations that pick some of the series: `topk`, `bottomk`, `limitk`, `limit_ratio`.

use model::Labels;
use xxhash_rust::xxh64::xxh64;

use super::{AggregateOp, Grouping, Groups, Parameter, ignored_histogram, members};
use crate::{Cell, Column, Env, Error, Result, Series};

pub(super) fn pick(
    op: AggregateOp,
    grouping: &Grouping,
    parameter: Parameter<'_>,
    input: Vec<Series>,
    env: &mut Env<'_>,
) -> Result<Vec<Series>> {
    let Parameter::Numbers(k) = parameter else {
        return Err(Error::invalid(format!("{} needs a number as its first argument", op.as_str())));
    };
    if !useful(op, k)? {
        return Ok(Vec::new());
    }
    let groups = members(&input, grouping);
    let steps = input.first().map_or(0, |s| s.column.len());
    if steps == 1 {
        return Ok(one_step(op, k, input, &groups, env));
    }
    let mut picked: Vec<Option<Column>> = input.iter().map(|_| None).collect();
    let mut order = Vec::new();
    for members in &groups.members {
        env.meter.tick()?;
        for step in 0..steps {
            env.meter.work(members.len())?;
            choose(op, k, &input, members, step, &mut order, env);
            for i in &order {
                if let Some(cell) = input[*i].column.get(step) {
                    picked[*i].get_or_insert_with(|| Column::empty(steps)).set(step, cell);
                }
            }
        }
    }
    let rows = input.into_iter().zip(picked);
    Ok(rows.filter_map(|(s, c)| c.map(|column| Series { column, ..s })).collect())
}

/// Over one step the order of the answer is that of the values.
fn one_step(
    op: AggregateOp,
    k: &Column,
    input: Vec<Series>,
    groups: &Groups,
    env: &mut Env<'_>,
) -> Vec<Series> {
    let mut rows: Vec<Option<Series>> = Vec::new();
    let mut all = Vec::new();
    let mut order = Vec::new();
    for members in &groups.members {
        choose(op, k, &input, members, 0, &mut order, env);
        all.extend_from_slice(&order);
    }
    rows.extend(input.into_iter().map(Some));
    all.into_iter().filter_map(|i| rows[i].take()).collect()
}

/// Whether anything can be picked; refuses parameters that are not numbers of series.
fn useful(op: AggregateOp, k: &Column) -> Result<bool> {
    let values = || k.steps().filter_map(|s| k.float(s));
    let (min, max) = values().fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), v| (a.min(v), b.max(v)));
    let nan = values().any(f64::is_nan);
    if op == AggregateOp::LimitRatio {
        if nan {
            return Err(Error::invalid("Ratio value is NaN"));
        }
        return Ok(values().any(|v| v != 0.0));
    }
    if max < 1.0 && !nan {
        return Ok(false);
    }
    if nan {
        return Err(Error::invalid("Parameter value is NaN"));
    }
    if min <= i64::MIN as f64 {
        return Err(Error::invalid(format!("Scalar value {min} underflows int64")));
    }
    if max >= i64::MAX as f64 {
        return Err(Error::invalid(format!("Scalar value {max} overflows int64")));
    }
    Ok(true)
}

/// Fills `order` with the members picked at a step, best first.
fn choose(
    op: AggregateOp,
    k: &Column,
    input: &[Series],
    members: &[usize],
    step: usize,
    order: &mut Vec<usize>,
    env: &mut Env<'_>,
) {
    order.clear();
    let Some(k) = k.float(step) else { return };
    let count = if k < 1.0 { 0 } else { (k as usize).min(members.len()) };
    match op {
        AggregateOp::Limitk => {
            order.extend(members.iter().copied().filter(|i| input[*i].column.is_present(step)).take(count));
        }
        AggregateOp::LimitRatio => {
            let r = k.clamp(-1.0, 1.0);
            let inside = |s: &Series| {
                let place = place(&s.labels);
                (r >= 0.0 && place < r) || (r < 0.0 && place >= 1.0 + r)
            };
            let there = members.iter().copied().filter(|i| input[*i].column.is_present(step));
            order.extend(there.filter(|i| r == 1.0 || r == -1.0 || inside(&input[*i])));
        }
        _ => {
            if count == 0 {
                return;
            }
            let mut best = Best::new(op == AggregateOp::Topk, count);
            for i in members {
                match input[*i].column.get(step) {
                    Some(Cell::Float(v)) => best.offer(v, *i),
                    Some(Cell::Histogram(_)) => ignored_histogram(op, env),
                    None => {}
                }
            }
            order.extend(best.sorted().into_iter().map(|(_, i)| i));
        }
    }
}

/// The `k` largest or smallest values seen, the worst of them on top of a binary heap; not-a-number is worse than
/// any number.
///
/// Which of several equal values stay, and in which order, follows from how the heap moves them. It moves them as
/// Prometheus' does, so that ties fall the same way.
struct Best {
    largest: bool,
    k: usize,
    heap: Vec<(f64, usize)>,
}

/// Up to here Go sorts by insertion, which keeps equals in order.
const INSERTION_SORT_MAX: usize = 12;

impl Best {
    fn new(largest: bool, k: usize) -> Self {
        Best { largest, k, heap: Vec::with_capacity(k.min(64)) }
    }

    fn worse(&self, a: f64, b: f64) -> bool {
        a.is_nan() || if self.largest { a < b } else { a > b }
    }

    fn below(&self, i: usize, j: usize) -> bool {
        self.worse(self.heap[i].0, self.heap[j].0)
    }

    fn offer(&mut self, v: f64, at: usize) {
        if self.heap.len() < self.k {
            self.heap.push((v, at));
            let mut j = self.heap.len() - 1;
            while j > 0 && self.below(j, (j - 1) / 2) {
                self.heap.swap(j, (j - 1) / 2);
                j = (j - 1) / 2;
            }
            return;
        }
        let top = self.heap[0].0;
        let better = if self.largest { top < v } else { top > v };
        if better || (top.is_nan() && !v.is_nan()) {
            self.heap[0] = (v, at);
            self.sink();
        }
    }

    /// Moves the top down to where it belongs.
    fn sink(&mut self) {
        let n = self.heap.len();
        let mut i = 0;
        loop {
            let mut child = 2 * i + 1;
            if child >= n {
                return;
            }
            if child + 1 < n && self.below(child + 1, child) {
                child += 1;
            }
            if !self.below(child, i) {
                return;
            }
            self.heap.swap(i, child);
            i = child;
        }
    }

    /// Best first.
    fn sorted(mut self) -> Vec<(f64, usize)> {
        if self.heap.len() > INSERTION_SORT_MAX {
            let largest = self.largest;
            self.heap.sort_by(|(a, _), (b, _)| match (a.is_nan(), b.is_nan()) {
                (false, false) if largest => b.total_cmp(a),
                (false, false) => a.total_cmp(b),
                (x, y) => x.cmp(&y),
            });
            return self.heap;
        }
        for i in 1..self.heap.len() {
            let mut j = i;
            while j > 0 && self.below(j - 1, j) {
                self.heap.swap(j - 1, j);
                j -= 1;
            }
        }
        self.heap
    }
}

/// A label set's place in `[0, 1)`. It is fixed, so ratios `r` and `r - 1` complement each other, and it is the one
/// Prometheus computes (XXH64 over length-prefixed names and values), so both pick the same series.
fn place(labels: &Labels) -> f64 {
    let mut bytes = Vec::with_capacity(labels.packed_len() + 8);
    for text in labels.iter().flat_map(|(n, v)| [n, v]) {
        match u8::try_from(text.len()) {
            Ok(n) if n < 255 => bytes.push(n),
            _ => {
                bytes.push(255);
                bytes.extend_from_slice(&(text.len() as u32).to_le_bytes()[..3]);
            }
        }
        bytes.extend_from_slice(text.as_bytes());
    }
    xxh64(&bytes, 0) as f64 / u64::MAX as f64
}
