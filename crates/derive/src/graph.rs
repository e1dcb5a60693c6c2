//! The service graph: halves of requests wait for each other, and become edges between services.
//!
//! ```text
//! client span ──┐  key: trace id, client's span id
//!               ├─► edge (client, server, connection type): requests, failures, latency as both sides saw it
//! server span ──┘  key: trace id, parent's span id; or of the links of a consumer
//!
//! names a database           an edge at once, connection type "database"
//! root span of a server      an edge at once from "user", or the peer it names, "virtual_node"
//! names a peer, no answer    an edge to that peer once it has waited, "virtual_node"
//! nothing of these           counted as unpaired once it has waited
//! no room to wait            counted as dropped
//! ```
//! A message may be taken by several consumers, so a producer's half stays until its time is over and pairs with each.
//! Of an edge with one side both latencies are that side's.

use std::collections::HashMap;

use model::Labels;

use crate::{
    counts::{Book, Life, Measured, Of},
    histogram::Latencies,
    intern::OVERFLOW,
    observe::{Half, Other, Side},
    plan::Plan,
};

mod waiting;

use waiting::{Met, Waiting};

/// What connects two services; the label `connection_type`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Connection {
    Direct,
    Messaging,
    Database,
    Virtual,
}

impl Connection {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Connection::Direct => "",
            Connection::Messaging => "messaging_system",
            Connection::Database => "database",
            Connection::Virtual => "virtual_node",
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct EdgeKey {
    pub(crate) client: u32,
    pub(crate) server: u32,
    pub(crate) connection: Connection,
}

pub(crate) struct Edge {
    /// `None` for what found no room.
    pub(crate) key: Option<EdgeKey>,
    pub(crate) life: Life,
    pub(crate) total: u64,
    pub(crate) failed: u64,
    pub(crate) server: Latencies,
    pub(crate) client: Latencies,
    pub(crate) labels: Vec<Labels>,
}

/// Whose halves were left alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct LooseKey {
    pub(crate) node: u32,
    pub(crate) side: Side,
    pub(crate) messaging: bool,
}

pub(crate) struct Loose {
    pub(crate) life: Life,
    pub(crate) unpaired: u64,
    pub(crate) dropped: u64,
    pub(crate) labels: Vec<Labels>,
}

/// Halves left alone that are told apart at most; the rest is counted together.
const MAX_LOOSE: usize = 10_000;

/// The graph of one tenant.
#[derive(Default)]
pub(crate) struct Graph {
    waiting: Waiting,
    by_key: HashMap<EdgeKey, u32>,
    edges: Vec<Option<Box<Edge>>>,
    free: Vec<u32>,
    pub(crate) loose: HashMap<LooseKey, Loose>,
}

/// A request of which everything is known.
struct Request {
    key: EdgeKey,
    failed: bool,
    client: Measured,
    server: Measured,
}

impl Graph {
    /// Takes half an edge: finds the other half, or lets it wait.
    pub(crate) fn meet(&mut self, half: Half, book: &mut Book<'_>) {
        let Some(options) = &book.plan.options.graph else { return };
        match half.other {
            Other::Awaited(_) => {}
            Other::Database(other) | Other::Virtual(other) => return self.one_sided(&half, other, book),
        }
        if self.waiting.len() >= options.max_items {
            self.expire(book);
        }
        let wait_ns = i64::try_from(options.wait.as_nanos()).unwrap_or(i64::MAX);
        let (max, until_ns) = (options.max_items, book.now_ns.saturating_add(wait_ns));
        match self.waiting.meet(half, (max, until_ns), book.room) {
            Met::Waits => {}
            Met::Pair(client, server) => self.paired(&client, &server, book),
            Met::Pairs(pairs) => {
                for (client, server) in pairs {
                    self.paired(&client, &server, book);
                }
            }
            Met::Same(half) => self.alone(&half, false, book),
            Met::NoRoom(half) => self.alone(&half, true, book),
        }
    }

    /// Ends the waiting of those whose time is over.
    pub(crate) fn expire(&mut self, book: &mut Book<'_>) {
        while let Some(half) = self.waiting.pop_due(book.now_ns) {
            match (half.side, half.other) {
                (Side::Client, Other::Awaited(Some(peer))) => self.one_sided(&half, peer, book),
                _ => self.alone(&half, false, book),
            }
        }
        self.waiting.tidy(book.room);
    }

    fn paired(&mut self, client: &Half, server: &Half, book: &mut Book<'_>) {
        let messaging = client.messaging || server.messaging;
        let connection = if messaging { Connection::Messaging } else { Connection::Direct };
        book.tally.paired += 1;
        self.count(
            Request {
                key: EdgeKey { client: client.node, server: server.node, connection },
                failed: client.failed || server.failed,
                client: measured(client),
                server: measured(server),
            },
            book,
        );
    }

