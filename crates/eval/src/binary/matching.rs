//! Arithmetic and comparison between vectors.
//!
//! Series fall into groups by their match labels. Inside a group every pair of series is computed over all steps
//! at once; what may happen once per step only is tracked in bitmaps.

use model::{Labels, labels::METRIC_NAME};

use super::{BinaryOp, Cardinality, Element, Matching, element, scalar_op};
use crate::{ByLabels, Column, Env, Error, Result, Series, rows};

type Bits = Vec<u64>;

/// The labels by which a series finds its partner.
pub(super) fn signature(labels: &Labels, m: &Matching) -> Labels {
    if m.on {
        labels.only(&m.labels)
    } else {
        labels.filter(|n| n != METRIC_NAME && !m.labels.iter().any(|l| l == n))
    }
}

/// The match labels as they are shown and as a filled-in side carries them.
fn match_labels(labels: &Labels, m: &Matching) -> Labels {
    signature(labels, m)
}

#[derive(Default)]
struct Group {
    many: Vec<usize>,
    one: Vec<usize>,
}

/// What stays the same over all groups. "Many" is the left side, or the right one with `group_right`.
struct Join<'a> {
    op: BinaryOp,
    return_bool: bool,
    matching: &'a Matching,
    swapped: bool,
    many: &'a [Series],
    one: &'a [Series],
    steps: usize,
    /// Names stay until the end of the query.
    delay: bool,
    out: Vec<Series>,
    /// Bytes charged for `out` while it grows.
    charged: usize,
}

pub(super) fn arithmetic(
    op: BinaryOp,
    return_bool: bool,
    matching: &Matching,
    lhs: Vec<Series>,
    rhs: Vec<Series>,
    env: &mut Env<'_>,
) -> Result<Vec<Series>> {
    let swapped = matching.cardinality == Cardinality::OneToMany;
    let (many, one) = if swapped { (&rhs, &lhs) } else { (&lhs, &rhs) };
    let steps = many.first().or(one.first()).map_or(0, |s| s.column.len());
    let mut groups: ByLabels<usize> = ByLabels::default();
    let mut list: Vec<Group> = Vec::new();
    for (is_one, rows) in [(false, many), (true, one)] {
        for (i, row) in rows.iter().enumerate() {
            let at = *groups.entry(signature(&row.labels, matching)).or_insert_with(|| {
                list.push(Group::default());
                list.len() - 1
            });
            if is_one { list[at].one.push(i) } else { list[at].many.push(i) }
        }
    }
    let mut join = Join {
        op,
        return_bool,
        matching,
        swapped,
        many,
        one,
        steps,
        delay: env.delay_name_removal,
        out: Vec::new(),
        charged: 0,
    };
    join.check_one_side(&list)?;
    for group in &list {
        env.meter.tick()?;
        join.group(group, env)?;
    }
    env.meter.release(join.charged);
    let mut out = join.out;
    out.retain(|r| !r.column.is_empty());
    rows::merge_same(out, env)
}

fn any_present(rows: impl Iterator<Item = impl AsRef<[u64]>>, words: usize) -> Bits {
    rows.fold(vec![0; words], |mut all, bits| {
        all.iter_mut().zip(bits.as_ref()).for_each(|(a, b)| *a |= b);
        all
    })
}

