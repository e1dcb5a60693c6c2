//! Outgoing HTTP: clients with time-outs, a cap on what they read, authentication, TLS, proxies and our user
//! agent; TLS of listeners and between nodes; certificates; and DNS lookups of record types the system's
//! resolver does not offer.
//!
//! This crate exists because it fences in TLS and the HTTP client. It must never know what it carries. Start
//! reading at [`Client`], then [`settings`] for what can be chosen; for connections between nodes at [`tls`],
//! for what their certificates say at [`certs`].

pub mod certs;
mod connect;
pub mod dns;
mod error;
mod incoming;
mod oauth2;
pub mod settings;
pub mod tls;

use std::{collections::HashMap, sync::Arc, time::Duration};

use bytes::Bytes;
use connect::{Material, Route, header_map, setup};
use oauth2::Tokens;
use parking_lot::Mutex;
use reqwest::header::{AUTHORIZATION, HOST, HeaderMap, HeaderName, HeaderValue};

pub use error::Error;
pub use http::{Method, StatusCode, header};
pub use incoming::Incoming;
pub use settings::{Auth, OAuth2, Proxy, Secret, Settings, Tls, TlsVersion};

/// What every outgoing request says it comes from.
pub const USER_AGENT: &str = concat!("Orrery/", env!("CARGO_PKG_VERSION"));

/// Clients kept for hosts and sockets that need one of their own; past that all are made anew.
const MAX_ROUTES: usize = 4096;

/// One request. Build it with [`Request::get`] or [`Request::post`] and struct update.
#[derive(Debug, Clone)]
pub struct Request {
    pub method: Method,
    pub url: String,
    pub headers: Vec<(&'static str, String)>,
    /// Instead of what the client's settings say.
    pub auth: Option<Auth>,
    pub body: Bytes,
    /// From connecting to the last byte of the answer.
    pub timeout: Duration,
    /// Answers longer than this (as sent) are refused.
    pub max_answer_bytes: usize,
    /// A socket of this machine to ask, whatever host the URL names.
    pub unix_socket: Option<String>,
}

impl Request {
    pub fn get(url: impl Into<String>) -> Self {
        Request {
            method: Method::GET,
            url: url.into(),
            headers: Vec::new(),
            auth: None,
            body: Bytes::new(),
            timeout: Duration::from_secs(30),
            max_answer_bytes: 64 << 20,
            unix_socket: None,
        }
    }

    pub fn post(url: impl Into<String>, body: impl Into<Bytes>) -> Self {
        Request { method: Method::POST, body: body.into(), ..Request::get(url) }
    }

    pub fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }
}

/// A whole answer, whatever its status.
#[derive(Debug, Clone)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Answer {
    /// A header as text, empty where absent.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|v| v.to_str().ok()).unwrap_or("")
    }

    /// The beginning of the body as text, for messages.
    pub fn excerpt(&self) -> String {
        let beginning = self.body.get(..self.body.len().min(256)).unwrap_or_default();
        String::from_utf8_lossy(beginning).trim().to_owned()
    }
}

/// Keeps connections open between requests; cheap to clone. Certificates and keys in files are read again at
/// each request, and connections are made anew when they changed.
#[derive(Clone)]
pub struct Client(Arc<Inner>);

struct Inner {
    settings: Settings,
    tokens: Option<Tokens>,
    built: Mutex<Built>,
}

#[derive(Default)]
struct Built {
    material: Material,
    routes: HashMap<Route, reqwest::Client>,
}

impl Default for Client {
    fn default() -> Self {
        Client::with(Settings::default())
    }
}

impl Client {
    /// A client that trusts the usual public roots for https and sends no credentials.
    ///
    /// # Errors
    /// The machine has no usable roots.
    pub fn new() -> Result<Self, Error> {
        let client = Client::default();
        client.route("http://localhost/", None)?;
        Ok(client)
    }

    /// A client with settings of its own. They are followed at the first request, so that files they name
    /// need not be there yet.
    pub fn with(settings: Settings) -> Self {
        let tokens = match &settings.auth {
            Auth::OAuth2(grant) => Some(Tokens::new(grant)),
            _ => None,
        };
        Client(Arc::new(Inner { settings, tokens, built: Mutex::default() }))
    }

    /// Sends a request and reads the whole answer. An answer with an error status is `Ok`.
    ///
    /// # Errors
    /// The settings cannot be followed (a certificate is missing), nothing answered, the time-out passed, or
    /// the answer is longer than allowed.
    pub async fn send(&self, request: Request) -> Result<Answer, Error> {
        let (url, after) = (request.url.clone(), request.timeout);
        // One limit over everything, the fetch of a token included.
        match tokio::time::timeout(after, self.exchange(request)).await {
            Ok(answer) => answer,
            Err(_) => Err(Error::Timeout { url: shown(&url), after }),
        }
    }

    /// Sends a request and gives the answer out as it comes in. The time-out counts to the last byte.
    ///
    /// # Errors
    /// As [`Client::send`], as far as they show before the body does.
    pub async fn open(&self, request: Request) -> Result<Incoming, Error> {
        let (url, after) = (request.url.clone(), request.timeout);
        match tokio::time::timeout(after, self.begin(request)).await {
            Ok(incoming) => incoming,
            Err(_) => Err(Error::Timeout { url: shown(&url), after }),
        }
    }

