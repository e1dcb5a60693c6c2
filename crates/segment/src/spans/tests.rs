mod merging;

use std::collections::{BTreeSet, HashMap};

use bytes::Bytes;
use model::{
    AnyValue, Attributes, Span, SpanBatch, SpanEvent, SpanLink, SpanStatus, StatusCode, TimestampNs,
    attributes::{Resource, Scope},
    span::SpanOrigin,
};
use proptest::prelude::*;

use super::*;
use crate::{
    Result, Written,
    testing::{block_on, collect, drain_count, from_hex, plain_rows, stored, survives_damage, write_fixture},
    text::tests::any_attributes,
};

fn open(bytes: &Bytes) -> Result<Reader> {
    let (store, path) = stored(bytes);
    block_on(Reader::open(store, path, bytes.len() as u64))
}

fn json(a: &Attributes) -> String {
    crate::text::encode(&AnyValue::Map(a.clone())).unwrap()
}

/// A span with its origin as text: floats as bits, so that NaN equals itself.
fn flat_one(b: &SpanBatch, s: &Span) -> String {
    let o = &b.origins[s.origin as usize];
    let origin = (
        (json(&o.resource.attributes), o.resource.dropped_attributes, &o.resource.schema_url),
        (&o.scope.name, &o.scope.version, json(&o.scope.attributes), o.scope.dropped_attributes),
    );
    let ids = (s.trace_id, s.span_id, s.parent_span_id, &s.trace_state, s.flags);
    let own = (&s.name, s.kind, s.start_ns, s.end_ns, &s.status, json(&s.attributes), s.dropped_attributes);
    let event = |e: &SpanEvent| (e.timestamp_ns, e.name.clone(), json(&e.attributes), e.dropped_attributes);
    let events: Vec<_> = s.events.iter().map(event).collect();
    let link = |l: &SpanLink| {
        (l.trace_id, l.span_id, l.trace_state.clone(), json(&l.attributes), l.dropped_attributes, l.flags)
    };
    let links: Vec<_> = s.links.iter().map(link).collect();
    format!("{ids:?} {own:?} {events:?} {} {links:?} {} {origin:?}", s.dropped_events, s.dropped_links)
}

fn flat(batches: &[SpanBatch]) -> Vec<String> {
    batches.iter().flat_map(|b| b.spans.iter().map(move |s| flat_one(b, s))).collect()
}

fn sorted(mut v: Vec<String>) -> Vec<String> {
    v.sort();
    v
}

fn read_all(bytes: &Bytes) -> Result<Vec<String>> {
    Ok(flat(&collect(super::merge::scan(&open(bytes)?)?)?))
}

/// All spans of some traces in a range.
fn by_trace_ids(r: &Reader, ids: &[[u8; 16]], range: TimeRange) -> Result<Vec<SpanBatch>> {
    let located = block_on(r.locate(ids))?;
    if located.is_empty() {
        return Ok(Vec::new());
    }
    collect(r.select_located(located, Selection::new(range)))
}

fn spans_of(batches: &[SpanBatch]) -> usize {
    batches.iter().map(|b| b.spans.len()).sum()
}

fn selected(r: &Reader, any_of: &[Vec<SpanCondition>]) -> Result<Vec<String>> {
    let selection = Selection { any_of: any_of.into(), ..Selection::new(TimeRange::ALL) };
    Ok(sorted(flat(&collect(r.select(selection))?)))
}

