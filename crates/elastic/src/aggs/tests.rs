use base::MemoryBudget;
use serde_json::{Value, json};
use wire::bulk;

use super::*;
use crate::{field::Doc, query::Context};

const NOW: i64 = 1_700_000_000_000_000_000;

/// Collects over ten documents, one a minute from 2023-11-14T22:00:00Z.
fn answer(aggs: Value) -> Result<Value, crate::Error> {
    let mut body = String::new();
    for i in 0..10 {
        let level = if i % 3 == 0 { "error" } else { "info" };
        body.push_str("{\"index\":{\"_index\":\"i\"}}\n");
        let document = json!({
            "@timestamp": format!("2023-11-14T22:0{i}:00.000Z"), "level": level, "took": i, "ok": i % 2 == 0,
            "tags": ["a", format!("t{}", i % 2)],
        });
        body.push_str(&format!("{document}\n"));
    }
    let limits = wire::Limits::default();
    let made = bulk::decode(body.as_bytes(), None, NOW, &limits, &mut |_, _| bulk::Identity::New).unwrap();
    let batch = made.decoded.batch;
    let aggs = parse(&aggs, &Context { now_ns: NOW })?;
    let mut collector = Collector::new(aggs, &MemoryBudget::unlimited())?;
    for record in &batch.records {
        collector.collect(&Doc::new(&batch.streams[record.stream as usize], record, "i"))?;
    }
    collector.answer()
}

fn buckets(v: &Value, name: &str) -> Vec<Value> {
    v[name]["buckets"].as_array().cloned().unwrap_or_default()
}

#[test]
fn terms_are_counted_and_ordered() {
    let a = answer(json!({
        "level": {"terms": {"field": "level.keyword", "size": "1"}, "meta": {"x": 1}},
        "tags": {"terms": {"field": "tags", "order": {"_key": "desc"}, "exclude": ["a"]}},
        "ok": {"terms": {"field": "ok"}},
        "slow": {"terms": {"field": "level", "order": {"1.max": "desc"}},
                 "aggs": {"1": {"stats": {"field": "took"}}}},
        "both": {"multi_terms": {"terms": [{"field": "level"}, {"field": "ok"}]}},
    }))
    .unwrap();
    assert_eq!(
        a["level"],
        json!({"doc_count_error_upper_bound": 0, "sum_other_doc_count": 4,
        "buckets": [{"key": "info", "doc_count": 6}], "meta": {"x": 1}})
    );
    assert_eq!(buckets(&a, "tags")[0], json!({"key": "t1", "doc_count": 5}));
    assert_eq!(buckets(&a, "ok")[0], json!({"key": 0, "key_as_string": "false", "doc_count": 5}));
    assert_eq!(buckets(&a, "slow")[0]["key"], "error");
    assert_eq!(buckets(&a, "slow")[0]["1"]["max"], 9.0);
    assert_eq!(buckets(&a, "both").len(), 4);
    assert_eq!(buckets(&a, "both")[0]["key"], json!(["info", 0]));
}

#[test]
fn a_date_histogram_has_a_bucket_for_each_step_as_grafana_asks() {
    let a = answer(json!({"2": {
        "date_histogram": {"field": "@timestamp", "fixed_interval": "2m", "min_doc_count": "0",
            "format": "epoch_millis",
            "extended_bounds": {"min": 1_699_999_200_000i64 - 240_000, "max": 1_699_999_200_000i64 + 600_000}},
        "aggs": {
            "1": {"avg": {"field": "took"}},
            "3": {"derivative": {"buckets_path": "1", "unit": "1m"}},
            "4": {"bucket_script": {"buckets_path": {"a": "1", "n": "_count"}, "script": "params.a * params.n"}},
            "5": {"moving_fn": {"buckets_path": "_count", "window": 2, "script": "MovingFunctions.sum(values)"}},
            "6": {"cumulative_sum": {"buckets_path": "_count"}},
        },
    }}))
    .unwrap();
    let all = buckets(&a, "2");
    assert_eq!(all.len(), 8);
    assert_eq!(all[0]["key"], 1_699_998_960_000i64);
    assert_eq!(all[0]["key_as_string"], "1699998960000");
    assert_eq!((&all[0]["doc_count"], &all[2]["doc_count"]), (&json!(0), &json!(2)));
    assert_eq!(all[2]["1"]["value"], 0.5);
    assert_eq!(all[3]["3"], json!({"value": 2.0, "normalized_value": 1.0}));
    assert_eq!(all[3]["4"]["value"], 5.0);
    assert_eq!(all[4]["5"]["value"], 4.0);
    assert_eq!(all[7]["6"]["value"], 10.0);
}

