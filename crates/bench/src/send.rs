//! Sends a payload and says what became of it.

use std::time::Duration;

use base::Clock;
use net::{Client, Request};
use prost::Message;
use proto::otlp::collector::{
    logs::{ExportLogsServiceResponse, logs_service_client::LogsServiceClient},
    metrics::{ExportMetricsServiceResponse, metrics_service_client::MetricsServiceClient},
    trace::{ExportTraceServiceResponse, trace_service_client::TraceServiceClient},
};
use tonic::{
    Code, Status,
    metadata::{AsciiMetadataKey, AsciiMetadataValue},
    transport::{Channel, Endpoint},
};

use crate::{Error, Protocol, Result, Signal, WriteOptions, payload::Payload};

/// What an attempt led to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Acknowledged, of which the receiver refused some items.
    Acknowledged { refused: u64 },
    /// Answered with an error that will be the same next time.
    Refused(String),
    /// Not answered, or answered with "later".
    Later(String),
}

#[derive(Clone)]
pub(crate) struct Sender {
    way: Way,
    protocol: Protocol,
    signal: Signal,
    headers: Headers,
    timeout: Duration,
}

#[derive(Clone)]
enum Way {
    Http { client: Client, url: String },
    Grpc(Channel),
}

impl Sender {
    pub(crate) fn new(o: &WriteOptions) -> Result<Self> {
        let way = match o.protocol {
            Protocol::OtlpGrpc => Way::Grpc(channel(o)?),
            _ => Way::Http { client: Client::new()?, url: url(o)? },
        };
        let headers = Headers::new(o.tenant.as_deref(), &o.headers)?;
        Ok(Sender { way, protocol: o.protocol, signal: o.signal, headers, timeout: o.timeout })
    }

    pub(crate) async fn send(&self, payload: &Payload) -> Outcome {
        match (&self.way, payload) {
            (Way::Http { client, url }, Payload::Http(body)) => self.http(client, url, body.clone()).await,
            (Way::Grpc(channel), payload) => self.grpc(channel.clone(), payload.clone()).await,
            _ => Outcome::Refused("payload and protocol do not fit".to_owned()),
        }
    }

    async fn http(&self, client: &Client, url: &str, body: bytes::Bytes) -> Outcome {
        let mut request = Request { timeout: self.timeout, ..Request::post(url, body) }
            .header("content-type", "application/x-protobuf");
        match self.protocol {
            Protocol::RemoteWrite => {
                request = request
                    .header("content-encoding", "snappy")
                    .header("x-prometheus-remote-write-version", "0.1.0");
            }
            Protocol::Loki => request = request.header("content-encoding", "snappy"),
            Protocol::OtlpHttp | Protocol::OtlpGrpc => {}
        }
        match client.send(self.headers.add(request)).await {
            Err(e) => Outcome::Later(transport(&e)),
            Ok(a) if a.status.is_success() => Outcome::Acknowledged { refused: self.refused(&a.body) },
            Ok(a) => {
                let what = format!("{} {}", a.status.as_u16(), clip(&a.excerpt()));
                match a.status.as_u16() {
                    408 | 425 | 429 | 500..=599 => Outcome::Later(what),
                    _ => Outcome::Refused(what),
                }
            }
        }
    }

    /// Items refused according to an OTLP answer; other protocols have no partial success.
    fn refused(&self, body: &[u8]) -> u64 {
        if self.protocol != Protocol::OtlpHttp {
            return 0;
        }
        let n = match self.signal {
            Signal::Metrics => ExportMetricsServiceResponse::decode(body)
                .ok()
                .and_then(|r| r.partial_success)
                .map(|p| p.rejected_data_points),
            Signal::Logs => ExportLogsServiceResponse::decode(body)
                .ok()
                .and_then(|r| r.partial_success)
                .map(|p| p.rejected_log_records),
            Signal::Traces => ExportTraceServiceResponse::decode(body)
                .ok()
                .and_then(|r| r.partial_success)
                .map(|p| p.rejected_spans),
        };
        n.and_then(|n| u64::try_from(n).ok()).unwrap_or(0)
    }

    async fn grpc(&self, channel: Channel, payload: Payload) -> Outcome {
        let sent = match payload {
            Payload::Metrics(m) => MetricsServiceClient::new(channel)
                .export(self.request(m))
                .await
                .map(|r| r.into_inner().partial_success.map_or(0, |p| p.rejected_data_points)),
            Payload::Logs(m) => LogsServiceClient::new(channel)
                .export(self.request(m))
                .await
                .map(|r| r.into_inner().partial_success.map_or(0, |p| p.rejected_log_records)),
            Payload::Traces(m) => TraceServiceClient::new(channel)
                .export(self.request(m))
                .await
                .map(|r| r.into_inner().partial_success.map_or(0, |p| p.rejected_spans)),
            Payload::Http(_) => return Outcome::Refused("payload and protocol do not fit".to_owned()),
        };
        match sent {
            Ok(refused) => Outcome::Acknowledged { refused: u64::try_from(refused).unwrap_or(0) },
            Err(status) => from_status(&status),
        }
    }

    fn request<M>(&self, message: M) -> tonic::Request<M> {
        let mut request = tonic::Request::new(message);
        request.set_timeout(self.timeout);
        for (name, value) in &self.headers.0 {
            let name = AsciiMetadataKey::from_static(name);
            if let Ok(value) = AsciiMetadataValue::try_from(value) {
                request.metadata_mut().insert(name, value);
            }
        }
        request
    }
}

