use bytes::Bytes;
use contract::LineFilter;
use futures::FutureExt;
use model::{
    AnyValue, Attributes, Labels, LogBatch, LogRecord, LogStream, MatchOp, Matcher, TimestampNs,
    attributes::{Resource, Scope},
};
use proptest::prelude::*;

use super::*;
use crate::{
    Result, SegmentInfo,
    testing::{block_on, collect, drain_count, from_hex, plain_rows, stored, survives_damage, write_fixture},
    text::tests::{any_attributes, any_value},
};

pub(super) fn open(bytes: &Bytes) -> Result<Reader> {
    let (store, path) = stored(bytes);
    block_on(Reader::open(store, path, bytes.len() as u64))
}

/// Everything as text, each record with its stream: floats as bits, so that NaN equals itself.
pub(super) fn flat(batches: &[LogBatch]) -> Vec<(Labels, i64, String)> {
    let records = batches.iter().flat_map(|b| b.records.iter().map(move |r| (b, r)));
    records
        .map(|(b, r)| {
            let s = &b.streams[r.stream as usize];
            let v = |v: &AnyValue| crate::text::encode(v).unwrap();
            let a = |a: &Attributes| v(&AnyValue::Map(a.clone()));
            let resource = (a(&s.resource.attributes), s.resource.dropped_attributes, &s.resource.schema_url);
            let scope = (&s.scope.name, &s.scope.version, a(&s.scope.attributes), s.scope.dropped_attributes);
            let ids = (r.trace_id, r.span_id, r.flags, r.dropped_attributes);
            let rest = (r.observed_ns, r.severity_number, &r.severity_text, v(&r.body), a(&r.attributes));
            let text = format!("{resource:?} {scope:?} {ids:?} {rest:?} {}", r.event_name);
            (s.labels.clone(), r.timestamp_ns, text)
        })
        .collect()
}

pub(super) fn condition(filter: LineFilter) -> Option<Arc<LineCondition>> {
    LineCondition::compile(&[filter]).unwrap().map(Arc::new)
}

pub(super) fn read_all(bytes: &Bytes) -> Result<Vec<(Labels, i64, String)>> {
    Ok(flat(&collect(open(bytes)?.scan())?))
}

/// What a segment gives back of a batch: records in order of (stream, time).
pub(super) fn in_file_order(batch: &LogBatch) -> Vec<(Labels, i64, String)> {
    let mut all: Vec<(String, (Labels, i64, String))> = Vec::new();
    for (r, f) in batch.records.iter().zip(flat(std::slice::from_ref(batch))) {
        let s = &batch.streams[r.stream as usize];
        let mut d = Attributes::default();
        crate::origin::encode(&s.resource, &s.scope, &mut d);
        all.push((crate::text::encode_pairs(d.iter()).unwrap(), f));
    }
    all.sort_by(|a, b| (&a.1.0, &a.0, a.1.1).cmp(&(&b.1.0, &b.0, b.1.1)));
    all.into_iter().map(|(_, f)| f).collect()
}

/// `streams` streams of `n` records each, interleaved in time.
fn services(streams: usize, n: usize) -> LogBatch {
    let mut batch = LogBatch::default();
    for s in 0..streams {
        batch.streams.push(LogStream {
            labels: Labels::from_pairs([("service_name", format!("svc-{s:02}"))]),
            resource: Resource {
                attributes: Attributes::from_iter([("service.name", format!("svc-{s:02}"))]),
                ..Resource::default()
            },
            scope: Scope { name: "test".into(), ..Scope::default() },
        });
    }
    for i in 0..n {
        for s in 0..streams {
            let mut r = LogRecord {
                stream: s as u32,
                timestamp_ns: 1_700_000_000_000_000_000 + (i * streams + s) as i64 * 1_000_003,
                severity_number: 9,
                severity_text: "INFO".into(),
                body: format!("request {i} of {s} took {} ms", (i * 7919 + s * 31) % 1000).into(),
                ..LogRecord::default()
            };
            r.attributes.push("http.status", 200 + i as i64 % 3);
            r.attributes.push("http.method", if i % 2 == 0 { "GET" } else { "POST" });
            batch.records.push(r);
        }
    }
    batch
}

