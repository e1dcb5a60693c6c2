//! The machine's own metrics, from /proc and /sys, under OpenTelemetry's names for hosts
//! (`opentelemetry.io/docs/specs/semconv/system/system-metrics`) as Prometheus spells them.
//!
//! ```text
//! read files ─► parse (pure, one module per file family) ─► emit ─► batch ─► append
//! ```
//! Every series has `job="hostmetrics"`, `instance` and `host_name`. A file that is missing or not understood
//! costs its own metrics only, and is counted.

mod cpu;
mod disk;
mod emit;
mod filesystem;
mod memory;
mod network;
mod process;

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use contract::AppendUnit;
use model::{Batch, BatchId, MetricBatch};

use crate::Context;
use emit::Emit;

const SOURCE: &str = "hostmetrics";

/// Larger files under /proc are cut; none that is read here comes near.
const MAX_FILE_BYTES: usize = 4 << 20;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    pub interval: Duration,
    /// Where /proc and /sys are mounted.
    pub proc: PathBuf,
    pub sys: PathBuf,
    /// Put before the mount points that /proc names, for a node in a container that sees the host's files
    /// under e.g. `/host`.
    pub root: PathBuf,
    /// The `instance` label; by default the host's name.
    pub instance: Option<String>,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            interval: Duration::from_secs(15),
            proc: PathBuf::from("/proc"),
            sys: PathBuf::from("/sys"),
            root: PathBuf::from("/"),
            instance: None,
        }
    }
}

/// The kernel's name of this machine.
pub fn host_name() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

/// Starts collecting, at once and then at every interval.
pub fn start(context: &Context, options: Options) {
    let context = context.clone();
    context.shutdown.clone().spawn(async move {
        let mut collector = Collector::new(options, &context.host_name);
        let epoch = context.clock.now_ns() as u64;
        for sequence in 0.. {
            let interval = collector.options.interval;
            let now_ns = context.clock.now_ns();
            let (next, batch, problems) = match tokio::task::spawn_blocking(move || {
                let (batch, problems) = collector.collect(now_ns.div_euclid(1_000_000));
                (collector, batch, problems)
            })
            .await
            {
                Ok(done) => done,
                Err(e) => {
                    tracing::error!(error = %e, "collecting host metrics ended");
                    return;
                }
            };
            collector = next;
            problems.iter().for_each(|p| context.problem(SOURCE, p));
            let source = xxhash_rust::xxh3::xxh3_64(format!("hostmetrics/{}", collector.instance).as_bytes());
            let unit = AppendUnit {
                batch_id: Some(BatchId::Numbered { source, epoch, sequence }),
                received_ns: now_ns,
                batches: vec![Batch::Metrics(batch)],
            };
            context.deliver(SOURCE, unit, Some(interval)).await;
            let spent = Duration::from_nanos((context.clock.now_ns() - now_ns).max(0) as u64);
            if !context.sleep(interval.saturating_sub(spent)).await {
                return;
            }
        }
    });
}

/// Reads the machine. Keeps what rates need from one reading to the next.
pub struct Collector {
    options: Options,
    instance: String,
    host_name: String,
    previous_cpu: Option<cpu::Stat>,
}

impl Collector {
    pub fn new(options: Options, host_name: &str) -> Self {
        let instance = options.instance.clone().unwrap_or_else(|| host_name.to_owned());
        Collector { options, instance, host_name: host_name.to_owned(), previous_cpu: None }
    }

    /// One reading of everything, stamped `now_ms`, and the names of what could not be read.
    pub fn collect(&mut self, now_ms: i64) -> (MetricBatch, Vec<&'static str>) {
        let labels = [("job", SOURCE), ("instance", &self.instance), ("host_name", &self.host_name)];
        let mut emit = Emit::new(now_ms, &labels);
        let mut problems = Vec::new();
        let p = |name: &str| self.options.proc.join(name);
        let mut part = |name: &'static str, ok: Option<()>| {
            if ok.is_none() {
                problems.push(name);
            }
        };
        let stat = read(&p("stat")).as_deref().and_then(cpu::parse_stat);
        if let Some(stat) = &stat {
            cpu::emit(&mut emit, stat, self.previous_cpu.as_ref());
        }
        part("stat", stat.is_some().then_some(()));
        part("loadavg", read(&p("loadavg")).and_then(|t| cpu::emit_load(&mut emit, &t)));
        part("uptime", read(&p("uptime")).and_then(|t| cpu::emit_uptime(&mut emit, &t)));
        part("meminfo", read(&p("meminfo")).and_then(|t| memory::emit(&mut emit, &t)));
        part("vmstat", read(&p("vmstat")).and_then(|t| memory::emit_paging(&mut emit, &t)));
        let disks = disk::names(&self.options.sys.join("block"));
        part("diskstats", read(&p("diskstats")).map(|t| disk::emit(&mut emit, &t, &disks)));
        let mounts = read(&p("1/mountinfo")).or_else(|| read(&p("self/mountinfo")));
        part("mountinfo", mounts.map(|t| filesystem::emit(&mut emit, &t, &self.options.root)));
        part("net/dev", read(&p("net/dev")).map(|t| network::emit(&mut emit, &t)));
        part(
            "net/sockstat",
            read(&p("net/tcp")).map(|t| network::emit_connections(&mut emit, &t, read(&p("net/tcp6")))),
        );
        let own = process::Files {
            stat: read(&p("self/stat")),
            open_files: process::count_open_files(&p("self/fd")),
            uptime: read(&p("uptime")),
        };
        part("self/stat", process::emit(&mut emit, &own));
        part("processes", process::emit_counts(&mut emit, &self.options.proc, stat.as_ref()));
        self.previous_cpu = stat;
        (emit.finish(), problems)
    }
}

/// A whole small file as text, `None` where it cannot be read.
fn read(path: &Path) -> Option<String> {
    let file = std::fs::File::open(path).ok()?;
    let bytes = base::cap::read_capped(file, MAX_FILE_BYTES, "file").ok()?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests;
