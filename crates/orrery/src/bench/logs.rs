//! `orrery bench logs`.

use std::time::Duration;

use anyhow::Result;
use base::{Clock, Shutdown};
use bench::{Address, LogsOptions, LogsReport};
use clap::Args;

use super::measured::Measured;
use crate::cli;

#[derive(Debug, Args)]
pub struct Logs {
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
    #[command(flatten)]
    pub measured: Measured,
}

pub async fn run(l: &Logs) -> Result<LogsReport> {
    let (binary, dir) = l.measured.places()?;
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
        keep: l.measured.keep,
        seed: l.measured.seed,
        ..usual
    };
    let (clock, stop) = (Clock::system(), Shutdown::new());
    cli::stop_on_interrupt(&stop);
    let report = bench::logs(&options, &clock, &stop, cli::telling(&clock)).await?;
    l.measured.save(&report)?;
    Ok(report)
}
