//! `/api/search`: TraceQL in `q`, or the tags of before.

use contract::{Coverage, QueryLimits, Scope, Select, Tenants};
use model::TimeRange;
use proto::tempo as pb;
use std::sync::Arc;
use traceql::{Progress, Query, SearchRequest};

use super::{
    Answered, Ask, TempoError,
    form::Form,
    legacy::TagSearch,
    message,
    params::{self, duration_ns, invalid, whole},
};
use crate::{Error, params::Params};

/// Traces of an answer where the client names no number, and at most; both as in Tempo.
const DEFAULT_LIMIT: u32 = 20;
const MAX_LIMIT: u32 = 256 << 10;
/// Spans listed of each spanset where the client names no number, as in Tempo.
const DEFAULT_SPANS: u32 = 3;

/// A search as it is asked, over HTTP or gRPC.
#[derive(Debug)]
pub(super) struct Search {
    pub query: Query,
    /// Whether the answer lists spans; one to tags does not, as in Tempo.
    pub with_spans: bool,
    pub range: TimeRange,
    pub limit: usize,
    pub spans_per_spanset: usize,
}

/// What is given beside the search itself.
const RESERVED: [&str; 12] = [
    "q",
    "tags",
    "minDuration",
    "maxDuration",
    "limit",
    "spss",
    "start",
    "end",
    "timeout",
    "dedup",
    "partial",
    "partial_response",
];

impl Search {
    pub fn read(params: &Params) -> Result<Self, Error> {
        let (start, end) = params::seconds(params)?;
        let query = params::query(params);
        let tags = params.get("tags").map(TagSearch::read_tags).transpose()?;
        if query.is_some() && tags.is_some() {
            return Err(Error::invalid("invalid request: can't specify tags and q in the same query"));
        }
        // Tags each in a parameter of its own, as the first data sources sent them.
        let loose = || {
            let pairs = params.iter().filter(|(name, value)| !RESERVED.contains(name) && !value.is_empty());
            pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
        };
        let alone = query.is_none() && tags.is_none() && start == 0 && end == 0;
        let tags = TagSearch {
            tags: tags.unwrap_or_else(|| if alone { loose() } else { Vec::new() }),
            min_duration_ns: duration_ns(params, "minDuration")?,
            max_duration_ns: duration_ns(params, "maxDuration")?,
        };
        let limit = whole(params, "limit")?;
        if limit == Some(0) {
            return Err(Error::invalid("invalid limit: must be a positive number"));
        }
        let spans = whole(params, "spss")?.unwrap_or(DEFAULT_SPANS);
        Search::new(query.unwrap_or_default(), &tags, (start, end), limit.unwrap_or(0), spans)
    }

    /// A message that says nothing has zeros.
    pub fn of_message(m: &pb::SearchRequest) -> Result<Self, Error> {
        let duration = |ms: u32| (ms > 0).then_some(i64::from(ms) * 1_000_000);
        let tags = TagSearch {
            tags: m.tags.iter().map(|(k, v)| (k.clone(), v.clone())).collect(),
            min_duration_ns: duration(m.min_duration_ms),
            max_duration_ns: duration(m.max_duration_ms),
        };
        Search::new(m.query.trim(), &tags, (m.start, m.end), m.limit, m.spans_per_span_set)
    }

    fn new(
        query: &str,
        tags: &TagSearch,
        (start, end): (u32, u32),
        limit: u32,
        spans: u32,
    ) -> Result<Self, Error> {
        if let (Some(min), Some(max)) = (tags.min_duration_ns, tags.max_duration_ns)
            && min > max
        {
            return Err(Error::invalid("invalid maxDuration: must be greater than minDuration"));
        }
        if limit > MAX_LIMIT {
            return Err(invalid("limit", &limit.to_string(), &format!("it exceeds max limit {MAX_LIMIT}")));
        }
        let (text, with_spans) = match query {
            "" => (tags.query(), false),
            q => (q.to_owned(), true),
        };
        Ok(Search {
            query: params::parsed(&text)?,
            with_spans,
            range: params::range(start, end)?,
            limit: if limit == 0 { DEFAULT_LIMIT } else { limit } as usize,
            // As many as there are, where nobody wants fewer.
            spans_per_spanset: if spans == 0 { usize::MAX } else { spans as usize },
        })
    }

    /// Runs it; `progress` is told what is found as it is found.
    pub async fn run(
        self,
        select: Arc<dyn Select>,
        tenants: Tenants,
        limits: QueryLimits,
        progress: impl FnMut(Progress) + Send,
    ) -> Result<(pb::SearchResponse, Coverage), Error> {
        let request = SearchRequest {
            scope: Scope { tenants, range: self.range, limits },
            limit: self.limit,
            spans_per_spanset: self.spans_per_spanset,
        };
        let answer = traceql::search(&select, &self.query, request, progress).await?;
        let metrics = message::search_metrics(answer.inspected, &answer.coverage);
        let traces = answer.traces.into_iter().map(|t| message::trace(t, self.with_spans)).collect();
        Ok((pb::SearchResponse { traces, metrics: Some(metrics) }, answer.coverage))
    }
}

