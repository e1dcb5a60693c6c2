//! `/proc/stat`, `/proc/loadavg`, `/proc/uptime` (proc(5)).

use super::points::{Family, Points};

/// Clock ticks per second in `/proc/stat`: USER_HZ, which is 100 on every Linux architecture in use.
pub const TICKS_PER_SECOND: f64 = 100.0;

const MODES: [&str; 8] = ["user", "nice", "system", "idle", "iowait", "interrupt", "softirq", "steal"];

const TIME: Family =
    Family::counter("system_cpu_time_seconds_total", "s", "Seconds each logical CPU spent in each mode.");
const UTILIZATION: Family = Family::gauge(
    "system_cpu_utilization_ratio",
    "1",
    "Share of time each logical CPU spent in each mode since the last reading.",
);
const COUNT: Family = Family::gauge("system_cpu_logical_count", "{cpu}", "Logical CPUs the system has.");
const LOAD: [Family; 3] = [
    Family::gauge("system_cpu_load_average_1m", "{thread}", "Average CPU load over 1 minute."),
    Family::gauge("system_cpu_load_average_5m", "{thread}", "Average CPU load over 5 minutes."),
    Family::gauge("system_cpu_load_average_15m", "{thread}", "Average CPU load over 15 minutes."),
];
const PROCESSES: Family = Family::gauge("system_process_count", "{process}", "Processes by status.");
const CREATED: Family = Family::counter(
    "system_process_created_total",
    "{process}",
    "Processes created since the system started.",
);
const SWITCHES: Family = Family::counter(
    "system_context_switches_total",
    "{switch}",
    "Context switches since the system started.",
);
const UPTIME: Family = Family::gauge("system_uptime_seconds", "s", "Seconds since the system started.");

/// Ticks by CPU number and mode.
pub type Times = Vec<(String, [f64; 8])>;

/// The `cpuN` lines of `/proc/stat`.
pub fn parse(stat: &str) -> Times {
    let mut out = Times::new();
    for line in stat.lines() {
        let mut words = line.split_ascii_whitespace();
        let Some(number) = words.next().and_then(|w| w.strip_prefix("cpu")).filter(|n| !n.is_empty()) else {
            continue;
        };
        let mut ticks = [0.0; 8];
        for (slot, word) in ticks.iter_mut().zip(words) {
            *slot = word.parse().unwrap_or(0.0);
        }
        out.push((number.to_owned(), ticks));
    }
    out
}

pub fn points(p: &mut Points, now: &Times, before: Option<&Times>) {
    if now.is_empty() {
        return;
    }
    p.push(&COUNT, &[], now.len() as f64);
    for (number, ticks) in now {
        for (mode, t) in MODES.iter().zip(ticks) {
            p.push(&TIME, &[("cpu_logical_number", number), ("cpu_mode", mode)], t / TICKS_PER_SECOND);
        }
        let Some((_, earlier)) = before.and_then(|b| b.iter().find(|(n, _)| n == number)) else { continue };
        let spent: Vec<f64> = ticks.iter().zip(earlier).map(|(a, b)| (a - b).max(0.0)).collect();
        let total: f64 = spent.iter().sum();
        if total > 0.0 {
            for (mode, t) in MODES.iter().zip(&spent) {
                p.push(&UTILIZATION, &[("cpu_logical_number", number), ("cpu_mode", mode)], t / total);
            }
        }
    }
}

pub fn load_points(p: &mut Points, loadavg: &str) {
    for (family, word) in LOAD.iter().zip(loadavg.split_ascii_whitespace()) {
        if let Ok(v) = word.parse() {
            p.push(family, &[], v);
        }
    }
}

pub fn process_points(p: &mut Points, stat: &str, uptime: &str) {
    let value = |key: &str| {
        stat.lines().find_map(|l| l.strip_prefix(key)?.split_ascii_whitespace().next()?.parse::<f64>().ok())
    };
    for (key, status) in [("procs_running ", "running"), ("procs_blocked ", "blocked")] {
        if let Some(v) = value(key) {
            p.push(&PROCESSES, &[("process_status", status)], v);
        }
    }
    if let Some(v) = value("processes ") {
        p.push(&CREATED, &[], v);
    }
    if let Some(v) = value("ctxt ") {
        p.push(&SWITCHES, &[], v);
    }
    if let Some(v) = uptime.split_ascii_whitespace().next().and_then(|w| w.parse().ok()) {
        p.push(&UPTIME, &[], v);
    }
}
