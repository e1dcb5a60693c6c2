//! From settings to what sends.

use std::sync::Arc;

use base::Clock;
use forward::destination::{
    datadog::Datadog, elastic::Elastic, file::Files, hec::Hec, kafka::Kafka, loki::Loki, otlp::OtlpHttp,
    otlp_grpc::OtlpGrpc, remote_write::RemoteWrite,
};

use super::{Destination, Protocol};

impl Destination {
    /// What speaks the protocol. Nothing is connected yet.
    ///
    /// # Errors
    /// Settings that the protocol has no way to follow.
    pub fn open(&self, clock: Clock) -> forward::Result<Arc<dyn forward::Destination>> {
        let (name, http) = (self.name.as_str(), self.http.clone());
        Ok(match &self.protocol {
            Protocol::OtlpGrpc => Arc::new(OtlpGrpc::new(name, http)?),
            Protocol::OtlpHttp => Arc::new(OtlpHttp::new(name, http, clock)?),
            Protocol::RemoteWrite(version) => Arc::new(RemoteWrite::new(name, http, *version, clock)?),
            Protocol::Loki => Arc::new(Loki::new(name, http, clock)?),
            Protocol::Elasticsearch(options) => Arc::new(Elastic::new(name, http, options.clone(), clock)?),
            Protocol::SplunkHec(options) => Arc::new(Hec::new(name, http, options.clone(), clock)?),
            Protocol::Datadog(options) => Arc::new(Datadog::new(name, http, options.clone(), clock)?),
            Protocol::Kafka(options) => Arc::new(Kafka::new(name, options.clone())?),
            Protocol::File(options) => Arc::new(Files::open(name, options.clone(), clock)?),
        })
    }

    /// What [`Destination::open`] says against it: the key it is about, and why. Files are not asked, since opening them
    /// claims their directory.
    pub fn objection(&self) -> Option<(&'static str, String)> {
        if matches!(self.protocol, Protocol::File(_)) {
            return None;
        }
        let e = self.open(Clock::system()).err()?;
        let key = match &e {
            forward::Error::Setting { name: "tls", .. } => "tls_config",
            forward::Error::Setting { name: "proxy_url", .. } => "proxy_url",
            forward::Error::Setting { name: "url", .. } => "endpoint",
            forward::Error::Setting { name: name @ ("brokers" | "sasl" | "site"), .. } => name,
            _ => "to",
        };
        Some((key, e.to_string()))
    }
}
