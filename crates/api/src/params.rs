//! Parameters of a query: the query string and, with POST, the form in the body; both count, names may
//! repeat (`match[]`). Times and durations as Prometheus and Loki take them.

mod times;

use std::time::Duration;

use axum::extract::Request;
use base::memory::Use;
use http::{Method, header};

pub use times::{duration, format_duration, format_rfc3339, rfc3339_ns};

use crate::{AppState, Error, body};

/// A form larger than this is no query. Prometheus' own bound.
const MAX_FORM_BYTES: usize = 10 << 20;

/// Name and value pairs in the order given.
#[derive(Debug, Clone, Default)]
pub struct Params(Vec<(String, String)>);

impl Params {
    /// Reads the form body, where there is one, and the query string, which counts behind it as in Go.
    pub async fn read(state: &AppState, request: Request) -> Result<Self, Error> {
        let (head, incoming) = request.into_parts();
        let mut pairs = Vec::new();
        if head.method == Method::POST || head.method == Method::PUT {
            let media =
                head.headers.get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or_default();
            if media.starts_with("application/x-www-form-urlencoded") {
                let form = body::read(state, &head.headers, incoming, MAX_FORM_BYTES, "the form", Use::Query)
                    .await?;
                pairs.extend(parse(&form.bytes));
            }
        }
        pairs.extend(parse(head.uri.query().unwrap_or_default().as_bytes()));
        Ok(Params(pairs))
    }

    /// What was said elsewhere than in a form, and the query string behind it.
    pub fn from_pairs(mut pairs: Vec<(String, String)>, query: &str) -> Self {
        pairs.extend(parse(query.as_bytes()));
        Params(pairs)
    }

    pub fn from_query(query: &str) -> Self {
        Params(parse(query.as_bytes()))
    }

    /// The first value, absent when empty.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(n, v)| n == name && !v.is_empty()).map(|(_, v)| v.as_str())
    }

    pub fn require(&self, name: &str) -> Result<&str, Error> {
        self.get(name).ok_or_else(|| Error::invalid(format!("parameter {name:?} is missing")))
    }

    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(n, _)| n == name).map(|(_, v)| v.as_str())
    }

    /// Every pair in its order, those without a value too.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(n, v)| (n.as_str(), v.as_str()))
    }

    /// A count, where 0 means no limit as in Prometheus.
    pub fn limit(&self, name: &str) -> Result<Option<usize>, Error> {
        let Some(text) = self.get(name) else { return Ok(None) };
        match text.parse::<i64>() {
            Ok(n) if n >= 0 => Ok((n > 0).then_some(n as usize)),
            Ok(_) => Err(bad(name, text, "it must not be negative")),
            Err(_) => Err(bad(name, text, "it must be a number")),
        }
    }

    /// Seconds since 1970 with a fraction, or RFC 3339; in milliseconds.
    pub fn time_ms(&self, name: &str) -> Result<Option<i64>, Error> {
        let Some(text) = self.get(name) else { return Ok(None) };
        times::prometheus_ms(text)
            .map(Some)
            .ok_or_else(|| bad(name, text, "it must be Unix seconds or an RFC 3339 time"))
    }

    /// One end of a stretch of time in milliseconds; a time beyond everything is the farthest there is.
    pub fn bound_ms(&self, name: &str) -> Result<Option<i64>, Error> {
        let Some(text) = self.get(name) else { return Ok(None) };
        times::prometheus_bound_ms(text)
            .map(Some)
            .ok_or_else(|| bad(name, text, "it must be Unix seconds or an RFC 3339 time"))
    }

    /// Loki's rules: nanoseconds when whole and of 11 digits or more, else seconds, else RFC 3339.
    pub fn loki_time_ns(&self, name: &str) -> Result<Option<i64>, Error> {
        let Some(text) = self.get(name) else { return Ok(None) };
        times::loki_ns(text)
            .map(Some)
            .ok_or_else(|| bad(name, text, "it must be Unix nanoseconds or seconds or an RFC 3339 time"))
    }

    /// Seconds as a number, or a duration such as `1h30m`.
    pub fn duration(&self, name: &str) -> Result<Option<Duration>, Error> {
        let Some(text) = self.get(name) else { return Ok(None) };
        duration(text)
            .map(Some)
            .ok_or_else(|| bad(name, text, "it must be seconds or a duration such as 1m30s"))
    }
}

/// The error of one parameter, in Prometheus' words so that clients that match on them understand.
pub fn bad(name: &str, value: &str, reason: &str) -> Error {
    let short: String = value.chars().take(100).collect();
    Error::invalid(format!("invalid parameter {name:?}: {short:?}: {reason}"))
}

fn parse(bytes: &[u8]) -> Vec<(String, String)> {
    url::form_urlencoded::parse(bytes).into_owned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_may_repeat_and_empty_values_count_as_absent() {
        let p = Params::from_query("match[]=a&match%5B%5D=b+c&time=&limit=0&timeout=1m");
        assert_eq!(p.all("match[]").collect::<Vec<_>>(), ["a", "b c"]);
        assert_eq!(p.get("time"), None);
        assert_eq!(p.limit("limit").unwrap(), None);
        assert_eq!(p.duration("timeout").unwrap(), Some(Duration::from_secs(60)));
    }

    #[test]
    fn a_wrong_value_is_named_with_its_parameter() {
        let p = Params::from_query("limit=-1&time=yesterday");
        assert!(p.limit("limit").unwrap_err().to_string().contains("\"limit\""));
        assert!(p.time_ms("time").unwrap_err().to_string().contains("\"yesterday\""));
    }
}