pub(super) async fn search(ask: Ask) -> Result<Answered<pb::SearchResponse>, TempoError> {
    let search = Search::read(&ask.params)?;
    let form = Form::of(&ask.headers);
    let (select, tenants) = (ask.reads.select.clone(), ask.tenants.clone());
    let run = |limits: QueryLimits| async move {
        let budget = limits.memory.clone();
        let (message, coverage) = search.run(select, tenants, limits, |_| ()).await?;
        Answered::new(message, coverage, form, &budget)
    };
    Ok(ask.run(run).await?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(query: &str) -> Result<Search, Error> {
        Search::read(&Params::from_query(query))
    }

    #[test]
    fn what_is_not_said_is_as_in_tempo() {
        let s = read("start=0&end=0").unwrap();
        assert_eq!((s.limit, s.spans_per_spanset, s.range, s.with_spans), (20, 3, TimeRange::ALL, false));
        assert_eq!(read("spss=0").unwrap().spans_per_spanset, usize::MAX);
        let s = read("q=%7B+.foo+%3D+%22bar%22+%7D&limit=7&spss=10&start=10&end=20").unwrap();
        assert_eq!((s.limit, s.spans_per_spanset, s.with_spans), (7, 10, true));
        assert_eq!(s.query, traceql::parse(r#"{ .foo = "bar" }"#).unwrap());
    }

    #[test]
    fn tags_come_in_one_parameter_or_each_in_its_own() {
        let query = |text: &str| traceql::parse(text).unwrap();
        let bar = query(r#"{ resource.service.name =~ "(?i).*bar.*" }"#);
        assert_eq!(read("service.name=bar&limit=5").unwrap().query, bar);
        assert_eq!(read("service.name=x&tags=service.name%3Dbar").unwrap().query, bar);
        // With a range they are not looked at.
        assert_eq!(read("service.name=bar&start=10&end=20").unwrap().query, query("{}"));
        assert_eq!(
            read("minDuration=10s&maxDuration=20s").unwrap().query,
            query("{ traceDuration >= 10s } && { traceDuration <= 20s }")
        );
    }

    #[test]
    fn what_cannot_be_read_is_named() {
        for (query, what) in [
            ("limit=0", "invalid limit: must be a positive number"),
            ("limit=-5", "invalid limit: \"-5\""),
            ("limit=five", "invalid limit"),
            ("limit=4294967298", "invalid limit"),
            ("limit=300000", "exceeds max limit 262144"),
            ("minDuration=20s&maxDuration=5s", "invalid maxDuration: must be greater than minDuration"),
            ("minDuration=10seconds", "invalid minDuration"),
            ("maxDuration=1msec", "invalid maxDuration"),
            ("minDuration=-1s", "invalid minDuration"),
            ("q=%7B%7D&tags=a%3Db", "can't specify tags and q"),
            ("tags=a%3Db+a%3Dc", "tag a has been set twice"),
            ("start=20&end=10", "must be before end, received start=20 end=10"),
            ("start=-1&end=20", "invalid start"),
            ("start=4294967296&end=4294967297", "invalid start"),
            ("start=10&end=-1", "invalid end"),
            ("spss=-2", "invalid spss"),
            ("spss=four", "invalid spss"),
            ("q=%7B+.a+%3D+", "invalid TraceQL query"),
        ] {
            let e = read(query).expect_err(query).to_string();
            assert!(e.contains(what), "{query}: {e}");
        }
        let long = format!("q=%7B%7D{}", "+%7C%7C+%7B%7D".repeat(30_000));
        assert!(read(&long).unwrap_err().to_string().contains("at most 131072"));
    }

    #[test]
    fn a_message_says_the_same() {
        let m = pb::SearchRequest { query: "{}".into(), start: 10, end: 20, ..pb::SearchRequest::default() };
        let s = Search::of_message(&m).unwrap();
        assert_eq!((s.limit, s.spans_per_spanset, s.with_spans), (20, usize::MAX, true));
        assert_eq!(s.range, read("start=10&end=20").unwrap().range);
        let m = pb::SearchRequest {
            tags: [("a".to_owned(), "b".to_owned())].into(),
            min_duration_ms: 2,
            max_duration_ms: 1,
            ..pb::SearchRequest::default()
        };
        assert!(Search::of_message(&m).is_err());
    }
}
