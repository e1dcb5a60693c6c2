//! Batch ids that were accepted whole, kept exactly for the retry horizon and never beyond a number.
//!
//! Ids survive a restart in two places: the frames still in the log, and, for what was flushed, one small
//! object per flush that the catalog names:
//!
//! ```text
//! magic "ORID" | version u8 = 1 | entries | xxh3-64 of all before (u64)
//! entry: received_ns i64 | kind u8 (0 numbered, 1 content) | 24 bytes: source, epoch, sequence (u64 each)
//!                                                          or the 128-bit hash and 8 zero bytes
//! ```
//! All integers are little-endian. A later version number is refused.

use std::collections::{HashMap, VecDeque};

use model::{BatchId, TenantId};

use crate::{Error, Result};

const MAGIC: &[u8; 4] = b"ORID";
const VERSION: u8 = 1;
const HEADER: usize = 5;
const ENTRY: usize = 8 + 1 + 24;

/// An accepted unit's id and when it was received.
pub(crate) type Seen = (BatchId, i64);

/// The set, oldest first by arrival.
pub(crate) struct KnownIds {
    horizon_ns: i64,
    max: usize,
    by_id: HashMap<(TenantId, BatchId), i64>,
    order: VecDeque<(i64, TenantId, BatchId)>,
}

impl KnownIds {
    pub(crate) fn new(horizon_ns: i64, max: usize) -> Self {
        KnownIds { horizon_ns, max, by_id: HashMap::new(), order: VecDeque::new() }
    }

    pub(crate) fn contains(&self, tenant: &TenantId, id: BatchId, now_ns: i64) -> bool {
        self.by_id
            .get(&(tenant.clone(), id))
            .is_some_and(|received| now_ns.saturating_sub(*received) <= self.horizon_ns)
    }

    /// Remembers an id; forgets what is past the horizon or beyond the number.
    pub(crate) fn insert(&mut self, tenant: &TenantId, id: BatchId, received_ns: i64, now_ns: i64) {
        if now_ns.saturating_sub(received_ns) > self.horizon_ns {
            return;
        }
        let key = (tenant.clone(), id);
        if self.by_id.get(&key).is_some_and(|known| *known >= received_ns) {
            return;
        }
        // An id used again has two places in the order; only the later one ends its time.
        self.by_id.insert(key, received_ns);
        self.order.push_back((received_ns, tenant.clone(), id));
        while let Some((received, _, _)) = self.order.front()
            && (self.order.len() > self.max || now_ns.saturating_sub(*received) > self.horizon_ns)
        {
            let Some((received, tenant, id)) = self.order.pop_front() else { break };
            let key = (tenant, id);
            if self.by_id.get(&key) == Some(&received) {
                self.by_id.remove(&key);
            }
        }
    }

    /// Forgets what one tenant's senders are known by their contents for: deleted, it may be sent again and
    /// must then be stored. Numbered units are never made twice.
    pub(crate) fn forget(&mut self, tenant: &TenantId) {
        let stays = |t: &TenantId, id: &BatchId| t != tenant || matches!(id, BatchId::Numbered { .. });
        self.by_id.retain(|(t, id), _| stays(t, id));
        self.order.retain(|(_, t, id)| stays(t, id));
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.by_id.len()
    }
}

pub(crate) fn encode(ids: &[Seen]) -> Vec<u8> {
    let mut out = Vec::with_capacity(HEADER + ids.len() * ENTRY + 8);
    out.extend_from_slice(MAGIC);
    out.push(VERSION);
    for (id, received_ns) in ids {
        out.extend_from_slice(&received_ns.to_le_bytes());
        match id {
            BatchId::Numbered { source, epoch, sequence } => {
                out.push(0);
                for n in [source, epoch, sequence] {
                    out.extend_from_slice(&n.to_le_bytes());
                }
            }
            BatchId::Content(hash) => {
                out.push(1);
                out.extend_from_slice(&hash.to_le_bytes());
                out.extend_from_slice(&[0; 8]);
            }
        }
    }
    let sum = xxhash_rust::xxh3::xxh3_64(&out);
    out.extend_from_slice(&sum.to_le_bytes());
    out
}