/// The same with every kind of slot in bodies: the fixture of version 2.
pub(super) fn sample_batch_2() -> LogBatch {
    let mut b = sample_batch();
    for i in 0..40u64 {
        let id = i.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1 << 63;
        let (of_day, uuid) = (i * 97, format!("{:08x}-0000-4000-8000-{i:012x}", id >> 32));
        let (h, m, s) = (of_day / 3600, of_day / 60 % 60, of_day % 60);
        let body = format!(
            "2026-11-22T{h:02}:{m:02}:{s:02}.{i:03}Z GET /v1/item/{} {id:016x} pod-x{i}k2 took {i}.05ms {uuid}",
            i * i,
        );
        b.records.push(LogRecord {
            stream: (i % 2) as u32,
            timestamp_ns: 1_700_000_000_000_000_000 + i as i64,
            body: body.into(),
            ..LogRecord::default()
        });
    }
    b
}

/// One of everything, fixed for ever: the fixture of version 1.
pub(super) fn sample_batch() -> LogBatch {
    let mut b = services(2, 3);
    b.records[0].body = AnyValue::Map(Attributes::from_iter([("n", AnyValue::Double(f64::NAN))]));
    b.records[1].body = AnyValue::Empty;
    b.records[2].trace_id = [7; 16];
    b.records[2].span_id = [8; 8];
    b.records[2].attributes.push("http.status", "again, and text");
    b.records[3].attributes =
        Attributes::from_iter([("z", AnyValue::Bool(true)), ("a", AnyValue::Bytes(vec![1]))]);
    b.records[4].attributes.0.reverse();
    b.records[5].observed_ns = 12;
    b.records[5].event_name = "boot".into();
    b.records[5].flags = 1;
    b.records[5].dropped_attributes = 2;
    b
}

#[test]
fn a_segment_gives_back_what_was_written() {
    let b = sample_batch();
    let w = write(&b, &WriteOptions { level: 1 }).unwrap();
    assert_eq!(read_all(&w.bytes).unwrap(), in_file_order(&b));
    assert_eq!(plain_rows(&w.bytes), 6);
    assert_eq!((w.info.items, w.info.level), (6, 1));
    assert_eq!(w.info.services, Some(vec!["svc-00".into(), "svc-01".into()]));
    let times = b.records.iter().map(|r| r.timestamp_ns);
    assert_eq!(w.info.range.start.0, times.clone().min().unwrap());
    assert_eq!(w.info.range.end.0, times.max().unwrap() + 1);
    assert_eq!(open(&w.bytes).unwrap().info(), &w.info);
}

#[test]
fn the_fixture_of_format_version_1_opens() {
    let b = sample_batch();
    let bytes = from_hex(include_str!("../../tests/fixtures/logs-v1.hex"));
    assert_eq!(read_all(&bytes).unwrap(), in_file_order(&b));
}

#[test]
fn the_fixture_of_format_version_2_opens() {
    let b = sample_batch_2();
    write_fixture("logs-v2.hex", &write(&b, &WriteOptions::default()).unwrap().bytes);
    let bytes = from_hex(include_str!("../../tests/fixtures/logs-v2.hex"));
    assert_eq!(read_all(&bytes).unwrap(), in_file_order(&b));
}

#[test]
fn a_damaged_file_is_corrupt_and_never_a_panic() {
    survives_damage(&write(&sample_batch(), &WriteOptions::default()).unwrap().bytes, read_all);
}

#[test]
fn a_selection_is_in_order_of_time_across_streams() {
    let b = services(5, 3000);
    let r = open(&write(&b, &WriteOptions::default()).unwrap().bytes).unwrap();
    let m = vec![Matcher::new("service_name", MatchOp::Regex, "svc-0[13]").unwrap()];
    let range =
        TimeRange::new(TimestampNs(1_700_000_001_000_000_000), TimestampNs(1_700_000_009_000_000_000));
    let wanted: Vec<i64> = b
        .records
        .iter()
        .filter(|x| [1, 3].contains(&x.stream) && range.contains(TimestampNs(x.timestamp_ns)))
        .map(|x| x.timestamp_ns)
        .collect();
    for (order, hint) in [(Order::OldestFirst, None), (Order::NewestFirst, Some(10))] {
        let mut s = Selection::new(m.clone(), range, order);
        s.limit_hint = hint;
        let batches = collect(r.select(s)).unwrap();
        let mut times: Vec<i64> = batches.iter().flat_map(|b| &b.records).map(|r| r.timestamp_ns).collect();
        if order == Order::NewestFirst {
            times.reverse();
            assert!(batches.len() > 1, "a hint makes the first piece small");
        }
        assert_eq!(times, wanted);
        assert!(batches.iter().all(|b| b.streams.len() <= 2));
    }
}

