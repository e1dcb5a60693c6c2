//! The parameters of `/api/traces`, read and checked.

use contract::SpanFilter;
use model::{AnyValue, TimeRange, TimestampNs};

use super::names;
use crate::{
    Error,
    params::{Params, bad},
};

/// Traces an answer holds where the client names no number, as in Jaeger.
const DEFAULT_LIMIT: usize = 100;
/// Traces an answer may hold at most.
const MAX_LIMIT: usize = 10_000;
/// How far back a search reaches where the client names no start, as in Jaeger.
const DEFAULT_LOOKBACK_NS: i64 = 48 * 3_600_000_000_000;

/// What is asked for.
#[derive(Debug, PartialEq)]
pub(super) enum Wanted {
    Traces(Vec<[u8; 16]>),
    Search(Search),
}

/// Traces with a span for which all of this holds.
#[derive(Debug, PartialEq)]
pub(super) struct Search {
    pub service: String,
    pub operation: Option<String>,
    pub tags: Vec<(String, String)>,
    /// In which the span begins.
    pub range: TimeRange,
    pub min_duration_ns: Option<i64>,
    pub max_duration_ns: Option<i64>,
    pub limit: usize,
}

impl Wanted {
    /// Trace ids win over everything else, as in Jaeger.
    pub fn read(params: &Params, now_ns: i64) -> Result<Self, Error> {
        let ids: Vec<_> = params
            .all("traceID")
            .filter(|t| !t.is_empty())
            .map(|t| trace_id(t).ok_or_else(|| bad("traceID", t, "it must be 1 to 32 hexadecimal digits")))
            .collect::<Result<_, _>>()?;
        if ids.len() > MAX_LIMIT {
            return Err(Error::invalid(format!("more than {MAX_LIMIT} trace ids are asked for")));
        }
        if !ids.is_empty() {
            return Ok(Wanted::Traces(ids));
        }
        Search::read(params, now_ns).map(Wanted::Search)
    }
}

impl Search {
    fn read(params: &Params, now_ns: i64) -> Result<Self, Error> {
        let service = params
            .get("service")
            .ok_or_else(|| Error::invalid("parameter 'service' is required"))?
            .to_owned();
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
        let limit = match params.get("limit") {
            None => DEFAULT_LIMIT,
            Some(text) => match text.parse::<usize>() {
                Ok(n) if n > 0 => n.min(MAX_LIMIT),
                _ => return Err(bad("limit", text, "it must be a positive number")),
            },
        };
        let range = range(params, now_ns)?;
        Ok(Search { service, operation, tags, range, min_duration_ns: min, max_duration_ns: max, limit })
    }

    /// Filters for the `Select`, and tags that only the translated span can answer. `error=true` has two
    /// spellings, the status and a tag, so there may be several lists of filters: a span passes one of them.
    pub fn filters(&self) -> (Vec<Vec<SpanFilter>>, Vec<(String, String)>) {
        let mut base = vec![SpanFilter::Service(self.service.clone())];
        base.extend(self.operation.clone().map(SpanFilter::Name));
        base.extend(self.min_duration_ns.map(SpanFilter::MinDurationNs));
        base.extend(self.max_duration_ns.map(SpanFilter::MaxDurationNs));
        let (mut translated, mut error) = (Vec::new(), None);
        for (key, value) in &self.tags {
            let plain = SpanFilter::Attribute(key.clone(), AnyValue::String(value.clone()));
            match (key.as_str(), value.as_str()) {
                ("error", "true") => error = Some(plain),
                ("error", "false") => base.push(SpanFilter::Error(false)),
                ("otel.status_code", "ERROR") => base.push(SpanFilter::Error(true)),
                ("span.kind", v) if names::kind(v).is_some() => {
                    base.extend(names::kind(v).map(SpanFilter::Kind));
                }
                (k, _) if super::tags::MADE.contains(&k) => translated.push((key.clone(), value.clone())),
                _ => base.push(plain),
            }
        }
        let Some(tag) = error else { return (vec![base], translated) };
        let (mut by_status, mut by_tag) = (base.clone(), base);
        by_status.push(SpanFilter::Error(true));
        by_tag.push(tag);
        (vec![by_status, by_tag], translated)
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

/// A time in microseconds, as nanoseconds.
pub(super) fn time_ns(params: &Params, name: &str) -> Result<Option<i64>, Error> {
    let Some(text) = params.get(name) else { return Ok(None) };
    let us: Option<i64> = text.parse().ok();
    us.and_then(|t| t.checked_mul(1000))
        .map(Some)
        .ok_or_else(|| bad(name, text, "it must be microseconds since 1970"))
}

fn duration_ns(params: &Params, name: &str) -> Result<Option<i64>, Error> {
    let Some(text) = params.get(name) else { return Ok(None) };
    let ns = logql::units::parse_duration(text).filter(|d| *d >= 0);
    ns.map(|d| (d > 0).then_some(d))
        .ok_or_else(|| bad(name, text, "it must be a duration such as 1.2s or 100ms"))
}

/// `{"key":"value"}`, or logfmt as people type it into the search form.
fn read_tags(text: &str) -> Result<Vec<(String, String)>, Error> {
    if text.trim_start().starts_with('{') {
        let map: serde_json::Map<String, serde_json::Value> = serde_json::from_str(text).map_err(|e| {
            bad("tags", text, &format!("malformed 'tags' parameter, cannot unmarshal JSON: {e}"))
        })?;
        return map
            .into_iter()
            .map(|(k, v)| match v {
                serde_json::Value::String(s) => Ok((k, s)),
                v @ (serde_json::Value::Bool(_) | serde_json::Value::Number(_)) => Ok((k, v.to_string())),
                _ => Err(bad("tags", text, "values must be strings, numbers or booleans")),
            })
            .collect();
    }
    let mut out = Vec::new();
    logql::pipeline::logfmt::decode(text, true, &mut |k, v| out.push((k.to_owned(), v.to_owned())))
        .map_err(|e| bad("tags", text, &e))?;
    Ok(out)
}

/// 1 to 32 hexadecimal digits; shorter ones are the low end.
pub(super) fn trace_id(text: &str) -> Option<[u8; 16]> {
    if text.is_empty() || text.len() > 32 || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
        return None;
    }
    u128::from_str_radix(text, 16).ok().map(u128::to_be_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(query: &str) -> Result<Wanted, Error> {
        Wanted::read(&Params::from_query(query), 1_700_000_000_000_000_000)
    }

    fn search(query: &str) -> Search {
        match read(query) {
            Ok(Wanted::Search(s)) => s,
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

    #[test]
    fn an_error_is_a_status_or_a_tag() {
        let (alternatives, translated) = search("service=a&tag=error:true&tag=otel.scope.name:lib").filters();
        assert_eq!(alternatives.len(), 2);
        assert!(alternatives[0].contains(&SpanFilter::Error(true)));
        assert_eq!(translated, [("otel.scope.name".to_owned(), "lib".to_owned())]);
    }
}
