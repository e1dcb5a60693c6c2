//! What destinations over HTTP share: addresses, headers, and what an answer means before the protocol has its say.

use std::{io::Write, time::Duration};

use base::Clock;
use bytes::Bytes;
use flate2::{Compression, write::GzEncoder};
use model::TenantId;
use net::{Answer, Client, Request, Settings};

use super::{BATCH_HEADER, Delivery, ITEMS_HEADER, Outcome, STORED_HEADER, batch_text};
use crate::{Error, Result};

/// An answer is at most this long: that of a bulk request has a line per item.
const MAX_ANSWER: usize = 16 << 20;
/// About what goes over the wire beside the bodies of a request and its answer.
pub(crate) const HEAD_BYTES: usize = 500;
/// With somebody else to ask, nobody is waited for longer, so that failing over takes less than 10 s.
const IMPATIENT: Duration = Duration::from_secs(4);

/// Which tenant the other side is told.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum TenantHeader {
    /// None.
    #[default]
    Off,
    /// The tenant of the items, in `X-Scope-OrgID`; none for `default`, which is whom a request without one is of, and
    /// which receivers without tenants, or with numbers for them, turn down.
    Own,
    /// Always this one.
    Fixed(String),
}

impl TenantHeader {
    pub(crate) fn value(&self, delivery: &Delivery) -> Option<String> {
        match self {
            TenantHeader::Off => None,
            TenantHeader::Own => {
                (delivery.tenant != TenantId::default()).then(|| delivery.tenant.to_string())
            }
            TenantHeader::Fixed(name) => Some(name.clone()),
        }
    }
}

/// How a destination is reached.
#[derive(Debug, Clone, PartialEq)]
pub struct HttpOptions {
    /// In order of preference.
    pub urls: Vec<String>,
    pub settings: Settings,
    /// Of one attempt, to the last byte of the answer; at most 4 s where there is more than one address.
    pub timeout: Duration,
    pub tenant: TenantHeader,
}

impl HttpOptions {
    pub fn new(urls: impl IntoIterator<Item = impl Into<String>>) -> Self {
        HttpOptions {
            urls: urls.into_iter().map(Into::into).collect(),
            settings: Settings::default(),
            timeout: Duration::from_secs(30),
            tenant: TenantHeader::default(),
        }
    }
}

pub(crate) struct Http {
    client: Client,
    urls: Vec<String>,
    timeout: Duration,
    tenant: TenantHeader,
    clock: Clock,
}

impl Http {
    /// `path` is put behind URLs that have none, and where `end` is given behind all that do not end with it: those
    /// lead to where the receiver's API begins.
    pub(crate) fn new(
        name: &str,
        o: HttpOptions,
        (path, end): (&str, Option<&str>),
        clock: Clock,
    ) -> Result<Self> {
        let mut urls = Vec::new();
        for url in &o.urls {
            let parsed = check_url(name, url)?;
            let given = parsed.path().trim_end_matches('/').to_owned();
            let mut whole = parsed;
            if !path.is_empty() && (given.is_empty() || end.is_some_and(|end| !given.ends_with(end))) {
                whole.set_path(&format!("{given}{path}"));
            }
            urls.push(whole.to_string());
        }
        if urls.is_empty() {
            return Err(setting(name, "no address", "at least one URL"));
        }
        let timeout = patience(o.timeout, urls.len());
        Ok(Http { client: Client::with(o.settings), urls, timeout, tenant: o.tenant, clock })
    }

    pub(crate) fn addresses(&self) -> usize {
        self.urls.len()
    }

    pub(crate) fn url(&self, address: usize) -> &str {
        self.urls.get(address).or(self.urls.first()).map_or("", String::as_str)
    }

