//! What the node says about itself in Prometheus' words: targets, build, runtime, configuration, flags.
//! Rules and alerts are empty lists until the node evaluates rules; Grafana asks for them regardless.

use axum::extract::State;
use serde_json::{Map, Value, json};

use super::{Answered, Ask, PromError};
use crate::{
    AppState, DroppedTarget, TargetStatus,
    params::{bad, format_duration, format_rfc3339},
};

/// The release whose HTTP API this one follows. Grafana reads `version` to decide what it may ask, so it
/// cannot be our own; that stands in `buildUser`. Clients that check the shape know no further fields.
const API_VERSION: &str = "3.5.0";

pub async fn build_info(State(state): State<AppState>) -> Result<Answered, PromError> {
    let v = &state.options.version;
    Ok(Answered::of(&json!({
        "version": API_VERSION,
        "revision": v.revision,
        "branch": v.branch,
        "buildUser": format!("orrery {}", v.version),
        "buildDate": v.build_date,
        "goVersion": v.rustc,
    }))?)
}

/// What Go reads as a truth value.
const TRUTHS: [&str; 12] = ["1", "t", "T", "TRUE", "true", "True", "0", "f", "F", "FALSE", "false", "False"];

/// Keys are Prometheus'; those of the Go runtime hold the nearest thing this process has.
pub async fn runtime_info(State(state): State<AppState>) -> Result<Answered, PromError> {
    let cwd = std::env::current_dir().map(|p| p.display().to_string()).unwrap_or_default();
    let hostname = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let running = state.hooks.running();
    Ok(Answered::of(&json!({
        "startTime": format_rfc3339(state.started_ns()),
        "CWD": cwd,
        "hostname": hostname.trim(),
        "serverTime": format_rfc3339(state.clock.now_ns()),
        "reloadConfigSuccess": running.reloaded,
        "lastConfigTime": format_rfc3339(running.configured_ns),
        "corruptionCount": 0,
        "goroutineCount": tokio::runtime::Handle::current().metrics().num_alive_tasks(),
        "GOMAXPROCS": std::thread::available_parallelism().map_or(1, usize::from),
        "GOMEMLIMIT": state.budget.limit_bytes(),
        "GOGC": "",
        "GODEBUG": "",
        "storageRetention": running.storage_retention,
    }))?)
}

pub async fn config(State(state): State<AppState>) -> Result<Answered, PromError> {
    Ok(Answered::of(&json!({"yaml": state.hooks.config_yaml()}))?)
}

pub async fn flags(State(state): State<AppState>) -> Result<Answered, PromError> {
    Ok(Answered::of(&state.hooks.running().flags)?)
}

pub async fn rules(ask: Ask) -> Result<Answered, PromError> {
    let p = &ask.params;
    if let Some(kind) = p.get("type")
        && !["alert", "record"].contains(&kind.to_ascii_lowercase().as_str())
    {
        return Err(bad("type", kind, "it must be alert or record").into());
    }
    if let Some(flag) = p.get("exclude_alerts")
        && !TRUTHS.contains(&flag)
    {
        return Err(bad("exclude_alerts", flag, "it must be true or false").into());
    }
    let limit = p.limit("group_limit")?;
    if let Some(token) = p.get("group_next_token") {
        let reason = match limit {
            None => "group_limit must be given to go on from a token",
            Some(_) => "no group has it; begin anew without a token",
        };
        return Err(bad("group_next_token", token, reason).into());
    }
    super::selectors(&ask, "match[]")?;
    Ok(Answered::of(&json!({"groups": []}))?)
}

pub async fn alerts() -> Result<Answered, PromError> {
    Ok(Answered::of(&json!({"alerts": []}))?)
}

/// Without rules there is nobody to send alerts to.
pub async fn alertmanagers() -> Result<Answered, PromError> {
    Ok(Answered::of(&json!({"activeAlertmanagers": [], "droppedAlertmanagers": []}))?)
}

/// What the operator should know and has no other place: nothing so far.
pub async fn notifications() -> Result<Answered, PromError> {
    Ok(Answered::of(&json!([]))?)
}

pub async fn targets(ask: Ask) -> Result<Answered, PromError> {
    // Any other state is one that no target has, as in Prometheus.
    let wanted = ask.params.get("state").unwrap_or("any").to_ascii_lowercase();
    let shows = |state: &str| wanted == "any" || wanted == state;
    let pool = ask.params.get("scrapePool");
    let in_pool = |name: &str| pool.is_none_or(|p| p == name);
    let hooks = &ask.state.hooks;
    let mut active: Vec<Value> = Vec::new();
    if shows("active") {
        let targets = hooks.targets();
        active.extend(targets.iter().filter(|t| in_pool(&t.scrape_pool)).map(target));
    }
    let (mut dropped, mut counts): (Vec<Value>, Map<String, Value>) = Default::default();
    if shows("dropped") {
        let targets = hooks.dropped_targets();
        let shown = |t: &DroppedTarget| json!({"discoveredLabels": label_map(&t.discovered_labels), "scrapePool": t.scrape_pool});
        dropped.extend(targets.iter().filter(|t| in_pool(&t.scrape_pool)).map(shown));
        let by_pool = hooks.dropped_target_counts();
        counts.extend(by_pool.into_iter().filter(|(p, _)| in_pool(p)).map(|(p, n)| (p, Value::from(n))));
    }
    Ok(Answered::of(
        &json!({"activeTargets": active, "droppedTargets": dropped, "droppedTargetCounts": counts}),
    )?)
}

fn target(t: &TargetStatus) -> Value {
    // The time Go prints for "never".
    let last = t.last_scrape_ns.map_or_else(|| "0001-01-01T00:00:00Z".to_owned(), format_rfc3339);
    json!({
        "discoveredLabels": label_map(&t.discovered_labels),
        "labels": label_map(&t.labels),
        "scrapePool": t.scrape_pool,
        "scrapeUrl": t.scrape_url,
        "globalUrl": if t.global_url.is_empty() { &t.scrape_url } else { &t.global_url },
        "lastError": t.last_error,
        "lastScrape": last,
        "lastScrapeDuration": t.last_duration.as_secs_f64(),
        "health": t.health.as_str(),
        "scrapeInterval": format_duration(t.interval),
        "scrapeTimeout": format_duration(t.timeout),
    })
}

fn label_map(labels: &model::Labels) -> Map<String, Value> {
    labels.iter().map(|(n, v)| (n.to_owned(), Value::from(v))).collect()
}
