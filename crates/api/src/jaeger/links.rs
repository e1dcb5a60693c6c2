//! Which service calls which, and how often: from the service graph that is kept as metrics, or, where there is none of
//! the asked time, from spans.
//!
//! A node keeps as metrics the calls of which it has both halves. Where it says that some had no other half, those are looked
//! for among the spans of all nodes.
//!
//! Counters that only began have no increase yet, so a graph without any call is looked for among spans too.

use std::collections::{BTreeMap, HashMap};

use contract::{QueryLimits, SpansRequest};
use futures::StreamExt;
use model::{Span, SpanKind, TimeRange};
use promql::{QueryContext, SampleValue, Value};
use serde_json::json;

use super::{
    Answered, Ask, JaegerError,
    asked::ms,
    pretty,
    reads::{Reads, grow_to},
    to_json,
};
use crate::{Error, prom::graph};

/// Spans that a graph is computed from at most. More: a question about a day reads it whole.
const MAX_SPANS: usize = 200_000;
/// How far back is looked where nobody says, as in Jaeger.
const DEFAULT_LOOKBACK_MS: i64 = 24 * 3_600_000;

/// The counter of calls between two services, as Tempo's generator and ours name it.
const REQUESTS: &str = "traces_service_graph_request_total";
/// Halves of calls whose other half a node did not see.
const UNPAIRED: &str = "traces_service_graph_unpaired_spans_total";

/// Calls from one service to another.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Link {
    pub parent: String,
    pub child: String,
    pub calls: u64,
}

pub(super) struct Links {
    pub all: Vec<Link>,
    /// What they were computed from: a metric, or `spans`.
    pub source: &'static str,
    /// What to know about them.
    pub note: Option<String>,
}

/// `endTs` and `lookback` in milliseconds, and `service` for the links of one alone.
pub async fn dependencies(ask: Ask) -> Result<Answered, JaegerError> {
    let p = &ask.params;
    let end = ms(p, "endTs")?.unwrap_or_else(|| ask.state.clock.now_ms());
    let lookback = ms(p, "lookback")?.unwrap_or(DEFAULT_LOOKBACK_MS);
    let service = p.get("service").map(str::to_owned);
    let (from, tenants, pretty) = (ask.reads.clone(), ask.tenants.clone(), pretty(p));
    let run = |limits: QueryLimits| async move {
        let mut reads = Reads::new(&from, tenants, limits);
        let links = reads.links(end.saturating_sub(lookback), end).await?;
        let of_service =
            links.all.iter().filter(|l| service.as_ref().is_none_or(|s| l.parent == *s || l.child == *s));
        let shown: Vec<_> =
            of_service.map(|l| json!({"parent": l.parent, "child": l.child, "callCount": l.calls})).collect();
        let (data, coverage) = (to_json(&shown)?, reads.coverage);
        let notes = links.note.into_iter().collect();
        Ok(Answered { data, coverage, pretty, notes, ..Answered::default() })
    };
    Ok(ask.run(run).await?)
}

impl Reads {
    /// Links of the time from `start_ms` to `end_ms`, by parent and child.
    pub async fn links(&mut self, start_ms: i64, end_ms: i64) -> Result<Links, Error> {
        let width = end_ms.saturating_sub(start_ms);
        if width <= 0 {
            return Err(Error::invalid("the time to look for dependencies in is empty"));
        }
        let all = self.links_of_metrics(width, end_ms).await?;
        let range = TimeRange::from_ms_inclusive(start_ms, end_ms);
        if all.is_empty() {
            return self.links_of_spans(range).await;
        }
        let (mut all, mut note) = (all, None);
        if self.has_unpaired(width, end_ms).await? {
            note = self.add_paired(&mut all, range).await?;
        }
        Ok(Links { all, source: REQUESTS, note })
    }

