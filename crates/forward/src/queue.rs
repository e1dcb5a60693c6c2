//! The queue on disk: one log for all destinations, a small log of states beside it.
//!
//! ```text
//! <dir>/log    groups of parts, now and then the ids of what was queued lately   (frame)
//! <dir>/state  cursors and counts of everything, the last frame counts           (ledger)
//! ```

use std::{path::PathBuf, sync::Arc, time::Duration};

use base::Metrics;
use disklog::{Disk, Entry, Log, Position, Reader};

use crate::{
    Class, Result,
    book::{Book, last_state},
    frame::{self, GROUP, Group, IDS, Ids, Part},
    known::{Known, second},
    ledger::{DESTINATION_REMOVED, Lane, Place, STATE_VERSION, Settled, State},
    stats::Stats,
};

/// How the queue is kept.
#[derive(Debug, Clone)]
pub struct QueueOptions {
    /// Created if absent. Nothing else may live there.
    pub dir: PathBuf,
    /// A file of the queue that has reached this size is closed. Smaller: space returns sooner.
    pub segment_bytes: u64,
    /// Bytes queued between two writings of the ids of what was queued lately; what an opening reads at most.
    pub ids_every_bytes: u64,
}

impl QueueOptions {
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        QueueOptions { dir: dir.into(), segment_bytes: 16 << 20, ids_every_bytes: 64 << 20 }
    }
}

pub(crate) struct Opened {
    pub(crate) log: Log,
    pub(crate) book: Book,
    pub(crate) known: Known,
}

/// Opens both logs and brings the counts up to the end of the queue. Blocks.
///
/// `draw` gives random numbers, for a queue that has none of its own yet.
pub(crate) fn open(
    options: &QueueOptions,
    disk: &Arc<dyn Disk>,
    destinations: &[String],
    metrics: &Metrics,
    stats: Stats,
    draw: &mut dyn FnMut() -> u64,
) -> Result<Opened> {
    let logs = |sub: &str, name, segment_bytes| disklog::Options {
        name,
        segment_bytes,
        // Whoever appends gathers a group before.
        commit_interval: Duration::ZERO,
        ..disklog::Options::new(options.dir.join(sub))
    };
    let (states, _) = Log::open(logs("state", "forward_state", 1 << 20), disk.clone(), metrics)?;
    let (log, _) = Log::open(logs("log", "forward_queue", options.segment_bytes), disk.clone(), metrics)?;
    let mut state = match last_state(&states)? {
        Some(state) => state,
        None => State {
            version: STATE_VERSION,
            node: draw(),
            ids_at: Place::default(),
            lanes: Vec::new(),
            removed: Vec::new(),
        },
    };
    let mut known = Known::default();
    let end = catch_up(&log, &mut state, &mut known)?;
    arrange(&mut state, destinations, end, first(&log)?, draw);
    let book = Book::new(state, end, states, stats);
    Ok(Opened { log, book, known })
}

/// Reads what was queued since the ids were last written; returns the end of the queue.
fn catch_up(log: &Log, state: &mut State, known: &mut Known) -> Result<Place> {
    let mut end = Place { at: state.ids_at.at, ..Place::new(log.end(), 0) };
    let mut walk = Walk::new(log, state.ids_at)?;
    while let Some(entry) = walk.next()? {
        end = walk.place;
        match entry.kind {
            IDS => Ids::decode(&entry.payload)?.units.iter().for_each(|(id, s)| known.insert(*id, *s)),
            GROUP => {
                for part in Group::decode(&entry.payload)?.parts {
                    known.insert(part.unit, second(part.received_ns));
                    produced(state, &part);
                }
            }
            _ => {}
        }
    }
    Ok(end)
}

/// Counts what the part says was produced, where the state is older.
fn produced(state: &mut State, part: &Part) {
    for (name, before) in &part.to {
        let total = before + u64::from(part.items);
        let mut all = state.lanes.iter_mut().chain(&mut state.removed);
        match all.find(|l| l.class == part.class && l.destination == *name) {
            Some(lane) => lane.produced = lane.produced.max(total),
            None => {
                // Its state is lost: it begins where the log does.
                let mut lane = Lane::new(name, part.class, 0);
                lane.produced = total;
                state.lanes.push(lane);
            }
        }
    }
}

/// A lane for each destination and class, in this order, and none for others.
fn arrange(
    state: &mut State,
    destinations: &[String],
    end: Place,
    first: Place,
    draw: &mut dyn FnMut() -> u64,
) {
    let mut before: Vec<Lane> = std::mem::take(&mut state.lanes);
    let removed: Vec<Lane> = std::mem::take(&mut state.removed);
    for destination in destinations {
        for class in Class::ALL {
            let same = |l: &Lane| l.class == class && l.destination == *destination;
            let lane = if let Some(i) = before.iter().position(same) {
                let mut lane = before.swap_remove(i);
                if lane.epoch == 0 {
                    (lane.epoch, lane.cursor) = (epoch(draw), first);
                }
                lane
            } else if let Some(lane) = removed.iter().find(|l| same(l)) {
                Lane { cursor: end, plan: None, ..lane.clone() }
            } else {
                Lane { cursor: end, ..Lane::new(destination, class, epoch(draw)) }
            };
            state.lanes.push(lane);
        }
    }
    let gone = |l: &Lane| !destinations.contains(&l.destination);
    state.removed = removed.into_iter().filter(gone).collect();
    for mut lane in before.into_iter().filter(|l| l.produced > 0) {
        let rest = Settled::dropped(DESTINATION_REMOVED, lane.pending());
        lane.settle(&rest);
        lane.plan = None;
        state.removed.push(lane);
    }
}

