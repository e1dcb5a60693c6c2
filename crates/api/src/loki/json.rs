//! Writes query results as Loki does.
//!
//! ```text
//! streams  {"stream":{…},"values":[["<ns>","<line>"], …]}
//!          with categorised labels: ["<ns>","<line>",{"structuredMetadata":{…},"parsed":{…}}]
//! tail     {"streams":[…],"dropped_entries":[{"labels":{…},"timestamp":"<ns>"}]}
//! vector   {"metric":{…},"value":[<s>,"<v>"]}     matrix  {"metric":{…},"values":[[<s>,"<v>"], …]}
//! ```
//! Of ours are `stats.parts`: what each cluster computed of a metric query by itself, and the bytes that took.

use std::time::Duration;

use contract::Coverage;
use logql::{Answer, Entry, PartRead, Stats, StreamEntries, Value, answer::by_all_labels};

use model::Labels;

use crate::{coverage, prom::json::Writer};

/// How the client wants the labels that parsers and structured metadata add.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Labelling {
    /// Mixed into the stream's labels.
    Flat,
    /// Apart, per entry (`X-Loki-Response-Encoding-Flags: categorize-labels`); Grafana asks for it.
    Categorised,
}

/// The `data` of an answer that took `took`.
pub fn data(answer: Answer, labelling: Labelling, took: Duration) -> Vec<u8> {
    let mut w = Writer::default();
    w.raw("{\"resultType\":\"").raw(type_name(&answer.value)).raw("\"");
    if labelling == Labelling::Categorised && matches!(answer.value, Value::Streams(_)) {
        w.raw(",\"encodingFlags\":[\"categorize-labels\"]");
    }
    w.raw(",\"result\":");
    let (stats, parts) = (answer.stats, answer.parts);
    let returned = match answer.value {
        Value::Streams(streams) => write_streams(&mut w, streams, labelling),
        Value::Scalar(t_ms, v) => {
            w.raw("[").time(t_ms).raw(",").value(v).raw("]");
            1
        }
        Value::Vector(samples) => {
            w.list(&samples, |w, (labels, t_ms, v)| {
                w.raw("{\"metric\":")
                    .labels(labels)
                    .raw(",\"value\":[")
                    .time(*t_ms)
                    .raw(",")
                    .value(*v)
                    .raw("]}");
            });
            samples.len()
        }
        Value::Matrix(series) => {
            w.list(&series, |w, (labels, points)| {
                w.raw("{\"metric\":").labels(labels).raw(",\"values\":").list(points, |w, (t_ms, v)| {
                    w.raw("[").time(*t_ms).raw(",").value(*v).raw("]");
                });
                w.raw("}");
            });
            series.len()
        }
    };
    write_stats(&mut w, &stats, returned, took);
    // Only where something was left to parts: clients know nothing of it.
    if !parts.is_empty() {
        w.raw(",\"parts\":").list(&parts, write_part);
    }
    w.raw("}}");
    w.0
}

/// The `stats` of an answer, left open for more.
pub fn write_stats(w: &mut Writer, stats: &Stats, returned: usize, took: Duration) {
    let seconds = took.as_secs_f64();
    let per_second = |n: u64| if seconds > 0.0 { (n as f64 / seconds) as u64 } else { 0 };
    w.raw(&format!(
        ",\"stats\":{{\"summary\":{{\"bytesProcessedPerSecond\":{},\"linesProcessedPerSecond\":{},\
         \"totalBytesProcessed\":{},\"totalLinesProcessed\":{},\"execTime\":{seconds},\
         \"totalPostFilterLines\":{},\"totalEntriesReturned\":{returned}}}",
        per_second(stats.bytes),
        per_second(stats.lines),
        stats.bytes,
        stats.lines,
        stats.entries,
    ));
}

