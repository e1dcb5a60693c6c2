//! The writer: one thread that owns the open segment, commits groups of frames and answers their callers.
//!
//! # After a failure
//! A write that failed (disk full, short write) leaves bytes behind the durable end. They are cut off and
//! the cut is synced, then the segment is used further: when space returns, so does the log.
//!
//! A sync that failed is worse. Linux marks the pages clean and reports the error once; a second fsync
//! succeeds although nothing was written (what PostgreSQL met in 2018 as "fsyncgate"). So a segment whose
//! sync failed is never written again. It is cut to its durable end and the next one is begun.
//!
//! Either way callers hear of the error only after their frames cannot come back, which holds as soon as
//! *one* of two things is durable: the cut, or the header of the next segment, which names the end of this
//! one. Only when the disk refuses both is the answer [`Error::Undetermined`].
//!
//! Once the next segment's file may exist, the current one is sealed: it must not grow past the end that
//! the header names. From then on only a finished rotation takes appends again; each append tries it.

use std::{sync::Arc, time::Instant};

use parking_lot::Mutex;

use crate::{
    Disk, DiskFile, Error, Options, Position, Result, frame,
    log::Held,
    metrics::LogMetrics,
    queue::{Append, Control, Queue, Work},
    segment,
};

/// The segment being written.
pub(crate) struct Active {
    pub(crate) number: u64,
    pub(crate) salt: u64,
    pub(crate) file: Box<dyn DiskFile>,
    /// Everything before this offset is synced; nothing of worth lies behind it.
    pub(crate) durable: u64,
    /// Begun to be replaced by the next segment: never written again.
    pub(crate) sealed: bool,
}

pub struct Writer {
    options: Options,
    disk: Arc<dyn Disk>,
    metrics: LogMetrics,
    held: Arc<Mutex<Held>>,
    active: Active,
    /// Reused between groups.
    buffer: Vec<u8>,
}

impl Writer {
    pub(crate) fn new(
        options: Options,
        disk: Arc<dyn Disk>,
        metrics: LogMetrics,
        held: Arc<Mutex<Held>>,
        active: Active,
    ) -> Self {
        let writer = Writer { options, disk, metrics, held, active, buffer: Vec::new() };
        writer.count_held();
        writer
    }

    pub(crate) fn run(mut self, queue: &Queue) {
        loop {
            match queue.take(self.options.commit_interval, self.options.commit_bytes) {
                Work::Group(group) => self.commit(group),
                Work::Control(Control::Rotate(reply)) => {
                    let _ = reply.send(self.rotate());
                }
                Work::Control(Control::TruncateBefore(position, reply)) => {
                    let _ = reply.send(self.truncate_before(position));
                }
                Work::Closed => return,
            }
        }
    }

    /// Writes one group, syncs, answers.
    fn commit(&mut self, mut group: Vec<Append>) {
        // Nobody waits for these any more; not writing them is the better half of "left open".
        group.retain(|a| !a.reply.is_closed());
        if group.is_empty() {
            return;
        }
        let began = Instant::now();
        match self.write_group(&group) {
            Ok(ends) => {
                let bytes = ends.last().map_or(0, |end| end - self.active.durable);
                self.active.durable += bytes;
                self.publish_end();
                self.metrics.committed(group.len() as u64, bytes, began.elapsed().as_secs_f64());
                for (append, offset) in group.into_iter().zip(ends) {
                    let _ = append.reply.send(Ok(Position { segment: self.active.number, offset }));
                }
            }
            Err(e) => {
                self.metrics.failed("commit");
                tracing::warn!(frames = group.len(), error = %e, "log did not take a group of frames");
                for append in group {
                    let _ = append.reply.send(Err(e.clone()));
                }
            }
        }
    }

