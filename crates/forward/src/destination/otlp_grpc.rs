//! OTLP over gRPC (opentelemetry.io/docs/specs/otlp, "OTLP/gRPC"), to receivers of others and to other nodes.

use std::{
    sync::atomic::{AtomicBool, Ordering::Relaxed},
    time::Duration,
};

use async_trait::async_trait;
use model::Signal;
use net::{Auth, Settings, settings::Proxy};
use parking_lot::Mutex;
use proto::otlp::collector::{
    logs::logs_service_client::LogsServiceClient, metrics::metrics_service_client::MetricsServiceClient,
    trace::trace_service_client::TraceServiceClient,
};
use tonic::{
    Code, Request, Status,
    codec::CompressionEncoding,
    metadata::{AsciiMetadataKey, AsciiMetadataValue, MetadataMap},
    transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity},
};

use super::{
    BATCH_HEADER, Delivery, Destination, ITEMS_HEADER, Outcome, batch_text,
    http::{HEAD_BYTES, HttpOptions, TenantHeader, check_url, gzip, patience},
    otlp::{Export, PARTIAL},
};
use crate::{Error, Result};

const CONNECT: Duration = Duration::from_secs(3);
/// A receiver behind a cut line is noticed in this time.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

pub struct OtlpGrpc {
    urls: Vec<String>,
    settings: Settings,
    timeout: Duration,
    tenant: TenantHeader,
    channels: Vec<Mutex<Option<Channel>>>,
    /// Of each address whether the last answer said that zstd is read there. Every receiver reads gzip (OTLP,
    /// "OTLP/gRPC"), which takes several times as long to make.
    reads_zstd: Vec<AtomicBool>,
}

