//! Spans (OpenTelemetry `trace/v1` Span).

use crate::attributes::{Attributes, Resource, Scope};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum SpanKind {
    #[default]
    Unspecified,
    Internal,
    Server,
    Client,
    Producer,
    Consumer,
}

impl SpanKind {
    /// The OTLP enum number.
    pub fn number(self) -> i32 {
        self as i32
    }

    /// From the OTLP enum number; what is not known is unspecified.
    pub fn from_number(n: i32) -> Self {
        match n {
            1 => SpanKind::Internal,
            2 => SpanKind::Server,
            3 => SpanKind::Client,
            4 => SpanKind::Producer,
            5 => SpanKind::Consumer,
            _ => SpanKind::Unspecified,
        }
    }

    /// The value of Jaeger's `span.kind` tag.
    pub fn as_str(self) -> &'static str {
        match self {
            SpanKind::Unspecified => "unspecified",
            SpanKind::Internal => "internal",
            SpanKind::Server => "server",
            SpanKind::Client => "client",
            SpanKind::Producer => "producer",
            SpanKind::Consumer => "consumer",
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum StatusCode {
    #[default]
    Unset,
    Ok,
    Error,
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SpanStatus {
    pub code: StatusCode,
    pub message: String,
}

#[derive(Debug, Clone, PartialEq, Default)]
pub struct SpanEvent {
    pub timestamp_ns: i64,
    pub name: String,
    pub attributes: Attributes,
    pub dropped_attributes: u32,
}

#[derive(Debug, Clone, PartialEq, Default)]
pub struct SpanLink {
    pub trace_id: [u8; 16],
    pub span_id: [u8; 8],
    pub trace_state: String,
    pub attributes: Attributes,
    pub dropped_attributes: u32,
    pub flags: u32,
}

#[derive(Debug, Clone, PartialEq, Default)]
pub struct Span {
    /// Index into [`SpanBatch::origins`].
    pub origin: u32,
    pub trace_id: [u8; 16],
    pub span_id: [u8; 8],
    /// All zero for a root span.
    pub parent_span_id: [u8; 8],
    pub trace_state: String,
    pub flags: u32,
    pub name: String,
    pub kind: SpanKind,
    pub start_ns: i64,
    pub end_ns: i64,
    pub attributes: Attributes,
    pub dropped_attributes: u32,
    pub events: Vec<SpanEvent>,
    pub dropped_events: u32,
    pub links: Vec<SpanLink>,
    pub dropped_links: u32,
    pub status: SpanStatus,
}

/// Resource and scope that spans share.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct SpanOrigin {
    pub resource: Resource,
    pub scope: Scope,
}

impl SpanOrigin {
    /// `service.name`, or OpenTelemetry's word for a service that did not say.
    pub fn service_name(&self) -> &str {
        self.resource.attributes.get_str("service.name").unwrap_or("unknown_service")
    }
}

#[derive(Debug, Clone, PartialEq, Default)]
pub struct SpanBatch {
    pub origins: Vec<SpanOrigin>,
    pub spans: Vec<Span>,
}

impl Span {
    pub fn duration_ns(&self) -> i64 {
        self.end_ns.saturating_sub(self.start_ns).max(0)
    }

    /// Bytes held, for memory accounting.
    pub fn heap_bytes(&self) -> usize {
        std::mem::size_of::<Self>()
            + self.trace_state.len()
            + self.name.len()
            + self.attributes.heap_bytes()
            + self.status.message.len()
            + self
                .events
                .iter()
                .map(|e| std::mem::size_of::<SpanEvent>() + e.name.len() + e.attributes.heap_bytes())
                .sum::<usize>()
            + self
                .links
                .iter()
                .map(|l| std::mem::size_of::<SpanLink>() + l.trace_state.len() + l.attributes.heap_bytes())
                .sum::<usize>()
    }
}
