//! What a resource and a scope say about all of their points, and the `target_info` series that keeps the rest
//! of a resource.

use proto::otlp::{common::KeyValue, metrics::ScopeMetrics, resource::Resource};

use model::{MetricKind, MetricMetadata};

use super::{
    Converter, Promote, When,
    labels::{Names, value_text},
};

/// Resource attributes that `job` and `instance` are made of.
const IDENTITY: [&str; 3] = ["service.name", "service.namespace", "service.instance.id"];
const TARGET_INFO: &str = "target_info";
/// Samples of `target_info` that one resource of one request may make. A clock that is years off would ask for
/// millions; the newest are made.
const MAX_TARGET_SAMPLES: i64 = 600;

/// Labels that surround the points being read.
#[derive(Default)]
pub(super) struct Context {
    /// Resource attributes that give way to attributes of a point.
    pub(super) promoted: Vec<(String, String)>,
    /// `job` and `instance`.
    identity: Vec<(&'static str, String)>,
    scope: Vec<(String, String)>,
}

impl Context {
    /// Labels that no attribute of a point replaces.
    pub(super) fn fixed(&self) -> impl Iterator<Item = (&str, &str)> + Clone {
        let identity = self.identity.iter().map(|(n, v)| (*n, v.as_str()));
        identity.chain(self.scope.iter().map(|(n, v)| (n.as_str(), v.as_str())))
    }
}

impl<'r> Converter<'r, '_> {
    pub(super) fn enter_resource(&mut self, resource: Option<&'r Resource>) {
        self.times = None;
        self.context = Context::default();
        let Some(resource) = resource else { return };
        self.context.identity = identity(resource);
        let wanted = |key: &str| match &self.options.metrics.promote {
            Promote::Only(keys) => keys.iter().any(|k| k == key),
            Promote::AllBut(keys) => keys.iter().all(|k| k != key),
        };
        let mut promoted: Vec<(String, String)> = Vec::new();
        for kv in resource.attributes.iter().filter(|kv| wanted(&kv.key)) {
            set(&mut promoted, &self.names, &kv.key, kv);
        }
        self.context.promoted = promoted;
    }

    pub(super) fn enter_scope(&mut self, scoped: &'r ScopeMetrics) {
        self.context.scope.clear();
        let Some(scope) = scoped.scope.as_ref() else { return };
        if !self.options.metrics.promote_scope || scope.name.is_empty() {
            return;
        }
        let mut labels = Vec::new();
        for kv in &scope.attributes {
            set(&mut labels, &self.names, &format!("otel_scope_{}", kv.key), kv);
        }
        for (name, value) in [
            ("otel_scope_name", &scope.name),
            ("otel_scope_version", &scope.version),
            ("otel_scope_schema_url", &scoped.schema_url),
        ] {
            labels.retain(|(n, _)| n != name);
            labels.push((name.to_owned(), value.clone()));
        }
        // What is made of the resource stands first.
        labels.retain(|(n, _)| self.context.identity.iter().all(|(i, _)| i != n));
        self.context.scope = labels;
    }

    /// `target_info` for a resource that has more to say than its identity: from its oldest to its newest point,
    /// often enough to be found at any time between.
    pub(super) fn target_info(&mut self, resource: Option<&'r Resource>) {
        let (Some(resource), Some((oldest, newest))) = (resource, self.times) else { return };
        let more = resource.attributes.iter().any(|kv| !IDENTITY.contains(&kv.key.as_str()));
        if self.context.identity.is_empty() || !more {
            return;
        }
        self.context.scope.clear();
        self.context.promoted.clear();
        let ignored: &[&str] = if self.options.metrics.keep_identifying { &[] } else { &IDENTITY };
        let outcome = self.labels_without(&resource.attributes, ignored).and_then(|labels| {
            let series = self.series(TARGET_INFO, &labels, None)?;
            let every = (self.options.metrics.lookback_ms / 2).max(1_000);
            let steps = (newest.saturating_sub(oldest) / every).min(MAX_TARGET_SAMPLES);
            let begin = oldest.max(newest.saturating_sub(steps.saturating_mul(every)));
            let times = (0..=steps).map(|i| begin + i * every).filter(|t| *t < newest);
            for at_ms in times.chain([newest]) {
                let when = When { at_ms, start_ms: 0, stale: false, delta: false };
                self.batch.samples.push_started(series, when.at_ms, 1.0, 0);
            }
            Ok(())
        });
        match outcome {
            Ok(()) => self.describe_target_info(),
            Err((reason, why)) => self.refused.add(reason, self.seen, || format!("target_info: {why}")),
        }
    }

    fn describe_target_info(&mut self) {
        if self.batch.metadata.iter().any(|m| m.family == TARGET_INFO) {
            return;
        }
        self.batch.metadata.push(MetricMetadata {
            family: TARGET_INFO.to_owned(),
            kind: MetricKind::Gauge,
            unit: String::new(),
            help: "Target metadata".to_owned(),
        });
    }
}

/// `job` and `instance`.
fn identity(resource: &Resource) -> Vec<(&'static str, String)> {
    let get = |key: &str| {
        let found = resource.attributes.iter().find(|kv| kv.key == key);
        found.map(|kv| value_text(kv).into_owned()).filter(|v| !v.is_empty())
    };
    let mut out = Vec::new();
    match (get("service.name"), get("service.namespace")) {
        (Some(name), Some(namespace)) => out.push(("job", format!("{namespace}/{name}"))),
        (Some(name), None) => out.push(("job", name)),
        _ => {}
    }
    if let Some(instance) = get("service.instance.id") {
        out.push(("instance", instance));
    }
    out
}

/// Sets the label of an attribute; of keys that become one name the last one counts. A key of which nothing is
/// left, and an empty value, set nothing.
fn set(labels: &mut Vec<(String, String)>, names: &Names<'_>, key: &str, kv: &KeyValue) {
    let value = value_text(kv);
    let Some(name) = names.owned(key).filter(|_| !value.is_empty()) else { return };
    labels.retain(|(n, _)| *n != name);
    labels.push((name, value.into_owned()));
}
