//! The labels of a point: its attributes under their Prometheus names, then what resource and scope add.
//!
//! ```text
//! attributes      keys that become one name have their values joined by ';' in the order of the keys
//! promoted        resource attributes, where no attribute of the point has the name
//! job, instance   always, whatever the point says
//! otel_scope_…    always, where scopes are promoted
//! le, quantile    always, and the name of the metric
//! ```

use std::{borrow::Cow, collections::HashMap};

use model::labels::METRIC_NAME;
use proto::otlp::common::{KeyValue, any_value::Value as Any};

use super::{Converter, Refusal, When, attr, resource::Context};
use crate::{Reason, names::Naming, text::quoted};

/// Label names of attribute keys, made once per request and key.
pub(super) struct Names<'r> {
    naming: Naming,
    known: HashMap<&'r str, Option<Name<'r>>>,
    made: Vec<String>,
}

/// A label name: a key that stays as it is, or one of those made.
#[derive(Clone, Copy)]
pub(super) enum Name<'r> {
    Plain(&'r str),
    Made(u32),
}

impl<'r> Names<'r> {
    pub(super) fn new(naming: Naming) -> Self {
        Names { naming, known: HashMap::new(), made: Vec::new() }
    }

    fn of(&mut self, key: &'r str) -> Option<Name<'r>> {
        if let Some(known) = self.known.get(key) {
            return *known;
        }
        let name = self.naming.label(key).map(|name| match name {
            Cow::Borrowed(_) => Name::Plain(key),
            Cow::Owned(name) => {
                self.made.push(name);
                Name::Made((self.made.len() - 1) as u32)
            }
        });
        self.known.insert(key, name);
        name
    }

    pub(super) fn text<'s>(&'s self, name: Name<'s>) -> &'s str {
        match name {
            Name::Plain(key) => key,
            Name::Made(at) => self.made.get(at as usize).map_or("", String::as_str),
        }
    }

    /// An attribute key's label name for keeping.
    pub(super) fn owned(&self, key: &str) -> Option<String> {
        self.naming.label(key).map(Cow::into_owned)
    }
}

/// Labels of a point before the metric's name and what tells its series apart.
pub(super) type PointLabels<'r> = Vec<(Name<'r>, Cow<'r, str>)>;

impl<'r> Converter<'r, '_> {
    /// The attributes as labels. A key of which no name is left refuses the point.
    pub(super) fn point_labels(&mut self, attributes: &'r [KeyValue]) -> Result<PointLabels<'r>, Refusal> {
        self.labels_without(attributes, &[METRIC_NAME])
    }

    /// The attributes as labels, but for those of the keys `ignored`.
    pub(super) fn labels_without(
        &mut self,
        attributes: &'r [KeyValue],
        ignored: &[&str],
    ) -> Result<PointLabels<'r>, Refusal> {
        let kept = |kv: &&KeyValue| !ignored.contains(&kv.key.as_str());
        let mut sorted: Vec<&KeyValue> = attributes.iter().filter(kept).collect();
        if !sorted.is_sorted_by(|a, b| a.key <= b.key) {
            sorted.sort_by(|a, b| a.key.cmp(&b.key));
        }
        let mut out: PointLabels<'r> = Vec::with_capacity(sorted.len());
        for kv in sorted {
            let Some(name) = self.names.of(&kv.key) else {
                let why = format!("attribute key {} leaves no label name", quoted(&kv.key));
                return Err((Reason::InvalidLabels, why));
            };
            let value = value_text(kv);
            let made = self.names.text(name);
            match out.iter_mut().find(|(n, _)| self.names.text(*n) == made) {
                Some((_, held)) if !held.is_empty() => {
                    held.to_mut().push(';');
                    held.to_mut().push_str(&value);
                }
                Some((_, held)) => *held = value,
                None => out.push((name, value)),
            }
        }
        Ok(out)
    }

    /// The series of `name` with the point's labels and one more.
    pub(super) fn series(
        &mut self,
        name: &str,
        labels: &PointLabels<'r>,
        extra: Option<(&str, &str)>,
    ) -> Result<u32, Refusal> {
        let mut pairs = merged(&self.names, &self.context, labels);
        pairs.retain(|(n, _)| *n != METRIC_NAME && extra.is_none_or(|(e, _)| e != *n));
        pairs.push((METRIC_NAME, name));
        pairs.extend(extra);
        let labels = self.options.limits.labels(&mut pairs);
        let labels =
            labels.map_err(|why| (Reason::InvalidLabels, format!("metric {}: {why}", quoted(name))))?;
        Ok(self.index.resolve(&mut self.batch, labels))
    }

    pub(super) fn push(
        &mut self,
        name: &str,
        labels: &PointLabels<'r>,
        extra: Option<(&str, &str)>,
        when: When,
        value: f64,
    ) -> Result<u32, Refusal> {
        let series = self.series(name, labels, extra)?;
        if let Some(deltas) = self.deltas.as_deref_mut().filter(|_| when.delta) {
            deltas.samples.push(self.batch.samples.len() as u32);
        }
        self.batch.samples.push_started(series, when.at_ms, when.value(value), when.start_ms);
        Ok(series)
    }
}

/// The point's labels with those of its surroundings, by the precedence drawn above.
fn merged<'s>(
    names: &'s Names<'_>,
    context: &'s Context,
    labels: &'s PointLabels<'_>,
) -> Vec<(&'s str, &'s str)> {
    let fixed = context.fixed();
    let mut pairs = Vec::with_capacity(labels.len() + context.promoted.len() + 8);
    for (n, v) in labels {
        let n = names.text(*n);
        if !fixed.clone().any(|(f, _)| f == n) {
            pairs.push((n, v.as_ref()));
        }
    }
    let own = pairs.len();
    for (n, v) in &context.promoted {
        let taken = pairs.iter().take(own).any(|(have, v)| have == n && !v.is_empty());
        if !taken && !fixed.clone().any(|(f, _)| f == n) {
            pairs.retain(|(have, _)| have != n);
            pairs.push((n, v));
        }
    }
    pairs.extend(fixed);
    pairs
}

pub(super) fn value_text(kv: &KeyValue) -> Cow<'_, str> {
    match kv.value.as_ref().and_then(|v| v.value.as_ref()) {
        None => Cow::Borrowed(""),
        Some(Any::StringValue(s)) => Cow::Borrowed(s),
        Some(_) => Cow::Owned(attr::from_value(kv.value.clone()).to_string()),
    }
}
