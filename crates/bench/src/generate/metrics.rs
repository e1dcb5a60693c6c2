//! Series like those of a node exporter: 200 to a target, of which 40 % hardly ever change.
//!
//! ```text
//! 80 constants · 20 slow counters · 24 packet counters · 16 byte counters · 24 cpu seconds (two decimals)
//! 12 histogram buckets · 4 sums of 17 digits · 16 memory gauges (whole pages) · 4 nanosecond floats
//! ```

use model::{Labels, MetricBatch};

use crate::{options::WriteOptions, random::Random};

/// Series of one target.
pub(super) const SERIES: usize = 200;
/// Target numbers are split among workers; a worker never touches another's series.
pub(super) struct Fleet {
    targets: Vec<Target>,
    next: usize,
    simulated: Option<(i64, i64)>,
}

struct Target {
    labels: Vec<Labels>,
    kinds: Vec<Kind>,
    values: Vec<f64>,
    random: Random,
    last_ms: i64,
    scrapes: i64,
}

#[derive(Clone, Copy)]
enum Kind {
    Constant,
    Slow,
    Packets,
    Bytes,
    CpuSeconds,
    Bucket,
    Sum,
    Pages,
    Nanoseconds,
}

/// Families with their kind and the labels that multiply them.
const FAMILIES: [(&str, Kind, &str, &[&str]); 27] = [
    ("node_filesystem_size_bytes", Kind::Constant, "mountpoint", &MOUNTS),
    ("node_filesystem_files", Kind::Constant, "mountpoint", &MOUNTS),
    ("node_filesystem_readonly", Kind::Constant, "mountpoint", &MOUNTS),
    ("node_network_up", Kind::Constant, "device", &DEVICES),
    ("node_network_mtu_bytes", Kind::Constant, "device", &DEVICES),
    ("node_network_speed_bytes", Kind::Constant, "device", &DEVICES),
    ("node_network_carrier", Kind::Constant, "device", &DEVICES),
    ("node_network_iface_id", Kind::Constant, "device", &DEVICES),
    ("node_cpu_scaling_frequency_max_hertz", Kind::Constant, "cpu", &CPUS),
    ("node_cpu_scaling_frequency_min_hertz", Kind::Constant, "cpu", &CPUS),
    ("node_systemd_unit_state", Kind::Constant, "name", &UNITS),
    ("node_sysctl_value", Kind::Constant, "name", &UNITS),
    ("node_scrape_collector_success", Kind::Constant, "collector", &COLLECTORS),
    ("node_vmstat_oom_kill", Kind::Slow, "collector", &COLLECTORS),
    ("node_network_receive_errs_total", Kind::Slow, "device", &DEVICES),
    ("node_network_receive_packets_total", Kind::Packets, "device", &DEVICES),
    ("node_network_transmit_packets_total", Kind::Packets, "device", &DEVICES),
    ("node_interrupts_total", Kind::Packets, "cpu", &CPUS),
    ("node_network_receive_bytes_total", Kind::Bytes, "device", &DEVICES),
    ("node_network_transmit_bytes_total", Kind::Bytes, "device", &DEVICES),
    ("node_disk_read_bytes_total", Kind::Bytes, "cpu", &CPUS),
    ("node_cpu_seconds_total", Kind::CpuSeconds, "mode", &MODES),
    ("node_request_duration_seconds_bucket", Kind::Bucket, "le", &BOUNDS),
    ("node_request_duration_seconds_sum", Kind::Sum, "cpu", &CPUS),
    ("node_memory_bytes", Kind::Pages, "collector", &COLLECTORS),
    ("node_memory_zone_bytes", Kind::Pages, "cpu", &CPUS),
    ("node_timex_offset_seconds", Kind::Nanoseconds, "cpu", &CPUS),
];

const MOUNTS: [&str; 6] = ["/", "/boot", "/var", "/var/lib/containerd", "/home", "/run"];
const DEVICES: [&str; 6] = ["lo", "eth0", "eth1", "cni0", "flannel.1", "docker0"];
const CPUS: [&str; 4] = ["0", "1", "2", "3"];
const UNITS: [&str; 8] = ["ssh", "cron", "kubelet", "containerd", "chrony", "dbus", "rsyslog", "udev"];
const COLLECTORS: [&str; 12] = [
    "cpu",
    "diskstats",
    "filesystem",
    "loadavg",
    "meminfo",
    "netdev",
    "netstat",
    "sockstat",
    "stat",
    "time",
    "uname",
    "vmstat",
];
const MODES: [&str; 8] = ["idle", "iowait", "irq", "nice", "softirq", "steal", "system", "user"];
const BOUNDS: [&str; 12] =
    ["0.005", "0.01", "0.025", "0.05", "0.1", "0.25", "0.5", "1.0", "2.5", "5.0", "10.0", "+Inf"];

type IsKind = fn(&Kind) -> bool;

