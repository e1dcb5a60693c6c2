use model::{AnyValue, Attributes};
use proptest::prelude::*;

use super::*;

const NOW: i64 = 1_700_000_000_000_000_000;

fn read(body: &str) -> Result<Bulk, Error> {
    let mut seen = std::collections::HashSet::new();
    decode(body.as_bytes(), None, NOW, &Limits::default(), &mut |index, id| match seen
        .insert((index.to_owned(), id.to_owned()))
    {
        true => Identity::New,
        false => Identity::Known,
    })
}

fn one(document: &str) -> Bulk {
    read(&format!("{{\"create\":{{\"_index\":\"a\"}}}}\n{document}\n")).unwrap()
}

#[test]
fn a_document_is_a_record_and_becomes_the_same_document_again() {
    let document = r#"{"@timestamp":"2023-11-14T22:13:19.5Z","message":"hi","log":{"level":"warn"},"a.b":1,"c":[1.5,null,"x"],"ok":true,
        "host":{"name":"h1"},"kubernetes":{"namespace":"shop","pod":{"name":"p-0"},"container":{"name":"web"}},
        "trace":{"id":"0af7651916cd43dd8448eb211c80319c"}}"#
        .replace('\n', " ");
    let bulk = one(&document);
    let batch = &bulk.decoded.batch;
    let (stream, record) = (&batch.streams[0], &batch.records[0]);
    assert!(bulk.decoded.all_timed);
    assert_eq!(record.timestamp_ns, NOW - 500_000_000);
    assert_eq!(record.body, AnyValue::from("hi"));
    assert_eq!(record.severity_number, 13);
    assert_eq!(record.trace_id[..2], [0x0a, 0xf7]);
    assert_eq!(
        stream.labels.to_string(),
        r#"{host_name="h1", index="a", k8s_container_name="web", k8s_namespace_name="shop", k8s_pod_name="p-0", service_name="web"}"#
    );
    let mut want = value::object(document.as_bytes()).unwrap();
    let mut got = document::source(stream, record);
    let by_key = |a: &(String, AnyValue), b: &(String, AnyValue)| a.0.cmp(&b.0);
    want.0.sort_by(by_key);
    got.0.sort_by(by_key);
    assert_eq!(got, want);
}

