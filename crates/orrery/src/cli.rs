//! The command line, and what its parts have in common.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, Result, anyhow};
use base::{Clock, Shutdown};
use clap::{Args, Parser, Subcommand};
use serde::Serialize;

#[derive(Debug, Parser)]
#[command(
    name = "orrery",
    version,
    about = "Metrics, logs and traces of many Kubernetes clusters, in one binary"
)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Start a node
    Run(Run),
    /// Say what is wrong with a file
    Check {
        #[command(subcommand)]
        what: Check,
    },
    /// Make, explain and deny certificates
    Certs {
        #[command(subcommand)]
        what: crate::certs::Certs,
    },
    /// Bring in samples of another program
    Import(crate::import::Import),
    /// Back up a store, while its node runs or stands still
    Backup(crate::backup::Backup),
    /// Bring a backup back into an empty data directory
    Restore(crate::backup::Restore),
    /// Ask two Prometheus-compatible addresses the same and list every difference
    Compare(crate::compare::Compare),
    /// Ask a node
    Query {
        #[command(subcommand)]
        what: crate::query::Query,
    },
    /// Put load on any address and measure it
    Bench(crate::bench::Bench),
    /// Run three clusters and a traced shop on this machine, and say what to look at
    Demo(crate::demo::Demo),
}

/// Where to and how.
#[derive(Debug, Args)]
pub struct Target {
    /// http://host:port, of Orrery or of any receiver of the protocol
    #[arg(long, default_value = "http://127.0.0.1:9494")]
    pub to: String,
    /// Sent as X-Scope-OrgID
    #[arg(long)]
    pub tenant: Option<String>,
    /// A further header, NAME=VALUE; may be repeated
    #[arg(long = "header", value_name = "NAME=VALUE")]
    pub headers: Vec<String>,
    /// Print the report as JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct Run {
    /// Configuration file; without one the node runs on its defaults
    #[arg(long, short, value_name = "FILE")]
    pub config: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub enum Check {
    /// Check configuration files, of this and of other programs, naming line and key of every problem
    Config(CheckConfig),
    /// Try the rules of forwarding on the series that a node has: what each keeps and drops. Nothing is sent
    Forward(crate::check::forward::CheckForward),
}

#[derive(Debug, Args)]
pub struct CheckConfig {
    /// Orrery, Prometheus and its rules, Alertmanager, OpenTelemetry Collector, Jaeger, vmauth, Grafana data sources,
    /// Kubernetes manifests, Markdown; which it is, its content tells
    #[arg(value_name = "FILE", required = true)]
    pub files: Vec<PathBuf>,
    /// Print the report as JSON
    #[arg(long)]
    pub json: bool,
    /// End with 3 where there are warnings
    #[arg(long)]
    pub lint_fatal: bool,
}

pub fn duration(text: &str) -> Result<Duration, String> {
    config::duration(text)
}

/// RFC 3339, or seconds since 1970; answers milliseconds.
pub fn time(text: &str) -> Result<i64, String> {
    if let Ok(seconds) = text.parse::<f64>()
        && seconds.is_finite()
    {
        return Ok((seconds * 1000.0).round() as i64);
    }
    chrono::DateTime::parse_from_rfc3339(text)
        .map(|t| t.timestamp_millis())
        .map_err(|_| format!("{text:?} is neither RFC 3339 (2026-01-31T12:00:00Z) nor seconds since 1970"))
}

/// NAME=VALUE, as given.
pub fn pairs(given: &[String]) -> Result<Vec<(String, String)>> {
    given
        .iter()
        .map(|h| {
            let (name, value) = h.split_once('=').ok_or_else(|| anyhow!("{h:?} is not NAME=VALUE"))?;
            Ok((name.to_owned(), value.to_owned()))
        })
        .collect()
}

/// NAME=VALUE with the name as headers have it.
pub fn headers(given: &[String]) -> Result<Vec<(String, String)>> {
    let all = pairs(given).map_err(|e| e.context("reading --header"))?;
    Ok(all.into_iter().map(|(n, v)| (n.to_ascii_lowercase(), v)).collect())
}

/// Ends work that can end early when Ctrl-C is pressed; a second one kills as usual.
pub fn stop_on_interrupt(stop: &Shutdown) {
    let stop = stop.clone();
    tokio::spawn(async move {
        if tokio::signal::ctrl_c().await.is_ok() {
            stop.start();
        }
    });
}

/// Says what begins, with the seconds since now before it.
pub fn telling(clock: &Clock) -> impl FnMut(String) + use<> {
    let (clock, began) = (clock.clone(), clock.monotonic());
    move |what| eprintln!("{:>6.0}s  {what}", clock.monotonic().duration_since(began).as_secs_f64())
}

/// A path that means the same in another directory.
pub fn absolute(path: &Path) -> Result<PathBuf> {
    std::path::absolute(path).with_context(|| format!("finding {}", path.display()))
}

/// Writes a report as JSON, where a file is named for it.
pub fn save<R: Serialize>(file: Option<&Path>, report: &R) -> Result<()> {
    let Some(file) = file else { return Ok(()) };
    std::fs::write(file, serde_json::to_vec_pretty(report)?)
        .with_context(|| format!("writing {}", file.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_a_date_or_seconds() {
        assert_eq!(time("1.5"), Ok(1500));
        assert_eq!(time("2024-02-29T12:00:00Z"), Ok(1_709_208_000_000));
        assert!(time("yesterday").unwrap_err().contains("RFC 3339"));
    }
}
