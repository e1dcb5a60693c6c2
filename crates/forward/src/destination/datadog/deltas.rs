//! Counters as Datadog counts: what was added between two points. The point before is known once the intake has taken it;
//! a series of which none is known begins with its second point, or with its first where it says when it began.

use std::collections::{HashMap, VecDeque};

use model::Labels;

use crate::destination::flat::Point;

/// A counter's first point of which nobody knows since when it counts.
pub(super) const UNBEGUN: &str = "counter_without_start";
/// A point that is not behind the one before.
pub(super) const BACKWARDS: &str = "out_of_order";

#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Last {
    timestamp_ms: i64,
    value: f64,
}

/// The last points of counters that were taken.
#[derive(Debug)]
pub(super) struct Deltas {
    max: usize,
    last: HashMap<Labels, Last>,
    /// In order of their first point; the oldest is forgotten first.
    order: VecDeque<Labels>,
}

/// Last points as they will be once a request is taken.
#[derive(Debug, Default)]
pub(super) struct Seen(HashMap<Labels, Last>);

/// What a point adds, and over which time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Delta {
    pub(super) value: f64,
    pub(super) interval_ms: i64,
}

impl Deltas {
    pub(super) fn new(max: usize) -> Self {
        Deltas { max, last: HashMap::new(), order: VecDeque::new() }
    }

    /// What the point adds to those before, `seen` of the same request among them.
    pub(super) fn delta(&self, seen: &mut Seen, p: &Point) -> Result<Delta, &'static str> {
        let now = Last { timestamp_ms: p.timestamp_ms, value: p.value };
        let before = seen.0.get(&p.labels).or_else(|| self.last.get(&p.labels)).copied();
        if before.is_some_and(|b| b.timestamp_ms >= p.timestamp_ms) {
            return Err(BACKWARDS);
        }
        seen.0.insert(p.labels.clone(), now);
        let began = (p.start_ms > 0 && p.start_ms < p.timestamp_ms).then_some(p.start_ms);
        match before {
            // Begun anew since: all of it was added after.
            Some(b) if p.value < b.value || began.is_some_and(|s| s > b.timestamp_ms) => {
                let from = began.filter(|s| *s > b.timestamp_ms).unwrap_or(b.timestamp_ms);
                Ok(Delta { value: p.value, interval_ms: p.timestamp_ms - from })
            }
            Some(b) => Ok(Delta { value: p.value - b.value, interval_ms: p.timestamp_ms - b.timestamp_ms }),
            None => match began {
                Some(start) => Ok(Delta { value: p.value, interval_ms: p.timestamp_ms - start }),
                None => Err(UNBEGUN),
            },
        }
    }

    pub(super) fn remember(&mut self, seen: Seen) {
        for (labels, last) in seen.0 {
            if self.last.insert(labels.clone(), last).is_none() {
                self.order.push_back(labels);
            }
        }
        while self.last.len() > self.max
            && let Some(oldest) = self.order.pop_front()
        {
            self.last.remove(&oldest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn point(t: i64, start: i64, value: f64) -> Point {
        Point {
            item: 0,
            labels: Labels::from_pairs([("__name__", "a_total")]),
            timestamp_ms: t,
            start_ms: start,
            value,
            is_counter: true,
        }
    }

    fn add(value: f64, interval_ms: i64) -> Result<Delta, &'static str> {
        Ok(Delta { value, interval_ms })
    }

    #[test]
    fn a_counter_is_what_was_added_across_requests_and_resets() {
        let mut d = Deltas::new(10);
        let mut seen = Seen::default();
        assert_eq!(d.delta(&mut seen, &point(1000, 0, 5.0)), Err(UNBEGUN));
        assert_eq!(d.delta(&mut seen, &point(2000, 0, 7.0)), add(2.0, 1000));
        assert_eq!(d.delta(&mut seen, &point(2000, 0, 7.0)), Err(BACKWARDS));
        d.remember(seen);
        // Sent again, it is the same.
        for _ in 0..2 {
            let mut seen = Seen::default();
            assert_eq!(d.delta(&mut seen, &point(4000, 0, 3.0)), add(3.0, 2000), "a reset");
        }
        let mut seen = Seen::default();
        assert_eq!(d.delta(&mut seen, &point(5000, 4500, 9.0)), add(9.0, 500), "begun anew");
    }

    #[test]
    fn a_first_point_counts_where_it_says_since_when_and_memory_is_bounded() {
        let mut d = Deltas::new(2);
        for i in 0..5 {
            let labels = Labels::from_pairs([("__name__", format!("c{i}").as_str())]);
            let mut seen = Seen::default();
            let p = Point { labels, ..point(3000, 1000, 4.0) };
            assert_eq!(d.delta(&mut seen, &p), add(4.0, 2000));
            d.remember(seen);
        }
        assert_eq!((d.last.len(), d.order.len()), (2, 2));
    }
}