impl Join<'_> {
    fn words(&self) -> usize {
        self.steps.div_ceil(64)
    }

    /// A group may have one series of the one side per step. Steps at which a whole side is empty match nothing
    /// and so are not looked at.
    fn check_one_side(&self, groups: &[Group]) -> Result<()> {
        if groups.iter().all(|g| g.one.len() < 2) {
            return Ok(());
        }
        let filled = self.matching.fill_left.is_some() || self.matching.fill_right.is_some();
        let there = any_present(self.many.iter().map(|s| s.column.presence()), self.words());
        for g in groups.iter().filter(|g| g.one.len() > 1) {
            let mut seen: Bits = vec![0; self.words()];
            for (n, i) in g.one.iter().enumerate() {
                let bits = self.one[*i].column.presence();
                let clash = seen
                    .iter()
                    .zip(bits)
                    .zip(&there)
                    .any(|((s, b), t)| s & b & (t | filled_mask(filled)) != 0);
                if clash {
                    return Err(self.duplicate_error(*i, &g.one[..n]));
                }
                seen.iter_mut().zip(bits).for_each(|(s, b)| *s |= b);
            }
        }
        Ok(())
    }

    fn duplicate_error(&self, second: usize, earlier: &[usize]) -> Error {
        let bits = self.one[second].column.presence();
        let first = earlier
            .iter()
            .copied()
            .find(|i| self.one[*i].column.presence().iter().zip(bits).any(|(a, b)| a & b != 0));
        let text = |i: usize| self.one[i].labels.to_string();
        let (mut a, mut b) = (text(second), first.map(text).unwrap_or_default());
        if a > b {
            std::mem::swap(&mut a, &mut b);
        }
        let side = if self.swapped { "left" } else { "right" };
        Error::invalid(format!(
            "found duplicate series for the match group {} on the {side} hand-side of the operation: [{a}, {b}];\
             many-to-many matching not allowed: matching labels must be unique on one side",
            match_labels(&self.one[second].labels, self.matching)
        ))
    }

    fn group(&mut self, g: &Group, env: &mut Env<'_>) -> Result<()> {
        // As in Prometheus: with `group_right` the names of the fills follow the swapped sides.
        let (fill_many, fill_one) = (self.matching.fill_left, self.matching.fill_right);
        if (g.many.is_empty() && fill_many.is_none()) || (g.one.is_empty() && fill_one.is_none()) {
            return Ok(());
        }
        let (many, one) = (self.many, self.one);
        let mut matched = Matched::new(self.matching.cardinality, self.words());
        let one_there = any_present(g.one.iter().map(|i| one[*i].column.presence()), self.words());
        for m in g.many.iter().map(|i| &many[*i]) {
            for o in g.one.iter().map(|i| &one[*i]) {
                let labels = self.result_labels(&m.labels, &o.labels);
                self.pair(labels, &m.column, &o.column, &mut matched, env)?;
            }
            if let Some(fill) = fill_one {
                let mut alone = m.column.clone();
                alone.mask(|i| !one_there.get(i).copied().unwrap_or(0));
                let labels = self.result_labels(&m.labels, &match_labels(&m.labels, self.matching));
                self.pair(labels, &alone, &Column::constant(fill, self.steps), &mut matched, env)?;
            }
        }
        if let Some(fill) = fill_many {
            for o in g.one.iter().map(|i| &one[*i]) {
                let mut alone = o.column.clone();
                alone.mask(|i| !matched.any.get(i).copied().unwrap_or(0));
                let labels = self.result_labels(&match_labels(&o.labels, self.matching), &o.labels);
                self.pair(labels, &Column::constant(fill, self.steps), &alone, &mut matched, env)?;
            }
        }
        Ok(())
    }

    /// One series of each side over all steps.
    fn pair(
        &mut self,
        labels: Labels,
        many: &Column,
        one: &Column,
        matched: &mut Matched,
        env: &mut Env<'_>,
    ) -> Result<()> {
        let (a, b) = if self.swapped { (one, many) } else { (many, one) };
        let mut column = Column::empty(self.steps);
        let mut met: Bits = vec![0; self.words()];
        for (i, w) in met.iter_mut().enumerate() {
            *w = a.presence().get(i).copied().unwrap_or(0) & b.presence().get(i).copied().unwrap_or(0);
        }
        if met.iter().all(|w| *w == 0) {
            return Ok(());
        }
        env.meter.work(self.steps)?;
        let plain = !a.has_histograms()
            && !b.has_histograms()
            && !matches!(self.op, BinaryOp::TrimLower | BinaryOp::TrimUpper);
        if plain && !self.op.is_comparison() {
            let (x, y) = (a.raw_floats(), b.raw_floats());
            for step in bits(&met) {
                column.set_float(step, scalar_op(self.op, x[step], y[step]));
            }
        } else {
            for step in bits(&met.clone()) {
                let (Some(x), Some(y)) = (a.get(step), b.get(step)) else { continue };
                let Element { value, keep } = element(self.op, x, y, env);
                match value {
                    None => met[step / 64] &= !(1 << (step % 64)),
                    Some(_) if self.return_bool => column.set_float(step, f64::from(u8::from(keep))),
                    Some(v) if keep => column.put(step, v),
                    Some(_) => {}
                }
            }
        }
        matched.add(&labels, &met)?;
        let bytes = column.heap_bytes() + labels.packed_len();
        env.meter.charge(bytes)?;
        self.charged += bytes;
        self.out.push(Series { labels, column, drop_name: self.return_bool && self.delay });
        Ok(())
    }

    fn result_labels(&self, many: &Labels, one: &Labels) -> Labels {
        let m = self.matching;
        let drops = self.op.changes_meaning() || (self.return_bool && !self.delay);
        let base = if drops { rows::drop_metadata(many) } else { many.clone() };
        let mut labels = match m.cardinality {
            Cardinality::OneToOne if m.on => base.only(&m.labels),
            Cardinality::OneToOne => base.without(&m.labels),
            _ => base,
        };
        for name in &m.include {
            labels = labels.with(name, one.value(name));
        }
        labels
    }
}

fn filled_mask(filled: bool) -> u64 {
    if filled { u64::MAX } else { 0 }
}

fn bits(words: &[u64]) -> impl Iterator<Item = usize> + '_ {
    words
        .iter()
        .enumerate()
        .flat_map(|(i, w)| (0..64).filter(move |b| w >> b & 1 == 1).map(move |b| i * 64 + b))
}

/// Steps at which a group has found partners already.
struct Matched {
    one_to_one: bool,
    any: Bits,
    by_result: ByLabels<Bits>,
}

impl Matched {
    fn new(c: Cardinality, words: usize) -> Self {
        Matched {
            one_to_one: c == Cardinality::OneToOne,
            any: vec![0; words],
            by_result: ByLabels::default(),
        }
    }

    fn add(&mut self, labels: &Labels, met: &[u64]) -> Result<()> {
        let clash = |seen: &[u64]| seen.iter().zip(met).any(|(s, m)| s & m != 0);
        if self.one_to_one && clash(&self.any) {
            return Err(Error::invalid(
                "multiple matches for labels: many-to-one matching must be explicit (group_left/group_right)",
            ));
        }
        if !self.one_to_one {
            let seen = self.by_result.entry(labels.clone()).or_insert_with(|| vec![0; met.len()]);
            if clash(seen) {
                return Err(Error::invalid(
                    "multiple matches for labels: grouping labels must ensure unique matches",
                ));
            }
            seen.iter_mut().zip(met).for_each(|(s, m)| *s |= m);
        }
        self.any.iter_mut().zip(met).for_each(|(s, m)| *s |= m);
        Ok(())
    }
}