    /// Sends, and gives an answer of success back; anything else is judged here.
    pub(crate) async fn post(
        &self,
        url: &str,
        delivery: &Delivery,
        body: Bytes,
        headers: &[(&'static str, &str)],
    ) -> Result<Answer, Outcome> {
        let answer = self.exchange(url, delivery, body, headers).await?;
        match self.judge(&answer) {
            None => Ok(answer),
            // Another node says what is stored of a request that it refused in part.
            Some(Outcome::Refused { reason, detail }) => {
                match answer.header(STORED_HEADER).trim().parse::<u64>() {
                    Ok(stored) => {
                        Err(Outcome::partly(&reason, delivery.items().saturating_sub(stored), detail))
                    }
                    Err(_) => Err(Outcome::Refused { reason, detail }),
                }
            }
            Some(outcome) => Err(outcome),
        }
    }

    /// Sends, and gives the answer back whatever its status is.
    pub(crate) async fn exchange(
        &self,
        url: &str,
        delivery: &Delivery,
        body: Bytes,
        headers: &[(&'static str, &str)],
    ) -> Result<Answer, Outcome> {
        delivery.meter.sent(body.len() + HEAD_BYTES);
        let mut request =
            Request { timeout: self.timeout, max_answer_bytes: MAX_ANSWER, ..Request::post(url, body) };
        for (name, value) in headers {
            request = request.header(name, *value);
        }
        request = request.header(BATCH_HEADER, batch_text(delivery.id));
        request = request.header(ITEMS_HEADER, delivery.items().to_string());
        if let Some(tenant) = self.tenant.value(delivery) {
            request = request.header("x-scope-orgid", tenant);
        }
        self.client.send(request).await.map_err(|e| Outcome::down(e.to_string()))
    }

    pub(crate) fn clock(&self) -> &Clock {
        &self.clock
    }

    pub(crate) fn judge(&self, answer: &Answer) -> Option<Outcome> {
        judge(answer, self.clock.now_ns())
    }
}

/// A URL of http or https with a host.
pub(crate) fn check_url(name: &str, url: &str) -> Result<url::Url> {
    let parsed = url::Url::parse(url).ok().filter(|u| u.has_host());
    parsed
        .filter(|u| matches!(u.scheme(), "http" | "https"))
        .ok_or_else(|| setting(name, url, "http:// or https:// with a host"))
}

pub(crate) fn setting(name: &str, value: &str, wanted: &'static str) -> Error {
    Error::Setting { destination: name.to_owned(), name: "url", value: value.to_owned(), wanted }
}

pub(crate) fn patience(timeout: Duration, addresses: usize) -> Duration {
    if addresses > 1 { timeout.min(IMPATIENT) } else { timeout }
}

/// What the status says, none for success.
///
/// Who may not send (401, 403, 407) waits, and who finds nobody that takes items there (404, 405): nothing is wrong with
/// the items, and the queue is there to hold them until somebody has put credentials, address or receiver right. So does
/// who is asked to (408, 425, 429) and whose server fails.
fn judge(answer: &Answer, now_ns: i64) -> Option<Outcome> {
    let status = answer.status.as_u16();
    let detail = format!("{status} {}", answer.excerpt());
    let after = retry_after(answer.header("retry-after"), now_ns);
    match status {
        200..=299 if answer.header("content-type").starts_with("text/html") => {
            Some(Outcome::down(format!("a web page answers instead of the receiver: {detail}")))
        }
        200..=299 => None,
        413 => Some(Outcome::TooLarge { detail }),
        // Nobody takes this signal there; the address may be right for others.
        404 | 405 | 408 | 425 | 429 => Some(Outcome::Later { after, down: false, detail }),
        400..=499 if !matches!(status, 401 | 403 | 407) => {
            Some(Outcome::refused(format!("http_{status}"), detail))
        }
        _ => Some(Outcome::Later { after, down: true, detail }),
    }
}

/// `Retry-After` (RFC 9110 §10.2.3): seconds, or a date.
pub(crate) fn retry_after(value: &str, now_ns: i64) -> Option<Duration> {
    let value = value.trim();
    if let Ok(seconds) = value.parse::<u64>() {
        return Some(Duration::from_secs(seconds));
    }
    let at_s = http_date(value)?;
    Some(Duration::from_secs(u64::try_from(at_s - now_ns.div_euclid(1_000_000_000)).unwrap_or(0)))
}

/// `Sun, 06 Nov 1994 08:49:37 GMT`, as seconds since 1970.
fn http_date(text: &str) -> Option<i64> {
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let (_, rest) = text.strip_suffix(" GMT")?.split_once(", ")?;
    let mut words = rest.split(' ');
    let day: i64 = words.next()?.parse().ok()?;
    let name = words.next()?;
    let month = MONTHS.iter().position(|m| *m == name)? as i64 + 1;
    let year: i64 = words.next()?.parse().ok().filter(|y| (1970..10_000).contains(y))?;
    let mut time = words.next()?.splitn(3, ':').map(|n| n.parse::<i64>().ok());
    let (h, m, s) = (time.next()??, time.next()??, time.next()??);
    let in_range =
        (1..=31).contains(&day) && (0..24).contains(&h) && (0..60).contains(&m) && (0..=60).contains(&s);
    in_range.then(|| wire::dates::days_from_civil(year, month, day) * 86_400 + h * 3600 + m * 60 + s)
}

/// Packed with gzip at its fastest; the same bytes for the same bytes.
pub(crate) fn gzip(body: &[u8]) -> Bytes {
    let mut packed = GzEncoder::new(Vec::with_capacity(body.len() / 3), Compression::fast());
    // Writing into memory cannot fail.
    let written = packed.write_all(body).and_then(|()| packed.finish());
    written.map(Bytes::from).unwrap_or_default()
}

/// Fails only for bodies of 4 GiB and more.
pub(crate) fn snappy(body: &[u8]) -> Result<Bytes, Outcome> {
    snap::raw::Encoder::new()
        .compress_vec(body)
        .map(Bytes::from)
        .map_err(|e| Outcome::TooLarge { detail: e.to_string() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_is_given_in_seconds_or_as_a_date() {
        let now = 784_111_777 * 1_000_000_000 - 5_000_000_000;
        assert_eq!(retry_after("120", now), Some(Duration::from_secs(120)));
        assert_eq!(retry_after("Sun, 06 Nov 1994 08:49:37 GMT", now), Some(Duration::from_secs(5)));
        assert_eq!(retry_after("Sun, 06 Nov 1994 08:49:07 GMT", now), Some(Duration::ZERO));
        for not in ["", "soon", "Sun, 06 Foo 1994 08:49:37 GMT", "Sun, 06 Nov 1994 28:49:37 GMT", "-1"] {
            assert_eq!(retry_after(not, now), None, "{not}");
        }
    }

    #[test]
    fn an_address_is_http_with_a_host_and_gets_the_usual_path() {
        let at = |url: &str, end| {
            let http = Http::new("hub", HttpOptions::new([url]), ("/api/push", end), Clock::system());
            http.map(|h| h.url(0).to_owned())
        };
        for (url, alone, by_end) in [
            ("http://h:1", "http://h:1/api/push", "http://h:1/api/push"),
            ("http://h:1/?x=1", "http://h:1/api/push?x=1", "http://h:1/api/push?x=1"),
            ("http://h:1/push?x=1", "http://h:1/push?x=1", "http://h:1/push?x=1"),
            ("http://h:1/below", "http://h:1/below", "http://h:1/below/api/push"),
            ("http://h:1/below/", "http://h:1/below/", "http://h:1/below/api/push"),
        ] {
            assert_eq!(at(url, None).unwrap(), alone);
            assert_eq!(at(url, Some("/push")).unwrap(), by_end);
        }
        for bad in ["h:1", "ftp://h", "http://", ""] {
            let e = at(bad, None).unwrap_err().to_string();
            assert!(e.starts_with("url of destination hub is"), "{e}");
        }
    }
}
