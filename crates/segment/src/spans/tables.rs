//! What a trace segment says of itself without its rows: origins, services and their operations, keys.

use std::collections::{BTreeMap, BTreeSet};

use model::{AnyValue, Attributes, Span, SpanBatch, span::SpanOrigin};

use crate::{
    Error, Result,
    file::{
        File,
        blob::{Blob, pack_text, unpack_text},
    },
    origin, text,
};

const ORIGINS: &str = "origins";
const SERVICES: &str = "services";
const KEYS: &str = "keys";

/// Kinds by span name by service.
pub(super) type Services = BTreeMap<String, BTreeMap<String, BTreeSet<i32>>>;

/// Origins of a batch that have spans, equal ones merged, by service; and the new number of each.
pub(super) fn merge(batch: &SpanBatch) -> Result<(Vec<SpanOrigin>, Vec<Option<usize>>)> {
    let mut used = vec![false; batch.origins.len()];
    for s in &batch.spans {
        match used.get_mut(s.origin as usize) {
            Some(u) => *u = true,
            None => {
                return Err(Error::Invalid(format!(
                    "a span names origin {} of {}",
                    s.origin,
                    batch.origins.len()
                )));
            }
        }
    }
    let mut keys: Vec<(&str, String, usize)> = Vec::new();
    for (i, o) in batch.origins.iter().enumerate().filter(|(i, _)| used.get(*i) == Some(&true)) {
        keys.push((o.service_name(), text::encode_pairs(describe(o).iter())?, i));
    }
    keys.sort();
    let mut origins: Vec<SpanOrigin> = Vec::new();
    let mut numbers = vec![None; batch.origins.len()];
    let mut last: Option<&str> = None;
    for (_, key, i) in &keys {
        if last != Some(key.as_str()) {
            origins.extend(batch.origins.get(*i).cloned());
        }
        if let Some(n) = numbers.get_mut(*i) {
            *n = Some(origins.len() - 1);
        }
        last = Some(key);
    }
    Ok((origins, numbers))
}

fn describe(o: &SpanOrigin) -> Attributes {
    let mut out = Attributes::default();
    origin::encode(&o.resource, &o.scope, &mut out);
    out
}

/// Collects services and keys while rows are written.
#[derive(Debug, Default)]
pub(super) struct Tables {
    services: Services,
    keys: BTreeSet<String>,
}

impl Tables {
    pub fn add(&mut self, span: &Span, service: &str) {
        if !self.services.contains_key(service) {
            self.services.insert(service.to_owned(), BTreeMap::new());
        }
        if let Some(names) = self.services.get_mut(service) {
            match names.get_mut(&span.name) {
                Some(kinds) => _ = kinds.insert(span.kind.number()),
                None => _ = names.insert(span.name.clone(), BTreeSet::from([span.kind.number()])),
            }
        }
        self.add_keys(&span.attributes);
    }

    pub fn add_keys(&mut self, attributes: &Attributes) {
        for (k, _) in attributes.iter().filter(|(k, _)| !self.keys.contains(*k)).collect::<Vec<_>>() {
            self.keys.insert(k.to_owned());
        }
    }

    pub fn services(&self) -> impl ExactSizeIterator<Item = &String> {
        self.services.keys()
    }

    pub fn blobs(&self, origins: &[SpanOrigin]) -> Result<Vec<Blob>> {
        let items = origins.iter().map(|o| AnyValue::Map(describe(o))).collect();
        let json = |e: serde_json::Error| Error::Encode(e.to_string());
        Ok(vec![
            Blob::whole(
                ORIGINS,
                pack_text("origins of a trace segment", &text::encode(&AnyValue::Array(items))?)?,
            ),
            Blob::whole(
                SERVICES,
                pack_text(
                    "operations of a trace segment",
                    &serde_json::to_string(&self.services).map_err(json)?,
                )?,
            ),
            Blob::whole(
                KEYS,
                pack_text(
                    "attribute keys of a trace segment",
                    &serde_json::to_string(&self.keys).map_err(json)?,
                )?,
            ),
        ])
    }
}

async fn packed(file: &File, name: &str) -> Result<String> {
    let bytes = file.blob(name).await?.ok_or_else(|| file.corrupt(format!("a blob {name}")))?;
    unpack_text(&bytes).ok_or_else(|| file.corrupt(format!("packed text in the blob {name}")))
}

pub(super) async fn read_origins(file: &File) -> Result<Vec<SpanOrigin>> {
    let json = packed(file, ORIGINS).await?;
    let bad = |e: String| file.corrupt(format!("the blob origins: {e}"));
    let AnyValue::Array(items) = text::decode(&json).map_err(bad)? else {
        return Err(bad("an array".to_owned()));
    };
    items
        .into_iter()
        .map(|item| match item {
            AnyValue::Map(a) => {
                let (resource, scope) = origin::decode(&a);
                Ok(SpanOrigin { resource, scope })
            }
            _ => Err(bad("objects in its array".to_owned())),
        })
        .collect()
}

pub(super) async fn read_services(file: &File) -> Result<Services> {
    let json = packed(file, SERVICES).await?;
    serde_json::from_str(&json).map_err(|e| file.corrupt(format!("the blob services as JSON: {e}")))
}

pub(super) async fn read_keys(file: &File) -> Result<Vec<String>> {
    let json = packed(file, KEYS).await?;
    serde_json::from_str(&json).map_err(|e| file.corrupt(format!("the blob keys as JSON: {e}")))
}
