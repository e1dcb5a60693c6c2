//! Processes: how many there are, and this one (`/proc/self/stat`, proc(5)).

use std::path::Path;

use super::{
    cpu::{Stat, TICKS_PER_SECOND, parse_uptime},
    emit::{Emit, Metric},
};

const COUNT: Metric = Metric::gauge("system.processes.count", "{process}", "Processes by state.");
const CREATED: Metric = Metric::counter("system.processes.created", "{process}", "Processes created.");
const CPU_TIME: Metric = Metric::counter("process.cpu.time", "s", "CPU seconds this process used.");
const RSS: Metric = Metric::gauge("process.memory.usage", "By", "Physical memory this process holds.");
const VIRTUAL: Metric =
    Metric::gauge("process.memory.virtual", "By", "Address space this process has mapped.");
const THREADS: Metric = Metric::gauge("process.thread.count", "{thread}", "Threads of this process.");
const OPEN_FILES: Metric =
    Metric::gauge("process.open_file_descriptor.count", "{file_descriptor}", "Files this process has open.");
const FAULTS: Metric = Metric::counter("process.paging.faults", "{fault}", "Page faults of this process.");
const UPTIME: Metric = Metric::gauge("process.uptime", "s", "Seconds since this process started.");

/// Processes looked at in one reading. More exist on few machines, and only their states are missed.
const MAX_PROCESSES: usize = 32_768;

pub(super) struct Files {
    pub(super) stat: Option<String>,
    pub(super) open_files: Option<usize>,
    pub(super) uptime: Option<String>,
}

/// What is used of `/proc/<pid>/stat`.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct ProcessStat {
    pub(super) name: String,
    pub(super) state: char,
    pub(super) minor_faults: u64,
    pub(super) major_faults: u64,
    pub(super) user_ticks: u64,
    pub(super) system_ticks: u64,
    pub(super) threads: u64,
    /// Ticks after the machine's start.
    pub(super) started_ticks: u64,
    pub(super) virtual_bytes: u64,
    pub(super) rss_pages: u64,
}

/// The name stands in parentheses and may hold blanks and parentheses itself; the last one closes it.
pub(super) fn parse_stat(text: &str) -> Option<ProcessStat> {
    let open = text.find('(')?;
    let close = text.rfind(')')?;
    let name = text.get(open + 1..close)?.to_owned();
    let rest: Vec<&str> = text.get(close + 1..)?.split_ascii_whitespace().collect();
    // Field 3 of proc(5) is the first one behind the name.
    let field = |n: usize| rest.get(n - 3).and_then(|w| w.parse::<u64>().ok());
    Some(ProcessStat {
        name,
        state: rest.first()?.chars().next()?,
        minor_faults: field(10)?,
        major_faults: field(12)?,
        user_ticks: field(14)?,
        system_ticks: field(15)?,
        threads: field(20)?,
        started_ticks: field(22)?,
        virtual_bytes: field(23)?,
        rss_pages: field(24)?,
    })
}

pub(super) fn count_open_files(dir: &Path) -> Option<usize> {
    Some(std::fs::read_dir(dir).ok()?.take(1 << 20).count())
}

pub(super) fn emit(e: &mut Emit, files: &Files) -> Option<()> {
    let s = parse_stat(files.stat.as_deref()?)?;
    let name = ("process.executable.name", s.name.as_str());
    for (mode, ticks) in [("user", s.user_ticks), ("system", s.system_ticks)] {
        e.push(&CPU_TIME, &[name, ("cpu.mode", mode)], ticks as f64 / TICKS_PER_SECOND);
    }
    let page = rustix::param::page_size() as f64;
    e.push(&RSS, &[name], s.rss_pages as f64 * page);
    e.push(&VIRTUAL, &[name], s.virtual_bytes as f64);
    e.push(&THREADS, &[name], s.threads as f64);
    for (kind, n) in [("minor", s.minor_faults), ("major", s.major_faults)] {
        e.push(&FAULTS, &[name, ("system.paging.fault.type", kind)], n as f64);
    }
    if let Some(n) = files.open_files {
        e.push(&OPEN_FILES, &[name], n as f64);
    }
    if let Some(up) = files.uptime.as_deref().and_then(parse_uptime) {
        e.push(&UPTIME, &[name], (up - s.started_ticks as f64 / TICKS_PER_SECOND).max(0.0));
    }
    Some(())
}

/// OpenTelemetry's word for a state letter of proc(5).
fn state_name(letter: char) -> &'static str {
    match letter {
        'R' => "running",
        'S' | 'I' => "sleeping",
        'D' => "blocked",
        'Z' => "defunct",
        'T' | 't' => "stopped",
        _ => "unknown",
    }
}

pub(super) fn emit_counts(e: &mut Emit, proc: &Path, stat: Option<&Stat>) -> Option<()> {
    let mut counts: Vec<(&'static str, u64)> =
        ["running", "sleeping", "blocked", "defunct", "stopped", "unknown"].map(|s| (s, 0)).to_vec();
    let entries = std::fs::read_dir(proc).ok()?;
    let pids =
        entries.flatten().filter(|d| d.file_name().to_string_lossy().bytes().all(|b| b.is_ascii_digit()));
    for pid in pids.take(MAX_PROCESSES) {
        // It may have ended since it was listed.
        let Some(found) = super::read(&pid.path().join("stat")).as_deref().and_then(parse_stat) else {
            continue;
        };
        let name = state_name(found.state);
        if let Some((_, n)) = counts.iter_mut().find(|(s, _)| *s == name) {
            *n += 1;
        }
    }
    for (state, n) in counts {
        e.push(&COUNT, &[("process.state", state)], n as f64);
    }
    if let Some(n) = stat.and_then(|s| s.processes_created) {
        e.push(&CREATED, &[], n as f64);
    }
    Some(())
}
