//! The gRPC connection to a store: made at the first request, kept, and made anew where it broke.

use std::{future::Future, time::Duration};

use contract::{QueryLimits, Result};
use net::{
    Auth,
    settings::{Proxy, Tls},
};
use parking_lot::Mutex;
use proto::thanos::{info::info_client::InfoClient, store_client::StoreClient};
use tonic::{
    Code, Request, Status,
    metadata::{AsciiMetadataKey, AsciiMetadataValue},
    transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity},
};

use super::{ForeignSettings, left, refused};
use crate::Error;

/// One frame. Stores that are not told otherwise send about 1 MiB, and a gateway one series at a time, however long.
const MAX_MESSAGE: usize = 128 << 20;
const CONNECT: Duration = Duration::from_secs(5);
/// The other side is told this much more than it has, so that it is [`Link::within`] that says what took too long.
const GRACE: Duration = Duration::from_millis(500);
/// A peer behind a cut line is noticed in this time.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

pub(super) struct Link {
    name: String,
    url: String,
    timeout: Duration,
    http: net::Settings,
    tenant: Option<String>,
    channel: Mutex<Option<Channel>>,
}

impl Link {
    pub(super) fn new(s: &ForeignSettings) -> crate::Result<Self> {
        let bad = |wanted| Error::Setting { name: "url", value: s.url.clone(), wanted };
        // Certificates are of no use without TLS, so naming some asks for it.
        let secured = s.http.tls != Tls::default();
        let url = match s.url.contains("://") {
            true => s.url.clone(),
            false => format!("{}://{}", if secured { "https" } else { "http" }, s.url),
        };
        let parsed = url::Url::parse(&url).map_err(|_| bad("host:port, or https://host:port"))?;
        if !matches!(parsed.scheme(), "http" | "https") || parsed.host().is_none() || parsed.port().is_none()
        {
            return Err(bad("host:port, or https://host:port"));
        }
        if !matches!(s.http.auth, Auth::None | Auth::Header { .. }) {
            let value = "basic or oauth2".to_owned();
            return Err(Error::Setting {
                name: "auth",
                value,
                wanted: "a bearer token or none: StoreAPI is gRPC",
            });
        }
        if s.http.tls.insecure_skip_verify {
            let value = "insecure_skip_verify".to_owned();
            return Err(Error::Setting {
                name: "tls",
                value,
                wanted: "a CA: StoreAPI is not asked unverified",
            });
        }
        if parsed.scheme() == "http" && secured {
            return Err(bad("https://host:port, or without a scheme, where there is a tls_config"));
        }
        if s.http.proxy != Proxy::None {
            let value = "a proxy".to_owned();
            return Err(Error::Setting { name: "proxy_url", value, wanted: "none: StoreAPI is gRPC" });
        }
        if parsed.scheme() == "https" && s.http.tls.ca.is_none() {
            let value = "no ca".to_owned();
            return Err(Error::Setting {
                name: "tls",
                value,
                wanted: "the CA that signed the store's certificate",
            });
        }
        Ok(Link {
            name: s.name.clone(),
            url,
            timeout: s.timeout,
            http: s.http.clone(),
            tenant: s.tenant.clone(),
            channel: Mutex::default(),
        })
    }

    fn channel(&self) -> Result<Channel> {
        let mut kept = self.channel.lock();
        if let Some(channel) = &*kept {
            return Ok(channel.clone());
        }
        let setup = |e: tonic::transport::Error| contract::Error::invalid(format!("{}: {e}", self.name));
        let mut endpoint = Endpoint::from_shared(self.url.clone())
            .map_err(setup)?
            .user_agent(net::USER_AGENT)
            .map_err(setup)?
            .connect_timeout(CONNECT)
            .http2_keep_alive_interval(KEEP_ALIVE)
            .keep_alive_timeout(KEEP_ALIVE);
        if self.url.starts_with("https://") {
            endpoint = endpoint.tls_config(self.tls(&self.http.tls)?).map_err(setup)?;
        }
        Ok(kept.insert(endpoint.connect_lazy()).clone())
    }

    /// Certificates are read whenever a connection is made.
    fn tls(&self, tls: &Tls) -> Result<ClientTlsConfig> {
        net::use_ring();
        let read = |s: &Option<net::Secret>| {
            let text = s.as_ref().map(net::Secret::reveal).transpose();
            text.map_err(|e| contract::Error::invalid(format!("{}: {e}", self.name)))
        };
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

    pub(super) fn store(&self) -> Result<StoreClient<Channel>> {
        Ok(StoreClient::new(self.channel()?).max_decoding_message_size(MAX_MESSAGE))
    }

    pub(super) fn info(&self) -> Result<InfoClient<Channel>> {
        Ok(InfoClient::new(self.channel()?))
    }

    /// A request with what goes along: deadline, authorization, tenant, headers of the settings.
    pub(super) fn request<T>(&self, message: T, limits: &QueryLimits) -> Result<Request<T>> {
        limits.check_deadline()?;
        let mut request = Request::new(message);
        request.set_timeout(left(self.timeout, limits) + GRACE);
        let mut headers: Vec<(String, String)> = Vec::new();
        let reveal =
            |s: &net::Secret| s.reveal().map_err(|e| contract::Error::invalid(format!("{}: {e}", self.name)));
        if let Auth::Header { scheme, credentials } = &self.http.auth {
            headers.push(("authorization".to_owned(), format!("{scheme} {}", reveal(credentials)?)));
        }
        // The header Thanos looks for unless it is told another (`--query.tenant-header`).
        headers.extend(self.tenant.iter().map(|t| ("thanos-tenant".to_owned(), t.clone())));
        for (name, values) in &self.http.headers {
            for v in values {
                headers.push((name.to_lowercase(), reveal(v)?));
            }
        }
        for (name, value) in headers {
            let bad = || contract::Error::invalid(format!("{}: header {name} cannot be sent", self.name));
            let key: AsciiMetadataKey = name.parse().map_err(|_| bad())?;
            let value: AsciiMetadataValue = value.parse().map_err(|_| bad())?;
            request.metadata_mut().append(key, value);
        }
        Ok(request)
    }

    /// Waits no longer than the query and the peer's own time allow.
    pub(super) async fn within<T>(
        &self,
        limits: &QueryLimits,
        what: impl Future<Output = std::result::Result<T, Status>>,
    ) -> Result<T> {
        let allowed = left(self.timeout, limits);
        let answer = match tokio::time::timeout(allowed, what).await {
            Ok(answer) => answer,
            Err(_) => {
                return Err(contract::Error::new(
                    base::Kind::Timeout,
                    format!("{} did not answer within {allowed:?}", self.name),
                ));
            }
        };
        answer.map_err(|status| {
            if status.code() == Code::Unavailable {
                *self.channel.lock() = None;
            }
            refused(&self.name, &status)
        })
    }
}
