//! `bench write`: workers that generate, send and measure.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use base::{Clock, Shutdown};
use parking_lot::Mutex;
use tokio::task::JoinSet;

use crate::{
    Error, Latencies, Progress, Result, WriteOptions, WriteReport,
    generate::{Generator, Numbered},
    journal::{Header, Journal},
    payload::Payload,
    send::{Outcome, Sender},
};

/// First and longest wait before a request is sent again.
const RETRY_WAIT: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(2));

/// What all workers add to.
#[derive(Default)]
struct Tally {
    requests: u64,
    items: u64,
    refused_items: u64,
    bytes: u64,
    retries: u64,
    errors: BTreeMap<String, u64>,
    latency: Latencies,
    /// Since the last progress line.
    recent: Latencies,
}

struct Run {
    options: WriteOptions,
    run: String,
    sender: Sender,
    journal: Option<Journal>,
    tally: Mutex<Tally>,
    clock: Clock,
    stop: Shutdown,
    started: Instant,
}

/// Sends until the duration is over, and reports. `on_progress` is called once a second.
///
/// # Errors
/// Options that do not fit together, a target that is no URL, a journal that cannot be written. Errors of
/// requests are in the report.
pub async fn write(options: &WriteOptions, on_progress: impl FnMut(&Progress)) -> Result<WriteReport> {
    write_until(options, &Clock::system(), &Shutdown::new(), on_progress).await
}

/// The same with a clock of the caller's, and an end when `stop` is started.
pub async fn write_until(
    options: &WriteOptions,
    clock: &Clock,
    stop: &Shutdown,
    mut on_progress: impl FnMut(&Progress),
) -> Result<WriteReport> {
    check(options)?;
    let started = clock.monotonic();
    let name = format!("r{:x}", clock.now_ns().div_euclid(1000));
    let journal = match &options.journal {
        None => None,
        Some(path) => Some(Journal::create(path, &header(options, &name))?),
    };
    let run = Arc::new(Run {
        sender: Sender::new(options)?,
        run: name,
        journal,
        tally: Mutex::default(),
        clock: clock.clone(),
        stop: stop.clone(),
        started,
        options: options.clone(),
    });
    let mut workers = JoinSet::new();
    for worker in 0..run.options.concurrency {
        let run = run.clone();
        workers.spawn(async move { run.work(worker).await });
    }
    let mut last = (started, 0);
    let mut outcome = Ok(());
    loop {
        tokio::select! {
            ended = workers.join_next() => match ended {
                None => break,
                Some(Ok(Ok(()))) => {}
                Some(Ok(Err(e))) => {
                    stop.start();
                    outcome = Err(e);
                }
                Some(Err(_)) => stop.start(),
            },
            () = clock.sleep(Duration::from_secs(1)) => on_progress(&run.progress(&mut last)),
        }
    }
    outcome.map(|()| run.report())
}

fn header(o: &WriteOptions, run: &str) -> Header {
    Header {
        run: run.to_owned(),
        signal: o.signal,
        protocol: o.protocol,
        target: o.target.clone(),
        tenant: o.tenant.clone(),
    }
}

fn check(o: &WriteOptions) -> Result<()> {
    if !o.protocol.carries(o.signal) {
        return Err(Error::Mismatch { protocol: o.protocol.as_str(), signal: o.signal.as_str() });
    }
    let bad = |option, value: String, wanted| Err(Error::Option { option, value, wanted });
    match o.rate {
        Some(r) if !(r.is_finite() && r > 0.0) => return bad("rate", r.to_string(), "a number above 0"),
        _ => {}
    }
    if o.concurrency == 0 || o.concurrency > 10_000 {
        return bad("concurrency", o.concurrency.to_string(), "from 1 to 10000");
    }
    if o.batch == 0 || o.batch > 1_000_000 {
        return bad("batch", o.batch.to_string(), "from 1 to 1000000");
    }
    if o.targets == 0 || o.targets > 1_000_000 {
        return bad("targets", o.targets.to_string(), "from 1 to 1000000");
    }
    Ok(())
}

