//! Attributes and their values, as OpenTelemetry defines them (`common/v1` AnyValue): typed, nestable.

use std::fmt;

#[derive(Debug, Clone, PartialEq, Default)]
pub enum AnyValue {
    #[default]
    Empty,
    String(String),
    Bool(bool),
    Int(i64),
    Double(f64),
    Bytes(Vec<u8>),
    Array(Vec<AnyValue>),
    Map(Attributes),
}

impl AnyValue {
    pub fn as_str(&self) -> Option<&str> {
        match self {
            AnyValue::String(s) => Some(s),
            _ => None,
        }
    }

    /// The name of the value's type, as Jaeger and the UI show it.
    pub fn type_name(&self) -> &'static str {
        match self {
            AnyValue::Empty => "empty",
            AnyValue::String(_) => "string",
            AnyValue::Bool(_) => "bool",
            AnyValue::Int(_) => "int64",
            AnyValue::Double(_) => "float64",
            AnyValue::Bytes(_) => "binary",
            AnyValue::Array(_) => "array",
            AnyValue::Map(_) => "map",
        }
    }

    /// Bytes held, for memory accounting.
    pub fn heap_bytes(&self) -> usize {
        std::mem::size_of::<Self>()
            + match self {
                AnyValue::String(s) => s.len(),
                AnyValue::Bytes(b) => b.len(),
                AnyValue::Array(a) => a.iter().map(AnyValue::heap_bytes).sum(),
                AnyValue::Map(m) => m.heap_bytes(),
                _ => 0,
            }
    }
}

impl From<&str> for AnyValue {
    fn from(s: &str) -> Self {
        AnyValue::String(s.to_owned())
    }
}

impl From<String> for AnyValue {
    fn from(s: String) -> Self {
        AnyValue::String(s)
    }
}

impl From<i64> for AnyValue {
    fn from(v: i64) -> Self {
        AnyValue::Int(v)
    }
}

impl From<bool> for AnyValue {
    fn from(v: bool) -> Self {
        AnyValue::Bool(v)
    }
}

impl From<f64> for AnyValue {
    fn from(v: f64) -> Self {
        AnyValue::Double(v)
    }
}

impl fmt::Display for AnyValue {
    /// Strings bare, everything else as JSON; bytes as lower-case hex.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            AnyValue::String(s) => f.write_str(s),
            other => write_json(other, f),
        }
    }
}

fn write_json(v: &AnyValue, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    match v {
        AnyValue::Empty => f.write_str("null"),
        AnyValue::String(s) => write_json_str(s, f),
        AnyValue::Bool(b) => write!(f, "{b}"),
        AnyValue::Int(i) => write!(f, "{i}"),
        AnyValue::Double(d) if d.is_finite() => write!(f, "{d}"),
        AnyValue::Double(d) => write!(f, "\"{d}\""),
        AnyValue::Bytes(b) => {
            f.write_str("\"")?;
            b.iter().try_for_each(|x| write!(f, "{x:02x}"))?;
            f.write_str("\"")
        }
        AnyValue::Array(a) => {
            f.write_str("[")?;
            for (i, x) in a.iter().enumerate() {
                if i > 0 {
                    f.write_str(",")?;
                }
                write_json(x, f)?;
            }
            f.write_str("]")
        }
        AnyValue::Map(m) => {
            f.write_str("{")?;
            for (i, (k, x)) in m.iter().enumerate() {
                if i > 0 {
                    f.write_str(",")?;
                }
                write_json_str(k, f)?;
                f.write_str(":")?;
                write_json(x, f)?;
            }
            f.write_str("}")
        }
    }
}

fn write_json_str(s: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    f.write_str("\"")?;
    for c in s.chars() {
        match c {
            '"' => f.write_str("\\\"")?,
            '\\' => f.write_str("\\\\")?,
            '\n' => f.write_str("\\n")?,
            '\r' => f.write_str("\\r")?,
            '\t' => f.write_str("\\t")?,
            c if (c as u32) < 0x20 => write!(f, "\\u{:04x}", c as u32)?,
            c => write!(f, "{c}")?,
        }
    }
    f.write_str("\"")
}

/// Key/value pairs in the order received. A key given twice keeps both; `get` finds the first.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Attributes(pub Vec<(String, AnyValue)>);

impl Attributes {
    pub fn get(&self, key: &str) -> Option<&AnyValue> {
        self.0.iter().find(|(k, _)| k == key).map(|(_, v)| v)
    }

    pub fn get_str(&self, key: &str) -> Option<&str> {
        self.get(key)?.as_str()
    }

    pub fn push(&mut self, key: impl Into<String>, value: impl Into<AnyValue>) {
        self.0.push((key.into(), value.into()));
    }

    pub fn iter(&self) -> impl Iterator<Item = (&str, &AnyValue)> {
        self.0.iter().map(|(k, v)| (k.as_str(), v))
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn heap_bytes(&self) -> usize {
        self.0.iter().map(|(k, v)| k.len() + std::mem::size_of::<String>() + v.heap_bytes()).sum()
    }
}

impl<K: Into<String>, V: Into<AnyValue>> FromIterator<(K, V)> for Attributes {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(iter: I) -> Self {
        Attributes(iter.into_iter().map(|(k, v)| (k.into(), v.into())).collect())
    }
}

/// The instrumentation scope that produced records or spans (`common/v1` InstrumentationScope).
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Scope {
    pub name: String,
    pub version: String,
    pub attributes: Attributes,
    pub dropped_attributes: u32,
}

/// The entity that produced telemetry (`resource/v1` Resource).
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Resource {
    pub attributes: Attributes,
    pub dropped_attributes: u32,
    pub schema_url: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nested_values_print_as_json() {
        let v = AnyValue::Map(Attributes::from_iter([
            ("a", AnyValue::Array(vec![1i64.into(), "x\n\"".into()])),
            ("b", AnyValue::Bytes(vec![0xab, 1])),
        ]));
        assert_eq!(v.to_string(), r#"{"a":[1,"x\n\""],"b":"ab01"}"#);
        assert_eq!(AnyValue::from("bare").to_string(), "bare");
    }
}
