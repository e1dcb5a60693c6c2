use proptest::prelude::*;

use super::*;

fn flat(text: &str) -> (Vec<(String, String)>, Scan<()>) {
    let mut out = Vec::new();
    let done = flatten(text, &mut |k, v| out.push((k.to_owned(), v.to_owned())));
    (out, done)
}

#[test]
fn nested_names_are_joined_numbers_keep_their_text_and_arrays_are_left_out() {
    let (found, done) = flat(r#" {"a":{"b.c":1.50,"d":[1]},"e":"x\/\ud83d\ude00","f":null,"9":true} rest"#);
    let found: Vec<_> = found.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
    assert_eq!(found, [("a_b_c", "1.50"), ("e", "x/\u{1f600}"), ("f", ""), ("_9", "true")]);
    assert_eq!(done, Ok(()));
}

#[test]
fn what_stands_before_a_mistake_is_handed_over() {
    for text in
        [r#"{"a":1,"b":}"#, r#"{"a":1 "b"}"#, r#"{"a":1,"b":"open"#, r#"{"a":1,"#, r#"{"a":1,"b":nul}"#]
    {
        let (found, done) = flat(text);
        assert_eq!(found, [("a".to_owned(), "1".to_owned())], "{text}");
        assert!(done.is_err(), "{text}");
    }
    for text in ["", "[]", "12", "\"a\"", "plain"] {
        assert!(flat(text).1.is_err(), "{text}");
    }
}

#[test]
fn nesting_beyond_the_bound_is_an_error() {
    let deep = format!("{}1{}", "{\"a\":".repeat(200), "}".repeat(200));
    assert!(flat(&deep).1.unwrap_err().contains("nested deeper"));
    let wide = "[".repeat(100_000);
    assert!(flat(&format!("{{\"a\":{wide}")).1.is_err());
}

#[test]
fn paths_name_keys_and_places() {
    let text = r#"{"a":{"b":[10,{"c d":"x"}]},"q":"\"s\""}"#;
    for (path, want) in [
        ("a.b[0]", Some("10")),
        (r#"a.b[1]["c d"]"#, Some("x")),
        (r#"["a"].b"#, Some(r#"[10,{"c d":"x"}]"#)),
        ("q", Some("\"s\"")),
        ("a.b[7]", None),
        ("a.x.y", None),
    ] {
        let found = Path::parse(path).unwrap().find(text).unwrap();
        assert_eq!(found.map(|v| v.text().into_owned()).as_deref(), want, "{path}");
    }
    for bad in ["", "a..b", "a[", "a[x]", ".a", "a b", "[\"a\"", "a[-1]"] {
        assert!(Path::parse(bad).is_err(), "{bad}");
    }
}

proptest! {
    #[test]
    fn scalars_of_any_object_are_found_as_a_full_parser_finds_them(
        pairs in prop::collection::btree_map("[a-z]{1,5}", prop_oneof![
            any::<i32>().prop_map(serde_json::Value::from),
            "\\PC{0,8}".prop_map(serde_json::Value::from),
            any::<bool>().prop_map(serde_json::Value::from),
        ], 0..6)
    ) {
        let text = serde_json::to_string(&pairs).unwrap();
        let want: Vec<(String, String)> = pairs.iter().map(|(k, v)| {
            (k.clone(), v.as_str().map_or_else(|| v.to_string(), str::to_owned))
        }).collect();
        prop_assert_eq!(flat(&text), (want, Ok(())));
    }

    #[test]
    fn no_text_makes_the_scanner_panic(text in "[{}\\[\\]\":,a0\\\\ud8.é-]{0,60}", path in "[a-z.\\[\\]\"0-9]{0,12}") {
        let _ = flat(&text);
        if let Ok(p) = Path::parse(&path) {
            let _ = p.find(&text);
        }
    }
}
