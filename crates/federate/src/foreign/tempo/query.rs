//! What is asked of spans, as TraceQL (`grafana.com/docs/tempo/latest/traceql`).

use contract::{Comparison, SpanCondition, SpanField, SpanFilter, SpanScope, SpanTest, SpanValue};
use model::{AnyValue, SpanKind, StatusCode};

use crate::foreign::selector::quote;

/// Filters as TraceQL. An attribute of an event or a link cannot be asked for in all versions, so that one stands for
/// the span and the resource alone.
pub(super) fn traceql(filters: &[SpanFilter], any_of: &[Vec<SpanCondition>]) -> String {
    let one = |f: &SpanFilter| match f {
        SpanFilter::Service(s) => format!("resource.service.name = {}", quoted(s)),
        SpanFilter::Name(n) => format!("name = {}", quoted(n)),
        SpanFilter::Kind(k) => format!("kind = {}", k.as_str()),
        SpanFilter::MinDurationNs(d) => format!("duration >= {d}ns"),
        SpanFilter::MaxDurationNs(d) => format!("duration <= {d}ns"),
        SpanFilter::Error(true) => "status = error".to_owned(),
        SpanFilter::Error(false) => "status != error".to_owned(),
        SpanFilter::Attribute(key, value) => {
            let name = format!(".{}", key_of(key));
            match value {
                AnyValue::Int(_) | AnyValue::Double(_) | AnyValue::Bool(_) => format!("{name} = {value}"),
                // A text may stand for a number.
                text if text.to_string().parse::<f64>().is_ok() => {
                    format!("({name} = {} || {name} = {text})", quoted(&text.to_string()))
                }
                text => format!("{name} = {}", quoted(&text.to_string())),
            }
        }
    };
    let mut all: Vec<String> =
        filters.iter().filter(|f| !matches!(f, SpanFilter::Kind(SpanKind::Unspecified))).map(one).collect();
    all.extend(alternatives(any_of));
    format!("{{{}}}", all.join(" && "))
}

fn quoted(text: &str) -> String {
    let mut out = String::new();
    quote(&mut out, text);
    out
}

fn key_of(key: &str) -> String {
    let plain = !key.is_empty() && key.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-/".contains(&b));
    if plain { key.to_owned() } else { quoted(key) }
}

/// One of the alternatives, as far as every version can be asked for it: less is asked for than is wanted, never more.
fn alternatives(any_of: &[Vec<SpanCondition>]) -> Option<String> {
    let one = |all: &Vec<SpanCondition>| {
        let said: Vec<String> = all.iter().filter_map(condition).collect();
        (!said.is_empty()).then(|| said.join(" && "))
    };
    let all: Vec<String> = any_of.iter().map(one).collect::<Option<_>>()?;
    match all.as_slice() {
        [] => None,
        [one] => Some(one.clone()),
        many => Some(format!("({})", many.iter().map(|a| format!("({a})")).collect::<Vec<_>>().join(" || "))),
    }
}

/// `None` where not every version knows the field or the test.
fn condition(c: &SpanCondition) -> Option<String> {
    let fields: Vec<String> = match &c.field {
        SpanField::Attribute(SpanScope::Span, key) => vec![format!("span.{}", key_of(key))],
        SpanField::Attribute(SpanScope::Resource, key) => vec![format!("resource.{}", key_of(key))],
        // It takes the first it finds; one that differs may be the other.
        SpanField::Attribute(SpanScope::Any, key) => {
            vec![format!("span.{}", key_of(key)), format!("resource.{}", key_of(key))]
        }
        SpanField::Name => vec!["name".to_owned()],
        SpanField::Kind => vec!["kind".to_owned()],
        SpanField::Status => vec!["status".to_owned()],
        SpanField::Duration => vec!["duration".to_owned()],
        _ => return None,
    };
    let test = match &c.test {
        SpanTest::Is(how, value) => format!("{} {}", operator(*how), value_of(&c.field, value)?),
        // Older ones look for a pattern anywhere.
        SpanTest::Matches(p) => format!("=~ {}", quoted(&format!("^(?:{})$", p.as_str()))),
        SpanTest::MatchesNot(p) => format!("!~ {}", quoted(&format!("^(?:{})$", p.as_str()))),
        SpanTest::Exists if matches!(c.field, SpanField::Attribute(..)) => "!= nil".to_owned(),
        SpanTest::Exists | SpanTest::Absent => return None,
    };
    let all: Vec<String> = fields.iter().map(|f| format!("{f} {test}")).collect();
    Some(if all.len() == 1 { all.concat() } else { format!("({})", all.join(" || ")) })
}

fn operator(how: Comparison) -> &'static str {
    match how {
        Comparison::Equal => "=",
        Comparison::NotEqual => "!=",
        Comparison::Less => "<",
        Comparison::LessOrEqual => "<=",
        Comparison::Greater => ">",
        Comparison::GreaterOrEqual => ">=",
    }
}

fn value_of(field: &SpanField, value: &SpanValue) -> Option<String> {
    Some(match value {
        SpanValue::Text(s) => quoted(s),
        SpanValue::Int(ns) if *field == SpanField::Duration => format!("{ns}ns"),
        SpanValue::Int(i) => i.to_string(),
        SpanValue::Float(f) if f.is_finite() => f.to_string(),
        SpanValue::Bool(b) => b.to_string(),
        SpanValue::Status(StatusCode::Unset) => "unset".to_owned(),
        SpanValue::Status(StatusCode::Ok) => "ok".to_owned(),
        SpanValue::Status(StatusCode::Error) => "error".to_owned(),
        SpanValue::Kind(SpanKind::Unspecified) | SpanValue::Float(_) => return None,
        SpanValue::Kind(k) => k.as_str().to_owned(),
    })
}