/// Conditions on every kind of field, some of which hold for spans of [`any_batch`] and of [`sample_batch`].
fn alternatives() -> Vec<Vec<SpanCondition>> {
    use contract::{Comparison, SpanField, SpanPattern, SpanScope, SpanTest, SpanValue};
    let text = |t: &str| SpanValue::Text(t.to_owned());
    let values = [
        text("a"),
        text("api"),
        text("exception"),
        text("00"),
        SpanValue::Int(0),
        SpanValue::Int(202),
        SpanValue::Float(0.5),
        SpanValue::Float(202.0),
        SpanValue::Bool(true),
        SpanValue::Status(StatusCode::Error),
        SpanValue::Kind(SpanKind::Client),
    ];
    let how = [Comparison::Equal, Comparison::NotEqual, Comparison::Less, Comparison::GreaterOrEqual];
    let pattern = || SpanPattern::new("a.*|[0-9].*").unwrap();
    let mut tests = vec![
        SpanTest::Exists,
        SpanTest::Absent,
        SpanTest::Matches(pattern()),
        SpanTest::MatchesNot(pattern()),
    ];
    tests.extend(how.into_iter().flat_map(|h| values.clone().map(|v| SpanTest::Is(h, v))));
    let keys = ["a", "k", "http.status_code", "user", "service.name", "x", ""];
    let attributes =
        SpanScope::ALL.into_iter().flat_map(|s| keys.map(|k| SpanField::Attribute(s, k.to_owned())));
    let fields = attributes.chain([
        SpanField::Name,
        SpanField::Kind,
        SpanField::Status,
        SpanField::StatusMessage,
        SpanField::Duration,
        SpanField::TraceId,
        SpanField::SpanId,
        SpanField::ParentId,
        SpanField::Root,
        SpanField::TraceState,
        SpanField::ScopeName,
        SpanField::ScopeVersion,
        SpanField::EventName,
        SpanField::EventOffset,
        SpanField::LinkTraceId,
        SpanField::LinkSpanId,
    ]);
    fields
        .flat_map(|f| {
            tests.iter().map(move |t| vec![SpanCondition::new(f.clone(), t.clone())]).collect::<Vec<_>>()
        })
        .collect()
}

/// What a loop over all spans finds.
fn passing(b: &SpanBatch, any_of: &[Vec<SpanCondition>]) -> Vec<String> {
    let inside = |s: &&Span| TimeRange::ALL.contains(TimestampNs(s.start_ns));
    let passes = |s: &&Span| contract::spans::passes_any(any_of, s, &b.origins[s.origin as usize]);
    sorted(b.spans.iter().filter(inside).filter(passes).map(|s| flat_one(b, s)).collect())
}

fn id(n: u64) -> [u8; 16] {
    let mut out = [0; 16];
    out[..8].copy_from_slice(&n.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes());
    out[8..].copy_from_slice(&(n + 1).to_be_bytes());
    out
}

/// `traces` traces of `spans` spans each over three services; a new trace each millisecond.
fn traffic(traces: u64, spans: u64) -> SpanBatch {
    let mut b = SpanBatch::default();
    for s in ["api", "cart", "db"] {
        let resource =
            Resource { attributes: Attributes::from_iter([("service.name", s)]), ..Resource::default() };
        b.origins.push(SpanOrigin { resource, scope: Scope { name: "t".into(), ..Scope::default() } });
    }
    for k in 0..spans {
        for t in 0..traces {
            let start = 1_700_000_000_000_000_000 + t as i64 * 1_000_000 + k as i64 * 10_000;
            let mut s = Span {
                origin: (k % 3) as u32,
                trace_id: id(t),
                span_id: (t * spans + k + 1).to_be_bytes(),
                parent_span_id: if k == 0 { [0; 8] } else { (t * spans + 1).to_be_bytes() },
                name: ["GET /", "add", "select"][(k % 3) as usize].into(),
                kind: [SpanKind::Server, SpanKind::Client, SpanKind::Internal][(k % 3) as usize],
                start_ns: start,
                end_ns: start + 1000 * (1 + (t as i64 * 7919) % 500),
                status: SpanStatus {
                    code: if t % 10 == 3 { StatusCode::Error } else { StatusCode::Unset },
                    message: String::new(),
                },
                ..Span::default()
            };
            s.attributes.push("http.status_code", 200 + t as i64 % 4);
            s.attributes
                .push("user", format!("{:032x}", u128::from(t).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c)));
            b.spans.push(s);
        }
    }
    b
}

