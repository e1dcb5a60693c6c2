//! The parameters of version 1 of the API, read and checked.

use model::{TimeRange, TimestampNs};

use super::search::{self, MAX_LIMIT, Search};
use crate::{
    Error,
    params::{Params, bad},
};

/// How far back a search reaches where the client names no start, as in Jaeger.
const DEFAULT_LOOKBACK_NS: i64 = 48 * 3_600_000_000_000;

/// What is asked for.
#[derive(Debug)]
pub(super) enum Wanted {
    Traces(Vec<[u8; 16]>),
    Search(Box<Search>),
}

impl Wanted {
    /// Trace ids win over everything else, as in Jaeger.
    pub fn read(params: &Params, now_ns: i64) -> Result<Self, Error> {
        let ids: Vec<_> = params
            .all("traceID")
            .filter(|t| !t.is_empty())
            .map(search::trace_id)
            .collect::<Result<_, _>>()?;
        if ids.len() > MAX_LIMIT {
            return Err(Error::invalid(format!("more than {MAX_LIMIT} trace ids are asked for")));
        }
        if !ids.is_empty() {
            return Ok(Wanted::Traces(ids));
        }
        search_of(params, now_ns).map(|s| Wanted::Search(Box::new(s)))
    }
}

fn search_of(params: &Params, now_ns: i64) -> Result<Search, Error> {
    let operation = params.get("operation").filter(|o| *o != "all").map(str::to_owned);
    let mut tags = Vec::new();
    for pair in params.all("tag") {
        let (key, value) = pair
            .split_once(':')
            .ok_or_else(|| bad("tag", pair, "malformed 'tag' parameter, expecting key:value"))?;
        tags.push((key.to_owned(), value.to_owned()));
    }
    for text in params.all("tags").filter(|t| !t.is_empty()) {
        tags.extend(read_tags(text)?);
    }
    let (min, max) = (duration_ns(params, "minDuration")?, duration_ns(params, "maxDuration")?);
    if let (Some(min), Some(max)) = (min, max)
        && max < min
    {
        return Err(Error::invalid("'maxDuration' should be greater than 'minDuration'"));
    }
    let search = Search {
        service: params.get("service").map(str::to_owned),
        operation,
        tags,
        range: range(params, now_ns)?,
        min_duration_ns: min,
        max_duration_ns: max,
        limit: search::limit("limit", params.get("limit"))?,
        filter: None,
    };
    match search.has_condition() {
        true => Ok(search),
        // Without any condition it is rather a request that lost its parameters.
        false => Err(Error::invalid("parameter 'service' is required")),
    }
}

/// `start` and `end` in microseconds since 1970, both included; `lookback` counts back from the end.
fn range(params: &Params, now_ns: i64) -> Result<TimeRange, Error> {
    let end = time_ns(params, "end")?.unwrap_or(now_ns);
    let start = match (time_ns(params, "start")?, params.get("lookback")) {
        (Some(start), _) => start,
        (None, None | Some("custom")) => end.saturating_sub(DEFAULT_LOOKBACK_NS),
        (None, Some(text)) => {
            let back = logql::units::parse_duration(text).filter(|d| *d > 0);
            end.saturating_sub(back.ok_or_else(|| bad("lookback", text, "it must be a duration such as 1h"))?)
        }
    };
    if end < start {
        return Err(Error::invalid("'end' must not be before 'start'"));
    }
    // The last microsecond is part of the range.
    Ok(TimeRange::new(TimestampNs(start), TimestampNs(end.saturating_add(1000))))
}

/// The range of a trace that is asked for by id: all of time unless narrowed.
pub(super) fn trace_range(params: &Params) -> Result<TimeRange, Error> {
    let start = time_ns(params, "start")?.unwrap_or(TimeRange::ALL.start.0);
    let end = time_ns(params, "end")?.map_or(TimeRange::ALL.end.0, |t| t.saturating_add(1000));
    Ok(TimeRange::new(TimestampNs(start), TimestampNs(end)))
}

/// A time in microseconds, as nanoseconds.
fn time_ns(params: &Params, name: &str) -> Result<Option<i64>, Error> {
    let Some(text) = params.get(name) else { return Ok(None) };
    let us: Option<i64> = text.parse().ok();
    us.and_then(|t| t.checked_mul(1000))
        .map(Some)
        .ok_or_else(|| bad(name, text, "it must be microseconds since 1970"))
}

/// Whole milliseconds, as times and durations of dependencies and metrics are.
pub(super) fn ms(params: &Params, name: &str) -> Result<Option<i64>, Error> {
    let Some(text) = params.get(name) else { return Ok(None) };
    // A thousandth of what 64 bits hold: sums and nanoseconds of it still fit.
    let ms = text.parse::<i64>().ok().filter(|ms| (0..=i64::MAX / 2_000_000).contains(ms));
    ms.map(Some).ok_or_else(|| bad(name, text, "it must be milliseconds"))
}