impl OtlpGrpc {
    /// URLs are `http://host:port`, or `https://host:port` for TLS with the CA of the settings.
    ///
    /// # Errors
    /// A URL that cannot be one, or settings that gRPC has no way to follow.
    pub fn new(name: &str, o: HttpOptions) -> Result<Self> {
        let bad = |name_of: &'static str, value: &str, wanted| Error::Setting {
            destination: name.to_owned(),
            name: name_of,
            value: value.to_owned(),
            wanted,
        };
        if !matches!(o.settings.auth, Auth::None | Auth::Header { .. }) {
            return Err(bad("auth", "basic or oauth2", "a bearer token or none, over gRPC"));
        }
        if o.settings.tls.insecure_skip_verify {
            return Err(bad("tls", "insecure_skip_verify", "a CA, over gRPC"));
        }
        if o.settings.proxy != Proxy::None {
            return Err(bad("proxy_url", "a proxy", "none, over gRPC"));
        }
        if o.urls.is_empty() {
            return Err(bad("url", "no address", "at least one URL"));
        }
        let urls: Vec<String> =
            o.urls.iter().map(|u| check_url(name, u).map(String::from)).collect::<Result<_>>()?;
        if o.settings.tls.ca.is_none() && urls.iter().any(|u| u.starts_with("https://")) {
            return Err(bad("tls", "no ca", "the CA that signed the receiver's certificate, over gRPC"));
        }
        Ok(OtlpGrpc {
            channels: urls.iter().map(|_| Mutex::default()).collect(),
            reads_zstd: urls.iter().map(|_| AtomicBool::new(false)).collect(),
            timeout: patience(o.timeout, urls.len()),
            urls,
            settings: o.settings,
            tenant: o.tenant,
        })
    }

    fn channel(&self, address: usize) -> Result<Channel, String> {
        let (Some(url), Some(kept)) = (self.urls.get(address), self.channels.get(address)) else {
            return Err(format!("there is no address {address}"));
        };
        let mut kept = kept.lock();
        if let Some(channel) = &*kept {
            return Ok(channel.clone());
        }
        let setup = |e: tonic::transport::Error| e.to_string();
        let mut endpoint = Endpoint::from_shared(url.clone())
            .map_err(setup)?
            .user_agent(net::USER_AGENT)
            .map_err(setup)?
            .connect_timeout(CONNECT)
            .http2_keep_alive_interval(KEEP_ALIVE)
            .keep_alive_timeout(KEEP_ALIVE);
        if url.starts_with("https://") {
            endpoint = endpoint.tls_config(self.tls()?).map_err(setup)?;
        }
        Ok(kept.insert(endpoint.connect_lazy()).clone())
    }

    /// Certificates are read whenever a connection is made.
    fn tls(&self) -> Result<ClientTlsConfig, String> {
        net::use_ring();
        let tls = &self.settings.tls;
        let read = |s: &Option<net::Secret>| s.as_ref().map(net::Secret::reveal).transpose();
        let mut config = ClientTlsConfig::new();
        if let Some(ca) = read(&tls.ca)? {
            config = config.ca_certificate(Certificate::from_pem(ca));
        }
        if let (Some(cert), Some(key)) = (read(&tls.cert)?, read(&tls.key)?) {
            config = config.identity(Identity::from_pem(cert, key));
        }
        if !tls.server_name.is_empty() {
            config = config.domain_name(tls.server_name.clone());
        }
        Ok(config)
    }

    fn request<T>(&self, message: T, delivery: &Delivery) -> Result<Request<T>, String> {
        let mut request = Request::new(message);
        request.set_timeout(self.timeout);
        let mut headers = vec![
            (BATCH_HEADER.to_owned(), batch_text(delivery.id)),
            (ITEMS_HEADER.to_owned(), delivery.items().to_string()),
        ];
        headers.extend(self.tenant.value(delivery).map(|t| ("x-scope-orgid".to_owned(), t)));
        if let Auth::Header { scheme, credentials } = &self.settings.auth {
            headers.push(("authorization".to_owned(), format!("{scheme} {}", credentials.reveal()?)));
        }
        for (name, values) in &self.settings.headers {
            for v in values {
                headers.push((name.to_lowercase(), v.reveal()?));
            }
        }
        for (name, value) in headers {
            let bad = || format!("header {name} cannot be sent");
            let key: AsciiMetadataKey = name.parse().map_err(|_| bad())?;
            let value: AsciiMetadataValue = value.parse().map_err(|_| bad())?;
            request.metadata_mut().append(key, value);
        }
        Ok(request)
    }

    async fn export(
        &self,
        address: usize,
        channel: Channel,
        delivery: &Delivery,
    ) -> Result<(i64, String), Failed> {
        let Some(export) = Export::of(&delivery.batch) else {
            return Err(Failed::Status(Status::unimplemented("OTLP has no such signal")));
        };
        if delivery.meter.is_wanted() {
            // How far it is packed on the way nobody says, so it is packed here to know: as gzip at its fastest, which is
            // seldom less than what is sent.
            delivery.meter.sent(gzip(&export.bytes()).len() + HEAD_BYTES);
        }
        let packed = self.packing(address);
        let (answered, partial) = match export {
            Export::Metrics(m) => {
                let mut client = MetricsServiceClient::new(channel).send_compressed(packed);
                let (about, answer, _) = client.export(self.request(m, delivery)?).await?.into_parts();
                (about, answer.partial_success.map(|p| (p.rejected_data_points, p.error_message)))
            }
            Export::Logs(m) => {
                let mut client = LogsServiceClient::new(channel).send_compressed(packed);
                let (about, answer, _) = client.export(self.request(m, delivery)?).await?.into_parts();
                (about, answer.partial_success.map(|p| (p.rejected_log_records, p.error_message)))
            }
            Export::Traces(m) => {
                let mut client = TraceServiceClient::new(channel).send_compressed(packed);
                let (about, answer, _) = client.export(self.request(m, delivery)?).await?.into_parts();
                (about, answer.partial_success.map(|p| (p.rejected_spans, p.error_message)))
            }
        };
        self.learn_packing(address, &answered);
        Ok(partial.unwrap_or_default())
    }

    fn packing(&self, address: usize) -> CompressionEncoding {
        match self.reads_zstd.get(address).is_some_and(|z| z.load(Relaxed)) {
            true => CompressionEncoding::Zstd,
            false => CompressionEncoding::Gzip,
        }
    }

    /// Of what an answer says it reads (gRPC, "Compression": `grpc-accept-encoding`).
    fn learn_packing(&self, address: usize, answer: &MetadataMap) {
        let named = answer.get("grpc-accept-encoding").and_then(|v| v.to_str().ok()).unwrap_or_default();
        if let Some(known) = self.reads_zstd.get(address) {
            known.store(named.split(',').any(|n| n.trim() == "zstd"), Relaxed);
        }
    }
}

enum Failed {
    Status(Status),
    /// The request could not even be made.
    Setup(String),
}

impl From<Status> for Failed {
    fn from(s: Status) -> Self {
        Failed::Status(s)
    }
}

impl From<String> for Failed {
    fn from(s: String) -> Self {
        Failed::Setup(s)
    }
}

#[async_trait]
impl Destination for OtlpGrpc {
    fn takes(&self, signal: &Signal) -> bool {
        Signal::KNOWN.contains(signal)
    }

    fn addresses(&self) -> usize {
        self.urls.len()
    }

    async fn send(&self, address: usize, delivery: &Delivery) -> Outcome {
        let channel = match self.channel(address) {
            Ok(channel) => channel,
            Err(why) => return Outcome::down(why),
        };
        let outcome = match tokio::time::timeout(self.timeout, self.export(address, channel, delivery)).await
        {
            Err(_) => Outcome::down(format!("no answer within {:?}", self.timeout)),
            Ok(Err(Failed::Setup(why))) => Outcome::down(why),
            // Somebody else answers at this address now.
            Ok(Err(Failed::Status(s)))
                if s.code() == Code::Unimplemented && self.packing(address) != CompressionEncoding::Gzip =>
            {
                self.learn_packing(address, &MetadataMap::new());
                let detail = format!("{}; it is sent again with gzip", s.message());
                Outcome::Later { after: None, down: false, detail }
            }
            Ok(Err(Failed::Status(status))) => judge(&status),
            Ok(Ok((n, why))) => {
                Outcome::partly(PARTIAL, u64::try_from(n).unwrap_or(0).min(delivery.items()), why)
            }
        };
        if matches!(outcome, Outcome::Later { down: true, .. })
            && let Some(kept) = self.channels.get(address)
        {
            // Made anew, with certificates read again.
            *kept.lock() = None;
        }
        outcome
    }
}

