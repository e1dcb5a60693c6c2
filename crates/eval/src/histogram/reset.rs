//! Whether a counter histogram was reset between two samples.

use model::{Histogram, histogram::ResetHint};

use super::buckets::{coarser, negative, positive, upper_bound};

/// Trusts the hint where there is one, else looks for anything that became smaller.
pub fn detect_reset(now: &Histogram, before: &Histogram) -> bool {
    match now.reset_hint {
        ResetHint::Reset => return true,
        ResetHint::NotReset => return false,
        ResetHint::Unknown | ResetHint::Gauge => {}
    }
    if now.count < before.count || now.uses_custom_buckets() != before.uses_custom_buckets() {
        return true;
    }
    if now.uses_custom_buckets() {
        return custom_reset(now, before);
    }
    if now.schema > before.schema || now.zero_threshold < before.zero_threshold {
        return true;
    }
    // The older one as the newer would have laid it out.
    let threshold = now.zero_threshold;
    let mut zero = before.zero_count;
    let mut sides = [Vec::new(), Vec::new()];
    for (side, old) in sides.iter_mut().zip([positive(before), negative(before)]) {
        for (i, c) in old {
            let lower = upper_bound(i.saturating_sub(1), before.schema, &[]);
            let upper = upper_bound(i, before.schema, &[]);
            if lower >= threshold {
                side.push((coarser(i, before.schema, now.schema), c));
                continue;
            }
            zero += c;
            if upper > threshold && c != 0.0 {
                return true;
            }
        }
    }
    now.zero_count < zero || any_smaller(&positive(now), &sides[0]) || any_smaller(&negative(now), &sides[1])
}

fn custom_reset(now: &Histogram, before: &Histogram) -> bool {
    if now.custom_values == before.custom_values {
        return any_smaller(&positive(now), &positive(before));
    }
    let common: Vec<f64> =
        now.custom_values.iter().copied().filter(|b| before.custom_values.contains(b)).collect();
    let mapped = |h: &Histogram| -> Vec<(i32, f64)> {
        positive(h)
            .into_iter()
            .map(|(i, c)| {
                let bound = usize::try_from(i).ok().and_then(|i| h.custom_values.get(i));
                let at = bound.map_or(common.len(), |b| common.partition_point(|x| x < b));
                (i32::try_from(at).unwrap_or(i32::MAX), c)
            })
            .collect()
    };
    any_smaller(&mapped(now), &mapped(before))
}

/// Whether some bucket holds less than before. Both ascend; equal indexes add up.
fn any_smaller(now: &[(i32, f64)], before: &[(i32, f64)]) -> bool {
    let (mut n, mut b) = (0, 0);
    while b < before.len() {
        let index = before[b].0;
        let mut old = 0.0;
        while b < before.len() && before[b].0 == index {
            old += before[b].1;
            b += 1;
        }
        while n < now.len() && now[n].0 < index {
            n += 1;
        }
        let mut new = 0.0;
        while n < now.len() && now[n].0 == index {
            new += now[n].1;
            n += 1;
        }
        if new < old {
            return true;
        }
    }
    false
}
