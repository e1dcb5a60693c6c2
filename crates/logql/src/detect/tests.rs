use proptest::prelude::*;

use super::*;
use crate::Entry;

type Fields<'a> = &'a [(&'a str, &'a str)];

fn entries(lines: &[(&str, Fields<'_>, Fields<'_>)]) -> Vec<StreamEntries> {
    let entry = |(line, structured, parsed): &(&str, Fields<'_>, Fields<'_>)| Entry {
        ts_ns: 0,
        line: (*line).to_owned(),
        structured: Labels::from_pairs(structured.iter().copied()),
        parsed: Labels::from_pairs(parsed.iter().copied()),
    };
    let labels = Labels::from_pairs([("app", "shop")]);
    vec![StreamEntries { labels, entries: lines.iter().map(entry).collect() }]
}

fn of(line: &str) -> BTreeMap<String, Field> {
    fields(&entries(&[(line, &[], &[])]), 100)
}

#[test]
fn fields_of_json_have_a_path_and_a_kind() {
    let found =
        of(r#"{"a": {"b.c": 5}, "t": "12ms", "size": "3KB", "ok": true, "x": 1.5, "list": [1], "n": "q"}"#);
    let kinds: Vec<_> = found.iter().map(|(n, f)| (n.as_str(), f.kind.as_str())).collect();
    let want = [
        ("a_b_c", "int"),
        ("n", "string"),
        ("ok", "boolean"),
        ("size", "bytes"),
        ("t", "duration"),
        ("x", "float"),
    ];
    assert_eq!(kinds, want);
    assert_eq!(found["a_b_c"].json_path, ["a", "b.c"]);
    assert!(found.values().all(|f| f.parsers == BTreeSet::from(["json"])));
}

#[test]
fn fields_of_logfmt_move_aside_for_labels() {
    let found = of(r#"app=other level=info msg="a b" broken"#);
    assert_eq!(found.keys().collect::<Vec<_>>(), ["app_extracted", "level", "msg"]);
    assert_eq!(found["msg"].values, BTreeSet::from(["a b".to_owned()]));
    assert_eq!(found["level"].parsers, BTreeSet::from(["logfmt"]));
}

#[test]
fn structured_metadata_and_what_a_query_parsed_have_no_parser() {
    let all = entries(&[
        ("GET /x 200", &[("trace_id", "a")], &[("method", "GET"), ("__error__", "E")]),
        ("GET /x 200", &[("trace_id", "b")], &[("method", "PUT")]),
        (r#"{"n": 1}"#, &[], &[("n", "1")]),
        (r#"{"n": 1.5}"#, &[], &[("n", "1.5")]),
        (r#"{"n": 1"#, &[], &[]),
    ]);
    let found = fields(&all, 100);
    assert_eq!(found.keys().collect::<Vec<_>>(), ["method", "n", "trace_id"]);
    assert_eq!((found["trace_id"].values.len(), found["trace_id"].parsers.len()), (2, 0));
    assert!(found["method"].parsers.is_empty());
    assert_eq!((found["n"].kind, found["n"].values.len()), (Kind::Float, 2));
    assert_eq!(fields(&all, 1).len(), 1, "no more than asked for");
}

proptest! {
    #[test]
    fn any_line_is_taken(line in "\\PC*|[{}\":,=a-z0-9 \\[\\]\\\\]*") {
        let found = of(&line);
        prop_assert!(found.values().all(|f| !f.values.is_empty()));
    }
}
