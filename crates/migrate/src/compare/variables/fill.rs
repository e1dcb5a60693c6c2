//! `$name`, `${name}`, `${name:format}`, `[[name]]` and `[[name:format]]` become values.

use std::{borrow::Cow, collections::BTreeMap};

use super::Value;

pub(super) fn fill(expr: &str, values: &BTreeMap<String, Value>) -> Result<String, String> {
    let mut out = String::with_capacity(expr.len());
    let mut rest = expr;
    while let Some(at) = rest.find(['$', '[']) {
        let (before, from) = rest.split_at(at);
        out.push_str(before);
        match reference(from) {
            Some((name, format, len)) if known(name, values) => {
                out.push_str(&value(name, format, values)?);
                rest = from.get(len..).unwrap_or_default();
            }
            // `$` ends a regular expression, `[[` may begin a class: both stay.
            _ => {
                let mut chars = from.chars();
                out.extend(chars.next());
                rest = chars.as_str();
            }
        }
    }
    out.push_str(rest);
    Ok(out)
}

fn known(name: &str, values: &BTreeMap<String, Value>) -> bool {
    values.contains_key(name)
}

/// Name, format and length of the reference that `text` begins with.
fn reference(text: &str) -> Option<(&str, &str, usize)> {
    let bracketed = |open: &str, close: &str| {
        let inner = text.strip_prefix(open)?;
        let end = inner.find(close)?;
        let (name, format) = inner.get(..end)?.split_once(':').unwrap_or((inner.get(..end)?, ""));
        // A field path after a dot names a part of the variable.
        let name = name.split('.').next().unwrap_or(name);
        is_name(name).then_some((name, format, open.len() + end + close.len()))
    };
    if let Some(found) = bracketed("${", "}").or_else(|| bracketed("[[", "]]")) {
        return Some(found);
    }
    let name = text.strip_prefix('$')?;
    let end = name.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(name.len());
    let name = name.get(..end)?;
    is_name(name).then_some((name, "", 1 + end))
}

fn is_name(s: &str) -> bool {
    !s.is_empty()
        && s.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
        && !s.starts_with(|c: char| c.is_ascii_digit())
}

fn value(name: &str, format: &str, values: &BTreeMap<String, Value>) -> Result<String, String> {
    let chosen = match values.get(name) {
        Some(Value::Raw(v)) => return Ok(v.clone()),
        Some(Value::Chosen(all)) => all,
        _ => return Err(format!("${name} has no value")),
    };
    let joined =
        |f: fn(&str) -> Cow<'_, str>, by: &str| chosen.iter().map(|v| f(v)).collect::<Vec<_>>().join(by);
    Ok(match (format, chosen.as_slice()) {
        ("raw" | "csv", _) => joined(|v| v.into(), ","),
        ("pipe", _) => joined(|v| v.into(), "|"),
        ("text", _) => joined(|v| v.into(), " + "),
        ("doublequote", _) => joined(|v| format!("\"{}\"", v.replace('"', "\\\"")).into(), ","),
        ("singlequote", _) => joined(|v| format!("'{}'", v.replace('\'', "\\'")).into(), ","),
        // One value may stand behind `=`, where nothing but the string's own escapes is allowed.
        ("", [one]) => one.replace('\\', "\\\\").replace('"', "\\\""),
        ("regex", [one]) => escaped(one).into_owned(),
        _ => format!("({})", joined(escaped, "|")),
    })
}

/// Escaped for a regular expression inside a string of PromQL.
fn escaped(v: &str) -> Cow<'_, str> {
    if !v.contains(|c| r"\^$*+?.()|{}[]/".contains(c)) {
        return v.into();
    }
    let mut out = String::with_capacity(v.len() + 8);
    for c in v.chars() {
        match c {
            '\\' => out.push_str(r"\\\\"),
            '^' | '$' | '*' | '+' | '?' | '.' | '(' | ')' | '|' | '{' | '}' | '[' | ']' => {
                out.push_str(r"\\");
                out.push(c);
            }
            '"' => out.push_str("\\\""),
            c => out.push(c),
        }
    }
    out.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(expr: &str) -> String {
        let values = BTreeMap::from([
            ("job".to_owned(), Value::Chosen(vec!["node".to_owned()])),
            ("instance".to_owned(), Value::Chosen(vec!["a.b:1".to_owned(), "c".to_owned()])),
            ("__rate_interval".to_owned(), Value::Raw("1m".to_owned())),
            ("gone".to_owned(), Value::Nothing),
        ]);
        fill(expr, &values).unwrap_or_else(|e| format!("error {e}"))
    }

    #[test]
    fn every_way_of_writing_a_variable_is_replaced() {
        assert_eq!(
            filled(r#"rate(x{job="$job", i=~"${instance}"}[$__rate_interval])"#),
            r#"rate(x{job="node", i=~"(a\\.b:1|c)"}[1m])"#
        );
        assert_eq!(filled("[[job]] [[instance:pipe]] ${instance:csv}"), "node a.b:1|c a.b:1,c");
        assert_eq!(filled(r#"x{a=~"[[:alpha:]]$", b="$unknown"}"#), r#"x{a=~"[[:alpha:]]$", b="$unknown"}"#);
        assert_eq!(filled("x{a=\"$gone\"}"), "error $gone has no value");
        assert_eq!(filled("$"), "$");
    }
}
