//! The loop of one target.

use std::{collections::HashSet, sync::Arc, time::Duration};

use base::cap::{Encoding, unpack};
use contract::AppendUnit;
use model::{Batch, BatchId, Labels, MetricBatch};
use parking_lot::Mutex;
use wire::exposition::{Exposition, ScrapeOptions, parse};

use super::{
    Auth, Health, ScrapeConfig, Secret, TargetStatus,
    ingest::{Prepared, Report, mark_stale, prepare, push_report},
    target::Target,
};
use crate::{Context, Delivery};

const SOURCE: &str = "scrape";

/// Asked for in this order; what comes back is read by its content type.
const ACCEPT: &str =
    "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.4,*/*;q=0.1";

/// Body size where the job sets none. Larger: a broken target costs more memory.
const DEFAULT_BODY_LIMIT: usize = 128 << 20;

pub(super) struct Scraper {
    context: Context,
    client: net::Client,
    config: ScrapeConfig,
    target: Target,
    status: Arc<Mutex<TargetStatus>>,
    /// Series of the last scrape that was stored.
    seen: HashSet<Labels>,
    /// Whether report series exist that must be ended.
    reported: bool,
    source: u64,
    epoch: u64,
    sequence: u64,
    last_ms: i64,
}

impl Scraper {
    pub(super) fn new(
        context: Context,
        client: net::Client,
        config: &ScrapeConfig,
        target: Target,
        status: Arc<Mutex<TargetStatus>>,
    ) -> Self {
        let key = format!("scrape/{}/{}/{}", config.job_name, target.labels, target.url);
        Scraper {
            source: xxhash_rust::xxh3::xxh3_64(key.as_bytes()),
            epoch: context.clock.now_ns() as u64,
            config: ScrapeConfig { targets: Vec::new(), ..config.clone() },
            context,
            client,
            target,
            status,
            seen: HashSet::new(),
            reported: false,
            sequence: 0,
            last_ms: i64::MIN,
        }
    }

    /// Scrapes until shutdown, then ends the target's series.
    pub(super) async fn run(mut self) {
        let interval_ns = self.target.interval.as_nanos().max(1) as i64;
        // Spread over the interval by a hash, so that many targets do not all come at once, and the same
        // moment after a restart, so that steps stay even.
        let phase = (self.source % interval_ns as u64) as i64;
        let first = (phase - self.context.clock.now_ns().rem_euclid(interval_ns)).rem_euclid(interval_ns);
        // The first one soon: somebody who has just started a node is looking at it.
        let mut wait = Duration::from_nanos((first as u64).min(1_000_000_000));
        while self.context.sleep(wait).await {
            self.scrape().await;
            let now = self.context.clock.now_ns();
            let until_next = (phase - now.rem_euclid(interval_ns)).rem_euclid(interval_ns);
            wait = Duration::from_nanos(match until_next {
                // Woken a hair early or done within the same nanosecond: the next one is a whole interval off.
                n if n < interval_ns / 100 => n + interval_ns,
                n => n,
            } as u64);
        }
        self.end().await;
    }

    async fn scrape(&mut self) {
        let at_ms = self.context.clock.now_ms().max(self.last_ms.saturating_add(1));
        let began = self.context.clock.monotonic();
        let outcome = tokio::select! {
            outcome = self.fetch(at_ms) => outcome,
            () = self.context.shutdown.started() => return,
        };
        let seconds = began.elapsed().as_secs_f64();
        let outcome = outcome.and_then(|e| prepare(&self.config, &self.target, e));
        self.note(at_ms, seconds, outcome.as_ref().err());
        let up = outcome.is_ok();
        let Prepared { mut batch, tracked, scraped, kept, duplicates } = outcome.unwrap_or_default();
        if duplicates > 0 {
            self.context.drop_items(SOURCE, "duplicate_series", duplicates);
        }
        let added = mark_stale(&mut batch, &self.seen, &tracked, at_ms);
        let report = Report { up, seconds, scraped, kept, added };
        push_report(&mut batch, &self.target.labels, Some(report), at_ms);
        self.last_ms = at_ms;
        match self.append(batch, self.target.interval).await {
            Delivery::Stored(_) => {
                self.seen = tracked;
                self.reported = true;
            }
            // Not stored: what was there before still waits to be ended, what is new may have to be.
            Delivery::Dropped(_) | Delivery::Stopped => self.seen.extend(tracked),
        }
    }

