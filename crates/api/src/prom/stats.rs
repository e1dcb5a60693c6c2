//! `stats` and `explain`: what an answer cost and how it came about.

use std::time::Duration;

use promql::{Explain, ExplainNode, ReadStats, Stats};

use super::json::Writer;

fn seconds(d: Duration) -> String {
    d.as_secs_f64().to_string()
}

/// The field `stats` as Prometheus writes it, with the series read and the bytes held beside.
pub(super) fn write(w: &mut Writer, stats: &Stats, queued: Duration, total: Duration) {
    let t = stats.timings;
    let timings = [
        ("evalTotalTime", t.prepare + t.evaluate + t.sort),
        ("resultSortTime", t.sort),
        ("queryPreparationTime", t.prepare),
        ("innerEvalTime", t.evaluate),
        ("execQueueTime", queued),
        ("execTotalTime", total),
    ];
    w.raw(",\"stats\":{\"timings\":{");
    for (i, (name, time)) in timings.into_iter().enumerate() {
        w.raw(if i > 0 { ",\"" } else { "\"" }).raw(name).raw("\":").raw(&seconds(time));
    }
    w.raw("},\"samples\":{");
    if !stats.queryable_per_step.is_empty() {
        w.raw("\"totalQueryableSamplesPerStep\":[");
        for (i, (t_ms, samples)) in stats.queryable_per_step.iter().enumerate() {
            w.raw(if i > 0 { ",[" } else { "[" }).time(*t_ms).raw(",").raw(&samples.to_string()).raw("]");
        }
        w.raw("],");
    }
    let counts = [
        ("totalQueryableSamples", stats.queryable_samples),
        ("samplesRead", stats.samples),
        ("peakSamples", stats.peak_samples()),
        ("series", stats.series),
        ("peakBytes", stats.peak_bytes),
    ];
    for (i, (name, n)) in counts.into_iter().enumerate() {
        w.raw(if i > 0 { ",\"" } else { "\"" }).raw(name).raw("\":").raw(&n.to_string());
    }
    w.raw("}}");
}

/// The field `explain`: the nodes of the plan, each after its parent, named by their place in the list.
pub(super) fn write_explain(w: &mut Writer, explain: &Explain) {
    let nodes: Vec<serde_json::Value> = explain.nodes.iter().map(node).collect();
    let text = serde_json::Value::Array(nodes).to_string();
    w.raw(",\"explain\":{\"nodes\":").raw(&text).raw("}");
}

fn node(n: &ExplainNode) -> serde_json::Value {
    serde_json::json!({
        "parent": n.parent,
        "operator": n.operator,
        "detail": n.detail,
        "steps": n.steps,
        "once": n.once,
        "fused": n.fused,
        "reused": n.reused,
        "series": n.series,
        "bytes": n.bytes,
        "seconds": n.time.as_secs_f64(),
        "read": n.read.map(read),
    })
}

fn read(r: ReadStats) -> serde_json::Value {
    serde_json::json!({
        "id": r.id,
        "series": r.series,
        "samples": r.samples,
        "bytes": r.bytes,
        "seconds": r.time.as_secs_f64(),
        "start": r.first_ms as f64 / 1000.0,
        "end": r.last_ms as f64 / 1000.0,
    })
}
