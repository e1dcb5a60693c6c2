//! A foreign server's HTTP side: where it is, what goes along with each request, how long that may take.

use std::time::{Duration, Instant};

use contract::QueryLimits;
use net::{Answer, Client, Incoming, Request};
use serde::de::DeserializeOwned;

use super::{
    ForeignSettings,
    error::{garbled, refused, unreached},
};
use crate::{Error, Result};

/// Longest answer that is held whole: lists, pages, a slice of samples.
const MAX_ANSWER: usize = 256 << 20;
/// Longest answer that is read as it comes in.
const MAX_STREAM: usize = 16 << 30;
/// Of an error's text no more is read.
const MAX_REFUSAL: usize = 64 << 10;

/// Names and values of a query or a form.
pub(super) type Form = Vec<(&'static str, String)>;

pub(super) struct Site {
    pub(super) name: String,
    base: String,
    client: Client,
    headers: Vec<(&'static str, String)>,
    timeout: Duration,
}

impl Site {
    pub(super) fn new(s: &ForeignSettings) -> Result<Self> {
        let bad = |wanted| Error::Setting { name: "url", value: s.url.clone(), wanted };
        let url = url::Url::parse(&s.url).map_err(|_| bad("a URL such as http://host:9090"))?;
        if !matches!(url.scheme(), "http" | "https") || url.host().is_none() {
            return Err(bad("http or https, and a host"));
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(bad("a URL without a query"));
        }
        let headers = s.tenant.iter().map(|t| ("x-scope-orgid", t.clone())).collect();
        Ok(Site {
            name: s.name.clone(),
            base: s.url.trim_end_matches('/').to_owned(),
            client: Client::with(s.http.clone()),
            headers,
            timeout: s.timeout,
        })
    }

    /// What a request may take: the peer's own time, or less where the query has less left.
    fn allowed(&self, limits: &QueryLimits) -> Duration {
        let left = limits.deadline.map(|d| d.saturating_duration_since(Instant::now()));
        left.map_or(self.timeout, |l| l.min(self.timeout))
    }

    pub(super) fn request(&self, path: &str, form: &Form) -> Request {
        match form.is_empty() {
            true => Request::get(format!("{}{path}", self.base)),
            false => Request::get(format!("{}{path}?{}", self.base, encoded(form))),
        }
    }

    /// A question that may be long, as a form in the body.
    pub(super) fn posted(&self, path: &str, form: &Form) -> Request {
        Request::post(format!("{}{path}", self.base), encoded(form))
            .header("content-type", "application/x-www-form-urlencoded")
    }

    pub(super) fn body(&self, path: &str, body: Vec<u8>) -> Request {
        Request::post(format!("{}{path}", self.base), body)
    }

    fn with_ours(&self, request: Request, limits: &QueryLimits, max_answer_bytes: usize) -> Request {
        let request = Request { timeout: self.allowed(limits), max_answer_bytes, ..request };
        self.headers.iter().fold(request, |r, (name, value)| r.header(name, value.clone()))
    }

    /// Whatever is answered, errors included.
    pub(super) async fn ask(&self, request: Request, limits: &QueryLimits) -> contract::Result<Answer> {
        limits.check_deadline()?;
        self.client.send(self.with_ours(request, limits, MAX_ANSWER)).await.map_err(unreached)
    }

    /// An answer that says yes.
    pub(super) async fn get(&self, request: Request, limits: &QueryLimits) -> contract::Result<Answer> {
        let answer = self.ask(request, limits).await?;
        match answer.status.is_success() {
            true => Ok(answer),
            false => Err(refused(&self.name, &answer)),
        }
    }

    /// The same as JSON.
    pub(super) async fn json<T: DeserializeOwned>(
        &self,
        request: Request,
        limits: &QueryLimits,
    ) -> contract::Result<T> {
        let answer = self.get(request, limits).await?;
        serde_json::from_slice(&answer.body).map_err(|e| garbled(&self.name, "JSON", e))
    }

    /// An answer that says yes, read as it comes in.
    pub(super) async fn open(&self, request: Request, limits: &QueryLimits) -> contract::Result<Incoming> {
        limits.check_deadline()?;
        let incoming =
            self.client.open(self.with_ours(request, limits, MAX_STREAM)).await.map_err(unreached)?;
        match incoming.status.is_success() {
            true => Ok(incoming),
            false => Err(self.refusal(incoming).await),
        }
    }

    async fn refusal(&self, mut incoming: Incoming) -> contract::Error {
        let mut body = Vec::new();
        while body.len() < MAX_REFUSAL
            && let Ok(Some(piece)) = incoming.next().await
        {
            body.extend_from_slice(&piece);
        }
        let answer = Answer { status: incoming.status, headers: incoming.headers, body: body.into() };
        refused(&self.name, &answer)
    }
}

fn encoded(form: &Form) -> String {
    url::form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish()
}

/// A text as one segment of a path.
pub(super) fn segment(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>().replace('+', "%20")
}

/// Seconds with milliseconds, as all these servers read times.
pub(super) fn seconds(ms: i64) -> String {
    let sign = if ms < 0 { "-" } else { "" };
    format!("{sign}{}.{:03}", ms.unsigned_abs() / 1000, ms.unsigned_abs() % 1000)
}