#[test]
fn calendar_steps_follow_the_zone() {
    let a = answer(json!({"d": {"date_histogram": {
        "field": "@timestamp", "calendar_interval": "day", "time_zone": "+01:55", "format": "yyyy-MM-dd"}}}))
    .unwrap();
    let all = buckets(&a, "d");
    assert_eq!(all.iter().map(|b| b["doc_count"].clone()).collect::<Vec<_>>(), [json!(5), json!(5)]);
    assert_eq!(all[1]["key"], 1_700_006_400_000i64 - 6_900_000);
}

#[test]
fn filters_ranges_and_histograms_divide() {
    let a = answer(json!({
        "f": {"filters": {"filters": {"errors": {"query_string": {"query": "level:error"}}}, "other_bucket_key": "rest"}},
        "r": {"range": {"field": "took", "ranges": [{"to": 3}, {"from": 3, "key": "more"}]}},
        "h": {"histogram": {"field": "took", "interval": 4}},
        "one": {"filter": {"term": {"ok": true}}, "aggs": {"n": {"value_count": {"field": "took"}}}},
        "m": {"missing": {"field": "level"}},
        "best": {"max_bucket": {"buckets_path": "h>_count"}},
    }))
    .unwrap();
    assert_eq!(a["f"]["buckets"], json!({"errors": {"doc_count": 4}, "rest": {"doc_count": 6}}));
    assert_eq!(a["r"]["buckets"][0], json!({"key": "*-3.0", "to": 3.0, "doc_count": 3}));
    assert_eq!(a["r"]["buckets"][1], json!({"key": "more", "from": 3.0, "doc_count": 7}));
    assert_eq!(a["h"]["buckets"][2], json!({"key": 8.0, "doc_count": 2}));
    assert_eq!(a["one"], json!({"doc_count": 5, "n": {"value": 5}}));
    assert_eq!(a["m"]["doc_count"], 0);
    assert_eq!(a["best"]["value"], 4.0);
}

#[test]
fn metrics_say_what_elasticsearch_would() {
    let a = answer(json!({
        "e": {"extended_stats": {"field": "took"}},
        "p": {"percentiles": {"field": "took", "percents": ["50", 99]}},
        "c": {"cardinality": {"field": "tags"}},
        "min": {"min": {"field": "@timestamp"}},
        "none": {"avg": {"field": "nothing"}},
        "top": {"top_metrics": {"metrics": [{"field": "level"}], "sort": [{"@timestamp": "desc"}]}},
    }))
    .unwrap();
    assert_eq!(a["e"]["std_deviation"], 8.25f64.sqrt());
    assert_eq!(a["e"]["sum_of_squares"], 285.0);
    assert_eq!(a["p"]["values"]["50.0"], 4.5);
    assert_eq!(a["c"]["value"], 3);
    assert_eq!(a["min"]["value_as_string"], "2023-11-14T22:00:00.000Z");
    assert_eq!(a["none"]["value"], Value::Null);
    assert_eq!(a["top"]["top"][0]["metrics"], json!({"level": "error"}));
    assert_eq!(a["top"]["top"][0]["sort"], json!([1_699_999_740_000i64]));
}

#[test]
fn what_would_make_too_many_buckets_or_is_not_served_is_an_error() {
    let e = answer(json!({"d": {"date_histogram": {"field": "@timestamp", "fixed_interval": "1ms"}}}));
    assert!(e.unwrap_err().to_string().contains("too many buckets"));
    for (bad, why) in [
        (json!({"a": {"geohash_grid": {"field": "x"}}}), "geohash_grid"),
        (json!({"a": {"terms": {"script": "x"}}}), "script"),
        (json!({"a": {}}), "Missing definition"),
        (json!({"a": {"avg": {"field": "x"}, "sum": {"field": "x"}}}), "two aggregation"),
        (json!({"a": {"date_histogram": {"field": "x", "fixed_interval": "soon"}}}), "soon"),
    ] {
        let e = answer(bad).unwrap_err();
        assert!(e.to_string().contains(why), "{e}");
    }
}
