use model::{AnyValue, Attributes, Labels, LogRecord, LogStream, attributes::Scope};
use proptest::prelude::*;
use serde_json::{Value, json};
use wire::bulk;

use super::*;

const NOW: i64 = 1_700_000_000_000_000_000;
const CONTEXT: Context = Context { now_ns: NOW };

/// A document as `_bulk` brings it.
fn record(document: &Value) -> (LogStream, LogRecord) {
    let body = format!("{{\"index\":{{\"_index\":\"i\",\"_id\":\"7\"}}}}\n{document}\n");
    let limits = wire::Limits::default();
    let made = bulk::decode(body.as_bytes(), None, NOW, &limits, &mut |_, _| bulk::Identity::New).unwrap();
    let batch = made.decoded.batch;
    (batch.streams[0].clone(), batch.records[0].clone())
}

fn finds(document: &Value, query: Value) -> bool {
    let (stream, record) = record(document);
    let query = parse(&query, &CONTEXT).unwrap_or_else(|e| panic!("{query}: {e}"));
    query.matches(&Doc::new(&stream, &record, "i"))
}

fn typed(document: &Value, text: &str) -> bool {
    finds(document, json!({"query_string": {"query": text}}))
}

fn document() -> Value {
    json!({
        "@timestamp": "2023-11-14T22:13:19.5Z",
        "message": "Connection to db-01 refused: timeout after 30s",
        "log": {"level": "ERROR"},
        "http.status": 503,
        "took": 1.5,
        "ok": false,
        "tags": ["a", "b c"],
        "at": "2023-11-14T00:00:00Z",
        "items": [{"name": "zone of explosion"}, {"name": "other"}],
        "nothing": null,
    })
}

#[test]
fn words_and_phrases_are_found_whatever_their_case() {
    let d = document();
    assert!(finds(&d, json!({"match": {"message": "REFUSED nowhere"}})));
    assert!(!finds(&d, json!({"match": {"message": {"query": "refused nowhere", "operator": "and"}}})));
    assert!(finds(&d, json!({"match_phrase": {"message": "connection to DB-01"}})));
    assert!(!finds(&d, json!({"match_phrase": {"message": "to connection"}})));
    assert!(finds(&d, json!({"match_phrase": {"items.name": {"query": "zone explosion", "slop": 1}}})));
    assert!(!finds(&d, json!({"match_phrase": {"items.name": "explosion other"}})));
    assert!(finds(&d, json!({"match_phrase_prefix": {"message": "timeout aft"}})));
    assert!(finds(&d, json!({"multi_match": {"query": "error", "fields": ["log.*", "message"]}})));
    assert!(!finds(&d, json!({"match": {"message": ","}})));
}

#[test]
fn terms_are_words_in_lower_case_or_whole_values() {
    let d = document();
    assert!(finds(&d, json!({"term": {"log.level": "error"}})));
    assert!(finds(&d, json!({"term": {"log.level.keyword": "ERROR"}})));
    assert!(!finds(&d, json!({"term": {"log.level.keyword": "error"}})));
    assert!(finds(&d, json!({"term": {"tags": "b c"}})));
    assert!(finds(&d, json!({"terms": {"http.status": [500, 503]}})));
    assert!(finds(&d, json!({"term": {"ok": false}})));
    assert!(finds(&d, json!({"ids": {"values": ["7"]}})));
    assert!(finds(&d, json!({"wildcard": {"message": {"value": "time*"}}})));
    assert!(finds(&d, json!({"regexp": {"log.level": "err.*"}})));
    assert!(finds(&d, json!({"fuzzy": {"message": "refuesd"}})));
}

#[test]
fn ranges_compare_numbers_dates_and_texts_as_they_are() {
    let d = document();
    assert!(finds(&d, json!({"range": {"http.status": {"gte": 500, "lt": 504}}})));
    assert!(!finds(&d, json!({"range": {"http.status": {"gt": "503"}}})));
    assert!(finds(&d, json!({"range": {"took": {"lte": 1.5}}})));
    assert!(finds(&d, json!({"range": {"@timestamp": {"gte": "now-1m", "lte": "now"}}})));
    assert!(finds(&d, json!({"range": {"at": {"gte": 1_699_920_000_000i64, "lte": "2023-11-14"}}})));
    assert!(!finds(&d, json!({"range": {"at": {"gt": "2023-11-14"}}})));
    let q = parse(
        &json!({"bool": {"filter": [{"range": {"@timestamp": {"gte": 1_000_000, "lte": 2_000_000}}}]}}),
        &CONTEXT,
    );
    assert_eq!(q.unwrap().times(), (1_000_000_000_000, 2_000_001_000_000));
}

