//! From settings to a connected HTTP client: trust, identity, versions, proxy, and the names that are resolved
//! in an unusual way.

use std::{net::SocketAddr, time::Duration};

use reqwest::{
    Certificate, ClientBuilder, Identity, NoProxy,
    dns::{Addrs, Name, Resolve, Resolving},
    header::{HeaderMap, HeaderName, HeaderValue},
    tls::Version,
};

use crate::{
    Error, USER_AGENT,
    settings::{Headers, Proxy, Secret, Settings, Tls, TlsVersion},
};

/// Longer than any sane scrape interval, so that connections are kept between scrapes.
const IDLE: Duration = Duration::from_secs(300);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// As many as browsers and Go's client follow.
const MAX_REDIRECTS: usize = 10;

/// What makes one client differ from another under the same settings.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub(crate) enum Route {
    #[default]
    Usual,
    /// The TLS server name stands in the URL; what is connected to is this host.
    Host(String),
    /// A socket of this machine.
    Unix(String),
}

/// The texts of certificates and keys, read from wherever they are.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Material {
    ca: Option<String>,
    cert: Option<String>,
    key: Option<String>,
}

impl Material {
    pub(crate) fn read(tls: &Tls) -> Result<Self, Error> {
        let read = |s: &Option<Secret>| s.as_ref().map(Secret::reveal).transpose().map_err(setup);
        Ok(Material { ca: read(&tls.ca)?, cert: read(&tls.cert)?, key: read(&tls.key)? })
    }
}

pub(crate) fn setup(reason: impl Into<String>) -> Error {
    Error::Setup { reason: reason.into() }
}

/// Builds a client.
pub(crate) fn client(
    settings: &Settings,
    material: &Material,
    route: &Route,
) -> Result<reqwest::Client, Error> {
    crate::use_ring();
    let redirects = match settings.follow_redirects {
        true => reqwest::redirect::Policy::limited(MAX_REDIRECTS),
        false => reqwest::redirect::Policy::none(),
    };
    let mut b = reqwest::Client::builder()
        .user_agent(USER_AGENT)
        .connect_timeout(CONNECT_TIMEOUT)
        .pool_idle_timeout(IDLE)
        .pool_max_idle_per_host(16)
        .redirect(redirects);
    // A server that was asked under another name must not find a contradicting authority in the request.
    if !settings.http2 || matches!(route, Route::Host(_)) {
        b = b.http1_only();
    }
    b = proxy(b, &settings.proxy)?;
    b = tls(b, &settings.tls, material)?;
    b = match route {
        Route::Usual => b,
        Route::Unix(path) => b.unix_socket(std::path::PathBuf::from(path)),
        Route::Host(host) => {
            let name = settings.tls.server_name.clone();
            b.dns_resolver(Instead { name, host: host.clone() })
        }
    };
    b.build().map_err(|e| setup(crate::chain(&e)))
}

fn proxy(b: ClientBuilder, proxy: &Proxy) -> Result<ClientBuilder, Error> {
    match proxy {
        Proxy::None => Ok(b.no_proxy()),
        Proxy::Environment => Ok(b),
        Proxy::Url { url, no_proxy, connect_headers } => {
            let bad = |e: reqwest::Error| setup(format!("proxy_url: {}", crate::chain(&e)));
            let mut p = reqwest::Proxy::all(url).map_err(bad)?.no_proxy(NoProxy::from_string(no_proxy));
            if !connect_headers.is_empty() {
                p = p.headers(header_map(connect_headers)?);
            }
            Ok(b.proxy(p))
        }
    }
}

/// Headers as they are sent; the error names the header, never its value.
pub(crate) fn header_map(headers: &Headers) -> Result<HeaderMap, Error> {
    let mut map = HeaderMap::new();
    for (name, values) in headers {
        let key = HeaderName::from_bytes(name.as_bytes())
            .map_err(|_| setup(format!("{name:?} is not a header name")))?;
        for value in values {
            let value = HeaderValue::from_str(&value.reveal().map_err(setup)?)
                .map_err(|_| setup(format!("header {name} has a value that cannot be sent")))?;
            map.append(key.clone(), value);
        }
    }
    Ok(map)
}

fn tls(mut b: ClientBuilder, tls: &Tls, material: &Material) -> Result<ClientBuilder, Error> {
    if let Some(ca) = &material.ca {
        let certs = Certificate::from_pem_bundle(ca.as_bytes())
            .map_err(|e| setup(format!("tls_config ca: {}", crate::chain(&e))))?;
        if certs.is_empty() {
            return Err(setup("tls_config ca holds no certificate"));
        }
        b = b.tls_certs_only(certs);
    }
    if let (Some(cert), Some(key)) = (&material.cert, &material.key) {
        let identity = Identity::from_pem(format!("{cert}\n{key}\n").as_bytes())
            .map_err(|e| setup(format!("tls_config cert and key: {}", crate::chain(&e))))?;
        b = b.identity(identity);
    }
    if tls.insecure_skip_verify {
        b = b.tls_danger_accept_invalid_certs(true);
    }
    if tls.min_version == Some(TlsVersion::Tls13) {
        b = b.tls_version_min(Version::TLS_1_3);
    }
    match tls.max_version {
        None | Some(TlsVersion::Tls13) => {}
        Some(TlsVersion::Tls12) => b = b.tls_version_max(Version::TLS_1_2),
        Some(TlsVersion::Tls10 | TlsVersion::Tls11) => {
            return Err(setup("tls_config max_version is below TLS 1.2, which is the oldest spoken"));
        }
    }
    Ok(b)
}

/// Resolves one name to another host's addresses, everything else as usual.
struct Instead {
    name: String,
    host: String,
}

impl Resolve for Instead {
    fn resolve(&self, name: Name) -> Resolving {
        let host = match name.as_str().eq_ignore_ascii_case(&self.name) {
            true => self.host.clone(),
            false => name.as_str().to_owned(),
        };
        Box::pin(async move {
            let found: Vec<SocketAddr> = tokio::net::lookup_host((host.as_str(), 0)).await?.collect();
            Ok(Box::new(found.into_iter()) as Addrs)
        })
    }
}