/// One message of a live tail. Of `dropped` labels and time, in nanoseconds; fields that say nothing are left out, but
/// for `streams`.
pub fn tail(
    streams: Vec<StreamEntries>,
    dropped: &[(Labels, i64)],
    covered: Option<&Coverage>,
    labelling: Labelling,
) -> Vec<u8> {
    let mut w = Writer::default();
    w.raw("{\"streams\":");
    write_streams(&mut w, streams, labelling);
    if labelling == Labelling::Categorised {
        w.raw(",\"encodingFlags\":[\"categorize-labels\"]");
    }
    if !dropped.is_empty() {
        w.raw(",\"dropped_entries\":").list(dropped, |w, (labels, at_ns)| {
            w.raw("{\"labels\":").labels(labels);
            w.raw(",\"timestamp\":\"").raw(&at_ns.to_string()).raw("\"}");
        });
    }
    if let Some(covered) = covered {
        w.raw(",\"coverage\":").raw(&coverage::to_json(covered).to_string());
    }
    w.raw("}");
    w.0
}

fn write_part(w: &mut Writer, p: &PartRead) {
    w.raw("{\"part\":").string(&p.part).raw(",\"query\":").string(&p.query);
    w.raw(if p.here { ",\"evaluated\":\"here\"" } else { ",\"evaluated\":\"there\"" });
    w.raw(&format!(",\"lines\":{},\"rows\":{},\"bytes\":{}", p.lines, p.rows, p.bytes));
    if let Some(error) = &p.error {
        w.raw(",\"error\":").string(error);
    }
    w.raw("}");
}

/// What a result and its text take at most while both exist, roughly.
pub fn expected_bytes(value: &Value) -> u64 {
    const POINT: usize = 16 + 40;
    let labels = |l: &Labels| 64 + 3 * l.packed_len();
    let entry = |e: &Entry| 128 + 3 * e.line.len() + labels(&e.structured) + labels(&e.parsed);
    let sum: usize = match value {
        Value::Scalar(..) => POINT,
        Value::Vector(v) => v.iter().map(|(l, ..)| labels(l) + POINT).sum(),
        Value::Matrix(m) => m.iter().map(|(l, points)| labels(l) + POINT * points.len()).sum(),
        Value::Streams(s) => {
            s.iter().map(|s| labels(&s.labels) + s.entries.iter().map(entry).sum::<usize>()).sum()
        }
    };
    sum as u64
}

fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Streams(_) => "streams",
        Value::Vector(_) => "vector",
        Value::Matrix(_) => "matrix",
        Value::Scalar(..) => "scalar",
    }
}

fn write_streams(w: &mut Writer, streams: Vec<StreamEntries>, labelling: Labelling) -> usize {
    let streams = match labelling {
        Labelling::Flat => by_all_labels(streams),
        Labelling::Categorised => streams,
    };
    w.list(&streams, |w, s| {
        w.raw("{\"stream\":").labels(&s.labels).raw(",\"values\":");
        w.list(&s.entries, |w, e| write_entry(w, e, labelling)).raw("}");
    });
    streams.iter().map(|s| s.entries.len()).sum()
}

fn write_entry(w: &mut Writer, e: &Entry, labelling: Labelling) {
    w.raw("[\"").raw(&e.ts_ns.to_string()).raw("\",").string(&e.line);
    if labelling == Labelling::Categorised {
        w.raw(",{");
        if !e.structured.is_empty() {
            w.raw("\"structuredMetadata\":").labels(&e.structured);
        }
        if !e.parsed.is_empty() {
            w.raw(if e.structured.is_empty() { "" } else { "," }).raw("\"parsed\":").labels(&e.parsed);
        }
        w.raw("}");
    }
    w.raw("]");
}

#[cfg(test)]
mod tests {
    use serde_json::{Value as Json, json};

    use super::*;