#[test]
fn a_line_condition_decides_over_bodies() {
    let b = services(3, 2000);
    let r = open(&write(&b, &WriteOptions::default()).unwrap().bytes).unwrap();
    let mut s = Selection::new(vec![], TimeRange::ALL, Order::NewestFirst);
    s.line = condition(LineFilter::Regex("took 7 ms$".into()));
    let wanted = b.records.iter().filter(|r| r.body.as_str().unwrap().ends_with("took 7 ms")).count();
    let got: usize = collect(r.select(s)).unwrap().iter().map(|b| b.records.len()).sum();
    assert!(wanted > 0);
    assert_eq!(got, wanted);
}

#[test]
fn a_few_records_are_read_without_the_whole_file() {
    let mut b = services(4, 40_000);
    for (i, r) in b.records.iter_mut().enumerate() {
        r.body = format!("{:032x} {:032x}", (i as u128).wrapping_mul(0x9e3779b97f4a7c15f39cc0605cedc835), i)
            .into();
    }
    let w = write(&b, &WriteOptions::default()).unwrap();
    let (store, path) = stored(&w.bytes);
    let r = block_on(Reader::open(store.clone(), path, w.bytes.len() as u64)).unwrap();
    store.take_reads();
    let mut s =
        Selection::new(vec![Matcher::equal("service_name", "svc-02")], TimeRange::ALL, Order::NewestFirst);
    s.limit_hint = Some(20);
    assert_eq!(drain_count(r.select(s), 1).len(), 1);
    let read = store.take_bytes();
    println!("file {} B, 20 newest of one stream of four read {read} B", w.bytes.len());
    assert!(read < w.bytes.len() as u64 / 6, "{read} of {}", w.bytes.len());
    let nobody = vec![Matcher::equal("service_name", "nobody")];
    assert!(
        collect(r.select(Selection::new(nobody, TimeRange::ALL, Order::NewestFirst))).unwrap().is_empty()
    );
    assert_eq!(store.take_bytes(), 0, "the table of streams is held");
}

#[test]
fn streams_are_listed_by_selector_and_range() {
    let b = services(3, 5);
    let r = open(&write(&b, &WriteOptions::default()).unwrap().bytes).unwrap();
    assert_eq!(block_on(r.streams(&[], TimeRange::ALL)).unwrap().len(), 3);
    let one = [vec![Matcher::equal("service_name", "svc-01")], vec![Matcher::equal("x", "y")]];
    assert_eq!(block_on(r.streams(&one, TimeRange::ALL)).unwrap(), [b.streams[1].labels.clone()]);
    assert!(block_on(r.streams(&[], TimeRange::from_ms_inclusive(0, 5))).unwrap().is_empty());
}

#[test]
fn a_record_of_no_stream_is_refused_and_an_empty_batch_is_not() {
    let mut b = services(1, 1);
    b.records[0].stream = 9;
    assert_eq!(write(&b, &WriteOptions::default()).unwrap_err().kind(), base::Kind::Invalid);
    let w = write(&LogBatch::default(), &WriteOptions::default()).unwrap();
    assert!(read_all(&w.bytes).unwrap().is_empty());
    let all = Selection::new(vec![], TimeRange::ALL, Order::NewestFirst);
    assert!(collect(open(&w.bytes).unwrap().select(all)).unwrap().is_empty());
}

fn any_stream() -> impl Strategy<Value = LogStream> {
    (
        prop::collection::btree_map("[a-c]{1,2}", ".{0,3}", 0..3),
        any_attributes(),
        any_attributes(),
        (any::<u32>(), any::<u32>(), ".{0,3}", ".{0,3}", ".{0,3}"),
    )
        .prop_map(|(labels, resource, scope, (rd, sd, url, name, version))| LogStream {
            labels: Labels::from_pairs(labels),
            resource: Resource { attributes: resource, dropped_attributes: rd, schema_url: url },
            scope: Scope { name, version, attributes: scope, dropped_attributes: sd },
        })
}

