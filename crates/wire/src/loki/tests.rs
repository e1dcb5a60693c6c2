use proptest::prelude::*;

use prost::Message as _;

use super::*;

fn json(body: &str) -> Decoded<LogBatch> {
    decode_json(body.as_bytes(), &Limits::default()).unwrap()
}

#[test]
fn a_json_push_keeps_labels_times_and_structured_metadata() {
    let d = json(
        r#"{"streams":[{"stream":{"app":"a","env":"é\n"},"values":[["1700000000000000001","line \"x\"",{"trace":"t1"}],
           ["5","second"]]},{"values":[[7,"n"]],"stream":{"app":"b"},"unknown":[1]}]}"#,
    );
    assert!(d.refused.is_empty());
    assert_eq!(d.batch.streams.len(), 2);
    assert_eq!(d.batch.streams[0].labels, Labels::from_pairs([("app", "a"), ("env", "é\n")]));
    let r = &d.batch.records[0];
    assert_eq!((r.timestamp_ns, r.body.as_str()), (1_700_000_000_000_000_001, Some("line \"x\"")));
    assert_eq!(r.attributes.get_str("trace"), Some("t1"));
    assert_eq!((d.batch.records[2].stream, d.batch.records[2].timestamp_ns), (1, 7));
}

#[test]
fn bad_entries_are_refused_one_by_one_and_bad_bodies_whole() {
    let long = "x".repeat(2 << 20);
    let d = json(&format!(
        r#"{{"streams":[{{"stream":{{"a":"b"}},"values":[["z","l"],["1","{long}"],["2","ok"]]}},{{"stream":{{}},"values":[["1","l"]]}}]}}"#
    ));
    assert_eq!(d.batch.records.len(), 1);
    let reasons: Vec<_> = d.refused.iter().map(|r| (r.reason, r.count, r.first)).collect();
    assert_eq!(
        reasons,
        [(Reason::InvalidItem, 1, 0), (Reason::TooLarge, 1, 1), (Reason::InvalidLabels, 1, 3)]
    );
    for bad in ["", "{", "[]", r#"{"streams":1}"#, r#"{"streams":[{"stream":{"a":"b"},"values":[["1"]]}]}"#] {
        assert!(decode_json(bad.as_bytes(), &Limits::default()).is_err(), "{bad}");
    }
}

#[test]
fn label_text_is_read_with_escapes() {
    let parse =
        |s| parse_labels(s).map(|p| p.into_iter().map(|(n, v)| format!("{n}={v}")).collect::<Vec<_>>());
    assert_eq!(
        parse(r#"{a="b", c="d\"\\\n\x41\u00e9\101", e=`r\aw`,}"#).unwrap(),
        ["a=b", "c=d\"\\\nAéA", "e=r\\aw"]
    );
    assert_eq!(parse("{}").unwrap(), [""; 0]);
    for bad in
        ["", "a", "{a}", "{a=b}", r#"{a="b"#, r#"{a="b"} x"#, r#"{a="\q"}"#, r#"{1="b"}"#, r#"{a="\xff"}"#]
    {
        assert!(parse(bad).is_err(), "{bad}");
    }
    assert_eq!(
        parse_labels(r#"{a="b" c="d"}"#).unwrap_err().to_string(),
        r#"stream labels {a="b" c="d"}: expected ',' or '}' at byte 7"#
    );
}

proptest! {
    #[test]
    fn random_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300), text in "[{}\\[\\]\":,a-z0-9\\\\]{0,200}") {
        let limits = Limits::default();
        let _ = decode_protobuf(&bytes, &limits);
        let _ = decode_json(&bytes, &limits);
        let _ = decode_json(text.as_bytes(), &limits);
        let _ = parse_labels(&text);
        let _ = parse_labels(&String::from_utf8_lossy(&bytes));
    }

    #[test]
    fn a_batch_written_as_protobuf_is_read_back(
        pairs in proptest::collection::btree_map("[a-z]{1,5}", ".{1,20}", 1..4),
        lines in proptest::collection::vec((any::<i64>(), ".{0,30}"), 1..5),
    ) {
        let labels = Labels::from_pairs(pairs);
        let batch = LogBatch {
            streams: vec![LogStream { labels, ..Default::default() }],
            records: lines
                .into_iter()
                .map(|(timestamp_ns, line)| LogRecord {
                    timestamp_ns,
                    body: AnyValue::String(line),
                    attributes: Attributes::from_iter([("k", "v")]),
                    ..Default::default()
                })
                .collect(),
        };
        // The time of the smallest seconds value does not fit back, so keep to what a sender can mean.
        let batch = LogBatch { records: batch.records.into_iter().filter(|r| r.timestamp_ns > i64::MIN + 2_000_000_000).collect(), ..batch };
        prop_assume!(!batch.records.is_empty());
        let bytes = encode(&batch).encode_to_vec();
        let d = decode_protobuf(&bytes, &Limits::default()).unwrap();
        prop_assert_eq!(d.batch, batch);
    }
}
