//! `/proc/meminfo` and `/proc/vmstat` (proc(5)).

use super::points::{Family, Points};

const USAGE: Family = Family::gauge("system_memory_usage_bytes", "By", "Memory in use by state.");
const UTILIZATION: Family =
    Family::gauge("system_memory_utilization_ratio", "1", "Share of memory by state.");
const LIMIT: Family = Family::gauge("system_memory_limit_bytes", "By", "Memory the system has.");
const AVAILABLE: Family = Family::gauge(
    "system_linux_memory_available_bytes",
    "By",
    "Memory that programs can get without swapping.",
);
const PAGING: Family = Family::gauge("system_paging_usage_bytes", "By", "Swap by state.");
const FAULTS: Family = Family::counter("system_paging_faults_total", "{fault}", "Page faults by type.");
const OPERATIONS: Family = Family::counter(
    "system_paging_operations_total",
    "{operation}",
    "Paging operations by type and direction.",
);

pub fn points(p: &mut Points, meminfo: &str) {
    let kib = |key: &str| {
        meminfo.lines().find_map(|l| {
            let (name, rest) = l.split_once(':')?;
            (name == key).then(|| rest.split_ascii_whitespace().next()?.parse::<f64>().ok())?
        })
    };
    let bytes = |key: &str| kib(key).map(|v| v * 1024.0);
    let Some(total) = bytes("MemTotal").filter(|t| *t > 0.0) else { return };
    let or_zero = |key: &str| bytes(key).unwrap_or(0.0);
    let (free, buffers, cached, slab) =
        (or_zero("MemFree"), or_zero("Buffers"), or_zero("Cached"), or_zero("SReclaimable"));
    let used = (total - free - buffers - cached - slab).max(0.0);
    p.push(&LIMIT, &[], total);
    for (state, value) in
        [("used", used), ("free", free), ("buffers", buffers), ("cached", cached), ("slab_reclaimable", slab)]
    {
        p.push(&USAGE, &[("system_memory_state", state)], value);
        p.push(&UTILIZATION, &[("system_memory_state", state)], value / total);
    }
    if let Some(v) = bytes("MemAvailable") {
        p.push(&AVAILABLE, &[], v);
    }
    if let (Some(swap), Some(unused)) = (bytes("SwapTotal"), bytes("SwapFree")) {
        p.push(&PAGING, &[("system_paging_state", "used")], (swap - unused).max(0.0));
        p.push(&PAGING, &[("system_paging_state", "free")], unused);
    }
}

pub fn paging_points(p: &mut Points, vmstat: &str) {
    let value = |key: &str| {
        vmstat.lines().find_map(|l| {
            let (name, v) = l.split_once(' ')?;
            (name == key).then(|| v.trim().parse::<f64>().ok())?
        })
    };
    if let (Some(all), Some(major)) = (value("pgfault"), value("pgmajfault")) {
        p.push(&FAULTS, &[("system_paging_type", "major")], major);
        p.push(&FAULTS, &[("system_paging_type", "minor")], (all - major).max(0.0));
    }
    for (key, direction) in [("pswpin", "in"), ("pswpout", "out")] {
        if let Some(v) = value(key) {
            p.push(
                &OPERATIONS,
                &[("system_paging_direction", direction), ("system_paging_type", "major")],
                v,
            );
        }
    }
}
