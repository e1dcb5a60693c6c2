//! `orrery bench fleet`.

use std::time::Duration;

use anyhow::Result;
use base::{Clock, Shutdown};
use bench::{FleetOptions, FleetReport};
use clap::Args;

use super::measured::Measured;
use crate::cli;

#[derive(Debug, Args)]
pub struct Fleet {
    /// smoke takes half a minute and shows that it works; full is what claims are made from
    #[arg(long, default_value = "smoke", value_parser = ["smoke", "full"])]
    scale: String,
    /// Clusters, instead of the scale's
    #[arg(long)]
    clusters: Option<usize>,
    /// Series of each cluster, instead of the scale's
    #[arg(long)]
    series: Option<usize>,
    /// Time that is asked, instead of the scale's
    #[arg(long, value_parser = cli::duration)]
    span: Option<Duration>,
    /// Time between two samples, instead of the scale's
    #[arg(long, value_parser = cli::duration)]
    interval: Option<Duration>,
    /// How often each sum is asked
    #[arg(long)]
    repeats: Option<usize>,
    /// Cores every cluster may use, such as 0.4, so that four on one machine are as fast together as alone; needs root
    #[arg(long, value_name = "CORES")]
    cores_each: Option<f64>,
    #[command(flatten)]
    pub measured: Measured,
}

pub async fn run(f: &Fleet) -> Result<FleetReport> {
    let (binary, dir) = f.measured.places()?;
    let usual = match f.scale.as_str() {
        "full" => FleetOptions::full(binary, dir),
        _ => FleetOptions::smoke(binary, dir),
    };
    let options = FleetOptions {
        clusters: f.clusters.unwrap_or(usual.clusters),
        series: f.series.unwrap_or(usual.series),
        span: f.span.unwrap_or(usual.span),
        interval: f.interval.unwrap_or(usual.interval),
        repeats: f.repeats.unwrap_or(usual.repeats),
        cores_each: f.cores_each,
        keep: f.measured.keep,
        seed: f.measured.seed,
        ..usual
    };
    let (clock, stop) = (Clock::system(), Shutdown::new());
    cli::stop_on_interrupt(&stop);
    let report = bench::fleet(&options, &clock, &stop, cli::telling(&clock)).await?;
    f.measured.save(&report)?;
    Ok(report)
}
