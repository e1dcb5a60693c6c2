//! OTLP traces ⇄ [`SpanBatch`].

mod read;

use model::{
    Span, SpanBatch, SpanEvent, SpanKind, SpanLink, SpanStatus, StatusCode, attributes::Resource,
    span::SpanOrigin,
};
use prost::Message;
use proto::otlp::{
    collector::trace::ExportTraceServiceRequest,
    trace::{
        ResourceSpans, ScopeSpans, Span as PbSpan, Status,
        span::{Event, Link},
        status::StatusCode as PbCode,
    },
};

use super::{Options, attributes as attr, json, ns, unsigned};
use crate::{Decoded, Error, Limits, Reason, Refusals, spans, text::quoted};

const WHAT: &str = "OTLP traces request";

/// Reads `ExportTraceServiceRequest` in protobuf.
pub fn decode_protobuf(body: &[u8], options: &Options) -> Result<Decoded<SpanBatch>, Error> {
    read::request(body, options).map_err(|e| Error::protobuf(WHAT, e))
}

/// Reads `ExportTraceServiceRequest` in OTLP/JSON.
pub fn decode_json(body: &[u8], options: &Options) -> Result<Decoded<SpanBatch>, Error> {
    let message: ExportTraceServiceRequest = json::decode(body).map_err(|e| Error::json(WHAT, e))?;
    Ok(from_message(message, options))
}

/// Tempo's answer to a trace by its id (`tempopb.TraceByIDResponse`).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ById {
    /// Field 1, the trace: bytes for [`decode_protobuf`]. Empty where there is none.
    pub trace: Vec<u8>,
    /// Field 3: parts of the trace were left out, being too large or not to be had.
    pub partial: bool,
    /// Field 4: why that is so.
    pub message: String,
}

/// Reads `TraceByIDResponse`. Fields that say nothing of the trace are passed over.
pub fn by_id(body: &[u8]) -> Result<ById, Error> {
    let fault = |f| Error::protobuf("trace by id", f);
    let (mut out, mut r) = (ById::default(), crate::protobuf::Reader::new(body));
    while let Some((field, value)) = r.next().map_err(fault)? {
        match field {
            // A message that comes in parts is their concatenation.
            1 => out.trace.extend_from_slice(value.bytes().map_err(fault)?),
            3 => out.partial = value.varint().map_err(fault)? != 0,
            4 => out.message = value.str().map_err(fault)?.to_owned(),
            _ => {}
        }
    }
    Ok(out)
}

/// Converts a decoded request. A span without a valid trace id or span id is refused.
pub fn from_message(request: ExportTraceServiceRequest, options: &Options) -> Decoded<SpanBatch> {
    let mut d = Decoded { batch: SpanBatch::default(), refused: Refusals::default(), all_timed: true };
    let mut seen = 0u64;
    for group in request.resource_spans {
        let resource = attr::from_resource(group.resource, group.schema_url);
        let checked = options.limits.check_attributes("resource", &resource.attributes);
        for scoped in group.scope_spans {
            let count = scoped.spans.len() as u64;
            match &checked {
                Ok(()) => push_scope(&mut d, scoped, &resource, seen, &options.limits),
                Err(why) => d.refused.add_many(Reason::InvalidLabels, seen, count, || why.clone()),
            }
            seen += count;
        }
    }
    d
}

fn push_scope(
    d: &mut Decoded<SpanBatch>,
    scoped: ScopeSpans,
    resource: &Resource,
    first: u64,
    limits: &Limits,
) {
    let scope = attr::from_scope(scoped.scope);
    let mut resource = resource.clone();
    if resource.schema_url.is_empty() {
        // There is one place for the two, and spans inherit the resource's where their scope names none.
        resource.schema_url = scoped.schema_url;
    }
    if let Err(why) = limits.check_attributes("scope", &scope.attributes) {
        d.refused.add_many(Reason::InvalidLabels, first, scoped.spans.len() as u64, || why);
        return;
    }
    let origin = d.batch.origins.len() as u32;
    let before = d.batch.spans.len();
    for (i, span) in scoped.spans.into_iter().enumerate() {
        match span_from(span, origin, limits) {
            Ok(span) => d.batch.spans.push(span),
            Err((reason, why)) => d.refused.add(reason, first + i as u64, || why),
        }
    }
    if d.batch.spans.len() > before {
        d.batch.origins.push(SpanOrigin { resource, scope });
    }
}

/// Why a span is left out.
type Refused = (Reason, String);
/// Of a span, its trace and its parent.
type SpanIds = ([u8; 16], [u8; 8], [u8; 8]);

fn valid_ids(name: &str, trace_id: &[u8], span_id: &[u8], parent: &[u8]) -> Result<SpanIds, Refused> {
    let invalid = |what: &str, bytes: &[u8]| {
        let name = quoted(name);
        (Reason::InvalidItem, format!("span {name} has a {what} of {} bytes or all zero", bytes.len()))
    };
    let own = attr::id::<16>(trace_id).filter(|t| *t != [0; 16]);
    let own = own.ok_or_else(|| invalid("trace id", trace_id))?;
    let span = attr::id::<8>(span_id).filter(|t| *t != [0; 8]).ok_or_else(|| invalid("span id", span_id))?;
    let parent = attr::id::<8>(parent).ok_or_else(|| invalid("parent span id", parent))?;
    Ok((own, span, parent))
}

