//! The service graph, case by case: spans as they come, then every series of it that is not 0.
//!
//! ```text
//! # what the case shows
//! <kind> <service> <trace> <span> <parent> <duration> [error] [key=value ...] [link=<trace>/<span> ...]
//! @key=value                  an attribute of every resource from here on
//! wait <duration>             time passes, and what is due is collected
//! = <series> <value>          names without "traces_service_graph_"; of histograms count and sum only
//! ```

use super::*;

const CASES: &str = include_str!("graph.txt");

#[test]
fn spans_become_the_edges_that_the_cases_say() {
    let mut shown = 0;
    for case in CASES.split("\n# ").skip(1) {
        let (title, body) = case.split_once('\n').unwrap();
        let want: Vec<&str> = body.lines().filter_map(|l| l.strip_prefix("= ")).collect();
        let mut want: Vec<String> = want.into_iter().map(str::to_owned).collect();
        want.sort();
        assert_eq!(run(body), want, "{title}");
        shown += 1;
    }
    assert!(shown >= 18, "{shown} cases");
}

fn run(body: &str) -> Vec<String> {
    let options =
        Options { red: None, graph: Some(Graph { max_items: 4, ..Graph::default() }), ..Options::default() };
    let mut r = rig(options);
    let mut attributes: Vec<(String, String)> = Vec::new();
    for line in body.lines().filter(|l| !l.is_empty() && !l.starts_with("= ")) {
        if let Some(time) = line.strip_prefix("wait ") {
            r.wait(Duration::from_secs(time.trim_end_matches('s').parse().unwrap()));
            r.collect();
        } else if let Some(attribute) = line.strip_prefix('@') {
            let (k, v) = attribute.split_once('=').unwrap();
            attributes.retain(|(key, _)| key != k);
            attributes.push((k.to_owned(), v.to_owned()));
        } else {
            let (mut origin, span) = parsed(line, r.now_ms);
            for (k, v) in &attributes {
                origin.resource.attributes.push(k.as_str(), v.as_str());
            }
            r.send(&[(origin, span)], &[]);
        }
    }
    r.wait(Duration::from_secs(1));
    r.collect();
    let prefix = "traces_service_graph_";
    let mut out: Vec<String> = r
        .written
        .iter()
        .filter(|(name, _)| !name.contains("_bucket{"))
        .map(|(name, samples)| (name.strip_prefix(prefix).unwrap(), increase(samples)))
        .filter(|(_, v)| *v != 0.0)
        .map(|(name, v)| format!("{name} {v}"))
        .collect();
    out.sort();
    out
}

fn parsed(line: &str, now_ms: i64) -> (SpanOrigin, Span) {
    let words: Vec<&str> = line.split(' ').collect();
    let [kind, service, trace, span, parent, ms, rest @ ..] = words.as_slice() else { panic!("{line}") };
    let id = |text: &str| match text {
        "-" => [0; 8],
        t => [t.as_bytes()[0]; 8],
    };
    let kind = match *kind {
        "client" => SpanKind::Client,
        "server" => SpanKind::Server,
        "producer" => SpanKind::Producer,
        "consumer" => SpanKind::Consumer,
        "internal" => SpanKind::Internal,
        other => panic!("{other}"),
    };
    let ms: i64 = ms.trim_end_matches("ms").parse().unwrap();
    let mut out = Span {
        trace_id: [trace.as_bytes()[0]; 16],
        span_id: id(span),
        parent_span_id: id(parent),
        kind,
        start_ns: (now_ms - ms) * 1_000_000,
        end_ns: now_ms * 1_000_000,
        ..Span::default()
    };
    for word in rest {
        match word.split_once('=') {
            None => out.status.code = StatusCode::Error,
            Some(("link", to)) => {
                let (trace, span) = to.split_once('/').unwrap();
                let (trace_id, span_id) = ([trace.as_bytes()[0]; 16], id(span));
                out.links.push(model::SpanLink { trace_id, span_id, ..Default::default() });
            }
            Some((k, v)) => out.attributes.push(k, v),
        }
    }
    (of(service), out)
}

#[test]
fn halves_that_wait_survive_a_crash_with_the_log() {
    let options = Options { red: None, ..Options::default() };
    let mut r = rig(options.clone());
    let (client, server) = (parsed("client a 1 x - 10ms", START_MS), parsed("server b 1 y x 10ms", START_MS));
    r.send(std::slice::from_ref(&client), &[]);
    let log = [Logged::Spans(vec![client], r.now_ms), Logged::Collected(0, 1, START_MS + 5000)];
    r.wait(Duration::from_secs(5));
    r.collect();
    recovered(&mut r, &options, &log);
    assert_eq!(r.derived.waiting(), 1);
    r.send(&[server], &[]);
    r.wait(Duration::from_secs(1));
    r.collect();
    assert_eq!(r.increase("traces_service_graph_request_total{client=\"a\", server=\"b\"}"), 1.0);
}

