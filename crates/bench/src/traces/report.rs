//! Figures of traces.

use std::fmt;

use serde::Serialize;

use crate::peers::report::ProgramInfo;

#[derive(Debug, Clone, Default, Serialize)]
pub struct TracesAnswered {
    pub question: String,
    /// The first of several.
    pub url: String,
    /// Traces or values of the longest answer.
    pub found: u64,
    pub first_ms: f64,
    pub median_ms: f64,
    pub worst_ms: f64,
    /// User and system time of one answer after the first.
    pub cpu_ms: Option<f64>,
}

#[derive(Debug, Clone, Default, Serialize)]
pub struct TracesReport {
    pub machine: String,
    pub cores: usize,
    pub program: ProgramInfo,
    /// How spans were sent.
    pub protocol: String,
    pub spans: u64,
    /// Of all requests, not compressed.
    pub otlp_bytes: u64,
    /// From the first request to the last answer.
    pub seconds: f64,
    /// User and system time until the last answer, and then until everything was merged.
    pub cpu_seconds: f64,
    pub settling_cpu_seconds: f64,
    /// After merging, indexes included.
    pub disk_bytes: u64,
    /// A trace that was sent last, before anything was flushed on purpose.
    pub fresh_ms: f64,
    /// Largest resident set until everything was merged, and with questions.
    pub load_rss_bytes: u64,
    pub rss_bytes: u64,
    pub answered: Vec<TracesAnswered>,
}

fn mib(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

impl fmt::Display for TracesReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let per_second = |s: f64| self.spans as f64 / s.max(1e-9);
        writeln!(f, "{}, {} cores", self.machine, self.cores)?;
        writeln!(f, "{}: {} ({})", self.program.name, self.program.version, self.program.path)?;
        let of_span = self.otlp_bytes as f64 / self.spans.max(1) as f64;
        let otlp = self.otlp_bytes as f64 / 1e6;
        writeln!(
            f,
            "{} spans by {}: {otlp:.1} MB of OTLP protobuf, {of_span:.0} B each",
            self.spans, self.protocol
        )?;
        writeln!(f, "\nloading           {:>10.1} s, {:.0} spans/s", self.seconds, per_second(self.seconds))?;
        writeln!(
            f,
            "per core-second   {:>10.0} spans; {:.0} with merging ({:.1} + {:.1} s of CPU)",
            per_second(self.cpu_seconds),
            per_second(self.cpu_seconds + self.settling_cpu_seconds),
            self.cpu_seconds,
            self.settling_cpu_seconds
        )?;
        writeln!(
            f,
            "on disk           {:>10.1} MB, {:.1} B a span, 1/{:.2} of the OTLP bytes",
            self.disk_bytes as f64 / 1e6,
            self.disk_bytes as f64 / self.spans.max(1) as f64,
            self.otlp_bytes as f64 / self.disk_bytes.max(1) as f64
        )?;
        writeln!(
            f,
            "peak memory       {:>10.0} MiB; {:.0} after all questions",
            mib(self.load_rss_bytes),
            mib(self.rss_bytes)
        )?;
        writeln!(f, "a fresh trace     {:>10.1} ms", self.fresh_ms)?;
        writeln!(
            f,
            "\n{:<44} {:>7} {:>10} {:>10} {:>10} {:>10}",
            "question", "found", "first ms", "median ms", "worst ms", "CPU ms"
        )?;
        for a in &self.answered {
            writeln!(
                f,
                "{:<44} {:>7} {:>10.1} {:>10.1} {:>10.1} {:>10}",
                a.question,
                a.found,
                a.first_ms,
                a.median_ms,
                a.worst_ms,
                a.cpu_ms.map_or("–".to_owned(), |v| format!("{v:.1}")),
            )?;
        }
        Ok(())
    }
}
