//! The loop of one target.
//!
//! Scrapes stand on a grid: every interval, at an offset that a hash of the target decides, so that targets are
//! spread over the interval and keep their times over restarts. A target that is gone has its series ended at
//! the time of the scrape it does not get any more. A node that stops ends nothing: it will be back.

use std::{sync::Arc, time::Duration};

use base::Shutdown;
use contract::AppendUnit;
use model::{Batch, BatchId, MetricBatch};
use parking_lot::Mutex;
use tokio::sync::oneshot;
use wire::exposition::Exposition;

use super::{
    Health, ScrapeConfig, TargetStatus,
    counts::Counts,
    failure::Failure,
    fetch::{Body, fetch},
    ingest::{Prepared, prepare},
    memory::Memory,
    pool::ItemLimits,
    report::{Extra, Report, ReportSeries},
    target::Target,
};
use crate::{Context, Delivery};

const SOURCE: &str = "scrape";

/// A scrape that begins this little after its time is stored at its time, so that steps stay even. Never more
/// than a hundredth of the interval.
const TOLERANCE_NS: i64 = 2_000_000;

/// What a loop is made of.
pub(super) struct Parts {
    pub(super) context: Context,
    pub(super) counts: Counts,
    pub(super) client: net::Client,
    pub(super) config: Arc<ScrapeConfig>,
    pub(super) target: Arc<Target>,
    pub(super) status: Arc<Mutex<TargetStatus>>,
    /// Ends the loop of this target alone.
    pub(super) stop: Shutdown,
    /// Makes offsets differ between replicas of one configuration.
    pub(super) seed: u64,
    /// What a series may look like by now.
    pub(super) limits: ItemLimits,
    /// Why every scrape fails, when the job has too many targets.
    pub(super) forced: Arc<Mutex<Option<String>>>,
    /// Where the memory goes when another loop takes over the series.
    pub(super) heir: oneshot::Receiver<oneshot::Sender<Memory>>,
    /// The memory of the loop before, once that has ended.
    pub(super) inherited: Option<oneshot::Receiver<Memory>>,
    /// The first scrape comes at once instead of on the grid.
    pub(super) eager: bool,
}

pub(super) struct Scraper {
    parts: Parts,
    memory: Memory,
    report: ReportSeries,
    source: u64,
    epoch: u64,
    sequence: u64,
    last_ms: i64,
}

impl Scraper {
    pub(super) fn new(parts: Parts) -> Self {
        let (config, target) = (&parts.config, &parts.target);
        let key = format!("scrape/{}/{}/{}", config.job_name, target.labels, target.url);
        Scraper {
            source: xxhash_rust::xxh3::xxh3_64(key.as_bytes()),
            epoch: parts.context.clock.now_ns() as u64,
            report: ReportSeries::new(&target.labels, config.extra_metrics),
            parts,
            memory: Memory::default(),
            sequence: 0,
            last_ms: i64::MIN,
        }
    }

    /// Scrapes until it is stopped, then hands over or ends the target's series.
    pub(super) async fn run(mut self) {
        if !self.inherit().await {
            return;
        }
        let interval_ns = (self.parts.target.interval.as_nanos() as i64).max(1);
        let phase = ((self.source ^ self.parts.seed) % interval_ns as u64) as i64;
        let clock = self.parts.context.clock.clone();
        let mut due = match self.parts.eager {
            true => clock.now_ns(),
            false => next_on_grid(clock.now_ns(), interval_ns, phase),
        };
        loop {
            let wait = Duration::from_nanos((due - clock.now_ns()).max(0) as u64);
            tokio::select! {
                biased;
                () = self.parts.context.shutdown.started() => return,
                () = self.parts.stop.started() => break,
                () = clock.sleep(wait) => {}
            }
            let now = clock.now_ns();
            let tolerance = TOLERANCE_NS.min(interval_ns / 100);
            let at_ns = if (0..=tolerance).contains(&(now - due)) { due } else { now };
            if !self.scrape(at_ns.div_euclid(1_000_000)).await {
                return;
            }
            // A scrape that took long skips the times it missed.
            due = next_on_grid(clock.now_ns().max(due), interval_ns, phase);
        }
        self.retire(due).await;
    }

    /// Waits for the memory of the loop before; false when the node stops meanwhile.
    async fn inherit(&mut self) -> bool {
        let Some(inherited) = self.parts.inherited.take() else { return true };
        tokio::select! {
            memory = inherited => {
                // Its loop may have ended without one, having stopped with the node.
                if let Ok(mut memory) = memory {
                    memory.forget_relabelling();
                    self.memory = memory;
                }
                true
            }
            () = self.parts.context.shutdown.started() => false,
        }
    }

