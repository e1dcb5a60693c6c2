//! Figures of log lines.

use std::fmt;

use serde::Serialize;

use crate::peers::report::ProgramInfo;

/// What taking the lines cost one program.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Loaded {
    pub name: String,
    /// From the first request to the last answer.
    pub seconds: f64,
    /// User and system time until the last answer, and then until everything was merged.
    pub cpu_seconds: Option<f64>,
    pub settling_cpu_seconds: Option<f64>,
    pub peak_rss_bytes: Option<u64>,
    /// After merging, index included.
    pub disk_bytes: Option<u64>,
}

/// What one program answered.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Asked {
    pub name: String,
    pub answered: Vec<Answered>,
}

#[derive(Debug, Clone, Default, Serialize)]
pub struct Answered {
    pub question: String,
    /// The first of several.
    pub expression: String,
    /// Lines or points of the largest answer.
    pub values: u64,
    pub first_ms: f64,
    pub median_ms: f64,
    pub worst_ms: f64,
    /// User and system time of one answer after the first.
    pub cpu_ms: Option<f64>,
}

#[derive(Debug, Clone, Default, Serialize)]
pub struct LogsReport {
    pub machine: String,
    pub cores: usize,
    pub program: ProgramInfo,
    pub lines: u64,
    /// With line ends.
    pub text_bytes: u64,
    /// `zstd -3` of all lines in one file.
    pub zstd_bytes: u64,
    /// What packing them took, by turns with sending.
    pub zstd_cpu_seconds: f64,
    pub loaded: Vec<Loaded>,
    pub asked: Vec<Asked>,
    /// Largest resident set of the program that was started, queries included.
    pub rss_after_queries_bytes: Option<u64>,
}

fn mb(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}

impl fmt::Display for LogsReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}, {} cores", self.machine, self.cores)?;
        writeln!(f, "{}: {} ({})", self.program.name, self.program.version, self.program.path)?;
        writeln!(
            f,
            "{} lines, {:.1} MB of text; zstd -3 makes one file of {:.1} MB of it, {:.0} MB per CPU s",
            self.lines,
            mb(self.text_bytes),
            mb(self.zstd_bytes),
            mb(self.text_bytes) / self.zstd_cpu_seconds.max(1e-9)
        )?;
        writeln!(
            f,
            "\n{:<12} {:>9} {:>9} {:>13} {:>10} {:>10} {:>8} {:>8} {:>9}",
            "load",
            "seconds",
            "CPU s",
            "MB per CPU s",
            "+ merging",
            "disk MB",
            "of text",
            "of zstd",
            "peak MiB"
        )?;
        for l in &self.loaded {
            let per_second = |s: f64| mb(self.text_bytes) / s.max(1e-9);
            let of = |whole: u64| l.disk_bytes.map(|d| d as f64 / whole.max(1) as f64);
            let cell =
                |v: Option<f64>, digits: usize| v.map_or("–".to_owned(), |v| format!("{v:.digits$}"));
            let settled = l.cpu_seconds.zip(l.settling_cpu_seconds).map(|(a, b)| per_second(a + b));
            writeln!(
                f,
                "{:<12} {:>9.1} {:>9} {:>13} {:>10} {:>10} {:>8} {:>8} {:>9}",
                l.name,
                l.seconds,
                cell(l.cpu_seconds, 1),
                cell(l.cpu_seconds.map(per_second), 1),
                cell(settled, 1),
                cell(l.disk_bytes.map(mb), 1),
                cell(of(self.text_bytes), 3),
                cell(of(self.zstd_bytes), 2),
                cell(l.peak_rss_bytes.map(|b| b as f64 / f64::from(1 << 20)), 0),
            )?;
        }
        if let Some(bytes) = self.rss_after_queries_bytes {
            writeln!(f, "peak after all queries: {:.0} MiB", bytes as f64 / f64::from(1 << 20))?;
        }
        for asked in &self.asked {
            writeln!(
                f,
                "\n{:<36} {:>8} {:>10} {:>10} {:>10} {:>10}",
                format!("{} answers", asked.name),
                "values",
                "first ms",
                "median ms",
                "worst ms",
                "CPU ms"
            )?;
            for a in &asked.answered {
                writeln!(
                    f,
                    "{:<36} {:>8} {:>10.1} {:>10.1} {:>10.1} {:>10}",
                    a.question,
                    a.values,
                    a.first_ms,
                    a.median_ms,
                    a.worst_ms,
                    a.cpu_ms.map_or("–".to_owned(), |v| format!("{v:.1}")),
                )?;
            }
        }
        Ok(())
    }
}