/// Sends until there is an answer: a receiver may say that it has enough for now.
pub(crate) async fn send_until_answered(sender: &Sender, payload: &Payload, clock: &Clock) -> Outcome {
    const TRIES: u32 = 120;
    for _ in 0..TRIES {
        match sender.send(payload).await {
            Outcome::Later(_) => clock.sleep(Duration::from_millis(500)).await,
            other => return other,
        }
    }
    Outcome::Later("no success within a minute".to_owned())
}

/// What goes with every request: the tenant and what the command line adds.
#[derive(Debug, Clone)]
pub(crate) struct Headers(Vec<(&'static str, String)>);

impl Headers {
    pub(crate) fn new(tenant: Option<&str>, more: &[(String, String)]) -> Result<Self> {
        let mut out: Vec<(&'static str, String)> =
            tenant.map(|t| ("x-scope-orgid", t.to_owned())).into_iter().collect();
        for (name, value) in more {
            let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-_.".contains(&b);
            if name.is_empty() || !name.bytes().all(plain) {
                let wanted = "a name of lower case letters, digits, '-', '_' and '.'";
                return Err(Error::Option { option: "headers", value: name.clone(), wanted });
            }
            // A handful of names from one command line, kept as long as the process anyway.
            out.push((name.clone().leak(), value.clone()));
        }
        Ok(Headers(out))
    }

    pub(crate) fn add(&self, request: Request) -> Request {
        self.0.iter().fold(request, |r, (name, value)| r.header(name, value.clone()))
    }
}

/// The kind of failure without the address, so that equal ones count together.
fn transport(e: &net::Error) -> String {
    match e {
        net::Error::Timeout { .. } => "no answer within the time-out".to_owned(),
        net::Error::Unreachable { reason, .. } => format!("no connection: {}", clip(reason)),
        other => clip(&other.to_string()),
    }
}

fn from_status(s: &Status) -> Outcome {
    let what = format!("grpc {:?} {}", s.code(), clip(s.message()));
    match s.code() {
        // A broken connection comes as Unknown or Internal, too.
        Code::Unavailable
        | Code::ResourceExhausted
        | Code::DeadlineExceeded
        | Code::Cancelled
        | Code::Aborted
        | Code::Unknown
        | Code::Internal => Outcome::Later(what),
        _ => Outcome::Refused(what),
    }
}

/// Short, and without numbers that make each message its own: errors are counted by their text.
fn clip(s: &str) -> String {
    let line = s.lines().next().unwrap_or_default();
    let plain: String = line.chars().map(|c| if c.is_ascii_digit() { '#' } else { c }).take(100).collect();
    let mut out = String::with_capacity(plain.len());
    for c in plain.chars() {
        if !(c == '#' && out.ends_with('#')) {
            out.push(c);
        }
    }
    out
}

/// The target with the protocol's usual path where it has none of its own.
fn url(o: &WriteOptions) -> Result<String> {
    let mut url = parse(&o.target)?;
    if matches!(url.path(), "" | "/") {
        url.set_path(match (o.protocol, o.signal) {
            (Protocol::RemoteWrite, _) => "/api/v1/write",
            (Protocol::Loki, _) => "/loki/api/v1/push",
            (_, Signal::Metrics) => "/v1/metrics",
            (_, Signal::Logs) => "/v1/logs",
            (_, Signal::Traces) => "/v1/traces",
        });
    }
    Ok(url.into())
}

/// A target as a URL; `host:port` alone is taken as http.
pub(crate) fn parse(target: &str) -> Result<url::Url> {
    let whole = if target.contains("://") { target.to_owned() } else { format!("http://{target}") };
    let url = url::Url::parse(&whole)
        .map_err(|e| Error::Target { url: target.to_owned(), reason: e.to_string() })?;
    if url.host().is_none() || !matches!(url.scheme(), "http" | "https") {
        let reason = "it needs a host and http or https".to_owned();
        return Err(Error::Target { url: target.to_owned(), reason });
    }
    Ok(url)
}

fn channel(o: &WriteOptions) -> Result<Channel> {
    let url = parse(&o.target)?;
    let fail = |reason: String| Error::Target { url: o.target.clone(), reason };
    if url.scheme() != "http" {
        return Err(fail("the gRPC sender speaks http without TLS only".to_owned()));
    }
    let endpoint = Endpoint::from_shared(String::from(url)).map_err(|e| fail(e.to_string()))?;
    Ok(endpoint.connect_timeout(Duration::from_secs(10)).timeout(o.timeout).connect_lazy())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_gets_the_protocols_path_unless_it_has_one() {
        let at = |target: &str, protocol, signal| {
            url(&WriteOptions { target: target.to_owned(), protocol, signal, ..WriteOptions::default() })
        };
        let write = (Protocol::RemoteWrite, Signal::Metrics);
        assert_eq!(at("h:1", write.0, write.1).unwrap(), "http://h:1/api/v1/write");
        assert_eq!(at("http://h:1/x/push", write.0, write.1).unwrap(), "http://h:1/x/push");
        assert_eq!(at("https://h", Protocol::OtlpHttp, Signal::Logs).unwrap(), "https://h/v1/logs");
        assert!(at("ftp://h", write.0, write.1).is_err());
        assert!(at("http://", write.0, write.1).is_err());
    }

    #[test]
    fn errors_that_differ_in_numbers_count_together() {
        assert_eq!(clip("limit of 512 bytes\nmore"), "limit of # bytes");
    }
}
