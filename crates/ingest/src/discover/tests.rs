use model::{Attributes, Labels};
use proptest::prelude::*;

use super::*;

const ALL: Discover = Discover { service_name: true, log_levels: true };

fn applied(labels: &[(&str, &str)], record: LogRecord) -> (Labels, LogRecord) {
    let stream = LogStream { labels: Labels::from_pairs(labels.iter().copied()), ..LogStream::default() };
    let mut batch = LogBatch { streams: vec![stream], records: vec![record] };
    apply(&mut batch, ALL);
    (batch.streams[0].labels.clone(), batch.records[0].clone())
}

fn line(text: &str) -> LogRecord {
    LogRecord { body: text.into(), ..LogRecord::default() }
}

fn level(text: &str) -> String {
    let (_, r) = applied(&[("a", "b")], line(text));
    r.attributes.get_str(DETECTED_LEVEL).unwrap_or_default().to_owned()
}

#[test]
fn a_stream_is_of_the_service_that_the_first_label_of_the_list_names() {
    let service = |labels: &[(&str, &str)]| applied(labels, line("x")).0.value(SERVICE_NAME).to_owned();
    assert_eq!(service(&[("service_name", "own"), ("app", "a")]), "own");
    assert_eq!(service(&[("job", "j"), ("container", "c"), ("app", "a")]), "a");
    assert_eq!(service(&[("job", "j"), ("container", "c")]), "c");
    assert_eq!(service(&[("zone", "z")]), "unknown_service");
    for name in SERVICE_LABELS {
        assert_eq!(service(&[(name, "found")]), "found", "{name}");
    }
}

#[test]
fn other_labels_stay_and_stay_in_order() {
    let (labels, _) = applied(&[("app", "a"), ("zone", "z")], line("x"));
    assert_eq!(labels.to_string(), r#"{app="a", service_name="a", zone="z"}"#);
}

#[test]
fn a_level_is_that_of_a_label_before_an_attribute_before_the_line() {
    let of = |labels: &[(&str, &str)], attributes: &[(&str, &str)], text: &str| {
        let attributes = Attributes::from_iter(attributes.iter().copied());
        let (_, r) = applied(labels, LogRecord { attributes, ..line(text) });
        r.attributes.get_str(DETECTED_LEVEL).unwrap_or_default().to_owned()
    };
    assert_eq!(of(&[("level", "WARNING")], &[("severity", "error")], "info"), "warn");
    assert_eq!(of(&[("a", "b")], &[("log.level", "ERR")], "info"), "error");
    assert_eq!(of(&[("a", "b")], &[("level", "notice")], "info"), "notice", "what is not known stays");
    assert_eq!(of(&[("a", "b")], &[("detected_level", "DBG")], "error"), "debug", "said by the sender");
}

#[test]
fn a_severity_number_says_it_by_itself() {
    let (_, r) = applied(&[("a", "b")], LogRecord { severity_number: 17, ..line("info") });
    assert!(r.attributes.is_empty());
    let (_, r) = applied(&[("a", "b")], LogRecord { severity_text: "Information".into(), ..line("error") });
    assert_eq!(r.attributes.get_str(DETECTED_LEVEL), Some("info"));
}

#[test]
fn the_level_of_a_line_is_in_its_field_or_its_words() {
    for (text, want) in [
        (r#"{"msg": "error", "level": "info"}"#, "info"),
        (r#"{"a": {"lvl": "DEBUG"}, "n": [ {"level": "error"} ]}"#, "debug"),
        (r#"{"a": {"b": {"level": "error"}}, "msg": "none"}"#, "error"),
        (r#"{"level": 30, "msg": "a \"warn\" inside"}"#, "warn"),
        (r#"{"level": "notice"}"#, "unknown"),
        (r#"ts=1 severity=error level=info msg="a b=c""#, "info"),
        (r#"ts=1 LEVEL="WARN" x=y"#, "warn"),
        ("a=b nothing here", "unknown"),
        ("2024-01-02 [ERROR] it failed", "error"),
        ("WARN: disk, no error yet", "error"),
        ("warning: disk", "warn"),
        ("informational", "unknown"),
        ("my_error_count", "unknown"),
        ("Fatal: gone", "fatal"),
        ("", "unknown"),
        ("{", "unknown"),
        (r#"{"level": "err"#, "error"),
    ] {
        assert_eq!(level(text), want, "{text}");
    }
}

proptest! {
    #[test]
    fn any_line_has_a_level_of_the_list(text in "\\PC*|[{}\"=:\\\\ a-z\\[\\]]*") {
        let known = ["trace", "debug", "info", "warn", "error", "critical", "fatal", "unknown"];
        prop_assert!(known.contains(&level(&text).as_str()));
    }
}
