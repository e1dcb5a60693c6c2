//! `index/stats`, `index/volume`, `index/volume_range`: how much of what there is. Loki estimates from its index;
//! here lines are counted, by metric queries that parts answer by themselves, so that it is exact over every cluster.
//!
//! A stretch of time is `(start, end]`, as those of metric queries are. Times of `volume_range` are where a step begins,
//! the time of `volume` is the end, as in Loki.

use std::{collections::BTreeMap, sync::Arc, time::Instant};

use base::memory::Use;
use contract::{Coverage, Direction, LabelNamesRequest, QueryLimits, Scope, Select};
use logql::{Engine, Expr, QueryContext, Stats, Value, ast::LogExpr, units::format_duration};
use model::{Labels, MatchOp, Matcher, Signal, TimeRange, TimestampNs, labels::is_classic_label_name};

use super::{
    Answered, Ask, Bare, LokiError, json as shape,
    query::{HOUR_NS, limit, step_ns, time_range},
};
use crate::{Error, params::bad, prom::json::Writer};

const MS: i64 = 1_000_000;

/// Where questions go and what they may cost.
struct Asker {
    engine: Arc<Engine>,
    select: Arc<dyn Select>,
    context: QueryContext,
    coverage: Coverage,
    stats: Stats,
}

impl Asker {
    fn of(ask: &Ask) -> impl FnOnce(QueryLimits) -> Asker + Send + use<> {
        let (engine, select, tenants) =
            (ask.reads.logql.clone(), ask.reads.select.clone(), ask.tenants.clone());
        move |limits| Asker {
            engine,
            select,
            context: QueryContext { tenants, limits },
            coverage: Coverage::default(),
            stats: Stats::default(),
        }
    }

    /// A metric query at one point in time.
    async fn instant(&mut self, query: &str, at_ns: i64) -> Result<Vec<(Labels, f64)>, Error> {
        let answer = self.engine.instant(query, at_ns, 0, Direction::NewestFirst, &self.context).await?;
        self.coverage.merge(answer.coverage);
        self.add(answer.stats);
        match answer.value {
            Value::Vector(all) => Ok(all.into_iter().map(|(labels, _, v)| (labels, v)).collect()),
            _ => Ok(Vec::new()),
        }
    }

    fn add(&mut self, s: Stats) {
        self.stats.lines += s.lines;
        self.stats.bytes += s.bytes;
        self.stats.entries += s.entries;
        self.stats.series += s.series;
    }

    fn names(&self, selectors: Vec<Vec<Matcher>>, (start, end): (i64, i64)) -> LabelNamesRequest {
        let range = TimeRange::new(TimestampNs(start), TimestampNs(end.saturating_add(1)));
        let QueryContext { tenants, limits } = self.context.clone();
        let scope = Scope { tenants, range, limits };
        LabelNamesRequest { scope, signal: Signal::LOGS, selectors, limit: None }
    }

    fn answer(
        self,
        kind: &str,
        most: &[(Group, Vec<(i64, f64)>)],
        began: Instant,
    ) -> Result<Answered, Error> {
        let label = |(n, v): &(String, String)| 16 + 2 * (n.len() + v.len());
        let bytes = |(group, points): &(Group, Vec<(i64, f64)>)| {
            64 + group.iter().map(label).sum::<usize>() + 48 * points.len()
        };
        let expected = most.iter().map(bytes).sum::<usize>() as u64;
        let memory = Some(self.context.limits.memory.reserve(Use::Query, expected)?);
        let mut w = Writer::default();
        w.raw("{\"resultType\":\"").raw(kind).raw("\",\"result\":").list(most, |w, (group, points)| {
            w.raw("{\"metric\":{");
            for (i, (name, value)) in group.iter().enumerate() {
                w.raw(if i > 0 { "," } else { "" }).string(name).raw(":").string(value);
            }
            let point = |w: &mut Writer, (at, bytes): &(i64, f64)| {
                w.raw("[").time(*at).raw(",").value(*bytes).raw("]");
            };
            match (kind, points.last()) {
                ("vector", Some(last)) => point(w.raw("},\"value\":"), last),
                _ => {
                    w.raw("},\"values\":").list(points, point);
                }
            }
            w.raw("}");
        });
        shape::write_stats(&mut w, &self.stats, most.len(), began.elapsed());
        w.raw("}}");
        Ok(Answered { data: w.0, warnings: Vec::new(), coverage: self.coverage, memory })
    }
}

