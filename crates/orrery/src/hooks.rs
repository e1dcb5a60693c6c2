//! What the API asks the node itself.

use std::sync::Arc;

use api::{DroppedTarget, LogDeletion, NodeHooks, Running, TargetStatus};
use async_trait::async_trait;
use contract::Tenants;
use model::{Matcher, TimeRange};

use crate::node::Shared;

pub struct Hooks(pub Arc<Shared>);

#[async_trait]
impl NodeHooks for Hooks {
    fn is_healthy(&self) -> Result<(), String> {
        self.0.store.as_ref().and_then(|s| s.broken()).map_or(Ok(()), Err)
    }

    fn is_ready(&self) -> Result<(), String> {
        match self.0.is_stopping() {
            true => Err("the node is stopping".to_owned()),
            false => Ok(()),
        }
    }

    async fn reload(&self) -> Result<(), String> {
        // A task of its own: a client that leaves must not leave the reload half done.
        let shared = self.0.clone();
        let reloaded = tokio::spawn(async move { shared.reload().await }).await;
        reloaded.map_err(|e| e.to_string())?.map_err(|e| format!("{e:#}"))
    }

    fn fleet(&self) -> serde_json::Value {
        self.0.fleet()
    }

    fn federation(&self) -> serde_json::Value {
        self.0.federation()
    }

    async fn ledger(&self) -> serde_json::Value {
        self.0.show_ledger().await
    }

    fn received(&self, sources: &[u64]) -> serde_json::Value {
        self.0.show_received(sources)
    }

    async fn pipelines(&self) -> serde_json::Value {
        self.0.show_pipelines().await
    }

    fn targets(&self) -> Vec<TargetStatus> {
        self.0.collect.targets()
    }

    fn dropped_targets(&self) -> Vec<DroppedTarget> {
        self.0.collect.dropped_targets()
    }

    fn dropped_target_counts(&self) -> Vec<(String, usize)> {
        self.0.collect.dropped_target_counts()
    }

    async fn delete_series(
        &self,
        tenants: Tenants,
        selectors: Vec<Vec<Matcher>>,
        range: TimeRange,
    ) -> contract::Result<()> {
        let tenants: Vec<_> = tenants.iter().cloned().collect();
        Ok(self.0.store()?.delete_series(&tenants, &selectors, range).await?)
    }

    async fn delete_logs(
        &self,
        tenants: Tenants,
        matchers: Vec<Matcher>,
        range: TimeRange,
    ) -> contract::Result<()> {
        let all: Vec<_> = tenants.iter().cloned().collect();
        if let Some(patterns) = &self.0.patterns {
            patterns.forget(&all, &matchers);
        }
        Ok(self.0.store()?.delete_logs(&all, &[matchers], range).await?)
    }

    fn log_deletions(&self, tenants: &Tenants) -> contract::Result<Vec<LogDeletion>> {
        let store = self.0.store()?;
        let mut found = Vec::new();
        for tenant in tenants.iter() {
            found.extend(store.log_deletions(tenant)?.into_iter().map(|d| LogDeletion {
                id: format!("{:x}", d.sequence),
                matchers: d.matchers,
                first_ms: d.first_ms,
                last_ms: d.last_ms,
                made_ms: d.made_ms,
            }));
        }
        Ok(found)
    }

    async fn clean_tombstones(&self) -> contract::Result<()> {
        Ok(self.0.store()?.clean_deleted().await?)
    }

    async fn snapshot(&self, with_head: bool) -> contract::Result<String> {
        self.0.snapshot(with_head).await
    }

    fn running(&self) -> Running {
        self.0.running()
    }

    fn logs_retention(&self) -> Option<std::time::Duration> {
        self.0.config.load().retention.logs
    }

    fn config_yaml(&self) -> String {
        config::masked(&self.0.config.load().text)
    }
}
