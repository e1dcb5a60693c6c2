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
    /// How often, beside the first time.
    pub asked: usize,
    /// Of the answer.
    pub series: u64,
    pub points: u64,
    /// Of all values of the answer that are numbers.
    pub sum: f64,
    pub median_ms: f64,
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
    pub(crate) fn of_machine() -> Self {
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

/// Sums further apart than this are another answer; what is nearer is another order of adding.
const SAME: f64 = 1e-9;

impl PeersReport {
    fn query_rows(&self, f: &mut fmt::Formatter<'_>, names: &[&str]) -> fmt::Result {
        let of = |name: &str| self.queried.iter().find(|q| q.program == name);
        let over = |get: &dyn Fn(&Queried) -> Option<f64>| -> Vec<Option<f64>> {
            names.iter().map(|n| of(n).and_then(get)).collect()
        };
        let Some(first) = names.first().and_then(|n| of(n)) else { return Ok(()) };
        row(f, "queries: bytes per sample", &over(&|q| Some(q.disk_bytes as f64 / q.samples.max(1) as f64)))?;
        let mut spans: Vec<u64> = first.queries.iter().map(|q| q.range_seconds).collect();
        spans.sort_unstable();
        spans.dedup();
        for (what, get) in [("CPU", cpu as fn(&QueryFigures) -> f64), ("median", median)] {
            row(f, &format!("queries: {what} ms, all added up"), &over(&|q| Some(added(q, None, get))))?;
            for span in &spans {
                let what = format!("  {what} ms, {}", over_span(*span));
                row(f, &what, &over(&|q| Some(added(q, Some(*span), get))))?;
            }
        }
        for (i, query) in first.queries.iter().enumerate() {
            row(f, &format!("  {}: CPU ms", query.name), &over(&|q| q.queries.get(i).map(cpu)))?;
            self.say_difference(f, names, i)?;
        }
        self.say_shares(f, names, first)
    }

    /// Two programs that answer a query otherwise did not do the same work.
    fn say_difference(&self, f: &mut fmt::Formatter<'_>, names: &[&str], query: usize) -> fmt::Result {
        let answers = names.iter().filter_map(|n| {
            let asked = self.queried.iter().find(|q| q.program == *n)?;
            Some((*n, asked.queries.get(query)?))
        });
        let answers: Vec<(&str, &QueryFigures)> = answers.collect();
        let Some((_, a)) = answers.first() else { return Ok(()) };
        let say = |f: &mut fmt::Formatter<'_>, what: &str, show: &dyn Fn(&QueryFigures) -> String| {
            let all: Vec<String> = answers.iter().map(|(n, q)| format!("{n} {}", show(q))).collect();
            writeln!(f, "    answers differ in {what}: {}", all.join(", "))
        };
        if answers.iter().any(|(_, b)| b.series != a.series) {
            return say(f, "series", &|q| q.series.to_string());
        }
        if answers.iter().any(|(_, b)| b.points != a.points) {
            return say(f, "points", &|q| q.points.to_string());
        }
        let apart = |b: &QueryFigures| (a.sum - b.sum).abs() > SAME * a.sum.abs().max(b.sum.abs());
        if answers.iter().any(|(_, b)| apart(b)) {
            return say(f, "the sum of their values", &|q| format!("{:e}", q.sum));
        }
        Ok(())
    }

    /// How many queries cost the first program at most half, and at most as much, as whichever other was fastest.
    fn say_shares(&self, f: &mut fmt::Formatter<'_>, names: &[&str], first: &Queried) -> fmt::Result {
        let others: Vec<&Queried> = self
            .queried
            .iter()
            .filter(|q| q.program != first.program && names.contains(&&*q.program))
            .collect();
        let share = |(i, q): (usize, &QueryFigures)| {
            let fastest = others.iter().filter_map(|o| o.queries.get(i)).map(cpu).reduce(f64::min)?;
            (fastest > 0.0).then_some(q.cpu_ms / fastest)
        };
        let mut shares: Vec<f64> = first.queries.iter().enumerate().filter_map(share).collect();
        if shares.is_empty() {
            return Ok(());
        }
        shares.sort_by(f64::total_cmp);
        let (half, one) = (shares.partition_point(|s| *s <= 0.5), shares.partition_point(|s| *s <= 1.0));
        let middle = shares.get(shares.len() / 2).copied().unwrap_or_default();
        writeln!(
            f,
            "{}'s CPU beside the fastest other, query by query: {half} of {} at most half, {one} at most the same, the middle one {middle:.2}",
            first.program,
            shares.len()
        )
    }
}

fn cpu(q: &QueryFigures) -> f64 {
    q.cpu_ms
}

fn median(q: &QueryFigures) -> f64 {
    q.median_ms
}

fn added(q: &Queried, span: Option<u64>, get: fn(&QueryFigures) -> f64) -> f64 {
    q.queries.iter().filter(|x| span.is_none_or(|s| x.range_seconds == s)).map(get).sum()
}

fn over_span(seconds: u64) -> String {
    match seconds {
        0 => "at one time".to_owned(),
        s => format!("over {}", super::queries::written(std::time::Duration::from_secs(s))),
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

    #[test]
    fn the_table_says_where_answers_differ_and_how_many_queries_are_cheap() {
        let figures = |cpu_ms: f64, series: u64, points: u64, sum: f64| QueryFigures {
            name: "some".to_owned(),
            expr: "x".to_owned(),
            range_seconds: 3600,
            asked: 1,
            series,
            points,
            sum,
            median_ms: 1.0,
            cpu_ms,
        };
        let asked = |program: &str, queries: Vec<QueryFigures>| Queried {
            program: program.to_owned(),
            samples: 1,
            disk_bytes: 1,
            queries,
        };
        let (a, b) = (figures(1.0, 5, 50, 1.0), figures(1.0, 5, 50, 1.0));
        let other = vec![figures(2.0, 6, 60, 1.0), figures(1.5, 5, 50, 1.1)];
        let info = |n: &str| ProgramInfo { name: n.to_owned(), ..ProgramInfo::default() };
        let report = PeersReport {
            programs: vec![info("orrery"), info("prometheus")],
            queried: vec![asked("orrery", vec![a, b]), asked("prometheus", other)],
            ..PeersReport::default()
        };
        let text = report.to_string();
        assert!(text.contains("answers differ in series: orrery 5, prometheus 6"), "{text}");
        assert!(
            text.contains("answers differ in the sum of their values: orrery 1e0, prometheus 1.1e0"),
            "{text}"
        );
        assert!(text.contains("1 of 2 at most half, 2 at most the same"), "{text}");
    }
}
