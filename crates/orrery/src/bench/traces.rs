//! `orrery bench traces`.

use std::time::Duration;

use anyhow::{Result, bail};
use base::{Clock, Shutdown};
use bench::{Protocol, Signal, TracesOptions, TracesReport};
use clap::Args;

use super::measured::Measured;
use crate::cli;

#[derive(Debug, Args)]
pub struct Traces {
    /// smoke takes a minute and shows that it works; full is what claims are made from
    #[arg(long, default_value = "smoke", value_parser = ["smoke", "full"])]
    scale: String,
    /// Spans, instead of the scale's
    #[arg(long)]
    spans: Option<u64>,
    /// Time the traces lie in, instead of six hours
    #[arg(long, value_parser = cli::duration)]
    span: Option<Duration>,
    /// Spans of a request, instead of the scale's
    #[arg(long)]
    batch: Option<usize>,
    /// otlp-http or otlp-grpc
    #[arg(long, default_value = "otlp-http")]
    protocol: Protocol,
    /// How often each question is asked beside the first time
    #[arg(long)]
    repeats: Option<usize>,
    #[command(flatten)]
    pub measured: Measured,
}

pub async fn run(t: &Traces) -> Result<TracesReport> {
    if !t.protocol.carries(Signal::Traces) {
        bail!("{} carries no traces", t.protocol);
    }
    let (binary, dir) = t.measured.places()?;
    let usual = match t.scale.as_str() {
        "full" => TracesOptions::full(binary, dir),
        _ => TracesOptions::smoke(binary, dir),
    };
    let options = TracesOptions {
        spans: t.spans.unwrap_or(usual.spans),
        span: t.span.unwrap_or(usual.span),
        batch: t.batch.unwrap_or(usual.batch),
        protocol: t.protocol,
        repeats: t.repeats.unwrap_or(usual.repeats),
        keep: t.measured.keep,
        seed: t.measured.seed,
        ..usual
    };
    let (clock, stop) = (Clock::system(), Shutdown::new());
    cli::stop_on_interrupt(&stop);
    let report = bench::traces(&options, &clock, &stop, cli::telling(&clock)).await?;
    t.measured.save(&report)?;
    Ok(report)
}