#[test]
fn names_are_forgotten_once_nothing_refers_to_them() {
    let options = Options { red: None, stale_after: Duration::from_secs(30), ..Options::default() };
    let mut r = rig(options);
    for i in 0..500 {
        let line = format!("client a 1 x - 10ms db.name=db{i}");
        r.send(&[parsed(&line, r.now_ms)], &[]);
    }
    r.collect();
    assert_eq!(r.derived.names.read().nodes.len(), 501);
    for _ in 0..5 {
        r.wait(Duration::from_secs(15));
        r.collect();
    }
    assert_eq!(r.derived.series(), 0);
    r.send(&[parsed("client a 1 x - 10ms db.name=other", r.now_ms)], &[]);
    r.wait(Duration::from_secs(15));
    r.collect();
    assert!(r.derived.names.read().nodes.len() <= 501);
    assert_eq!(r.increase("traces_service_graph_request_total"), 501.0);
}

#[test]
fn more_edges_than_there_is_room_for_are_counted_together() {
    let mut r = rig(Options { red: None, max_series: 30, ..Options::default() });
    for i in 0..5 {
        r.send(&[parsed(&format!("client a 1 x - 10ms db.name=db{i}"), r.now_ms)], &[]);
    }
    r.wait(Duration::from_secs(15));
    r.collect();
    assert_eq!((r.tally.one_sided, r.tally.edges_overflow), (5, 4));
    assert_eq!(r.increase("traces_service_graph_request_total{metric_overflow=\"true\"}"), 4.0);
    assert_eq!(r.increase("traces_service_graph_request_total"), 5.0);
}

#[test]
fn many_servers_of_one_call_end_one_by_one() {
    let graph = Graph { max_items: 1000, ..Graph::default() };
    let mut r = rig(Options { red: None, graph: Some(graph), ..Options::default() });
    for i in 0..600 {
        r.wait(Duration::from_millis(10));
        let service = if i % 2 == 0 { "even" } else { "odd" };
        r.send(&[parsed(&format!("server {service} 1 y x 1ms"), r.now_ms)], &[]);
    }
    // Those of the first second are due, the others find their client.
    r.wait(Duration::from_secs(5));
    r.collect();
    let ended = r.tally.unpaired;
    assert!(ended > 0 && ended < 600, "{ended}");
    r.send(&[parsed("client a 1 x - 1ms", r.now_ms)], &[]);
    assert_eq!((r.derived.waiting(), r.tally.paired), (0, 600 - ended));
}

proptest! {
    /// In whatever order the spans of calls come, and however they are cut into units: a call of which both sides come is a
    /// request, one of which one side comes is unpaired.
    #[test]
    fn every_call_is_paired_or_unpaired(
        calls in proptest::collection::vec((any::<bool>(), any::<bool>(), any::<bool>()), 1..40),
        order in any::<u64>(),
        units in 1..6usize,
    ) {
        let graph = Graph { max_items: 1000, ..Graph::default() };
        let mut r = rig(Options { red: None, graph: Some(graph), ..Options::default() });
        let mut spans = Vec::new();
        let (mut paired, mut unpaired, mut failed) = (0, 0, 0);
        for (i, (client, server, error)) in calls.iter().enumerate() {
            let trace_id = [i as u8 + 1; 16];
            let end = if *error { " error" } else { "" };
            let half = |line: String| parsed(&line, START_MS);
            let mut add = |line: String| {
                let (origin, span) = half(line);
                spans.push((origin, Span { trace_id, ..span }));
            };
            if *client {
                add(format!("client a 1 x - 10ms{end}"));
            }
            if *server {
                add("server b 1 y x 10ms".to_owned());
            }
            paired += u64::from(*client && *server);
            failed += u64::from(*client && *server && *error);
            unpaired += u64::from(client != server);
        }
        let mut random = order;
        spans.sort_by_cached_key(|_| {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            random >> 32
        });
        for unit in spans.chunks(spans.len().div_ceil(units).max(1)) {
            r.send(unit, &[]);
        }
        prop_assert_eq!(r.derived.waiting() as u64, unpaired);
        r.wait(Duration::from_secs(11));
        r.collect();
        prop_assert_eq!((r.tally.paired, r.tally.unpaired, r.tally.dropped), (paired, unpaired, 0));
        prop_assert_eq!(r.increase("traces_service_graph_request_total"), paired as f64);
        prop_assert_eq!(r.increase("traces_service_graph_request_failed_total"), failed as f64);
        prop_assert_eq!(r.increase("traces_service_graph_unpaired_spans_total"), unpaired as f64);
    }
}
