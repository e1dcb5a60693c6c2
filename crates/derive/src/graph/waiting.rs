//! Halves that wait for their other half, found by the client's span and ended in the order they came.

use std::collections::HashMap;

use crate::{
    intern::Seeded,
    observe::{Half, Other, Side},
    room::Room,
};

/// No place.
const NONE: u32 = u32::MAX;
/// Places for which memory is set aside at once.
const STEP: usize = 1024;
/// What a half takes while it waits, its place in the map included.
const BYTES: usize = size_of::<Entry>() + 56;

/// Trace id and span id of the client.
type Call = ([u8; 16], [u8; 8]);

#[derive(Default)]
pub(super) struct Waiting {
    places: Vec<Option<Entry>>,
    free: Vec<u32>,
    /// The first half of each call. Several servers of one call stand behind each other.
    by_call: HashMap<Call, u32, Seeded>,
    /// Oldest and newest.
    ends: Option<(u32, u32)>,
    len: usize,
    /// Places that memory is set aside for.
    held: usize,
}

struct Entry {
    half: Half,
    until_ns: i64,
    /// A producer's half that paired already.
    paired: bool,
    older: u32,
    newer: u32,
    /// Servers' halves of the same call, before and behind.
    same: (u32, u32),
}

/// What became of a half.
pub(super) enum Met {
    Waits,
    /// Client and server of the request.
    Pair(Half, Half),
    /// The same of several requests.
    Pairs(Vec<(Half, Half)>),
    /// The same side of the same call waits already.
    Same(Half),
    NoRoom(Half),
}

impl Waiting {
    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn meet(&mut self, half: Half, (max, until_ns): (usize, i64), room: &Room) -> Met {
        let call = (half.trace_id, half.call);
        let Some(first) = self.by_call.get(&call).copied() else {
            return self.wait(half, (max, until_ns), NONE, room);
        };
        let waits = self.entry(first).map(|e| e.half.side);
        match (waits, half.side) {
            (Some(Side::Client), Side::Server) => self.with_client(first, half),
            (Some(Side::Server), Side::Client) => self.with_servers(call, half, (max, until_ns), room),
            (Some(Side::Server), Side::Server) => self.wait(half, (max, until_ns), first, room),
            _ => Met::Same(half),
        }
    }

    fn with_client(&mut self, first: u32, server: Half) -> Met {
        let Some(entry) = self.place(first) else { return Met::Same(server) };
        let client = entry.half.clone();
        if client.messaging {
            entry.paired = true;
        } else {
            self.remove(first);
        }
        Met::Pair(client, server)
    }

    fn with_servers(&mut self, call: Call, client: Half, until: (usize, i64), room: &Room) -> Met {
        let mut pairs = Vec::new();
        let mut server = None;
        while let Some(first) = self.by_call.get(&call).copied() {
            let Some(entry) = self.remove(first) else { break };
            pairs.extend(server.replace(entry.half).map(|server| (client.clone(), server)));
        }
        if client.messaging && matches!(self.wait(client.clone(), until, NONE, room), Met::Waits) {
            let own = self.by_call.get(&call).copied();
            if let Some(entry) = own.and_then(|at| self.place(at)) {
                entry.paired = true;
            }
        }
        match server {
            Some(server) if pairs.is_empty() => Met::Pair(client, server),
            Some(server) => {
                pairs.push((client, server));
                Met::Pairs(pairs)
            }
            None => Met::Same(client),
        }
    }

    /// Puts a half at the end, behind `first` of the same call.
    fn wait(&mut self, half: Half, (max, until_ns): (usize, i64), first: u32, room: &Room) -> Met {
        if self.len >= max || !self.hold(room) {
            return Met::NoRoom(half);
        }
        let call = (half.trace_id, half.call);
        let at = self.free.pop().unwrap_or(self.places.len() as u32);
        let older = self.ends.map_or(NONE, |(_, newest)| newest);
        let entry = Entry { half, until_ns, paired: false, older, newer: NONE, same: (first, NONE) };
        match self.places.get_mut(at as usize) {
            Some(place) => *place = Some(entry),
            None => self.places.push(Some(entry)),
        }
        if let Some(before) = self.place(older) {
            before.newer = at;
        }
        self.ends = Some((self.ends.map_or(at, |(oldest, _)| oldest), at));
        self.len += 1;
        // Right behind the first one: their order does not matter, only that all of them are found.
        let Some(first) = self.place(first) else {
            self.by_call.insert(call, at);
            return Met::Waits;
        };
        let rest = std::mem::replace(&mut first.same.1, at);
        if let Some(own) = self.place(at) {
            own.same.1 = rest;
        }
        if let Some(behind) = self.place(rest) {
            behind.same.0 = at;
        }
        Met::Waits
    }

    /// The oldest half, if its time is over. One that paired meanwhile goes without a word.
    pub(super) fn pop_due(&mut self, now_ns: i64) -> Option<Half> {
        loop {
            let (oldest, _) = self.ends?;
            if self.entry(oldest)?.until_ns > now_ns {
                return None;
            }
            let entry = self.remove(oldest)?;
            if !entry.paired {
                return Some(entry.half);
            }
        }
    }

    fn remove(&mut self, at: u32) -> Option<Entry> {
        let entry = self.places.get_mut(at as usize)?.take()?;
        self.free.push(at);
        self.len -= 1;
        match self.place(entry.older) {
            Some(older) => older.newer = entry.newer,
            None => self.ends = self.ends.map(|(_, newest)| (entry.newer, newest)),
        }
        match self.place(entry.newer) {
            Some(newer) => newer.older = entry.older,
            None => self.ends = self.ends.map(|(oldest, _)| (oldest, entry.older)),
        }
        self.ends = self.ends.filter(|_| self.len > 0);
        self.unlink(at, &entry);
        Some(entry)
    }

    /// Takes a half out of those of its call.
    fn unlink(&mut self, at: u32, entry: &Entry) {
        let (before, behind) = entry.same;
        if let Some(behind) = self.place(behind) {
            behind.same.0 = before;
        }
        if let Some(before) = self.place(before) {
            before.same.1 = behind;
            return;
        }
        let call = (entry.half.trace_id, entry.half.call);
        if self.by_call.get(&call) != Some(&at) {
            return;
        }
        match behind {
            NONE => self.by_call.remove(&call),
            next => self.by_call.insert(call, next),
        };
    }

    fn hold(&mut self, room: &Room) -> bool {
        if self.len < self.held {
            return true;
        }
        let more = room.take(0, STEP * BYTES);
        self.held += if more { STEP } else { 0 };
        more
    }

    /// Gives memory back once nothing waits.
    pub(super) fn tidy(&mut self, room: &Room) {
        if self.len == 0 && self.held > 0 {
            room.give_back(0, self.held * BYTES);
            *self = Waiting::default();
        }
    }

    pub(super) fn nodes(&self) -> impl Iterator<Item = u32> + '_ {
        self.places.iter().flatten().flat_map(|e| {
            let other = match e.half.other {
                Other::Awaited(other) => other,
                Other::Virtual(other) | Other::Database(other) => Some(other),
            };
            [Some(e.half.node), other].into_iter().flatten()
        })
    }

    fn entry(&self, at: u32) -> Option<&Entry> {
        self.places.get(at as usize)?.as_ref()
    }

    fn place(&mut self, at: u32) -> Option<&mut Entry> {
        self.places.get_mut(at as usize)?.as_mut()
    }
}
