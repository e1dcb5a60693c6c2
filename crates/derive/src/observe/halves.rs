//! Halves of requests: which side a span is, of which call, and whom it names as the other side.

use std::borrow::Cow;

use model::{AnyValue, Span, SpanKind, StatusCode};

use super::{Half, Missing, Observer, Origin, Other, Side, What, put, put_value, value};
use crate::{
    intern::{END, OVERFLOW},
    plan::{Found, Plan},
};

/// Who called a root span when nothing says so, as in Tempo.
const USER: &str = "user";
/// Links of one consumer span that are followed, which is what SDKs let a span have. More are counted as dropped.
const MAX_LINKS: usize = 128;

impl Observer<'_> {
    pub(super) fn half(&mut self, span: &Span, origin: &mut Origin<'_>, found: &Found<'_>, position: u32) {
        let Some(side) = side(span.kind) else { return };
        let at = self.out.halves.len();
        let node = self.node(origin, found, at);
        let other = match side {
            Side::Client => self.asked(origin, found, at),
            Side::Server => self.asking(span, found, at),
        };
        let half = Half {
            position,
            side,
            messaging: matches!(span.kind, SpanKind::Producer | SpanKind::Consumer),
            failed: span.status.code == StatusCode::Error,
            other,
            node,
            trace_id: span.trace_id,
            call: if side == Side::Client { span.span_id } else { span.parent_span_id },
            span_id: span.span_id,
            own_trace: span.trace_id,
            duration_ns: span.duration_ns() as u64,
            end_ns: span.end_ns,
        };
        if !follows_links(span) {
            self.out.halves.push(half);
            return;
        }
        let linked = |l: &model::SpanLink| Half { trace_id: l.trace_id, call: l.span_id, ..half.clone() };
        let node_is_missing = self.missing.last().is_some_and(|m| matches!(m.what, What::Node(h) if h == at));
        let key = self.missing.last().filter(|_| node_is_missing).map(|m| m.key.clone());
        self.out.links_left_out += span.links.len().saturating_sub(MAX_LINKS) as u64;
        for link in span.links.iter().take(MAX_LINKS) {
            let here = self.out.halves.len();
            let known = self.out.halves.get(at..).unwrap_or_default();
            if known.iter().any(|h| (h.trace_id, h.call) == (link.trace_id, link.span_id)) {
                continue;
            }
            self.out.halves.push(linked(link));
            // Each of them waits for the same number.
            if let (Some(key), true) = (&key, here > at) {
                self.missing.push(Missing { what: What::Node(here), key: key.clone() });
            }
        }
    }

    /// The number of the service that sent the span.
    fn node(&mut self, origin: &mut Origin<'_>, found: &Found<'_>, at: usize) -> u32 {
        if let (true, Some(number)) = (origin.shares_node, origin.node_number) {
            return number;
        }
        let mut key = std::mem::take(&mut self.key);
        key.clear();
        key.extend_from_slice(&origin.node);
        for number in &self.plan.graph {
            put_value(&mut key, value(origin, found, *number));
        }
        let number = self.names.nodes.get(&key);
        match number {
            Some(_) => origin.node_number = number,
            None => self.missing.push(Missing { what: What::Node(at), key: key.clone() }),
        }
        self.key = key;
        number.unwrap_or(OVERFLOW)
    }

    /// Whom a client span asks, as far as it says so itself.
    fn asked<'a>(&mut self, origin: &Origin<'a>, found: &Found<'a>, at: usize) -> Other {
        let either = |number: usize| value(origin, found, number).map(text).filter(|t| !t.is_empty());
        if let Some(database) = self.plan.databases.iter().find_map(|n| either(*n)) {
            let name = either(self.plan.peer_service)
                .or_else(|| either(self.plan.server_address))
                .or_else(|| {
                    let host = either(self.plan.peer_address)?;
                    Some(
                        either(self.plan.peer_port)
                            .map_or(host.clone(), |port| format!("{host}:{port}").into()),
                    )
                })
                .unwrap_or(database);
            return Other::Database(self.named(&name, at));
        }
        let peer = peer(self.plan, found);
        Other::Awaited(peer.map(|name| self.named(&name, at)))
    }

    /// Who asks a server span: the client's half says, unless there can be none.
    fn asking(&mut self, span: &Span, found: &Found<'_>, at: usize) -> Other {
        if span.parent_span_id != [0; 8] || follows_links(span) {
            return Other::Awaited(None);
        }
        let name = peer(self.plan, found).unwrap_or(Cow::Borrowed(USER));
        Other::Virtual(self.named(&name, at))
    }

    /// The number of a node that is only named.
    fn named(&mut self, name: &str, at: usize) -> u32 {
        let mut key = std::mem::take(&mut self.key);
        key.clear();
        key.extend_from_slice(&[b'1', END]);
        put(&mut key, name);
        let number = self.names.nodes.get(&key);
        if number.is_none() {
            self.missing.push(Missing { what: What::Other(at), key: key.clone() });
        }
        self.key = key;
        number.unwrap_or(OVERFLOW)
    }
}

pub(super) fn side(kind: SpanKind) -> Option<Side> {
    match kind {
        SpanKind::Client | SpanKind::Producer => Some(Side::Client),
        SpanKind::Server | SpanKind::Consumer => Some(Side::Server),
        _ => None,
    }
}

/// Whether a span says by links whose messages it took: conventions of messaging link to producers, which may be
/// of other traces.
fn follows_links(span: &Span) -> bool {
    span.kind == SpanKind::Consumer && !span.links.is_empty()
}

fn peer<'a>(plan: &Plan, found: &Found<'a>) -> Option<Cow<'a, str>> {
    let named = plan.peers.iter().find_map(|n| found.get(*n).copied().flatten());
    named.map(text).filter(|name| !name.is_empty())
}

fn text(value: &AnyValue) -> Cow<'_, str> {
    match value {
        AnyValue::String(s) => Cow::Borrowed(s.as_str()),
        other => Cow::Owned(other.to_string()),
    }
}