impl Run {
    async fn work(&self, worker: usize) -> Result<()> {
        let o = &self.options;
        let mut generator = match &self.journal {
            Some(_) => Generator::counting(o, &self.run, worker),
            None => Generator::new(o, worker),
        };
        let share = o.rate.map(|r| r / o.concurrency as f64);
        let mut items = 0u64;
        while !self.over() {
            if let Some(share) = share {
                self.wait_until(Duration::from_secs_f64(items as f64 / share)).await;
                if self.over() {
                    break;
                }
            }
            let numbered = generator.next(o.batch, self.clock.now_ns());
            items += numbered.items;
            self.deliver(worker, numbered).await?;
        }
        Ok(())
    }

    fn over(&self) -> bool {
        self.stop.is_started() || self.elapsed() >= self.options.duration
    }

    fn elapsed(&self) -> Duration {
        self.clock.monotonic().duration_since(self.started)
    }

    /// Sleeps until `due` after the start, or until stopped.
    async fn wait_until(&self, due: Duration) {
        let wait = due.min(self.options.duration).saturating_sub(self.elapsed());
        if !wait.is_zero() {
            tokio::select! {
                () = self.clock.sleep(wait) => {}
                () = self.stop.started() => {}
            }
        }
    }

    /// Sends one batch; in counting mode until it is acknowledged, refused, or too old to try.
    async fn deliver(&self, worker: usize, n: Numbered) -> Result<()> {
        let Some(payload) = Payload::encode(self.options.protocol, &n.batch) else {
            let (protocol, signal) = (self.options.protocol.as_str(), self.options.signal.as_str());
            return Err(Error::Mismatch { protocol, signal });
        };
        if let Some(j) = &self.journal {
            j.sent(worker, &n)?;
        }
        let first_try = self.clock.monotonic();
        let mut wait = RETRY_WAIT.0;
        loop {
            let began = self.clock.monotonic();
            let outcome = self.sender.send(&payload).await;
            let took = self.clock.monotonic().duration_since(began);
            self.count(&outcome, &n, payload.len(), took);
            match (outcome, &self.journal) {
                (Outcome::Acknowledged { refused: 0 }, Some(j)) => return j.acknowledged(worker, n.first),
                (Outcome::Later(_), Some(_)) => {}
                _ => return Ok(()),
            }
            if self.stop.is_started() || first_try.elapsed() >= self.options.retry_for {
                return Ok(());
            }
            self.tally.lock().retries += 1;
            self.clock.sleep(wait).await;
            wait = (wait * 2).min(RETRY_WAIT.1);
        }
    }

    fn count(&self, outcome: &Outcome, n: &Numbered, bytes: usize, took: Duration) {
        let mut t = self.tally.lock();
        t.bytes += bytes as u64;
        match outcome {
            Outcome::Acknowledged { refused } => {
                t.requests += 1;
                t.items += n.items.saturating_sub(*refused);
                t.refused_items += refused;
                t.latency.record(took);
                t.recent.record(took);
            }
            Outcome::Refused(what) | Outcome::Later(what) => {
                // Texts come from outside: past some hundred kinds they count as one.
                let full = t.errors.len() >= 200 && !t.errors.contains_key(what);
                let what = if full { "other errors" } else { what };
                *t.errors.entry(what.to_owned()).or_insert(0) += 1;
            }
        }
    }

    fn progress(&self, last: &mut (Instant, u64)) -> Progress {
        let mut t = self.tally.lock();
        let now = self.clock.monotonic();
        let since = now.duration_since(last.0).as_secs_f64().max(1e-9);
        let per_second = t.items.saturating_sub(last.1) as f64 / since;
        *last = (now, t.items);
        let p99 = std::mem::take(&mut t.recent).quantile(0.99);
        Progress { elapsed: self.elapsed(), done: t.items, per_second, errors: t.errors.values().sum(), p99 }
    }

    fn report(&self) -> WriteReport {
        let t = std::mem::take(&mut *self.tally.lock());
        let seconds = self.elapsed().as_secs_f64().max(1e-9);
        WriteReport {
            target: self.options.target.clone(),
            protocol: self.options.protocol.to_string(),
            signal: self.options.signal.to_string(),
            seconds,
            requests: t.requests,
            items: t.items,
            items_per_second: t.items as f64 / seconds,
            refused_items: t.refused_items,
            bytes: t.bytes,
            errors: t.errors,
            retries: t.retries,
            latency: t.latency,
        }
    }
}
