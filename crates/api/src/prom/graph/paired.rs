//! Halves of requests, and the edges they make together: the same as `derive` makes of those that one node has.

use std::collections::{BTreeMap, HashMap};

use model::{Labels, Span, SpanBatch, SpanKind, StatusCode, span::SpanOrigin};

/// A service of a cluster and namespace.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Service {
    pub name: String,
    pub cluster: String,
    pub namespace: String,
}

/// Resource attributes that name a cluster, the first one first.
const CLUSTER: [&str; 2] = ["k8s.cluster.name", "cluster.id"];

impl Service {
    fn of(origin: &SpanOrigin) -> Self {
        let attributes = &origin.resource.attributes;
        let cluster = CLUSTER.iter().find_map(|name| attributes.get_str(name)).unwrap_or_default();
        Service {
            name: origin.service_name().to_owned(),
            cluster: cluster.to_owned(),
            namespace: attributes.get_str("k8s.namespace.name").unwrap_or_default().to_owned(),
        }
    }
}

/// Requests from one service to another.
#[derive(Debug, PartialEq)]
pub(crate) struct PairedEdge {
    pub client: Service,
    pub server: Service,
    pub is_messaging: bool,
    pub requests: u64,
    pub failed: u64,
    /// As the server saw it.
    pub p95_s: f64,
}

impl PairedEdge {
    /// As metrics of the service graph have them.
    pub(crate) fn labels(&self) -> Labels {
        let (client, server) = (&self.client, &self.server);
        let cluster = if client.cluster.is_empty() { &server.cluster } else { &client.cluster };
        let server_cluster = if server.cluster == *cluster { "" } else { &server.cluster };
        let connection = if self.is_messaging { "messaging_system" } else { "" };
        let all = [
            ("client", client.name.as_str()),
            ("server", &server.name),
            ("connection_type", connection),
            ("cluster", cluster),
            ("server_cluster", server_cluster),
            ("client_k8s_namespace_name", &client.namespace),
            ("server_k8s_namespace_name", &server.namespace),
        ];
        Labels::from_pairs(all.into_iter().filter(|(_, value)| !value.is_empty()))
    }
}

type SpanId = ([u8; 16], [u8; 8]);

#[derive(Clone, Copy)]
struct Half {
    id: SpanId,
    parent: [u8; 8],
    service: u32,
    kind: SpanKind,
    failed: bool,
    duration_ns: i64,
}

impl Half {
    fn calls(&self) -> bool {
        matches!(self.kind, SpanKind::Client | SpanKind::Producer)
    }
}

/// Spans as far as edges need them.
#[derive(Default)]
pub(super) struct Halves {
    services: Vec<Service>,
    numbers: HashMap<Service, u32>,
    all: Vec<Half>,
}

impl Halves {
    pub fn len(&self) -> usize {
        self.all.len()
    }

    pub fn bytes(&self) -> u64 {
        let services: usize = self
            .services
            .iter()
            .map(|s| 2 * (s.name.len() + s.cluster.len() + s.namespace.len()) + 200)
            .sum();
        // Once as they are, once in the index they are paired by.
        (services + self.all.len() * (std::mem::size_of::<Half>() + 48)) as u64
    }

    /// Takes in the spans of a batch whose trace is chosen.
    pub fn add(&mut self, batch: &SpanBatch, is_chosen: impl Fn(&[u8; 16]) -> bool) {
        let services: Vec<u32> = batch.origins.iter().map(|o| self.number(Service::of(o))).collect();
        for span in batch.spans.iter().filter(|s| is_chosen(&s.trace_id)) {
            if let Some(service) = services.get(span.origin as usize) {
                self.all.push(half(span, *service));
            }
        }
    }

    pub fn keep(&mut self, is_chosen: impl Fn(&[u8; 16]) -> bool) {
        self.all.retain(|h| is_chosen(&h.id.0));
    }

    fn number(&mut self, service: Service) -> u32 {
        let next = self.services.len() as u32;
        let number = *self.numbers.entry(service.clone()).or_insert(next);
        if number == next {
            self.services.push(service);
        }
        number
    }

    /// What answers a call hangs below it, or shares its id, as Zipkin's do. Each count stands for `one_in`.
    pub fn edges(mut self, one_in: u64) -> Vec<PairedEdge> {
        // Sent again or by two replicas, a span is the same.
        self.all.sort_unstable_by_key(|h| (h.id, h.kind.number(), h.service));
        self.all.dedup_by_key(|h| (h.id, h.kind.number(), h.service));
        let callers: HashMap<SpanId, &Half> =
            self.all.iter().filter(|h| h.calls()).map(|h| (h.id, h)).collect();
        let mut counted: BTreeMap<(u32, u32, bool), (u64, Vec<i64>)> = BTreeMap::new();
        for server in self.all.iter().filter(|h| !h.calls()) {
            let above = (server.id.0, server.parent);
            let Some(client) = callers.get(&server.id).or_else(|| callers.get(&above)) else { continue };
            let is_messaging = client.kind == SpanKind::Producer || server.kind == SpanKind::Consumer;
            let edge = counted.entry((client.service, server.service, is_messaging)).or_default();
            edge.0 += u64::from(client.failed || server.failed);
            edge.1.push(server.duration_ns);
        }
        let service = |n: u32| self.services.get(n as usize).cloned();
        let edges = counted.into_iter().filter_map(|((client, server, is_messaging), (failed, took))| {
            Some(PairedEdge {
                client: service(client)?,
                server: service(server)?,
                is_messaging,
                requests: took.len() as u64 * one_in,
                failed: failed * one_in,
                p95_s: p95_s(took),
            })
        });
        let mut edges: Vec<PairedEdge> = edges.collect();
        edges.sort_by(|a, b| {
            (&a.client, &a.server, a.is_messaging).cmp(&(&b.client, &b.server, b.is_messaging))
        });
        edges
    }
}

fn half(span: &Span, service: u32) -> Half {
    Half {
        id: (span.trace_id, span.span_id),
        parent: span.parent_span_id,
        service,
        kind: span.kind,
        failed: span.status.code == StatusCode::Error,
        duration_ns: span.duration_ns(),
    }
}

/// The nearest rank.
fn p95_s(mut durations_ns: Vec<i64>) -> f64 {
    durations_ns.sort_unstable();
    let rank = (durations_ns.len() * 95).div_ceil(100).saturating_sub(1);
    durations_ns.get(rank).map_or(0.0, |ns| *ns as f64 / 1e9)
}

#[cfg(test)]
mod tests;
