//! Services and operations.

use axum::extract::Path;
use contract::{LabelValuesRequest, NamedField, QueryLimits};
use model::{Signal, SpanKind, TimeRange};
use serde_json::json;

use super::{Answered, Ask, JaegerError, pretty, reads::Reads, to_json};
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
    let (from, tenants, pretty) = (ask.reads.clone(), ask.tenants.clone(), pretty(&ask.params));
    let run = |limits: QueryLimits| async move {
        let mut reads = Reads::new(&from, tenants, limits);
        let found = reads.names(field).await?;
        let (data, total, coverage) = (to_json(&found)?, found.len(), reads.coverage);
        Ok(Answered { data, total, coverage, pretty, ..Answered::default() })
    };
    Ok(ask.run(run).await?)
}

impl Reads {
    /// Names of spans, of all time.
    pub async fn names(&mut self, field: NamedField) -> Result<Vec<String>, Error> {
        let request = LabelValuesRequest {
            scope: self.scope(TimeRange::ALL),
            signal: Signal::TRACES,
            field,
            selectors: Vec::new(),
            limit: Some(MAX_NAMES),
        };
        let (found, coverage) = self.select.label_values(request).await?;
        self.coverage.merge(coverage);
        Ok(found)
    }

    /// Operations of a service with their kinds, of one kind or of all, in order.
    pub async fn operations(
        &mut self,
        service: &str,
        kind: Option<SpanKind>,
    ) -> Result<Vec<(String, SpanKind)>, Error> {
        let kinds = kind.map_or(ALL_KINDS.to_vec(), |k| vec![k]);
        let mut found = Vec::new();
        for kind in kinds {
            let field = NamedField::Operation { service: Some(service.to_owned()), kind: Some(kind) };
            found.extend(self.names(field).await?.into_iter().map(|n| (n, kind)));
        }
        found.sort_by(|a, b| (&a.0, a.1.number()).cmp(&(&b.0, b.1.number())));
        Ok(found)
    }
}

/// `?service=&spanKind=`: names with their kinds.
pub async fn operations(ask: Ask) -> Result<Answered, JaegerError> {
    let service = ask.params.require("service")?.to_owned();
    let kind = asked_kind("spanKind", ask.params.get("spanKind").unwrap_or_default())?;
    let (from, tenants, pretty) = (ask.reads.clone(), ask.tenants.clone(), pretty(&ask.params));
    let run = |limits: QueryLimits| async move {
        let mut reads = Reads::new(&from, tenants, limits);
        let found = reads.operations(&service, kind).await?;
        let shown: Vec<_> =
            found.iter().map(|(n, k)| json!({"name": n, "spanKind": kind_text(*k)})).collect();
        let (data, total, coverage) = (to_json(&shown)?, shown.len(), reads.coverage);
        Ok(Answered { data, total, coverage, pretty, ..Answered::default() })
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

/// A kind that a parameter names; empty is any.
pub(super) fn asked_kind(name: &str, text: &str) -> Result<Option<SpanKind>, Error> {
    match text {
        "" => Ok(None),
        text => kind(text).map(Some).ok_or_else(|| bad(name, text, "it is not a span kind")),
    }
}

/// Jaeger leaves the kind of spans that have none empty.
pub(super) fn kind_text(kind: SpanKind) -> &'static str {
    match kind {
        SpanKind::Unspecified => "",
        k => k.as_str(),
    }
}
