//! Whose telemetry this node holds. Peers are asked by cluster: a node that holds its own cluster's alone is not asked
//! about others, and what is added up there need not be fetched. So it must be known exactly when it holds more.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering::Relaxed},
};

use async_trait::async_trait;
use contract::{Append, AppendUnit, LabelValuesRequest, NamedField, Receipt, Scope, Select, Tenants};
use model::{Batch, ClusterName, Labels, Signal, TenantId, TimeRange};

/// The label that names a cluster; on everything of a node that has one.
pub const CLUSTER: &str = "cluster";

/// Knows whether everything here is of one cluster. Once something of another is there, that stays so until the node
/// starts again: finding out when the last of it is gone would cost more than it brings.
pub struct Origin {
    cluster: Option<ClusterName>,
    external: Labels,
    others: AtomicBool,
}

impl Origin {
    pub fn new(
        cluster: Option<ClusterName>,
        external: &std::collections::BTreeMap<String, String>,
    ) -> Arc<Self> {
        let mut labels: Vec<(String, String)> =
            external.iter().filter(|(n, _)| *n != CLUSTER).map(|(n, v)| (n.clone(), v.clone())).collect();
        labels.extend(cluster.as_ref().map(|c| (CLUSTER.to_owned(), c.as_str().to_owned())));
        let others = AtomicBool::new(cluster.is_none());
        Arc::new(Origin { cluster, external: Labels::from_pairs(labels), others })
    }

    /// What whoever asks from outside sees on all telemetry that does not have it itself.
    pub fn external(&self) -> &Labels {
        &self.external
    }

    /// Labels that everything here has, with exactly these values.
    pub fn fixed(&self) -> Labels {
        match &self.cluster {
            Some(c) if !self.others.load(Relaxed) => Labels::from_pairs([(CLUSTER, c.as_str())]),
            _ => Labels::default(),
        }
    }

    /// Looks through what is there already.
    pub async fn learn(&self, select: &dyn Select, tenants: Vec<TenantId>) -> contract::Result<()> {
        let Some(tenants) = Tenants::several(tenants) else { return Ok(()) };
        for signal in [Signal::METRICS, Signal::LOGS] {
            let request = LabelValuesRequest {
                scope: Scope::new(tenants.clone(), TimeRange::ALL),
                signal,
                field: NamedField::Label(CLUSTER.to_owned()),
                selectors: Vec::new(),
                limit: Some(2),
            };
            let (values, _) = select.label_values(request).await?;
            if values.iter().any(|v| !self.is_ours(v)) {
                self.others.store(true, Relaxed);
            }
        }
        Ok(())
    }

    fn is_ours(&self, value: &str) -> bool {
        value.is_empty() || self.cluster.as_ref().is_some_and(|c| c.as_str() == value)
    }

    fn see(&self, batch: &Batch) {
        if self.others.load(Relaxed) {
            return;
        }
        let foreign = match batch {
            Batch::Metrics(m) => m.series.iter().any(|l| !self.is_ours(l.value(CLUSTER))),
            Batch::Logs(l) => l.streams.iter().any(|s| !self.is_ours(s.labels.value(CLUSTER))),
            _ => false,
        };
        if foreign {
            self.others.store(true, Relaxed);
        }
    }
}

/// Notes what passes before it is stored, so that nobody can be told otherwise afterwards.
pub struct Noted {
    pub append: Arc<dyn Append>,
    pub origin: Arc<Origin>,
}

#[async_trait]
impl Append for Noted {
    async fn append(&self, tenant: &TenantId, unit: AppendUnit) -> contract::Result<Receipt> {
        unit.batches.iter().for_each(|b| self.origin.see(b));
        self.append.append(tenant, unit).await
    }
}

/// What a node without a store does with what it is sent.
pub struct KeepsNothing;

#[async_trait]
impl Append for KeepsNothing {
    async fn append(&self, _: &TenantId, _: AppendUnit) -> contract::Result<Receipt> {
        Err(contract::Error::invalid(
            "this node keeps nothing (roles: [query]); send to a node of the cluster",
        ))
    }
}

#[cfg(test)]
mod tests {
    use contract::fake::Fake;
    use model::MetricBatch;

    use super::*;

    fn unit(cluster: &str) -> AppendUnit {
        let mut m = MetricBatch::default();
        let s = m.push_series(Labels::from_pairs([("__name__", "up"), (CLUSTER, cluster)]));
        m.samples.push(s, 1, 1.0);
        AppendUnit { batch_id: None, received_ns: 0, batches: vec![Batch::Metrics(m)] }
    }

    #[tokio::test]
    async fn the_cluster_is_fixed_until_something_of_another_one_comes() {
        let (fake, tenant) = (Arc::new(Fake::new()), TenantId::default());
        let external = [("replica".to_owned(), "a".to_owned())].into();
        let origin = Origin::new(Some(ClusterName::new("dev-01").unwrap()), &external);
        assert_eq!(origin.external().to_string(), r#"{cluster="dev-01", replica="a"}"#);
        let noted = Noted { append: fake.clone(), origin: origin.clone() };
        noted.append(&tenant, unit("dev-01")).await.unwrap();
        assert_eq!(origin.fixed().value(CLUSTER), "dev-01");
        noted.append(&tenant, unit("prod-01")).await.unwrap();
        assert!(origin.fixed().is_empty());

        // And after a start.
        let origin = Origin::new(Some(ClusterName::new("dev-01").unwrap()), &external);
        origin.learn(&*fake, vec![tenant]).await.unwrap();
        assert!(origin.fixed().is_empty());
    }

    #[test]
    fn without_a_name_of_its_own_a_node_fixes_nothing() {
        assert!(Origin::new(None, &Default::default()).fixed().is_empty());
    }
}
