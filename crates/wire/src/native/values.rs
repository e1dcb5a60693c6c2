//! Attributes, their values, and what carries them.
//!
//! ```text
//! attributes := varint n | n × (string key, value)
//! value      := 0 empty | 1 string | 2 text | 3 false | 4 true | 5 zigzag | 6 float | 7 bytes
//!             | 8 varint n, n × value        (array)
//!             | 9 attributes                 (map)
//! resource   := attributes | varint dropped | string schema url
//! scope      := string name | string version | attributes | varint dropped
//! labels     := varint n | n × (string name, string value), names ascending
//! ```

use model::{
    AnyValue, Attributes, Labels,
    attributes::{Resource, Scope},
};

use super::{MAX_DEPTH, MAX_SYMBOL, NativeError, reader::Reader, writer::Writer};

pub(super) fn encode_labels<'a>(w: &mut Writer<'a>, labels: &'a Labels) {
    w.count(labels.len());
    for (name, value) in labels {
        w.string(name);
        w.string(value);
    }
}

pub(super) fn decode_labels(r: &mut Reader<'_>) -> Result<Labels, NativeError> {
    let pairs = r.many("labels", |r| Ok((r.string("label name")?, r.string("label value")?)))?;
    Labels::from_sorted(pairs).ok_or_else(|| r.invalid("labels", "names do not ascend"))
}

pub(super) fn encode_attributes<'a>(w: &mut Writer<'a>, a: &'a Attributes) -> Result<(), NativeError> {
    encode_map(w, a, 0)
}

fn encode_map<'a>(w: &mut Writer<'a>, a: &'a Attributes, depth: usize) -> Result<(), NativeError> {
    w.count(a.len());
    for (key, value) in a.iter() {
        w.string(key);
        encode_nested(w, value, depth)?;
    }
    Ok(())
}

pub(super) fn decode_attributes(r: &mut Reader<'_>) -> Result<Attributes, NativeError> {
    decode_map(r, 0)
}

fn decode_map(r: &mut Reader<'_>, depth: usize) -> Result<Attributes, NativeError> {
    let pairs =
        r.many("attributes", |r| Ok((r.string("attribute key")?.to_owned(), decode_nested(r, depth)?)))?;
    Ok(Attributes(pairs))
}

/// A log record's body: text that seldom repeats.
pub(super) fn encode_body<'a>(w: &mut Writer<'a>, v: &'a AnyValue) -> Result<(), NativeError> {
    match v {
        AnyValue::String(s) => {
            w.byte(2);
            w.text(s);
            Ok(())
        }
        other => encode_nested(w, other, 0),
    }
}

pub(super) fn decode_value(r: &mut Reader<'_>) -> Result<AnyValue, NativeError> {
    decode_nested(r, 0)
}

fn encode_nested<'a>(w: &mut Writer<'a>, v: &'a AnyValue, depth: usize) -> Result<(), NativeError> {
    if depth > MAX_DEPTH {
        return Err(NativeError::TooDeep);
    }
    match v {
        AnyValue::Empty => w.byte(0),
        AnyValue::String(s) if s.len() <= MAX_SYMBOL => {
            w.byte(1);
            w.string(s);
        }
        AnyValue::String(s) => {
            w.byte(2);
            w.text(s);
        }
        AnyValue::Bool(b) => w.byte(3 + u8::from(*b)),
        AnyValue::Int(i) => {
            w.byte(5);
            w.zigzag(*i);
        }
        AnyValue::Double(d) => {
            w.byte(6);
            w.float(*d);
        }
        AnyValue::Bytes(b) => {
            w.byte(7);
            w.bytes(b);
        }
        AnyValue::Array(items) => {
            w.byte(8);
            w.count(items.len());
            for item in items {
                encode_nested(w, item, depth + 1)?;
            }
        }
        AnyValue::Map(m) => {
            w.byte(9);
            encode_map(w, m, depth + 1)?;
        }
    }
    Ok(())
}

fn decode_nested(r: &mut Reader<'_>, depth: usize) -> Result<AnyValue, NativeError> {
    if depth > MAX_DEPTH {
        return Err(NativeError::TooDeep);
    }
    Ok(match r.byte("value")? {
        0 => AnyValue::Empty,
        1 => AnyValue::String(r.string("string value")?.to_owned()),
        2 => AnyValue::String(r.text("string value")?.to_owned()),
        3 => AnyValue::Bool(false),
        4 => AnyValue::Bool(true),
        5 => AnyValue::Int(r.zigzag("integer value")?),
        6 => AnyValue::Double(r.float("float value")?),
        7 => AnyValue::Bytes(r.bytes("bytes value")?.to_vec()),
        8 => AnyValue::Array(r.many("array", |r| decode_nested(r, depth + 1))?),
        9 => AnyValue::Map(decode_map(r, depth + 1)?),
        other => return Err(r.invalid("value", format!("tag {other} is not known"))),
    })
}

pub(super) fn encode_resource<'a>(w: &mut Writer<'a>, x: &'a Resource) -> Result<(), NativeError> {
    encode_attributes(w, &x.attributes)?;
    w.varint(u64::from(x.dropped_attributes));
    w.string(&x.schema_url);
    Ok(())
}

pub(super) fn decode_resource(r: &mut Reader<'_>) -> Result<Resource, NativeError> {
    Ok(Resource {
        attributes: decode_attributes(r)?,
        dropped_attributes: r.u32("dropped attributes")?,
        schema_url: r.string("schema url")?.to_owned(),
    })
}

pub(super) fn encode_scope<'a>(w: &mut Writer<'a>, x: &'a Scope) -> Result<(), NativeError> {
    w.string(&x.name);
    w.string(&x.version);
    encode_attributes(w, &x.attributes)?;
    w.varint(u64::from(x.dropped_attributes));
    Ok(())
}

pub(super) fn decode_scope(r: &mut Reader<'_>) -> Result<Scope, NativeError> {
    Ok(Scope {
        name: r.string("scope name")?.to_owned(),
        version: r.string("scope version")?.to_owned(),
        attributes: decode_attributes(r)?,
        dropped_attributes: r.u32("dropped attributes")?,
    })
}
