//! What scripts in `tests/scripts/*.test` are written in. It knows no engine, so that others can put the same spans and
//! questions to a node, or to several between which the spans are dealt.
//!
//! ```text
//! load 1                                     spans of trace 1; ids are hexadecimal, times count from 1970
//!   a - 1s 100ms service=api name="GET /"    id, parent or -, start, duration, then what is said of it
//!   b a 1s 50ms kind=client status=error
//!       statusMessage="no"                   name of an intrinsic
//!       span.x=1 resource.y=["p", "q"]       attribute by scope: strings, numbers, true, false, durations in ns, lists
//!       event(10ms name event.e=1)           after the start of the span, name, attributes
//!       link(2 c link.l=1)                   trace, span, attributes
//!       scope=lib@1.0 instrumentation.z=2
//! eval search 0s 10s [limit 5] {}            traces found: id, attributes of the spanset, ids of its spans
//!   1: a b
//!   1 by(name)=GET: a
//! eval spans 0s 10s { .x = 1 } | select(.y)  the same, with what is told of each span
//!   1: b(x=1 y=["p","q"])
//! eval traces 0s 10s {}                      what is told of each trace
//!   1 api "GET /" 1s 100ms api:2/1           root service and name, start, duration, service:spans/errors
//! eval range 0s 60s 30s {} | rate()          series: labels, a sample per step or _ for none
//!   {__name__=rate} 0 1 _
//! eval instant 0s 60s {} | rate() by(name)   series: labels, the sample
//!   {name=GET} 0.5
//!   error: some words of the message         for any eval
//! clear                                      forgets what was loaded
//! ```
//! A span's line may go on in lines that are indented further.

use model::{
    AnyValue, Attributes, Span, SpanBatch, SpanEvent, SpanKind, SpanLink, StatusCode, span::SpanOrigin,
};

/// One question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ask {
    pub what: What,
    pub start_ns: i64,
    pub end_ns: i64,
    pub query: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum What {
    Search { limit: usize },
    Spans { limit: usize },
    Traces { limit: usize },
    Range { step_ns: i64 },
    Instant,
}

#[derive(Debug)]
pub enum Line {
    Load(SpanBatch),
    Eval { number: usize, text: String, ask: Ask, want: Vec<String> },
    Clear,
}

/// Every line of a script.
pub fn read(script: &str) -> Vec<Line> {
    let lines: Vec<&str> = script.lines().collect();
    let (mut out, mut at) = (Vec::new(), 0);
    while let Some(head) = lines.get(at) {
        let number = at + 1;
        at += 1;
        let body: Vec<&str> = lines[at..].iter().take_while(|l| l.starts_with(' ')).copied().collect();
        at += body.len();
        if head.is_empty() || head.starts_with('#') {
            continue;
        }
        out.push(if *head == "clear" {
            Line::Clear
        } else if let Some(trace) = head.strip_prefix("load ") {
            Line::Load(load(trace, &body))
        } else if let Some(eval) = head.strip_prefix("eval ") {
            let want = body.iter().map(|l| l.trim().to_owned()).collect();
            Line::Eval { number, text: (*head).to_owned(), ask: ask(eval), want }
        } else {
            panic!("line {number}: what is {head:?}?")
        });
    }
    out
}

fn ask(text: &str) -> Ask {
    let mut rest = text;
    let mut word = || {
        let (word, after) = rest.split_once(' ').unwrap_or((rest, ""));
        rest = after;
        word
    };
    let kind = word();
    let (start_ns, end_ns) = (ns(word()), ns(word()));
    let step_ns = if kind == "range" { ns(word()) } else { 0 };
    let mut limit = 100;
    if let Some(after) = rest.strip_prefix("limit ") {
        let (n, query) = after.split_once(' ').unwrap();
        (limit, rest) = (n.parse().unwrap(), query);
    }
    let what = match kind {
        "search" => What::Search { limit },
        "spans" => What::Spans { limit },
        "traces" => What::Traces { limit },
        "range" => What::Range { step_ns },
        "instant" => What::Instant,
        other => panic!("what is eval {other:?}?"),
    };
    Ask { what, start_ns, end_ns, query: rest.to_owned() }
}

pub fn ns(text: &str) -> i64 {
    let (sign, bare) = text.strip_prefix('-').map_or((1, text), |bare| (-1, bare));
    sign * traceql::units::parse_duration(bare).unwrap_or_else(|| panic!("not a time: {text:?}"))
}

pub fn trace_id(text: &str) -> [u8; 16] {
    u128::from_str_radix(text, 16).unwrap_or_else(|_| panic!("not an id: {text:?}")).to_be_bytes()
}

pub fn span_id(text: &str) -> [u8; 8] {
    u64::from_str_radix(text, 16).unwrap_or_else(|_| panic!("not an id: {text:?}")).to_be_bytes()
}

fn load(trace: &str, body: &[&str]) -> SpanBatch {
    let mut spans: Vec<String> = Vec::new();
    for line in body {
        match spans.last_mut() {
            Some(last) if line.starts_with("    ") => {
                last.push(' ');
                last.push_str(line.trim());
            }
            _ => spans.push(line.trim().to_owned()),
        }
    }
    let mut batch = SpanBatch::default();
    for line in spans {
        let (span, origin) = span(trace, &line);
        batch.spans.push(Span { origin: batch.origins.len() as u32, ..span });
        batch.origins.push(origin);
    }
    batch
}

