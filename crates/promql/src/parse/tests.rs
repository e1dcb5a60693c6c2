use proptest::prelude::*;

use super::*;
use crate::Experimental;

fn options() -> ParserOptions {
    ParserOptions { experimental: Experimental::all(), ..Default::default() }
}

fn error(text: &str) -> String {
    parse(text, &options()).unwrap_err().to_string()
}

#[test]
fn every_syntax_form_parses_and_survives_printing() {
    for text in [
        "up",
        "up{}",
        "{job=\"a\"}",
        "a:b",
        "sum",
        "sum + sum(sum)",
        "by",
        "offset offset 5m",
        "step",
        "start() + end()",
        "fill + fill",
        "anchored",
        "a and on() b",
        "a or ignoring(x) b unless c",
        "a atan2 b",
        "1 + 2m",
        "0x1f + 1_000",
        "-a ^ 2 ^ 3",
        "(a)",
        "\"x\"",
        "`x`",
        "a[5m]",
        "a[5m:1m]",
        "a[5m:] @ end() offset 1m",
        "a @ -1.5 offset -5m",
        "sum by (on, bool, group_left, start) (a)",
        "count_values(\"x\", a)",
        "quantile without (a) (0.5, b)",
        "time()",
        "label_join(a, \"b\", \"c\")",
        "a == bool 1",
        "a > bool ignoring(x) group_right(y) b",
        "a # comment\n + b",
        "sum(a) by (\"utf8 label\")",
        "{\"utf8.name\", \"utf8 label\"=~\"x.*\"}",
        "rate(a[5m] anchored)",
        "a smoothed",
        "a </ 5",
        "a >/ b",
        "limitk(1, a)",
        "limit_ratio by (x) (-0.5, a)",
        "a[(1h+30m)*2]",
        "a[max_of(step(), 5m)]",
        "a offset -step()",
        "a[range():step()/10]",
        "avg_over_time(rate(a[1m])[10m:1m] @ 100)",
        "Inf",
        "-inf",
        "NaN",
        "info(a, {k=~\".+\"})",
        "a\t+\r\nb",
        "sum(a)by(b)",
        "+a",
        "a @ 1e3",
        "a[1h][1h:1m]",
    ] {
        let parsed = parse(text, &options());
        if text == "a[1h][1h:1m]" {
            assert!(parsed.is_err());
            continue;
        }
        let e = parsed.unwrap_or_else(|e| panic!("{text}: {e}"));
        let printed = e.to_string();
        assert_eq!(parse(&printed, &options()).as_ref(), Ok(&e), "{text} printed as {printed}");
    }
}

#[test]
fn errors_name_the_place_and_the_reason_as_prometheus_does() {
    for (text, want) in [
        ("", "1:1: parse error: no expression found in input"),
        ("a +", "1:4: parse error: unexpected end of input"),
        ("(a", "1:3: parse error: unclosed left parenthesis"),
        ("a)", "1:2: parse error: unexpected right parenthesis ')'"),
        ("a{", "1:3: parse error: unexpected end of input inside braces"),
        ("a[5m", "1:5: parse error: unclosed left bracket"),
        ("a{b=c}", "1:5: parse error: unexpected identifier \"c\" in label matching, expected string"),
        ("foo(a)", "1:1: parse error: unknown function with name \"foo\""),
        ("sum()", "1:1: parse error: no arguments for aggregate expression provided"),
        (
            "rate(a)",
            "1:6: parse error: expected type range vector in call to function \"rate\", got instant vector",
        ),
        ("sum(1)", "1:5: parse error: expected type instant vector in aggregation expression, got scalar"),
        ("1 == 1", "1:3: parse error: comparisons between scalars must use BOOL modifier"),
        ("a + bool b", "1:3: parse error: bool modifier can only be used on comparison operators"),
        ("a and 1", "1:1: parse error: set operator \"and\" not allowed in binary scalar expression"),
        ("{x=~\".*\"}", "1:1: parse error: vector selector must contain at least one non-empty matcher"),
        ("a{__name__=\"b\"}", "1:1: parse error: metric name must not be set twice: \"a\" or \"b\""),
        ("a offset 1m offset 2m", "1:1: parse error: offset may not be set multiple times"),
        (
            "sum(a) offset 5m",
            "1:1: parse error: offset modifier must be preceded by an instant vector selector or range vector selector or a subquery",
        ),
        ("a[0s]", "1:3: parse error: duration must be greater than 0"),
        ("1[5m:]", "1:1: parse error: subquery is only allowed on instant vector, got scalar instead"),
        (
            "a + on(x) group_left(x) b",
            "1:3: parse error: label \"x\" must not occur in ON and GROUP clause at once",
        ),
        ("\na +\n  §", "3:3: parse error: unexpected character: '§'"),
        (
            "-\"x\"",
            "1:1: parse error: unary expression only allowed on expressions of type scalar or instant vector, got \"string\"",
        ),
        ("time(1)", "1:1: parse error: expected 0 argument(s) in call to \"time\", got 1"),
        ("round(a,1,2)", "1:1: parse error: expected at most 2 argument(s) in call to \"round\", got 3"),
        (
            "a[5m] + 1",
            "1:1: parse error: binary expression must contain only scalar and instant vector types",
        ),
        ("sum(a,)", "1:6: parse error: trailing commas not allowed in function call args"),
    ] {
        assert_eq!(error(text), want, "{text}");
    }
}

