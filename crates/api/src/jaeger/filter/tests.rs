use model::{AnyValue, SpanStatus, StatusCode};

use super::*;

fn span() -> (Span, SpanOrigin) {
    let mut origin = SpanOrigin::default();
    origin.resource.attributes = Attributes::from_iter([("service.name", "web"), ("env", "prod")]);
    origin.scope.name = "lib".to_owned();
    let mut span = Span {
        trace_id: [0xab; 16],
        name: "GET /".to_owned(),
        kind: SpanKind::Server,
        start_ns: 1_000_000_000,
        end_ns: 3_500_000_000,
        status: SpanStatus { code: StatusCode::Error, message: String::new() },
        ..Span::default()
    };
    span.attributes = Attributes::from_iter([
        ("code", AnyValue::Int(500)),
        ("text", "500".into()),
        ("rate", AnyValue::Double(0.5)),
        ("ok", AnyValue::Bool(true)),
    ]);
    for (name, at, value) in [("retry", 1_000_000_100, 1), ("exception", 1_000_000_010, 2)] {
        let attributes = Attributes::from_iter([("n", AnyValue::Int(value))]);
        span.events.push(SpanEvent {
            timestamp_ns: at,
            name: name.to_owned(),
            attributes,
            dropped_attributes: 0,
        });
    }
    (span, origin)
}

/// `op(a, b, …)` with `"text"` or `"text":type` constants, `[a b]:type` lists, `level.name` fields, `@level.key` or
/// `@.key` attributes, and `event` and `link` for what `some` quantifies over.
fn json(text: &str) -> String {
    fn value(text: &str) -> serde_json::Value {
        let text = text.trim();
        let typed = |text: &str| match text.rsplit_once(':') {
            Some((v, t)) => (v.to_owned(), t.to_owned()),
            None => (text.to_owned(), String::new()),
        };
        if let Some((op, rest)) = text.split_once('(')
            && !text.starts_with('"')
        {
            let inner = rest.strip_suffix(')').unwrap();
            let (mut args, mut depth, mut from) = (Vec::new(), 0, 0);
            for (i, c) in inner.char_indices() {
                match c {
                    '(' | '[' => depth += 1,
                    ')' | ']' => depth -= 1,
                    ',' if depth == 0 => {
                        args.push(value(&inner[from..i]));
                        from = i + 1;
                    }
                    _ => {}
                }
            }
            args.push(value(&inner[from..]));
            return serde_json::json!({"call": {"op": op, "args": args}});
        }
        if text.starts_with('"') {
            let (v, t) = match text.strip_suffix('"') {
                Some(v) => (v.to_owned(), String::new()),
                None => typed(text),
            };
            return serde_json::json!({"scalar": {"value": v.trim_matches('"'), "type": t}});
        }
        if text.starts_with('[') {
            let (v, t) = if text.ends_with(']') { (text.to_owned(), String::new()) } else { typed(text) };
            let values: Vec<_> = v.trim_matches(['[', ']']).split_whitespace().collect();
            return serde_json::json!({"list": {"values": values, "type": t}});
        }
        match text.strip_prefix('@') {
            Some(attribute) => {
                let (level, key) = attribute.split_once('.').unwrap();
                serde_json::json!({"attr": {"key": key, "level": level}})
            }
            None => match text.split_once('.') {
                Some((level, name)) => serde_json::json!({"field": {"name": name, "level": level}}),
                None => serde_json::json!({"nested": {"level": text}}),
            },
        }
    }
    value(text)["call"].to_string()
}