    fn one_sided(&mut self, half: &Half, other: u32, book: &mut Book<'_>) {
        let connection =
            if matches!(half.other, Other::Database(_)) { Connection::Database } else { Connection::Virtual };
        let (client, server) = match half.side {
            Side::Client => (half.node, other),
            Side::Server => (other, half.node),
        };
        book.tally.one_sided += 1;
        let (key, seen) = (EdgeKey { client, server, connection }, measured(half));
        self.count(Request { key, failed: half.failed, client: seen, server: seen }, book);
    }

    fn count(&mut self, request: Request, book: &mut Book<'_>) {
        let number = self.number(request.key, book);
        let Some(edge) = self.edges.get_mut(number as usize).and_then(Option::as_mut) else { return };
        edge.life.touch(book.now_ns);
        edge.total += 1;
        edge.failed += u64::from(request.failed);
        book.observe(&mut edge.server, Of::Edge(number, Side::Server), &request.server);
        book.observe(&mut edge.client, Of::Edge(number, Side::Client), &request.client);
        book.tally.edges_overflow += u64::from(number == OVERFLOW);
    }

    /// The number of an edge, which is made if there is room; else all of them share one.
    fn number(&mut self, key: EdgeKey, book: &Book<'_>) -> u32 {
        if let Some(number) = self.by_key.get(&key) {
            return *number;
        }
        if self.edges.is_empty() {
            self.edges.push(None);
        }
        let known = key.client != OVERFLOW && key.server != OVERFLOW;
        if !known || !book.room.take(book.plan.edge_series(), edge_bytes(book.plan)) {
            if let Some(place) = self.edges.first_mut() {
                place.get_or_insert_with(|| Box::new(Edge::new(None, book)));
            }
            return OVERFLOW;
        }
        let number = self.free.pop().unwrap_or(self.edges.len() as u32);
        let edge = Some(Box::new(Edge::new(Some(key), book)));
        match self.edges.get_mut(number as usize) {
            Some(place) => *place = edge,
            None => self.edges.push(edge),
        }
        self.by_key.insert(key, number);
        number
    }

    fn alone(&mut self, half: &Half, dropped: bool, book: &mut Book<'_>) {
        let key = LooseKey { node: half.node, side: half.side, messaging: half.messaging };
        let has_room = self.loose.contains_key(&key) || self.loose.len() < MAX_LOOSE;
        let key = if has_room { key } else { LooseKey { node: OVERFLOW, ..key } };
        let new = || Loose { life: book.life(), unpaired: 0, dropped: 0, labels: Vec::new() };
        let loose = self.loose.entry(key).or_insert_with(new);
        loose.life.touch(book.now_ns);
        if dropped {
            loose.dropped += 1;
            book.tally.dropped += 1;
        } else {
            loose.unpaired += 1;
            book.tally.unpaired += 1;
        }
    }

    pub(crate) fn edges_mut(&mut self) -> impl Iterator<Item = (u32, &mut Edge)> {
        self.edges.iter_mut().zip(0u32..).filter_map(|(edge, number)| Some((number, &mut **edge.as_mut()?)))
    }

    pub(crate) fn edge(&self, number: u32) -> Option<&Edge> {
        self.edges.get(number as usize)?.as_deref()
    }

    /// Forgets an edge. Answers whether it had room of its own.
    pub(crate) fn remove(&mut self, number: u32) -> bool {
        let Some(edge) = self.edges.get_mut(number as usize).and_then(Option::take) else { return false };
        let Some(key) = edge.key else { return false };
        self.by_key.remove(&key);
        self.free.push(number);
        true
    }

    /// Halves that wait.
    pub(crate) fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// Every node that anything refers to.
    pub(crate) fn nodes(&self) -> impl Iterator<Item = u32> + '_ {
        let edges = self.by_key.keys().flat_map(|k| [k.client, k.server]);
        edges.chain(self.loose.keys().map(|k| k.node)).chain(self.waiting.nodes())
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.waiting.len() == 0 && self.loose.is_empty() && self.edges.iter().all(Option::is_none)
    }
}

impl Edge {
    fn new(key: Option<EdgeKey>, book: &Book<'_>) -> Self {
        let latencies = || Latencies::new(&book.plan.graph_bounds);
        let (server, client) = (latencies(), latencies());
        Edge { key, life: book.life(), total: 0, failed: 0, server, client, labels: Vec::new() }
    }
}

/// Rough bytes of an edge: labels for each series, and the counts.
pub(crate) fn edge_bytes(plan: &Plan) -> usize {
    256 * plan.edge_series() + 2 * plan.graph_bounds.bytes() + 256
}

fn measured(half: &Half) -> Measured {
    Measured {
        trace_id: half.own_trace,
        span_id: half.span_id,
        duration_ns: half.duration_ns,
        end_ns: half.end_ns,
    }
}
