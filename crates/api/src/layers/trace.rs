//! The span of a request, with the fields of OpenTelemetry's HTTP semantic conventions (stable, 1.23).

use std::net::SocketAddr;

use axum::{
    extract::{ConnectInfo, Request},
    response::Response,
};
use http::{HeaderMap, Version, header};
use opentelemetry::trace::{SpanContext, SpanId, TraceContextExt, TraceFlags, TraceId, TraceState};
use tracing::{Span, field::Empty};
use tracing_opentelemetry::OpenTelemetrySpanExt;

/// A node that sends its own telemetry to itself over the wire sets this header, so that sending spans does
/// not make spans.
pub const SELF_HEADER: &str = "x-orrery-self";

/// The span of a request, or none for probes, assets and our own telemetry.
pub fn span(request: &Request, method: &'static str, route: &str) -> Span {
    let quiet = matches!(route, "/-/healthy" | "/-/ready" | "/ready" | "/metrics" | "/" | "unknown")
        || route.starts_with("/ui")
        || request.headers().contains_key(SELF_HEADER);
    if quiet {
        return Span::none();
    }
    let headers = request.headers();
    let host = headers.get(header::HOST).and_then(|v| v.to_str().ok());
    let host = host.or_else(|| request.uri().authority().map(|a| a.as_str())).unwrap_or_default();
    let (address, port) = split_host(host);
    let peer = request.extensions().get::<ConnectInfo<SocketAddr>>().map(|c| c.0);
    let agent = headers.get(header::USER_AGENT).and_then(|v| v.to_str().ok()).unwrap_or_default();
    let span = tracing::info_span!(
        "request",
        otel.name = format!("{method} {route}"),
        otel.kind = "server",
        otel.status_code = Empty,
        http.request.method = method,
        http.route = route,
        http.response.status_code = Empty,
        url.path = request.uri().path(),
        url.scheme = "http",
        server.address = address,
        server.port = port,
        client.address = peer.map(|p| p.ip().to_string()),
        network.protocol.version = protocol_version(request.version()),
        user_agent.original = agent,
        error.r#type = Empty,
    );
    if let Some(parent) = remote_parent(headers) {
        let context = opentelemetry::Context::new().with_remote_span_context(parent);
        // Fails only where no tracer is installed, and then nobody looks for a parent.
        let _ = span.set_parent(context);
    }
    span
}

/// Records what the answer was. As the conventions say, a server span is an error from 500 on.
pub fn finish(span: &Span, response: &Response) {
    let code = response.status();
    span.record("http.response.status_code", code.as_u16());
    if code.is_server_error() {
        span.record("otel.status_code", "ERROR");
        span.record("error.type", code.as_str());
    }
}

fn split_host(host: &str) -> (&str, Option<u16>) {
    match host.rsplit_once(':') {
        Some((name, port)) if !port.ends_with(']') => (name, port.parse().ok()),
        _ => (host, None),
    }
}

fn protocol_version(v: Version) -> &'static str {
    match v {
        Version::HTTP_2 => "2",
        Version::HTTP_10 => "1.0",
        _ => "1.1",
    }
}

/// Reads `traceparent` (W3C Trace Context, level 1): `00-<32 hex>-<16 hex>-<2 hex>`; later versions may
/// append fields.
fn remote_parent(headers: &HeaderMap) -> Option<SpanContext> {
    let text = headers.get("traceparent")?.to_str().ok()?;
    let mut parts = text.trim().split('-');
    let (version, trace, span, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let hex = |s: &str, n: usize| s.len() == n && s.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    let shape = hex(version, 2) && hex(trace, 32) && hex(span, 16) && hex(flags, 2);
    if !shape || version == "ff" || (version == "00" && parts.next().is_some()) {
        return None;
    }
    let flags = TraceFlags::new(u8::from_str_radix(flags, 16).ok()? & 1);
    let trace = TraceId::from(u128::from_str_radix(trace, 16).ok()?);
    let span = SpanId::from(u64::from_str_radix(span, 16).ok()?);
    let context = SpanContext::new(trace, span, flags, true, TraceState::default());
    context.is_valid().then_some(context)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parent(value: &str) -> Option<SpanContext> {
        let mut h = HeaderMap::new();
        h.insert("traceparent", value.parse().unwrap());
        remote_parent(&h)
    }

    #[test]
    fn a_traceparent_is_followed_and_a_malformed_one_ignored() {
        let c = parent("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01").unwrap();
        assert_eq!(c.trace_id().to_string(), "4bf92f3577b34da6a3ce929d0e0e4736");
        assert_eq!(c.span_id().to_string(), "00f067aa0ba902b7");
        assert!(c.is_sampled() && c.is_remote());
        for bad in [
            "",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-extra",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
        ] {
            assert!(parent(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn hosts_are_split_from_their_ports() {
        assert_eq!(split_host("node:9494"), ("node", Some(9494)));
        assert_eq!(split_host("[::1]:9494"), ("[::1]", Some(9494)));
        assert_eq!(split_host("[::1]"), ("[::1]", None));
        assert_eq!(split_host("node"), ("node", None));
    }
}
