//! By which windows a head is cut into segments.
//!
//! Recent items get aligned windows of the configured width. What is much older comes in by backfill or by
//! mistake; it gets coarse windows, so that one sender with a wrong clock cannot make thousands of files.

use std::time::Duration;

use model::{TimeRange, TimestampNs};

/// Windows of the configured width, counted back from the newest item.
const FINE: i64 = 48;
const COARSE: i64 = 24;
const COARSE_NS: i64 = 30 * 24 * 3_600_000_000_000;

/// Disjoint windows, ascending, that cover `range`. At most 74.
pub(crate) fn cut(range: TimeRange, width: Duration) -> Vec<TimeRange> {
    let width = i64::try_from(width.as_nanos()).unwrap_or(i64::MAX).clamp(1_000_000_000, COARSE_NS);
    let mut windows = Vec::new();
    let mut end = range.end.0;
    while !range.is_empty() && end > range.start.0 {
        let step = match windows.len() as i64 {
            n if n < FINE => width,
            n if n < FINE + COARSE => COARSE_NS,
            _ => i64::MAX,
        };
        // The last item before `end` decides which window comes next.
        let start = if step == i64::MAX { i64::MIN } else { aligned(end.saturating_sub(1), step) };
        windows.push(TimeRange::new(
            TimestampNs(start),
            TimestampNs(end_of(start, step, end, windows.is_empty())),
        ));
        end = start;
    }
    windows.reverse();
    windows
}

fn aligned(at: i64, step: i64) -> i64 {
    at.checked_sub(at.rem_euclid(step)).unwrap_or(i64::MIN)
}

/// The newest window ends at its aligned end, every other one where the next begins.
fn end_of(start: i64, step: i64, next: i64, newest: bool) -> i64 {
    if newest { start.saturating_add(step) } else { next }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const W: Duration = Duration::from_secs(7200);

    fn range(a: i64, b: i64) -> TimeRange {
        TimeRange::new(TimestampNs(a), TimestampNs(b))
    }

    #[test]
    fn recent_items_get_aligned_windows() {
        let h = 3_600_000_000_000;
        assert_eq!(cut(range(3 * h, 5 * h), W), [range(2 * h, 4 * h), range(4 * h, 6 * h)]);
        assert_eq!(cut(range(4 * h, 4 * h + 1), W), [range(4 * h, 6 * h)]);
        assert!(cut(range(5, 5), W).is_empty());
    }

    proptest! {
        #[test]
        fn windows_cover_the_range_without_overlap_and_are_few(a in any::<i64>(), b in any::<i64>()) {
            let (a, b) = (a.min(b), a.max(b));
            let windows = cut(range(a, b), W);
            prop_assert!(windows.len() <= 74);
            for pair in windows.windows(2) {
                prop_assert_eq!(pair[0].end, pair[1].start);
            }
            if a < b {
                prop_assert!(windows[0].start.0 <= a && windows[windows.len() - 1].end.0 >= b);
            }
        }
    }
}
