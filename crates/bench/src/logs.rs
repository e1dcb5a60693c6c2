//! `bench logs`: one corpus of log lines by Loki push into this program, and into others that speak Loki's protocol
//! at addresses that are given; then the same questions to each.
//!
//! ```text
//! load      corpus ─► push ─► MB of text per second of CPU, memory; bytes on disk over bytes of text, and over those
//!                             of `zstd -3` of the same lines in one file; MB per second of CPU of that, too, which says
//!                             how fast the machine was meanwhile
//! settle    this program is flushed, restarted, and merges
//! ask       an id that one line has, one that none has, counts over a day, patterns, the largest groups
//! ```
//! Of a program that is only an address, CPU and bytes are known where its process and directory are named, too.

mod ask;
mod corpus;
pub mod report;

use std::{
    path::{Path, PathBuf},
    str::FromStr,
    time::Duration,
};

use base::{Clock, Shutdown};
use model::Batch;

use self::corpus::Corpus;
pub use self::report::{Asked, Loaded, LogsReport};
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
pub struct LogsOptions {
    /// The program that is started.
    pub binary: PathBuf,
    /// Its directory is made in here, and removed afterwards unless it is kept.
    pub work_dir: PathBuf,
    pub others: Vec<Address>,
    pub lines: u64,
    /// The lines lie in this time, which ends now.
    pub span: Duration,
    /// Lines of a request.
    pub batch: usize,
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

impl LogsOptions {
    /// A minute: shows that everything works, and little more.
    pub fn smoke(binary: PathBuf, work_dir: PathBuf) -> Self {
        LogsOptions {
            binary,
            work_dir,
            others: Vec::new(),
            lines: 200_000,
            span: Duration::from_secs(86_400),
            batch: 5_000,
            concurrency: 2,
            repeats: 3,
            seed: 1,
            quiet: Duration::from_secs(3),
            settle_for: Duration::from_secs(30),
            keep: false,
        }
    }

    /// What claims are made from: ten million lines, about 2 GB, over a day.
    pub fn full(binary: PathBuf, work_dir: PathBuf) -> Self {
        LogsOptions {
            lines: 10_000_000,
            repeats: 10,
            quiet: Duration::from_secs(45),
            settle_for: Duration::from_secs(600),
            ..LogsOptions::smoke(binary, work_dir)
        }
    }
}

/// Another program, already running: `NAME=URL[,pid=N][,dir=PATH]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    pub name: String,
    pub url: String,
    pub pid: Option<u32>,
    pub dir: Option<PathBuf>,
}

impl FromStr for Address {
    type Err = String;

    fn from_str(s: &str) -> Result<Self, String> {
        let (name, rest) = s.split_once('=').ok_or_else(|| format!("{s:?} is not NAME=URL"))?;
        let mut parts = rest.split(',');
        let url = parts.next().unwrap_or_default().trim_end_matches('/').to_owned();
        let mut address = Address { name: name.to_owned(), url, pid: None, dir: None };
        for part in parts {
            match part.split_once('=') {
                Some(("pid", n)) => {
                    address.pid = Some(n.parse().map_err(|_| format!("pid={n} is no number"))?);
                }
                Some(("dir", path)) => address.dir = Some(PathBuf::from(path)),
                _ => return Err(format!("{part:?} is neither pid=N nor dir=PATH")),
            }
        }
        Ok(address)
    }
}

/// Runs everything. `tell` gets a line whenever something begins, and now and then while it goes on.
///
/// # Errors
/// A program that cannot be started, does not answer or refuses lines: figures of half a run would mislead.
pub async fn logs(
    o: &LogsOptions,
    clock: &Clock,
    stop: &Shutdown,
    mut tell: impl FnMut(String),
) -> Result<LogsReport> {
    let PeersReport { machine, cores, .. } = PeersReport::of_machine();
    let binary = Binary { program: Program::Orrery, path: o.binary.clone() };
    let version = process::version(&o.binary, "--version").await?;
    let program = ProgramInfo { name: "orrery".to_owned(), path: o.binary.display().to_string(), version };
    let mut report = LogsReport { machine, cores, program, ..LogsReport::default() };
    let end_ns = clock.now_ns();
    let mut running = Running::start(&binary, &o.work_dir, clock).await?;
    if o.keep {
        running.keep();
    }
    tell(format!("orrery is at {}: sending {} lines", running.url, o.lines));
    let cpu = running.cpu_seconds()?;
    let sent = load(o, &running.url, end_ns, clock, stop, Some(&mut report), &mut tell).await?;
    let mut loaded = Loaded { name: "orrery".to_owned(), seconds: sent.seconds, ..Loaded::default() };
    loaded.cpu_seconds = Some(running.cpu_seconds()? - cpu);
    tell("flushing, restarting and merging".to_owned());
    let settling = Settling { quiet: o.quiet, settle_for: o.settle_for };
    let settled = running.settle(settling, clock).await?;
    loaded.settling_cpu_seconds = Some(settled.cpu_seconds);
    loaded.peak_rss_bytes = Some(settled.peak_rss_bytes);
    loaded.disk_bytes = Some(settled.disk_bytes);
    report.loaded.push(loaded);
    tell("asking".to_owned());
    let cpu = || running.cpu_seconds().ok();
    report.asked.push(ask::all(o, "orrery", &running.url, end_ns, &sent.needles, &cpu, clock, stop).await?);
    report.rss_after_queries_bytes = running.peak_rss_bytes().ok();
    running.stop(clock).await?;
    for other in &o.others {
        tell(format!("{} at {}: sending {} lines", other.name, other.url, o.lines));
        let cpu = || other.pid.and_then(|p| process::cpu_seconds_of(p).ok());
        let (before, held) = (cpu(), other.dir.as_deref().map(process::bytes_in));
        let sent = load(o, &other.url, end_ns, clock, stop, None, &mut tell).await?;
        let grown = |dir: &Path| process::bytes_in(dir).saturating_sub(held.unwrap_or(0));
        report.loaded.push(Loaded {
            name: other.name.clone(),
            seconds: sent.seconds,
            cpu_seconds: cpu().zip(before).map(|(now, before)| now - before),
            disk_bytes: other.dir.as_deref().map(grown),
            ..Loaded::default()
        });
        tell(format!("asking {}", other.name));
        report
            .asked
            .push(ask::all(o, &other.name, &other.url, end_ns, &sent.needles, &cpu, clock, stop).await?);
    }
    Ok(report)
}

