//! A node without storage: the whole API over a fake store, at a standing clock.

use std::{sync::Arc, time::Duration};

use api::{ApiOptions, AppState, LogDeletion, NodeHooks, Parts, Reads, Running, TargetHealth, TargetStatus};
use async_trait::async_trait;
use axum::{Router, body::Body};
use base::{Clock, MemoryBudget, Metrics, Shutdown};
use contract::{Select, Tenants, fake::Fake};
use http::{HeaderMap, Request, StatusCode};
use http_body_util::BodyExt;
use model::{Labels, Matcher, TimeRange};
use parking_lot::Mutex;
use tower::ServiceExt;

/// 2023-11-14T22:13:20Z.
pub const NOW_MS: i64 = 1_700_000_000_000;

/// A node whose revision is this panics when asked for its fleet.
pub const PANIC: &str = "panic";

pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub trailers: HeaderMap,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or(serde_json::Value::Null)
    }
}

pub fn state_with(budget: MemoryBudget, change: impl FnOnce(&mut ApiOptions)) -> AppState {
    state_over(|fake| fake, budget, change)
}

/// A node that reads what it was sent through something of the test's.
pub fn state_over(
    through: impl FnOnce(Arc<dyn Select>) -> Arc<dyn Select>,
    budget: MemoryBudget,
    change: impl FnOnce(&mut ApiOptions),
) -> AppState {
    let store = Arc::new(Fake::new());
    let clock = Clock::manual(NOW_MS * 1_000_000);
    let metrics = Metrics::default();
    let mut options = ApiOptions::default();
    options.version.version = "0.1.0".to_owned();
    options.body_read_timeout = Duration::from_secs(5);
    change(&mut options);
    let patterns = ingest::Patterns::new(clock.clone(), "local", None);
    let append = ingest::Mining { append: store.clone(), patterns: patterns.clone() };
    let ingest = ingest::Ingest::new(
        Arc::new(append),
        budget.clone(),
        &metrics,
        clock.clone(),
        ingest::Options::default(),
    );
    let hooks = Hooks { panics: options.version.revision == PANIC, deleted: Mutex::default() };
    let reads = Reads {
        promql: Arc::new(promql::Engine::new(store.clone(), promql::EngineOptions::default())),
        logql: Arc::new(logql::Engine::new(store.clone(), logql::EngineOptions::default())),
        select: Arc::new(ingest::WithPatterns { select: through(store), patterns }),
        sql: None,
    };
    AppState::new(Parts {
        reads_apart: reads.clone(),
        reads,
        ingest: Arc::new(ingest),
        metrics,
        clock,
        budget,
        options,
        hooks: Arc::new(hooks),
        shutdown: Shutdown::new(),
        store_api: None,
        flight: None,
    })
}

pub fn state() -> AppState {
    state_with(MemoryBudget::unlimited(), |_| {})
}

pub fn router() -> Router {
    api::router(state())
}

pub async fn ask(router: &Router, request: Request<Body>) -> Answer {
    let response = router.clone().oneshot(request).await.expect("routers do not fail");
    let (head, body) = response.into_parts();
    let collected = body.collect().await.expect("the body is in memory");
    let trailers = collected.trailers().cloned().unwrap_or_default();
    Answer { status: head.status, headers: head.headers, trailers, body: collected.to_bytes().to_vec() }
}

pub async fn get(router: &Router, uri: &str) -> Answer {
    ask(router, Request::get(uri).body(Body::empty()).expect("a valid request")).await
}

struct Hooks {
    panics: bool,
    deleted: Mutex<Vec<LogDeletion>>,
}

#[async_trait]
impl NodeHooks for Hooks {
    fn is_ready(&self) -> Result<(), String> {
        Ok(())
    }

    async fn reload(&self) -> Result<(), String> {
        Err("line 3: unknown key \"x\"".to_owned())
    }

    fn fleet(&self) -> serde_json::Value {
        assert!(!self.panics, "no fleet today");
        serde_json::json!({"nodes": [{"name": "local"}]})
    }

    fn federation(&self) -> serde_json::Value {
        serde_json::json!({"cluster": "local", "peers": []})
    }

    fn targets(&self) -> Vec<TargetStatus> {
        vec![TargetStatus {
            scrape_pool: "self".to_owned(),
            scrape_url: "http://127.0.0.1:9494/metrics".to_owned(),
            labels: Labels::from_pairs([("job", "self")]),
            health: TargetHealth::Up,
            last_scrape_ns: Some((NOW_MS - 5000) * 1_000_000),
            last_duration: Duration::from_millis(12),
            interval: Duration::from_secs(15),
            timeout: Duration::from_secs(10),
            ..TargetStatus::default()
        }]
    }

    fn config_yaml(&self) -> String {
        "cluster: dev-01\n".to_owned()
    }

    async fn delete_series(&self, _: Tenants, s: Vec<Vec<Matcher>>, _: TimeRange) -> contract::Result<()> {
        match s.len() {
            1 => Ok(()),
            n => Err(contract::Error::unavailable(format!("{n} at once are too many for a test"))),
        }
    }

    async fn delete_logs(&self, _: Tenants, m: Vec<Matcher>, range: TimeRange) -> contract::Result<()> {
        let (first_ms, last_ms) = range.to_ms_inclusive();
        let id = format!("{}", self.deleted.lock().len() + 1);
        let made = LogDeletion { id, matchers: m, first_ms, last_ms, made_ms: NOW_MS };
        self.deleted.lock().push(made);
        Ok(())
    }

    fn log_deletions(&self, _: &Tenants) -> contract::Result<Vec<LogDeletion>> {
        Ok(self.deleted.lock().clone())
    }

    async fn clean_tombstones(&self) -> contract::Result<()> {
        Ok(())
    }

    async fn snapshot(&self, with_head: bool) -> contract::Result<String> {
        Ok(format!("with head: {with_head}"))
    }

    fn running(&self) -> Running {
        Running {
            reloaded: false,
            configured_ns: (NOW_MS - 60_000) * 1_000_000,
            storage_retention: "30d".to_owned(),
            flags: [("query.timeout".to_owned(), "2m".to_owned())].into(),
        }
    }
}
