//! An answer that is read as it comes in, for those too large to hold.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::StatusCode;
use reqwest::header::HeaderMap;

use crate::{Answer, Error, chain, shown};

/// The head of an answer, and its body piece by piece. Dropping it ends the connection's use.
#[derive(Debug)]
pub struct Incoming {
    pub status: StatusCode,
    pub headers: HeaderMap,
    url: String,
    timeout: Duration,
    limit: usize,
    read: usize,
    response: reqwest::Response,
}

impl Incoming {
    pub(crate) fn new(response: reqwest::Response, url: String, timeout: Duration, limit: usize) -> Self {
        let (status, headers) = (response.status(), response.headers().clone());
        Incoming { status, headers, url, timeout, limit, read: 0, response }
    }

    /// A header as text, empty where absent.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|v| v.to_str().ok()).unwrap_or("")
    }

    /// The next piece of the body, of any size; `None` at its end.
    ///
    /// # Errors
    /// The connection broke, the request's time-out passed, or more came than the request allows.
    pub async fn next(&mut self) -> Result<Option<Bytes>, Error> {
        let chunk = self.response.chunk().await.map_err(|e| fail(&e, &self.url, self.timeout))?;
        self.read = self.read.saturating_add(chunk.as_ref().map_or(0, Bytes::len));
        match self.read > self.limit {
            true => Err(Error::TooLarge { url: shown(&self.url), limit: self.limit }),
            false => Ok(chunk),
        }
    }

    /// Reads to the end.
    pub async fn whole(mut self) -> Result<Answer, Error> {
        let mut read = BytesMut::new();
        while let Some(chunk) = self.next().await? {
            read.extend_from_slice(&chunk);
        }
        Ok(Answer { status: self.status, headers: self.headers, body: read.freeze() })
    }
}

pub(crate) fn fail(e: &reqwest::Error, url: &str, after: Duration) -> Error {
    match e.is_timeout() {
        true => Error::Timeout { url: shown(url), after },
        false => Error::Unreachable { url: shown(url), reason: chain(e) },
    }
}
