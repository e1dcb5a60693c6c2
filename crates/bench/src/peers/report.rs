//! Figures side by side, and what they make in relation to each other.

use std::fmt;

use serde::Serialize;

/// The order in which a sender goes through its series.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Order {
    /// The same every time, as scrapes do.
    Fixed,
    /// Another one every time: the worst a sender can do.
    Shuffled,
}

impl Order {
    pub fn as_str(self) -> &'static str {
        match self {
            Order::Fixed => "fixed",
            Order::Shuffled => "shuffled",
        }
    }
}

#[derive(Debug, Clone, Default, Serialize)]
pub struct ProgramInfo {
    pub name: String,
    pub path: String,
    pub version: String,
}

/// One load of one program.
#[derive(Debug, Clone, Serialize)]
pub struct Ingested {
    pub program: String,
    pub series: usize,
    pub order: Order,
    pub samples: u64,
    /// From the first request to the last acknowledgement.
    pub seconds: f64,
    pub cpu_seconds: f64,
    /// With flushing and merging afterwards.
    pub cpu_seconds_settled: f64,
    pub peak_rss_bytes: u64,
    pub disk_bytes: u64,
}

impl Ingested {
    fn cpu_per_million(&self) -> f64 {
        self.cpu_seconds / (self.samples.max(1) as f64 / 1e6)
    }

    fn settled_per_million(&self) -> f64 {
        self.cpu_seconds_settled / (self.samples.max(1) as f64 / 1e6)
    }

    fn rss_per_100k(&self) -> f64 {
        self.peak_rss_bytes as f64 / f64::from(1 << 20) / (self.series.max(1) as f64 / 1e5)
    }

    fn bytes_per_sample(&self) -> f64 {
        self.disk_bytes as f64 / self.samples.max(1) as f64
    }
}

/// One query of one program.
#[derive(Debug, Clone, Serialize)]
pub struct QueryFigures {
    pub name: String,
    pub expr: String,
    /// 0: at one time.
    pub range_seconds: u64,
    /// Elements of the answer.
    pub series: u64,
    pub median_ms: f64,
    /// Of the kernel's clock, which is coarse: small queries may show 0.
    pub cpu_ms: f64,
}

#[derive(Debug, Clone, Serialize)]
pub struct Queried {
    pub program: String,
    pub samples: u64,
    pub disk_bytes: u64,
    pub queries: Vec<QueryFigures>,
}

#[derive(Debug, Clone, Default, Serialize)]
pub struct PeersReport {
    pub machine: String,
    pub cores: usize,
    pub programs: Vec<ProgramInfo>,
    pub ingested: Vec<Ingested>,
    pub queried: Vec<Queried>,
}

impl PeersReport {
    pub(super) fn of_machine() -> Self {
        let kernel = rustix::system::uname();
        let text = |c: &std::ffi::CStr| c.to_string_lossy().into_owned();
        PeersReport {
            machine: format!(
                "{} {} {}",
                text(kernel.sysname()),
                text(kernel.release()),
                text(kernel.machine())
            ),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            ..PeersReport::default()
        }
    }

    fn of<'a>(&'a self, i: &Ingested, program: &str) -> Option<&'a Ingested> {
        self.ingested.iter().find(|x| x.program == program && x.series == i.series && x.order == i.order)
    }

    fn names(&self) -> Vec<&str> {
        self.programs.iter().map(|p| p.name.as_str()).collect()
    }
}

/// One line of the table: what, each program's figure, and the first one's share of each other's.
fn row(f: &mut fmt::Formatter<'_>, what: &str, figures: &[Option<f64>]) -> fmt::Result {
    write!(f, "{what:<44}")?;
    for v in figures {
        match v {
            Some(v) => write!(f, " {:>16}", short(*v))?,
            None => write!(f, " {:>16}", "-")?,
        }
    }
    let first = figures.first().copied().flatten();
    for v in figures.iter().skip(1) {
        match (first, v) {
            (Some(a), Some(b)) if *b > 0.0 => write!(f, " {:>10.2}", a / b)?,
            _ => write!(f, " {:>10}", "-")?,
        }
    }
    writeln!(f)
}