    /// Marks everything stale that this target ever stored and has not ended.
    async fn end(&mut self) {
        let mut batch = MetricBatch::default();
        let at_ms = self.context.clock.now_ms().max(self.last_ms.saturating_add(1));
        mark_stale(&mut batch, &self.seen, &HashSet::new(), at_ms);
        if self.reported {
            push_report(&mut batch, &self.target.labels, None, at_ms);
        }
        if !batch.is_empty() {
            self.append(batch, Duration::from_secs(2)).await;
        }
    }

    async fn append(&mut self, batch: MetricBatch, patience: Duration) -> Delivery {
        self.sequence += 1;
        let id = BatchId::Numbered { source: self.source, epoch: self.epoch, sequence: self.sequence };
        let unit = AppendUnit {
            batch_id: Some(id),
            received_ns: self.context.clock.now_ns(),
            batches: vec![Batch::Metrics(batch)],
        };
        self.context.deliver(SOURCE, unit, Some(patience)).await
    }

    async fn fetch(&self, at_ms: i64) -> Result<Exposition, String> {
        let limit = match usize::try_from(self.config.body_size_limit) {
            Ok(0) | Err(_) => DEFAULT_BODY_LIMIT,
            Ok(n) => n,
        };
        let mut request = net::Request::get(&self.target.url)
            .header("accept", ACCEPT)
            .header("accept-encoding", "gzip")
            .header("x-prometheus-scrape-timeout-seconds", self.target.timeout.as_secs_f64().to_string());
        request.auth = self.auth()?;
        request.timeout = self.target.timeout;
        request.max_answer_bytes = limit;
        let answer = self.client.send(request).await.map_err(|e| e.to_string())?;
        if !answer.status.is_success() {
            return Err(format!("the target answered {}", answer.status));
        }
        let encoding = Encoding::parse(answer.header("content-encoding")).map_err(|e| e.to_string())?;
        let body = match encoding {
            Encoding::Identity => answer.body.clone(),
            packed => unpack(packed, &answer.body, limit).map_err(|e| e.to_string())?.into(),
        };
        let limits = wire::Limits::default();
        let options = ScrapeOptions {
            default_ms: at_ms,
            honor_timestamps: self.config.honor_timestamps,
            strict: false,
            limits: &limits,
        };
        parse(answer.header("content-type"), &body, &options).map_err(|e| e.to_string())
    }

    fn auth(&self) -> Result<net::Auth, String> {
        Ok(match &self.config.auth {
            Auth::None => net::Auth::None,
            Auth::Basic { username, password } => {
                net::Auth::Basic { username: reveal(username)?, password: reveal(password)? }
            }
            Auth::Header { scheme, credentials } => {
                net::Auth::Header { scheme: scheme.clone(), credentials: reveal(credentials)? }
            }
        })
    }

    fn note(&self, at_ms: i64, seconds: f64, error: Option<&String>) {
        let mut s = self.status.lock();
        let before = s.health;
        s.health = if error.is_none() { Health::Up } else { Health::Down };
        s.last_scrape_ms = at_ms;
        s.last_scrape_seconds = seconds;
        s.last_error = error.cloned().unwrap_or_default();
        if let Some(error) = error {
            self.context.problem(SOURCE, "scrape_failed");
            // Once when it begins; the status and `up` say it from then on.
            if before != Health::Down {
                tracing::warn!(job = self.config.job_name, url = self.target.url, error, "scrape failed");
            }
        }
    }
}

fn reveal(secret: &Secret) -> Result<String, String> {
    match secret {
        Secret::Inline(s) => Ok(s.clone()),
        Secret::File(path) => std::fs::File::open(path)
            .map_err(|e| e.to_string())
            .and_then(|f| base::cap::read_capped(f, 64 << 10, "secret").map_err(|e| e.to_string()))
            .and_then(|b| String::from_utf8(b).map_err(|e| e.to_string()))
            .map(|s| s.trim().to_owned())
            .map_err(|e| format!("reading the secret in {}: {e}", path.display())),
    }
}