/// Numbers of an epoch leave room for what a request too large is cut into, and 0 is none.
fn epoch(draw: &mut dyn FnMut() -> u64) -> u64 {
    (draw() >> 16).max(1)
}

/// Where the queue begins.
fn first(log: &Log) -> Result<Place> {
    let at = match Walk::new(log, Place::default())?.next()? {
        Some(entry) => frame::at(&entry.payload)?,
        None => 0,
    };
    Ok(Place::new(log.first(), at))
}

/// Where to read for a place that may have been cut off already, because nothing is behind it in its file.
fn held(log: &Log, place: Place) -> Position {
    place.position().max(log.first())
}

fn after(entry: &Entry) -> Result<Place> {
    Ok(Place::new(entry.end, frame::at(&entry.payload)? + entry.payload.len() as u64))
}

/// What a lane sends next.
#[derive(Debug, Default)]
pub(crate) struct Chunk {
    pub(crate) to: Place,
    pub(crate) parts: Vec<Part>,
    /// Items of the lane between cursor and `to`, those that are gone among them.
    pub(crate) items: u64,
    /// Of these, those that the files do not have any more.
    pub(crate) lost: u64,
    pub(crate) oldest_ns: i64,
}

/// How far to read.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Until {
    /// To a place, whatever lies before it.
    Place(Place),
    /// To where one of the limits is reached, not past the end.
    Limits { end: Place, limits: RunLimits },
}

/// How much is read at once; the frame that reaches a limit is read whole.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RunLimits {
    pub(crate) items: usize,
    pub(crate) bytes: usize,
    /// Not past the end of such an interval since 1970, by the time of receipt. None for any.
    pub(crate) interval_ns: Option<i64>,
}

impl RunLimits {
    pub(crate) const NONE: RunLimits = RunLimits { items: usize::MAX, bytes: usize::MAX, interval_ns: None };

    fn is_past(&self, oldest_ns: i64, newest_ns: i64) -> bool {
        let of = |ns: i64, interval: i64| ns.div_euclid(interval.max(1));
        self.interval_ns.is_some_and(|i| of(newest_ns, i) > of(oldest_ns, i))
    }
}

/// Reads the parts of a lane behind its cursor, `base` items of it being settled. Blocks.
pub(crate) fn read(log: &Log, lane: &Lane, base: u64, until: Until) -> Result<Chunk> {
    let mut chunk = Chunk { to: lane.cursor, oldest_ns: i64::MAX, ..Chunk::default() };
    let (stop, limits) = match until {
        Until::Place(place) => (place, RunLimits::NONE),
        Until::Limits { end, limits } => (end, limits),
    };
    let (mut bytes, mut newest_ns) = (0, i64::MIN);
    let mut walk = Walk::new(log, lane.cursor)?;
    while chunk.to.position() < stop.position()
        && chunk.items < limits.items as u64
        && bytes < limits.bytes
        && !limits.is_past(chunk.oldest_ns, newest_ns)
    {
        let entry = walk.next()?;
        chunk.to = walk.place;
        let Some(entry) = entry else { break };
        if entry.kind != GROUP {
            continue;
        }
        for part in Group::decode(&entry.payload)?.parts.into_iter().filter(|p| p.class == lane.class) {
            let Some(before) = part.before(&lane.destination) else { continue };
            let missing = before.saturating_sub(base + chunk.items);
            chunk.lost += missing;
            chunk.items += missing + u64::from(part.items);
            chunk.oldest_ns = chunk.oldest_ns.min(part.received_ns);
            newest_ns = newest_ns.max(part.received_ns);
            bytes = bytes.saturating_add(part.unit_bytes());
            chunk.parts.push(part);
        }
    }
    Ok(chunk)
}

/// Goes through the frames, over damage if it must.
struct Walk<'a> {
    log: &'a Log,
    reader: Reader,
    /// Behind what was read.
    place: Place,
}

impl<'a> Walk<'a> {
    fn new(log: &'a Log, from: Place) -> Result<Self> {
        Ok(Walk { log, reader: log.read_from(held(log, from))?, place: from })
    }

    fn next(&mut self) -> Result<Option<Entry>> {
        loop {
            match self.reader.next() {
                None => return Ok(None),
                Some(Ok(entry)) => {
                    self.place = after(&entry)?;
                    return Ok(Some(entry));
                }
                Some(Err(e)) => self.skip(e)?,
            }
        }
    }

    /// Frames behind damage in a file cannot be found; the next file is sound again.
    fn skip(&mut self, e: disklog::Error) -> Result<()> {
        let disklog::Error::Corrupt { path, .. } = &e else { return Err(e.into()) };
        let name = path.file_name().and_then(|n| n.to_str()).unwrap_or_default();
        let Some(segment) = disklog::segment::number(name) else { return Err(e.into()) };
        tracing::error!(error = %e, "a file of the queue is damaged; going on behind it");
        let next = Position { segment: segment + 1, offset: disklog::segment::HEADER };
        let next = next.min(self.log.end());
        self.place = Place { at: self.place.at, ..Place::new(next, 0) };
        self.reader = self.log.read_from(next)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests;