/// One of everything, fixed for ever: the fixture of version 1.
fn sample_batch() -> SpanBatch {
    let mut b = traffic(3, 2);
    let mut attributes = Attributes::default();
    attributes.push("x", AnyValue::Array(vec![AnyValue::Double(f64::NAN), AnyValue::Empty]));
    b.spans[1].events = vec![SpanEvent {
        timestamp_ns: 5,
        name: "exception".into(),
        attributes: attributes.clone(),
        dropped_attributes: 1,
    }];
    b.spans[2].links = vec![SpanLink {
        trace_id: [1; 16],
        span_id: [2; 8],
        trace_state: "a=b".into(),
        attributes,
        dropped_attributes: 3,
        flags: 257,
    }];
    b.spans[3].status = SpanStatus { code: StatusCode::Ok, message: "fine".into() };
    b.spans[3].trace_state = "k=v".into();
    b.spans[4].flags = 1;
    b.spans[4].dropped_attributes = 1;
    b.spans[4].dropped_events = 2;
    b.spans[4].dropped_links = 3;
    b
}

#[test]
fn a_segment_gives_back_what_was_written() {
    let b = sample_batch();
    let w = write(&b, &WriteOptions { level: 2 }).unwrap();
    assert_eq!(sorted(read_all(&w.bytes).unwrap()), sorted(flat(&[b])));
    assert_eq!(plain_rows(&w.bytes), 6);
    assert_eq!((w.info.items, w.info.level), (6, 2));
    assert_eq!(w.info.services, Some(vec!["api".into(), "cart".into()]));
    assert!(w.info.may_hold_service("api") && !w.info.may_hold_service("db"));
    assert_eq!(open(&w.bytes).unwrap().info(), &w.info);
}

#[test]
fn the_fixture_of_format_version_1_opens() {
    let b = sample_batch();
    write_fixture("spans-v1.hex", &write(&b, &WriteOptions::default()).unwrap().bytes);
    let bytes = from_hex(include_str!("../../tests/fixtures/spans-v1.hex"));
    assert_eq!(sorted(read_all(&bytes).unwrap()), sorted(flat(std::slice::from_ref(&b))));
    let r = open(&bytes).unwrap();
    for any_of in alternatives() {
        let any_of = [any_of];
        assert_eq!(selected(&r, &any_of).unwrap(), passing(&b, &any_of), "{any_of:?}");
    }
    let keys = block_on(r.scoped_keys(TimeRange::ALL)).unwrap();
    assert!(keys.contains(&(contract::SpanScope::Event, "x".to_owned())));
    assert_eq!(spans_of(&by_trace_ids(&open(&bytes).unwrap(), &[id(1)], TimeRange::ALL).unwrap()), 2);
}

#[test]
fn a_damaged_file_is_corrupt_and_never_a_panic() {
    survives_damage(&write(&sample_batch(), &WriteOptions::default()).unwrap().bytes, |bytes| {
        let r = open(bytes)?;
        let found = by_trace_ids(&r, &[id(0), id(2), id(9)], TimeRange::ALL)?;
        let listed = (block_on(r.services(TimeRange::ALL))?, block_on(r.attribute_keys(TimeRange::ALL))?);
        let scanned = flat(&collect(super::merge::scan(&r)?)?);
        let alternatives: Vec<usize> = alternatives()
            .into_iter()
            .map(|any_of| Ok(selected(&r, &[any_of])?.len()))
            .collect::<Result<_>>()?;
        let keys = block_on(r.scoped_keys(TimeRange::ALL))?;
        Ok((scanned, flat(&found), listed, alternatives, keys))
    });
}

