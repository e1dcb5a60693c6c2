use proptest::prelude::*;

use super::*;

fn read(text: &str) -> Result<SpanBatch, String> {
    serde_json::from_str::<Trace>(text).map_err(|e| e.to_string())?.read()
}

#[test]
fn a_trace_is_read_with_what_stands_in_tags() {
    let batch = read(
        r#"{"traceID":"ab","spans":[{"traceID":"ab","spanID":"1","flags":1,"operationName":"GET /","references":[
          {"refType":"CHILD_OF","traceID":"ab","spanID":"2"},{"refType":"FOLLOWS_FROM","traceID":"cd","spanID":"3"}],
          "startTime":1700000000000001,"duration":250,"tags":[
          {"key":"span.kind","type":"string","value":"server"},{"key":"error","type":"bool","value":true},
          {"key":"otel.status_description","type":"string","value":"boom"},{"key":"n","type":"int64","value":7},
          {"key":"otel.library.name","type":"string","value":"lib"}],
          "logs":[{"timestamp":1700000000000009,"fields":[{"key":"event","type":"string","value":"retry"},
          {"key":"try","type":"int64","value":2}]}],"processID":"p1","warnings":null}],
          "processes":{"p1":{"serviceName":"web","tags":[{"key":"host","type":"string","value":"h1"}]}},"warnings":null}"#,
    );
    let batch = batch.unwrap();
    let s = &batch.spans[0];
    assert_eq!((s.trace_id[15], s.span_id[7], s.parent_span_id[7]), (0xab, 1, 2));
    assert_eq!(
        (s.start_ns, s.end_ns, s.kind),
        (1_700_000_000_000_001_000, 1_700_000_000_000_251_000, SpanKind::Server)
    );
    assert_eq!((s.status.code, s.status.message.as_str()), (StatusCode::Error, "boom"));
    assert_eq!(s.attributes, Attributes::from_iter([("n", 7i64)]));
    assert_eq!((s.events[0].name.as_str(), s.links.len(), s.links[0].trace_id[15]), ("retry", 1, 0xcd));
    assert_eq!((batch.origins[0].service_name(), batch.origins[0].scope.name.as_str()), ("web", "lib"));
    assert_eq!(batch.origins[0].resource.attributes.get_str("host"), Some("h1"));
}

#[test]
fn an_id_that_is_none_is_named() {
    let e = read(r#"{"spans":[{"traceID":"xyz","spanID":"1","startTime":1,"duration":1}]}"#).unwrap_err();
    assert!(e.contains("xyz"), "{e}");
}

proptest! {
    #[test]
    fn random_texts_and_numbers_never_panic(
        trace in "[0-9a-gé]{0,40}", span in "[0-9a-f]{0,20}", start: i64, duration: i64, value in "[ -~]{0,9}",
    ) {
        let tag = serde_json::json!({"key": "span.kind", "type": value, "value": value});
        let span = serde_json::json!({"traceID": trace, "spanID": span, "startTime": start, "duration": duration, "tags": [tag]});
        let _ = read(&serde_json::json!({"spans": [span]}).to_string());
    }
}

#[test]
fn a_saved_answer_a_list_and_a_single_trace_are_read_alike() {
    let trace = r#"{"traceID":"ab","spans":[{"traceID":"ab","spanID":"1","startTime":1,"duration":1,"processID":"p1",
      "tags":[{"key":"blob","type":"binary","value":"AAEC"},{"key":"nan","type":"float64","value":"NaN"}],
      "references":[{"refType":"CHILD_OF","traceID":"cd","spanID":"9"}],"warnings":["odd"]},
      {"traceID":"zz","spanID":"1","startTime":1,"duration":1},{"traceID":"0","spanID":"1","startTime":1,"duration":1}],
      "processes":{"p1":{"serviceName":"web"}}}"#;
    for body in
        [trace.to_owned(), format!("[{trace}]"), format!(r#"{{"data":[{trace}],"total":0,"errors":null}}"#)]
    {
        let d = decode(body.as_bytes(), &Options::default()).unwrap();
        let s = &d.batch.spans[0];
        assert_eq!(s.attributes.get("blob"), Some(&AnyValue::Bytes(vec![0, 1, 2])));
        assert!(matches!(s.attributes.get("nan"), Some(AnyValue::Double(d)) if d.is_nan()));
        assert_eq!(s.attributes.get(WARNINGS).unwrap().to_string(), r#"["odd"]"#);
        assert_eq!(s.links[0].attributes.get_str(REF_TYPE), Some("child_of"));
        assert_eq!((d.batch.spans.len(), d.refused.total(), d.all_timed), (1, 2, true));
        assert!(d.refused.iter().next().unwrap().detail.contains("zz"));
    }
    assert!(decode(b"{\"data\": 5}", &Options::default()).is_err());
    assert!(decode(b"{}", &Options::default()).is_err());
}

#[test]
fn a_span_with_more_logs_than_are_taken_is_refused_by_itself() {
    let span = |id: u8, logs: usize| {
        serde_json::json!({"traceID": "ab", "spanID": format!("{id}"), "startTime": 1, "duration": 1,
            "logs": vec![serde_json::json!({"timestamp": 1}); logs]})
    };
    let mut options = Options::default();
    options.limits.max_span_children = 2;
    let body = serde_json::json!({"spans": [span(1, 3), span(2, 2)]}).to_string();
    let d = decode(body.as_bytes(), &options).unwrap();
    assert_eq!((d.batch.spans.len(), d.batch.spans[0].span_id[7], d.refused.total()), (1, 2, 1));
    assert_eq!(d.refused.iter().next().unwrap().reason, Reason::TooLarge);
}
