//! `orrery bench fleet`.

use std::{path::PathBuf, time::Duration};

use anyhow::{Context, Result};
use base::{Clock, Shutdown};
use bench::{FleetOptions, FleetReport};
use clap::Args;

use crate::cli;

#[derive(Debug, Args)]
pub struct Fleet {
    /// The program that clusters and hub are; by default this one
    #[arg(long, value_name = "PATH")]
    binary: Option<PathBuf>,
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
    /// Certificates, configurations and data; must be new, empty, or left by an earlier run
    #[arg(long, value_name = "DIR")]
    dir: PathBuf,
    /// Leave the directory, so that the next run with the same data need not fill it
    #[arg(long)]
    keep: bool,
    /// The same seed sends the same samples
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Also write everything as JSON here
    #[arg(long, value_name = "FILE")]
    json_file: Option<PathBuf>,
    /// Print the report as JSON
    #[arg(long)]
    pub json: bool,
}

pub async fn run(f: &Fleet) -> Result<FleetReport> {
    let binary = match &f.binary {
        Some(path) => path.clone(),
        None => std::env::current_exe().context("finding the program's own file")?,
    };
    // Programs are started in directories of their own.
    let (binary, dir) = (cli::absolute(&binary)?, cli::absolute(&f.dir)?);
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
        keep: f.keep,
        seed: f.seed,
        ..usual
    };
    let (clock, stop) = (Clock::system(), Shutdown::new());
    cli::stop_on_interrupt(&stop);
    let report = bench::fleet(&options, &clock, &stop, cli::telling(&clock)).await?;
    cli::save(f.json_file.as_deref(), &report)?;
    Ok(report)
}