fn any_record() -> impl Strategy<Value = LogRecord> {
    (
        (prop_oneof![any::<i64>(), 0i64..50], prop_oneof![Just(0i64), any::<i64>()]),
        (any::<u8>(), ".{0,3}", any_value(), any_attributes()),
        (
            any::<u32>(),
            any::<u32>(),
            prop_oneof![Just([0u8; 16]), any::<[u8; 16]>()],
            any::<[u8; 8]>(),
            ".{0,3}",
        ),
    )
        .prop_map(
            |((ts, observed), (number, severity, body, attributes), (dropped, flags, trace, span, event))| {
                LogRecord {
                    stream: 0,
                    timestamp_ns: ts,
                    observed_ns: observed,
                    severity_number: number,
                    severity_text: severity,
                    body,
                    attributes,
                    dropped_attributes: dropped,
                    flags,
                    trace_id: trace,
                    span_id: span,
                    event_name: event,
                }
            },
        )
}

pub(crate) fn any_batch() -> impl Strategy<Value = LogBatch> {
    (
        prop::collection::vec(any_stream(), 1..4),
        prop::collection::vec((any_record(), any::<prop::sample::Index>()), 0..24),
    )
        .prop_map(|(streams, records)| LogBatch {
            records: records
                .into_iter()
                .map(|(mut r, i)| {
                    r.stream = i.index(streams.len()) as u32;
                    r
                })
                .collect(),
            streams,
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn every_batch_comes_back(b in any_batch()) {
        let w = write(&b, &WriteOptions::default()).unwrap();
        prop_assert_eq!(read_all(&w.bytes).unwrap(), in_file_order(&b));
        prop_assert_eq!(plain_rows(&w.bytes), b.records.len());
        // Ties come in file order, so oldest first is a stable sort of it by time.
        let mut wanted: Vec<_> = in_file_order(&b).into_iter().filter(|r| r.1 != i64::MAX).collect();
        wanted.sort_by_key(|r| r.1);
        let all = Selection::new(vec![], TimeRange::ALL, Order::OldestFirst);
        prop_assert_eq!(flat(&collect(open(&w.bytes).unwrap().select(all)).unwrap()), wanted);
    }
}

/// Whether a record has a value under a name, of any of those that may have it.
fn has_field(b: &LogBatch, r: &LogRecord, name: &str, value: &str) -> bool {
    let s = &b.streams[r.stream as usize];
    let of = |a: &Attributes| a.iter().any(|(k, v)| crate::terms::name(k) == name && v.to_string() == value);
    let attributes = [&r.attributes, &s.resource.attributes, &s.scope.attributes];
    s.labels.get(name) == Some(value)
        || attributes.into_iter().any(of)
        || name == "event_name" && r.event_name == value
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn no_record_with_a_field_that_is_asked_for_is_left_out(b in any_batch(), pick: prop::sample::Index) {
        let mut fields: Vec<(String, String)> = Vec::new();
        for r in &b.records {
            let s = &b.streams[r.stream as usize];
            for a in [&r.attributes, &s.resource.attributes] {
                fields.extend(a.iter().map(|(k, v)| (crate::terms::name(k), v.to_string())));
            }
            fields.extend(s.labels.iter().map(|(k, v)| (k.to_owned(), v.to_owned())));
            fields.push(("event_name".to_owned(), r.event_name.clone()));
        }
        fields.retain(|(name, value)| !name.is_empty() && !value.is_empty());
        prop_assume!(!fields.is_empty());
        let (name, value) = fields.swap_remove(pick.index(fields.len()));
        let reader = open(&write(&b, &WriteOptions::default()).unwrap().bytes).unwrap();
        let with = |found: Vec<LogBatch>| {
            let found = found.into_iter().map(|mut b| {
                let all = b.clone();
                b.records.retain(|r| has_field(&all, r, &name, &value));
                b
            });
            flat(&found.collect::<Vec<_>>())
        };
        let mut selection = Selection::new(vec![], TimeRange::ALL, Order::OldestFirst);
        let wanted = with(collect(reader.select(selection.clone())).unwrap());
        selection.fields = Arc::new([(name.clone(), value.clone())]);
        prop_assert_eq!(with(collect(reader.select(selection)).unwrap()), wanted);
    }
}

#[test]
fn a_field_that_few_records_have_is_looked_up() {
    let mut b = services(2, 9000);
    b.records[4711].attributes.push("request.id", "r-4711");
    b.records[4712].trace_id = [0xcd; 16];
    let reader = open(&write(&b, &WriteOptions::default()).unwrap().bytes).unwrap();
    let found = |name: &str, value: &str| -> usize {
        let mut selection = Selection::new(vec![], TimeRange::ALL, Order::OldestFirst);
        selection.fields = Arc::new([(name.to_owned(), value.to_owned())]);
        collect(reader.select(selection)).unwrap().iter().map(|b| b.records.len()).sum()
    };
    assert_eq!(found("request_id", "r-4711"), 4096);
    assert_eq!(found("trace_id", &"cd".repeat(16)), 4096);
    assert_eq!(found("request_id", "r-4712"), 0);
    // A stream says it for all of its records, or another part of a record does.
    assert_eq!(found("service_name", "svc-01"), 18_000);
    assert_eq!(found("severity_text", "WARN"), 18_000);
}

/// Merges segments of batches, some with no records.
fn merged(batches: &[LogBatch], keep: fn(&Labels, i64) -> bool) -> Option<Vec<(Labels, i64, String)>> {
    let segments = batches.iter().map(|b| write(b, &WriteOptions::default()).unwrap().bytes);
    let written = merge_segments(&segments.collect::<Vec<_>>(), keep)?;
    assert_eq!(written.info.level, 3);
    Some(read_all(&written.bytes).unwrap())
}

/// Merges segments on a runtime of its own.
pub(super) fn merge_segments(segments: &[Bytes], keep: fn(&Labels, i64) -> bool) -> Option<crate::Written> {
    let inputs = segments.iter().map(|s| (open(s).unwrap(), Box::new(keep) as Keep)).collect();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    // Boxed, as it goes from thread to thread.
    runtime.block_on(merge(inputs, &WriteOptions { level: 3 }).boxed()).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn segments_become_one_without_what_does_not_stay(
        mut batches in prop::collection::vec(any_batch(), 1..4),
        again in any::<bool>(),
    ) {
        if again {
            batches.extend(batches.first().cloned());
        }
        let keep = |labels: &Labels, at: i64| labels.len() != 1 && at % 3 != 0;
        let mut all = LogBatch::default();
        for b in &batches {
            let before = all.streams.len() as u32;
            all.streams.extend(b.streams.iter().cloned());
            all.records.extend(b.records.iter().cloned().map(|r| LogRecord { stream: r.stream + before, ..r }));
        }
        prop_assert_eq!(merged(&batches, |_, _| true).unwrap_or_default(), in_file_order(&all));
        all.records.retain(|r| keep(&all.streams[r.stream as usize].labels, r.timestamp_ns));
        prop_assert_eq!(merged(&batches, keep).unwrap_or_default(), in_file_order(&all));
        prop_assert_eq!(merged(&batches, |_, _| false), None);
    }
}

#[test]
fn merged_segments_are_as_if_written_at_once() {
    let whole = services(3, 5000);
    let part = |n: usize| LogBatch {
        streams: whole.streams.clone(),
        records: whole.records.iter().filter(|r| r.timestamp_ns as usize % 4 == n).cloned().collect(),
    };
    let parts: Vec<LogBatch> = (0..4).map(part).collect();
    assert_eq!(merged(&parts, |_, _| true), Some(in_file_order(&whole)));
    let inputs = |parts: &[LogBatch]| -> Vec<(Reader, Keep)> {
        let open = |b: &LogBatch| open(&write(b, &WriteOptions::default()).unwrap().bytes).unwrap();
        parts.iter().map(|b| (open(b), Box::new(|_: &Labels, _| true) as Keep)).collect()
    };
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let merged = runtime.block_on(merge(inputs(&parts), &WriteOptions::default())).unwrap().unwrap();
    let at_once = write(&whole, &WriteOptions::default()).unwrap();
    // Only which templates there are depends on what was seen first.
    let info = |w: &crate::Written| SegmentInfo { bytes: 0, ..w.info.clone() };
    assert_eq!(info(&merged), info(&at_once));
    let (a, b) = (merged.bytes.len(), at_once.bytes.len());
    assert!(a < b + b / 20, "{a} {b}");
}

/// Counts by labels, piece and fields, of what a selection gives.
fn counted_by_hand(r: &Reader, s: &Selection, folding: &Folding) -> Vec<(Labels, u32, String, u64, u64)> {
    let mut out = std::collections::BTreeMap::new();
    for batch in collect(r.select(s.clone())).unwrap() {
        for record in &batch.records {
            let mut one = Counter::new(folding.clone(), batch.streams.iter());
            one.add(record).unwrap();
            for g in one.finish() {
                let key = shown(&batch.streams[record.stream as usize].labels, folding, &g);
                let sum: &mut (u64, u64) = out.entry(key).or_default();
                *sum = (sum.0 + g.count, sum.1 + g.bytes);
            }
        }
    }
    out.into_iter().map(|((l, p, f), (n, b))| (l, p, f, n, b)).collect()
}

fn shown(labels: &Labels, folding: &Folding, g: &Group) -> (Labels, u32, String) {
    let piece = folding.edges.partition_point(|e| *e < g.record.timestamp_ns) as u32 - 1;
    let asked = |(name, _): &(&str, &str)| folding.fields.iter().any(|f| f == name);
    let labels = Labels::from_pairs(labels.iter().filter(asked));
    let mut record = LogRecord { stream: 0, timestamp_ns: 0, ..g.record.clone() };
    record.attributes.0.sort_by_key(|(k, v)| (k.clone(), format!("{v:?}")));
    (labels, piece, format!("{record:?}"))
}

fn counted(r: &Reader, s: &Selection, folding: &Folding) -> Vec<(Labels, u32, String, u64, u64)> {
    let (streams, groups) = block_on(r.count(s.clone(), folding).boxed()).unwrap().unwrap();
    let mut out = std::collections::BTreeMap::new();
    for g in &groups {
        let key = shown(&streams[g.record.stream as usize].labels, folding, g);
        let sum: &mut (u64, u64) = out.entry(key).or_default();
        *sum = (sum.0 + g.count, sum.1 + g.bytes);
    }
    out.into_iter().map(|((l, p, f), (n, b))| (l, p, f, n, b)).collect()
}

fn folding(edges: Vec<i64>, fields: &[&str]) -> Folding {
    let fields = fields.iter().map(|f| (*f).to_owned()).collect();
    Folding { edges: edges.into(), fields, bytes: true, max_groups: usize::MAX }
}

#[test]
fn counting_reads_less_and_comes_to_the_same() {
    let mut b = services(4, 20_000);
    for (i, r) in b.records.iter_mut().enumerate() {
        r.attributes = Attributes::from_iter([("level", ["info", "warn", "error"][i % 3])]);
        r.attributes.push("http.status", 200 + (i % 5) as i64);
        r.severity_number = (i % 4) as u8;
    }
    let written = write(&b, &WriteOptions::default()).unwrap();
    let (store, path) = stored(&written.bytes);
    let r = block_on(Reader::open(store.clone(), path, written.bytes.len() as u64)).unwrap();
    let (first, last) = (r.info().range.start.0, r.info().range.end.0);
    let edges: Vec<i64> = (0..=50).map(|i| first + (last - first) / 50 * i - 1).collect();
    let all = Selection::new(vec![], TimeRange::ALL, Order::OldestFirst);
    for fields in [
        &["level"][..],
        &[],
        &["level", "http_status", "detected_level"],
        &["service_name", "level"],
        &["nothing"],
        &["trace_id"],
    ] {
        let f = folding(edges.clone(), fields);
        assert_eq!(counted(&r, &all, &f), counted_by_hand(&r, &all, &f), "{fields:?}");
    }
    // One piece that holds everything is known from the table of streams.
    store.take_reads();
    let f = Folding { bytes: false, ..folding(vec![first - 1, last], &[]) };
    assert_eq!(counted(&r, &all, &f).iter().map(|c| c.3).sum::<u64>(), 80_000);
    assert_eq!(store.take_bytes(), 0);
    let few = Folding { max_groups: 3, ..folding(edges, &["level"]) };
    assert!(block_on(r.count(all, &few)).unwrap().is_none());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn counts_are_those_of_the_records(
        b in any_batch(),
        edges in prop::collection::btree_set(prop_oneof![any::<i64>(), 0i64..50], 2..6),
        fields in prop::collection::vec("[a-c]{1,2}|detected_level|severity_text|event_name|span_id", 0..3),
        range in (0i64..50, 0i64..50),
    ) {
        let r = open(&write(&b, &WriteOptions::default()).unwrap().bytes).unwrap();
        let fields: Vec<&str> = fields.iter().map(String::as_str).collect();
        let f = folding(edges.into_iter().collect(), &fields);
        for range in [TimeRange::ALL, TimeRange::new(TimestampNs(range.0), TimestampNs(range.1))] {
            let mut s = Selection::new(vec![], range, Order::OldestFirst);
            prop_assert_eq!(counted(&r, &s, &f), counted_by_hand(&r, &s, &f));
            s.line = condition(LineFilter::Regex("(?s)^(..)*$".into()));
            prop_assert_eq!(counted(&r, &s, &f), counted_by_hand(&r, &s, &f));
        }
    }
}