fn status_code(code: i32) -> StatusCode {
    match code {
        1 => StatusCode::Ok,
        2 => StatusCode::Error,
        _ => StatusCode::Unset,
    }
}

fn span_from(s: PbSpan, origin: u32, limits: &Limits) -> Result<Span, Refused> {
    let (trace_id, span_id, parent_span_id) = valid_ids(&s.name, &s.trace_id, &s.span_id, &s.parent_span_id)?;
    let status = s.status.unwrap_or_default();
    let span = Span {
        origin,
        trace_id,
        span_id,
        parent_span_id,
        trace_state: s.trace_state,
        flags: s.flags,
        name: s.name,
        kind: SpanKind::from_number(s.kind),
        start_ns: ns(s.start_time_unix_nano),
        end_ns: ns(s.end_time_unix_nano),
        attributes: attr::from_list(s.attributes),
        dropped_attributes: s.dropped_attributes_count,
        events: s.events.into_iter().map(event_from).collect(),
        dropped_events: s.dropped_events_count,
        links: s.links.into_iter().map(link_from).collect(),
        dropped_links: s.dropped_links_count,
        status: SpanStatus { code: status_code(status.code), message: status.message },
    };
    spans::check(&span, limits)?;
    Ok(span)
}

fn event_from(e: Event) -> SpanEvent {
    SpanEvent {
        timestamp_ns: ns(e.time_unix_nano),
        name: e.name,
        attributes: attr::from_list(e.attributes),
        dropped_attributes: e.dropped_attributes_count,
    }
}

fn link_from(l: Link) -> SpanLink {
    SpanLink {
        // A link that names no valid span stays visible as a link to nothing.
        trace_id: attr::id(&l.trace_id).unwrap_or_default(),
        span_id: attr::id(&l.span_id).unwrap_or_default(),
        trace_state: l.trace_state,
        attributes: attr::from_list(l.attributes),
        dropped_attributes: l.dropped_attributes_count,
        flags: l.flags,
    }
}

/// Writes a batch as a request: one resource and scope per origin.
pub fn encode(batch: &SpanBatch) -> ExportTraceServiceRequest {
    let mut groups: Vec<ResourceSpans> = batch
        .origins
        .iter()
        .map(|o| ResourceSpans {
            resource: Some(attr::to_resource(&o.resource)),
            scope_spans: vec![ScopeSpans {
                scope: Some(attr::to_scope(&o.scope)),
                spans: Vec::new(),
                schema_url: String::new(),
            }],
            schema_url: o.resource.schema_url.clone(),
        })
        .collect();
    for s in &batch.spans {
        if let Some(scope) = groups.get_mut(s.origin as usize).and_then(|g| g.scope_spans.first_mut()) {
            scope.spans.push(span_to(s));
        }
    }
    groups.retain(|g| g.scope_spans.iter().any(|s| !s.spans.is_empty()));
    ExportTraceServiceRequest { resource_spans: groups }
}

/// [`encode`] as OTLP/JSON: `{"resourceSpans":[...]}`.
pub fn encode_json(batch: &SpanBatch) -> Vec<u8> {
    json::write::request(&encode(batch))
}

/// [`encode`] as bytes.
pub fn encode_bytes(batch: &SpanBatch) -> Vec<u8> {
    encode(batch).encode_to_vec()
}

fn span_to(s: &Span) -> PbSpan {
    PbSpan {
        trace_id: s.trace_id.to_vec(),
        span_id: s.span_id.to_vec(),
        trace_state: s.trace_state.clone(),
        parent_span_id: attr::id_bytes(&s.parent_span_id),
        flags: s.flags,
        name: s.name.clone(),
        kind: s.kind.number(),
        start_time_unix_nano: unsigned(s.start_ns),
        end_time_unix_nano: unsigned(s.end_ns),
        attributes: attr::to_list(&s.attributes),
        dropped_attributes_count: s.dropped_attributes,
        events: s
            .events
            .iter()
            .map(|e| Event {
                time_unix_nano: unsigned(e.timestamp_ns),
                name: e.name.clone(),
                attributes: attr::to_list(&e.attributes),
                dropped_attributes_count: e.dropped_attributes,
            })
            .collect(),
        dropped_events_count: s.dropped_events,
        links: s
            .links
            .iter()
            .map(|l| Link {
                trace_id: attr::id_bytes(&l.trace_id),
                span_id: attr::id_bytes(&l.span_id),
                trace_state: l.trace_state.clone(),
                attributes: attr::to_list(&l.attributes),
                dropped_attributes_count: l.dropped_attributes,
                flags: l.flags,
            })
            .collect(),
        dropped_links_count: s.dropped_links,
        status: Some(Status {
            message: s.status.message.clone(),
            code: match s.status.code {
                StatusCode::Unset => PbCode::Unset,
                StatusCode::Ok => PbCode::Ok,
                StatusCode::Error => PbCode::Error,
            } as i32,
        }),
    }
}
