//! Figures of a fleet, and what they make in relation to each other.

use std::fmt;

use serde::Serialize;

use crate::peers::report::{PeersReport, ProgramInfo};

/// One sum over all clusters. Times are medians of warm answers unless they say cold: all programs just started and
/// nothing read from the disk.
#[derive(Debug, Clone, Serialize)]
pub struct SumFigures {
    pub name: String,
    pub expr: String,
    /// Of the answer.
    pub series: u64,
    pub points: u64,
    pub hub_ms: f64,
    pub hub_cold_ms: f64,
    /// The slowest cluster, asked by itself while the others rest.
    pub alone_ms: f64,
    pub alone_cold_ms: f64,
    /// The slowest cluster, all of them asked directly at the same time.
    pub at_once_ms: f64,
    /// What one answer moves to the hub, and from it.
    pub received_bytes: f64,
    pub sent_bytes: f64,
    /// Of one answer.
    pub clusters_cpu_ms: f64,
    pub hub_cpu_ms: f64,
}

impl SumFigures {
    fn moved(&self) -> f64 {
        self.received_bytes + self.sent_bytes
    }
}

/// All samples once over the peer protocol.
#[derive(Debug, Clone, Serialize)]
pub struct Shipped {
    pub expr: String,
    pub samples: u64,
    pub received_bytes: u64,
    pub sent_bytes: u64,
    pub seconds: f64,
    pub hub_peak_rss_bytes: u64,
}

impl Shipped {
    fn moved(&self) -> f64 {
        self.received_bytes as f64 + self.sent_bytes as f64
    }
}

#[derive(Debug, Clone, Default, Serialize)]
pub struct FleetReport {
    pub machine: String,
    pub cores: usize,
    pub program: ProgramInfo,
    pub clusters: usize,
    /// Of each cluster.
    pub series: usize,
    pub span_seconds: u64,
    pub interval_seconds: u64,
    /// Of all clusters.
    pub samples: u64,
    pub stored_bytes: u64,
    /// Cores each cluster may use, where that is less than there are.
    pub cores_each: Option<f64>,
    pub sums: Vec<SumFigures>,
    /// Largest resident set of the hub while it answered the last sum.
    pub hub_peak_rss_bytes: u64,
    pub shipped: Option<Shipped>,
}

impl FleetReport {
    pub(super) fn of_machine() -> Self {
        let PeersReport { machine, cores, .. } = PeersReport::of_machine();
        FleetReport { machine, cores, ..FleetReport::default() }
    }
}

impl fmt::Display for FleetReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}, {} cores", self.machine, self.cores)?;
        writeln!(f, "{}: {} ({})", self.program.name, self.program.version, self.program.path)?;
        writeln!(
            f,
            "{} clusters of {} series over {} h, a sample every {} s: {} samples, {:.1} MiB on the disk",
            self.clusters,
            self.series,
            self.span_seconds as f64 / 3600.0,
            self.interval_seconds,
            self.samples,
            mib(self.stored_bytes as f64)
        )?;
        if let Some(cores) = self.cores_each {
            writeln!(f, "every cluster may use {cores} cores")?;
        }
        if let Some(s) = &self.shipped {
            writeln!(
                f,
                "all samples shipped: {:.1} MiB, {:.2} bytes a sample, {:.1} s; resident at the hub {:.0} MiB, after sums {:.0} MiB",
                mib(s.moved()),
                s.moved() / s.samples.max(1) as f64,
                s.seconds,
                mib(s.hub_peak_rss_bytes as f64),
                mib(self.hub_peak_rss_bytes as f64)
            )?;
        }
        writeln!(
            f,
            "\n{:<26} {:>7} {:>11} {:>11} {:>9} {:>9} {:>9} {:>9} {:>9} {:>10} {:>10} {:>9}",
            "sum of",
            "series",
            "KiB moved",
            "times less",
            "hub ms",
            "alone ms",
            "/alone",
            "at once",
            "/at once",
            "cold hub",
            "cold alone",
            "/alone"
        )?;
        self.sums.iter().try_for_each(|s| self.row(f, s))
    }
}

impl FleetReport {
    fn row(&self, f: &mut fmt::Formatter<'_>, s: &SumFigures) -> fmt::Result {
        let less = self.shipped.as_ref().map(|all| all.moved() / s.moved().max(1.0));
        writeln!(
            f,
            "{:<26} {:>7} {:>11.1} {:>11} {:>9.0} {:>9.0} {:>9.2} {:>9.0} {:>9.2} {:>10.0} {:>10.0} {:>9.2}",
            s.name,
            s.series,
            s.moved() / 1024.0,
            less.map_or("-".to_owned(), |l| format!("{l:.0}")),
            s.hub_ms,
            s.alone_ms,
            share(s.hub_ms, s.alone_ms),
            s.at_once_ms,
            share(s.hub_ms, s.at_once_ms),
            s.hub_cold_ms,
            s.alone_cold_ms,
            share(s.hub_cold_ms, s.alone_cold_ms)
        )
    }
}

fn mib(bytes: f64) -> f64 {
    bytes / f64::from(1 << 20)
}

fn share(a: f64, b: f64) -> f64 {
    if b > 0.0 { a / b } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_says_how_many_times_less_is_moved_and_how_long_it_takes_beside_one_cluster() {
        let sum = SumFigures {
            name: "all rates".to_owned(),
            expr: "sum(rate(x[5m]))".to_owned(),
            series: 1,
            points: 288,
            hub_ms: 120.0,
            hub_cold_ms: 300.0,
            alone_ms: 100.0,
            alone_cold_ms: 200.0,
            at_once_ms: 110.0,
            received_bytes: 1000.0,
            sent_bytes: 24.0,
            clusters_cpu_ms: 1.0,
            hub_cpu_ms: 1.0,
        };
        let shipped = Shipped {
            expr: "x".to_owned(),
            samples: 1024,
            received_bytes: 102_400,
            sent_bytes: 0,
            seconds: 1.0,
            hub_peak_rss_bytes: 1 << 20,
        };
        let report = FleetReport { sums: vec![sum], shipped: Some(shipped), ..FleetReport::default() };
        let text = report.to_string();
        let row: Vec<&str> = text.lines().last().unwrap().split_whitespace().skip(2).collect();
        assert_eq!(
            row,
            ["1", "1.0", "100", "120", "100", "1.20", "110", "1.09", "300", "200", "1.50"],
            "{text}"
        );
        assert!(text.contains("100.00 bytes a sample"), "{text}");
    }
}