    async fn exchange(&self, request: Request) -> Result<Answer, Error> {
        self.begin(request).await?.whole().await
    }

    async fn begin(&self, request: Request) -> Result<Incoming, Error> {
        let Request { method, url, headers, auth, body, timeout, max_answer_bytes, unix_socket } = request;
        let (client, asked, host) = self.route(&url, unix_socket)?;
        let mut builder = client.request(method, &asked).timeout(timeout).body(body);
        for (name, value) in headers {
            let value = HeaderValue::from_str(&value)
                .map_err(|_| setup(format!("header {name} has a value that cannot be sent")))?;
            builder = builder.header(HeaderName::from_static(name), value);
        }
        if let Some(host) = host {
            builder = builder.header(HOST, host);
        }
        builder = self.authorised(builder, auth, timeout).await?;
        // Last, so that a header the settings name replaces one of ours.
        builder = builder.headers(header_map(&self.0.settings.headers)?);
        let response = builder.send().await.map_err(|e| incoming::fail(&e, &url, timeout))?;
        Ok(Incoming::new(response, url, timeout, max_answer_bytes))
    }

    async fn authorised(
        &self,
        builder: reqwest::RequestBuilder,
        own: Option<Auth>,
        timeout: Duration,
    ) -> Result<reqwest::RequestBuilder, Error> {
        let auth = own.as_ref().unwrap_or(&self.0.settings.auth);
        let header = match (auth, &self.0.tokens) {
            (Auth::None, _) => return Ok(builder),
            (Auth::Basic { username, password }, _) => {
                let (username, password) =
                    (username.reveal().map_err(setup)?, password.reveal().map_err(setup)?);
                return Ok(builder.basic_auth(username, Some(password)));
            }
            (Auth::Header { scheme, credentials }, _) => {
                format!("{scheme} {}", credentials.reveal().map_err(setup)?)
            }
            // Boxed: fetching a token is sending a request.
            (Auth::OAuth2(_), Some(tokens)) => Box::pin(tokens.header(timeout)).await?,
            (Auth::OAuth2(_), None) => return Err(setup("OAuth2 belongs into a client's settings")),
        };
        let mut value = HeaderValue::from_str(&header)
            .map_err(|_| setup("the authorization has characters that cannot be sent"))?;
        value.set_sensitive(true);
        Ok(builder.header(AUTHORIZATION, value))
    }

    /// The client for a URL, the URL to ask it for, and the `Host` header where that differs.
    fn route(
        &self,
        url: &str,
        unix_socket: Option<String>,
    ) -> Result<(reqwest::Client, String, Option<String>), Error> {
        let tls = &self.0.settings.tls;
        let (mut route, mut asked, mut host) = (Route::Usual, url.to_owned(), None);
        if let Some(path) = unix_socket {
            route = Route::Unix(path);
        } else if !tls.server_name.is_empty()
            && let Ok(mut u) = url::Url::parse(url)
            && u.scheme() == "https"
            && let Some(target) = u.host_str().map(str::to_owned)
            && target != tls.server_name
        {
            // The name stands in for the host, so both a proxy and the connection would take it for one.
            if matches!(self.0.settings.proxy, Proxy::Url { .. }) {
                return Err(setup("tls_config server_name cannot be used through proxy_url"));
            }
            if tls.server_name.parse::<std::net::IpAddr>().is_ok() {
                return Err(setup("tls_config server_name must be a name, not an address"));
            }
            let port = u.port().map_or(String::new(), |p| format!(":{p}"));
            host = Some(format!("{target}{port}"));
            u.set_host(Some(&tls.server_name)).map_err(|e| setup(format!("tls_config server_name: {e}")))?;
            asked = u.to_string();
            route = Route::Host(target.trim_matches(['[', ']']).to_owned());
        }
        let material = Material::read(tls)?;
        let mut built = self.0.built.lock();
        if built.material != material || built.routes.len() > MAX_ROUTES {
            *built = Built { material, routes: HashMap::new() };
        }
        if let Some(client) = built.routes.get(&route) {
            return Ok((client.clone(), asked, host));
        }
        let client = connect::client(&self.0.settings, &built.material, &route)?;
        built.routes.insert(route, client.clone());
        Ok((client, asked, host))
    }
}

/// Picks the one TLS provider of the process. Calling it again is harmless.
pub fn use_ring() {
    let _ = rustls::crypto::ring::default_provider().install_default();
}

/// A URL without credentials and query, fit for a log or a page.
pub fn shown(url: &str) -> String {
    match url::Url::parse(url) {
        Ok(mut u) => {
            let _ = u.set_password(None);
            let _ = u.set_username("");
            u.set_query(None);
            u.to_string()
        }
        Err(_) => "an invalid URL".to_owned(),
    }
}

/// The innermost cause says what happened; the outer ones only that something did.
fn chain(e: &dyn std::error::Error) -> String {
    let mut cause = e;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}

#[cfg(test)]
mod tests;
