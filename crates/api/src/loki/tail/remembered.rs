//! Which lines were sent: how often each at its time, so that a line that was written twice is sent twice, and one
//! that is read twice is sent once.

use std::collections::BTreeMap;

/// Bounded: where there is no room for more, the oldest are forgotten.
pub(super) struct Remembered {
    /// By time and by what a line looks like, how often it was sent.
    lines: BTreeMap<(i64, u64), u32>,
    max: usize,
    floor_ns: i64,
}

impl Remembered {
    /// Room for `max` different lines.
    pub fn new(max: usize) -> Self {
        Remembered { lines: BTreeMap::new(), max, floor_ns: i64::MIN }
    }

    /// What was sent before that time is not known any more.
    pub fn floor_ns(&self) -> i64 {
        self.floor_ns
    }

    /// About what this takes.
    pub fn bytes(&self) -> u64 {
        (self.lines.len() * 2 * size_of::<((i64, u64), u32)>()) as u64
    }

    /// Whether the `nth` of the lines that look alike at that time, counted from 1, was not sent yet. From now on it
    /// was.
    pub fn is_new(&mut self, at_ns: i64, looks: u64, nth: u32) -> bool {
        let sent = self.lines.entry((at_ns, looks)).or_default();
        if *sent >= nth {
            return false;
        }
        *sent = nth;
        self.keep(self.max);
        true
    }

    /// Forgets the older half.
    pub fn forget_half(&mut self) {
        self.keep(self.lines.len() / 2);
    }

    fn keep(&mut self, most: usize) {
        while self.lines.len() > most
            && let Some(((oldest_ns, _), _)) = self.lines.pop_first()
        {
            self.floor_ns = self.floor_ns.max(oldest_ns.saturating_add(1));
        }
    }

    pub fn forget_before(&mut self, at_ns: i64) {
        if at_ns > self.floor_ns {
            self.lines = self.lines.split_off(&(at_ns, 0));
            self.floor_ns = at_ns;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_lines_of_one_time_are_sent_as_often_as_they_were_written() {
        let mut r = Remembered::new(10);
        assert!(r.is_new(5, 1, 1) && r.is_new(5, 1, 2) && r.is_new(5, 2, 1) && r.is_new(6, 1, 1));
        assert!(!r.is_new(5, 1, 1) && !r.is_new(5, 1, 2) && !r.is_new(6, 1, 1));
        assert!(r.is_new(5, 1, 3));
    }

    #[test]
    fn without_room_the_oldest_are_forgotten_and_it_is_known_how_far() {
        let mut r = Remembered::new(3);
        (0..5).for_each(|t| assert!(r.is_new(t, 0, 1)));
        assert_eq!((r.lines.len(), r.floor_ns()), (3, 2));
        r.forget_half();
        assert_eq!((r.lines.len(), r.floor_ns()), (1, 4));
        r.forget_before(1);
        assert!(r.floor_ns() == 4 && !r.is_new(4, 0, 1));
        r.forget_before(5);
        assert!(r.lines.is_empty() && r.floor_ns() == 5);
    }
}