/// `{"streams":…,"chunks":…,"entries":…,"bytes":…}`. What Loki calls a chunk is here a stream as it lies in a segment;
/// they are not counted, and each stream counts as one.
pub async fn stats(ask: Ask) -> Result<Bare, LokiError> {
    let range = whole_ms(time_range(&ask.params, ask.state.clock.now_ns(), HOUR_NS)?);
    let matchers = matchers(ask.params.require("query")?)?;
    let asker = Asker::of(&ask);
    let run = |limits| async move {
        let mut asker = asker(limits);
        let (mut entries, mut bytes) = (0.0, 0.0);
        if range.0 < range.1 {
            let of =
                |function| over(function, &matchers, range.1 - range.0).map(|inner| format!("sum({inner})"));
            let sum = |all: Vec<(Labels, f64)>| all.iter().map(|(_, v)| v).sum::<f64>();
            entries = sum(asker.instant(&of("count_over_time")?, range.1).await?);
            bytes = sum(asker.instant(&of("bytes_over_time")?, range.1).await?);
        }
        let request = asker.names(vec![matchers], range);
        let (streams, coverage) = asker.select.label_sets(request).await?;
        asker.coverage.merge(coverage);
        let mut w = Writer::default();
        let streams = streams.len();
        w.raw(&format!(
            "\"streams\":{streams},\"chunks\":{streams},\"entries\":{},\"bytes\":{}",
            entries as u64, bytes as u64
        ));
        Ok(Bare { fields: w.0, coverage: asker.coverage, memory: None })
    };
    Ok(ask.run(run).await?)
}

/// Which streams, and what their bytes are added up by.
struct Wanted {
    matchers: Vec<Matcher>,
    /// Empty for all labels that there are.
    labels: Vec<String>,
    /// By names of labels rather than by what they are.
    by_name: bool,
    limit: usize,
}

impl Wanted {
    fn of(ask: &Ask) -> Result<Self, Error> {
        let p = &ask.params;
        let text = p.require("query")?;
        let mut matchers = if text == "{}" { Vec::new() } else { matchers(text)? };
        let by_name = match p.get("aggregateBy") {
            None | Some("series") => false,
            Some("labels") => true,
            Some(other) => return Err(bad("aggregateBy", other, "it must be series or labels")),
        };
        let targets = p.get("targetLabels").unwrap_or_default();
        let mut labels: Vec<String> =
            targets.split(',').map(str::trim).filter(|t| !t.is_empty()).map(str::to_owned).collect();
        if let Some(wrong) = labels.iter().find(|l| !is_classic_label_name(l)) {
            return Err(bad("targetLabels", wrong, "it is no name of a label"));
        }
        // Streams without a label that is asked for have no place in the answer.
        for l in
            labels.iter().filter(|l| !matchers.iter().any(|m| m.name == **l)).cloned().collect::<Vec<_>>()
        {
            matchers.push(present(&l)?);
        }
        if labels.is_empty() {
            labels.extend(matchers.iter().map(|m| m.name.clone()));
        }
        labels.sort_unstable();
        labels.dedup();
        Ok(Wanted { matchers, labels, by_name, limit: limit(p)? })
    }

    /// Of all streams there is nothing to select by but a label that they have.
    async fn complete(&mut self, asker: &mut Asker, range: (i64, i64)) -> Result<bool, Error> {
        if self.matchers.is_empty() {
            let (names, coverage) = asker.select.label_names(asker.names(Vec::new(), range)).await?;
            asker.coverage.merge(coverage);
            let names: Vec<String> = names.into_iter().filter(|n| is_classic_label_name(n)).collect();
            let common = names.iter().find(|n| *n == "service_name").or(names.first());
            let Some(common) = common else { return Ok(false) };
            self.matchers.push(present(common)?);
            self.labels = names;
        }
        Ok(range.0 < range.1)
    }

    fn query(&self, range_ns: i64) -> Result<String, Error> {
        let by = self.labels.join(",");
        Ok(format!("sum by ({by}) ({})", over("bytes_over_time", &self.matchers, range_ns)?))
    }

    /// What one series counts for.
    fn groups(&self, labels: &Labels) -> Vec<Group> {
        match self.by_name {
            false => vec![labels.iter().map(|(n, v)| (n.to_owned(), v.to_owned())).collect()],
            true => labels.iter().map(|(name, _)| vec![(name.to_owned(), String::new())]).collect(),
        }
    }
}