/// Three digits that count.
fn short(v: f64) -> String {
    match v.abs() {
        a if a >= 100.0 => format!("{v:.0}"),
        a if a >= 10.0 => format!("{v:.1}"),
        a if a >= 1.0 => format!("{v:.2}"),
        _ => format!("{v:.3}"),
    }
}

/// How each group of figures is called and taken.
type Figure = (&'static str, fn(&Ingested) -> f64);

const FIGURES: [Figure; 4] = [
    ("CPU s per M samples", Ingested::cpu_per_million),
    ("CPU s per M samples, settled", Ingested::settled_per_million),
    ("peak MiB per 100k series", Ingested::rss_per_100k),
    ("bytes per sample", Ingested::bytes_per_sample),
];

impl fmt::Display for PeersReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}, {} cores", self.machine, self.cores)?;
        for p in &self.programs {
            writeln!(f, "{}: {} ({})", p.name, p.version, p.path)?;
        }
        let names = self.names();
        write!(f, "\n{:<44}", "")?;
        names.iter().try_for_each(|n| write!(f, " {n:>16}"))?;
        let first = names.first().copied().unwrap_or_default();
        names
            .iter()
            .skip(1)
            .try_for_each(|n| write!(f, " {:>10}", format!("/{}", n.chars().take(9).collect::<String>())))?;
        writeln!(f)?;
        for i in self.ingested.iter().filter(|i| i.program == first) {
            for (what, figure) in FIGURES {
                let all: Vec<_> = names.iter().map(|n| self.of(i, n).map(figure)).collect();
                row(f, &format!("{} series, {}: {what}", i.series, i.order.as_str()), &all)?;
            }
        }
        self.query_rows(f, &names)
    }
}

impl PeersReport {
    fn query_rows(&self, f: &mut fmt::Formatter<'_>, names: &[&str]) -> fmt::Result {
        let of = |name: &str| self.queried.iter().find(|q| q.program == name);
        let over = |get: &dyn Fn(&Queried) -> Option<f64>| -> Vec<Option<f64>> {
            names.iter().map(|n| of(n).and_then(get)).collect()
        };
        if self.queried.is_empty() {
            return Ok(());
        }
        row(f, "queries: bytes per sample", &over(&|q| Some(q.disk_bytes as f64 / q.samples.max(1) as f64)))?;
        row(f, "queries: CPU ms, all added up", &over(&|q| Some(q.queries.iter().map(|x| x.cpu_ms).sum())))?;
        row(
            f,
            "queries: median ms, all added up",
            &over(&|q| Some(q.queries.iter().map(|x| x.median_ms).sum())),
        )?;
        for (i, query) in self.queried.first().map_or(&[][..], |q| q.queries.as_slice()).iter().enumerate() {
            row(f, &format!("  {}: ms", query.name), &over(&|q| q.queries.get(i).map(|x| x.median_ms)))?;
        }
        for (i, query) in self.queried.first().map_or(&[][..], |q| q.queries.as_slice()).iter().enumerate() {
            let sizes: Vec<u64> =
                self.queried.iter().filter_map(|q| q.queries.get(i)).map(|x| x.series).collect();
            if sizes.iter().any(|n| *n != query.series) {
                writeln!(f, "answers differ in length: {}: {sizes:?} elements", query.name)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_has_figures_and_shares_of_the_others() {
        let one = |program: &str, cpu_seconds: f64| Ingested {
            program: program.to_owned(),
            series: 1000,
            order: Order::Fixed,
            samples: 2_000_000,
            seconds: 1.0,
            cpu_seconds,
            cpu_seconds_settled: cpu_seconds,
            peak_rss_bytes: 10 << 20,
            disk_bytes: 3_000_000,
        };
        let info = |n: &str| ProgramInfo { name: n.to_owned(), ..ProgramInfo::default() };
        let report = PeersReport {
            programs: vec![info("orrery"), info("prometheus")],
            ingested: vec![one("orrery", 1.0), one("prometheus", 4.0)],
            ..PeersReport::default()
        };
        let text = report.to_string();
        let line = text.lines().find(|l| l.contains("fixed: CPU s per M samples ")).unwrap();
        assert!(line.split_whitespace().rev().take(3).eq(["0.25", "2.00", "0.500"]), "{text}");
        assert!(text.contains("bytes per sample") && text.contains("1.50"), "{text}");
    }
}
