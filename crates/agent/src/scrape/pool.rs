//! The targets of one job: kept in step with what discovery finds, each scraped by a loop of its own.
//!
//! Where a target's labels stay while its loop must be another one (a changed configuration, another URL), the
//! new loop takes over what the old one remembers, so that its series neither end nor overlap.

use std::{
    collections::{HashMap, hash_map::Entry},
    sync::Arc,
};

use base::Shutdown;
use model::Labels;
use parking_lot::{Mutex, RwLock};
use tokio::sync::{Notify, oneshot};

use super::{
    DroppedTarget, ScrapeConfig, TargetStatus,
    counts::Counts,
    memory::Memory,
    scraper::{Parts, Scraper},
    target::{Resolved, Target, resolve},
};
use crate::{
    Context,
    discovery::{self, Discovery, Running},
};

/// What all pools share.
#[derive(Clone)]
pub(super) struct Shared {
    pub(super) context: Context,
    pub(super) counts: Counts,
    pub(super) discovery: discovery::Counts,
    pub(super) seed: u64,
    pub(super) limits: ItemLimits,
}

/// What a series may look like, for all jobs; each scrape reads it anew.
pub(super) type ItemLimits = Arc<RwLock<Arc<wire::Limits>>>;

pub(super) struct Pool {
    shared: Shared,
    pub(super) config: Arc<ScrapeConfig>,
    client: net::Client,
    discoveries: Vec<Running>,
    /// Told by discoveries; the manager's task for this pool waits on it.
    pub(super) changed: Arc<Notify>,
    /// Started when the job is gone.
    pub(super) closed: Shutdown,
    active: Vec<Active>,
    /// Loops that were stopped and have not ended their series yet, by the labels of their target.
    retiring: HashMap<Labels, Heir>,
    pub(super) dropped: Vec<DroppedTarget>,
    pub(super) dropped_count: usize,
    forced: Arc<Mutex<Option<String>>>,
}

type Heir = oneshot::Sender<oneshot::Sender<Memory>>;

struct Active {
    target: Arc<Target>,
    status: Arc<Mutex<TargetStatus>>,
    stop: Shutdown,
    heir: Heir,
}

impl Active {
    /// Stops the loop; its memory goes to whoever asks through what is returned.
    fn stop(self) -> (Labels, Heir) {
        self.stop.start();
        (self.target.labels.clone(), self.heir)
    }
}

impl Pool {
    pub(super) fn new(shared: Shared, config: ScrapeConfig) -> Self {
        shared.counts.pools.inc();
        let mut pool = Pool {
            client: net::Client::with(config.http.clone()),
            config: Arc::new(config),
            closed: shared.context.shutdown.child(),
            shared,
            discoveries: Vec::new(),
            changed: Arc::default(),
            active: Vec::new(),
            retiring: HashMap::new(),
            dropped: Vec::new(),
            dropped_count: 0,
            forced: Arc::default(),
        };
        pool.discover();
        pool
    }