#[test]
fn fields_exist_where_something_is_in_them() {
    let d = document();
    for there in ["message", "log", "log.level", "items.name", "http.status", "@timestamp"] {
        assert!(finds(&d, json!({"exists": {"field": there}})), "{there}");
    }
    for not in ["nothing", "http.statu", "lo", "items.nam"] {
        assert!(!finds(&d, json!({"exists": {"field": not}})), "{not}");
    }
}

#[test]
fn typed_queries_follow_lucene() {
    let d = document();
    for yes in [
        "refused",
        "log.level:error AND http.status:503",
        "log.level:(warn OR error)",
        "http.status:[500 TO 503]",
        "http.status:[500 TO 503] -missing",
        "http.status:>=503",
        "\"db-01 refused\"",
        "message:/timeo.t/",
        "mess*:tim?out",
        "_exists_:tags NOT tags:x",
        "+refused +timeout",
        "nowhere OR refused",
        "refuesd~",
        "*",
        "took:1.5 && ok:false",
    ] {
        assert!(typed(&d, yes), "{yes}");
    }
    for no in ["http.status:[500 TO 503}", "NOT refused", "refused AND nowhere", "-refused timeout", "tags:x"]
    {
        assert!(!typed(&d, no), "{no}");
    }
    for bad in ["(a", "a:", "[1 TO 2", "\"a", "a AND", ")", "a:[1 2]"] {
        assert!(parse_lucene(bad, None, false, &CONTEXT).is_err(), "{bad}");
    }
    assert!(finds(&d, json!({"simple_query_string": {"query": "refused + timeou* -nowhere"}})));
    assert!(!finds(&d, json!({"simple_query_string": {"query": "nowhere | -timeout"}})));
}

#[test]
fn what_is_not_a_query_is_refused_with_its_name() {
    for (bad, why) in [
        (json!({"exists": "a"}), "exists"),
        (json!({"geo_shape": {}}), "geo_shape"),
        (json!({"match": {"a": 1, "b": 2}}), "[b]"),
        (json!({"bool": {"mustnt": []}}), "mustnt"),
        (json!({"multi_match": {"query": "x", "fields": []}}), "fields"),
        (json!({"range": {"a": {"time_zone": "Europe/Vienna"}}}), "time_zone"),
    ] {
        let e = parse(&bad, &CONTEXT).unwrap_err();
        assert!(e.to_string().contains(why), "{e}");
    }
    let mut deep = json!({"match_all": {}});
    for _ in 0..100 {
        deep = json!({"bool": {"must": deep}});
    }
    assert!(parse(&deep, &CONTEXT).is_err());
}

#[test]
fn a_field_of_three_types_is_found_by_each() {
    for (value, query) in [
        (json!(5), json!({"range": {"x": {"gt": 4}}})),
        (json!("five"), json!({"match": {"x": "five"}})),
        (json!({"y": true}), json!({"term": {"x.y": true}})),
    ] {
        assert!(finds(&json!({"x": value.clone()}), query.clone()), "{value} {query}");
    }
}

#[test]
fn a_message_narrows_what_is_read() {
    let q = json!({"bool": {"must": [{"match_phrase": {"message": "Time Out"}}, {"match": {"other": "x"}}]}});
    let filters = parse(&q, &CONTEXT).unwrap().line_filters();
    assert_eq!(
        filters,
        [
            LineFilter::Regex("(?i)time|^(null)?$".to_owned()),
            LineFilter::Regex("(?i)out|^(null)?$".to_owned()),
        ]
    );
}

proptest! {
    #[test]
    fn no_text_makes_the_reader_panic(text in "\\PC{0,60}", odd in "[a-z:\\[\\]{}()\"/\\\\ *?~^+|&!<>=-]{0,60}") {
        let doc = (LogStream::default(), LogRecord::default());
        for t in [&text, &odd] {
            if let Ok(q) = parse_lucene(t, None, false, &CONTEXT) {
                let _ = q.matches(&Doc::new(&doc.0, &doc.1, "i"));
            }
            let body = json!({"simple_query_string": {"query": t}});
            let _ = parse(&body, &CONTEXT);
        }
    }
}

#[test]
fn a_record_of_another_protocol_has_its_labels_and_resource_as_fields() {
    let mut stream = LogStream { labels: Labels::from_pairs([("app", "shop")]), ..LogStream::default() };
    stream.resource.attributes = Attributes::from_iter([("service.name", "cart")]);
    stream.scope = Scope::default();
    let record = LogRecord { body: AnyValue::from("x"), trace_id: [0xab; 16], ..LogRecord::default() };
    let doc = Doc::new(&stream, &record, "i");
    for q in ["app:shop", "service.name:cart", "trace_id:abababababababababababababababab"] {
        assert!(parse_lucene(q, None, false, &CONTEXT).unwrap().matches(&doc), "{q}");
    }
}