#[test]
fn a_document_without_a_time_has_that_of_its_receipt() {
    let bulk = one(r#"{"message":"x"}"#);
    assert!(!bulk.decoded.all_timed);
    assert_eq!(bulk.decoded.batch.records[0].timestamp_ns, NOW);
    for (written, ms) in [("1699999999000", 1_699_999_999_000), ("\"1699999999000\"", 1_699_999_999_000)] {
        let bulk = one(&format!("{{\"@timestamp\":{written}}}"));
        let batch = &bulk.decoded.batch;
        assert_eq!(batch.records[0].timestamp_ns, ms * 1_000_000);
        let source = document::source(&batch.streams[0], &batch.records[0]);
        assert_eq!(source.get(TIMESTAMP).unwrap().to_string(), written.trim_matches('"'));
    }
}

#[test]
fn every_item_has_its_own_answer_in_order() {
    let body = concat!(
        "{\"create\":{\"_index\":\"a\",\"_id\":\"1\"}}\n{\"n\":1}\n",
        "{\"index\":{\"_index\":\"Bad\"}}\n{\"n\":2}\n",
        "{\"delete\":{\"_index\":\"a\",\"_id\":\"1\"}}\n",
        "{\"update\":{\"_index\":\"a\",\"_id\":\"1\"}}\n{\"doc\":{}}\n",
        "\n{\"index\":{\"_index\":\"a\",\"_id\":7}}\n{\"n\":\r\n",
        "{\"create\":{\"_index\":\"a\",\"_id\":\"1\"}}\n{\"n\":4}\n",
        "{\"index\":{\"_index\":\"a\"}}\n{\"@timestamp\":\"yesterday\"}\n",
        "{\"index\":{\"_index\":\"a\"}}\n{\"_id\":1}\n",
        "{\"index\":{\"_index\":\"a\",\"_id\":\"1\"}}\n{\"n\":5}",
    );
    let bulk = read(body).unwrap();
    let outcomes: Vec<_> = bulk.items.iter().map(|i| i.outcome.as_ref().map_err(|p| p.status)).collect();
    let refused = Err(400);
    assert_eq!(outcomes, [Ok(&0), refused, refused, refused, refused, Err(409), refused, refused, Ok(&1)]);
    assert_eq!(bulk.decoded.batch.records.len(), 2);
    assert_eq!(bulk.decoded.refused.total(), 7);
    assert_eq!(bulk.items[4].id.as_deref(), Some("7"));
    let why = &bulk.items[1].outcome.as_ref().unwrap_err().message;
    assert!(why.contains("[Bad], must be lowercase"), "{why}");
}

#[test]
fn an_action_that_cannot_be_read_ends_the_request() {
    for (body, why) in [
        ("{\"n\":1}\n", "line [1]"),
        ("{\"index\":{\"_index\":\"a\"}}\n", "missing"),
        ("{\"index\":{\"_index\":\"a\"}}\n{}\n{\"drop\":{}}\n{}\n", "line [3]"),
        (
            "{\"index\":{}}\n{}\n{\"create\":{}}\n{}\n",
            "Validation Failed: 1: index is missing;2: index is missing;",
        ),
    ] {
        let e = read(body).unwrap_err().to_string();
        assert!(e.contains(why), "{e}");
    }
}

#[test]
fn a_field_with_a_million_values_makes_one_stream() {
    let body: String = (0..1000)
        .map(|i| format!("{{\"index\":{{\"_index\":\"a\"}}}}\n{{\"user\":\"u{i}\",\"n\":{i}}}\n"))
        .collect();
    let bulk = read(&body).unwrap();
    assert_eq!((bulk.decoded.batch.streams.len(), bulk.decoded.batch.records.len()), (1, 1000));
}

#[test]
fn what_breaks_a_limit_harms_its_item_only() {
    let keys: String = (0..2000).map(|i| format!("\"k{i}\":1,")).collect();
    let deep = format!("{{\"a\":{}1{}}}", "[".repeat(100), "]".repeat(100));
    let long = format!("{{\"message\":\"{}\"}}", "x".repeat((1 << 20) + 1));
    let body: String = [format!("{{{keys}\"z\":1}}"), deep, long, "{\"a\":1,\"a\":2}".into(), "{}".into()]
        .iter()
        .map(|d| format!("{{\"index\":{{\"_index\":\"a\"}}}}\n{d}\n"))
        .collect();
    let bulk = read(&body).unwrap();
    let statuses: Vec<_> =
        bulk.items.iter().map(|i| i.outcome.as_ref().map_or_else(|p| p.status, |_| 201)).collect();
    assert_eq!(statuses, [400, 400, 413, 400, 201]);
}

#[test]
fn an_id_made_of_the_content_does_not_depend_on_the_order_of_fields() {
    let id = |d: &str| one(d).items[0].id.clone();
    assert_eq!(id(r#"{"a":1,"b":{"c":"x","d":[1]}}"#), id(r#"{"b":{"d":[1],"c":"x"},"a":1}"#));
    assert_ne!(id(r#"{"a":1}"#), id(r#"{"a":"1"}"#));
}

#[test]
fn fields_are_found_by_dots_however_they_are_written() {
    let all = value::object(br#"{"a":{"b.c":1,"b":{"d":2}},"x.y":3}"#).unwrap();
    for (path, want) in [("a.b.c", 1), ("a.b.d", 2), ("x.y", 3)] {
        assert_eq!(find(&all, path), Some(&AnyValue::Int(want)), "{path}");
    }
    assert_eq!(find(&all, "a.b.x"), None);
    assert_eq!(find(&Attributes::default(), ""), None);
}

proptest! {
    #[test]
    fn no_bytes_make_the_decoder_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = decode(&bytes, Some("a"), NOW, &Limits::default(), &mut |_, _| Identity::New);
        let mut body = b"{\"index\":{}}\n".to_vec();
        body.extend(&bytes);
        let _ = decode(&body, Some("a"), NOW, &Limits::default(), &mut |_, _| Identity::New);
    }

    #[test]
    fn items_and_records_agree(documents in prop::collection::vec("[{}\":,a-c0-9]{0,12}", 0..20)) {
        let body: String = documents.iter().map(|d| format!("{{\"index\":{{}}}}\n{d}\n")).collect();
        if let Ok(bulk) = decode(body.as_bytes(), Some("a"), NOW, &Limits::default(), &mut |_, _| Identity::New) {
            prop_assert_eq!(bulk.items.len(), documents.len());
            let stored = bulk.items.iter().filter(|i| i.outcome.is_ok()).count();
            prop_assert_eq!(stored, bulk.decoded.batch.records.len());
            prop_assert_eq!(bulk.decoded.refused.total() as usize, documents.len() - stored);
        }
    }
}
