//! `/proc/stat`, `/proc/loadavg`, `/proc/uptime` (proc(5)).

use super::emit::{Emit, Metric};

const TIME: Metric = Metric::counter("system.cpu.time", "s", "Seconds each logical CPU spent in each mode.");
const UTILIZATION: Metric = Metric::gauge(
    "system.cpu.utilization",
    "1",
    "Share of time each logical CPU spent in each mode since the last reading.",
);
const LOGICAL: Metric = Metric::gauge("system.cpu.logical.count", "{cpu}", "Logical CPUs.");
const LOADS: [Metric; 3] = [
    Metric::gauge("system.cpu.load_average.1m", "{thread}", "Load average over 1 minute."),
    Metric::gauge("system.cpu.load_average.5m", "{thread}", "Load average over 5 minutes."),
    Metric::gauge("system.cpu.load_average.15m", "{thread}", "Load average over 15 minutes."),
];
const UPTIME: Metric = Metric::gauge("system.uptime", "s", "Seconds since the machine started.");
const SWITCHES: Metric =
    Metric::counter("system.context_switches", "{count}", "Switches from one thread to another.");

/// Modes in the order of the columns of `/proc/stat`. The two columns behind them, guest time, are already
/// contained in user and nice.
const MODES: [&str; 8] = ["user", "nice", "system", "idle", "iowait", "interrupt", "softirq", "steal"];

/// Kernel clock ticks a second as user space sees them: 100 on every architecture Linux runs on today.
pub(super) const TICKS_PER_SECOND: f64 = 100.0;

/// What is used of `/proc/stat`.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Stat {
    /// (logical number, ticks per mode).
    pub(super) cpus: Vec<(u32, [u64; 8])>,
    pub(super) context_switches: Option<u64>,
    pub(super) processes_created: Option<u64>,
    pub(super) boot_time_s: Option<u64>,
}

pub(super) fn parse_stat(text: &str) -> Option<Stat> {
    let mut stat = Stat::default();
    for line in text.lines() {
        let mut words = line.split_ascii_whitespace();
        let Some(key) = words.next() else { continue };
        let mut number = || words.next().and_then(|w| w.parse::<u64>().ok());
        match key {
            "ctxt" => stat.context_switches = number(),
            "processes" => stat.processes_created = number(),
            "btime" => stat.boot_time_s = number(),
            _ => {
                // "cpu" alone is the sum of all.
                if let Some(n) = key.strip_prefix("cpu").and_then(|n| n.parse().ok()) {
                    stat.cpus.push((n, std::array::from_fn(|_| number().unwrap_or(0))));
                }
            }
        }
    }
    (!stat.cpus.is_empty()).then_some(stat)
}

pub(super) fn emit(e: &mut Emit, now: &Stat, before: Option<&Stat>) {
    for (cpu, ticks) in &now.cpus {
        let number = cpu.to_string();
        let attributes = |mode| [("cpu.logical_number", number.as_str()), ("cpu.mode", mode)];
        for (mode, t) in MODES.iter().zip(ticks) {
            e.push(&TIME, &attributes(mode), *t as f64 / TICKS_PER_SECOND);
        }
        let Some((_, old)) = before.and_then(|b| b.cpus.iter().find(|(n, _)| n == cpu)) else { continue };
        // Idle and iowait may step back a little (proc(5)); a negative share would be nonsense.
        let spent: [u64; 8] = std::array::from_fn(|i| ticks[i].saturating_sub(old[i]));
        let all: u64 = spent.iter().sum();
        if all > 0 {
            for (mode, t) in MODES.iter().zip(spent) {
                e.push(&UTILIZATION, &attributes(mode), t as f64 / all as f64);
            }
        }
    }
    e.push(&LOGICAL, &[], now.cpus.len() as f64);
    if let Some(n) = now.context_switches {
        e.push(&SWITCHES, &[], n as f64);
    }
}

pub(super) fn emit_load(e: &mut Emit, text: &str) -> Option<()> {
    let mut words = text.split_ascii_whitespace();
    for m in &LOADS {
        e.push(m, &[], words.next()?.parse().ok()?);
    }
    Some(())
}

pub(super) fn parse_uptime(text: &str) -> Option<f64> {
    text.split_ascii_whitespace().next()?.parse().ok()
}

pub(super) fn emit_uptime(e: &mut Emit, text: &str) -> Option<()> {
    e.push(&UPTIME, &[], parse_uptime(text)?);
    Some(())
}
