//! The handle: what callers hold, and what they are promised.
//!
//! - `append` returns `Ok` only after the frame is durable (written and fdatasynced together with others
//!   that arrived within the commit interval).
//! - A frame whose `append` returned an error does not come back, not even after a restart. The one
//!   exception says so itself: [`Error::Undetermined`].
//! - Frames are read back once each, in the order in which they were acknowledged.
//! - Dropping an `append` future leaves open whether its frame was stored; it harms no other frame.

use std::{collections::VecDeque, fmt, path::PathBuf, sync::Arc, time::Duration};

use base::Metrics;
use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::{Semaphore, oneshot};

use crate::{
    Disk, Error, Reader, Recovery, Result,
    metrics::LogMetrics,
    queue::{Append, Control, Queue},
    recover, segment,
    writer::Writer,
};

/// How a log is kept.
#[derive(Debug, Clone)]
pub struct Options {
    /// Where the segments lie; created if absent. Nothing else may live there.
    pub dir: PathBuf,
    /// Prefix of the log's own metrics, e.g. `wal`. Two logs of one registry need two names.
    pub name: &'static str,
    /// A segment that has reached this size is closed. Larger: fewer files; smaller: space returns sooner.
    pub segment_bytes: u64,
    /// The largest payload taken.
    pub max_frame_bytes: usize,
    /// How long the first frame of a group waits for company. Larger: fewer syncs; smaller: lower latency.
    pub commit_interval: Duration,
    /// A group that has reached this size is committed at once.
    pub commit_bytes: usize,
}

impl Options {
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Options {
            dir: dir.into(),
            name: "wal",
            segment_bytes: 64 << 20,
            max_frame_bytes: 64 << 20,
            commit_interval: Duration::from_millis(2),
            commit_bytes: 1 << 20,
        }
    }

    /// Payload bytes that may wait for the disk. `append` waits, it does not fail, while this is reached.
    fn queue_bytes(&self) -> u32 {
        let bytes = (self.commit_bytes.saturating_mul(8)).max(self.max_frame_bytes);
        u32::try_from(bytes).unwrap_or(u32::MAX).min(Semaphore::MAX_PERMITS as u32)
    }

    fn check(&self) -> Result<()> {
        let fail = |field, value: u64, reason| Err(Error::Option { field, value, reason });
        if self.max_frame_bytes == 0 || self.max_frame_bytes > 1 << 30 {
            return fail("max_frame_bytes", self.max_frame_bytes as u64, "it must be 1 to 1 GiB");
        }
        if self.commit_bytes == 0 || self.commit_bytes > 1 << 30 {
            return fail("commit_bytes", self.commit_bytes as u64, "it must be 1 to 1 GiB");
        }
        if self.segment_bytes <= segment::HEADER {
            return fail("segment_bytes", self.segment_bytes, "it must be larger than a segment header");
        }
        Ok(())
    }
}

/// What an append in the queue holds besides its payload, so that many small ones are bounded too.
const WAITING_BYTES: u32 = 256;

/// A place between frames. Ordered as the log is; the default lies before everything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Position {
    pub segment: u64,
    /// Byte in the segment file.
    pub offset: u64,
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.segment, self.offset)
    }
}

/// A cheap handle; the log ends when [`Log::close`] was called or the last handle is dropped, in both cases
/// after everything queued was written.
#[derive(Clone)]
pub struct Log(Arc<Inner>);

struct Inner {
    options: Options,
    disk: Arc<dyn Disk>,
    queue: Arc<Queue>,
    room: Arc<Semaphore>,
    held: Arc<Mutex<Held>>,
    writer: Mutex<Option<std::thread::JoinHandle<()>>>,
}

/// Answers everybody who waits when the writer ends, even should it panic.
struct EndsQueue(Arc<Queue>);

impl Drop for EndsQueue {
    fn drop(&mut self) {
        self.0.abandon();
    }
}

/// What is durable, as readers may see it. Written by the writer alone.
#[derive(Debug, Clone, Default)]
pub(crate) struct Held {
    /// (number, durable length), ascending; the last one is being written.
    pub(crate) segments: VecDeque<(u64, u64)>,
}

impl Held {
    pub(crate) fn bytes(&self) -> u64 {
        self.segments.iter().map(|(_, len)| len).sum()
    }

    fn end(&self) -> Position {
        self.segments
            .back()
            .map(|(segment, offset)| Position { segment: *segment, offset: *offset })
            .unwrap_or_default()
    }

    fn first(&self) -> Position {
        self.segments
            .front()
            .map(|(segment, _)| Position { segment: *segment, offset: segment::HEADER })
            .unwrap_or_default()
    }
}

