//! `orrery bench write | query | verify`: load and proof, aimed at any address. `orrery bench peers`: several
//! programs side by side on this machine. `orrery bench fleet`: clusters and a hub on this machine. `orrery bench
//! logs`: log lines, and what finding them takes. `orrery bench traces`: the same of traces. `orrery bench shop`: a
//! service that makes telemetry of its own.

mod fleet;
mod logs;
mod measured;
mod shop;
mod traces;

use std::{io::Write as _, path::PathBuf, time::Duration};

use anyhow::{Result, anyhow, bail};
use base::{Clock, Shutdown};
use bench::{Progress, Protocol, QueryKind, QueryOptions, QuerySpec, Signal, VerifyOptions, WriteOptions};
use clap::{Args, Subcommand};
use serde::Serialize;

use crate::cli::{self, Target};

#[derive(Debug, Args)]
pub struct Bench {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Send generated metrics, logs or traces
    Write(Write),
    /// Ask queries again and again
    Query(Query),
    /// Compare what a counting sender was acknowledged with what is stored
    Verify(Verify),
    /// Start several programs one after another and measure each with the same data and queries
    Peers(Peers),
    /// Start clusters and a hub over mutual TLS, and measure what a global sum moves and takes
    Fleet(fleet::Fleet),
    /// Send a corpus of log lines, and ask for them; beside other programs at addresses
    Logs(logs::Logs),
    /// Send a corpus of traces, and ask for them
    Traces(traces::Traces),
    /// Run one service of a small shop that traces, logs and counts what it does over OTLP
    Shop(shop::Shop),
}

#[derive(Debug, Args)]
struct Write {
    #[command(flatten)]
    target: Target,
    /// remote-write, otlp-http, otlp-grpc or loki
    #[arg(long, default_value = "remote-write")]
    protocol: Protocol,
    /// metrics, logs or traces; by default what the protocol usually carries
    #[arg(long)]
    signal: Option<Signal>,
    /// Imitated scrape targets of 200 series each, or services
    #[arg(long, default_value_t = 10)]
    targets: usize,
    /// Samples, records or spans in one request
    #[arg(long, default_value_t = 2000)]
    batch: usize,
    /// Items a second; without it as fast as answers come
    #[arg(long)]
    rate: Option<f64>,
    /// Requests under way at once
    #[arg(long, default_value_t = 2)]
    concurrency: usize,
    #[arg(long, value_parser = cli::duration, default_value = "10s")]
    duration: Duration,
    /// The same seed sends the same items
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Number every item and keep a journal of what was sent and acknowledged, for `bench verify`
    #[arg(long, value_name = "FILE")]
    journal: Option<PathBuf>,
    /// With a journal: how long an unanswered request is sent again
    #[arg(long, value_parser = cli::duration, default_value = "1m")]
    retry_for: Duration,
    /// With a journal: fill log lines and spans up to so many bytes
    #[arg(long, default_value_t = 0)]
    item_bytes: usize,
}

#[derive(Debug, Args)]
struct Query {
    #[command(flatten)]
    target: Target,
    /// KIND:EXPRESSION with kind promql-instant, promql-range or logql-range; may be repeated
    #[arg(long = "query", value_name = "KIND:EXPRESSION")]
    queries: Vec<String>,
    /// How far back range queries reach
    #[arg(long, value_parser = cli::duration, default_value = "1h")]
    range: Duration,
    #[arg(long, value_parser = cli::duration, default_value = "15s")]
    step: Duration,
    #[arg(long, default_value_t = 2)]
    concurrency: usize,
    #[arg(long, value_parser = cli::duration, default_value = "10s")]
    duration: Duration,
}

#[derive(Debug, Args)]
struct Verify {
    #[command(flatten)]
    target: Target,
    /// The journal of `bench write --journal`
    #[arg(value_name = "FILE")]
    journal: PathBuf,
}

#[derive(Debug, Args)]
struct Peers {
    /// orrery=PATH, prometheus=PATH or victoria-metrics=PATH; may be repeated, others are compared with the first
    #[arg(long = "program", value_name = "PROGRAM=PATH", required = true)]
    programs: Vec<bench::Binary>,
    /// smoke takes two minutes and shows that it works; full is what claims are made from
    #[arg(long, default_value = "smoke", value_parser = ["smoke", "full"])]
    scale: String,
    /// Active series of the ingest runs, instead of the scale's
    #[arg(long, value_delimiter = ',', value_name = "N,N,…")]
    sizes: Option<Vec<usize>>,
    /// Samples of each ingest run, instead of the scale's
    #[arg(long)]
    samples: Option<usize>,
    /// Run one half only
    #[arg(long, value_parser = ["ingest", "queries"])]
    only: Option<String>,
    /// Series that are asked, instead of the scale's
    #[arg(long)]
    query_series: Option<usize>,
    /// Time that is asked, instead of the scale's
    #[arg(long, value_parser = cli::duration)]
    query_span: Option<Duration>,
    /// Time between the samples that are asked, instead of the scale's
    #[arg(long, value_parser = cli::duration)]
    query_interval: Option<Duration>,
    /// Leave the directories of the programs that were asked behind, with their data and configuration
    #[arg(long)]
    keep: bool,
    /// Where the programs keep their data meanwhile
    #[arg(long, value_name = "DIR")]
    dir: PathBuf,
    /// The same seed sends the same samples
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Also write everything as JSON here
    #[arg(long, value_name = "FILE")]
    json_file: Option<PathBuf>,
    /// Print the report as JSON
    #[arg(long)]
    json: bool,
}

