//! What a catalog version says, and the state all versions together make.
//!
//! ```text
//! catalog/<tenant>/<signal>/v%020d.json, UTF-8 JSON, one object:
//! {"format": 1,             2 while there are deletions, which a reader of 1 would not honour; raised whenever
//!                           an older reader would misunderstand; later ones are refused
//!  "version": 64,           equals the number in the name
//!  "id": "<unique>",        whose commit this is: a writer recognises its own after an unclear answer
//!  "committed_ns": ...,
//!  "change": {...},         what this version adds to the one before
//!  "state": {...}}          every 64th: everything after the change, so that older versions may go
//! ```

use std::{collections::BTreeMap, sync::Arc};

use disklog::Position;
use model::{MetricKind, MetricMetadata, TimeRange, TimestampNs};
use segment::SegmentInfo;
use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// The newest format this version reads.
pub(crate) const FORMAT: u32 = 2;
/// What is written where nothing is in it that a reader of this format would misunderstand.
pub(crate) const PLAIN_FORMAT: u32 = 1;

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Document {
    pub(crate) format: u32,
    pub(crate) version: u64,
    pub(crate) id: String,
    pub(crate) committed_ns: i64,
    pub(crate) change: Change,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) state: Option<State>,
}

/// One atomic step of a (tenant, signal).
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Change {
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) added: Vec<SegmentRef>,
    /// Paths that are no longer part of the state. All must be live, else the change does not apply.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) removed: Vec<String>,
    /// The log of `node` is contained in segments up to here, as far as this tenant and signal go.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) covered: Option<Covered>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) ids: Option<IdsRef>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) metadata: Vec<FamilyMetadata>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) deleted: Vec<DeletionRef>,
    /// Sequences of deletions that are done.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) forgotten: Vec<u64>,
}

/// Series deleted in a range of time, see `deletions`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct DeletionRef {
    /// Label, operator as in PromQL, value; all must hold.
    pub(crate) matchers: Vec<(String, String, String)>,
    /// Both ends included.
    pub(crate) first_ms: i64,
    pub(crate) last_ms: i64,
    /// It applies to segments up to this sequence. 0: given at commit.
    pub(crate) sequence: u64,
    /// When it was made; 0 where that was not noted.
    #[serde(default, skip_serializing_if = "is_none_ms")]
    pub(crate) made_ms: i64,
}

fn is_none_ms(at: &i64) -> bool {
    *at == 0
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Covered {
    /// Identity of the log: node and epoch, see `recover`.
    pub(crate) log: String,
    /// Segment and offset behind the last covered frame.
    pub(crate) upto: (u64, u64),
}

impl Covered {
    pub(crate) fn new(log: &str, upto: Position) -> Self {
        Covered { log: log.to_owned(), upto: (upto.segment, upto.offset) }
    }
}

/// An object of batch ids, see `dedup`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct IdsRef {
    pub(crate) path: String,
    /// Received time of the youngest id inside; past the horizon the object is of no use.
    pub(crate) newest_ns: i64,
}

/// A live segment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct SegmentRef {
    pub(crate) path: String,
    /// The aligned window it lies in: start and width in nanoseconds.
    pub(crate) window: (i64, i64),
    /// Of two items with the same identity the one from the higher sequence counts. 0: given at commit.
    pub(crate) sequence: u64,
    /// Deletions up to this sequence were taken out when it was written.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub(crate) cleaned: u64,
    pub(crate) info: SegmentInfo,
}

fn is_zero(n: &u64) -> bool {
    *n == 0
}

impl SegmentRef {
    pub(crate) fn range(&self) -> TimeRange {
        self.info.range
    }

