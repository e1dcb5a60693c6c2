//! What a trace segment says of itself without its rows: origins, services and their operations, keys.

use std::collections::{BTreeMap, BTreeSet};

use contract::SpanScope;
use model::{AnyValue, Attributes, Span, span::SpanOrigin};

use crate::{
    Error, Result,
    file::{
        File,
        blob::{Blob, pack_text, unpack_text},
    },
    origin,
    recent::Recent,
    text,
};

const ORIGINS: &str = "origins";
const SERVICES: &str = "services";
const KEYS: &str = "keys";
const SCOPED_KEYS: &str = "scoped_keys";

/// Where keys stand, as the blob `scoped_keys` names it.
const SCOPES: [(SpanScope, &str); 5] = [
    (SpanScope::Span, "span"),
    (SpanScope::Resource, "resource"),
    (SpanScope::Instrumentation, "scope"),
    (SpanScope::Event, "event"),
    (SpanScope::Link, "link"),
];

/// Keys of attributes by where they stand.
pub type Keys = BTreeSet<(SpanScope, String)>;

/// Kinds by span name by service.
pub(super) type Services = BTreeMap<String, BTreeMap<String, BTreeSet<i32>>>;

/// Of each list, the new number of each of its origins.
type Renumbered = Vec<Vec<Option<u32>>>;

/// Origins of several lists, equal ones merged, by service; and of each list the new number of each. Those that are not
/// `used` are left out.
pub(super) fn merge(
    lists: &[&[SpanOrigin]],
    used: impl Fn(usize, usize) -> bool,
) -> Result<(Vec<SpanOrigin>, Renumbered)> {
    let mut keys: Vec<(&str, String, (usize, usize))> = Vec::new();
    for (list, origins) in lists.iter().enumerate() {
        for (i, o) in origins.iter().enumerate().filter(|(i, _)| used(list, *i)) {
            keys.push((o.service_name(), text::encode_pairs(describe(o).iter())?, (list, i)));
        }
    }
    keys.sort();
    let mut origins: Vec<SpanOrigin> = Vec::new();
    let mut numbers: Renumbered = lists.iter().map(|l| vec![None; l.len()]).collect();
    let mut last: Option<&str> = None;
    for (_, key, (list, i)) in &keys {
        if last != Some(key.as_str()) {
            origins.extend(lists.get(*list).and_then(|l| l.get(*i)).cloned());
        }
        if let Some(n) = numbers.get_mut(*list).and_then(|l| l.get_mut(*i)) {
            *n = Some(origins.len() as u32 - 1);
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
    /// Services, names and kinds that the table has.
    recent: Recent,
    event: BTreeSet<String>,
    link: BTreeSet<String>,
}

impl Tables {
    pub fn add(&mut self, span: &Span, service: &str) {
        let kind = span.kind.number();
        if !self.recent.met(service, &span.name, kind.unsigned_abs().into()) {
            self.add_operation(service, span, kind);
        }
        span.events.iter().for_each(|e| add_keys(&mut self.event, &e.attributes));
        span.links.iter().for_each(|l| add_keys(&mut self.link, &l.attributes));
    }

    fn add_operation(&mut self, service: &str, span: &Span, kind: i32) {
        match self.services.get_mut(service).and_then(|names| names.get_mut(&span.name)) {
            Some(kinds) => _ = kinds.insert(kind),
            None => {
                let names = self.services.entry(service.to_owned()).or_default();
                names.entry(span.name.clone()).or_default().insert(kind);
            }
        }
    }

    fn keys(&self, span: &BTreeSet<String>, origins: &[SpanOrigin]) -> Keys {
        let own =
            |scope, keys: &BTreeSet<String>| keys.iter().map(|k| (scope, k.clone())).collect::<Vec<_>>();
        let mut out: Keys = own(SpanScope::Span, span).into_iter().collect();
        out.extend(own(SpanScope::Event, &self.event));
        out.extend(own(SpanScope::Link, &self.link));
        origins.iter().for_each(|o| keys_of_origin(o, &mut out));
        out
    }

    pub fn services(&self) -> impl ExactSizeIterator<Item = &String> {
        self.services.keys()
    }

    /// `keys` are those of attributes of spans.
    pub fn blobs(&self, keys: &BTreeSet<String>, origins: &[SpanOrigin]) -> Result<Vec<Blob>> {
        let scoped = self.keys(keys, origins);
        let named = |(scope, name): (SpanScope, &'static str)| {
            let own = scoped.iter().filter(move |(s, _)| *s == scope);
            (name, own.map(|(_, k)| k.as_str()).collect::<Vec<_>>())
        };
        let by_scope: BTreeMap<&str, Vec<&str>> = SCOPES.into_iter().map(named).collect();
        let plain =
            |(scope, _): &&(SpanScope, String)| matches!(scope, SpanScope::Span | SpanScope::Resource);
        let keys: BTreeSet<&str> = scoped.iter().filter(plain).map(|(_, k)| k.as_str()).collect();
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
                pack_text("attribute keys of a trace segment", &serde_json::to_string(&keys).map_err(json)?)?,
            ),
            Blob::whole(
                SCOPED_KEYS,
                pack_text(
                    "attribute keys of a trace segment by scope",
                    &serde_json::to_string(&by_scope).map_err(json)?,
                )?,
            ),
        ])
    }
}

fn add_keys(keys: &mut BTreeSet<String>, attributes: &Attributes) {
    for (k, _) in attributes.iter() {
        if !keys.contains(k) {
            keys.insert(k.to_owned());
        }
    }
}

pub(super) fn keys_of_origin(o: &SpanOrigin, out: &mut Keys) {
    let key = |scope, a: &Attributes| a.iter().map(|(k, _)| (scope, k.to_owned())).collect::<Vec<_>>();
    out.extend(key(SpanScope::Resource, &o.resource.attributes));
    out.extend(key(SpanScope::Instrumentation, &o.scope.attributes));
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

/// `None` where the segment has no such blob.
pub(super) async fn read_scoped_keys(file: &File) -> Result<Option<Keys>> {
    if file.blob_ref(SCOPED_KEYS).is_none() {
        return Ok(None);
    }
    let json = packed(file, SCOPED_KEYS).await?;
    let by_scope: BTreeMap<String, Vec<String>> = serde_json::from_str(&json)
        .map_err(|e| file.corrupt(format!("the blob {SCOPED_KEYS} as JSON: {e}")))?;
    let of = |(scope, name): &(SpanScope, &str)| {
        let scope = *scope;
        by_scope.get(*name).into_iter().flatten().map(move |k| (scope, k.clone())).collect::<Vec<_>>()
    };
    Ok(Some(SCOPES.iter().flat_map(of).collect()))
}
