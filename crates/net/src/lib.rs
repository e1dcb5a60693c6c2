//! Outgoing HTTP: one client with time-outs, a cap on what it reads, authentication and our user agent.
//!
//! This crate exists because it fences in TLS and the HTTP client. It must never know what it carries. Start
//! reading at [`Client`].

mod error;

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};

pub use error::Error;
pub use http::{Method, StatusCode, header};

/// What every outgoing request says it comes from.
pub const USER_AGENT: &str = concat!("Orrery/", env!("CARGO_PKG_VERSION"));

/// How a request proves who sends it.
#[derive(Clone, Default, PartialEq, Eq)]
pub enum Auth {
    #[default]
    None,
    Basic {
        username: String,
        password: String,
    },
    /// The `Authorization` header: scheme (`Bearer`) and credentials.
    Header {
        scheme: String,
        credentials: String,
    },
}

impl std::fmt::Debug for Auth {
    /// Never shows a secret.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Auth::None => "none",
            Auth::Basic { .. } => "basic",
            Auth::Header { .. } => "header",
        })
    }
}

/// One request. Build it with [`Request::get`] or [`Request::post`] and struct update.
#[derive(Debug, Clone)]
pub struct Request {
    pub method: Method,
    pub url: String,
    pub headers: Vec<(&'static str, String)>,
    pub auth: Auth,
    pub body: Bytes,
    /// From connecting to the last byte of the answer.
    pub timeout: Duration,
    /// Answers longer than this (unpacked) are refused.
    pub max_answer_bytes: usize,
}

impl Request {
    pub fn get(url: impl Into<String>) -> Self {
        Request {
            method: Method::GET,
            url: url.into(),
            headers: Vec::new(),
            auth: Auth::None,
            body: Bytes::new(),
            timeout: Duration::from_secs(30),
            max_answer_bytes: 64 << 20,
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
        String::from_utf8_lossy(&self.body[..self.body.len().min(256)]).trim().to_owned()
    }
}

/// Keeps connections open between requests; cheap to clone.
#[derive(Clone)]
pub struct Client(reqwest::Client);

impl Client {
    /// A client that trusts the usual public roots for https.
    pub fn new() -> Result<Self, Error> {
        use_ring();
        let client = reqwest::Client::builder()
            .user_agent(USER_AGENT)
            .connect_timeout(Duration::from_secs(10))
            .pool_max_idle_per_host(16)
            .redirect(reqwest::redirect::Policy::limited(5))
            .no_proxy()
            .build()
            .map_err(|e| Error::Setup { reason: chain(&e) })?;
        Ok(Client(client))
    }

    /// Sends a request and reads the whole answer. An answer with an error status is `Ok`.
    ///
    /// # Errors
    /// Nothing answered, the time-out passed, or the answer is longer than allowed.
    pub async fn send(&self, request: Request) -> Result<Answer, Error> {
        let Request { method, url, headers, auth, body, timeout, max_answer_bytes } = request;
        let fail = |e: reqwest::Error| match e.is_timeout() {
            true => Error::Timeout { url: shown(&url), after: timeout },
            false => Error::Unreachable { url: shown(&url), reason: chain(&e) },
        };
        let mut builder = self.0.request(method, &url).timeout(timeout).body(body);
        for (name, value) in headers {
            let value = HeaderValue::from_str(&value).map_err(|_| Error::Setup {
                reason: format!("header {name} has a value that cannot be sent"),
            })?;
            builder = builder.header(HeaderName::from_static(name), value);
        }
        builder = match auth {
            Auth::None => builder,
            Auth::Basic { username, password } => builder.basic_auth(username, Some(password)),
            Auth::Header { scheme, credentials } => {
                builder.header(AUTHORIZATION, format!("{scheme} {credentials}"))
            }
        };
        let mut response = builder.send().await.map_err(fail)?;
        let (status, headers) = (response.status(), response.headers().clone());
        let mut read = BytesMut::new();
        while let Some(chunk) = response.chunk().await.map_err(fail)? {
            if read.len() + chunk.len() > max_answer_bytes {
                return Err(Error::TooLarge { url: shown(&url), limit: max_answer_bytes });
            }
            read.extend_from_slice(&chunk);
        }
        Ok(Answer { status, headers, body: read.freeze() })
    }
}

/// Picks the one TLS provider of the process. Calling it again is harmless.
pub fn use_ring() {
    let _ = rustls::crypto::ring::default_provider().install_default();
}

/// A URL without credentials and query, fit for a log.
fn shown(url: &str) -> String {
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
mod tests {
    use super::*;

    #[test]
    fn no_secret_reaches_a_message() {
        assert_eq!(shown("http://user:pass@host:1/p?token=x"), "http://host:1/p");
        let auth = Auth::Basic { username: "u".to_owned(), password: "p".to_owned() };
        assert_eq!(format!("{auth:?}"), "basic");
    }

    #[tokio::test]
    async fn a_closed_port_is_named() {
        let client = Client::new().unwrap();
        let e = client.send(Request::get("http://127.0.0.1:1/metrics")).await.unwrap_err();
        assert!(e.to_string().contains("127.0.0.1:1"), "{e}");
        assert_eq!(e.kind(), base::Kind::Unavailable);
    }
}