    fn answer() -> Answer {
        let entry = Entry {
            ts_ns: 1_700_000_000_000_000_001,
            line: "a \"b\"\n\u{1}".into(),
            structured: Labels::from_pairs([("trace_id", "abc")]),
            parsed: Labels::from_pairs([("level", "error")]),
        };
        let streams =
            vec![StreamEntries { labels: Labels::from_pairs([("app", "x")]), entries: vec![entry] }];
        Answer {
            value: Value::Streams(streams),
            coverage: Coverage::default(),
            warnings: Vec::new(),
            stats: Stats::default(),
            parts: Vec::new(),
        }
    }

    #[test]
    fn a_message_of_a_tail_has_streams_what_was_dropped_and_coverage_where_there_is_something_to_say() {
        let Value::Streams(streams) = answer().value else { return };
        let of = |dropped: &[_], covered, labelling| -> Json {
            serde_json::from_slice(&tail(streams.clone(), dropped, covered, labelling)).unwrap()
        };
        let plain = of(&[], None, Labelling::Flat);
        assert_eq!(plain.as_object().unwrap().len(), 1, "{plain}");
        assert_eq!(plain["streams"][0]["values"][0][0], "1700000000000000001");
        let dropped = [(Labels::from_pairs([("app", "x")]), 7)];
        let full = of(&dropped, Some(&Coverage::default()), Labelling::Categorised);
        assert_eq!(full["dropped_entries"], json!([{"labels": {"app": "x"}, "timestamp": "7"}]));
        assert_eq!((&full["coverage"], &full["encodingFlags"][0]), (&json!([]), &json!("categorize-labels")));
        assert_eq!(full["streams"][0]["values"][0][2]["structuredMetadata"], json!({"trace_id": "abc"}));
        assert_eq!(tail(Vec::new(), &[], None, Labelling::Flat), b"{\"streams\":[]}");
    }

    #[test]
    fn statistics_say_what_each_part_computed_where_any_did() {
        let read = |answer| -> Json {
            serde_json::from_slice(&data(answer, Labelling::Flat, Duration::ZERO)).unwrap()
        };
        assert_eq!(read(answer())["stats"]["parts"], Json::Null);
        let of = |part: &str, here, error: Option<&str>| PartRead {
            part: part.to_owned(),
            query: "sum(rate({app=\"x\"}[1m]))".to_owned(),
            here,
            error: error.map(str::to_owned),
            rows: 1,
            bytes: 40,
            lines: 1000,
        };
        let parts = vec![of("dev-01", false, None), of("prod-01", true, Some("refused"))];
        let stats = &read(Answer { parts, ..answer() })["stats"];
        assert_eq!(stats["summary"]["totalEntriesReturned"], 1);
        assert_eq!(
            stats["parts"][0],
            json!({
                "part": "dev-01", "query": "sum(rate({app=\"x\"}[1m]))", "evaluated": "there",
                "lines": 1000, "rows": 1, "bytes": 40
            })
        );
        assert_eq!(
            (&stats["parts"][1]["evaluated"], &stats["parts"][1]["error"]),
            (&json!("here"), &json!("refused"))
        );
    }

    #[test]
    fn labels_of_entries_are_mixed_into_the_stream_unless_asked_for_apart() {
        let flat: Json = serde_json::from_slice(&data(answer(), Labelling::Flat, Duration::ZERO)).unwrap();
        assert_eq!(flat["result"][0]["stream"], json!({"app": "x", "level": "error", "trace_id": "abc"}));
        assert_eq!(flat["result"][0]["values"][0], json!(["1700000000000000001", "a \"b\"\n\u{1}"]));
        let apart: Json =
            serde_json::from_slice(&data(answer(), Labelling::Categorised, Duration::ZERO)).unwrap();
        assert_eq!(apart["encodingFlags"], json!(["categorize-labels"]));
        assert_eq!(apart["result"][0]["stream"], json!({"app": "x"}));
        let extra = json!({"structuredMetadata": {"trace_id": "abc"}, "parsed": {"level": "error"}});
        assert_eq!(apart["result"][0]["values"][0][2], extra);
    }
}
