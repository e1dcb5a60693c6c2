//! How far each partition is durable here.

use std::collections::HashMap;

use parking_lot::Mutex;

use crate::stats::Stats;

#[derive(Debug, Default)]
struct Mark {
    /// Which assignment of the partition it is of.
    life: u64,
    /// Everything before is durable or was passed over.
    next: Option<i64>,
    committed: Option<i64>,
    begun: bool,
}

pub(super) struct Board {
    stats: Stats,
    held: Mutex<Held>,
}

#[derive(Default)]
struct Held {
    lives: u64,
    marks: HashMap<(String, i32), Mark>,
}

fn key(topic: &str, partition: i32) -> (String, i32) {
    (topic.to_owned(), partition)
}

impl Board {
    pub(super) fn new(stats: Stats) -> Self {
        Board { stats, held: Mutex::default() }
    }

    pub(super) fn assign(&self, topic: &str, partition: i32) {
        let mut held = self.held.lock();
        held.lives += 1;
        let life = held.lives;
        held.marks.insert(key(topic, partition), Mark { life, ..Mark::default() });
    }

    pub(super) fn remove(&self, topic: &str, partition: i32) {
        self.held.lock().marks.remove(&key(topic, partition));
        self.stats.forget(topic, partition);
    }

    pub(super) fn clear(&self) {
        let marks = std::mem::take(&mut self.held.lock().marks);
        marks.keys().for_each(|(topic, partition)| self.stats.forget(topic, *partition));
    }

    /// The assignment a partition is held under; 0 for none.
    pub(super) fn life(&self, topic: &str, partition: i32) -> u64 {
        self.held.lock().marks.get(&key(topic, partition)).map_or(0, |m| m.life)
    }

    /// Whether nobody has looked yet where the partition goes on.
    pub(super) fn is_new(&self, topic: &str, partition: i32) -> bool {
        self.held.lock().marks.get(&key(topic, partition)).is_some_and(|m| !m.begun)
    }

    pub(super) fn begin(&self, topic: &str, partition: i32, committed: Option<i64>) {
        if let Some(m) = self.held.lock().marks.get_mut(&key(topic, partition)) {
            (m.begun, m.next, m.committed) = (true, committed, committed);
        }
    }

    /// The record at `offset` is durable or passed over, as are those before it. Offsets that nobody was given are
    /// counted. False where the partition is somebody else's by now.
    pub(super) fn advance(&self, topic: &str, partition: i32, life: u64, offset: i64) -> bool {
        let mut held = self.held.lock();
        let Some(m) = held.marks.get_mut(&key(topic, partition)).filter(|m| m.life == life) else {
            return false;
        };
        let skipped = m.next.map_or(0, |next| offset - next);
        m.next = Some(offset + 1);
        drop(held);
        if skipped > 0 {
            self.stats.skipped(topic, skipped as u64);
            tracing::warn!(topic, partition, offset, skipped, "offsets hold no record that can be had");
        }
        true
    }

    /// What can be committed: topic, partition, offset of the next record.
    pub(super) fn due(&self) -> Vec<(String, i32, i64)> {
        let held = self.held.lock();
        let due = held.marks.iter().filter(|(_, m)| m.next > m.committed);
        due.filter_map(|((topic, partition), m)| Some((topic.clone(), *partition, m.next?))).collect()
    }

    pub(super) fn committed(&self, topic: &str, partition: i32, offset: i64) {
        if let Some(m) = self.held.lock().marks.get_mut(&key(topic, partition)) {
            m.committed = Some(offset);
            self.stats.committed(topic, partition, offset);
        }
    }

    /// Records handed out below `position` that are not committed.
    pub(super) fn behind(&self, topic: &str, partition: i32, position: i64) -> i64 {
        let held = self.held.lock();
        let mark = held.marks.get(&key(topic, partition)).and_then(|m| m.committed);
        mark.map_or(0, |committed| (position - committed).max(0))
    }
}

#[cfg(test)]
mod tests {
    use base::Metrics;

    use super::*;

    #[test]
    fn only_what_is_durable_under_the_present_assignment_is_due() {
        let registry = Metrics::default();
        let board = Board::new(Stats::new(&registry));
        board.assign("t", 0);
        let life = board.life("t", 0);
        assert!(board.is_new("t", 0));
        board.begin("t", 0, Some(5));
        assert!(board.due().is_empty());
        assert!(board.advance("t", 0, life, 5) && board.advance("t", 0, life, 8));
        assert_eq!(board.due(), [("t".to_owned(), 0, 9)]);
        assert_eq!(board.behind("t", 0, 12), 7);
        board.committed("t", 0, 9);
        assert!(board.due().is_empty());
        board.remove("t", 0);
        board.assign("t", 0);
        assert!(!board.advance("t", 0, life, 9), "a record of the assignment before");
        let text = registry.encode();
        assert!(text.contains("orrery_kafka_skipped_offsets_total{topic=\"t\"} 2"), "{text}");
    }
}
