//! OpenMetrics 1.0 text (`prometheus.io/docs/specs/om/open_metrics_spec`): families with their metadata first,
//! times in seconds, exemplars, `_created` as the start of a counter, and `# EOF` at the end.
//!
//! A counter's family `a` is exposed as `a_total`; that is also the name its metadata is kept under, since it
//! is what queries see.

use std::{borrow::Cow, collections::HashSet};

use model::MetricKind;

use super::{
    Builder, Exposition, ScrapeOptions,
    check::Check,
    kind,
    sample::{self, Dialect, Sample},
    utf8,
};
use crate::{Error, text::quoted};

/// Reads OpenMetrics text.
pub fn parse_openmetrics(body: &[u8], options: &ScrapeOptions<'_>) -> Result<Exposition, Error> {
    let text = utf8(body)?;
    let text = text.strip_suffix('\n').unwrap_or(text);
    let mut p = Parser {
        b: Builder::new(options),
        family: None,
        seen: HashSet::new(),
        starts: Vec::new(),
        kind: MetricKind::Unknown,
        ended: false,
    };
    let mut line_number = 0;
    for line in text.split('\n') {
        line_number += 1;
        p.line(line).map_err(|reason| Error::Exposition { line: line_number, reason })?;
    }
    p.finish().map_err(|reason| Error::Exposition { line: line_number, reason })
}

/// The family whose lines are being read.
struct Family<'a> {
    name: Cow<'a, str>,
    kind: Option<MetricKind>,
    help: Option<String>,
    unit: Option<String>,
    has_samples: bool,
    /// Labels of the current metric, hashed, and where its samples begin in the batch.
    group: Option<(u128, usize)>,
    check: Check,
}

struct Parser<'a, 'o> {
    b: Builder<'a, 'o>,
    family: Option<Family<'a>>,
    /// Every name a finished family could expose.
    seen: HashSet<String>,
    /// Sample ranges and the start that a `_created` line gave them.
    starts: Vec<(usize, usize, i64)>,
    /// The type declared last: as in Prometheus it counts for bounds and quantiles until the next one.
    kind: MetricKind,
    ended: bool,
}

/// What may follow the family's name in a sample's name.
pub(super) fn suffixes(kind: MetricKind) -> &'static [&'static str] {
    match kind {
        MetricKind::Counter => &["_total", "_created"],
        MetricKind::Histogram => &["_bucket", "_count", "_sum", "_created"],
        MetricKind::GaugeHistogram => &["_bucket", "_gcount", "_gsum"],
        MetricKind::Summary => &["", "_count", "_sum", "_created"],
        MetricKind::Info => &["_info"],
        MetricKind::Gauge | MetricKind::StateSet | MetricKind::Unknown => &[""],
    }
}

impl<'a, 'o> Parser<'a, 'o> {
    fn line(&mut self, line: &'a str) -> Result<(), String> {
        if self.ended {
            return Err("text follows # EOF".to_owned());
        }
        match line.strip_prefix("# ") {
            _ if line == "# EOF" => {
                self.ended = true;
                Ok(())
            }
            Some(comment) => self.metadata(comment),
            None if line.is_empty() => Err("a blank line".to_owned()),
            None if line.starts_with('#') => Err(format!("{} is no comment OpenMetrics knows", quoted(line))),
            None => self.sample(line),
        }
    }

    fn metadata(&mut self, comment: &'a str) -> Result<(), String> {
        let (word, rest) =
            comment.split_once(' ').ok_or_else(|| format!("{} is cut short", quoted(comment)))?;
        if !["TYPE", "HELP", "UNIT"].contains(&word) {
            return Err(format!("{} is neither TYPE, HELP, UNIT nor EOF", quoted(word)));
        }
        let (name, rest) = sample::leading_name(rest)?;
        let value = rest.strip_prefix(' ').ok_or_else(|| format!("{word} of {name} is cut short"))?;
        self.b.options.limits.check_pair(&name, value)?;
        if self.family.as_ref().is_none_or(|f| f.name != name) {
            self.close()?;
            self.family = Some(self.open(name.clone(), None));
        }
        let Some(f) = &mut self.family else { return Ok(()) };
        let strict = self.b.options.strict;
        if f.has_samples && strict {
            return Err(format!("{word} of {name} after its samples"));
        }
        let again = match word {
            "TYPE" => {
                let kind = kind(value).filter(|_| value != "untyped");
                let kind = kind.ok_or_else(|| format!("type {} of {name} is not known", quoted(value)))?;
                self.kind = kind;
                f.kind.replace(kind).is_some()
            }
            "HELP" => f.help.replace(sample::unescape(value, true).into_owned()).is_some(),
            _ => {
                let ends = name.strip_suffix(value).is_some_and(|n| n.ends_with('_'));
                if !value.is_empty() && !ends {
                    return Err(format!("unit {} is no suffix of {name}", quoted(value)));
                }
                f.unit.replace(value.to_owned()).is_some()
            }
        };
        if again && strict { Err(format!("a second {word} of {name}")) } else { Ok(()) }
    }

