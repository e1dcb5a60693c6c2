//! `orrery run`: from the configuration to the last flush.

use std::time::Duration;

use anyhow::{Context, Result};
use tokio::signal::unix::{SignalKind, signal};

use crate::{cli, logging, node::Node};

/// What a stop may take in all. Kubernetes grants 30 s by default; a node promises 10.
const STOP_WITHIN: Duration = Duration::from_secs(9);

pub fn run(args: &cli::Run) -> Result<()> {
    let config = match &args.config {
        Some(path) => config::load(path)?,
        None => config::defaults(),
    };
    // More workers than cores: one poll that takes long must not be all there is on a small machine, and the
    // kernel shares the cores among them better than a queue would.
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(cores + 2)
        .enable_all()
        .thread_name("orrery")
        .build()
        .context("starting the runtime")?;
    let outcome = runtime.block_on(serve(args, config));
    // Whatever still runs in the background has had its time.
    runtime.shutdown_timeout(Duration::from_millis(200));
    outcome
}

async fn serve(args: &cli::Run, config: config::Node) -> Result<()> {
    // Signals first, so that one that comes during replay is not lost.
    let mut terminate = signal(SignalKind::terminate()).context("watching SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("watching SIGINT")?;
    let mut hangup = signal(SignalKind::hangup()).context("watching SIGHUP")?;
    let traces = logging::start(&config);
    // A task of its own: reading a long log back must not keep a signal from being seen.
    let mut starting = tokio::spawn(Node::start(args.config.clone(), config, traces));
    let node = tokio::select! {
        node = &mut starting => node.context("starting the node")??,
        _ = terminate.recv() => return Ok(()),
        _ = interrupt.recv() => return Ok(()),
    };
    loop {
        tokio::select! {
            _ = terminate.recv() => break,
            _ = interrupt.recv() => break,
            _ = hangup.recv() => match node.reload().await {
                Ok(()) => {}
                Err(e) => tracing::error!("the configuration was not reloaded, the old one stays: {e}"),
            },
        }
    }
    tracing::info!("stopping");
    let stopped = tokio::time::timeout(STOP_WITHIN, node.stop()).await;
    match stopped {
        Ok(outcome) => outcome,
        Err(_) => {
            tracing::warn!(
                "not everything was flushed within {STOP_WITHIN:?}; the write-ahead log holds the rest"
            );
            Ok(())
        }
    }
}
