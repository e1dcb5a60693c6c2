//! Who asks whom, where members have members of their own.
//!
//! A question carries the names of all that others are asked for (`QueryLimits::elsewhere`). A node that passes it on
//! divides what it can reach: each member is asked for itself, and each source beyond members is asked for through one
//! of them, the nearest that answers just now. Every member is told the names of everybody else, of this node, and of
//! all that this node was told.
//!
//! ```text
//!            ops-01 ── elsewhere {ops-01, dev-01} ──► prod-01 ──► stage-01, which only prod-01 can reach
//!               └───── elsewhere {ops-01, prod-01, stage-01} ──► dev-01, which has stage-01 too and leaves it out
//! ```
//! So a source is asked once whichever ways lead to it, and since the names on a way only become more, no question goes
//! in a circle, even while what nodes know of each other is out of date. What is beyond a member is known from its
//! announcement; a source that has just appeared there may be missing, or come twice, until the next one.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use crate::{
    Member,
    member::title,
    peer::{Announcement, Beyond},
};

/// Nodes that a question passes at most. Longer ways are not announced, so that what nodes say of each other about a
/// source that is gone comes to an end.
pub(crate) const MAX_HOPS: u32 = 8;

/// What one member is told and asked for.
#[derive(Debug, Default, Clone)]
pub(crate) struct Told {
    pub(crate) elsewhere: Arc<[String]>,
    /// Sources beyond it that it alone is asked for.
    pub(crate) beyond: Vec<Source>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Source {
    pub(crate) cluster: String,
    pub(crate) replica: Option<String>,
}

/// What each member is told, in the order of the list; `None` for those that are not to be asked.
pub(crate) fn divide(members: &[Arc<Member>], own: &[String], received: &[String]) -> Vec<Option<Told>> {
    let received: BTreeSet<&str> = received.iter().map(String::as_str).collect();
    if own.iter().any(|name| received.contains(name.as_str())) {
        // The question has been here, or somebody else asks this node.
        return members.iter().map(|_| None).collect();
    }
    let titles: Vec<String> = members.iter().map(|m| m.title()).collect();
    let mut named: BTreeSet<&str> = received.clone();
    named.extend(own.iter().map(String::as_str));
    named.extend(titles.iter().map(String::as_str));
    let known: Vec<Option<Arc<Announcement>>> =
        members.iter().map(|m| m.link.as_ref().and_then(|l| l.known())).collect();
    let ways = ways(members, &known, &titles, &named, &received);
    let told = |i: usize| {
        let title = titles.get(i).map(String::as_str).unwrap_or_default();
        let node = known.get(i).and_then(|k| k.as_ref()).map(|k| k.node.as_str()).unwrap_or_default();
        if received.contains(title) || (!node.is_empty() && received.contains(node)) {
            return None;
        }
        if members.get(i).is_none_or(|m| m.link.is_none()) {
            return Some(Told::default());
        }
        let others = ways.iter().filter(|(_, w)| w.member != i).map(|(t, _)| t.as_str());
        let elsewhere = named.iter().copied().filter(|n| *n != title).chain(others).map(str::to_owned);
        let beyond = ways.values().filter(|w| w.member == i);
        Some(Told {
            elsewhere: elsewhere.collect::<Vec<_>>().into(),
            beyond: beyond.map(|w| w.to.clone()).collect(),
        })
    };
    (0..members.len()).map(told).collect()
}

/// Through which member a source beyond is asked.
struct Way {
    member: usize,
    /// Whether the member answers just now, and how far it is: the less the better.
    rank: (bool, u32),
    to: Source,
}

fn ways(
    members: &[Arc<Member>],
    known: &[Option<Arc<Announcement>>],
    titles: &[String],
    named: &BTreeSet<&str>,
    received: &BTreeSet<&str>,
) -> BTreeMap<String, Way> {
    let mut ways: BTreeMap<String, Way> = BTreeMap::new();
    for (i, (member, known)) in members.iter().zip(known).enumerate() {
        let (Some(link), Some(known)) = (&member.link, known) else { continue };
        if titles.get(i).is_none_or(|t| received.contains(t.as_str())) {
            continue;
        }
        for b in &known.beyond {
            let to = title(&b.cluster, b.replica.as_deref());
            let rank = (!link.is_up(), b.hops);
            if named.contains(to.as_str()) || ways.get(&to).is_some_and(|w| w.rank <= rank) {
                continue;
            }
            let source = Source { cluster: b.cluster.clone(), replica: b.replica.clone() };
            ways.insert(to, Way { member: i, rank, to: source });
        }
    }
    ways
}

/// What a node says is beyond it: the peers it has, and what they say is beyond them, without the one that asks and
/// what only that one leads to. `peers` are the sources this node asks itself, each with what it announced.
pub(crate) fn beyond(
    peers: &[(Beyond, Option<Arc<Announcement>>)],
    own: &[String],
    asker: &[String],
) -> Vec<Beyond> {
    let mut all: BTreeMap<String, Beyond> = BTreeMap::new();
    let is = |names: &[String], title: &str| names.iter().any(|n| n == title);
    for (peer, known) in peers {
        let name = title(&peer.cluster, peer.replica.as_deref());
        let node = known.as_ref().map(|k| k.node.as_str()).filter(|n| !n.is_empty());
        if is(asker, &name) || node.is_some_and(|n| is(asker, n)) {
            continue;
        }
        let further = known.iter().flat_map(|k| &k.beyond).map(|b| Beyond { hops: b.hops + 1, ..b.clone() });
        for b in std::iter::once(Beyond { hops: 1, ..peer.clone() }).chain(further) {
            let to = title(&b.cluster, b.replica.as_deref());
            if b.hops > MAX_HOPS || is(own, &to) || is(asker, &to) {
                continue;
            }
            match all.get(&to) {
                Some(found) if found.hops <= b.hops => {}
                _ => {
                    all.insert(to, b);
                }
            }
        }
    }
    all.into_values().collect()
}

#[cfg(test)]
mod tests;
