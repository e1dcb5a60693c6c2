//! Values inside a template, and how Go prints, tests and converts them.

use std::fmt::Write;

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Val {
    Nil,
    Bool(bool),
    Int(i64),
    Float(f64),
    Str(String),
    List(Vec<Val>),
    Map(Vec<(String, Val)>),
    /// Nanoseconds since 1970 and the zone's offset in seconds.
    Time(i64, i32),
}

impl From<&str> for Val {
    fn from(s: &str) -> Self {
        Val::Str(s.to_owned())
    }
}

impl Val {
    pub fn is_true(&self) -> bool {
        match self {
            Val::Nil => false,
            Val::Bool(b) => *b,
            Val::Int(i) => *i != 0,
            Val::Float(f) => *f != 0.0,
            Val::Str(s) => !s.is_empty(),
            Val::List(l) => !l.is_empty(),
            Val::Map(m) => !m.is_empty(),
            Val::Time(..) => true,
        }
    }

    /// As `fmt.Sprint` prints it.
    pub fn print(&self) -> String {
        let mut out = String::new();
        self.print_to(&mut out);
        out
    }

    fn print_to(&self, out: &mut String) {
        // Writing to a string cannot fail.
        let _ = match self {
            Val::Nil => out.write_str("<no value>"),
            Val::Bool(b) => write!(out, "{b}"),
            Val::Int(i) => write!(out, "{i}"),
            Val::Float(f) => out.write_str(&print_float(*f)),
            Val::Str(s) => out.write_str(s),
            Val::List(l) => {
                out.push('[');
                for (i, v) in l.iter().enumerate() {
                    if i > 0 {
                        out.push(' ');
                    }
                    v.print_to(out);
                }
                out.write_str("]")
            }
            Val::Map(m) => {
                out.push_str("map[");
                let mut sorted: Vec<_> = m.iter().collect();
                sorted.sort_by(|a, b| a.0.cmp(&b.0));
                for (i, (k, v)) in sorted.into_iter().enumerate() {
                    if i > 0 {
                        out.push(' ');
                    }
                    out.push_str(k);
                    out.push(':');
                    v.print_to(out);
                }
                out.write_str("]")
            }
            Val::Time(ns, zone) => {
                out.write_str(&super::time::format(*ns, *zone, "2006-01-02 15:04:05.999999999 -0700 MST"))
            }
        };
    }

    pub fn to_int(&self) -> i64 {
        match self {
            Val::Int(i) => *i,
            Val::Float(f) => *f as i64,
            Val::Bool(b) => i64::from(*b),
            Val::Str(s) => {
                let s = s.trim();
                s.parse().or_else(|_| s.parse::<f64>().map(|f| f as i64)).unwrap_or(0)
            }
            _ => 0,
        }
    }

    pub fn to_float(&self) -> f64 {
        match self {
            Val::Int(i) => *i as f64,
            Val::Float(f) => *f,
            Val::Bool(b) => f64::from(*b),
            Val::Str(s) => s.trim().parse().unwrap_or(0.0),
            _ => 0.0,
        }
    }

    /// A member of a map; nothing where there is none.
    pub fn field(&self, name: &str) -> Option<Val> {
        match self {
            Val::Map(m) => m.iter().find(|(k, _)| k == name).map(|(_, v)| v.clone()),
            _ => None,
        }
    }

    pub fn from_json(v: serde_json::Value) -> Val {
        match v {
            serde_json::Value::Null => Val::Nil,
            serde_json::Value::Bool(b) => Val::Bool(b),
            serde_json::Value::Number(n) => Val::Float(n.as_f64().unwrap_or(f64::NAN)),
            serde_json::Value::String(s) => Val::Str(s),
            serde_json::Value::Array(a) => Val::List(a.into_iter().map(Val::from_json).collect()),
            serde_json::Value::Object(m) => {
                Val::Map(m.into_iter().map(|(k, v)| (k, Val::from_json(v))).collect())
            }
        }
    }
}

/// Go's `%v` of a float: shortest digits, with an exponent below 1e-4 and from 1e21.
pub(super) fn print_float(f: f64) -> String {
    if f.is_nan() {
        return "NaN".to_owned();
    }
    if f.is_infinite() {
        return if f > 0.0 { "+Inf" } else { "-Inf" }.to_owned();
    }
    if f != 0.0 && (f.abs() < 1e-4 || f.abs() >= 1e21) {
        let text = format!("{f:e}");
        let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
        let (sign, number) = match exponent.strip_prefix('-') {
            Some(n) => ('-', n),
            None => ('+', exponent),
        };
        return format!("{digits}e{sign}{number:0>2}");
    }
    f.to_string()
}