#[test]
fn a_trace_is_found_by_its_id_in_a_few_pages() {
    let b = traffic(30_000, 3);
    let w = write(&b, &WriteOptions::default()).unwrap();
    let (store, path) = stored(&w.bytes);
    let r = block_on(Reader::open(store.clone(), path, w.bytes.len() as u64)).unwrap();
    by_trace_ids(&r, &[id(5)], TimeRange::ALL).unwrap();
    store.take_reads();
    let found = by_trace_ids(&r, &[id(29_123)], TimeRange::ALL).unwrap();
    let read = store.take_bytes();
    println!("file {} B, one trace of 30000 read {read} B", w.bytes.len());
    assert_eq!(spans_of(&found), 3);
    assert!(found.iter().flat_map(|b| &b.spans).all(|s| s.trace_id == id(29_123)));
    assert!(read < w.bytes.len() as u64 / 10, "{read} of {}", w.bytes.len());
    assert!(by_trace_ids(&r, &[id(40_000)], TimeRange::ALL).unwrap().is_empty());
    let reads = store.take_reads();
    assert_eq!(reads.len(), 1, "a miss reads one directory page: {reads:?}");
    assert!(reads[0].end - reads[0].start <= 256 * 24);
    let both = by_trace_ids(&r, &[id(7), id(7), id(8)], TimeRange::ALL).unwrap();
    assert_eq!(spans_of(&both), 6, "an id asked for twice is found once");
    let early = TimeRange::from_ms_inclusive(0, 5);
    assert!(by_trace_ids(&r, &[id(7)], early).unwrap().is_empty());
}

#[test]
fn a_selection_gives_the_newest_traces_first_and_reads_lazily() {
    let b = traffic(40_000, 3);
    let w = write(&b, &WriteOptions::default()).unwrap();
    let (store, path) = stored(&w.bytes);
    let r = block_on(Reader::open(store.clone(), path, w.bytes.len() as u64)).unwrap();
    store.take_reads();
    let first = drain_count(r.select(Selection::new(TimeRange::ALL)), 1);
    assert!(first[0].spans.iter().any(|s| s.trace_id == id(39_999)));
    assert!(store.take_bytes() < w.bytes.len() as u64 / 3);
    let pieces = collect(r.select(Selection::new(TimeRange::ALL))).unwrap();
    let newest: Vec<i64> = pieces.iter().map(|p| p.spans.iter().map(|s| s.start_ns).max().unwrap()).collect();
    assert!(newest.is_sorted_by(|a, b| a >= b), "{newest:?}");
    assert_eq!(pieces.iter().map(|p| p.spans.len()).sum::<usize>(), 120_000);
}

#[test]
fn conditions_select_as_a_loop_over_all_spans_does() {
    let b = traffic(500, 3);
    let r = open(&write(&b, &WriteOptions::default()).unwrap().bytes).unwrap();
    let all = Selection::new(TimeRange::ALL);
    let range = TimeRange::new(TimestampNs(b.spans[100].start_ns), TimestampNs(b.spans[200].start_ns));
    let service = |s: &Span| b.origins[s.origin as usize].service_name();
    let check = |what: &str, selection: Selection, wanted: &dyn Fn(&Span) -> bool| {
        let wanted: Vec<String> = b.spans.iter().filter(|s| wanted(s)).map(|s| flat_one(&b, s)).collect();
        assert!(!wanted.is_empty(), "{what}");
        assert_eq!(sorted(flat(&collect(r.select(selection)).unwrap())), sorted(wanted), "{what}");
    };
    check("range", Selection::new(range), &|s| range.contains(TimestampNs(s.start_ns)));
    check("service", Selection { service: Some("cart".into()), ..all.clone() }, &|s| service(s) == "cart");
    check("name", Selection { name: Some("select".into()), ..all.clone() }, &|s| s.name == "select");
    check("kind", Selection { kind: Some(SpanKind::Client), ..all.clone() }, &|s| s.kind == SpanKind::Client);
    check("error", Selection { error: Some(true), ..all.clone() }, &|s| s.status.code == StatusCode::Error);
    check("fine", Selection { error: Some(false), ..all.clone() }, &|s| s.status.code != StatusCode::Error);
    let duration = Selection { min_duration_ns: Some(5000), max_duration_ns: Some(90_000), ..all.clone() };
    check("duration", duration, &|s| (5000..=90_000).contains(&s.duration_ns()));
    let status = |s: &Span| s.attributes.get("http.status_code") == Some(&AnyValue::Int(202));
    let attributes =
        vec![("http.status_code".to_owned(), "202".into()), ("service.name".to_owned(), "db".into())];
    let both = Selection { attributes, kind: Some(SpanKind::Internal), ..all.clone() };
    check("attributes", both, &|s| status(s) && service(s) == "db");
    let nobody = Selection { service: Some("zzz".into()), ..all };
    assert!(collect(r.select(nobody)).unwrap().is_empty());
}

