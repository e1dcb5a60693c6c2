//! `/api/metrics/query_range` and `/api/metrics/query`: TraceQL metrics over time, and as one value.

use std::sync::Arc;

use contract::{Coverage, QueryLimits, Scope, Select, Tenants};
use model::{TimeRange, TimestampNs};
use proto::tempo as pb;
use traceql::{MetricsRequest, Query, Value, metrics_instant, metrics_range};

use super::{
    Answered, Ask, TempoError,
    form::Form,
    message,
    params::{self, bounds, few_enough, ordered, step_ns, usual_step_ns, whole},
};
use crate::{Error, params::Params};

/// Exemplars of an answer where the client names no number, and at most; both as in Tempo.
const MAX_EXEMPLARS: u32 = 100;
/// Series of an answer at most, as in Tempo. More are cut, and the answer says that it is partial.
const MAX_SERIES: usize = 1000;

/// A metrics query as it is asked, over HTTP or gRPC.
pub(super) struct Metrics {
    query: Query,
    range: TimeRange,
    /// `None` for one value over the whole range.
    step_ns: Option<i64>,
    exemplars: usize,
    max_series: usize,
}

impl Metrics {
    pub fn read_range(params: &Params, now_ns: i64) -> Result<Self, Error> {
        let (start, end) = bounds(params, now_ns)?;
        let step = step_ns(params, start, end)?;
        let exemplars = whole(params, "exemplars")?.unwrap_or(0);
        let max_series = whole(params, "maxSeries")?.unwrap_or(0);
        Metrics::new(text(params)?, (start, end), Some(step), exemplars, max_series)
    }

    pub fn read_instant(params: &Params, now_ns: i64) -> Result<Self, Error> {
        let within = bounds(params, now_ns)?;
        Metrics::new(text(params)?, within, None, 0, 0)
    }

    pub fn of_range_message(m: &pb::QueryRangeRequest) -> Result<Self, Error> {
        let within = within(m.start, m.end)?;
        let length = within.1.saturating_sub(within.0);
        let step = match i64::try_from(m.step) {
            Ok(0) => usual_step_ns(length),
            step => few_enough(within.0, within.1, step.unwrap_or(i64::MAX))?,
        };
        let step = (m.instant != Some(true)).then_some(step);
        Metrics::new(&m.query, within, step, m.exemplars, m.max_series)
    }

    pub fn of_instant_message(m: &pb::QueryInstantRequest) -> Result<Self, Error> {
        Metrics::new(&m.query, within(m.start, m.end)?, None, 0, 0)
    }

    fn new(
        query: &str,
        (start, end): (i64, i64),
        step_ns: Option<i64>,
        exemplars: u32,
        max_series: u32,
    ) -> Result<Self, Error> {
        let query = params::parsed(query)?;
        let max_series = match max_series as usize {
            0 => MAX_SERIES,
            n => n.min(MAX_SERIES),
        };
        let exemplars = exemplars_of(&query, exemplars);
        let range = TimeRange::new(TimestampNs(start), TimestampNs(end));
        Ok(Metrics { query, range, step_ns, exemplars, max_series })
    }

    fn request(&self, tenants: Tenants, limits: QueryLimits) -> MetricsRequest {
        MetricsRequest {
            scope: Scope { tenants, range: self.range, limits },
            step_ns: self.step_ns.unwrap_or(1),
            exemplars: self.exemplars,
        }
    }

    pub async fn run_range(
        self,
        select: Arc<dyn Select>,
        tenants: Tenants,
        limits: QueryLimits,
    ) -> Result<(pb::QueryRangeResponse, Coverage), Error> {
        let request = self.request(tenants, limits);
        let mut answer = match self.step_ns {
            Some(_) => metrics_range(&select, &self.query, request).await?,
            None => metrics_instant(&select, &self.query, request).await?,
        };
        let cut = answer.series.len() > self.max_series;
        answer.series.truncate(self.max_series);
        let (status, message) = self.status(cut, &answer.coverage);
        let metrics = message::search_metrics(answer.inspected, &answer.coverage);
        let step_ms = self.step_ns.map_or(i64::MAX, |ns| ns / 1_000_000).max(1);
        let series = answer.series.into_iter().map(|s| message::series(s, step_ms)).collect();
        Ok((pb::QueryRangeResponse { series, metrics: Some(metrics), status, message }, answer.coverage))
    }

    pub async fn run_instant(
        self,
        select: Arc<dyn Select>,
        tenants: Tenants,
        limits: QueryLimits,
    ) -> Result<(pb::QueryInstantResponse, Coverage), Error> {
        let request = self.request(tenants, limits);
        let mut answer = metrics_instant(&select, &self.query, request).await?;
        let cut = answer.series.len() > self.max_series;
        answer.series.truncate(self.max_series);
        let (status, message) = self.status(cut, &answer.coverage);
        let metrics = message::search_metrics(answer.inspected, &answer.coverage);
        let series = answer.series.into_iter().filter_map(message::instant).collect();
        Ok((pb::QueryInstantResponse { series, metrics: Some(metrics), status, message }, answer.coverage))
    }