/// Reads what [`encode`] wrote; `path` is for messages.
pub(crate) fn decode(bytes: &[u8], path: &str) -> Result<Vec<Seen>> {
    let bad = |what: &str| {
        Error::Corrupt(format!(
            "batch ids {path}: {what}; restore the object from a backup, or delete it and accept that retries of the last hour may double"
        ))
    };
    let (body, sum) = bytes.split_last_chunk::<8>().ok_or_else(|| bad("the object is cut short"))?;
    if xxhash_rust::xxh3::xxh3_64(body) != u64::from_le_bytes(*sum) {
        return Err(bad("the checksum does not match"));
    }
    let entries = match body.split_first_chunk::<HEADER>() {
        Some(([m @ .., version], rest)) if m == MAGIC => {
            if *version != VERSION {
                return Err(Error::FutureVersion(format!(
                    "batch ids {path} have format version {version}, this version reads {VERSION}: start the newer version"
                )));
            }
            rest
        }
        _ => return Err(bad("it does not begin with ORID")),
    };
    if entries.len() % ENTRY != 0 {
        return Err(bad("an entry is cut short"));
    }
    entries.chunks_exact(ENTRY).map(|e| entry(e).ok_or_else(|| bad("unknown kind of id"))).collect()
}

fn entry(e: &[u8]) -> Option<Seen> {
    let u64_at = |at: usize| Some(u64::from_le_bytes(e.get(at..at + 8)?.try_into().ok()?));
    let received_ns = u64_at(0)? as i64;
    let id = match e.get(8)? {
        0 => BatchId::Numbered { source: u64_at(9)?, epoch: u64_at(17)?, sequence: u64_at(25)? },
        1 => BatchId::Content(u128::from_le_bytes(e.get(9..25)?.try_into().ok()?)),
        _ => return None,
    };
    Some((id, received_ns))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn id(n: u64) -> BatchId {
        BatchId::Numbered { source: 1, epoch: 2, sequence: n }
    }

    #[test]
    fn an_id_is_known_within_the_horizon_to_its_own_tenant_only() {
        let (a, b) = (TenantId::new("a").unwrap(), TenantId::new("b").unwrap());
        let mut known = KnownIds::new(100, 10);
        known.insert(&a, id(1), 0, 0);
        assert!(known.contains(&a, id(1), 100));
        assert!(!known.contains(&a, id(1), 101));
        assert!(!known.contains(&b, id(1), 0));
        known.insert(&a, id(2), 300, 300);
        assert_eq!(known.len(), 1);
    }

    #[test]
    fn an_id_used_again_is_known_for_the_horizon_after_its_last_use() {
        let t = TenantId::default();
        let mut known = KnownIds::new(100, 10);
        known.insert(&t, id(1), 0, 0);
        known.insert(&t, id(2), 50, 50);
        known.insert(&t, id(1), 120, 120);
        known.insert(&t, id(3), 170, 170);
        assert!(known.contains(&t, id(1), 220), "remembered from its second use on");
        known.insert(&t, id(4), 230, 230);
        assert!(!known.contains(&t, id(1), 230));
        assert_eq!(known.len(), 2);
    }

    #[test]
    fn forgetting_a_tenant_leaves_others_and_numbered_units() {
        let (a, b) = (TenantId::default(), TenantId::new("b").unwrap());
        let mut known = KnownIds::new(1000, 10);
        let content = BatchId::Content(7);
        for t in [&a, &b] {
            known.insert(t, content, 0, 0);
            known.insert(t, id(1), 0, 0);
        }
        known.forget(&a);
        assert!(!known.contains(&a, content, 0) && known.contains(&a, id(1), 0));
        assert!(known.contains(&b, content, 0) && known.contains(&b, id(1), 0));
    }

    #[test]
    fn the_oldest_ids_go_when_there_are_too_many() {
        let t = TenantId::default();
        let mut known = KnownIds::new(1000, 3);
        for n in 0..10 {
            known.insert(&t, id(n), n as i64, n as i64);
        }
        assert_eq!(known.len(), 3);
        assert!(!known.contains(&t, id(6), 10) && known.contains(&t, id(7), 10));
    }

    #[test]
    fn ids_survive_their_encoding() {
        let ids = vec![(id(7), -5), (BatchId::Content(u128::MAX - 3), i64::MAX)];
        assert_eq!(decode(&encode(&ids), "x").unwrap(), ids);
        let mut other = encode(&ids);
        other[4] = 9;
        let end = other.len() - 8;
        let sum = xxhash_rust::xxh3::xxh3_64(&other[..end]);
        other[end..].copy_from_slice(&sum.to_le_bytes());
        assert!(matches!(decode(&other, "x"), Err(Error::FutureVersion(_))));
    }

    proptest! {
        #[test]
        fn random_bytes_are_an_error_and_never_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            prop_assert!(decode(&bytes, "x").is_err());
        }
    }
}
