//! Which fields documents have, and of which types: found by looking at the newest of them, since nothing is declared.

use std::collections::{BTreeMap, BTreeSet};

use contract::{Coverage, Direction, LogsRequest, Scope};
use futures::StreamExt;
use model::TimeRange;
use wire::dates;

use crate::{
    Result,
    field::{self, Doc, Scalar},
    indices::{Reader, Targets},
};

/// So many documents are looked at.
const SAMPLE: usize = 2000;
/// More fields than this are left out.
const MAX_FIELDS: usize = 10_000;

/// Types of fields by index, as Elasticsearch calls them; a field may have several.
#[derive(Debug, Default)]
pub struct Mapping {
    pub indices: BTreeMap<String, BTreeMap<String, BTreeSet<&'static str>>>,
    pub coverage: Coverage,
}

/// Looks at the newest documents of each name.
pub async fn mapping(targets: &Targets, reader: &Reader) -> Result<Mapping> {
    let mut out = Mapping { coverage: targets.coverage.clone(), ..Mapping::default() };
    if targets.is_empty() {
        return Ok(out);
    }
    for name in &targets.written {
        out.indices.entry(name.clone()).or_default();
    }
    let request = LogsRequest {
        scope: Scope {
            tenants: reader.tenants.clone(),
            range: TimeRange::ALL.intersect(targets.range()),
            limits: reader.limits.clone(),
        },
        matchers: targets.matchers()?,
        line_filters: Vec::new(),
        direction: Direction::NewestFirst,
        limit: Some(SAMPLE),
        fields: Vec::new(),
        passing: None,
    };
    let mut selection = reader.select.logs(request).await?;
    let (mut fields, mut namer) = (0, targets.namer());
    while let Some(batch) = selection.items.next().await {
        let batch = batch?;
        for record in &batch.records {
            let Some(stream) = batch.streams.get(record.stream as usize) else { continue };
            let Some(index) = namer.index_of(stream, record) else { continue };
            let known = out.indices.entry(index.to_string()).or_default();
            field::leaves(&Doc::new(stream, record, &index), &mut |name, v| {
                if let Some(types) = known.get_mut(name) {
                    types.insert(type_of(&v));
                } else if fields < MAX_FIELDS {
                    fields += 1;
                    known.insert(name.to_owned(), BTreeSet::from([type_of(&v)]));
                }
                false
            });
        }
    }
    out.coverage = selection.coverage();
    Ok(out)
}

fn type_of(value: &Scalar<'_>) -> &'static str {
    match value {
        Scalar::Text(t) if dates::calendar_day(t).is_some() => "date",
        Scalar::Text(_) => "text",
        Scalar::Int(_) => "long",
        Scalar::Double(_) => "double",
        Scalar::Bool(_) => "boolean",
        Scalar::Time(_) => "date",
    }
}
