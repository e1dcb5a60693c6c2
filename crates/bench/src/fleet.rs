//! `bench fleet`: clusters and a hub that keeps nothing, over mutual TLS on this machine; what a global sum moves
//! between them, and how long it takes beside each cluster alone.
//!
//! ```text
//! start      authority and certificates by the program's own command; a node for each cluster, then the hub
//! fill       every cluster with counters of its own over the whole span, flushed and merged
//! sums       hub, cold and warm; every cluster alone; all clusters at once  ─► bytes, milliseconds
//! samples    the same series where nothing can be computed elsewhere        ─► bytes
//! ```
//! Bytes are those the hub counts on its connections to the clusters, inside TLS, both directions. On one machine the
//! clusters share its cores: asked at once, each has a part of what it has alone. So a cluster is measured alone and
//! beside the others, or each is given a fixed share of the cores, as if it had a machine of its own.

pub mod report;

mod asked;
mod clusters;
mod fill;
mod share;

use std::{path::PathBuf, time::Duration};

use base::{Clock, Shutdown};

pub use self::report::{FleetReport, Shipped, SumFigures};
use self::{clusters::Fleet, fill::Filled};
use crate::{Error, Result, peers::report::ProgramInfo, process};

/// What is measured, and how much of it.
#[derive(Debug, Clone)]
pub struct FleetOptions {
    /// The program that nodes and hub are.
    pub binary: PathBuf,
    /// Certificates, configurations and data; goes away unless it is kept.
    pub dir: PathBuf,
    pub clusters: usize,
    /// Of each cluster.
    pub series: usize,
    pub span: Duration,
    pub interval: Duration,
    /// How often each sum is asked beside the first time.
    pub repeats: usize,
    /// Samples are shipped for so much of the span at once: the hub holds what it is sent.
    pub slice: Duration,
    /// Cores that each cluster may use at most; `None` leaves them what there is.
    pub cores_each: Option<f64>,
    pub seed: u64,
    /// A directory that has not changed in length for so long is taken for merged.
    pub quiet: Duration,
    /// And after so long it is measured as it is.
    pub settle_for: Duration,
    /// Leaves the directory; what an earlier run left of the same data is asked again.
    pub keep: bool,
}

impl FleetOptions {
    /// Half a minute: shows that everything works, and little more.
    pub fn smoke(binary: PathBuf, dir: PathBuf) -> Self {
        FleetOptions {
            binary,
            dir,
            clusters: 4,
            series: 1_000,
            span: Duration::from_secs(6 * 3600),
            interval: Duration::from_secs(60),
            repeats: 3,
            slice: Duration::from_secs(3600),
            cores_each: None,
            seed: 1,
            quiet: Duration::from_secs(2),
            settle_for: Duration::from_secs(6),
            keep: false,
        }
    }

    /// What claims are made from: four clusters of 50,000 series over a day.
    pub fn full(binary: PathBuf, dir: PathBuf) -> Self {
        FleetOptions {
            series: 50_000,
            span: Duration::from_secs(86_400),
            repeats: 5,
            quiet: Duration::from_secs(20),
            settle_for: Duration::from_secs(300),
            ..FleetOptions::smoke(binary, dir)
        }
    }

    fn interval_ms(&self) -> i64 {
        i64::try_from(self.interval.as_millis()).unwrap_or(60_000).max(1)
    }

    /// Samples of each series.
    fn scrapes(&self) -> usize {
        usize::try_from(self.span.as_millis() / self.interval.as_millis().max(1)).unwrap_or(usize::MAX)
    }
}

