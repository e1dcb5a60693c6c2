//! `orrery bench logs`.

use std::{path::PathBuf, time::Duration};

use anyhow::{Context, Result};
use base::{Clock, Shutdown};
use bench::{Address, LogsOptions, LogsReport};
use clap::Args;

use crate::cli;

#[derive(Debug, Args)]
pub struct Logs {
    /// The program that is started; by default this one
    #[arg(long, value_name = "PATH")]
    binary: Option<PathBuf>,
    /// Another program that takes Loki's protocol and runs already: NAME=URL[,pid=N][,dir=PATH]; may be repeated
    #[arg(long = "peer", value_name = "NAME=URL")]
    peers: Vec<Address>,
    /// smoke takes a minute and shows that it works; full is what claims are made from
    #[arg(long, default_value = "smoke", value_parser = ["smoke", "full"])]
    scale: String,
    /// Lines, instead of the scale's
    #[arg(long)]
    lines: Option<u64>,
    /// Time the lines lie in, instead of a day
    #[arg(long, value_parser = cli::duration)]
    span: Option<Duration>,
    /// Lines of a request, instead of the scale's
    #[arg(long)]
    batch: Option<usize>,
    /// How often each question is asked beside the first time
    #[arg(long)]
    repeats: Option<usize>,
    /// Where the program keeps its data meanwhile
    #[arg(long, value_name = "DIR")]
    dir: PathBuf,
    /// Leave its directory behind, with data and configuration
    #[arg(long)]
    keep: bool,
    /// The same seed sends the same lines
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Also write everything as JSON here
    #[arg(long, value_name = "FILE")]
    json_file: Option<PathBuf>,
    /// Print the report as JSON
    #[arg(long)]
    pub json: bool,
}

pub async fn run(l: &Logs) -> Result<LogsReport> {
    let binary = match &l.binary {
        Some(path) => path.clone(),
        None => std::env::current_exe().context("finding the program's own file")?,
    };
    // Programs are started in directories of their own.
    let (binary, dir) = (cli::absolute(&binary)?, cli::absolute(&l.dir)?);
    let usual = match l.scale.as_str() {
        "full" => LogsOptions::full(binary, dir),
        _ => LogsOptions::smoke(binary, dir),
    };
    let options = LogsOptions {
        others: l.peers.clone(),
        lines: l.lines.unwrap_or(usual.lines),
        span: l.span.unwrap_or(usual.span),
        batch: l.batch.unwrap_or(usual.batch),
        repeats: l.repeats.unwrap_or(usual.repeats),
        keep: l.keep,
        seed: l.seed,
        ..usual
    };
    let (clock, stop) = (Clock::system(), Shutdown::new());
    cli::stop_on_interrupt(&stop);
    let report = bench::logs(&options, &clock, &stop, cli::telling(&clock)).await?;
    cli::save(l.json_file.as_deref(), &report)?;
    Ok(report)
}