#[test]
fn services_operations_and_attributes_are_listed() {
    let r = open(&write(&traffic(30, 3), &WriteOptions::default()).unwrap().bytes).unwrap();
    assert_eq!(block_on(r.services(TimeRange::ALL)).unwrap(), ["api", "cart", "db"]);
    assert_eq!(block_on(r.operations(TimeRange::ALL, None, None)).unwrap(), ["GET /", "add", "select"]);
    assert_eq!(block_on(r.operations(TimeRange::ALL, Some("cart"), None)).unwrap(), ["add"]);
    assert_eq!(block_on(r.operations(TimeRange::ALL, None, Some(SpanKind::Server))).unwrap(), ["GET /"]);
    assert!(block_on(r.operations(TimeRange::ALL, Some("cart"), Some(SpanKind::Server))).unwrap().is_empty());
    assert_eq!(
        block_on(r.attribute_keys(TimeRange::ALL)).unwrap(),
        ["http.status_code", "service.name", "user"]
    );
    assert_eq!(
        block_on(r.attribute_values(TimeRange::ALL, "http.status_code", 9)).unwrap(),
        ["200", "201", "202", "203"]
    );
    assert_eq!(block_on(r.attribute_values(TimeRange::ALL, "service.name", 2)).unwrap(), ["api", "cart"]);
    assert_eq!(block_on(r.attribute_values(TimeRange::ALL, "user", 5)).unwrap().len(), 5);
    assert!(block_on(r.attribute_values(TimeRange::ALL, "nothing", 5)).unwrap().is_empty());
}

#[test]
fn a_span_of_no_origin_is_refused_and_an_empty_batch_is_not() {
    let mut b = traffic(1, 1);
    b.spans[0].origin = 9;
    assert_eq!(write(&b, &WriteOptions::default()).unwrap_err().kind(), base::Kind::Invalid);
    let w = write(&SpanBatch::default(), &WriteOptions::default()).unwrap();
    assert!(read_all(&w.bytes).unwrap().is_empty());
    assert!(by_trace_ids(&open(&w.bytes).unwrap(), &[id(1)], TimeRange::ALL).unwrap().is_empty());
}

#[test]
fn a_segment_of_another_signal_is_not_opened() {
    let w = crate::logs::write(&model::LogBatch::default(), &crate::logs::WriteOptions::default()).unwrap();
    let e = read_all(&w.bytes).unwrap_err();
    assert!(e.to_string().contains("traces, it holds logs"), "{e}");
}

fn any_event() -> impl Strategy<Value = SpanEvent> {
    (any::<i64>(), ".{0,3}", any_attributes(), any::<u32>()).prop_map(
        |(timestamp_ns, name, attributes, dropped)| SpanEvent {
            timestamp_ns,
            name,
            attributes,
            dropped_attributes: dropped,
        },
    )
}

fn any_link() -> impl Strategy<Value = SpanLink> {
    (any::<[u8; 16]>(), any::<[u8; 8]>(), ".{0,3}", any_attributes(), any::<u32>(), any::<u32>()).prop_map(
        |(trace_id, span_id, trace_state, attributes, dropped_attributes, flags)| SpanLink {
            trace_id,
            span_id,
            trace_state,
            attributes,
            dropped_attributes,
            flags,
        },
    )
}

