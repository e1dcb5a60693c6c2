//! Between callers and the writer thread. Bounded by the permits that each append holds until it is
//! answered; full means that `append` waits.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use bytes::Bytes;
use parking_lot::{Condvar, Mutex};
use tokio::sync::{OwnedSemaphorePermit, oneshot};

use crate::{Error, Position, Result};

pub(crate) struct Append {
    pub(crate) kind: u8,
    pub(crate) payload: Bytes,
    pub(crate) reply: oneshot::Sender<Result<Position>>,
    arrived: Instant,
    _room: OwnedSemaphorePermit,
}

impl Append {
    pub(crate) fn new(
        kind: u8,
        payload: Bytes,
        reply: oneshot::Sender<Result<Position>>,
        room: OwnedSemaphorePermit,
    ) -> Self {
        Append { kind, payload, reply, arrived: Instant::now(), _room: room }
    }
}

pub(crate) enum Control {
    Rotate(oneshot::Sender<Result<Position>>),
    TruncateBefore(Position, oneshot::Sender<Result<usize>>),
}

enum Item {
    Append(Append),
    Control(Control),
}

pub(crate) enum Work {
    /// Never empty.
    Group(Vec<Append>),
    Control(Control),
    Closed,
}

#[derive(Default)]
pub(crate) struct Queue {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    items: VecDeque<Item>,
    bytes: usize,
    controls: usize,
    /// The size at which the writer, while it waits for company, wants to be woken.
    wake_at: usize,
    closed: bool,
}

impl Queue {
    pub(crate) fn push_append(&self, append: Append) -> Result<()> {
        let mut s = self.state.lock();
        if s.closed {
            return Err(Error::Closed);
        }
        s.bytes += append.payload.len();
        s.items.push_back(Item::Append(append));
        if s.items.len() == 1 || s.bytes >= s.wake_at {
            self.changed.notify_one();
        }
        Ok(())
    }

    pub(crate) fn push_control(&self, control: Control) -> Result<()> {
        let mut s = self.state.lock();
        if s.closed {
            return Err(Error::Closed);
        }
        s.controls += 1;
        s.items.push_back(Item::Control(control));
        self.changed.notify_one();
        Ok(())
    }

    pub(crate) fn close(&self) {
        self.state.lock().closed = true;
        self.changed.notify_all();
    }

    /// Closes and drops what is queued; whoever waits for it is told that the log is closed.
    pub(crate) fn abandon(&self) {
        let mut s = self.state.lock();
        s.closed = true;
        s.items.clear();
    }

    /// The next thing to do, in the order of arrival. Blocks until there is something. A group is what
    /// arrived within `interval` of its first append, cut where it reaches `group_bytes`.
    pub(crate) fn take(&self, interval: Duration, group_bytes: usize) -> Work {
        let mut s = self.state.lock();
        while s.items.is_empty() {
            if s.closed {
                return Work::Closed;
            }
            self.changed.wait(&mut s);
        }
        if let Some(Item::Append(first)) = s.items.front() {
            let deadline = first.arrived + interval;
            s.wake_at = group_bytes;
            while s.bytes < group_bytes && s.controls == 0 && !s.closed {
                if self.changed.wait_until(&mut s, deadline).timed_out() {
                    break;
                }
            }
        }
        s.take_front(group_bytes)
    }
}

impl State {
    fn take_front(&mut self, group_bytes: usize) -> Work {
        let mut group = Vec::new();
        let mut bytes = 0;
        while let Some(item) = self.items.pop_front() {
            match item {
                Item::Append(a) => {
                    bytes += a.payload.len();
                    self.bytes -= a.payload.len();
                    group.push(a);
                    if bytes >= group_bytes {
                        break;
                    }
                }
                Item::Control(c) if group.is_empty() => {
                    self.controls -= 1;
                    return Work::Control(c);
                }
                control @ Item::Control(_) => {
                    self.items.push_front(control);
                    break;
                }
            }
        }
        Work::Group(group)
    }
}
