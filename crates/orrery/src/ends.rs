//! Both ends of what is sent between nodes, as far as they are here: the way onward, the counts of what came, and the
//! ledger that compares them with those of others.

use std::sync::Arc;

use anyhow::{Context, Result};
use base::{Clock, Metrics, Shutdown};
use ingest::{Ingest, PipelineLag, Received};

use crate::{forwarding::Onward, ledger::Ledger};

pub struct Ends {
    pub onward: Arc<Onward>,
    pub ledger: Arc<Ledger>,
    /// None where nothing of others is kept.
    received: Option<Arc<Received>>,
}

impl Ends {
    /// Opens what is on the disk, begins to send, and compares now and then until the node stops.
    pub async fn open(
        config: &config::Node,
        clock: &Clock,
        metrics: &Metrics,
        shutdown: &Shutdown,
    ) -> Result<Self> {
        let onward = Onward::open(config, clock, metrics, shutdown).await?;
        let lag = PipelineLag::new(metrics);
        let received = received(config, clock, metrics, &lag).await?;
        let cluster = config.cluster.as_ref().map_or("local", |c| c.as_str()).to_owned();
        let ledger = Ledger::new(onward.clone(), received.clone(), lag, cluster, metrics, clock.clone());
        ledger.start(shutdown);
        Ok(Ends { onward, ledger, received })
    }

    /// Admission that counts what other nodes send.
    pub fn counting(&self, ingest: Ingest) -> Arc<Ingest> {
        Arc::new(match &self.received {
            Some(received) => ingest.with_received(received.clone()),
            None => ingest,
        })
    }

    pub async fn close(&self) {
        self.onward.close().await;
        if let Some(received) = &self.received {
            received.close().await;
        }
    }
}

async fn received(
    config: &config::Node,
    clock: &Clock,
    metrics: &Metrics,
    lag: &PipelineLag,
) -> Result<Option<Arc<Received>>> {
    if !config.keeps {
        return Ok(None);
    }
    let dir = config.data_dir.join("ledger");
    let (clock, metrics, lag) = (clock.clone(), metrics.clone(), lag.clone());
    let opening = tokio::task::spawn_blocking(move || {
        Received::open(dir, Arc::new(disklog::RealDisk), &metrics, lag, clock)
    });
    Ok(Some(Arc::new(opening.await?.context("opening the ledger of what was received")?)))
}
