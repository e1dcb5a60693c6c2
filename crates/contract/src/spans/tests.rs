use model::{
    Attributes, SpanEvent, SpanLink,
    attributes::{Resource, Scope},
    span::SpanStatus,
};

use super::*;

fn span() -> (Span, SpanOrigin) {
    let event = |name: &str, at: i64, key: &str| SpanEvent {
        timestamp_ns: at,
        name: name.into(),
        attributes: Attributes::from_iter([(key, "boom")]),
        ..SpanEvent::default()
    };
    let link = SpanLink {
        trace_id: [0xab; 16],
        attributes: Attributes::from_iter([("why", "retry")]),
        ..SpanLink::default()
    };
    let span = Span {
        trace_id: [1; 16],
        span_id: [2; 8],
        name: "GET /".into(),
        kind: SpanKind::Server,
        start_ns: 1000,
        end_ns: 5000,
        attributes: Attributes(vec![
            ("code".into(), AnyValue::Int(500)),
            ("ratio".into(), AnyValue::Double(0.5)),
            ("ok".into(), AnyValue::Bool(false)),
            ("route".into(), "/".into()),
            ("route".into(), "/again".into()),
            ("tags".into(), AnyValue::Array(vec!["x".into(), AnyValue::Int(7)])),
            ("empty".into(), AnyValue::Array(Vec::new())),
            ("raw".into(), AnyValue::Bytes(vec![1])),
        ]),
        events: vec![event("exception", 1500, "type"), event("log", 2000, "type")],
        links: vec![link],
        status: SpanStatus { code: StatusCode::Error, message: "no".into() },
        ..Span::default()
    };
    let origin = SpanOrigin {
        resource: Resource {
            attributes: Attributes::from_iter([("service.name", "web"), ("route", "res")]),
            ..Resource::default()
        },
        scope: Scope {
            name: "lib".into(),
            attributes: Attributes::from_iter([("team", "a")]),
            ..Scope::default()
        },
    };
    (span, origin)
}

fn attribute(scope: SpanScope, key: &str) -> SpanField {
    SpanField::Attribute(scope, key.to_owned())
}

fn holds(field: SpanField, test: SpanTest) -> bool {
    let (span, origin) = span();
    SpanCondition::new(field, test).passes(&span, &origin)
}

fn text(t: &str) -> SpanValue {
    SpanValue::Text(t.to_owned())
}

#[test]
fn attributes_are_found_where_they_are_asked_for() {
    use SpanScope::{Any, Event, Instrumentation, Link, Resource, Span};
    let is = |scope, key, value| {
        holds(attribute(scope, key), SpanTest::Is(Comparison::Equal, SpanValue::Text(String::from(value))))
    };
    assert!(is(Span, "route", "/") && is(Span, "route", "/again") && !is(Span, "route", "res"));
    assert!(is(Resource, "route", "res") && !is(Resource, "route", "/"));
    assert!(is(Any, "route", "res") && is(Any, "route", "/"));
    assert!(is(Event, "type", "boom") && is(Any, "type", "boom") && !is(Span, "type", "boom"));
    assert!(is(Link, "why", "retry") && is(Any, "why", "retry"));
    assert!(is(Instrumentation, "team", "a") && is(Any, "team", "a") && !is(Resource, "team", "a"));
    assert!(
        holds(attribute(Span, "nothing"), SpanTest::Absent)
            && holds(attribute(Span, "raw"), SpanTest::Exists)
    );
    assert!(
        !holds(attribute(Any, "team"), SpanTest::Absent) && holds(attribute(Span, "team"), SpanTest::Absent)
    );
}

