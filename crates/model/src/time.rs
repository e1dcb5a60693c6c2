//! Points in time and half-open ranges. Samples carry milliseconds, log records and spans nanoseconds;
//! both count from 1970-01-01T00:00:00Z and ignore leap seconds.

use std::fmt;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct TimestampMs(pub i64);

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct TimestampNs(pub i64);

impl TimestampMs {
    pub fn to_ns(self) -> TimestampNs {
        TimestampNs(self.0.saturating_mul(1_000_000))
    }
}

impl TimestampNs {
    /// The millisecond this nanosecond falls in.
    pub fn to_ms(self) -> TimestampMs {
        TimestampMs(self.0.div_euclid(1_000_000))
    }
}

/// `[start, end)` in nanoseconds. Empty when `end <= start`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TimeRange {
    pub start: TimestampNs,
    pub end: TimestampNs,
}

impl TimeRange {
    pub const ALL: TimeRange = TimeRange { start: TimestampNs(i64::MIN), end: TimestampNs(i64::MAX) };

    pub fn new(start: TimestampNs, end: TimestampNs) -> Self {
        TimeRange { start, end }
    }

    /// The range that holds every millisecond from `first` to `last`, both included, as PromQL selects.
    pub fn from_ms_inclusive(first: i64, last: i64) -> Self {
        TimeRange { start: TimestampMs(first).to_ns(), end: TimestampMs(last.saturating_add(1)).to_ns() }
    }

    /// First and last millisecond inside the range, both included.
    pub fn to_ms_inclusive(self) -> (i64, i64) {
        (
            self.start.0.saturating_add(999_999).div_euclid(1_000_000),
            (self.end.0.saturating_sub(1)).div_euclid(1_000_000),
        )
    }

    pub fn is_empty(self) -> bool {
        self.end <= self.start
    }

    pub fn contains(self, at: TimestampNs) -> bool {
        self.start <= at && at < self.end
    }

    pub fn overlaps(self, other: TimeRange) -> bool {
        self.start < other.end && other.start < self.end
    }

    pub fn intersect(self, other: TimeRange) -> TimeRange {
        TimeRange { start: self.start.max(other.start), end: self.end.min(other.end) }
    }

    /// The smallest range that holds both.
    pub fn hull(self, other: TimeRange) -> TimeRange {
        TimeRange { start: self.start.min(other.start), end: self.end.max(other.end) }
    }
}

impl fmt::Debug for TimeRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{}, {})", self.start.0, self.end.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn millisecond_ranges_convert_there_and_back() {
        for (a, b) in [(0, 0), (-5, 7), (1_700_000_000_000, 1_700_000_000_999)] {
            assert_eq!(TimeRange::from_ms_inclusive(a, b).to_ms_inclusive(), (a, b));
        }
    }
}
