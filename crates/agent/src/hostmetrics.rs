//! Metrics of this machine, read from `/proc` and `/sys`, under OpenTelemetry's host metric names
//! (semantic conventions, "System metrics") in the form Prometheus gives them: `system.cpu.time` in seconds
//! with attribute `cpu.mode` is `system_cpu_time_seconds_total{cpu_mode}`.
//!
//! What a machine does not have (no disk statistics in a container, no load average) is left out, not zero.

mod cpu;
mod disk;
mod filesystem;
mod memory;
mod network;
mod points;
mod process;

use std::{path::PathBuf, sync::Arc, time::Duration};

use base::{
    Clock, Metrics, Shutdown,
    metrics::{Counters, pair},
};
use contract::{Append, AppendUnit};
use model::{Batch, BatchId, MetricBatch, TenantId};

pub use points::Points;

/// What is collected, how often and from where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    pub interval: Duration,
    /// Usually `/proc` and `/sys`; elsewhere in a container that mounts the host's, and in tests.
    pub proc: PathBuf,
    pub sys: PathBuf,
    /// `host.name`, the `instance` label.
    pub host_name: String,
    /// Added to every series.
    pub labels: Vec<(String, String)>,
    pub tenant: TenantId,
}

impl Options {
    pub fn new(host_name: impl Into<String>) -> Self {
        Options {
            interval: Duration::from_secs(15),
            proc: PathBuf::from("/proc"),
            sys: PathBuf::from("/sys"),
            host_name: host_name.into(),
            labels: Vec::new(),
            tenant: TenantId::default(),
        }
    }
}

/// The kernel's name of this machine.
pub fn host_name() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

/// Reads the machine; remembers the last reading for what is a share of time.
pub struct Reader {
    options: Options,
    last_cpu: Option<cpu::Times>,
}

impl Reader {
    pub fn new(options: Options) -> Self {
        Reader { options, last_cpu: None }
    }

    /// One reading of everything, stamped `now_ms`. Files that are not there contribute nothing.
    pub fn read(&mut self, now_ms: i64) -> MetricBatch {
        let file = |path: &str| std::fs::read_to_string(self.options.proc.join(path)).unwrap_or_default();
        let mut p = Points::new(now_ms, &self.options);
        let stat = file("stat");
        let times = cpu::parse(&stat);
        cpu::points(&mut p, &times, self.last_cpu.as_ref());
        cpu::load_points(&mut p, &file("loadavg"));
        cpu::process_points(&mut p, &stat, &file("uptime"));
        memory::points(&mut p, &file("meminfo"));
        memory::paging_points(&mut p, &file("vmstat"));
        disk::points(&mut p, &file("diskstats"), &self.options.sys);
        network::points(&mut p, &file("net/dev"));
        filesystem::points(&mut p, &file("self/mounts"));
        process::points(&mut p, &file("self/stat"), &file("self/io"), &self.options.proc);
        self.last_cpu = Some(times);
        p.finish()
    }
}

/// Reads every interval and appends until shutdown. A reading that is refused is counted and gone: the next
/// one is due already.
pub fn start(
    options: Options,
    append: Arc<dyn Append>,
    clock: Clock,
    metrics: &Metrics,
    shutdown: &Shutdown,
) {
    let lost: Counters =
        metrics.counters("agent_lost_items", "Items a source could not hand over, by source and reason.");
    let token = shutdown.token();
    let interval_ns = options.interval.as_nanos() as i64;
    let tenant = options.tenant.clone();
    shutdown.spawn(async move {
        let mut reader = Some(Reader::new(options));
        let epoch = clock.now_ns() as u64;
        for sequence in 0.. {
            let now_ns = clock.now_ns();
            let Some(mut r) = reader.take() else { return };
            // Reading /proc can block for long on a machine in trouble, so it has a thread of its own.
            let read = tokio::task::spawn_blocking(move || {
                let batch = r.read(now_ns.div_euclid(1_000_000));
                (r, batch)
            });
            let Ok((r, batch)) = read.await else { return };
            reader = Some(r);
            let unit = AppendUnit {
                batch_id: Some(BatchId::Numbered { source: 1, epoch, sequence }),
                received_ns: now_ns,
                batches: vec![Batch::Metrics(batch)],
            };
            let items = unit.batches[0].item_count() as u64;
            if let Err(e) = append.append(&tenant, unit).await {
                let labels = [pair("source", "host"), pair("reason", e.kind().as_str())].concat();
                lost.get_or_create(&labels).inc_by(items);
                tracing::warn!("host metrics were refused: {e}");
            }
            let wait = interval_ns - (clock.now_ns() - now_ns).rem_euclid(interval_ns);
            tokio::select! {
                () = token.cancelled() => return,
                () = clock.sleep(Duration::from_nanos(wait as u64)) => {}
            }
        }
    });
}

#[cfg(test)]
mod tests;
