//! What waits in memory to be flushed is bounded: where items come faster than they become segments, their senders wait.
//!
//! ```text
//! heads:   0 ─────────── max_head_bytes ─────────── 2 x max_head_bytes ──────────────
//!          taken at once  flushed, taken at once     waited for a flush, then taken
//! ```
//! A wait ends with the next head that was flushed, and in any case after [`LONGEST`]: a store that cannot flush goes on
//! taking what memory and disk have room for, and a sender never takes a slow answer for none.

use std::{
    sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    time::Duration,
};

use tokio::sync::Notify;

use crate::core::Core;

/// Heads of the size that is flushed which are held at most, the one that fills among them.
const HEADS: u64 = 2;
/// Of one append. Exporters of OpenTelemetry give up after ten seconds.
const LONGEST: Duration = Duration::from_secs(2);

#[derive(Default)]
pub(crate) struct Room {
    /// Bytes of all heads, as of the last group or flush.
    held: AtomicU64,
    /// The flusher runs, and its last turn succeeded.
    flushing: AtomicBool,
    /// Rung for all who wait when a head was flushed.
    made: Notify,
}

impl Room {
    pub(crate) fn holds(&self, bytes: u64) {
        self.held.store(bytes, Relaxed);
    }

    /// A head was flushed, and so many bytes are left.
    pub(crate) fn made(&self, left: u64) {
        self.holds(left);
        self.made.notify_waiters();
    }

    /// Whether flushes are to be waited for.
    pub(crate) fn flushes(&self, well: bool) {
        self.flushing.store(well, Relaxed);
        if !well {
            self.made.notify_waiters();
        }
    }
}

/// Returns when heads have room, or waiting does not help.
pub(crate) async fn wait(core: &Core) {
    let full = || {
        core.room.flushing.load(Relaxed)
            && core.room.held.load(Relaxed) > HEADS.saturating_mul(core.max_head_bytes())
    };
    if !full() {
        return;
    }
    let since = core.clock.now_ns();
    let until_room = async {
        loop {
            let mut made = std::pin::pin!(core.room.made.notified());
            made.as_mut().enable();
            if !full() {
                return;
            }
            core.flush_now.notify_one();
            made.await;
        }
    };
    tokio::select! {
        () = until_room => {}
        () = core.clock.sleep(LONGEST) => {}
    }
    core.counts.waited(core.clock.now_ns().saturating_sub(since));
}
