//! `/api/v1/orrery/service_graph`: which service calls which, counted in spans and not in metrics.
//!
//! A node makes the metrics of a service graph of the requests of which it has both halves. Where the client's span is
//! kept by one node and the server's by another, nobody has both until somebody asks. Here they meet.

use contract::{Coverage, QueryLimits, Scope, Select};

use super::{Answered, Ask, PromError, json::Writer, labels::time_range};
use crate::Error;

mod paired;
mod sample;

pub(crate) use paired::PairedEdge;

/// What spans say about who calls whom.
pub(crate) struct PairedGraph {
    /// By client, server and connection type. Requests and failures are of all traces: what was counted, times `one_in`.
    pub edges: Vec<PairedEdge>,
    /// Of so many traces one was read.
    pub one_in: u64,
    /// Spans that were read.
    pub spans: usize,
    pub coverage: Coverage,
}

/// `start` and `end` as elsewhere in this API, both needed: `{"oneIn", "spans", "edges": [{"labels", "requests",
/// "failed", "p95"}]}`, labels as `traces_service_graph_request_total` has them, `p95` in seconds as the server saw it.
pub async fn service_graph(ask: Ask) -> Result<Answered, PromError> {
    ask.params.require("start")?;
    ask.params.require("end")?;
    let range = time_range(&ask)?;
    let (reads, tenants) = (ask.reads.clone(), ask.tenants.clone());
    let run = |limits: QueryLimits| async move {
        let graph = paired((&*reads.select, &reads.promql), Scope { tenants, range, limits }).await?;
        Ok(Answered { data: written(&graph), coverage: Some(graph.coverage), ..Answered::default() })
    };
    Ok(ask.run(run).await?)
}

/// Reads and pairs spans that began in the range. Of many, the same traces are chosen on every node.
pub(crate) async fn paired(
    (select, promql): (&dyn Select, &promql::Engine),
    scope: Scope,
) -> Result<PairedGraph, Error> {
    let sample::Sampled { halves, bits, coverage, memory } = sample::read(select, promql, scope).await?;
    let spans = halves.len();
    let edges = halves.edges(1 << bits);
    drop(memory);
    Ok(PairedGraph { edges, one_in: 1 << bits, spans, coverage })
}

fn written(graph: &PairedGraph) -> Vec<u8> {
    let mut w = Writer::default();
    w.raw("{\"oneIn\":").raw(&graph.one_in.to_string()).raw(",\"spans\":").raw(&graph.spans.to_string());
    w.raw(",\"edges\":").list(&graph.edges, |w, e| {
        w.raw("{\"labels\":").labels(&e.labels()).raw(",\"requests\":").raw(&e.requests.to_string());
        w.raw(",\"failed\":").raw(&e.failed.to_string()).raw(",\"p95\":").raw(&e.p95_s.to_string()).raw("}");
    });
    w.raw("}");
    w.0
}
