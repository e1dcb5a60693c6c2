//! A small shop of real services, for demonstrations: each is a process that answers over HTTP, calls the next
//! ones with W3C trace context, and tells its cluster's node over OTLP what it did.
//!
//! ```text
//! load ─► frontend ─► catalog
//!             └─────► checkout ─► stock
//!                         └─────► payment           busy at times, then asked once more
//!
//! server    accepts, reads heads and bodies with caps
//! service   answers one request: works, calls on, writes spans and lines into the record
//! story     what each service does, how long it takes and how often it fails: drawn from a seed
//! record    spans, lines and counts since the last export, bounded
//! export    hands them to the collectors, keeps some while one is away, counts what it had to drop
//! load      requests like those of people, from a seed
//! ```
//! Start reading at [`Shop`].

mod context;
mod export;
mod load;
mod metrics;
mod record;
mod server;
mod service;
mod story;

use std::{fmt, net::SocketAddr, sync::Arc, time::Duration};

use base::{Clock, Shutdown};
use tokio::net::TcpListener;

pub use context::TraceContext;
pub use export::Delivered;

use self::{export::Exporter, load::Load, record::Recorder, service::Service};
use crate::{Error, Result, send};

/// Where a service may call on to, and collectors: more is taken for a mistake.
const MAX_URLS: usize = 16;
/// How long requests that are under way may take once the shop is to stop.
const DRAIN: Duration = Duration::from_secs(5);

/// Takes lines for whoever watches the process.
pub type Tell = Arc<dyn Fn(String) + Send + Sync>;

/// What one service of the shop is told.
#[derive(Debug, Clone)]
pub struct ShopOptions {
    /// `frontend`, `catalog`, `checkout`, `payment` or `stock`; any other name works and calls on.
    pub service: String,
    /// Port 0 takes any free one.
    pub listen: SocketAddr,
    /// Asked one after the other; the path says for what.
    pub calls: Vec<String>,
    /// Base URLs of OTLP over HTTP. Spans and lines go to the first, metrics to all: replicas of a cluster
    /// share the former and each have the latter. None keeps nothing.
    pub otlp: Vec<String>,
    pub cluster: String,
    /// Requests a second that the service sends to itself, as if from outside; 0 sends none.
    pub load: f64,
    /// The same seed draws the same routes, latencies and failures. Trace ids differ in each run.
    pub seed: u64,
    /// Stretches every latency; 0 answers at once.
    pub pace: f64,
    /// How often spans and lines are exported.
    pub export_every: Duration,
    /// How often metrics are exported.
    pub metrics_every: Duration,
    /// Longest wait for an answer of a called service, and of a collector.
    pub timeout: Duration,
}

impl ShopOptions {
    pub fn new(service: impl Into<String>, listen: SocketAddr) -> Self {
        ShopOptions {
            service: service.into(),
            listen,
            calls: Vec::new(),
            otlp: Vec::new(),
            cluster: "local".to_owned(),
            load: 0.0,
            seed: 1,
            pace: 1.0,
            export_every: Duration::from_secs(2),
            metrics_every: Duration::from_secs(5),
            timeout: Duration::from_secs(5),
        }
    }

    fn check(&self) -> Result<()> {
        let bad = |option, value: String, wanted| Err(Error::Option { option, value, wanted });
        for (option, name) in [("service", &self.service), ("cluster", &self.cluster)] {
            if name.is_empty() || name.len() > 100 {
                return bad(option, name.clone(), "a name of 1 to 100 bytes");
            }
        }
        if !(0.0..=10_000.0).contains(&self.load) {
            return bad("load", self.load.to_string(), "from 0 to 10000 requests a second");
        }
        if !(0.0..=1_000.0).contains(&self.pace) {
            return bad("pace", self.pace.to_string(), "from 0 to 1000");
        }
        for (option, every) in [("export_every", self.export_every), ("metrics_every", self.metrics_every)] {
            if every.is_zero() {
                return bad(option, format!("{every:?}"), "longer than nothing");
            }
        }
        for (option, urls) in [("calls", &self.calls), ("otlp", &self.otlp)] {
            if urls.len() > MAX_URLS {
                return bad(option, format!("{} URLs", urls.len()), "at most 16 URLs");
            }
            urls.iter().try_for_each(|u| send::parse(u).map(drop))?;
        }
        Ok(())
    }
}

/// What a service did from start to end.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct ShopReport {
    pub service: String,
    /// Answered requests.
    pub requests: u64,
    /// Of those, answered with 5xx.
    pub failed: u64,
    /// Requests of the load that were left out because too many were under way.
    pub skipped: u64,
    pub spans: Delivered,
    pub records: Delivered,
    pub points: Delivered,
}

impl fmt::Display for ShopReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}: {} requests answered, {} of them failed", self.service, self.requests, self.failed)?;
        if self.skipped > 0 {
            writeln!(f, "requests of the load left out: {}", self.skipped)?;
        }
        writeln!(f, "spans    {}", self.spans)?;
        writeln!(f, "lines    {}", self.records)?;
        write!(f, "points   {}", self.points)
    }
}

/// A service whose port is taken and which does not answer yet.
pub struct Shop {
    options: ShopOptions,
    listener: TcpListener,
    address: SocketAddr,
    service: Arc<Service>,
    exporter: Exporter,
    clock: Clock,
}

impl Shop {
    /// Checks the options and takes the port.
    pub async fn open(options: ShopOptions, clock: &Clock, tell: Tell) -> Result<Shop> {
        options.check()?;
        let fail = |source| Error::Listen { address: options.listen, source };
        let listener = TcpListener::bind(options.listen).await.map_err(fail)?;
        let address = listener.local_addr().map_err(fail)?;
        let recorder = Arc::new(Recorder::new(&options, clock));
        let service = Arc::new(Service::new(&options, address, recorder.clone(), clock)?);
        let exporter = Exporter::new(&options, recorder, clock, tell)?;
        Ok(Shop { options, listener, address, service, exporter, clock: clock.clone() })
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers until `stop` starts; then finishes what is under way, exports the rest and says what became
    /// of everything.
    pub async fn run(self, stop: &Shutdown) -> ShopReport {
        // Exports go on until the last request has been answered.
        let flush = Shutdown::new();
        let exporting = self.exporter.run(&flush);
        let load = Load::new(&self.options, self.address, &self.clock);
        let working = async {
            let (skipped, ()) = tokio::join!(
                load.run(stop),
                server::run(self.listener, self.service.clone(), stop, &self.clock)
            );
            flush.start();
            skipped
        };
        let (skipped, [spans, records, points]) = tokio::join!(working, exporting);
        let (requests, failed) = self.service.answered();
        ShopReport { service: self.options.service, requests, failed, skipped, spans, records, points }
    }
}

#[cfg(test)]
mod tests;