/// Words of a line: what stands in quotes, brackets or parentheses is part of its word.
fn words(line: &str) -> Vec<String> {
    let (mut out, mut word, mut depth, mut quoted) = (Vec::new(), String::new(), 0, false);
    for c in line.chars() {
        match c {
            '"' => quoted = !quoted,
            '(' | '[' if !quoted => depth += 1,
            ')' | ']' if !quoted => depth -= 1,
            ' ' if !quoted && depth == 0 => {
                out.extend((!word.is_empty()).then(|| std::mem::take(&mut word)));
                continue;
            }
            _ => {}
        }
        word.push(c);
    }
    out.extend((!word.is_empty()).then_some(word));
    out
}

fn span(trace: &str, line: &str) -> (Span, SpanOrigin) {
    let words = words(line);
    let [id, parent, start, duration, said @ ..] = words.as_slice() else { panic!("not a span: {line:?}") };
    let start_ns = ns(start);
    let mut span = Span {
        trace_id: trace_id(trace),
        span_id: span_id(id),
        parent_span_id: if parent == "-" { [0; 8] } else { span_id(parent) },
        start_ns,
        end_ns: start_ns + ns(duration),
        ..Span::default()
    };
    let mut origin = SpanOrigin::default();
    for word in said {
        if let Some(inner) = word.strip_prefix("event(").and_then(|w| w.strip_suffix(')')) {
            span.events.push(event(start_ns, inner));
        } else if let Some(inner) = word.strip_prefix("link(").and_then(|w| w.strip_suffix(')')) {
            span.links.push(link(inner));
        } else {
            let (key, value) = word.split_once('=').unwrap_or_else(|| panic!("what is {word:?}?"));
            say(&mut span, &mut origin, key, value);
        }
    }
    (span, origin)
}

fn say(span: &mut Span, origin: &mut SpanOrigin, key: &str, text: &str) {
    let bare = text.trim_matches('"').to_owned();
    match key {
        "service" => origin.resource.attributes.push("service.name", bare),
        "name" => span.name = bare,
        "statusMessage" => span.status.message = bare,
        "status" => {
            span.status.code = match text {
                "ok" => StatusCode::Ok,
                "error" => StatusCode::Error,
                _ => StatusCode::Unset,
            }
        }
        "kind" => {
            let all = (0..=5).map(SpanKind::from_number);
            span.kind = all.into_iter().find(|k| k.as_str() == text).unwrap();
        }
        "scope" => {
            let (name, version) = bare.split_once('@').unwrap_or((&bare, ""));
            (origin.scope.name, origin.scope.version) = (name.to_owned(), version.to_owned());
        }
        _ => {
            let (scope, name) = key.split_once('.').unwrap_or_else(|| panic!("what is {key:?}?"));
            let all = match scope {
                "span" => &mut span.attributes,
                "resource" => &mut origin.resource.attributes,
                "instrumentation" => &mut origin.scope.attributes,
                other => panic!("what scope is {other:?}?"),
            };
            all.push(name, value(text));
        }
    }
}

fn event(start_ns: i64, text: &str) -> SpanEvent {
    let words = words(text);
    let [after, name, said @ ..] = words.as_slice() else { panic!("not an event: {text:?}") };
    let attributes = attributes(said, "event.");
    let name = name.trim_matches('"').to_owned();
    SpanEvent { timestamp_ns: start_ns + ns(after), name, attributes, dropped_attributes: 0 }
}

fn link(text: &str) -> SpanLink {
    let words = words(text);
    let [trace, span, said @ ..] = words.as_slice() else { panic!("not a link: {text:?}") };
    let attributes = attributes(said, "link.");
    SpanLink { trace_id: trace_id(trace), span_id: span_id(span), attributes, ..SpanLink::default() }
}

fn attributes(said: &[String], prefix: &str) -> Attributes {
    let one = |word: &String| {
        let (key, text) = word.split_once('=').unwrap_or_else(|| panic!("what is {word:?}?"));
        let name = key.strip_prefix(prefix).unwrap_or_else(|| panic!("{key:?} is not of {prefix:?}"));
        (name.to_owned(), value(text))
    };
    said.iter().map(one).collect()
}

pub fn value(text: &str) -> AnyValue {
    if let Some(inner) = text.strip_prefix('[').and_then(|t| t.strip_suffix(']')) {
        let all = inner.split(',').map(str::trim).filter(|t| !t.is_empty());
        return AnyValue::Array(all.map(value).collect());
    }
    if let Some(inner) = text.strip_prefix('"').and_then(|t| t.strip_suffix('"')) {
        return AnyValue::from(inner);
    }
    match text {
        "true" => AnyValue::Bool(true),
        "false" => AnyValue::Bool(false),
        "empty" => AnyValue::Empty,
        "bytes" => AnyValue::Bytes(vec![1, 2]),
        _ => text
            .parse()
            .map(AnyValue::Int)
            .or_else(|_| text.parse().map(AnyValue::Double))
            .unwrap_or(text.into()),
    }
}
