//! `/proc/meminfo` and `/proc/vmstat` (proc(5)).

use std::collections::HashMap;

use super::emit::{Emit, Metric};

const USAGE: Metric = Metric::gauge(
    "system.memory.usage",
    "By",
    "Bytes of memory by state; used, free, cached and buffers add up to the limit.",
);
const UTILIZATION: Metric =
    Metric::gauge("system.memory.utilization", "1", "Share of the machine's memory by state.");
const LIMIT: Metric = Metric::gauge("system.memory.limit", "By", "Bytes of memory the machine has.");
const AVAILABLE: Metric = Metric::gauge(
    "system.linux.memory.available",
    "By",
    "Bytes that programs can still get without swapping, as the kernel estimates.",
);
const SLAB: Metric = Metric::gauge("system.linux.memory.slab.usage", "By", "Bytes in kernel slabs.");
const PAGING_USAGE: Metric = Metric::gauge("system.paging.usage", "By", "Bytes of swap by state.");
const PAGING_UTILIZATION: Metric = Metric::gauge("system.paging.utilization", "1", "Share of swap by state.");
const FAULTS: Metric = Metric::counter("system.paging.faults", "{fault}", "Page faults by type.");
const OPERATIONS: Metric =
    Metric::counter("system.paging.operations", "{operation}", "Pages moved to and from disk or swap.");

/// `Name:   123 kB` lines, in bytes.
pub(super) fn parse_meminfo(text: &str) -> HashMap<&str, u64> {
    let line = |l: &'_ str| -> Option<u64> {
        let mut words = l.split_ascii_whitespace();
        let n: u64 = words.next()?.parse().ok()?;
        match words.next() {
            Some("kB") => n.checked_mul(1024),
            None => Some(n),
            Some(_) => None,
        }
    };
    text.lines()
        .filter_map(|l| {
            let (name, rest) = l.split_once(':')?;
            Some((name, line(rest)?))
        })
        .collect()
}

pub(super) fn emit(e: &mut Emit, text: &str) -> Option<()> {
    let m = parse_meminfo(text);
    let get = |name| m.get(name).copied();
    let (total, free) = (get("MemTotal")?, get("MemFree")?);
    let buffers = get("Buffers").unwrap_or(0);
    let slab = get("SReclaimable").unwrap_or(0);
    let cached = get("Cached").unwrap_or(0) + slab;
    let used = total.saturating_sub(free + buffers + cached);
    for (state, bytes) in [("used", used), ("free", free), ("cached", cached), ("buffers", buffers)] {
        let attributes = [("system.memory.state", state)];
        e.push(&USAGE, &attributes, bytes as f64);
        if total > 0 {
            e.push(&UTILIZATION, &attributes, bytes as f64 / total as f64);
        }
    }
    e.push(&LIMIT, &[], total as f64);
    if let Some(available) = get("MemAvailable") {
        e.push(&AVAILABLE, &[], available as f64);
    }
    e.push(&SLAB, &[("linux.memory.slab.state", "reclaimable")], slab as f64);
    e.push(&SLAB, &[("linux.memory.slab.state", "unreclaimable")], get("SUnreclaim").unwrap_or(0) as f64);
    if let (Some(all), Some(free)) = (get("SwapTotal"), get("SwapFree")) {
        for (state, bytes) in [("used", all.saturating_sub(free)), ("free", free)] {
            let attributes = [("system.paging.state", state)];
            e.push(&PAGING_USAGE, &attributes, bytes as f64);
            if all > 0 {
                e.push(&PAGING_UTILIZATION, &attributes, bytes as f64 / all as f64);
            }
        }
    }
    Some(())
}

pub(super) fn emit_paging(e: &mut Emit, text: &str) -> Option<()> {
    let m: HashMap<&str, u64> = text
        .lines()
        .filter_map(|l| l.split_once(' '))
        .filter_map(|(k, v)| Some((k, v.trim().parse().ok()?)))
        .collect();
    let get = |name| m.get(name).copied();
    let (all, major) = (get("pgfault")?, get("pgmajfault")?);
    e.push(&FAULTS, &[("system.paging.fault.type", "minor")], all.saturating_sub(major) as f64);
    e.push(&FAULTS, &[("system.paging.fault.type", "major")], major as f64);
    for (fault, direction, name) in [
        ("major", "in", "pswpin"),
        ("major", "out", "pswpout"),
        ("minor", "in", "pgpgin"),
        ("minor", "out", "pgpgout"),
    ] {
        if let Some(n) = get(name) {
            let attributes = [("system.paging.fault.type", fault), ("system.paging.direction", direction)];
            e.push(&OPERATIONS, &attributes, n as f64);
        }
    }
    Some(())
}