/// A flag as Go reads one.
pub(super) fn flag(params: &Params, name: &str) -> Result<bool, Error> {
    match params.get(name) {
        None => Ok(false),
        Some("1" | "t" | "T" | "true" | "TRUE" | "True") => Ok(true),
        Some("0" | "f" | "F" | "false" | "FALSE" | "False") => Ok(false),
        Some(other) => Err(bad(name, other, "it must be true or false")),
    }
}

/// A duration in Go's spelling; zero is none.
pub(super) fn duration_ns(params: &Params, name: &str) -> Result<Option<i64>, Error> {
    let Some(text) = params.get(name) else { return Ok(None) };
    let ns = logql::units::parse_duration(text).filter(|d| *d >= 0);
    ns.map(|d| (d > 0).then_some(d))
        .ok_or_else(|| bad(name, text, "it must be a duration such as 1.2s or 100ms"))
}

/// `{"key":"value"}`, or logfmt as people type it into the search form.
fn read_tags(text: &str) -> Result<Vec<(String, String)>, Error> {
    if text.trim_start().starts_with('{') {
        return tags_json("tags", text);
    }
    let mut out = Vec::new();
    logql::pipeline::logfmt::decode(text, true, &mut |k, v| out.push((k.to_owned(), v.to_owned())))
        .map_err(|e| bad("tags", text, &e))?;
    Ok(out)
}

/// `{"key":"value"}`; numbers and booleans are taken too.
pub(super) fn tags_json(name: &str, text: &str) -> Result<Vec<(String, String)>, Error> {
    use serde_json::{Map, Value};
    let unreadable =
        |e| bad(name, text, &format!("malformed '{name}' parameter, cannot unmarshal JSON: {e}"));
    let map: Map<String, Value> = serde_json::from_str(text).map_err(unreadable)?;
    map.into_iter()
        .map(|(k, v)| match v {
            Value::String(s) => Ok((k, s)),
            v @ (Value::Bool(_) | Value::Number(_)) => Ok((k, v.to_string())),
            _ => Err(bad(name, text, "values must be strings, numbers or booleans")),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(query: &str) -> Result<Wanted, Error> {
        Wanted::read(&Params::from_query(query), 1_700_000_000_000_000_000)
    }

    fn search(query: &str) -> Search {
        match read(query) {
            Ok(Wanted::Search(s)) => *s,
            other => panic!("{query}: {other:?}"),
        }
    }

    #[test]
    fn tags_come_as_pairs_as_json_or_as_logfmt() {
        let pair = |k: &str, v: &str| (k.to_owned(), v.to_owned());
        let s = search("service=a&tag=x:1&tag=u:http://h&tags=%7B%22y%22:%22z%22,%22n%22:5%7D");
        assert_eq!(s.tags, [pair("x", "1"), pair("u", "http://h"), pair("y", "z"), pair("n", "5")]);
        assert_eq!(
            search("service=a&tags=http.status_code%3D200+error%3D%22a+b%22").tags,
            [pair("http.status_code", "200"), pair("error", "a b")]
        );
    }

    #[test]
    fn times_are_microseconds_and_the_last_one_is_included() {
        let s = search("service=a&start=1000000&end=2000000&minDuration=1.5ms&maxDuration=2s&limit=7");
        assert_eq!(s.range, TimeRange::new(TimestampNs(1_000_000_000), TimestampNs(2_000_001_000)));
        assert_eq!(
            (s.min_duration_ns, s.max_duration_ns, s.limit),
            (Some(1_500_000), Some(2_000_000_000), 7)
        );
        let hour = search("service=a&end=7200000000&lookback=1h");
        assert_eq!(hour.range.start, TimestampNs(3_600_000_000_000));
    }

    #[test]
    fn a_search_needs_some_condition_but_no_service() {
        assert_eq!(search("operation=GET").service, None);
        assert_eq!(search("tag=a:b").service, None);
        assert!(read("limit=5").is_err());
    }

    #[test]
    fn what_cannot_be_read_is_named() {
        for (query, what) in [
            ("", "'service' is required"),
            ("service=a&tag=x", "key:value"),
            ("service=a&tags={", "malformed 'tags'"),
            ("service=a&start=yesterday", "microseconds"),
            ("service=a&limit=0", "\"limit\""),
            ("service=a&minDuration=2s&maxDuration=1s", "'maxDuration' should be greater"),
            ("traceID=xyz", "hexadecimal"),
            ("service=a&start=2&end=1", "must not be before"),
        ] {
            let e = read(query).expect_err(query).to_string();
            assert!(e.contains(what), "{query}: {e}");
        }
    }
}