impl Log {
    /// Opens the log in `options.dir`, creating it if absent. Blocks: it reads the last segment whole.
    ///
    /// A torn tail of the last segment is cut off and told in the recovery; damage before it is
    /// [`Error::Corrupt`] and nothing is changed. Older segments are checked for presence and length here,
    /// their frames when they are read.
    pub fn open(options: Options, disk: Arc<dyn Disk>, metrics: &Metrics) -> Result<(Log, Recovery)> {
        options.check()?;
        let counts = LogMetrics::new(options.name, metrics);
        let opened = recover::open(&options.dir, &*disk)?;
        let held = Arc::new(Mutex::new(opened.held));
        let queue = Arc::new(Queue::default());
        let writer = Writer::new(options.clone(), disk.clone(), counts, held.clone(), opened.active);
        let lock = opened.lock;
        let work = queue.clone();
        let thread = std::thread::Builder::new()
            .name(format!("{}-writer", options.name))
            .spawn(move || {
                // Declared first, so dropped last: the directory is free once nobody writes any more.
                let _lock = lock;
                let ends = EndsQueue(work);
                writer.run(&ends.0);
            })
            .map_err(Error::io("start the writer of", &options.dir))?;
        let inner = Inner {
            room: Arc::new(Semaphore::new(options.queue_bytes() as usize)),
            options,
            disk,
            queue,
            held,
            writer: Mutex::new(Some(thread)),
        };
        Ok((Log(Arc::new(inner)), opened.recovery))
    }

    /// Appends one frame; returns the position behind it once it is durable. Waits while the queue is full.
    pub async fn append(&self, kind: u8, payload: impl Into<Bytes>) -> Result<Position> {
        let payload = payload.into();
        let limit = self.0.options.max_frame_bytes;
        if payload.len() > limit {
            return Err(Error::TooLarge { bytes: payload.len(), limit });
        }
        let permits = (payload.len() as u32).saturating_add(WAITING_BYTES).min(self.0.options.queue_bytes());
        let Ok(room) = self.0.room.clone().acquire_many_owned(permits).await else {
            return Err(Error::Closed);
        };
        let (reply, answer) = oneshot::channel();
        self.0.queue.push_append(Append::new(kind, payload, reply, room))?;
        answer.await.unwrap_or(Err(Error::Closed))
    }

    /// Closes the segment being written and begins the next, behind everything appended before. Returns
    /// where the new one begins. A segment without frames stays as it is.
    pub async fn rotate(&self) -> Result<Position> {
        let (reply, answer) = oneshot::channel();
        self.0.queue.push_control(Control::Rotate(reply))?;
        answer.await.unwrap_or(Err(Error::Closed))
    }

    /// Removes, durably and oldest first, the segments that lie wholly before `position`, except the one
    /// being written. Returns how many. After an error the rest can be removed by a later call.
    pub async fn truncate_before(&self, position: Position) -> Result<usize> {
        let (reply, answer) = oneshot::channel();
        self.0.queue.push_control(Control::TruncateBefore(position, reply))?;
        answer.await.unwrap_or(Err(Error::Closed))
    }

    /// Frames from `from` up to what is durable now, in order. `from` is the default position (everything
    /// still held), or one that this log gave out. Blocks while iterating; holds one frame and one buffer.
    pub fn read_from(&self, from: Position) -> Result<Reader> {
        let held = self.0.held.lock().clone();
        let first = held.first();
        if from != Position::default() && from < first {
            return Err(Error::Gone { position: from, first });
        }
        Ok(Reader::new(self.0.disk.clone(), self.0.options.dir.clone(), held.segments, from))
    }

    /// Behind the last durable frame.
    pub fn end(&self) -> Position {
        self.0.held.lock().end()
    }

    /// The first frame still held.
    pub fn first(&self) -> Position {
        self.0.held.lock().first()
    }

    /// Bytes in all segments, headers included.
    pub fn bytes(&self) -> u64 {
        self.0.held.lock().bytes()
    }

    /// Bytes the disk still has.
    pub fn free_bytes(&self) -> Result<u64> {
        self.0
            .disk
            .free_bytes(&self.0.options.dir)
            .map_err(Error::io("ask for free space of", &self.0.options.dir))
    }

    /// Takes nothing more, writes what is queued and waits for it. Later appends are [`Error::Closed`].
    pub async fn close(&self) {
        self.0.room.close();
        self.0.queue.close();
        let thread = self.0.writer.lock().take();
        if let Some(thread) = thread {
            // The writer ends by itself; only waiting for it must not hold up a runtime thread.
            let _ = tokio::task::spawn_blocking(move || thread.join()).await;
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.queue.close();
    }
}

#[cfg(test)]
mod tests;
