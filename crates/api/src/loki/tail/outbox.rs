//! What is to be sent to a client: bounded, because a client may read slower than lines are written. What does not fit
//! is dropped, and the client is told which.

use std::{
    collections::{BTreeMap, VecDeque},
    mem,
};

use base::{
    MemoryBudget,
    memory::{Reservation, Use},
};
use contract::Coverage;
use logql::{Entry, StreamEntries};
use model::Labels;
use parking_lot::Mutex;
use tokio::sync::Notify;

use super::{follow::Row, places::Dropped};
use crate::Error;

/// Lines that wait, in bytes of their text and labels. Larger: memory per client. Smaller: bursts are dropped.
const MAX_BYTES: usize = 4 << 20;
/// One message: so many lines, and so many bytes unless a single line is larger.
const MESSAGE_LINES: usize = 500;
const MESSAGE_BYTES: usize = 256 << 10;
/// Dropped lines that one message names; all are counted.
const NAMED: usize = 100;

/// What goes into one message.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Message {
    pub streams: Vec<StreamEntries>,
    /// Labels of the stream, and the time.
    pub dropped: Vec<(Labels, i64)>,
    pub coverage: Option<Coverage>,
}

pub(super) struct Outbox {
    waiting: Mutex<Waiting>,
    filled: Notify,
    emptied: Notify,
    dropped: Dropped,
}

struct Waiting {
    parts: VecDeque<Part>,
    dropped: Vec<(Labels, i64)>,
    ping: bool,
    bytes: usize,
    held: Reservation,
}

enum Part {
    Lines { streams: Vec<StreamEntries>, bytes: usize },
    Coverage(Coverage),
}

/// What is to be done next.
#[derive(Debug, PartialEq)]
pub(super) enum Next {
    Send(Message),
    Ping,
}

impl Outbox {
    pub fn new(budget: &MemoryBudget, dropped: Dropped) -> Result<Self, Error> {
        let held = budget.reserve(Use::Query, 0)?;
        let waiting = Waiting { parts: VecDeque::new(), dropped: Vec::new(), ping: false, bytes: 0, held };
        Ok(Outbox { waiting: Mutex::new(waiting), filled: Notify::new(), emptied: Notify::new(), dropped })
    }

    /// Takes lines in order of time, and gives those back that there is no room for.
    pub fn lines(&self, rows: VecDeque<Row>) -> VecDeque<Row> {
        let (mut rows, mut refused) = (rows, Vec::new());
        let mut waiting = self.waiting.lock();
        while !rows.is_empty() {
            let (count, bytes) = message_of(&rows);
            if waiting.bytes > 0 && waiting.bytes + bytes > MAX_BYTES {
                break;
            }
            let message = rows.drain(..count);
            if waiting.held.grow(bytes as u64).is_err() {
                refused.extend(message);
                continue;
            }
            let streams = grouped(message);
            waiting.bytes += bytes;
            waiting.parts.push_back(Part::Lines { streams, bytes });
        }
        drop(waiting);
        self.filled.notify_one();
        self.drop_lines("memory", refused);
        rows
    }

    /// Notes lines that are not sent.
    pub fn drop_lines(&self, reason: &'static str, rows: impl IntoIterator<Item = Row>) {
        self.drop_named(reason, rows.into_iter().map(|r| (r.labels, r.entry.ts_ns)));
    }

    /// The same of lines by their labels and time.
    pub fn drop_named(&self, reason: &'static str, lines: impl IntoIterator<Item = (Labels, i64)>) {
        let mut count = 0;
        let mut waiting = self.waiting.lock();
        for line in lines {
            count += 1;
            if waiting.dropped.len() < NAMED {
                waiting.dropped.push(line);
            }
        }
        drop(waiting);
        if count > 0 {
            self.dropped.count(reason, count);
            self.filled.notify_one();
        }
    }

    /// How complete everything is that was put here so far.
    pub fn coverage(&self, coverage: Coverage) {
        let mut waiting = self.waiting.lock();
        match waiting.parts.back_mut() {
            Some(Part::Coverage(last)) => *last = coverage,
            _ => waiting.parts.push_back(Part::Coverage(coverage)),
        }
        drop(waiting);
        self.filled.notify_one();
    }

    pub fn ping(&self) {
        self.waiting.lock().ping = true;
        self.filled.notify_one();
    }

    /// Comes when less than half of the room is taken. For one caller.
    pub async fn room(&self) {
        while self.waiting.lock().bytes > MAX_BYTES / 2 {
            self.emptied.notified().await;
        }
    }

    /// The next thing to do. For one caller.
    pub async fn next(&self) -> Next {
        loop {
            if let Some(next) = self.ready() {
                return next;
            }
            self.filled.notified().await;
        }
    }

    fn ready(&self) -> Option<Next> {
        let mut waiting = self.waiting.lock();
        if mem::take(&mut waiting.ping) {
            return Some(Next::Ping);
        }
        let mut message = Message::default();
        match waiting.parts.pop_front() {
            Some(Part::Lines { streams, bytes }) => {
                message.streams = streams;
                waiting.bytes -= bytes;
                let left = waiting.bytes as u64;
                waiting.held.shrink_to(left);
                if let Some(Part::Coverage(_)) = waiting.parts.front()
                    && let Some(Part::Coverage(coverage)) = waiting.parts.pop_front()
                {
                    message.coverage = Some(coverage);
                }
            }
            Some(Part::Coverage(coverage)) => message.coverage = Some(coverage),
            None if waiting.dropped.is_empty() => return None,
            None => {}
        }
        message.dropped = mem::take(&mut waiting.dropped);
        drop(waiting);
        self.emptied.notify_one();
        Some(Next::Send(message))
    }
}

fn bytes_of(row: &Row) -> usize {
    let e = &row.entry;
    size_of::<Row>() + e.line.len() + e.structured.packed_len() + e.parsed.packed_len()
}

/// How many lines the next message takes, and their bytes.
fn message_of(rows: &VecDeque<Row>) -> (usize, usize) {
    let (mut count, mut bytes) = (0, 0);
    for row in rows.iter().take(MESSAGE_LINES) {
        let more = bytes_of(row);
        if count > 0 && bytes + more > MESSAGE_BYTES {
            break;
        }
        count += 1;
        bytes += more;
    }
    (count, bytes)
}

fn grouped(rows: impl Iterator<Item = Row>) -> Vec<StreamEntries> {
    let mut streams: BTreeMap<Labels, Vec<Entry>> = BTreeMap::new();
    for row in rows {
        streams.entry(row.labels).or_default().push(row.entry);
    }
    streams.into_iter().map(|(labels, entries)| StreamEntries { labels, entries }).collect()
}

#[cfg(test)]
mod tests;