    /// End of the window; what retention by age goes by is the newest item, which lies before it.
    pub(crate) fn newest(&self) -> TimestampNs {
        TimestampNs(self.info.range.end.0.saturating_sub(1))
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct FamilyMetadata {
    pub(crate) family: String,
    pub(crate) kind: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(crate) unit: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(crate) help: String,
}

impl From<&MetricMetadata> for FamilyMetadata {
    fn from(m: &MetricMetadata) -> Self {
        FamilyMetadata {
            family: m.family.clone(),
            kind: m.kind.as_str().to_owned(),
            unit: m.unit.clone(),
            help: m.help.clone(),
        }
    }
}

impl From<&FamilyMetadata> for MetricMetadata {
    fn from(m: &FamilyMetadata) -> Self {
        let kind = MetricKind::ALL.into_iter().find(|k| k.as_str() == m.kind).unwrap_or_default();
        MetricMetadata { family: m.family.clone(), kind, unit: m.unit.clone(), help: m.help.clone() }
    }
}

/// What is live after a version.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct State {
    pub(crate) version: u64,
    #[serde(with = "by_path")]
    pub(crate) segments: BTreeMap<String, Arc<SegmentRef>>,
    /// Per log identity the position up to which it is covered.
    pub(crate) covered: BTreeMap<String, (u64, u64)>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) ids: Vec<IdsRef>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) metadata: Vec<FamilyMetadata>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) deletions: Vec<DeletionRef>,
}

impl State {
    /// The state after `change` became `version`; `expired_before_ns` drops batch ids nobody asks for.
    pub(crate) fn apply(&self, change: &Change, version: u64, expired_before_ns: i64) -> Result<State> {
        let mut next = self.clone();
        next.version = version;
        for path in &change.removed {
            if next.segments.remove(path).is_none() {
                return Err(Error::Conflict(format!(
                    "segment {path} is no longer live in version {version}"
                )));
            }
        }
        for added in &change.added {
            let mut added = added.clone();
            if added.sequence == 0 {
                added.sequence = version;
            }
            next.segments.insert(added.path.clone(), Arc::new(added));
        }
        if let Some(c) = &change.covered {
            let upto = next.covered.entry(c.log.clone()).or_default();
            *upto = (*upto).max(c.upto);
        }
        next.ids.retain(|i| i.newest_ns >= expired_before_ns);
        next.ids.extend(change.ids.clone());
        for m in &change.metadata {
            match next.metadata.binary_search_by(|x| x.family.cmp(&m.family)) {
                Ok(at) => next.metadata[at] = m.clone(),
                Err(at) => next.metadata.insert(at, m.clone()),
            }
        }
        next.deletions.retain(|d| !change.forgotten.contains(&d.sequence));
        for d in &change.deleted {
            next.deletions.push(DeletionRef { sequence: version, ..d.clone() });
        }
        if !change.deleted.is_empty() {
            // What is deleted may be sent again, and must then be stored.
            next.ids.clear();
        }
        Ok(next)
    }

    /// The newest deletion, 0 where there is none.
    pub(crate) fn newest_deletion(&self) -> u64 {
        self.deletions.iter().map(|d| d.sequence).max().unwrap_or(0)
    }

    /// Where a replay of the log has to begin for this tenant and signal.
    pub(crate) fn covered_upto(&self, log: &str) -> Position {
        let (segment, offset) = self.covered.get(log).copied().unwrap_or_default();
        Position { segment, offset }
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.segments.values().map(|s| s.info.bytes).sum()
    }
}

/// Segments are a list in JSON and keyed by path in memory.
mod by_path {
    use super::{Arc, BTreeMap, SegmentRef};
    use serde::{Deserialize, Deserializer, Serializer};

    pub fn serialize<S: Serializer>(v: &BTreeMap<String, Arc<SegmentRef>>, s: S) -> Result<S::Ok, S::Error> {
        s.collect_seq(v.values().map(|s| &**s))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(
        d: D,
    ) -> Result<BTreeMap<String, Arc<SegmentRef>>, D::Error> {
        let list = Vec::<SegmentRef>::deserialize(d)?;
        Ok(list.into_iter().map(|s| (s.path.clone(), Arc::new(s))).collect())
    }
}
