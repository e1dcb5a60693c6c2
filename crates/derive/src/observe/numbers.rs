//! Numbers for keys that had none, as long as there is room for what is counted under them.

use super::{Count, Missing, Names, Observed, Other, What};
use crate::{
    intern::{Interner, OVERFLOW},
    labels::MAX_VALUE_BYTES,
    plan::Plan,
    room::Room,
};

/// Keys hold as many parts as there may be dimensions, and some. A longer one is some hostile sender's.
const MAX_KEY_BYTES: usize = 32 * MAX_VALUE_BYTES;

/// Gives new keys numbers as long as there is room.
pub(super) fn give(plan: &Plan, names: &mut Names, room: &Room, out: &mut Observed, missing: Vec<Missing>) {
    for Missing { what, key } in missing {
        match what {
            What::Red(at) => {
                let number = enter(&mut names.red, room, &key, (plan.red_series(), red_bytes(plan, &key)));
                if let Some(seen) = out.spans.get_mut(at) {
                    seen.count = Count::Under(number);
                }
            }
            What::Node(at) => {
                let number = enter_node(plan, names, room, &key);
                if let Some(half) = out.halves.get_mut(at) {
                    half.node = number;
                }
            }
            What::Other(at) => {
                let number = enter_node(plan, names, room, &key);
                if let Some(half) = out.halves.get_mut(at) {
                    half.other = match half.other {
                        Other::Awaited(_) => Other::Awaited(Some(number)),
                        Other::Virtual(_) => Other::Virtual(number),
                        Other::Database(_) => Other::Database(number),
                    };
                }
            }
            What::Target(at) => {
                let number = enter(&mut names.targets, room, &key, (1, node_bytes(&key)));
                if let Some(target) = out.targets.get_mut(at) {
                    *target = Some(number);
                }
            }
        }
    }
}

/// Rough bytes of what is kept under a RED key: its labels for each series, and the counts.
pub(crate) fn red_bytes(plan: &Plan, key: &[u8]) -> usize {
    key.len() * (1 + plan.red_series()) + 64 * plan.red_series() + plan.red_bounds.bytes() + 128
}

/// Rough bytes of a key by itself.
pub(crate) fn node_bytes(key: &[u8]) -> usize {
    2 * key.len() + 128
}

/// Nodes are as many as edges and halves may refer to.
fn enter_node(plan: &Plan, names: &mut Names, room: &Room, key: &[u8]) -> u32 {
    let halves = plan.options.graph.as_ref().map_or(0, |g| g.max_items);
    if names.nodes.len() >= plan.options.max_series.saturating_add(halves) {
        return names.nodes.get(key).unwrap_or(OVERFLOW);
    }
    enter(&mut names.nodes, room, key, (0, node_bytes(key)))
}

fn enter(names: &mut Interner, room: &Room, key: &[u8], (series, bytes): (usize, usize)) -> u32 {
    if let Some(known) = names.get(key) {
        return known;
    }
    if key.len() > MAX_KEY_BYTES || !room.take(series, bytes) {
        return OVERFLOW;
    }
    names.insert(key)
}
