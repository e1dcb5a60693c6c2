//! Names of indices: what was written under a name, and the virtual ones everything else is found by.
//!
//! ```text
//! filebeat-9.0                 documents written to it: the label `index` of their stream
//! logs-dev-01-2026.11.21       what came by other ways, by cluster (`local` where none is named) and day
//! ```
//! Names are listed by commas; `*` is anything, `-` before a name behind one with a star takes it out again.

use std::{collections::BTreeSet, sync::Arc};

use contract::{Coverage, LabelValuesRequest, NamedField, QueryLimits, Scope, Select, Tenants};
use model::{LogRecord, LogStream, MatchOp, Matcher, Signal, TimeRange, TimestampNs};
use wire::{bulk::INDEX, dates};

use crate::{Error, Result, pattern::Glob};

const DAY_NS: i64 = 86_400_000_000_000;
const CLUSTER: &str = "cluster";
/// The cluster of what names none.
const LOCAL: &str = "local";
const PREFIX: &str = "logs-";
/// More names are not looked at, in an expression and among those written.
const MAX_NAMES: usize = 10_000;

/// Names as a request has them.
#[derive(Debug, Clone)]
pub struct Expression {
    /// With whether it takes out.
    parts: Vec<(Glob, bool)>,
}

impl Expression {
    /// Nothing, `_all` and `*` are everything.
    pub fn parse(text: &str) -> Self {
        let mut parts = Vec::new();
        let mut starred = false;
        for name in text.split(',').map(str::trim).filter(|n| !n.is_empty()).take(MAX_NAMES) {
            match name.strip_prefix('-').filter(|_| starred) {
                Some(out) => parts.push((Glob::new(out), true)),
                None => {
                    let name = if name == "_all" { "*" } else { name };
                    starred |= name.contains('*');
                    parts.push((Glob::new(name), false));
                }
            }
        }
        if parts.is_empty() {
            parts.push((Glob::new("*"), false));
        }
        Expression { parts }
    }

    fn is_all(&self) -> bool {
        self.parts.iter().all(|(glob, out)| glob.as_str() == "*" && !out)
    }

    fn has(&self, name: &str) -> bool {
        let last = self.parts.iter().rev().find(|(glob, _)| glob.matches(name));
        last.is_some_and(|(_, out)| !out)
    }

    fn exact(&self) -> impl Iterator<Item = &str> {
        self.parts.iter().filter(|(glob, out)| glob.is_exact() && !out).map(|(glob, _)| glob.as_str())
    }

    /// Whether virtual indices of a cluster may be meant.
    fn may_mean(&self, cluster: &str) -> bool {
        let head = format!("{PREFIX}{cluster}-");
        self.parts.iter().filter(|(_, out)| !out).any(|(glob, _)| {
            let known = glob.as_str().split('*').next().unwrap_or_default();
            known.starts_with(&head) || !glob.is_exact() && head.starts_with(known)
        })
    }
}

/// Whose data is read, and what it may cost.
#[derive(Clone)]
pub struct Reader {
    pub select: Arc<dyn Select>,
    pub tenants: Tenants,
    pub limits: QueryLimits,
}

/// What an expression comes to.
pub struct Targets {
    expression: Expression,
    /// Names that were written to.
    pub written: Vec<String>,
    /// Clusters whose virtual indices are meant.
    pub clusters: Vec<String>,
    /// Of finding them out.
    pub coverage: Coverage,
    everything: bool,
}

/// Names the indices of records, one after the other.
pub struct Namer<'a> {
    targets: &'a Targets,
    /// The last virtual name that was made, its cluster and day, and whether it is meant.
    last: Option<(String, i64, Arc<str>, bool)>,
}

/// Finds what there is under the names of an expression. A name without a star that nothing has is an error, unless
/// `lenient`.
pub async fn resolve(expression: Expression, reader: &Reader, lenient: bool) -> Result<Targets> {
    let everything = expression.is_all();
    let (names, mut coverage) = values(reader, INDEX, Vec::new()).await?;
    let (mut clusters, more) = values(reader, CLUSTER, vec![vec![Matcher::equal(INDEX, "")]]).await?;
    coverage.merge(more);
    if !clusters.iter().any(|c| c == LOCAL) {
        clusters.push(LOCAL.to_owned());
    }
    if !lenient {
        let virtual_one = |name: &str| clusters.iter().any(|c| day_of(name, c).is_some());
        if let Some(name) = expression.exact().find(|n| !names.iter().any(|x| x == n) && !virtual_one(n)) {
            return Err(Error::NoIndex(name.chars().take(255).collect()));
        }
    }
    let written = names.into_iter().filter(|n| expression.has(n)).collect();
    clusters.retain(|c| expression.may_mean(c));
    Ok(Targets { expression, written, clusters, coverage, everything })
}

