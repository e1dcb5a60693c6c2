//! What the node says about itself in Prometheus' words: targets, build, runtime, configuration, flags.
//! Rules and alerts are empty lists until the node evaluates rules; Grafana asks for them regardless.

use axum::extract::State;
use serde_json::{Map, Value, json};

use super::{Answered, Ask, PromError};
use crate::{
    AppState, TargetStatus,
    params::{bad, format_rfc3339},
};

/// The release whose HTTP API this one follows. Grafana reads `version` to decide what it may ask, so it
/// cannot be our own; that stands in `orreryVersion`.
const API_VERSION: &str = "3.5.0";

pub async fn build_info(State(state): State<AppState>) -> Result<Answered, PromError> {
    let v = &state.options.version;
    Ok(Answered::of(&json!({
        "application": "Orrery",
        "version": API_VERSION,
        "orreryVersion": v.version,
        "revision": v.revision,
        "branch": v.branch,
        "buildUser": "",
        "buildDate": v.build_date,
        "goVersion": "",
        "rustVersion": v.rustc,
    }))?)
}

/// Keys are Prometheus'; those of the Go runtime hold the nearest thing this process has.
pub async fn runtime_info(State(state): State<AppState>) -> Result<Answered, PromError> {
    let cwd = std::env::current_dir().map(|p| p.display().to_string()).unwrap_or_default();
    let hostname = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let started = format_rfc3339(state.started_ns());
    Ok(Answered::of(&json!({
        "startTime": started,
        "CWD": cwd,
        "hostname": hostname.trim(),
        "serverTime": format_rfc3339(state.clock.now_ns()),
        "reloadConfigSuccess": true,
        "lastConfigTime": started,
        "corruptionCount": 0,
        "goroutineCount": tokio::runtime::Handle::current().metrics().num_alive_tasks(),
        "GOMAXPROCS": std::thread::available_parallelism().map_or(1, usize::from),
        "GOMEMLIMIT": state.budget.limit_bytes(),
        "GOGC": "",
        "GODEBUG": "",
        "storageRetention": state.options.storage_retention,
    }))?)
}

pub async fn config(State(state): State<AppState>) -> Result<Answered, PromError> {
    Ok(Answered::of(&json!({"yaml": state.hooks.config_yaml()}))?)
}

pub async fn flags(State(state): State<AppState>) -> Result<Answered, PromError> {
    Ok(Answered::of(&state.options.flags)?)
}

pub async fn rules() -> Result<Answered, PromError> {
    Ok(Answered::of(&json!({"groups": []}))?)
}

pub async fn alerts() -> Result<Answered, PromError> {
    Ok(Answered::of(&json!({"alerts": []}))?)
}

pub async fn targets(ask: Ask) -> Result<Answered, PromError> {
    let wanted = ask.params.get("state").unwrap_or("any").to_ascii_lowercase();
    if !["any", "active", "dropped"].contains(&wanted.as_str()) {
        return Err(bad("state", &wanted, "it must be any, active or dropped").into());
    }
    let pool = ask.params.get("scrapePool");
    let active: Vec<Value> = match wanted.as_str() {
        "dropped" => Vec::new(),
        _ => {
            let targets = ask.state.hooks.targets();
            targets.iter().filter(|t| pool.is_none_or(|p| p == t.scrape_pool)).map(target).collect()
        }
    };
    Ok(Answered::of(&json!({"activeTargets": active, "droppedTargets": [], "droppedTargetCounts": {}}))?)
}

fn target(t: &TargetStatus) -> Value {
    // The time Go prints for "never".
    let last = t.last_scrape_ns.map_or_else(|| "0001-01-01T00:00:00Z".to_owned(), format_rfc3339);
    json!({
        "discoveredLabels": label_map(&t.discovered_labels),
        "labels": label_map(&t.labels),
        "scrapePool": t.scrape_pool,
        "scrapeUrl": t.scrape_url,
        "globalUrl": t.scrape_url,
        "lastError": t.last_error,
        "lastScrape": last,
        "lastScrapeDuration": t.last_duration.as_secs_f64(),
        "health": t.health.as_str(),
        "scrapeInterval": format!("{}ms", t.interval.as_millis()),
        "scrapeTimeout": format!("{}ms", t.timeout.as_millis()),
    })
}

fn label_map(labels: &model::Labels) -> Map<String, Value> {
    labels.iter().map(|(n, v)| (n.to_owned(), Value::from(v))).collect()
}
