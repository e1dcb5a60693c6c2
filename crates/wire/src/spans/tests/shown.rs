//! A decoded request as lines of text:
//!
//! ```text
//! origin k="v" ... | scope "name" "version"
//!   trace/span parent name kind start+duration     and then whatever is not usual
//!     k="v"                                        attributes, events, links, one a line
//! refused n reason at first: why
//! ```

use std::fmt::Write as _;

use model::{AnyValue, Attributes, Span, SpanBatch, SpanStatus};

use crate::Decoded;

pub(crate) fn decoded(d: &Decoded<SpanBatch>) -> String {
    let mut out = String::new();
    for (i, origin) in d.batch.origins.iter().enumerate() {
        let scope = &origin.scope;
        let _ = write!(out, "origin{}", list(&origin.resource.attributes));
        if !scope.name.is_empty() || !scope.version.is_empty() {
            let _ = write!(out, " | scope {:?} {:?}", scope.name, scope.version);
        }
        out.push('\n');
        for s in d.batch.spans.iter().filter(|s| s.origin as usize == i) {
            span(&mut out, s);
        }
    }
    for r in d.refused.iter() {
        let _ = writeln!(out, "refused {} {:?} at {}: {}", r.count, r.reason, r.first, r.detail);
    }
    if !d.all_timed {
        out.push_str("not all timed\n");
    }
    match out.is_empty() {
        true => "nothing".to_owned(),
        false => out,
    }
}

fn span(out: &mut String, s: &Span) {
    let _ = write!(out, "  {}/{}", hex(&s.trace_id), hex(&s.span_id));
    if s.parent_span_id != [0; 8] {
        let _ = write!(out, " parent {}", hex(&s.parent_span_id));
    }
    let length = s.end_ns - s.start_ns;
    let _ = write!(out, " {:?} {} {}+{length}", s.name, s.kind.as_str(), s.start_ns);
    if s.flags != 0 {
        let _ = write!(out, " flags {}", s.flags);
    }
    if s.status != SpanStatus::default() {
        let _ = write!(out, " status {:?} {:?}", s.status.code, s.status.message);
    }
    if !s.trace_state.is_empty() {
        let _ = write!(out, " state {:?}", s.trace_state);
    }
    let dropped = [s.dropped_attributes, s.dropped_events, s.dropped_links];
    if dropped != [0; 3] {
        let _ = write!(out, " dropped {dropped:?}");
    }
    out.push('\n');
    for (k, v) in s.attributes.iter() {
        let _ = writeln!(out, "    {k}={}", value(v));
    }
    for e in &s.events {
        let _ = write!(out, "    event {} {:?}{}", e.timestamp_ns, e.name, list(&e.attributes));
        if e.dropped_attributes > 0 {
            let _ = write!(out, " dropped {}", e.dropped_attributes);
        }
        out.push('\n');
    }
    for l in &s.links {
        let _ = write!(out, "    link {}/{}{}", hex(&l.trace_id), hex(&l.span_id), list(&l.attributes));
        if !l.trace_state.is_empty() || l.dropped_attributes > 0 {
            let _ = write!(out, " state {:?} dropped {}", l.trace_state, l.dropped_attributes);
        }
        out.push('\n');
    }
}

fn list(attributes: &Attributes) -> String {
    attributes.iter().map(|(k, v)| format!(" {k}={}", value(v))).collect()
}

fn value(v: &AnyValue) -> String {
    match v {
        AnyValue::String(s) => format!("{s:?}"),
        AnyValue::Double(d) => format!("{d:?}"),
        AnyValue::Bytes(b) => format!("bytes {}", hex(b)),
        other => other.to_string(),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}