    fn open(&self, name: Cow<'a, str>, kind: Option<MetricKind>) -> Family<'a> {
        let check = Check::new(self.b.options.strict);
        Family { name, kind, help: None, unit: None, has_samples: false, group: None, check }
    }

    /// Ends the current family: its names must be new, its unit must be part of its name.
    fn close(&mut self) -> Result<(), String> {
        let Some(f) = self.family.take() else { return Ok(()) };
        let kind = f.kind.unwrap_or_default();
        f.check.close(&f.name, kind)?;
        if self.b.options.strict {
            for suffix in suffixes(kind).iter().filter(|s| !s.is_empty()).chain(&[""]) {
                if !self.seen.insert(format!("{}{suffix}", f.name)) {
                    return Err(format!("the name {}{suffix} clashes with an earlier family", f.name));
                }
            }
            if let Some(unit) = f.unit.as_deref().filter(|u| !u.is_empty()) {
                let ends = f.name.strip_suffix(unit).is_some_and(|n| n.ends_with('_'));
                if !ends || matches!(kind, MetricKind::Info | MetricKind::StateSet) {
                    return Err(format!(
                        "family {} of type {} may not have unit {unit}",
                        f.name,
                        kind.as_str()
                    ));
                }
            }
        }
        if f.kind.is_some() || f.help.is_some() || f.unit.is_some() {
            let exposed = match kind {
                MetricKind::Counter => Cow::Owned(format!("{}_total", f.name)),
                MetricKind::Info => Cow::Owned(format!("{}_info", f.name)),
                _ => f.name,
            };
            if let Some(m) = self.b.family(exposed) {
                m.kind = kind;
                m.help = f.help.unwrap_or_default();
                m.unit = f.unit.unwrap_or_default();
            }
        }
        Ok(())
    }

    fn sample(&mut self, line: &'a str) -> Result<(), String> {
        let strict = self.b.options.strict;
        let s = sample::read(line, if strict { Dialect::OpenMetricsStrict } else { Dialect::OpenMetrics })?;
        let at_ms = s.time.map(seconds_to_ms).transpose()?;
        let belongs = self.family.as_ref().and_then(|f| suffix_of(f, &s.name)).is_some();
        if !belongs {
            self.close()?;
            self.family = Some(self.open(s.name.clone(), Some(MetricKind::Unknown)));
            // A sample without metadata describes nothing, so its family leaves none behind.
            if let Some(f) = &mut self.family {
                f.kind = None;
            }
        }
        let Some(f) = &mut self.family else { return Ok(()) };
        let suffix = suffix_of(f, &s.name).unwrap_or("");
        let kind = f.kind.unwrap_or_default();
        let group = group_of(&s, &f.name, kind);
        let next = self.b.out.batch.samples.len();
        f.check.sample(&f.name, kind, suffix, &s, group, at_ms)?;
        f.has_samples = true;
        let from = match f.group {
            Some((g, from)) if g == group => from,
            _ => next,
        };
        f.group = Some((group, from));
        if suffix == "_created" {
            self.starts.push((from, next, ms(s.value)));
            if !self.b.options.created_series {
                return Ok(());
            }
        }
        let series = self.b.sample(&s, at_ms, self.kind)?;
        if let Some(e) = &s.exemplar {
            let e_ms = e.time.map(seconds_to_ms).transpose()?;
            self.b.exemplar(series, e, e_ms, at_ms);
        }
        Ok(())
    }

    fn finish(mut self) -> Result<Exposition, String> {
        if !self.ended {
            return Err("the exposition does not end with # EOF".to_owned());
        }
        self.close()?;
        let samples = &mut self.b.out.batch.samples;
        if !self.starts.is_empty() {
            samples.start_ms.resize(samples.value.len(), 0);
        }
        for (from, to, start_ms) in self.starts {
            samples.start_ms.iter_mut().take(to).skip(from).for_each(|s| *s = start_ms);
        }
        Ok(self.b.out)
    }
}

fn suffix_of(f: &Family<'_>, sample: &str) -> Option<&'static str> {
    let rest = sample.strip_prefix(f.name.as_ref())?;
    suffixes(f.kind.unwrap_or_default()).iter().find(|s| **s == rest).copied()
}

/// The labels that tell one metric of a family from another, hashed: `le`, `quantile` and a state set's own
/// label tell its samples apart instead.
fn group_of(s: &Sample<'_>, family: &str, kind: MetricKind) -> u128 {
    let inner = match kind {
        MetricKind::Histogram | MetricKind::GaugeHistogram => "le",
        MetricKind::Summary => "quantile",
        MetricKind::StateSet => family,
        _ => "",
    };
    // Every sample of an info family is a metric of its own, so is one of a gauge.
    let mut labels: Vec<(&str, &str)> =
        s.labels.iter().map(|(n, v)| (n.as_ref(), v.as_ref())).filter(|(n, _)| *n != inner).collect();
    labels.sort_unstable();
    let mut hash = xxhash_rust::xxh3::Xxh3::new();
    for (n, v) in labels {
        hash.update(&(n.len() as u64).to_le_bytes());
        hash.update(n.as_bytes());
        hash.update(&(v.len() as u64).to_le_bytes());
        hash.update(v.as_bytes());
    }
    hash.digest128()
}

fn seconds_to_ms(text: &str) -> Result<i64, String> {
    let seconds = sample::number(text).filter(|t| t.is_finite());
    seconds.map(ms).ok_or_else(|| format!("time {} is not a number of seconds", quoted(text)))
}

/// Milliseconds, cut as Prometheus cuts them, saturating: a float cast does not wrap.
fn ms(seconds: f64) -> i64 {
    (seconds * 1000.0) as i64
}