    /// One scrape, stored at `at_ms`; false when the node stops meanwhile.
    async fn scrape(&mut self, at_ms: i64) -> bool {
        let at_ms = at_ms.max(self.last_ms.saturating_add(1));
        if self.last_ms > i64::MIN {
            let pairs = base::metrics::pair("interval", super::duration_text(self.parts.target.interval));
            let since = (at_ms - self.last_ms) as f64 / 1000.0;
            self.parts.counts.interval.get_or_create(&pairs).observe(since);
        }
        let began = self.parts.context.clock.monotonic();
        let fetched = tokio::select! {
            fetched = self.fetch() => fetched,
            () = self.parts.context.shutdown.started() => return false,
        };
        let body_bytes = match &fetched {
            Ok(body) => body.bytes.len() as f64,
            Err(Failure::BodySize) => -1.0,
            Err(_) => 0.0,
        };
        self.memory.begin();
        let (config, target) = (self.parts.config.clone(), self.parts.target.clone());
        let limits = self.parts.limits.read().clone();
        let parsed = fetched.and_then(|body| body.parse(&config, &target, &limits, at_ms));
        let mut p = self.prepare(parsed, at_ms);
        let failure = p.failure.take();
        let seconds = began.elapsed().as_secs_f64();
        self.note(at_ms, seconds, failure.as_ref());
        let failed = failure.is_some();
        self.memory.mark_stale(&mut p.batch, at_ms, failed);
        let report = Report {
            up: !failed,
            seconds,
            scraped: p.scraped,
            kept: p.kept,
            added: p.added,
            extra: config.extra_metrics.then_some(Extra {
                timeout_seconds: target.timeout.as_secs_f64(),
                sample_limit: config.limits.samples,
                body_bytes,
            }),
        };
        self.report.push(&mut p.batch, &report, at_ms);
        self.last_ms = at_ms;
        let delivery = self.append(p.batch, target.interval).await;
        if let Delivery::Stored(receipt) = &delivery {
            self.parts.counts.refused(receipt);
        }
        if failed && self.memory.is_overgrown() {
            self.parts.counts.forced_flushes.inc();
        }
        self.memory.settle(failed, matches!(delivery, Delivery::Stored(_)));
        delivery != Delivery::Stopped
    }

    async fn fetch(&self) -> Result<Body, Failure> {
        if let Some(reason) = self.parts.forced.lock().clone() {
            return Err(Failure::TargetLimit(reason));
        }
        fetch(&self.parts.client, &self.parts.config, &self.parts.target).await
    }

    fn prepare(&mut self, parsed: Result<Exposition, Failure>, at_ms: i64) -> Prepared {
        let parts = &self.parts;
        let prepared = match parsed {
            Ok(e) => prepare(&parts.config, &parts.target, &mut self.memory, e, at_ms),
            Err(failure) => Prepared { failure: Some(failure), ..Prepared::default() },
        };
        if let Some(failure) = &prepared.failure {
            failure.count(&parts.counts);
        }
        for (reason, count, counter) in [
            ("duplicate_series", prepared.duplicates, &parts.counts.duplicates),
            ("too_far_in_future", prepared.too_far_ahead, &parts.counts.out_of_bounds),
        ] {
            if count > 0 {
                parts.context.drop_items(SOURCE, reason, count);
                counter.inc_by(count);
            }
        }
        prepared
    }

    /// The target is gone. Whoever goes on with its series gets the memory; if nobody does until its next
    /// scrape would have come, the series end then.
    async fn retire(mut self, due: i64) {
        let clock = self.parts.context.clock.clone();
        let wait = Duration::from_nanos((due - clock.now_ns()).max(0) as u64);
        let asked = async {
            match (&mut self.parts.heir).await {
                Ok(heir) => heir,
                // Nobody can ask any more.
                Err(_) => std::future::pending().await,
            }
        };
        let heir = tokio::select! {
            biased;
            heir = asked => Some(heir),
            () = self.parts.context.shutdown.started() => return,
            () = clock.sleep(wait) => None,
        };
        match heir {
            // Nobody waits any more where sending fails.
            Some(heir) => drop(heir.send(self.memory)),
            None => self.end(due.div_euclid(1_000_000)).await,
        }
    }

    /// Marks everything stale that this target ever stored and has not ended.
    async fn end(mut self, at_ms: i64) {
        let mut batch = MetricBatch::default();
        let at_ms = at_ms.max(self.last_ms.saturating_add(1));
        self.memory.mark_stale(&mut batch, at_ms, true);
        if self.memory.reported {
            self.report.push_end(&mut batch, at_ms);
        }
        if !batch.is_empty() {
            let patience = self.parts.target.interval;
            self.append(batch, patience).await;
        }
    }

    async fn append(&mut self, batch: MetricBatch, patience: Duration) -> Delivery {
        self.sequence += 1;
        let id = BatchId::Numbered { source: self.source, epoch: self.epoch, sequence: self.sequence };
        let unit = AppendUnit {
            batch_id: Some(id),
            received_ns: self.parts.context.clock.now_ns(),
            batches: vec![Batch::Metrics(batch)],
        };
        self.parts.context.deliver(SOURCE, unit, Some(patience)).await
    }

    fn note(&self, at_ms: i64, seconds: f64, failure: Option<&Failure>) {
        let (config, url) = (&self.parts.config, &self.parts.target.url);
        let before = {
            let mut s = self.parts.status.lock();
            let before = s.health;
            s.health = if failure.is_none() { Health::Up } else { Health::Down };
            s.last_scrape_ms = at_ms;
            s.last_scrape_seconds = seconds;
            s.last_error = failure.map(Failure::to_string).unwrap_or_default();
            before
        };
        let Some(failure) = failure else { return };
        self.parts.context.problem(SOURCE, "scrape_failed");
        // Once when it begins; the status and `up` say it from then on.
        if before != Health::Down {
            tracing::warn!(job = config.job_name, url, error = %failure, "scrape failed");
        }
        if let Some(path) = &config.failure_log
            && let Err(error) = super::failure_log::append(path, at_ms, &config.job_name, url, failure)
        {
            self.parts.context.problem(SOURCE, "failure_log");
            tracing::debug!(path = %path.display(), %error, "writing scrape_failure_log_file");
        }
    }
}

/// The first time after `now` that is `phase` past a multiple of the interval.
fn next_on_grid(now_ns: i64, interval_ns: i64, phase: i64) -> i64 {
    let until = (phase - now_ns.rem_euclid(interval_ns)).rem_euclid(interval_ns);
    now_ns.saturating_add(if until == 0 { interval_ns } else { until })
}
