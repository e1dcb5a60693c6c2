//! Exemplars: `trace_id` and `span_id` in hex, then the filtered attributes under their own keys.

use std::borrow::Cow;

use model::Exemplar;
use proto::otlp::metrics::{Exemplar as Point, exemplar};

use super::{Converter, labels::value_text};
use crate::Reason;

/// Characters an exemplar's labels may have together (OpenMetrics); beyond that only its ids are kept.
const MAX_EXEMPLAR_CHARS: usize = 128;

impl<'r> Converter<'r, '_> {
    /// Keeps an exemplar; one without a value says nothing and is left out.
    pub(super) fn exemplar(&mut self, series: u32, e: &'r Point, at_ms: i64) {
        let Some(value) = value(e) else { return };
        let hex = |id: &[u8]| id.iter().map(|b| format!("{b:02x}")).collect::<String>();
        let ids: Vec<(&str, Cow<'_, str>)> = [("trace_id", &e.trace_id), ("span_id", &e.span_id)]
            .into_iter()
            .filter(|(_, id)| id.iter().any(|b| *b != 0))
            .map(|(n, id)| (n, Cow::Owned(hex(id))))
            .collect();
        let own = |key: &str| !key.is_empty() && ids.iter().all(|(n, _)| *n != key);
        let attributes: Vec<(&str, Cow<'_, str>)> = e
            .filtered_attributes
            .iter()
            .filter(|kv| own(&kv.key))
            .map(|kv| (kv.key.as_str(), value_text(kv)))
            .collect();
        let mut pairs: Vec<(&str, &str)> =
            ids.iter().chain(&attributes).map(|(n, v)| (*n, v.as_ref())).collect();
        let chars: usize = pairs.iter().map(|(n, v)| n.chars().count() + v.chars().count()).sum();
        if chars > MAX_EXEMPLAR_CHARS {
            pairs.truncate(ids.len());
        }
        let timestamp_ms = match e.time_unix_nano {
            0 => at_ms,
            t => i64::try_from(t / 1_000_000).unwrap_or(i64::MAX),
        };
        match self.options.limits.labels(&mut pairs) {
            Ok(labels) => self.batch.exemplars.push((series, Exemplar { labels, value, timestamp_ms })),
            Err(why) => self.refused.add(Reason::InvalidLabels, self.seen, || format!("exemplar: {why}")),
        }
    }
}

pub(super) fn value(e: &Point) -> Option<f64> {
    match e.value? {
        exemplar::Value::AsDouble(v) => Some(v),
        exemplar::Value::AsInt(v) => Some(v as f64),
    }
}