    /// Returns the end of each frame. On error nothing of the group is left behind, or the error says so.
    fn write_group(&mut self, group: &[Append]) -> Result<Vec<u64>> {
        let size: u64 = group.iter().map(|a| (frame::HEADER + a.payload.len()) as u64).sum();
        let has_frames = self.active.durable > segment::HEADER;
        if self.active.sealed || (has_frames && self.active.durable + size > self.options.segment_bytes) {
            self.begin_next()?;
        }
        let start = self.active.durable;
        self.buffer.clear();
        let mut ends = Vec::with_capacity(group.len());
        for a in group {
            let back = self.buffer.len() as u32;
            frame::encode(
                &mut self.buffer,
                self.active.salt,
                start + u64::from(back),
                back,
                a.kind,
                &a.payload,
            );
            ends.push(start + self.buffer.len() as u64);
        }
        let path = segment::path(&self.options.dir, self.active.number);
        let written = self.active.file.write_at(&self.buffer, start).map_err(Error::io("write to", &path));
        let outcome = match written {
            Ok(()) => self.active.file.sync().map_err(Error::io("sync", &path)).map_err(|e| (e, true)),
            Err(e) => Err((e, false)),
        };
        // A group with one huge frame must not hold its memory for ever.
        if self.buffer.capacity() > 4 * self.options.commit_bytes {
            self.buffer = Vec::new();
        }
        match outcome {
            Ok(()) => Ok(ends),
            Err((cause, sync_failed)) => Err(self.undo(cause, sync_failed)),
        }
    }

    /// Makes sure that what lies behind the durable end cannot come back; returns what to tell the callers.
    fn undo(&mut self, cause: Error, sync_failed: bool) -> Error {
        let path = segment::path(&self.options.dir, self.active.number);
        let file = &self.active.file;
        let cut = file
            .truncate(self.active.durable)
            .map_err(Error::io("truncate", &path))
            .and_then(|()| file.sync().map_err(Error::io("sync", &path)));
        if cut.is_ok() && !sync_failed {
            return cause;
        }
        match (cut, self.begin_next()) {
            (Err(undo), Err(_)) => Error::Undetermined { cause: Box::new(cause), undo: Box::new(undo) },
            _ => cause,
        }
    }

    fn rotate(&mut self) -> Result<Position> {
        if self.active.sealed || self.active.durable > segment::HEADER {
            self.begin_next()?;
        }
        Ok(Position { segment: self.active.number, offset: self.active.durable })
    }

    /// Seals the current segment and begins the next one. Can be tried again after an error.
    fn begin_next(&mut self) -> Result<()> {
        self.active.sealed = true;
        let next = create(&*self.disk, &self.options.dir, self.active.number + 1, self.active.durable);
        self.active = next.inspect_err(|_| self.metrics.failed("rotate"))?;
        self.held.lock().segments.push_back((self.active.number, self.active.durable));
        self.count_held();
        Ok(())
    }

    fn truncate_before(&mut self, position: Position) -> Result<usize> {
        let mut removed = 0;
        loop {
            let oldest = {
                let held = self.held.lock();
                held.segments.front().copied().filter(|_| held.segments.len() > 1)
            };
            let Some((number, len)) = oldest else { break };
            if (Position { segment: number, offset: len }) > position {
                break;
            }
            let path = segment::path(&self.options.dir, number);
            match self.disk.remove(&path) {
                Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
                    return Err(Error::io("remove", &path)(e));
                }
                _ => {}
            }
            // One by one, so that a crash leaves no gap in the numbers.
            self.disk.sync_dir(&self.options.dir).map_err(Error::io("sync", &self.options.dir))?;
            self.held.lock().segments.pop_front();
            removed += 1;
        }
        self.count_held();
        Ok(removed)
    }

    fn publish_end(&self) {
        if let Some(last) = self.held.lock().segments.back_mut() {
            last.1 = self.active.durable;
        }
        self.count_held();
    }

    fn count_held(&self) {
        let held = self.held.lock();
        self.metrics.holds(held.segments.len(), held.bytes());
    }
}

/// Creates segment `number` with a durable header and a durable name.
pub(crate) fn create(
    disk: &dyn Disk,
    dir: &std::path::Path,
    number: u64,
    previous_end: u64,
) -> Result<Active> {
    let path = segment::path(dir, number);
    let header = segment::Header { number, previous_end, salt: segment::new_salt() };
    let file = disk.create(&path).map_err(Error::io("create", &path))?;
    file.write_at(&segment::encode(&header), 0).map_err(Error::io("write to", &path))?;
    file.sync().map_err(Error::io("sync", &path))?;
    disk.sync_dir(dir).map_err(Error::io("sync", dir))?;
    Ok(Active { number, salt: header.salt, file, durable: segment::HEADER, sealed: false })
}
