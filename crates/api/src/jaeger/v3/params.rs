//! Parameters of version 3: in lower camel case as protobuf's JSON has them, or in the older snake case; the same as the
//! body of a POST.

use model::{TimeRange, TimestampNs};
use serde_json::Value;

use crate::{
    Error,
    jaeger::{
        asked::tags_json,
        filter::Filter,
        search::{self, Search},
    },
    params::{Params, bad, rfc3339_ns},
};

/// Parameters that have two names.
pub trait Aliases {
    /// The name that was given, the first if none was, and the value.
    fn either<'a>(&'a self, camel: &'static str, snake: &'static str) -> (&'static str, Option<&'a str>);

    /// RFC 3339, in nanoseconds.
    fn time(&self, camel: &'static str, snake: &'static str) -> Result<Option<i64>, Error>;

    fn flag(&self, camel: &'static str, snake: &'static str) -> Result<bool, Error>;
}

impl Aliases for Params {
    fn either<'a>(&'a self, camel: &'static str, snake: &'static str) -> (&'static str, Option<&'a str>) {
        match (self.get(camel), self.get(snake)) {
            (None, Some(v)) => (snake, Some(v)),
            (v, _) => (camel, v),
        }
    }

    fn time(&self, camel: &'static str, snake: &'static str) -> Result<Option<i64>, Error> {
        let (name, Some(text)) = self.either(camel, snake) else { return Ok(None) };
        rfc3339_ns(text).map(Some).ok_or_else(|| bad(name, text, "it must be an RFC 3339 time"))
    }

    fn flag(&self, camel: &'static str, snake: &'static str) -> Result<bool, Error> {
        let (name, text) = self.either(camel, snake);
        match text {
            None | Some("false" | "0") => Ok(false),
            Some("true" | "1") => Ok(true),
            Some(other) => Err(bad(name, other, "it must be true or false")),
        }
    }
}

/// The range of a trace that is asked for by id: all of time unless narrowed.
pub fn trace_range(p: &Params) -> Result<TimeRange, Error> {
    let start = p.time("startTime", "start_time")?.unwrap_or(TimeRange::ALL.start.0);
    let end = p.time("endTime", "end_time")?.map_or(TimeRange::ALL.end.0, |t| t.saturating_add(1));
    Ok(TimeRange::new(TimestampNs(start), TimestampNs(end)))
}

/// The search, and whether its traces are wanted as stored.
pub fn query(p: &Params) -> Result<(Search, bool), Error> {
    let text = |camel, snake| p.either(camel, snake).1.map(str::to_owned);
    let min = p.time("query.startTimeMin", "query.start_time_min")?;
    let max = p.time("query.startTimeMax", "query.start_time_max")?;
    let (Some(min), Some(max)) = (min, max) else {
        return Err(Error::invalid("query.startTimeMin and query.startTimeMax are required"));
    };
    if min >= max {
        return Err(Error::invalid("query.startTimeMin must be before query.startTimeMax"));
    }
    let mut depth = p.either("query.searchDepth", "query.search_depth");
    if depth.1.is_none() {
        depth = p.either("query.numTraces", "query.num_traces");
    }
    let search = Search {
        service: text("query.serviceName", "query.service_name"),
        operation: text("query.operationName", "query.operation_name"),
        tags: p.get("query.attributes").map_or(Ok(Vec::new()), |t| tags_json("query.attributes", t))?,
        range: TimeRange::new(TimestampNs(min), TimestampNs(max)),
        min_duration_ns: duration(p, "query.durationMin", "query.duration_min")?,
        max_duration_ns: duration(p, "query.durationMax", "query.duration_max")?,
        limit: search::limit(depth.0, depth.1)?,
        filter: p.get("query.filter").map(Filter::from_json).transpose()?,
    };
    Ok((search.checked()?, p.flag("query.rawTraces", "query.raw_traces")?))
}