#[test]
fn filters_mean_what_they_say() {
    let (span, origin) = span();
    for (text, passes) in [
        (r#"eq(@.code, "500")"#, true),
        (r#"eq(@.code, "500":int)"#, true),
        (r#"eq(@.code, "500":string)"#, false),
        (r#"eq(@.text, "500":string)"#, true),
        (r#"eq(@.text, "500":int)"#, false),
        (r#"gte(@.code, "400")"#, true),
        (r#"lt("400", @.code)"#, true),
        (r#"gt("400", @.code)"#, false),
        (r#"gt(@.rate, "0.4":double)"#, true),
        (r#"eq(@.ok, "true":bool)"#, true),
        (r#"eq(@.env, "prod")"#, true),
        (r#"eq(@span.env, "prod")"#, false),
        (r#"eq(@resource.env, "prod")"#, true),
        (r#"ne(@.env, "dev")"#, true),
        (r#"ne(@.absent, "dev")"#, false),
        (r#"not(eq(@.absent, "dev"))"#, true),
        (r#"in(@.code, [500 503]:int)"#, true),
        (r#"not_in(@.code, [500 503]:int)"#, false),
        (r#"not_in(@.absent, [1]:int)"#, false),
        ("exists(@.code)", true),
        ("exists(@event.n)", true),
        ("exists(@link.n)", false),
        ("exists(span.statusMessage)", false),
        (r#"gt(span.duration, "2s")"#, true),
        (r#"gt(span.duration, "2.5s")"#, false),
        (r#"gte(span.startTime, "1970-01-01T00:00:01Z")"#, true),
        ("lt(span.startTime, span.endTime)", true),
        (r#"eq(span.status, "error")"#, true),
        (r#"eq(span.kind, "client")"#, false),
        (r#"eq(resource.service, "web")"#, true),
        (r#"eq(scope.name, "lib")"#, true),
        (r#"eq(span.traceID, "abababababababababababababababab")"#, true),
        (r#"regex(span.name, "^GET")"#, true),
        (r#"regex(span.name, "^/")"#, false),
        // Each of some event, but of no one event.
        (r#"and(eq(event.name, "exception"), gt(event.timeSinceStart, "50ns"))"#, true),
        (r#"some(event, and(eq(event.name, "exception"), gt(event.timeSinceStart, "50ns")))"#, false),
        (r#"some(event, and(eq(event.name, "retry"), eq(@event.n, "1"), eq(@.code, "500")))"#, true),
        (r#"some(link, exists(link.traceID))"#, false),
        (r#"or(eq(span.name, "x"), and(exists(@.ok), not(eq(@.ok, "false"))))"#, true),
    ] {
        let filter = Filter::from_json(&json(text)).unwrap_or_else(|e| panic!("{text}: {e}"));
        assert_eq!(filter.passes(&span, &origin), passes, "{text}");
    }
}

#[test]
fn what_makes_no_sense_is_refused() {
    for (text, why) in [
        (r#"matches(@.a, "b")"#, "unknown operator \"matches\""),
        (r#"eq(@.a)"#, "two arguments"),
        (r#"and(eq(@.a, "b"))"#, "two or more"),
        (r#"not("x")"#, "a predicate is expected"),
        (r#"eq(@other.a, "b")"#, "unknown level \"other\""),
        (r#"eq(span.colour, "b")"#, "no field \"colour\""),
        (r#"gt(span.duration, "long")"#, "not a duration"),
        (r#"gt(span.startTime, "noon")"#, "RFC 3339"),
        (r#"eq(span.kind, "boss")"#, "not a span kind"),
        (r#"eq(span.status, "bad")"#, "not a status"),
        (r#"eq(@.a, "x":int)"#, "not of type int"),
        (r#"eq(@.a, "x":date)"#, "unknown type"),
        ("eq(span.duration, span.name)", "different kinds"),
        (r#"regex(@.a, "(")"#, "regular expression"),
        ("in(@.a, [])", "not empty"),
        (r#"some(span, exists(@.a))"#, "not events or links"),
        (r#"some(event, some(event, exists(event.name)))"#, "some inside some"),
        (r#"eq(scope.schemaURL, "x")"#, "not kept"),
    ] {
        let e = Filter::from_json(&json(text)).err().unwrap_or_else(|| panic!("{text} passed")).to_string();
        assert!(e.contains(why), "{text}: {e}");
    }
    for text in [
        "",
        "5",
        "{\"op\":5}",
        "{\"op\":\"and\",\"args\":7}",
        "{\"op\":\"not\",\"args\":[{\"a\":1,\"b\":2}]}",
    ] {
        assert!(Filter::from_json(text).is_err(), "{text}");
    }
}

#[test]
fn what_columns_can_decide_is_told_and_nothing_that_is_not_necessary() {
    let of = |text: &str| Filter::from_json(&json(text)).unwrap().necessary();
    let all = of(
        r#"and(eq(resource.service, "web"), eq(span.name, "a"), gt(span.duration, "2s"), eq(span.kind, "server"), eq(span.status, "error"))"#,
    );
    assert_eq!(
        all,
        [
            SpanFilter::Service("web".to_owned()),
            SpanFilter::Name("a".to_owned()),
            SpanFilter::MinDurationNs(2_000_000_000),
            SpanFilter::Kind(SpanKind::Server),
            SpanFilter::Error(true),
        ]
    );
    assert!(of(r#"or(eq(span.name, "a"), eq(span.name, "b"))"#).is_empty());
    assert!(of(r#"not(eq(span.name, "a"))"#).is_empty());
}