    async fn links_of_metrics(&mut self, width_ms: i64, end_ms: i64) -> Result<Vec<Link>, Error> {
        let query = format!("sum by (client, server) (increase({REQUESTS}[{width_ms}ms]))");
        let context = QueryContext { limits: self.limits.clone(), ..QueryContext::new(self.tenants.clone()) };
        let answer = self.promql.instant(&query, end_ms, &context).await?;
        self.coverage.merge(answer.coverage);
        let Value::Vector(found) = answer.value else { return Ok(Vec::new()) };
        let mut all = Vec::new();
        for sample in found {
            let (Some(parent), Some(child)) = (sample.labels.get("client"), sample.labels.get("server"))
            else {
                continue;
            };
            // An increase is extrapolated to the ends of its window, calls are whole.
            if let SampleValue::Float(calls) = sample.value
                && calls.round() >= 1.0
            {
                let calls = calls.round() as u64;
                all.push(Link { parent: parent.to_owned(), child: child.to_owned(), calls });
            }
        }
        Ok(all)
    }

    async fn has_unpaired(&mut self, width_ms: i64, end_ms: i64) -> Result<bool, Error> {
        let query = format!("sum(increase({UNPAIRED}[{width_ms}ms])) >= 1");
        let context = QueryContext { limits: self.limits.clone(), ..QueryContext::new(self.tenants.clone()) };
        let answer = self.promql.instant(&query, end_ms, &context).await?;
        self.coverage.merge(answer.coverage);
        Ok(matches!(answer.value, Value::Vector(found) if !found.is_empty()))
    }

    /// Adds the calls between nodes. Those that a node saw whole are in both, so the larger number holds.
    async fn add_paired(&mut self, all: &mut Vec<Link>, range: TimeRange) -> Result<Option<String>, Error> {
        let found = graph::paired((&*self.select, &self.promql), self.scope(range)).await?;
        self.coverage.merge(found.coverage);
        let mut calls: BTreeMap<(String, String), u64> = BTreeMap::new();
        for e in found.edges {
            *calls.entry((e.client.name, e.server.name)).or_default() += e.requests;
        }
        for link in all.iter_mut() {
            let paired = calls.remove(&(link.parent.clone(), link.child.clone()));
            link.calls = link.calls.max(paired.unwrap_or(0));
        }
        all.extend(calls.into_iter().map(|((parent, child), calls)| Link { parent, child, calls }));
        all.sort_by(|a, b| (&a.parent, &a.child).cmp(&(&b.parent, &b.child)));
        let one_in = found.one_in;
        let note = || format!("calls between nodes are estimated from one trace in {one_in}");
        Ok((one_in > 1).then(note))
    }

    async fn links_of_spans(&mut self, range: TimeRange) -> Result<Links, Error> {
        let request = SpansRequest::new(self.scope(range));
        let mut found = self.select.spans(request).await?;
        let (mut graph, mut memory, mut is_cut) = (Graph::default(), self.reserve()?, false);
        while let Some(batch) = found.items.next().await {
            let batch = batch?;
            for span in &batch.spans {
                let Some(origin) = batch.origins.get(span.origin as usize) else { continue };
                graph.add(span, origin.service_name());
            }
            grow_to(&mut memory, graph.bytes())?;
            if graph.spans.len() >= MAX_SPANS {
                is_cut = true;
                break;
            }
        }
        self.coverage.merge(found.coverage());
        let read = graph.spans.len();
        let of = if is_cut { format!("the newest {read} spans") } else { format!("{read} spans") };
        let note = format!("computed from {of}: the range has no calls in {REQUESTS}");
        Ok(Links { all: graph.links(), source: "spans", note: (read > 0).then_some(note) })
    }
}

type SpanId = ([u8; 16], [u8; 8]);

/// Spans as far as links need them.
#[derive(Default)]
struct Graph {
    services: HashMap<String, u32>,
    spans: Vec<(SpanId, [u8; 8], SpanKind, u32)>,
}

