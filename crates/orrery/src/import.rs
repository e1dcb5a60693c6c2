//! `orrery import prometheus DIR`: samples of another program into a running node.

use std::path::PathBuf;

use anyhow::{Context, Result, anyhow, bail};
use base::{Clock, Shutdown};
use clap::{Args, Subcommand};
use migrate::{
    Error, Target,
    import::{self, Options, Report},
};

use crate::{cli, progress::Line};

#[derive(Debug, Args)]
pub struct Import {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Blocks of a Prometheus data directory, a snapshot of one, or one block
    Prometheus(Prometheus),
}

#[derive(Debug, Args)]
struct Prometheus {
    /// Data directory of Prometheus; it may go on running
    #[arg(value_name = "DIR")]
    dir: PathBuf,
    #[command(flatten)]
    target: cli::Target,
    /// Added to every series that has no such label, NAME=VALUE; may be repeated
    #[arg(long = "label", value_name = "NAME=VALUE")]
    labels: Vec<String>,
    /// Only samples from here on: RFC 3339 or seconds since 1970
    #[arg(long, value_name = "TIME", value_parser = cli::time)]
    since: Option<i64>,
    /// Only samples up to here
    #[arg(long, value_name = "TIME", value_parser = cli::time)]
    until: Option<i64>,
    /// Where it is noted what has arrived, so that another run goes on there; by default in DIR
    #[arg(long, value_name = "FILE")]
    journal: Option<PathBuf>,
    /// Samples in one request
    #[arg(long, default_value_t = 20_000)]
    batch: usize,
    /// Requests under way at once
    #[arg(long, default_value_t = 2)]
    concurrency: usize,
    /// How long the receiver may take nothing before the import stops
    #[arg(long, value_parser = cli::duration, default_value = "10m")]
    retry_for: std::time::Duration,
    /// Go on where the receiver refuses samples
    #[arg(long)]
    keep_going: bool,
}

pub fn run(args: Import) -> Result<()> {
    let What::Prometheus(p) = args.what;
    let labels = cli::pairs(&p.labels).context("reading --label")?;
    let json = p.target.json;
    let options = Options {
        target: Target::new(&p.target.to, p.target.tenant.as_deref(), &cli::headers(&p.target.headers)?)?,
        tenant: p.target.tenant,
        labels,
        from_ms: p.since.unwrap_or(i64::MIN),
        to_ms: p.until.unwrap_or(i64::MAX),
        journal: p.journal.unwrap_or_else(|| p.dir.join("orrery-import.json")),
        batch: p.batch,
        concurrency: p.concurrency,
        retry_for: p.retry_for,
        keep_going: p.keep_going,
        dir: p.dir,
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let (report, interrupted) = runtime.block_on(async {
        let stop = Shutdown::new();
        cli::stop_on_interrupt(&stop);
        let clock = Clock::system();
        let mut line = Line::new(&clock);
        let report = import::run(&options, &clock, &stop, |p| line.show(p)).await;
        line.end();
        (report, stop.is_started())
    });
    let report = report.map_err(|e| with_advice(e, &options))?;
    match json {
        true => println!("{}", serde_json::to_string_pretty(&report)?),
        false => print(&report, &options),
    }
    if interrupted {
        bail!("interrupted; what arrived is noted in {}, run it again to go on", options.journal.display());
    }
    if report.refused_samples > 0 {
        bail!(
            "requests with {} samples were refused in whole or in part, for the reasons above",
            report.refused_samples
        );
    }
    Ok(())
}

/// The error, and before it what to do about it.
fn with_advice(e: Error, o: &Options) -> anyhow::Error {
    let noted = format!("what arrived is noted in {}", o.journal.display());
    let advice = match &e {
        Error::Refused { answer, .. } if answer.contains("retention") => {
            format!(
                "stopped; {noted}, raise retention.metrics of the node (0 keeps everything) and run it again to go on, or name the time to import with --since, or leave out what is refused with --keep-going"
            )
        }
        Error::Refused { .. } => {
            format!(
                "stopped; {noted}, run it again to go on, or with --keep-going to leave out what is refused"
            )
        }
        Error::GaveUp { .. } => {
            format!(
                "stopped; {noted}, see whether --to is the right address and running, and run it again to go on"
            )
        }
        Error::Block(b) if b.kind() == base::Kind::Corrupt => {
            format!(
                "stopped at a damaged block; {noted}, move the block's directory away to import the others"
            )
        }
        _ => return anyhow!(e),
    };
    anyhow!(e).context(advice)
}

fn print(r: &Report, o: &Options) {
    println!(
        "{} samples in {} requests from {} block(s) in {:.1} s",
        r.samples, r.requests, r.blocks, r.seconds
    );
    if r.blocks_known > 0 {
        println!("  {} block(s) had arrived before, or lie outside the time asked for", r.blocks_known);
    }
    if r.blocks_superseded > 0 {
        println!("  {} block(s) left out, others were made of them", r.blocks_superseded);
    }
    for dir in &r.blocks_undescribed {
        println!("  {} left out: it has no meta.json, so Prometheus does not read it either", dir.display());
    }
    if r.retries > 0 {
        println!("  sent again {} times", r.retries);
    }
    for (what, n) in &r.refusals {
        println!("  refused {n} x {what}");
    }
    if r.has_log {
        println!(
            "  {} has a write-ahead log, whose newest samples are in no block yet: import a snapshot (POST /api/v1/admin/tsdb/snapshot) for those too",
            o.dir.display()
        );
    }
}