    pub(super) fn statuses(&self) -> impl Iterator<Item = TargetStatus> + '_ {
        self.active.iter().map(|a| a.status.lock().clone())
    }

    pub(super) fn len(&self) -> usize {
        self.active.len()
    }

    /// Targets found, before relabelling.
    pub(super) fn found(&self) -> usize {
        let groups = self.discoveries.iter().map(|d| d.found.get());
        groups.map(|all| all.iter().map(|g| g.targets.len()).sum::<usize>()).sum()
    }

    /// Takes over a changed configuration; all loops begin anew and go on with their series.
    pub(super) fn reload(&mut self, config: ScrapeConfig) {
        self.shared.counts.reloads.inc();
        if self.closed.is_started() {
            self.closed = self.shared.context.shutdown.child();
        }
        if self.config.http != config.http {
            self.client = net::Client::with(config.http.clone());
        }
        self.config = Arc::new(config);
        self.discover();
        for active in std::mem::take(&mut self.active) {
            let (labels, heir) = active.stop();
            self.retiring.insert(labels, heir);
        }
        self.sync(false);
    }

    /// Stops discovery and all loops. The series end unless the job comes back before.
    pub(super) fn close(&mut self) {
        self.closed.start();
        self.discoveries.drain(..).for_each(|d| d.stop());
        for active in std::mem::take(&mut self.active) {
            let (labels, heir) = active.stop();
            self.retiring.insert(labels, heir);
        }
        (self.dropped, self.dropped_count) = (Vec::new(), 0);
        self.shared.counts.forget(&self.config.job_name);
        self.shared.discovery.forget(&self.config.job_name);
    }

    /// Whether a closed pool has nothing left to end.
    pub(super) fn is_over(&mut self) -> bool {
        self.retiring.retain(|_, heir| !heir.is_closed());
        self.retiring.is_empty()
    }

    /// Runs exactly the discoveries configured; those that stay keep what they found.
    fn discover(&mut self) {
        let mut before = std::mem::take(&mut self.discoveries);
        for config in &self.config.discovery {
            let same = before.iter().position(|d| d.config == *config);
            self.discoveries.push(match same {
                Some(i) => before.swap_remove(i),
                None => self.start_discovery(config),
            });
        }
        before.iter().for_each(Running::stop);
    }

    fn start_discovery(&self, config: &Discovery) -> Running {
        let s = &self.shared;
        Running::start(&s.context, &s.discovery, &self.config.job_name, config, self.changed.clone())
    }

    /// Brings the loops in step with what discovery found. `eager` loops scrape at once.
    pub(super) fn sync(&mut self, eager: bool) {
        let mut failures = 0;
        (self.dropped, self.dropped_count) = (Vec::new(), 0);
        let mut wanted: Vec<Box<Target>> = Vec::new();
        let mut seen: HashMap<u64, ()> = HashMap::new();
        let found: Vec<_> = self.discoveries.iter().map(|d| d.found.get()).collect();
        for group in found.iter().flat_map(|groups| groups.iter()) {
            for target in &group.targets {
                match resolve(&self.config, group, target) {
                    // Of several that come out equal one is scraped.
                    Ok(Resolved::Active(t)) => {
                        if let Entry::Vacant(v) = seen.entry(t.key) {
                            v.insert(());
                            wanted.push(t);
                        }
                    }
                    Ok(Resolved::Dropped(labels)) => self.drop_target(labels),
                    Err(error) => {
                        failures += 1;
                        tracing::warn!(job = self.config.job_name, %error, "creating target failed");
                    }
                }
            }
        }
        self.run(wanted, eager);
        let counts = &self.shared.counts;
        counts.limit(&self.config.job_name, self.config.limits.targets);
        counts.synced(&self.config.job_name, self.active.len(), failures);
        discovery::count_found(&self.shared.discovery, &self.config.job_name, self.discoveries.iter());
        self.limit_targets();
    }

    fn drop_target(&mut self, discovered_labels: Labels) {
        self.dropped_count += 1;
        let keep = self.config.limits.keep_dropped;
        if keep == 0 || (self.dropped.len() as u64) < keep {
            self.dropped.push(DroppedTarget { scrape_pool: self.config.job_name.clone(), discovered_labels });
        }
    }

    /// Runs exactly these targets, in this order.
    #[allow(clippy::vec_box)] // Targets are large and go from list to list.
    fn run(&mut self, wanted: Vec<Box<Target>>, eager: bool) {
        let mut before: HashMap<u64, Active> =
            std::mem::take(&mut self.active).into_iter().map(|a| (a.target.key, a)).collect();
        let kept: Vec<Option<Active>> = wanted.iter().map(|t| before.remove(&t.key)).collect();
        // Stopped before others begin, so that a loop on the same series can take over.
        for gone in before.into_values() {
            let (labels, heir) = gone.stop();
            self.retiring.insert(labels, heir);
        }
        self.retiring.retain(|_, heir| !heir.is_closed());
        for (target, kept) in wanted.into_iter().zip(kept) {
            let active = match kept {
                Some(active) => {
                    active.status.lock().discovered_labels = target.discovered.clone();
                    active
                }
                None => self.start(*target, eager),
            };
            self.active.push(active);
        }
    }

    fn start(&mut self, target: Target, eager: bool) -> Active {
        let inherited = self.retiring.remove(&target.labels).and_then(|heir| {
            let (send, receive) = oneshot::channel();
            heir.send(send).is_ok().then_some(receive)
        });
        let status = Arc::new(Mutex::new(TargetStatus::new(&self.config, &target)));
        let (heir, waiting) = oneshot::channel();
        let context = self.shared.context.clone();
        let stop = context.shutdown.child();
        let target = Arc::new(target);
        let scraper = Scraper::new(Parts {
            counts: self.shared.counts.clone(),
            client: self.client.clone(),
            config: self.config.clone(),
            target: target.clone(),
            status: status.clone(),
            stop: stop.clone(),
            seed: self.shared.seed,
            limits: self.shared.limits.clone(),
            forced: self.forced.clone(),
            heir: waiting,
            eager: eager && inherited.is_none(),
            inherited,
            context,
        });
        self.shared.context.shutdown.spawn(scraper.run());
        Active { target, status, stop, heir }
    }

    fn limit_targets(&self) {
        let (limit, targets) = (self.config.limits.targets, self.active.len() as u64);
        let over = limit > 0 && targets > limit;
        if over {
            self.shared.counts.exceeded_targets.inc();
        }
        *self.forced.lock() =
            over.then(|| format!("target_limit exceeded (number of targets: {targets}, limit: {limit})"));
    }
}