impl Graph {
    fn add(&mut self, span: &Span, service: &str) {
        let service = match self.services.get(service) {
            Some(known) => *known,
            None => {
                let new = self.services.len() as u32;
                self.services.insert(service.to_owned(), new);
                new
            }
        };
        self.spans.push(((span.trace_id, span.span_id), span.parent_span_id, span.kind, service));
    }

    fn bytes(&self) -> u64 {
        let services: usize = self.services.keys().map(|s| s.len() + 64).sum();
        // Once as they are, once in the index that links are made by.
        (services + self.spans.len() * 128) as u64
    }

    /// A span is called by its parent. Where client and server share an id, as Zipkin's do, the client is the parent.
    fn links(mut self) -> Vec<Link> {
        // Sent again or by two replicas, a span is the same.
        self.spans.sort_unstable_by_key(|(id, _, kind, service)| (*id, kind.number(), *service));
        self.spans.dedup_by_key(|(id, _, kind, service)| (*id, kind.number(), *service));
        let calls = |kind: SpanKind| matches!(kind, SpanKind::Client | SpanKind::Producer);
        let (mut callers, mut others) = (HashMap::new(), HashMap::new());
        for (id, _, kind, service) in &self.spans {
            let to = if calls(*kind) { &mut callers } else { &mut others };
            to.entry(*id).or_insert((*service, *kind));
        }
        let mut counted: BTreeMap<(u32, u32), u64> = BTreeMap::new();
        for (id, parent, kind, service) in &self.spans {
            let above = (id.0, *parent);
            let shared = (!calls(*kind)).then(|| callers.get(id)).flatten();
            let Some((from, of)) = shared.or_else(|| others.get(&above)).or_else(|| callers.get(&above))
            else {
                continue;
            };
            let is_call = calls(*of) && matches!(kind, SpanKind::Server | SpanKind::Consumer);
            if from != service || is_call {
                *counted.entry((*from, *service)).or_default() += 1;
            }
        }
        let mut names: Vec<&str> = vec![""; self.services.len()];
        for (name, at) in &self.services {
            if let Some(slot) = names.get_mut(*at as usize) {
                *slot = name;
            }
        }
        let name = |at: u32| names.get(at as usize).copied().unwrap_or_default().to_owned();
        let mut all: Vec<Link> = counted
            .into_iter()
            .map(|((from, to), calls)| Link { parent: name(from), child: name(to), calls })
            .collect();
        all.sort_by(|a, b| (&a.parent, &a.child).cmp(&(&b.parent, &b.child)));
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn graph(spans: &[(u8, u8, SpanKind, &str)]) -> Vec<Link> {
        let mut graph = Graph::default();
        for (id, parent, kind, service) in spans {
            let at = |n: &u8| [0, 0, 0, 0, 0, 0, 0, *n];
            let span = Span {
                trace_id: [1; 16],
                span_id: at(id),
                parent_span_id: at(parent),
                kind: *kind,
                ..Span::default()
            };
            graph.add(&span, service);
        }
        graph.links()
    }

    fn link(parent: &str, child: &str, calls: u64) -> Link {
        Link { parent: parent.to_owned(), child: child.to_owned(), calls }
    }

    #[test]
    fn a_call_is_a_span_whose_parent_is_of_another_service_or_that_says_so() {
        use SpanKind::{Client, Internal, Server};
        let found = graph(&[
            (1, 0, Server, "web"),
            (2, 1, Internal, "web"),
            (3, 2, Client, "web"),
            (4, 3, Server, "api"),
            (4, 3, Server, "api"),
            (5, 1, Server, "api"),
            (6, 4, Client, "api"),
            (7, 6, Server, "api"),
            (8, 99, Server, "lost"),
        ]);
        assert_eq!(found, [link("api", "api", 1), link("web", "api", 2)]);
    }

    #[test]
    fn a_server_that_shares_the_clients_id_was_called_by_it() {
        use SpanKind::{Client, Server};
        let found = graph(&[(1, 0, Client, "web"), (1, 0, Server, "api"), (2, 1, Client, "api")]);
        assert_eq!(found, [link("web", "api", 1)]);
    }
}