/// How many series of each kind a target has, in the order they are filled up to.
const PROPORTIONS: [(IsKind, usize); 9] = [
    (|k| matches!(k, Kind::Constant), 80),
    (|k| matches!(k, Kind::Slow), 20),
    (|k| matches!(k, Kind::Packets), 24),
    (|k| matches!(k, Kind::Bytes), 16),
    (|k| matches!(k, Kind::CpuSeconds), 24),
    (|k| matches!(k, Kind::Bucket), 12),
    (|k| matches!(k, Kind::Sum), 4),
    (|k| matches!(k, Kind::Pages), 16),
    (|k| matches!(k, Kind::Nanoseconds), 4),
];

impl Fleet {
    pub(super) fn new(options: &WriteOptions, worker: usize) -> Self {
        let workers = options.concurrency.max(1);
        let mut targets: Vec<Target> =
            (worker..options.targets).step_by(workers).map(|t| Target::new(options.seed, t)).collect();
        if targets.is_empty() {
            // More workers than targets: the extra ones get targets of their own.
            targets.push(Target::new(options.seed, options.targets + worker));
        }
        Fleet { targets, next: 0, simulated: options.simulated }
    }

    pub(super) fn next(&mut self, items: usize, now_ns: i64) -> MetricBatch {
        let scrapes = items.div_ceil(SERIES);
        let mut batch = MetricBatch::default();
        // A target may come round twice; its series are in the batch once.
        let mut first_series: Vec<Option<u32>> = vec![None; self.targets.len()];
        for _ in 0..scrapes {
            let at = self.next;
            self.next = (self.next + 1) % self.targets.len().max(1);
            let (Some(target), Some(first)) = (self.targets.get_mut(at), first_series.get_mut(at)) else {
                break;
            };
            let from = *first.get_or_insert_with(|| {
                let from = batch.series.len() as u32;
                batch.series.extend(target.labels.iter().cloned());
                from
            });
            let at_ms = target.stamp(now_ns.div_euclid(1_000_000), self.simulated);
            target.step();
            for (i, v) in target.values.iter().enumerate() {
                batch.samples.push(from + i as u32, at_ms, *v);
            }
        }
        batch
    }
}

impl Target {
    fn new(seed: u64, number: usize) -> Self {
        let mut random = Random::split(seed, number as u64);
        let instance = format!("node-{number:05}:9100");
        let (mut labels, mut kinds, mut values) = (Vec::new(), Vec::new(), Vec::new());
        for (is, wanted) in PROPORTIONS {
            let families: Vec<_> = FAMILIES.iter().filter(|f| is(&f.1)).collect();
            let all = (0..).flat_map(|copy| {
                families.iter().flat_map(move |(name, kind, label, vals)| {
                    vals.iter().map(move |v| (*name, *kind, *label, *v, copy))
                })
            });
            for (name, kind, label, value, copy) in all.take(wanted) {
                let group = copy.to_string();
                let mut pairs = vec![
                    ("__name__", name),
                    ("job", "node"),
                    ("instance", instance.as_str()),
                    (label, value),
                ];
                if copy > 0 {
                    pairs.push(("group", group.as_str()));
                }
                labels.push(Labels::from_pairs(pairs));
                kinds.push(kind);
                values.push(start(kind, &mut random));
            }
        }
        Target { labels, kinds, values, random, last_ms: i64::MIN, scrapes: 0 }
    }

    /// The scrape's time: simulated, or the present, but always later than the one before.
    fn stamp(&mut self, now_ms: i64, simulated: Option<(i64, i64)>) -> i64 {
        let at = match simulated {
            Some((start_ms, step_ms)) => start_ms.saturating_add(step_ms.saturating_mul(self.scrapes)),
            None => now_ms,
        };
        self.scrapes += 1;
        self.last_ms = at.max(self.last_ms.saturating_add(1));
        self.last_ms
    }

    fn step(&mut self) {
        let mut below = 0.0;
        for (kind, v) in self.kinds.iter().zip(&mut self.values) {
            let r = &mut self.random;
            match kind {
                Kind::Constant => {}
                Kind::Slow => *v += f64::from(u8::from(r.chance(0.02))),
                Kind::Packets => *v += r.below(2000) as f64,
                Kind::Bytes => *v += r.below(4_000_000) as f64,
                Kind::CpuSeconds => *v = ((*v + r.unit() * 4.0) * 100.0).round() / 100.0,
                Kind::Bucket => {
                    // Buckets are cumulative: each grows by at least what the one below grew.
                    below += r.below(4) as f64;
                    *v += below;
                }
                Kind::Sum => *v += r.unit() * 3.0,
                Kind::Pages => *v = (*v + (r.unit() - 0.5) * 2e7).max(0.0).div_euclid(4096.0) * 4096.0,
                Kind::Nanoseconds => *v = (r.unit() - 0.5) * 1e-4,
            }
        }
    }
}

fn start(kind: Kind, r: &mut Random) -> f64 {
    match kind {
        Kind::Constant => (1u64 << r.below(40)) as f64,
        Kind::Slow => r.below(100) as f64,
        Kind::Packets => r.below(1 << 30) as f64,
        Kind::Bytes => r.below(1 << 42) as f64,
        Kind::CpuSeconds => r.below(100_000_000) as f64 / 100.0,
        Kind::Bucket => 0.0,
        Kind::Sum => r.unit() * 1e4,
        Kind::Pages => r.below(1 << 22) as f64 * 4096.0,
        Kind::Nanoseconds => 0.0,
    }
}
