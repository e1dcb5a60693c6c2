//! `orrery bench shop`: one service of the traced shop.

use std::{net::SocketAddr, sync::Arc};

use anyhow::{Context, Result};
use base::{Clock, Shutdown};
use bench::{ShopOptions, ShopReport};
use clap::Args;
use tokio::signal::unix::{SignalKind, signal};

#[derive(Debug, Args)]
pub struct Shop {
    /// frontend, catalog, checkout, payment or stock; any other name works and calls on
    #[arg(long, value_name = "NAME")]
    service: String,
    /// host:port; port 0 takes a free one
    #[arg(long, value_name = "ADDR")]
    listen: SocketAddr,
    /// Called one after the other by each request, for example http://127.0.0.1:8081/products
    #[arg(long, value_delimiter = ',', value_name = "URL,…")]
    calls: Vec<String>,
    /// OTLP over HTTP; spans and log lines go to the first, metrics to all
    #[arg(long, value_delimiter = ',', value_name = "URL,…")]
    otlp: Vec<String>,
    /// What the telemetry says its cluster is
    #[arg(long, value_name = "NAME", default_value = "local")]
    cluster: String,
    /// Requests a second that the service sends to itself, as if from outside
    #[arg(long, value_name = "N", default_value_t = 0.0)]
    load: f64,
    /// The same seed draws the same latencies and failures
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Stretches every latency; 0 answers at once
    #[arg(long, default_value_t = 1.0)]
    pace: f64,
}

/// Answers until SIGINT or SIGTERM.
pub async fn run(s: Shop) -> Result<ShopReport> {
    let mut terminate = signal(SignalKind::terminate()).context("watching SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("watching SIGINT")?;
    let options = ShopOptions {
        calls: s.calls,
        otlp: s.otlp,
        cluster: s.cluster,
        load: s.load,
        seed: s.seed,
        pace: s.pace,
        ..ShopOptions::new(s.service, s.listen)
    };
    let (clock, stop) = (Clock::system(), Shutdown::new());
    let name = options.service.clone();
    let shop = bench::Shop::open(options, &clock, Arc::new(|line| eprintln!("{line}"))).await?;
    eprintln!("{name} answers at http://{}", shop.address());
    let stopping = stop.clone();
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        stopping.start();
    });
    Ok(shop.run(&stop).await)
}