fn any_span() -> impl Strategy<Value = Span> {
    let few = || prop_oneof![Just([0u8; 16]), Just([1u8; 16]), any::<[u8; 16]>()];
    (
        (few(), any::<[u8; 8]>(), prop_oneof![Just([0u8; 8]), any::<[u8; 8]>()], ".{0,3}", any::<u32>()),
        (".{0,3}", 0i32..6, any::<i64>(), any::<i64>(), any_attributes()),
        (prop::collection::vec(any_event(), 0..3), prop::collection::vec(any_link(), 0..3)),
        (any::<u32>(), any::<u32>(), any::<u32>(), 0usize..3, ".{0,3}"),
    )
        .prop_map(|(ids, own, (events, links), (da, de, dl, code, message))| Span {
            origin: 0,
            trace_id: ids.0,
            span_id: ids.1,
            parent_span_id: ids.2,
            trace_state: ids.3,
            flags: ids.4,
            name: own.0,
            kind: SpanKind::from_number(own.1),
            start_ns: own.2,
            end_ns: own.3,
            attributes: own.4,
            dropped_attributes: da,
            events,
            dropped_events: de,
            links,
            dropped_links: dl,
            status: SpanStatus {
                code: [StatusCode::Unset, StatusCode::Ok, StatusCode::Error][code],
                message,
            },
        })
}

fn any_batch() -> impl Strategy<Value = SpanBatch> {
    let origin =
        (any_attributes(), any_attributes(), any::<u32>(), ".{0,3}").prop_map(|(r, s, dropped, text)| {
            SpanOrigin {
                resource: Resource { attributes: r, dropped_attributes: dropped, schema_url: text.clone() },
                scope: Scope { name: text, version: String::new(), attributes: s, dropped_attributes: 0 },
            }
        });
    (
        prop::collection::vec(origin, 1..4),
        prop::collection::vec((any_span(), any::<prop::sample::Index>()), 0..20),
    )
        .prop_map(|(origins, spans)| SpanBatch {
            spans: spans
                .into_iter()
                .map(|(mut s, i)| {
                    s.origin = i.index(origins.len()) as u32;
                    s
                })
                .collect(),
            origins,
        })
}