/// What a status says (OTLP, "Failures"). A broken connection comes as Unknown or Internal, too; who may not send waits,
/// as over HTTP.
fn judge(s: &Status) -> Outcome {
    let detail = format!("{:?} {}", s.code(), s.message());
    let after = retry_delay(s.details());
    match s.code() {
        Code::OutOfRange | Code::ResourceExhausted if is_too_large(s.message()) => {
            Outcome::TooLarge { detail }
        }
        Code::ResourceExhausted => Outcome::Later { after, down: false, detail },
        Code::Unavailable | Code::Aborted | Code::Cancelled | Code::OutOfRange | Code::DataLoss => {
            Outcome::Later { after, down: true, detail }
        }
        Code::DeadlineExceeded
        | Code::Unknown
        | Code::Internal
        | Code::Unauthenticated
        | Code::PermissionDenied => Outcome::Later { after, down: true, detail },
        code => Outcome::refused(format!("grpc_{}", snake(&format!("{code:?}"))), detail),
    }
}

/// What servers in Go and in Rust say of a message that is larger than they take.
fn is_too_large(message: &str) -> bool {
    message.contains("larger than max") || message.contains("message length too large")
}

fn snake(camel: &str) -> String {
    let mut out = String::new();
    for (i, c) in camel.chars().enumerate() {
        if c.is_ascii_uppercase() && i > 0 {
            out.push('_');
        }
        out.push(c.to_ascii_lowercase());
    }
    out
}

/// `google.rpc.RetryInfo.retry_delay` among the details of a `google.rpc.Status`.
fn retry_delay(details: &[u8]) -> Option<Duration> {
    let any = fields(details).filter(|(n, _)| *n == 3).find_map(|(_, any)| {
        let is_retry = fields(any).any(|(n, url)| n == 1 && url.ends_with(b"google.rpc.RetryInfo"));
        is_retry.then(|| fields(any).find(|(n, _)| *n == 2).map(|(_, value)| value))?
    })?;
    let (_, duration) = fields(any).find(|(n, _)| *n == 1)?;
    let (mut seconds, mut rest) = (0, duration);
    while let Some(key) = varint(&mut rest) {
        match (key, varint(&mut rest)?) {
            (8, s) => seconds = s,
            // A part of a second is a whole one.
            (16, nanos) if nanos > 0 => seconds += 1,
            _ => {}
        }
    }
    Some(Duration::from_secs(seconds))
}

/// The fields of a message that have a length; stops where the bytes make no sense.
fn fields(mut bytes: &[u8]) -> impl Iterator<Item = (u64, &[u8])> {
    std::iter::from_fn(move || {
        loop {
            let key = varint(&mut bytes)?;
            match key & 7 {
                0 => {
                    varint(&mut bytes)?;
                }
                2 => {
                    let length = usize::try_from(varint(&mut bytes)?).ok()?;
                    let (value, rest) = bytes.split_at_checked(length)?;
                    bytes = rest;
                    return Some((key >> 3, value));
                }
                _ => return None,
            }
        }
    })
}

fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0u64;
    for shift in (0..64).step_by(7) {
        let (b, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(b & 0x7f) << shift;
        if *b < 0x80 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn field(number: u8, value: &[u8]) -> Vec<u8> {
        [&[number << 3 | 2, value.len() as u8], value].concat()
    }

    #[test]
    fn a_delay_is_found_among_the_details() {
        let info = field(1, &[8, 7, 16, 1]);
        let any = [field(1, b"type.googleapis.com/google.rpc.RetryInfo"), field(2, &info)].concat();
        let status = [vec![8, 14], field(2, b"busy"), field(3, &any)].concat();
        assert_eq!(retry_delay(&status), Some(Duration::from_secs(8)));
        assert_eq!(retry_delay(&field(2, b"busy")), None);
    }

    #[test]
    fn a_status_decides_whether_to_wait_to_cut_or_to_give_up() {
        let large = Status::resource_exhausted("grpc: received message larger than max (5 vs. 4)");
        assert!(matches!(judge(&large), Outcome::TooLarge { .. }));
        let full = Status::resource_exhausted("quota");
        assert!(matches!(judge(&full), Outcome::Later { down: false, .. }));
        assert!(matches!(judge(&Status::unavailable("x")), Outcome::Later { down: true, .. }));
        let Outcome::Refused { reason, .. } = judge(&Status::invalid_argument("x")) else { panic!() };
        assert_eq!(reason, "grpc_invalid_argument");
    }

    proptest! {
        #[test]
        fn no_details_make_it_panic(bytes: Vec<u8>) {
            let _ = retry_delay(&bytes);
        }
    }
}
