//! What a catalog keeps of a segment, so that it can leave segments alone without opening them.

use bytes::Bytes;
use model::{MatchOp, Matcher, Signal, TimeRange, TimestampNs, labels::METRIC_NAME};
use serde::{Deserialize, Serialize};

/// Written into every segment. A reader opens this version and all earlier ones; a segment of a later
/// version is refused with a message that says to upgrade. It is raised whenever an older reader would
/// misread a file; columns and blobs an older reader may ignore do not raise it.
pub const FORMAT_VERSION: u32 = 2;

/// Services listed at most; a segment with more says nothing about them.
pub(crate) const MAX_SERVICES: usize = 256;

/// A segment described. Stored as JSON in the segment's own footer too, so a catalog can be rebuilt from
/// the objects.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SegmentInfo {
    #[serde(with = "as_signal")]
    pub signal: Signal,
    pub format_version: u32,
    /// 0 from a flush, 1 and up from compaction.
    pub level: u8,
    /// Parquet rows: (series, window) pairs, log records or spans.
    pub rows: u64,
    /// Samples, log records or spans.
    pub items: u64,
    /// Size of the object; 0 inside the footer, where it is not known yet.
    pub bytes: u64,
    /// Half-open, over all items; spans count by their start. Empty if there are no items.
    #[serde(with = "as_range")]
    pub range: TimeRange,
    /// Metrics: smallest and largest `__name__`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub names: Option<(String, String)>,
    /// Logs: values of the stream label `service_name`; traces: service names. Sorted; `None` where there
    /// are more than 256 or the signal has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub services: Option<Vec<String>>,
}

impl SegmentInfo {
    /// Whether the segment can hold an item in `range`.
    pub fn overlaps(&self, range: TimeRange) -> bool {
        self.range.overlaps(range)
    }

    /// Whether a series or stream that satisfies all matchers can be inside, as far as the summary tells.
    pub fn may_match(&self, matchers: &[Matcher]) -> bool {
        matchers.iter().filter(|m| !m.matches_empty()).all(|m| match (m.name.as_str(), &m.op) {
            (METRIC_NAME, MatchOp::Equal) => {
                self.names.as_ref().is_none_or(|(lo, hi)| *lo <= m.value && m.value <= *hi)
            }
            ("service_name", _) if self.signal == Signal::LOGS => {
                self.services.as_ref().is_none_or(|s| s.iter().any(|v| m.matches(v)))
            }
            _ => true,
        })
    }

    /// Whether spans of a service can be inside.
    pub fn may_hold_service(&self, service: &str) -> bool {
        self.services.as_ref().is_none_or(|s| s.iter().any(|v| v == service))
    }
}

/// A finished segment, ready to be put under a path that contains `hash`.
#[derive(Debug, Clone)]
pub struct Written {
    pub bytes: Bytes,
    pub info: SegmentInfo,
    /// XXH3-128 of `bytes` as 32 lower-case hex digits. Equal input gives equal bytes and so an equal hash.
    pub hash: String,
}

mod as_signal {
    use model::Signal;
    use serde::{Deserialize, Deserializer, Serializer};

    pub fn serialize<S: Serializer>(v: &Signal, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(v.as_str())
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<Signal, D::Error> {
        Ok(Signal::new(&String::deserialize(d)?))
    }
}

/// `[start_ns, end_ns]`.
mod as_range {
    use super::{TimeRange, TimestampNs};
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub fn serialize<S: Serializer>(v: &TimeRange, s: S) -> Result<S::Ok, S::Error> {
        (v.start.0, v.end.0).serialize(s)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<TimeRange, D::Error> {
        let (a, b) = <(i64, i64)>::deserialize(d)?;
        Ok(TimeRange::new(TimestampNs(a), TimestampNs(b)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn info() -> SegmentInfo {
        SegmentInfo {
            signal: Signal::METRICS,
            format_version: 1,
            level: 0,
            rows: 1,
            items: 2,
            bytes: 3,
            range: TimeRange::from_ms_inclusive(5, 6),
            names: Some(("b".into(), "d".into())),
            services: None,
        }
    }

    #[test]
    fn an_info_survives_json() {
        let json = serde_json::to_string(&info()).unwrap();
        assert!(json.contains("\"signal\":\"metrics\""), "{json}");
        assert_eq!(serde_json::from_str::<SegmentInfo>(&json).unwrap(), info());
    }

    #[test]
    fn only_names_inside_the_bounds_may_match() {
        assert!(info().may_match(&[Matcher::equal("__name__", "c")]));
        assert!(!info().may_match(&[Matcher::equal("__name__", "e")]));
        assert!(info().may_match(&[Matcher::equal("job", "e")]));
    }
}