/// Labels, in order; a name that stands for all its values has none, which [`Labels`] could not hold.
type Group = Vec<(String, String)>;

/// Bytes by group and time.
#[derive(Default)]
struct Volumes(BTreeMap<Group, BTreeMap<i64, f64>>);

impl Volumes {
    fn add(&mut self, wanted: &Wanted, labels: &Labels, at_ms: i64, bytes: f64) {
        for group in wanted.groups(labels) {
            *self.0.entry(group).or_default().entry(at_ms).or_default() += bytes;
        }
    }

    /// Those of the most bytes, most first.
    fn most(self, limit: usize) -> Vec<(Group, Vec<(i64, f64)>)> {
        let of = |points: &BTreeMap<i64, f64>| points.values().sum::<f64>();
        let mut all: Vec<_> = self.0.into_iter().collect();
        all.sort_by(|a, b| of(&b.1).total_cmp(&of(&a.1)).then_with(|| a.0.cmp(&b.0)));
        all.truncate(limit);
        all.into_iter().map(|(labels, points)| (labels, points.into_iter().collect())).collect()
    }
}

pub async fn volume(ask: Ask) -> Result<Answered, LokiError> {
    let range = whole_ms(time_range(&ask.params, ask.state.clock.now_ns(), HOUR_NS)?);
    let mut wanted = Wanted::of(&ask)?;
    let asker = Asker::of(&ask);
    let run = |limits| async move {
        let began = Instant::now();
        let (mut asker, mut found) = (asker(limits), Volumes::default());
        if wanted.complete(&mut asker, range).await? {
            for (labels, bytes) in asker.instant(&wanted.query(range.1 - range.0)?, range.1).await? {
                found.add(&wanted, &labels, range.1 / MS, bytes);
            }
        }
        asker.answer("vector", &found.most(wanted.limit), began)
    };
    Ok(ask.run(run).await?)
}

pub async fn volume_range(ask: Ask) -> Result<Answered, LokiError> {
    let (start, end) = whole_ms(time_range(&ask.params, ask.state.clock.now_ns(), HOUR_NS)?);
    let step = whole_ms((0, step_ns(&ask.params, start, end)?)).1.max(MS);
    let mut wanted = Wanted::of(&ask)?;
    let asker = Asker::of(&ask);
    let run = |limits| async move {
        let began = Instant::now();
        let (mut asker, mut found) = (asker(limits), Volumes::default());
        if wanted.complete(&mut asker, (start, end)).await? {
            let whole = (end - start) / step;
            let rest_from = start + whole * step;
            if whole > 0 {
                let query = wanted.query(step)?;
                let direction = Direction::NewestFirst;
                let answer =
                    asker.engine.range(&query, start + step, rest_from, step, 0, direction, &asker.context);
                let answer = answer.await?;
                asker.coverage.merge(answer.coverage);
                asker.add(answer.stats);
                if let Value::Matrix(series) = answer.value {
                    for (labels, points) in &series {
                        points.iter().for_each(|(at, bytes)| {
                            found.add(&wanted, labels, at - step / MS, *bytes);
                        });
                    }
                }
            }
            if rest_from < end {
                for (labels, bytes) in asker.instant(&wanted.query(end - rest_from)?, end).await? {
                    found.add(&wanted, &labels, rest_from / MS, bytes);
                }
            }
        }
        asker.answer("matrix", &found.most(wanted.limit), began)
    };
    Ok(ask.run(run).await?)
}

/// `count_over_time({…}[1h])`
fn over(function: &str, matchers: &[Matcher], range_ns: i64) -> Result<String, Error> {
    let selector = Expr::Log(LogExpr::selector(matchers.to_vec()));
    Ok(format!("{function}({selector}[{}])", format_duration(range_ns)))
}

fn matchers(text: &str) -> Result<Vec<Matcher>, Error> {
    Ok(logql::parse_selector(text).map_err(logql::Error::from)?)
}

fn present(label: &str) -> Result<Matcher, Error> {
    Matcher::new(label, MatchOp::Regex, ".+").map_err(|e| Error::invalid(e.to_string()))
}

/// Parts evaluate at whole milliseconds: the range is widened to them.
fn whole_ms((start, end): (i64, i64)) -> (i64, i64) {
    let up = end.checked_add(MS - 1).map_or(end, |e| e.div_euclid(MS) * MS);
    (start.div_euclid(MS) * MS, up)
}