#[test]
fn values_compare_by_type_and_numbers_as_numbers() {
    use Comparison::{Equal, Greater, GreaterOrEqual, Less, LessOrEqual, NotEqual};
    let code = |how, v| holds(attribute(SpanScope::Span, "code"), SpanTest::Is(how, v));
    assert!(code(Equal, SpanValue::Int(500)) && code(Equal, SpanValue::Float(500.0)));
    assert!(code(Greater, SpanValue::Float(499.5)) && !code(Greater, SpanValue::Int(500)));
    assert!(code(LessOrEqual, SpanValue::Int(500)) && code(GreaterOrEqual, SpanValue::Int(500)));
    assert!(!code(Equal, text("500")) && !code(NotEqual, text("500")), "another type is neither");
    assert!(code(NotEqual, SpanValue::Float(f64::NAN)) && !code(Less, SpanValue::Float(f64::NAN)));
    let is = |field, how, v| holds(field, SpanTest::Is(how, v));
    assert!(is(attribute(SpanScope::Span, "ratio"), Less, SpanValue::Int(1)));
    assert!(is(attribute(SpanScope::Span, "ok"), Equal, SpanValue::Bool(false)));
    assert!(is(SpanField::Status, Equal, SpanValue::Status(StatusCode::Error)));
    assert!(!is(SpanField::Status, GreaterOrEqual, SpanValue::Status(StatusCode::Ok)));
    assert!(is(SpanField::Kind, NotEqual, SpanValue::Kind(SpanKind::Client)));
    assert!(is(SpanField::Duration, GreaterOrEqual, SpanValue::Int(4000)));
    assert!(is(SpanField::Root, Equal, SpanValue::Bool(true)));
    assert!(is(SpanField::EventOffset, Equal, SpanValue::Int(1000)));
    assert!(is(SpanField::LinkTraceId, Equal, text(&"ab".repeat(16))));
    assert!(is(SpanField::TraceId, Equal, text(&"01".repeat(16))));
    assert!(holds(SpanField::ParentId, SpanTest::Absent));
}

#[test]
fn of_a_list_one_element_is_enough_and_an_empty_one_differs_from_everything() {
    let tags = |test| holds(attribute(SpanScope::Span, "tags"), test);
    let empty = |test| holds(attribute(SpanScope::Span, "empty"), test);
    assert!(tags(SpanTest::Is(Comparison::Equal, text("x"))));
    assert!(tags(SpanTest::Is(Comparison::Greater, SpanValue::Int(6))));
    assert!(!tags(SpanTest::Is(Comparison::NotEqual, text("x"))));
    assert!(empty(SpanTest::Is(Comparison::NotEqual, text("x"))) && empty(SpanTest::Exists));
    assert!(!empty(SpanTest::Is(Comparison::Equal, text("x"))));
    let pattern = |p| SpanPattern::new(p).unwrap();
    assert!(tags(SpanTest::Matches(pattern("x|y"))) && !tags(SpanTest::MatchesNot(pattern("."))));
    assert!(empty(SpanTest::MatchesNot(pattern(".*"))));
    assert!(SpanPattern::new("(").unwrap_err().message.contains('('));
}

#[test]
fn patterns_match_whole_texts() {
    let name = |p: &str| holds(SpanField::Name, SpanTest::Matches(SpanPattern::new(p).unwrap()));
    assert!(name("GET.*") && !name("GET") && name("POST|GET /"));
    let code = attribute(SpanScope::Span, "code");
    assert!(!holds(code, SpanTest::MatchesNot(SpanPattern::new("x").unwrap())), "a number is no text");
}

#[test]
fn one_alternative_is_enough_and_none_asks_for_nothing() {
    let (span, origin) = span();
    let (yes, no) = (
        SpanCondition::new(SpanField::Name, SpanTest::Exists),
        SpanCondition::new(SpanField::Name, SpanTest::Absent),
    );
    let passes = |any_of: &[Vec<SpanCondition>]| passes_any(any_of, &span, &origin);
    assert!(passes(&[]) && passes(&[vec![]]) && passes(&[vec![no.clone()], vec![yes.clone()]]));
    assert!(!passes(&[vec![yes, no.clone()], vec![no]]));
}

#[test]
fn what_is_not_wanted_is_taken_off() {
    let (mut one, _) = span();
    SpanParts { attributes: Some(["code".to_owned()].into()), events: true, links: false }.trim(&mut one);
    assert_eq!((one.attributes.len(), one.events.len(), one.links.len()), (1, 2, 0));
    let (mut whole, _) = span();
    SpanParts::everything().trim(&mut whole);
    assert_eq!(whole, span().0);
}
