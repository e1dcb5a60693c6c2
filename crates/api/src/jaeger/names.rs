//! Services and operations.

use axum::extract::Path;
use contract::{Coverage, LabelValuesRequest, NamedField, QueryLimits, Scope, Select, Tenants};
use model::{Signal, SpanKind, TimeRange};
use serde_json::json;

use super::{Answered, Ask, JaegerError, to_json};
use crate::{Error, params::bad};

/// Names one answer lists at most.
const MAX_NAMES: usize = 100_000;

pub async fn services(ask: Ask) -> Result<Answered, JaegerError> {
    list(&ask, NamedField::Service).await
}

/// Operation names of a service, of any kind.
pub async fn operations_of(Path(params): Path<ServicePath>, ask: Ask) -> Result<Answered, JaegerError> {
    list(&ask, NamedField::Operation { service: Some(params.service), kind: None }).await
}

/// Path parameters are read by name, since the routes are mounted twice.
#[derive(serde::Deserialize)]
pub struct ServicePath {
    service: String,
}

async fn list(ask: &Ask, field: NamedField) -> Result<Answered, JaegerError> {
    let (select, tenants) = (ask.reads.select.clone(), ask.tenants.clone());
    let run = |limits: QueryLimits| async move {
        let (found, coverage) = values(&*select, tenants, limits, field).await?;
        Ok(Answered {
            data: to_json(&found)?,
            total: found.len(),
            errors: Vec::new(),
            coverage,
            memory: None,
        })
    };
    Ok(ask.run(run).await?)
}

async fn values(
    select: &dyn Select,
    tenants: Tenants,
    limits: QueryLimits,
    field: NamedField,
) -> Result<(Vec<String>, Coverage), Error> {
    let request = LabelValuesRequest {
        scope: Scope { tenants, range: TimeRange::ALL, limits },
        signal: Signal::TRACES,
        field,
        selectors: Vec::new(),
        limit: Some(MAX_NAMES),
    };
    Ok(select.label_values(request).await?)
}

/// `?service=&spanKind=`: names with their kinds.
pub async fn operations(ask: Ask) -> Result<Answered, JaegerError> {
    let service = ask.params.require("service")?.to_owned();
    let kinds = match ask.params.get("spanKind") {
        Some(text) => vec![kind(text).ok_or_else(|| bad("spanKind", text, "it is not a span kind"))?],
        None => ALL_KINDS.to_vec(),
    };
    let (select, tenants) = (ask.reads.select.clone(), ask.tenants.clone());
    let run = |limits: QueryLimits| async move {
        let (mut found, mut coverage) = (Vec::new(), Coverage::default());
        for kind in kinds {
            let field = NamedField::Operation { service: Some(service.clone()), kind: Some(kind) };
            let (names, covered) = values(&*select, tenants.clone(), limits.clone(), field).await?;
            coverage.merge(covered);
            found.extend(names.into_iter().map(|n| (n, kind)));
        }
        found.sort_by(|a, b| (&a.0, a.1.number()).cmp(&(&b.0, b.1.number())));
        let shown: Vec<_> =
            found.iter().map(|(n, k)| json!({"name": n, "spanKind": kind_text(*k)})).collect();
        Ok(Answered {
            data: to_json(&shown)?,
            total: shown.len(),
            errors: Vec::new(),
            coverage,
            memory: None,
        })
    };
    Ok(ask.run(run).await?)
}

const ALL_KINDS: [SpanKind; 6] = [
    SpanKind::Unspecified,
    SpanKind::Internal,
    SpanKind::Server,
    SpanKind::Client,
    SpanKind::Producer,
    SpanKind::Consumer,
];

/// A kind by the name its tag has.
pub(super) fn kind(text: &str) -> Option<SpanKind> {
    let text = text.to_ascii_lowercase();
    ALL_KINDS.into_iter().find(|k| k.as_str() == text)
}

/// Jaeger leaves the kind of spans that have none empty.
fn kind_text(kind: SpanKind) -> &'static str {
    match kind {
        SpanKind::Unspecified => "",
        k => k.as_str(),
    }
}
