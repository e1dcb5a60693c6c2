use super::*;

#[test]
fn every_condition_comes_back_as_it_was_sent() {
    let key = |scope| SpanField::Attribute(scope, "k".to_owned());
    let fields = intrinsics().map(|(f, _)| f).into_iter().chain(SpanScope::ALL.map(key));
    let pattern = || SpanPattern::new("a|b").unwrap();
    let mut tests = vec![
        SpanTest::Exists,
        SpanTest::Absent,
        SpanTest::Matches(pattern()),
        SpanTest::MatchesNot(pattern()),
    ];
    let values = [
        SpanValue::Text("x".into()),
        SpanValue::Int(-3),
        SpanValue::Float(0.5),
        SpanValue::Bool(true),
        SpanValue::Status(StatusCode::Error),
        SpanValue::Kind(SpanKind::Consumer),
    ];
    for (how, _) in COMPARISONS {
        tests.extend(values.iter().map(|v| SpanTest::Is(how, v.clone())));
    }
    let any_of: Vec<Vec<SpanCondition>> = fields
        .map(|f| tests.iter().map(|t| SpanCondition::new(f.clone(), t.clone())).collect())
        .chain([vec![]])
        .collect();
    assert_eq!(any_of_from(any_of_to(&any_of)).unwrap(), any_of);
}

#[test]
fn what_this_version_does_not_know_is_refused_and_said() {
    let refused =
        |c: pb::SpanCondition| any_of_from(vec![pb::SpanConditions { all: vec![c] }]).unwrap_err().message;
    let known = condition_to(&SpanCondition::new(SpanField::Name, SpanTest::Exists));
    assert!(refused(pb::SpanCondition { test: None, ..known.clone() }).contains("a condition on spans"));
    let field = Some(pb::SpanField { field: Some(pb::span_field::Field::Intrinsic(99)) });
    assert!(refused(pb::SpanCondition { field, ..known.clone() }).contains("a field of spans"));
    let test = Some(pb::span_condition::Test::Matches("(".into()));
    assert!(refused(pb::SpanCondition { test, ..known.clone() }).contains("not valid"));
    let many = vec![pb::SpanConditions { all: vec![known; MAX_CONDITIONS] }];
    assert!(any_of_from(many).unwrap_err().message.contains("at most"));
}

#[test]
fn whoever_says_nothing_of_parts_gets_spans_whole() {
    assert_eq!(parts_from(None), SpanParts::everything());
    let some = SpanParts { attributes: Some(["a".to_owned()].into()), events: false, links: true };
    for parts in [SpanParts::everything(), SpanParts::least(), some] {
        assert_eq!(parts_from(Some(parts_to(&parts))), parts);
    }
}