/// Runs everything. `tell` gets a line whenever something begins.
///
/// # Errors
/// A program that cannot be started or does not answer, and an answer of the hub that is not whole or not what the
/// clusters' own answers add up to: figures of something else would mislead.
pub async fn fleet(
    o: &FleetOptions,
    clock: &Clock,
    stop: &Shutdown,
    mut tell: impl FnMut(String),
) -> Result<FleetReport> {
    check(o)?;
    let mut report = FleetReport::of_machine();
    report.program = ProgramInfo {
        name: "orrery".to_owned(),
        path: o.binary.display().to_string(),
        version: process::version(&o.binary, "--version").await?,
    };
    let mut fleet = Fleet::start(o, clock).await?;
    let outcome = tokio::select! {
        outcome = measure(o, &mut fleet, &mut report, clock, &mut tell) => outcome,
        () = stop.started() => Ok(()),
    };
    fleet.end(clock).await;
    outcome.map(|()| report)
}

async fn measure(
    o: &FleetOptions,
    fleet: &mut Fleet,
    report: &mut FleetReport,
    clock: &Clock,
    tell: &mut impl FnMut(String),
) -> Result<()> {
    let filled = match Filled::left(o) {
        Some(left) => {
            tell(format!("the data in {} is asked again", o.dir.display()));
            left
        }
        None => {
            tell(format!("filling {} clusters with {} series each", o.clusters, o.series));
            let filled = fill::fill(o, fleet, clock, tell).await?;
            fleet.settle(o, clock).await?;
            filled.note(o)?;
            filled
        }
    };
    (report.clusters, report.series, report.samples) = (o.clusters, fill::series_of(o), filled.samples);
    (report.span_seconds, report.interval_seconds) = (o.span.as_secs(), o.interval.as_secs());
    report.stored_bytes = fleet.stored_bytes();
    report.cores_each = o.cores_each;
    fleet.limit()?;
    for sum in &asked::SUMS {
        tell(format!("asking for the sum of {}", sum.name));
        report.sums.push(asked::sum(o, fleet, &filled, sum, clock).await?);
    }
    report.hub_peak_rss_bytes = fleet.hub_peak_bytes()?;
    tell("shipping samples".to_owned());
    report.shipped = Some(asked::shipped(o, fleet, &filled, clock).await?);
    Ok(())
}

fn check(o: &FleetOptions) -> Result<()> {
    let bad = |option, value: String, wanted| Err(Error::Option { option, value, wanted });
    if !(1..=64).contains(&o.clusters) {
        return bad("clusters", o.clusters.to_string(), "from 1 to 64");
    }
    if !(fill::SERIES_EACH..=1_000_000).contains(&o.series) {
        return bad("series", o.series.to_string(), "from 100 to 1000000");
    }
    if o.interval.is_zero() || o.slice < o.interval || o.span < o.slice {
        let value = format!("{:?} of {:?} at {:?}", o.slice, o.span, o.interval);
        return bad("span", value, "at least one slice of at least one interval");
    }
    if o.scrapes() > 1_000_000 {
        return bad("span", format!("{:?} at {:?}", o.span, o.interval), "at most a million intervals");
    }
    match o.cores_each {
        Some(cores) if !(0.01..=64.0).contains(&cores) => {
            bad("cores_each", cores.to_string(), "from 0.01 to 64")
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_that_make_no_sense_are_named() {
        let usual = FleetOptions::smoke("orrery".into(), "x".into());
        assert!(check(&usual).is_ok());
        assert!(check(&FleetOptions::full("orrery".into(), "x".into())).is_ok());
        let told = |o: FleetOptions| check(&o).unwrap_err().to_string();
        assert!(told(FleetOptions { clusters: 0, ..usual.clone() }).contains("clusters is 0"));
        assert!(told(FleetOptions { series: 10, ..usual.clone() }).contains("series is 10"));
        assert!(told(FleetOptions { span: Duration::from_secs(60), ..usual.clone() }).contains("slice"));
        assert!(
            told(FleetOptions { interval: Duration::from_millis(1), ..usual.clone() }).contains("million")
        );
        assert!(told(FleetOptions { cores_each: Some(f64::NAN), ..usual }).contains("cores_each is NaN"));
    }
}
