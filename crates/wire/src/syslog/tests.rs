use proptest::prelude::*;

use super::*;

/// 2023-11-14T22:13:20Z.
const NOW: i64 = 1_700_000_000_000_000_000;

fn one(text: &str) -> (LogStream, LogRecord, u64) {
    let out = decode([text.as_bytes()].into_iter(), NOW, &Limits::default());
    let batch = out.decoded.batch;
    (batch.streams[0].clone(), batch.records[0].clone(), out.malformed)
}

#[test]
fn a_message_of_rfc_5424_is_read_with_its_structured_data() {
    let (stream, record, malformed) = one(
        "<165>1 2003-10-11T22:14:15.003Z mymachine.example.com evntslog 77 ID47 \
         [exampleSDID@32473 iut=\"3\" eventSource=\"App \\\"x\\\" \\] y\"][examplePriority@32473 class=\"high\"] \
         \u{feff}An application event",
    );
    assert_eq!(malformed, 0);
    assert_eq!(
        stream.labels.to_string(),
        r#"{facility="local4", host_name="mymachine.example.com", service_name="evntslog"}"#
    );
    assert_eq!(record.timestamp_ns, 1_065_910_455_003_000_000);
    assert_eq!((record.severity_number, record.severity_text.as_str()), (10, "notice"));
    assert_eq!(record.body, AnyValue::from("An application event"));
    assert_eq!(
        AnyValue::Map(record.attributes).to_string(),
        r#"{"proc_id":"77","msg_id":"ID47","exampleSDID@32473":{"iut":"3","eventSource":"App \"x\" ] y"},"examplePriority@32473":{"class":"high"}}"#
    );
    let (stream, record, _) = one("<0>1 - - - - - -");
    assert_eq!(stream.labels.to_string(), r#"{facility="kern", service_name="unknown_service"}"#);
    assert_eq!((record.timestamp_ns, record.body), (NOW, AnyValue::from("")));
}

#[test]
fn a_message_of_rfc_3164_is_read_in_the_year_nearest_to_now() {
    let (stream, record, _) = one("<34>Oct 11 22:14:15 mymachine su[231]: 'su root' failed on /dev/pts/8");
    assert_eq!(stream.labels.to_string(), r#"{facility="auth", host_name="mymachine", service_name="su"}"#);
    assert_eq!(record.timestamp_ns, dates::parse("2023-10-11T22:14:15Z").unwrap().ns);
    assert_eq!(record.body, AnyValue::from("'su root' failed on /dev/pts/8"));
    assert_eq!(record.attributes.get_str("proc_id"), Some("231"));
    let (_, record, _) = one("<13>Jan  3 01:00:00 h a: new year");
    assert_eq!(record.timestamp_ns, dates::parse("2024-01-03T01:00:00Z").unwrap().ns);
    let (stream, record, _) = one("<13>2023-11-14T22:13:19.5+00:00 h app: x");
    assert_eq!((stream.labels.value("host_name"), record.timestamp_ns), ("h", NOW - 500_000_000));
    let (stream, record, _) = one("<13>cron: no time");
    assert_eq!((stream.labels.value("service_name"), record.body), ("cron", AnyValue::from("no time")));
}

#[test]
fn what_is_no_syslog_is_kept_as_it_came_and_counted() {
    for text in ["plain text", "<999>x", "<13", "<13>1 yesterday h a - - - x", "<13>1 - h a - - [x y", "<a>x"]
    {
        let (stream, record, malformed) = one(text);
        assert_eq!((malformed, &record.body), (1, &AnyValue::from(text)), "{text}");
        assert_eq!(stream.labels.to_string(), r#"{service_name="unknown_service"}"#);
        assert_eq!((record.timestamp_ns, record.severity_number), (NOW, 0));
    }
}

#[test]
fn messages_of_one_origin_are_one_stream_and_a_long_one_harms_itself_only() {
    let long = format!("<13>1 - h a - - - {}", "x".repeat((1 << 20) + 1));
    let all = ["<13>1 - h a - - - 1", long.as_str(), "<14>1 - h a 9 - - 2", "<13>1 - h b - - - 3"];
    let out = decode(all.iter().map(|m| m.as_bytes()), NOW, &Limits::default());
    assert_eq!(out.decoded.batch.streams.len(), 2);
    assert_eq!(out.decoded.batch.records.len(), 3);
    assert_eq!(out.decoded.refused.total(), 1);
    assert!(!out.decoded.all_timed);
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..120), odd in "<[0-9]{0,4}>1? ?[A-Za-z0-9:\\[\\]\"=\\\\ -]{0,80}") {
        for m in [bytes.as_slice(), odd.as_bytes()] {
            let out = decode([m].into_iter(), NOW, &Limits::default());
            prop_assert_eq!(out.decoded.batch.records.len() as u64 + out.decoded.refused.total(), 1);
        }
    }
}