/// Go's spelling, of which protobuf's `1.5s` is one; zero is none.
fn duration(p: &Params, camel: &'static str, snake: &'static str) -> Result<Option<i64>, Error> {
    let (name, Some(text)) = p.either(camel, snake) else { return Ok(None) };
    let ns = logql::units::parse_duration(text).filter(|d| *d >= 0);
    ns.map(|d| (d > 0).then_some(d))
        .ok_or_else(|| bad(name, text, "it must be a duration such as 1.2s or 100ms"))
}

/// `{"query":{"serviceName":"a",…}}` as the parameters it stands for.
pub fn of_json(body: &[u8]) -> Result<Vec<(String, String)>, Error> {
    let unreadable = |why: String| Error::invalid(format!("the query is not valid JSON: {why}"));
    let json: Value = serde_json::from_slice(body).map_err(|e| unreadable(e.to_string()))?;
    let query = json.get("query").and_then(Value::as_object);
    let query = query.ok_or_else(|| unreadable("it has no object \"query\"".to_owned()))?;
    let text = |v: &Value| v.as_str().map_or_else(|| v.to_string(), str::to_owned);
    let given = query.iter().filter(|(_, v)| !v.is_null());
    Ok(given.map(|(name, v)| (format!("query.{name}"), text(v))).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIMES: &str = "query.startTimeMin=2023-11-14T00:00:00Z&query.startTimeMax=2023-11-15T00:00:00Z";

    fn read(more: &str) -> Result<(Search, bool), Error> {
        query(&Params::from_query(&format!("{TIMES}&{more}")))
    }

    #[test]
    fn both_spellings_and_a_body_mean_the_same() {
        let camel = "query.serviceName=a&query.operationName=b&query.attributes=%7B%22k%22:%22v%22%7D&query.durationMin=1.5ms&query.durationMax=2s&query.searchDepth=7&query.rawTraces=true";
        let snake = "query.service_name=a&query.operation_name=b&query.attributes=%7B%22k%22:%22v%22%7D&query.duration_min=1.5ms&query.duration_max=2s&query.num_traces=7&query.raw_traces=1";
        let body = br#"{"query":{"serviceName":"a","operation_name":"b","attributes":{"k":"v"},"durationMin":"0.0015s","durationMax":"2s","searchDepth":7,"rawTraces":true,"filter":null}}"#;
        let pairs = of_json(body).unwrap();
        let posted = query(&Params::from_pairs(pairs, TIMES)).unwrap();
        for (s, raw) in [read(camel).unwrap(), read(snake).unwrap(), posted] {
            assert_eq!((s.service.as_deref(), s.operation.as_deref()), (Some("a"), Some("b")));
            assert_eq!(s.tags, [("k".to_owned(), "v".to_owned())]);
            assert_eq!((s.min_duration_ns, s.max_duration_ns), (Some(1_500_000), Some(2_000_000_000)));
            assert_eq!((s.limit, raw), (7, true));
        }
    }

    #[test]
    fn what_cannot_be_read_is_named() {
        for (more, what) in [
            ("query.searchDepth=x", "query.searchDepth"),
            ("query.num_traces=0", "query.num_traces"),
            ("query.attributes=5", "query.attributes"),
            ("query.duration_min=soon", "query.duration_min"),
            ("query.rawTraces=maybe", "query.rawTraces"),
            ("query.filter=%7B", "query.filter"),
            (
                "query.serviceName=a&query.filter=%7B%22op%22:%22exists%22,%22args%22:%5B%7B%22attr%22:%7B%22key%22:%22a%22%7D%7D%5D%7D",
                "cannot be combined",
            ),
        ] {
            let e = read(more).err().unwrap_or_else(|| panic!("{more} passed")).to_string();
            assert!(e.contains(what), "{more}: {e}");
        }
        assert!(query(&Params::from_query("query.serviceName=a")).is_err());
        assert!(of_json(b"{}").is_err() && of_json(b"[").is_err());
    }
}