#[test]
fn experimental_parts_are_refused_until_enabled() {
    let off = ParserOptions::default();
    for (text, switch) in [
        ("limitk(1, a)", "functions"),
        ("limit_ratio(0.5, a)", "functions"),
        ("mad_over_time(a[5m])", "functions"),
        ("info(a)", "functions"),
        ("vector(step())", "functions"),
        ("a[5m+1m]", "durations"),
        ("a offset step()", "durations"),
        ("rate(a[5m] anchored)", "extended_selectors"),
        ("a smoothed", "extended_selectors"),
        ("a + fill(1) b", "fill"),
        ("a + fill_left(1) b", "fill"),
    ] {
        let refused = parse(text, &off).unwrap_err().to_string();
        let advice = format!("add {switch:?} to the configuration key promql.experimental");
        assert!(refused.contains(&advice), "{text}: {refused}");
        assert!(parse(text, &options()).is_ok(), "{text}");
    }
}

#[test]
fn deep_nesting_is_an_error_and_long_chains_are_not() {
    let deep = format!("{}1{}", "(".repeat(100_000), ")".repeat(100_000));
    assert!(error(&deep).contains("nests deeper than 200 levels"));
    assert!(error(&"(".repeat(100_000)).contains("nests deeper"));
    assert!(error(&"-".repeat(100_000)).contains("nests deeper"));
    assert!(error(&format!("1{}", " ^ 1".repeat(100_000))).contains("nests deeper"));
    assert!(error(&format!("a[{}", "(".repeat(100_000))).contains("nests deeper"));
    let fits = format!("{}a{}", "(".repeat(199), ")".repeat(199));
    assert!(parse(&fits, &options()).is_ok());

    let chain = format!("a{}", " + a".repeat(100_000));
    let e = parse(&chain, &options()).unwrap();
    assert_eq!(e.selectors().len(), 100_001);
    assert_eq!(e.value_type(), crate::ValueType::Vector);
    assert_eq!(e.to_string(), chain);
    assert_eq!(parse(&chain, &options()).unwrap(), e);
    let scalars = format!("1{}", " + 1".repeat(100_000));
    assert_eq!(parse(&scalars, &options()).unwrap().value_type(), crate::ValueType::Scalar);
}

#[test]
fn operators_bind_as_in_prometheus() {
    for (text, same) in [
        ("1 + 2 * 3", "1 + (2 * 3)"),
        ("2 ^ 3 ^ 2", "2 ^ (3 ^ 2)"),
        ("-2 ^ 2", "-(2 ^ 2)"),
        ("a - b - c", "(a - b) - c"),
        ("a or b and c", "a or (b and c)"),
        ("a + b == c", "(a + b) == c"),
        ("-a * b", "(-a) * b"),
    ] {
        let shape = |t: &str| {
            let e = parse(t, &options()).unwrap();
            let kinds: Vec<String> = e
                .nodes()
                .filter(|(_, n)| !matches!(n.kind, NodeKind::Paren(_)))
                .map(|(_, n)| match &n.kind {
                    NodeKind::Binary(b) => b.op.as_str().to_owned(),
                    NodeKind::Unary { .. } => "neg".to_owned(),
                    NodeKind::Number(n) => n.value.to_string(),
                    _ => "x".to_owned(),
                })
                .collect();
            kinds.join(" ")
        };
        assert_eq!(shape(text), shape(same), "{text}");
    }
}

fn token() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "a",
        "sum",
        "by",
        "without",
        "(",
        ")",
        "(",
        ")",
        "{",
        "}",
        "[",
        "]",
        ",",
        ":",
        "=",
        "=~",
        "!=",
        "!~",
        "\"x\"",
        "1",
        "5m",
        "0x1f",
        "1e5",
        "+",
        "-",
        "*",
        "/",
        "%",
        "^",
        "==",
        ">",
        "</",
        ">/",
        "and",
        "or",
        "unless",
        "atan2",
        "on",
        "ignoring",
        "group_left",
        "bool",
        "offset",
        "@",
        "start",
        "end",
        "step",
        "rate",
        "time",
        "limitk",
        "fill",
        "anchored",
        "smoothed",
        "max_of",
        "Inf",
        "NaN",
        "`",
        "#",
        "\n",
        "é",
        "topk",
        "5",
        "vector",
    ])
}

proptest! {
    #[test]
    fn random_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let text = String::from_utf8_lossy(&bytes);
        if let Err(e) = parse(&text, &options()) {
            prop_assert!(e.span.start <= text.len() && e.span.end <= text.len());
        }
    }

    #[test]
    fn what_parses_from_token_soup_prints_to_itself(tokens in prop::collection::vec(token(), 1..14)) {
        let text = tokens.join(" ");
        if let Ok(e) = parse(&text, &options()) {
            let printed = e.to_string();
            let again = parse(&printed, &options());
            prop_assert!(again.is_ok(), "{text:?} printed as {printed:?}: {again:?}");
            prop_assert_eq!(again.as_ref().ok(), Some(&e), "{:?} printed as {:?}", text, printed);
            let pretty = e.pretty();
            prop_assert_eq!(parse(&pretty, &options()).ok(), Some(e), "{:?} pretty as {:?}", text, pretty);
        }
    }
}
