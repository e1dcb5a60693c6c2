//! `and`, `or`, `unless`: which series are there, whatever their values.

use super::{BinaryOp, Matching, matching::signature};
use crate::{ByLabels, Env, Result, Series, rows};

/// Steps at which some series of a match group has a value.
type Presence = ByLabels<Vec<u64>>;

fn presence(rows: &[Series], matching: &Matching) -> Presence {
    let mut out = Presence::default();
    for row in rows {
        let bits = row.column.presence();
        let seen = out.entry(signature(&row.labels, matching)).or_insert_with(|| vec![0; bits.len()]);
        seen.iter_mut().zip(bits).for_each(|(s, b)| *s |= b);
    }
    out
}

pub(super) fn set(
    op: BinaryOp,
    matching: &Matching,
    mut lhs: Vec<Series>,
    mut rhs: Vec<Series>,
    env: &mut Env<'_>,
) -> Result<Vec<Series>> {
    let (kept, other) = match op {
        BinaryOp::Or => (&mut rhs, presence(&lhs, matching)),
        _ => (&mut lhs, presence(&rhs, matching)),
    };
    for row in kept.iter_mut() {
        env.meter.tick()?;
        let there = other.get(&signature(&row.labels, matching));
        let word = |i: usize| there.and_then(|t| t.get(i)).copied().unwrap_or(0);
        match op {
            BinaryOp::And => row.column.mask(word),
            _ => row.column.mask(|i| !word(i)),
        }
    }
    kept.retain(|r| !r.column.is_empty());
    if op != BinaryOp::Or {
        return Ok(lhs);
    }
    lhs.append(&mut rhs);
    rows::merge_same(lhs, env)
}