#[test]
fn a_part_of_the_range_is_listed_as_a_loop_over_its_spans_does() {
    let b = traffic(500, 3);
    let r = open(&write(&b, &WriteOptions::default()).unwrap().bytes).unwrap();
    let at = |i: usize| TimestampNs(b.spans[i].start_ns);
    for (from, to) in [(0, 3), (100, 101), (7, 250), (499, 499), (250, 499)] {
        let range = TimeRange::new(at(from), at(to));
        let inside: Vec<(&Span, &Attributes, &str)> = b
            .spans
            .iter()
            .filter(|s| range.contains(TimestampNs(s.start_ns)))
            .map(|s| (s, &b.origins[s.origin as usize]))
            .map(|(s, o)| (s, &o.resource.attributes, o.service_name()))
            .collect();
        let distinct =
            |v: Vec<String>| v.into_iter().collect::<BTreeSet<_>>().into_iter().collect::<Vec<_>>();
        let services = distinct(inside.iter().map(|(_, _, service)| service.to_string()).collect());
        assert_eq!(block_on(r.services(range)).unwrap(), services);
        let of_db = inside.iter().filter(|(s, _, service)| *service == "db" && s.kind == SpanKind::Client);
        let names = distinct(of_db.map(|(s, ..)| s.name.clone()).collect());
        assert_eq!(block_on(r.operations(range, Some("db"), Some(SpanKind::Client))).unwrap(), names);
        let keys = inside.iter().flat_map(|(s, o, _)| s.attributes.iter().chain(o.iter()));
        let keys = distinct(keys.map(|(k, _)| k.to_owned()).collect());
        assert_eq!(block_on(r.attribute_keys(range)).unwrap(), keys);
        for key in ["user", "http.status_code", "service.name"] {
            let values = inside.iter().filter_map(|(s, o, _)| s.attributes.get(key).or_else(|| o.get(key)));
            let values = distinct(values.map(ToString::to_string).collect());
            assert_eq!(block_on(r.attribute_values(range, key, usize::MAX)).unwrap(), values, "{key}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn every_batch_comes_back_whole_and_by_trace(b in any_batch()) {
        let w = write(&b, &WriteOptions::default()).unwrap();
        prop_assert_eq!(sorted(read_all(&w.bytes).unwrap()), sorted(flat(std::slice::from_ref(&b))));
        prop_assert_eq!(plain_rows(&w.bytes), b.spans.len());
        let r = open(&w.bytes).unwrap();
        let mut by_trace: HashMap<[u8; 16], Vec<String>> = HashMap::new();
        for s in &b.spans {
            by_trace.entry(s.trace_id).or_default().push(flat_one(&b, s));
        }
        // Spans that start at the last representable time lie outside every half-open range.
        for (id, wanted) in by_trace {
            let found = by_trace_ids(&r, &[id], TimeRange::ALL).unwrap();
            prop_assert_eq!(sorted(flat(&found)), sorted(wanted));
        }
        let services: BTreeSet<&str> =
            b.spans.iter().map(|s| b.origins[s.origin as usize].service_name()).collect();
        prop_assert_eq!(block_on(r.services(TimeRange::ALL)).unwrap(), services.into_iter().collect::<Vec<_>>());
    }
}

#[test]
fn conditions_on_every_field_select_as_a_loop_does() {
    let mut b = traffic(700, 3);
    let sample = sample_batch();
    let first = b.origins.len() as u32;
    b.origins.extend(sample.origins);
    b.spans.extend(sample.spans.into_iter().map(|s| Span { origin: s.origin + first, ..s }));
    let r = open(&write(&b, &WriteOptions::default()).unwrap().bytes).unwrap();
    let mut found = 0;
    for any_of in alternatives() {
        let any_of = [any_of];
        let want = passing(&b, &any_of);
        found += usize::from(!want.is_empty() && want.len() < b.spans.len());
        assert_eq!(selected(&r, &any_of).unwrap(), want, "{any_of:?}");
    }
    assert!(found > 100, "{found} conditions tell spans apart");
}

#[test]
fn a_rare_value_is_found_in_a_few_pages() {
    let b = traffic(40_000, 3);
    let w = write(&b, &WriteOptions::default()).unwrap();
    let (store, path) = stored(&w.bytes);
    let r = block_on(Reader::open(store.clone(), path, w.bytes.len() as u64)).unwrap();
    let user = b.spans[29_123].attributes.get_str("user").unwrap().to_owned();
    let condition = |value: &str| {
        let field = contract::SpanField::Attribute(contract::SpanScope::Any, "user".into());
        let value = contract::SpanValue::Text(value.to_owned());
        vec![SpanCondition::new(field, contract::SpanTest::Is(contract::Comparison::Equal, value))]
    };
    selected(&r, &[condition("nobody")]).unwrap();
    store.take_reads();
    assert_eq!(selected(&r, &[condition(&user)]).unwrap().len(), 3);
    let read = store.take_bytes();
    println!("file {} B, one value of 40000 read {read} B", w.bytes.len());
    assert!(read < w.bytes.len() as u64 / 10, "{read} of {}", w.bytes.len());
}

#[test]
fn only_wanted_parts_come() {
    let b = sample_batch();
    let r = open(&write(&b, &WriteOptions::default()).unwrap().bytes).unwrap();
    let wanted = SpanParts { attributes: Some(["user".to_owned()].into()), events: false, links: true };
    let mut want = b.clone();
    want.spans.iter_mut().for_each(|s| wanted.trim(s));
    let selection = Selection { wanted, ..Selection::new(TimeRange::ALL) };
    assert_eq!(sorted(flat(&collect(r.select(selection)).unwrap())), sorted(flat(&[want])));
}
