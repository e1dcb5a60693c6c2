//! Attributes, resources and scopes between protobuf and our model, by moving what can be moved.

use model::{
    AnyValue, Attributes,
    attributes::{Resource, Scope},
};
use proto::otlp::{
    common::{
        AnyValue as PbValue, ArrayValue, InstrumentationScope, KeyValue, KeyValueList, any_value::Value,
    },
    resource::Resource as PbResource,
};

/// How deep values may nest; deeper ones become empty. Both decoders stop below that (prost at 100 messages,
/// serde_json at 128 brackets), so this bounds only messages built by other means.
const MAX_DEPTH: usize = 64;

pub(crate) fn from_list(list: Vec<KeyValue>) -> Attributes {
    attributes_at(list, 0)
}

fn attributes_at(list: Vec<KeyValue>, depth: usize) -> Attributes {
    Attributes(list.into_iter().map(|kv| (kv.key, value_at(kv.value, depth))).collect())
}

pub(crate) fn from_value(value: Option<PbValue>) -> AnyValue {
    value_at(value, 0)
}

fn value_at(value: Option<PbValue>, depth: usize) -> AnyValue {
    let Some(value) = value.and_then(|v| v.value) else { return AnyValue::Empty };
    match value {
        Value::StringValue(s) => AnyValue::String(s),
        Value::BoolValue(b) => AnyValue::Bool(b),
        Value::IntValue(i) => AnyValue::Int(i),
        Value::DoubleValue(d) => AnyValue::Double(d),
        Value::BytesValue(b) => AnyValue::Bytes(b),
        Value::ArrayValue(_) | Value::KvlistValue(_) if depth >= MAX_DEPTH => AnyValue::Empty,
        Value::ArrayValue(a) => {
            AnyValue::Array(a.values.into_iter().map(|v| value_at(Some(v), depth + 1)).collect())
        }
        Value::KvlistValue(m) => AnyValue::Map(attributes_at(m.values, depth + 1)),
    }
}

pub(crate) fn from_resource(resource: Option<PbResource>, schema_url: String) -> Resource {
    let r = resource.unwrap_or_default();
    Resource {
        attributes: from_list(r.attributes),
        dropped_attributes: r.dropped_attributes_count,
        schema_url,
    }
}

pub(crate) fn from_scope(scope: Option<InstrumentationScope>) -> Scope {
    let s = scope.unwrap_or_default();
    Scope {
        name: s.name,
        version: s.version,
        attributes: from_list(s.attributes),
        dropped_attributes: s.dropped_attributes_count,
    }
}

pub(crate) fn to_list(attributes: &Attributes) -> Vec<KeyValue> {
    attributes.iter().map(|(k, v)| KeyValue { key: k.to_owned(), value: Some(to_value(v)) }).collect()
}

pub(crate) fn to_value(value: &AnyValue) -> PbValue {
    let value = match value {
        AnyValue::Empty => None,
        AnyValue::String(s) => Some(Value::StringValue(s.clone())),
        AnyValue::Bool(b) => Some(Value::BoolValue(*b)),
        AnyValue::Int(i) => Some(Value::IntValue(*i)),
        AnyValue::Double(d) => Some(Value::DoubleValue(*d)),
        AnyValue::Bytes(b) => Some(Value::BytesValue(b.clone())),
        AnyValue::Array(a) => {
            Some(Value::ArrayValue(ArrayValue { values: a.iter().map(to_value).collect() }))
        }
        AnyValue::Map(m) => Some(Value::KvlistValue(KeyValueList { values: to_list(m) })),
    };
    PbValue { value }
}

pub(crate) fn to_resource(r: &Resource) -> PbResource {
    PbResource { attributes: to_list(&r.attributes), dropped_attributes_count: r.dropped_attributes }
}

pub(crate) fn to_scope(s: &Scope) -> InstrumentationScope {
    InstrumentationScope {
        name: s.name.clone(),
        version: s.version.clone(),
        attributes: to_list(&s.attributes),
        dropped_attributes_count: s.dropped_attributes,
    }
}

/// A trace or span id of `N` bytes. An empty one is absent: all zero.
pub(crate) fn id<const N: usize>(bytes: &[u8]) -> Option<[u8; N]> {
    if bytes.is_empty() { Some([0; N]) } else { bytes.try_into().ok() }
}

/// The wire form: empty where all zero.
pub(crate) fn id_bytes(id: &[u8]) -> Vec<u8> {
    if id.iter().all(|b| *b == 0) { Vec::new() } else { id.to_vec() }
}