    fn status(&self, cut: bool, coverage: &Coverage) -> (i32, String) {
        let (status, message) = message::partial(coverage);
        if !cut {
            return (status, message);
        }
        let max = self.max_series;
        let reached =
            format!("Response exceeds maximum series limit of {max}, a partial response is returned.");
        let all = [reached, message].into_iter().filter(|m| !m.is_empty());
        (pb::PartialStatus::Partial as i32, all.collect::<Vec<_>>().join(" "))
    }
}

/// The query, also under the name that Prometheus has for it, which data sources send.
fn text(params: &Params) -> Result<&str, Error> {
    let query = params::query(params).or_else(|| params.get("query"));
    query.ok_or_else(|| Error::invalid("parameter \"q\" is missing"))
}

/// How many exemplars: what the query says by `with(exemplars=…)`, else what the request does.
fn exemplars_of(query: &Query, asked: u32) -> usize {
    let hint = query.hints.iter().find(|h| h.name == "exemplars").map(|h| &h.value);
    let wanted = match hint {
        Some(Value::Int(n)) => u32::try_from((*n).max(0)).unwrap_or(u32::MAX),
        Some(Value::Bool(false)) => 0,
        _ if asked == 0 => MAX_EXEMPLARS,
        _ => asked,
    };
    wanted.min(MAX_EXEMPLARS) as usize
}

/// Both ends in nanoseconds, as messages have them.
fn within(start: u64, end: u64) -> Result<(i64, i64), Error> {
    let signed = |ns: u64| i64::try_from(ns).unwrap_or(i64::MAX);
    ordered(signed(start), signed(end))?;
    Ok((signed(start), signed(end)))
}

pub(super) async fn range(ask: Ask) -> Result<Answered<pb::QueryRangeResponse>, TempoError> {
    let metrics = Metrics::read_range(&ask.params, ask.state.clock.now_ns())?;
    let form = Form::of(&ask.headers);
    let (select, tenants) = (ask.reads.select.clone(), ask.tenants.clone());
    let run = |limits: QueryLimits| async move {
        let budget = limits.memory.clone();
        let (message, coverage) = metrics.run_range(select, tenants, limits).await?;
        Answered::new(message, coverage, form, &budget)
    };
    Ok(ask.run(run).await?)
}

pub(super) async fn instant(ask: Ask) -> Result<Answered<pb::QueryInstantResponse>, TempoError> {
    let metrics = Metrics::read_instant(&ask.params, ask.state.clock.now_ns())?;
    let form = Form::of(&ask.headers);
    let (select, tenants) = (ask.reads.select.clone(), ask.tenants.clone());
    let run = |limits: QueryLimits| async move {
        let budget = limits.memory.clone();
        let (message, coverage) = metrics.run_instant(select, tenants, limits).await?;
        Answered::new(message, coverage, form, &budget)
    };
    Ok(ask.run(run).await?)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_700_000_000_000_000_000;

    fn read(query: &str) -> Result<Metrics, Error> {
        Metrics::read_range(&Params::from_query(query), NOW)
    }

    #[test]
    fn the_query_has_two_names_and_the_rest_its_defaults() {
        for name in ["q", "query"] {
            let m = read(&format!("{name}=%7B%7D+%7C+rate()")).unwrap();
            assert_eq!((m.step_ns, m.exemplars, m.max_series), (Some(15_000_000_000), 100, 1000));
            assert_eq!(m.range.end.0, NOW);
        }
        assert!(read("start=1&end=2").err().unwrap().to_string().contains("\"q\" is missing"));
        let m = read("q=%7B%7D+%7C+rate()&exemplars=7&maxSeries=5&step=1m").unwrap();
        assert_eq!((m.step_ns, m.exemplars, m.max_series), (Some(60_000_000_000), 7, 5));
        assert_eq!(read("q=%7B%7D+%7C+rate()&exemplars=100000").unwrap().exemplars, 100);
    }

    #[test]
    fn a_hint_in_the_query_says_how_many_exemplars() {
        for (hint, want) in [("exemplars=3", 3), ("exemplars=false", 0), ("exemplars=true", 100)] {
            let query = format!("q=%7B%7D+%7C+rate()+with({hint})");
            assert_eq!(read(&query).unwrap().exemplars, want, "{hint}");
        }
    }

    #[test]
    fn messages_are_checked_as_parameters_are() {
        let of = |start, end, step| {
            Metrics::of_range_message(&pb::QueryRangeRequest {
                query: "{} | rate()".into(),
                start,
                end,
                step,
                ..pb::QueryRangeRequest::default()
            })
        };
        let second = 1_000_000_000;
        assert_eq!(of(0, 3600 * second, 0).unwrap().step_ns, Some(15_000_000_000));
        assert_eq!(of(0, 3600 * second, 60 * second).unwrap().step_ns, Some(60_000_000_000));
        assert!(of(0, 3600 * second, 1).err().unwrap().to_string().contains("too small"));
        assert!(of(second, second, 0).err().unwrap().to_string().contains("end must be greater"));
    }
}