/// Asked when `bench query` is given nothing: what dashboards ask of the metrics and logs `bench write` sends.
const USUAL: [(QueryKind, &str); 4] = [
    (QueryKind::PromqlInstant, "count({__name__=~\".+\"})"),
    (QueryKind::PromqlRange, "sum by (mode) (rate(node_cpu_seconds_total[5m]))"),
    (QueryKind::LogqlRange, "sum by (level) (count_over_time({service_name=~\".+\"}[1m]))"),
    (QueryKind::LogqlRange, "{service_name=~\".+\"} |= \"error\""),
];

pub fn run(args: Bench) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        match args.what {
            What::Write(w) => write(w).await,
            What::Query(q) => query(q).await,
            What::Verify(v) => verify(v).await,
            What::Peers(p) => peers(p).await,
            What::Fleet(f) => print(&fleet::run(&f).await?, f.measured.json),
            What::Logs(l) => print(&logs::run(&l).await?, l.measured.json),
            What::Traces(t) => print(&traces::run(&t).await?, t.measured.json),
            What::Shop(s) => print(&shop::run(s).await?, false),
        }
    })
}

async fn write(w: Write) -> Result<()> {
    let signal = w.signal.unwrap_or(match w.protocol {
        Protocol::RemoteWrite => Signal::Metrics,
        Protocol::Loki => Signal::Logs,
        Protocol::OtlpHttp | Protocol::OtlpGrpc => Signal::Traces,
    });
    if !w.protocol.carries(signal) {
        bail!("{} carries no {signal}", w.protocol);
    }
    let options = WriteOptions {
        headers: cli::headers(&w.target.headers)?,
        target: w.target.to,
        protocol: w.protocol,
        signal,
        tenant: w.target.tenant,
        targets: w.targets,
        batch: w.batch,
        rate: w.rate,
        concurrency: w.concurrency,
        duration: w.duration,
        seed: w.seed,
        journal: w.journal,
        retry_for: w.retry_for,
        item_bytes: w.item_bytes,
        ..WriteOptions::default()
    };
    let report = bench::write(&options, show).await?;
    print(&report, w.target.json)
}

async fn query(q: Query) -> Result<()> {
    let queries = match q.queries.is_empty() {
        true => {
            USUAL.iter().map(|(kind, expr)| QuerySpec { kind: *kind, expr: (*expr).to_owned() }).collect()
        }
        false => q.queries.iter().map(|s| spec(s)).collect::<Result<_>>()?,
    };
    let options = QueryOptions {
        headers: cli::headers(&q.target.headers)?,
        target: q.target.to,
        tenant: q.target.tenant,
        queries,
        range: q.range,
        step: q.step,
        concurrency: q.concurrency,
        duration: q.duration,
        ..QueryOptions::default()
    };
    let report = bench::query(&options, show).await?;
    print(&report, q.target.json)
}

async fn verify(v: Verify) -> Result<()> {
    let options = VerifyOptions {
        headers: cli::headers(&v.target.headers)?,
        target: Some(v.target.to),
        tenant: v.target.tenant,
        ..VerifyOptions::new(v.journal)
    };
    let report = bench::verify(&options).await?;
    print(&report, v.target.json)?;
    match report.is_exact() {
        true => Ok(()),
        false => bail!("what is stored is not what was acknowledged"),
    }
}

async fn peers(p: Peers) -> Result<()> {
    let usual = match p.scale.as_str() {
        "full" => bench::PeersOptions::full(p.programs, p.dir),
        _ => bench::PeersOptions::smoke(p.programs, p.dir),
    };
    let only = |part: &str| p.only.as_deref() == Some(part);
    let sizes = p.sizes.unwrap_or_else(|| usual.sizes.clone());
    let query_series = p.query_series.unwrap_or(usual.query_series);
    let options = bench::PeersOptions {
        sizes: if only("queries") { Vec::new() } else { sizes },
        samples: p.samples.unwrap_or(usual.samples),
        query_series: if only("ingest") { 0 } else { query_series },
        query_span: p.query_span.unwrap_or(usual.query_span),
        query_interval: p.query_interval.unwrap_or(usual.query_interval),
        keep: p.keep,
        seed: p.seed,
        ..usual
    };
    let (clock, stop) = (Clock::system(), Shutdown::new());
    cli::stop_on_interrupt(&stop);
    let report = bench::peers(&options, &clock, &stop, cli::telling(&clock)).await?;
    cli::save(p.json_file.as_deref(), &report)?;
    print(&report, p.json)
}

/// One line that replaces itself.
fn show(p: &Progress) {
    let _ = write!(std::io::stderr(), "\r{p}   ");
}

fn print<R: Serialize + std::fmt::Display>(report: &R, json: bool) -> Result<()> {
    eprintln!();
    match json {
        true => println!("{}", serde_json::to_string_pretty(report)?),
        false => println!("{report}"),
    }
    Ok(())
}

fn spec(text: &str) -> Result<QuerySpec> {
    let (kind, expr) = text.split_once(':').ok_or_else(|| anyhow!("{text:?} is not KIND:EXPRESSION"))?;
    Ok(QuerySpec { kind: kind.parse().map_err(|e: String| anyhow!(e))?, expr: expr.to_owned() })
}
