//! `bench traces`: one corpus of traces by OTLP into this program, and then questions about it.
//!
//! ```text
//! load      corpus ─► OTLP ─► spans per second of CPU, memory; bytes on disk over bytes of OTLP protobuf
//! settle    the program is flushed, restarted, and merges
//! ask       traces by id, searches over the last hour by Jaeger's API and by TraceQL, names and values
//! ```

mod ask;
mod corpus;
pub mod report;

use std::{path::PathBuf, time::Duration};

use base::{Clock, Shutdown};
use model::Batch;

use self::corpus::{Corpus, Needle};
pub use self::report::{TracesAnswered, TracesReport};
use crate::{
    Error, Protocol, Result, Signal, WriteOptions,
    payload::Payload,
    peers::{
        program::{Binary, Program},
        report::{PeersReport, ProgramInfo},
        running::{Running, Settling},
    },
    process,
    send::{Outcome, Sender, send_until_answered},
};

/// What is measured, and how much of it.
#[derive(Debug, Clone)]
pub struct TracesOptions {
    /// The program that is started.
    pub binary: PathBuf,
    /// Its directory is made in here, and removed afterwards unless it is kept.
    pub work_dir: PathBuf,
    pub spans: u64,
    /// The traces lie in this time, which ends now.
    pub span: Duration,
    /// Spans of a request.
    pub batch: usize,
    /// OTLP over HTTP, or over gRPC.
    pub protocol: Protocol,
    pub concurrency: usize,
    /// How often each question is asked beside the first time.
    pub repeats: usize,
    pub seed: u64,
    /// A directory that has not changed in length for so long is taken for merged.
    pub quiet: Duration,
    /// And after so long it is measured as it is.
    pub settle_for: Duration,
    pub keep: bool,
}

impl TracesOptions {
    /// A minute: shows that everything works, and little more.
    pub fn smoke(binary: PathBuf, work_dir: PathBuf) -> Self {
        TracesOptions {
            binary,
            work_dir,
            spans: 200_000,
            span: Duration::from_secs(6 * 3600),
            batch: 2_000,
            protocol: Protocol::OtlpHttp,
            concurrency: 2,
            repeats: 5,
            seed: 1,
            quiet: Duration::from_secs(3),
            settle_for: Duration::from_secs(30),
            keep: false,
        }
    }

    /// What claims are made from: ten million spans over six hours.
    pub fn full(binary: PathBuf, work_dir: PathBuf) -> Self {
        TracesOptions {
            spans: 10_000_000,
            repeats: 20,
            quiet: Duration::from_secs(45),
            settle_for: Duration::from_secs(600),
            ..TracesOptions::smoke(binary, work_dir)
        }
    }
}

/// Runs everything. `tell` gets a line whenever something begins, and now and then while it goes on.
///
/// # Errors
/// A program that cannot be started, does not answer or refuses spans: figures of half a run would mislead.
pub async fn traces(
    o: &TracesOptions,
    clock: &Clock,
    stop: &Shutdown,
    mut tell: impl FnMut(String),
) -> Result<TracesReport> {
    let PeersReport { machine, cores, .. } = PeersReport::of_machine();
    let binary = Binary { program: Program::Orrery, path: o.binary.clone() };
    let version = process::version(&o.binary, "--version").await?;
    let program = ProgramInfo { name: "orrery".to_owned(), path: o.binary.display().to_string(), version };
    let protocol = o.protocol.to_string();
    let mut report = TracesReport { machine, cores, program, protocol, ..TracesReport::default() };
    let end_ns = clock.now_ns();
    let mut running = Running::start(&binary, &o.work_dir, clock).await?;
    if o.keep {
        running.keep();
    }
    tell(format!("orrery is at {}: sending {} spans", running.url, o.spans));
    let cpu = running.cpu_seconds()?;
    let sent = load(o, &running.url, end_ns, (clock, stop), &mut tell).await?;
    report.spans = sent.spans;
    report.otlp_bytes = sent.bytes;
    report.seconds = sent.seconds;
    report.cpu_seconds = running.cpu_seconds()? - cpu;
    tell("asking for a trace that is still in memory".to_owned());
    report.fresh_ms = ask::fresh(&running.url, &sent.needles, clock).await?;
    tell("flushing, restarting and merging".to_owned());
    let settling = Settling { quiet: o.quiet, settle_for: o.settle_for };
    let settled = running.settle(settling, clock).await?;
    report.settling_cpu_seconds = settled.cpu_seconds;
    report.load_rss_bytes = settled.peak_rss_bytes;
    report.disk_bytes = settled.disk_bytes;
    tell("asking".to_owned());
    let cpu = || running.cpu_seconds().ok();
    report.answered = ask::all(o, &running.url, (end_ns, &sent.needles), &cpu, (clock, stop)).await?;
    report.rss_bytes = running.peak_rss_bytes()?;
    running.stop(clock).await?;
    Ok(report)
}

struct Sent {
    seconds: f64,
    spans: u64,
    bytes: u64,
    needles: Vec<Needle>,
}

/// Progress is told after so many spans.
const TELL_EVERY: u64 = 500_000;

async fn load(
    o: &TracesOptions,
    url: &str,
    end_ns: i64,
    (clock, stop): (&Clock, &Shutdown),
    tell: &mut impl FnMut(String),
) -> Result<Sent> {
    let write = WriteOptions {
        target: url.to_owned(),
        protocol: o.protocol,
        signal: Signal::Traces,
        timeout: Duration::from_secs(120),
        ..WriteOptions::default()
    };
    let sender = Sender::new(&write)?;
    let span_ns = i64::try_from(o.span.as_nanos()).unwrap_or(i64::MAX);
    let mut corpus = Corpus::new(o.seed, o.spans, end_ns, span_ns);
    let (mut spans, mut bytes, mut told) = (0u64, 0u64, 0u64);
    let began = clock.monotonic();
    let mut busy = tokio::task::JoinSet::new();
    while spans < o.spans || corpus.is_amid_traces() {
        if stop.is_started() {
            return Err(Error::Interrupted);
        }
        let batch = corpus.next(o.batch);
        spans += batch.spans.len() as u64;
        let payload = Payload::encode(o.protocol, &Batch::Spans(batch))
            .ok_or(Error::Mismatch { protocol: "the chosen protocol", signal: "traces" })?;
        bytes += payload.len() as u64;
        while busy.len() >= o.concurrency.max(1) {
            done(url, busy.join_next().await)?;
        }
        let (sender, clock) = (sender.clone(), clock.clone());
        busy.spawn(async move { send_until_answered(&sender, &payload, &clock).await });
        if spans / TELL_EVERY > told {
            told = spans / TELL_EVERY;
            tell(format!("{spans} of {} spans are there", o.spans));
        }
    }
    while let Some(outcome) = busy.join_next().await {
        done(url, Some(outcome))?;
    }
    let seconds = clock.monotonic().duration_since(began).as_secs_f64();
    Ok(Sent { seconds, spans, bytes, needles: corpus.needles })
}

fn done(url: &str, outcome: Option<Result<Outcome, tokio::task::JoinError>>) -> Result<()> {
    let fail = |reason| Err(Error::Ask { url: url.to_owned(), reason });
    match outcome {
        None | Some(Ok(Outcome::Acknowledged { refused: 0 })) => Ok(()),
        Some(Ok(Outcome::Acknowledged { refused })) => fail(format!("it refused {refused} spans")),
        Some(Ok(Outcome::Refused(what) | Outcome::Later(what))) => fail(what),
        Some(Err(e)) => fail(e.to_string()),
    }
}