async fn values(
    reader: &Reader,
    label: &str,
    selectors: Vec<Vec<Matcher>>,
) -> Result<(Vec<String>, Coverage)> {
    let request = LabelValuesRequest {
        scope: Scope {
            tenants: reader.tenants.clone(),
            range: TimeRange::ALL,
            limits: reader.limits.clone(),
        },
        signal: Signal::LOGS,
        field: NamedField::Label(label.to_owned()),
        selectors,
        limit: Some(MAX_NAMES),
    };
    let (values, coverage) = reader.select.label_values(request).await?;
    Ok((values.into_iter().filter(|v| !v.is_empty()).collect(), coverage))
}

/// The day of a virtual index of a cluster, in days since 1970.
fn day_of(name: &str, cluster: &str) -> Option<i64> {
    let day = name.strip_prefix(PREFIX)?.strip_prefix(cluster)?.strip_prefix('-')?;
    let date = dates::parse(&day.replace('.', "-")).filter(|_| day.len() == 10)?;
    Some(date.ns.div_euclid(DAY_NS))
}

/// The virtual index of a cluster and a time.
pub fn virtual_name(cluster: &str, ns: i64) -> String {
    let (y, m, d) = dates::civil_from_days(ns.div_euclid(DAY_NS));
    format!("{PREFIX}{cluster}-{y:04}.{m:02}.{d:02}")
}

impl Targets {
    /// Nothing can be found.
    pub fn is_empty(&self) -> bool {
        !self.everything && self.written.is_empty() && self.clusters.is_empty()
    }

    /// What streams must be like.
    pub fn matchers(&self) -> Result<Vec<Matcher>> {
        if self.everything {
            return Ok(Vec::new());
        }
        let mut names: BTreeSet<&str> = self.written.iter().map(String::as_str).collect();
        if !self.clusters.is_empty() {
            names.insert("");
        }
        Ok(vec![match (names.first(), names.len()) {
            (Some(only), 1) => Matcher::equal(INDEX, *only),
            _ => {
                let any: Vec<String> = names.into_iter().map(regex::escape).collect();
                Matcher::new(INDEX, MatchOp::Regex, any.join("|"))
                    .map_err(|e| Error::illegal(format!("too many indices are meant: {e}")))?
            }
        }])
    }

    /// The time the names speak of.
    pub fn range(&self) -> TimeRange {
        let exact = self.expression.parts.iter().all(|(glob, _)| glob.is_exact());
        if !exact || !self.written.is_empty() {
            return TimeRange::ALL;
        }
        let day = |name: &str| self.clusters.iter().find_map(|c| day_of(name, c));
        let days: Vec<i64> = self.expression.exact().filter_map(day).collect();
        match (days.iter().min(), days.iter().max()) {
            (Some(first), Some(last)) => {
                let at = |day: i64| TimestampNs(day.saturating_mul(DAY_NS));
                TimeRange::new(at(*first), at(last.saturating_add(1)))
            }
            _ => TimeRange::ALL,
        }
    }

    pub fn namer(&self) -> Namer<'_> {
        Namer { targets: self, last: None }
    }
}

impl Namer<'_> {
    /// The index of a record, where it is meant.
    pub fn index_of(&mut self, stream: &LogStream, record: &LogRecord) -> Option<Arc<str>> {
        let Targets { expression, written, everything, .. } = self.targets;
        let labels = &stream.labels;
        if let Some(name) = labels.get(INDEX) {
            return (*everything || written.iter().any(|w| w == name)).then(|| Arc::from(name));
        }
        let cluster = labels.get(CLUSTER).unwrap_or(LOCAL);
        let day = record.timestamp_ns.div_euclid(DAY_NS);
        if let Some((c, d, name, meant)) = &self.last
            && c == cluster
            && *d == day
        {
            return meant.then(|| name.clone());
        }
        let name: Arc<str> = Arc::from(virtual_name(cluster, record.timestamp_ns));
        let meant = *everything || expression.has(&name);
        self.last = Some((cluster.to_owned(), day, name.clone(), meant));
        meant.then_some(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_listed_starred_and_taken_out() {
        let e = Expression::parse("gharchive-*,-gharchive-2,other");
        assert!(e.has("gharchive-1") && e.has("other") && !e.has("gharchive-2") && !e.has("x"));
        assert!(Expression::parse("").is_all() && Expression::parse("_all").is_all());
        assert!(Expression::parse("-a").has("-a"));
        assert_eq!(Expression::parse("a,b*").exact().collect::<Vec<_>>(), ["a"]);
    }

    #[test]
    fn a_virtual_index_is_a_cluster_and_a_day() {
        let name = virtual_name("dev-01", 1_700_000_000_000_000_000);
        assert_eq!(name, "logs-dev-01-2023.11.14");
        assert_eq!(day_of(&name, "dev-01"), Some(19_675));
        assert_eq!(day_of("logs-dev-01-x", "dev-01"), None);
        for (meant, is) in
            [("logs-*", true), ("logs-dev-01-*", true), ("logs-prod-*", false), ("*-01-*", true)]
        {
            assert_eq!(Expression::parse(meant).may_mean("dev-01"), is, "{meant}");
        }
    }
}
