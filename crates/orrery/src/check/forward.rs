//! `orrery check forward FILE`: tries the rules of a file on what a node has now.

use std::{path::PathBuf, process::ExitCode, time::Duration};

use anyhow::{Context, Result, bail};
use clap::Args;
use config::{forward::Destination, lint};
use model::Labels;
use net::{Client, Request};
use serde_json::Value;

use crate::{
    cli,
    trial::{self, Series, Trial},
};

/// Answers larger than this are of more series than one wants to look at.
const MAX_ANSWER_BYTES: usize = 1 << 30;
/// How long the node may take.
const TIMEOUT: Duration = Duration::from_secs(120);
/// The lint that compares the expressions of `keep` rules.
const KEEP_RULES: &str = "keep-rules-exclude";

#[derive(Debug, Args)]
#[command(
    after_help = "Ends with 0, with 1 where it cannot be tried, and with 3 where a warning was given. Rules over resource attributes of logs and spans are not tried."
)]
pub struct CheckForward {
    /// A configuration with `forward`, or a prometheus.yml with `remote_write`
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Whose series the rules are tried on: a node, or anything with Prometheus' API
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:9494")]
    to: String,
    /// Series that are looked at
    #[arg(long = "match", value_name = "SELECTOR", default_value = r#"{__name__!=""}"#)]
    selector: String,
    /// How far back samples are counted
    #[arg(long, value_parser = cli::duration, default_value = "5m")]
    range: Duration,
    /// Of this destination only
    #[arg(long, value_name = "NAME")]
    destination: Option<String>,
    /// Print the report as JSON
    #[arg(long)]
    json: bool,
    /// Sent as X-Scope-OrgID
    #[arg(long)]
    tenant: Option<String>,
    /// Sent as a bearer token; taken from ORRERY_TOKEN where it is not given
    #[arg(long, env = "ORRERY_TOKEN", hide_env_values = true)]
    token: Option<String>,
}

pub fn run(args: &CheckForward) -> ExitCode {
    let tried = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("starting")
        .and_then(|runtime| runtime.block_on(attempt(args)));
    match tried {
        Ok(false) => ExitCode::SUCCESS,
        Ok(true) => ExitCode::from(3),
        Err(e) => {
            eprintln!("error: {e:#}");
            ExitCode::FAILURE
        }
    }
}

/// Whether there was a warning.
async fn attempt(args: &CheckForward) -> Result<bool> {
    let mut destinations = config::forward::destinations_of(&args.file)?;
    if let Some(name) = &args.destination {
        destinations.retain(|d| d.name == *name);
    }
    if destinations.is_empty() {
        bail!("{} names no such destination: neither forward nor remote_write has one", args.file.display());
    }
    let series = series(args).await?;
    let mut trials: Vec<Trial> =
        destinations.iter().filter(|d| carries_metrics(d)).map(|d| trial::run(d, &series)).collect();
    // What the expressions themselves prove, whatever series there are at the moment.
    let proved: Vec<String> = lint::check(std::slice::from_ref(&args.file))
        .into_iter()
        .flat_map(|c| c.findings)
        .filter(|f| f.rule == KEEP_RULES)
        .map(|f| f.to_string())
        .collect();
    let warned = !proved.is_empty() || trials.iter().any(|t| !t.warnings.is_empty());
    if args.json {
        let report = serde_json::json!({"destinations": trials, "warnings": proved});
        println!("{}", serde_json::to_string_pretty(&report)?);
        return Ok(warned);
    }
    trials.iter_mut().for_each(|t| tell(t, args.range));
    proved.iter().for_each(|w| println!("{w}"));
    for d in destinations.iter().filter(|d| !carries_metrics(d)) {
        println!("{}: sends no metrics; its rules are not tried", d.name);
    }
    Ok(warned)
}

fn carries_metrics(d: &Destination) -> bool {
    let signals = &d.selection.signals;
    let opened = d.open(base::Clock::system());
    let asked = signals.is_empty() || signals.contains(&model::Signal::METRICS);
    asked && opened.is_ok_and(|o| o.takes(&model::Signal::METRICS))
}

/// All series with how many samples they have, by one query of a range of samples.
async fn series(args: &CheckForward) -> Result<Vec<Series>> {
    let query = format!("{}[{}ms]", args.selector, args.range.as_millis().max(1));
    let query: String = url::form_urlencoded::byte_serialize(query.as_bytes()).collect();
    let url = format!("{}/api/v1/query?query={query}", args.to.trim_end_matches('/'));
    let mut request = Request { timeout: TIMEOUT, max_answer_bytes: MAX_ANSWER_BYTES, ..Request::get(url) };
    if let Some(tenant) = &args.tenant {
        request = request.header("x-scope-orgid", tenant);
    }
    if let Some(token) = &args.token {
        request = request.header("authorization", format!("Bearer {token}"));
    }
    let answer = Client::new()?.send(request).await.with_context(|| format!("asking {}", args.to))?;
    let v: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    if !answer.status.is_success() || v["status"] != "success" {
        let why = v["error"].as_str().map_or_else(|| answer.excerpt(), str::to_owned);
        bail!("{} answers {}: {why}", args.to, answer.status);
    }
    for warning in v["warnings"].as_array().into_iter().flatten() {
        eprintln!("warning: {}", warning.as_str().unwrap_or_default());
    }
    let one = |s: &Value| {
        let pairs =
            s["metric"].as_object()?.iter().filter_map(|(n, v)| Some((n.clone(), v.as_str()?.to_owned())));
        let samples =
            ["values", "histograms"].iter().filter_map(|k| s[*k].as_array()).map(Vec::len).sum::<usize>();
        Some(Series { labels: Labels::from_pairs(pairs), samples: samples as u64 })
    };
    Ok(v["data"]["result"].as_array().into_iter().flatten().filter_map(one).collect())
}

fn tell(t: &mut Trial, range: Duration) {
    let rate = |bytes: u64| bytes as f64 / range.as_secs_f64().max(0.001) / 1000.0;
    let share = |n: u64, of: u64| if of == 0 { 0.0 } else { 100.0 * n as f64 / of as f64 };
    println!(
        "{}: {} of {} series are sent ({:.1} %), {:.2} of {:.2} kB/s before packing ({:.1} %)",
        t.destination,
        t.kept,
        t.series,
        share(t.kept, t.series),
        rate(t.kept_bytes),
        rate(t.bytes),
        share(t.kept_bytes, t.bytes)
    );
    for r in &t.rules {
        println!("  rule {} {}", r.rule, r.text);
        println!(
            "    drops {} of {} series, {:.2} kB/s; by itself it lets {} of {} through",
            r.dropped,
            r.series,
            rate(r.dropped_bytes),
            r.alone,
            t.series
        );
        r.kept_examples.iter().for_each(|e| println!("    keeps {e}"));
        r.dropped_examples.iter().for_each(|e| println!("    drops {e}"));
    }
    t.warnings.iter().for_each(|w| println!("  warning: {w}"));
}
