//! Telemetry sent onward: the node's way in passes through the queue of its destinations. What a reload changes is what
//! stands behind the way, not the way itself.
//!
//! ```text
//! doors, collectors ─► derived ─► Way ─► patterns ─► store
//!      derived metrics ──────────► Way ──┘    │
//!                                             └─► what was accepted goes into the queue, and then the answer back
//! ```

use std::{path::PathBuf, sync::Arc, time::Duration};

use anyhow::{Context, Result};
use async_trait::async_trait;
use base::{Clock, Metrics, Shutdown};
use config::forward::Destination;
use contract::{Append, AppendUnit, Receipt};
use forward::{Account, Forwarder, Forwarding, QueueOptions, Seen, Target};
use model::TenantId;
use tokio::sync::RwLock;

/// How often gauges are brought up to date.
const OBSERVED_EVERY: Duration = Duration::from_secs(5);
/// Requests under way are waited for this long when destinations change or the node stops.
const GRACE: Duration = Duration::from_secs(6);

/// What sends onward, if anything does.
pub struct Onward {
    /// Read by every append, written while destinations change: appends wait meanwhile, and none is turned away.
    current: RwLock<Current>,
    dir: PathBuf,
    metrics: Metrics,
    clock: Clock,
}

struct Current {
    forwarder: Option<Forwarder>,
    destinations: Vec<Destination>,
}

/// Passes units on to what stores them, and what was accepted to the queue.
struct Way {
    append: Arc<dyn Append>,
    onward: Arc<Onward>,
}

#[async_trait]
impl Append for Way {
    async fn append(&self, tenant: &TenantId, unit: AppendUnit) -> contract::Result<Receipt> {
        let current = self.onward.current.read().await;
        match &current.forwarder {
            Some(forwarder) => {
                let forwarding = Forwarding { append: self.append.clone(), forwarder: forwarder.clone() };
                forwarding.append(tenant, unit).await
            }
            None => self.append.append(tenant, unit).await,
        }
    }
}

impl Onward {
    /// Opens the queue, sends what is in it, and keeps gauges up to date until the node stops. A node that has never had
    /// a destination has no queue.
    pub async fn open(
        config: &config::Node,
        clock: &Clock,
        metrics: &Metrics,
        shutdown: &Shutdown,
    ) -> Result<Arc<Self>> {
        let nothing = Current { forwarder: None, destinations: Vec::new() };
        let onward = Arc::new(Onward {
            current: RwLock::new(nothing),
            dir: config.data_dir.join("forward"),
            metrics: metrics.clone(),
            clock: clock.clone(),
        });
        if config.keeps {
            let current = onward.start(config.forward.clone()).await?;
            *onward.current.write().await = current;
        }
        let (observed, stop) = (onward.clone(), shutdown.clone());
        shutdown.spawn(async move {
            loop {
                observed.accounts().await;
                tokio::select! {
                    () = stop.started() => return,
                    () = observed.clock.sleep(OBSERVED_EVERY) => {}
                }
            }
        });
        Ok(onward)
    }

    /// The way to `append` that passes here.
    pub fn around(self: &Arc<Self>, append: Arc<dyn Append>) -> Arc<dyn Append> {
        Arc::new(Way { append, onward: self.clone() })
    }

    async fn start(&self, destinations: Vec<Destination>) -> Result<Current> {
        // What was queued for destinations that are gone stays in the ledger.
        if destinations.is_empty() && !self.dir.exists() {
            return Ok(Current { forwarder: None, destinations });
        }
        let targets = self.targets(&destinations)?;
        let options = QueueOptions::new(&self.dir);
        let disk = Arc::new(disklog::RealDisk);
        // Counters go on from what the queue has on the disk.
        let metrics = self.metrics.part("forward");
        let forwarder = Forwarder::open(options, targets, disk, &metrics, self.clock.clone())
            .await
            .with_context(|| format!("opening the queue of forwarding in {}", self.dir.display()))?;
        for d in &destinations {
            let to: Vec<String> = d.http.urls.iter().map(|u| crate::pipelines::address(u)).collect();
            tracing::info!(destination = d.name, protocol = d.protocol.as_str(), ?to, "forwarding");
        }
        Ok(Current { forwarder: Some(forwarder), destinations })
    }

    fn targets(&self, destinations: &[Destination]) -> Result<Vec<Target>> {
        let target = |d: &Destination| -> Result<Target> {
            Ok(Target {
                name: d.name.clone(),
                selection: d.selection.clone(),
                limits: d.limits.clone(),
                destination: d.open(self.clock.clone())?,
            })
        };
        destinations.iter().map(target).collect()
    }

    /// Takes over other destinations. What those that stay have in the queue stays there.
    pub async fn set(&self, new: &config::Node) -> Result<()> {
        if !new.keeps || self.current.read().await.destinations == new.forward {
            return Ok(());
        }
        if let Some((key, why)) = new.forward.iter().find_map(Destination::objection) {
            anyhow::bail!("forward: {key}: {why}");
        }
        let mut current = self.current.write().await;
        if let Some(before) = current.forwarder.take() {
            before.close(GRACE).await;
        }
        *current = match self.start(new.forward.clone()).await {
            Ok(new) => new,
            Err(e) => {
                // With what was there before, as far as that is possible.
                let before = std::mem::take(&mut current.destinations);
                *current = self.start(before).await.context("going back to the destinations before")?;
                return Err(e);
            }
        };
        Ok(())
    }

    /// The ledger as of now, and gauges with it.
    pub async fn accounts(&self) -> Vec<Account> {
        let current = self.current.read().await;
        current.forwarder.as_ref().map(Forwarder::accounts).unwrap_or_default()
    }

    pub async fn destinations(&self) -> Vec<Destination> {
        self.current.read().await.destinations.clone()
    }

    /// Bytes that the queue holds, and how sending goes by destination.
    pub async fn seen(&self) -> (u64, Vec<(String, Seen)>) {
        let current = self.current.read().await;
        current.forwarder.as_ref().map(|f| (f.held_bytes(), f.seen())).unwrap_or_default()
    }

    pub async fn close(&self) {
        let forwarder = self.current.write().await.forwarder.take();
        if let Some(forwarder) = forwarder {
            forwarder.close(GRACE).await;
        }
    }
}
