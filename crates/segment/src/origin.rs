//! Resource and scope as typed values, for the tables of streams and origins.

use model::{
    AnyValue, Attributes,
    attributes::{Resource, Scope},
};

/// `{"resource":{…},"resource_dropped":n,"schema_url":"…","scope":"…","scope_version":"…",
/// "scope_attributes":{…},"scope_dropped":n}`; what is empty or zero is left out.
pub(crate) fn encode(resource: &Resource, scope: &Scope, out: &mut Attributes) {
    let mut map = |key: &str, a: &Attributes| {
        if !a.is_empty() {
            out.push(key, AnyValue::Map(a.clone()));
        }
    };
    map("resource", &resource.attributes);
    map("scope_attributes", &scope.attributes);
    for (key, n) in
        [("resource_dropped", resource.dropped_attributes), ("scope_dropped", scope.dropped_attributes)]
    {
        if n != 0 {
            out.push(key, i64::from(n));
        }
    }
    for (key, s) in
        [("schema_url", &resource.schema_url), ("scope", &scope.name), ("scope_version", &scope.version)]
    {
        if !s.is_empty() {
            out.push(key, s.as_str());
        }
    }
}

pub(crate) fn decode(from: &Attributes) -> (Resource, Scope) {
    let resource = Resource {
        attributes: map(from, "resource"),
        dropped_attributes: count(from, "resource_dropped"),
        schema_url: string(from, "schema_url"),
    };
    let scope = Scope {
        name: string(from, "scope"),
        version: string(from, "scope_version"),
        attributes: map(from, "scope_attributes"),
        dropped_attributes: count(from, "scope_dropped"),
    };
    (resource, scope)
}

pub(crate) fn map(from: &Attributes, key: &str) -> Attributes {
    match from.get(key) {
        Some(AnyValue::Map(m)) => m.clone(),
        _ => Attributes::default(),
    }
}

pub(crate) fn string(from: &Attributes, key: &str) -> String {
    from.get_str(key).unwrap_or_default().to_owned()
}

pub(crate) fn count(from: &Attributes, key: &str) -> u32 {
    integer(from, key).and_then(|n| u32::try_from(n).ok()).unwrap_or(0)
}

pub(crate) fn integer(from: &Attributes, key: &str) -> Option<i64> {
    match from.get(key) {
        Some(AnyValue::Int(n)) => Some(*n),
        _ => None,
    }
}
