//! `filter_path`: as much of an answer as the client wants.
//!
//! Paths are divided by commas, their parts by dots; `*` in a part is anything, the part `**` any number of parts, and
//! a path behind `-` is left out. Lists are passed through: a path is about what is in them.

use elastic::pattern::Glob;
use serde_json::{Map, Value};

/// More paths or parts than this are no wish of a client.
const MAX_PATHS: usize = 64;
const MAX_PARTS: usize = 32;

pub fn apply(value: Value, paths: &str) -> Value {
    let (mut wanted, mut unwanted) = (Vec::new(), Vec::new());
    for path in paths.split(',').map(str::trim).filter(|p| !p.is_empty()).take(MAX_PATHS) {
        match path.strip_prefix('-') {
            Some(path) => unwanted.push(parts(path)),
            None => wanted.push(parts(path)),
        }
    }
    let mut value = value;
    if !wanted.is_empty() {
        value = keep(value, &wanted).unwrap_or(Value::Object(Map::new()));
    }
    if !unwanted.is_empty() {
        value = leave_out(value, &unwanted).unwrap_or(Value::Object(Map::new()));
    }
    value
}

type Path<'a> = Vec<&'a str>;

fn parts(path: &str) -> Path<'_> {
    path.split('.').take(MAX_PARTS).collect()
}

/// What is left of the paths below `key`; an empty one names what is there as a whole.
fn below<'a>(paths: &[Path<'a>], key: &str) -> Vec<Path<'a>> {
    let mut out: Vec<Path<'a>> = Vec::new();
    let mut add = |p: Path<'a>| {
        if !out.contains(&p) {
            out.push(p);
        }
    };
    for path in paths {
        match path.split_first() {
            Some((&"**", rest)) => {
                add(path.clone());
                if let Some((first, rest)) = rest.split_first()
                    && matches(first, key)
                {
                    add(rest.to_vec());
                } else if rest.is_empty() {
                    add(Vec::new());
                }
            }
            Some((first, rest)) if matches(first, key) => add(rest.to_vec()),
            _ => {}
        }
    }
    out
}

fn keep(value: Value, paths: &[Path<'_>]) -> Option<Value> {
    if paths.iter().any(Vec::is_empty) {
        return Some(value);
    }
    match value {
        Value::Object(all) => {
            let left = all.into_iter().filter_map(|(k, v)| {
                let paths = below(paths, &k);
                if paths.is_empty() { None } else { Some((k, keep(v, &paths)?)) }
            });
            let left: Map<String, Value> = left.collect();
            (!left.is_empty()).then_some(Value::Object(left))
        }
        Value::Array(all) => {
            let left: Vec<Value> = all.into_iter().filter_map(|v| keep(v, paths)).collect();
            (!left.is_empty()).then_some(Value::Array(left))
        }
        _ => None,
    }
}

fn leave_out(value: Value, paths: &[Path<'_>]) -> Option<Value> {
    if paths.iter().any(Vec::is_empty) {
        return None;
    }
    Some(match value {
        Value::Object(all) => Value::Object(
            all.into_iter()
                .filter_map(|(k, v)| {
                    let paths = below(paths, &k);
                    Some((k, leave_out(v, &paths)?))
                })
                .collect(),
        ),
        Value::Array(all) => Value::Array(all.into_iter().filter_map(|v| leave_out(v, paths)).collect()),
        other => other,
    })
}

fn matches(pattern: &str, key: &str) -> bool {
    Glob::new(pattern).matches(key)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_a_shipper_asks_for_is_what_it_gets() {
        let answer = json!({"took": 1, "errors": true, "items": [
            {"create": {"_index": "a", "status": 201}},
            {"create": {"_index": "a", "status": 400, "error": {"type": "x", "reason": "y"}}},
        ]});
        let got = apply(answer.clone(), "errors,items.*.error,items.*.status,items.*.failure_store");
        assert_eq!(
            got,
            json!({"errors": true, "items": [
                {"create": {"status": 201}},
                {"create": {"status": 400, "error": {"type": "x", "reason": "y"}}},
            ]})
        );
        assert_eq!(apply(answer.clone(), "-items"), json!({"took": 1, "errors": true}));
        assert_eq!(apply(answer.clone(), "**.reason")["items"][0]["create"]["error"]["reason"], "y");
        assert_eq!(apply(answer, "nothing"), json!({}));
    }

    #[test]
    fn a_star_is_any_part_of_a_name() {
        assert!(matches("_ind*", "_index") && matches("*", "x") && matches("a*c*e", "abcde"));
        assert!(!matches("a*c", "ab") && !matches("ab", "abc"));
    }
}
