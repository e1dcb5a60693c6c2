//! What a log counts about itself. Names begin with the log's own name (`wal`, `queue`), since a registry
//! takes each name once.

use base::{
    Metrics,
    metrics::{Counters, Gauges, Latencies, pair},
};

#[derive(Clone)]
pub(crate) struct LogMetrics {
    frames: Counters,
    bytes: Counters,
    syncs: Latencies,
    failures: Counters,
    held_bytes: Gauges,
    segments: Gauges,
}

impl LogMetrics {
    pub(crate) fn new(name: &str, m: &Metrics) -> Self {
        let n = |what: &str| format!("{name}_{what}");
        LogMetrics {
            frames: m.counters(&n("appended_frames"), "Frames acknowledged as durable."),
            bytes: m.counters(&n("appended_bytes"), "Bytes of frames acknowledged as durable."),
            syncs: m.latencies(&n("commit"), "Time of one group commit: write and fdatasync."),
            failures: m.counters(&n("failures"), "Group commits and rotations that the disk refused."),
            held_bytes: m.gauges(&n("held_bytes"), "Bytes in all segments."),
            segments: m.gauges(&n("segments"), "Segment files."),
        }
    }

    pub(crate) fn committed(&self, frames: u64, bytes: u64, seconds: f64) {
        self.frames.get_or_create(&Vec::new()).inc_by(frames);
        self.bytes.get_or_create(&Vec::new()).inc_by(bytes);
        self.syncs.get_or_create(&Vec::new()).observe(seconds);
    }

    pub(crate) fn failed(&self, what: &str) {
        self.failures.get_or_create(&pair("action", what)).inc();
    }

    pub(crate) fn holds(&self, segments: usize, bytes: u64) {
        self.segments.get_or_create(&Vec::new()).set(segments as i64);
        self.held_bytes.get_or_create(&Vec::new()).set(bytes as i64);
    }
}