struct Sent {
    seconds: f64,
    needles: Vec<String>,
}

/// Bytes of text that a line beside the others costs in a file: its end.
const LINE_END: u64 = 1;
/// Progress is told after so many lines.
const TELL_EVERY: u64 = 1_000_000;

/// Sends the corpus; what the lines themselves are goes into the report the first time.
async fn load(
    o: &LogsOptions,
    url: &str,
    end_ns: i64,
    clock: &Clock,
    stop: &Shutdown,
    report: Option<&mut LogsReport>,
    tell: &mut impl FnMut(String),
) -> Result<Sent> {
    let write = WriteOptions {
        target: url.to_owned(),
        protocol: Protocol::Loki,
        signal: Signal::Logs,
        timeout: Duration::from_secs(120),
        ..WriteOptions::default()
    };
    let sender = Sender::new(&write)?;
    let span_ns = i64::try_from(o.span.as_nanos()).unwrap_or(i64::MAX);
    let mut corpus = Corpus::new(o.seed, o.lines, end_ns, span_ns);
    let mut file = report.is_some().then(Compressed::new).transpose()?;
    let (mut left, mut text, mut packing) = (o.lines, 0u64, Duration::ZERO);
    let began = clock.monotonic();
    let mut busy = tokio::task::JoinSet::new();
    while left > 0 {
        if stop.is_started() {
            return Err(Error::Interrupted);
        }
        let batch = corpus.next(o.batch.min(usize::try_from(left).unwrap_or(usize::MAX)));
        left -= batch.records.len() as u64;
        let lines = || batch.records.iter().filter_map(|r| r.body.as_str());
        text += lines().map(|l| l.len() as u64 + LINE_END).sum::<u64>();
        if let Some(file) = &mut file {
            let before = process::cpu_of_thread();
            lines().try_for_each(|l| file.add(l))?;
            packing += process::cpu_of_thread().saturating_sub(before);
        }
        let payload = Payload::encode(Protocol::Loki, &Batch::Logs(batch))
            .ok_or(Error::Mismatch { protocol: "loki", signal: "logs" })?;
        while busy.len() >= o.concurrency.max(1) {
            done(url, busy.join_next().await)?;
        }
        let (sender, clock) = (sender.clone(), clock.clone());
        busy.spawn(async move { send_until_answered(&sender, &payload, &clock).await });
        if (o.lines - left).is_multiple_of(TELL_EVERY) {
            tell(format!("{} of {} lines are there", o.lines - left, o.lines));
        }
    }
    while let Some(outcome) = busy.join_next().await {
        done(url, Some(outcome))?;
    }
    let seconds = clock.monotonic().duration_since(began).as_secs_f64();
    if let (Some(report), Some(file)) = (report, file) {
        (report.lines, report.text_bytes, report.zstd_bytes) = (o.lines, text, file.finish()?);
        report.zstd_cpu_seconds = packing.as_secs_f64();
    }
    Ok(Sent { seconds, needles: corpus.needles })
}

fn done(url: &str, outcome: Option<Result<Outcome, tokio::task::JoinError>>) -> Result<()> {
    let fail = |reason| Err(Error::Ask { url: url.to_owned(), reason });
    match outcome {
        None | Some(Ok(Outcome::Acknowledged { refused: 0 })) => Ok(()),
        Some(Ok(Outcome::Acknowledged { refused })) => fail(format!("it refused {refused} lines")),
        Some(Ok(Outcome::Refused(what) | Outcome::Later(what))) => fail(what),
        Some(Err(e)) => fail(e.to_string()),
    }
}

/// What `zstd -3` makes of all lines in one file.
struct Compressed(zstd::stream::write::Encoder<'static, Length>);

/// Counts what is written.
struct Length(u64);

impl std::io::Write for Length {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0 += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Compressed {
    fn new() -> Result<Self> {
        zstd::stream::write::Encoder::new(Length(0), 3).map(Compressed).map_err(compressing)
    }

    fn add(&mut self, line: &str) -> Result<()> {
        use std::io::Write as _;
        self.0.write_all(line.as_bytes()).and_then(|()| self.0.write_all(b"\n")).map_err(compressing)
    }

    fn finish(self) -> Result<u64> {
        self.0.finish().map(|l| l.0).map_err(compressing)
    }
}

fn compressing(source: std::io::Error) -> Error {
    Error::Program { doing: "compressing lines beside", path: PathBuf::from("zstd"), source }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_may_name_its_process_and_directory() {
        let a: Address = "loki=http://h:3100/,pid=7,dir=/x".parse().unwrap();
        let wanted = Address {
            name: "loki".into(),
            url: "http://h:3100".into(),
            pid: Some(7),
            dir: Some("/x".into()),
        };
        assert_eq!(a, wanted);
        for bad in ["loki", "loki=http://h,pid=x", "loki=http://h,what"] {
            assert!(bad.parse::<Address>().is_err(), "{bad}");
        }
    }
}
