use proptest::prelude::*;

use super::*;

#[test]
fn names_get_units_and_suffixes_as_prometheus_gives_them() {
    use NameKind::{Counter, Gauge, Other};
    for (name, unit, kind, want) in [
        ("http.server.request.duration", "s", Other, "http_server_request_duration_seconds"),
        ("system.cpu.utilization", "1", Gauge, "system_cpu_utilization_ratio"),
        ("system.cpu.time", "s", Counter, "system_cpu_time_seconds_total"),
        ("system.io", "foo/bar", Counter, "system_io_foo_per_bar_total"),
        ("hw.io", "By", Counter, "hw_io_bytes_total"),
        ("net.rate", "By/s", Gauge, "net_rate_bytes_per_second"),
        ("network.transmitted_bytes_total", "By", Counter, "network_transmitted_bytes_total"),
        ("requests", "{request}", Counter, "requests_total"),
        ("requests.total", "{request}", Counter, "requests_total"),
        ("broken.metric.speed", "km/h", Gauge, "broken_metric_speed_km_per_hour"),
        ("active_ratio", "1", Gauge, "active_ratio"),
        ("already.seconds", "s", Gauge, "already_seconds"),
        ("1st.thing", "", Other, "_1st_thing"),
        ("a..b--c", "", Other, "a_b_c"),
        ("rule:sum", "", Gauge, "rule:sum"),
        ("errors", "1", Counter, "errors_total"),
        ("temp", "Cel", Gauge, "temp_celsius"),
        ("x", "{a}/{b}", Gauge, "x"),
        ("日本", "", Gauge, ""),
    ] {
        assert_eq!(metric_name(name, unit, kind), want, "{name} {unit}");
    }
}

#[test]
fn attribute_keys_become_label_names() {
    for (key, want) in [
        ("http.request.method", "http_request_method"),
        ("plain", "plain"),
        ("1st", "key_1st"),
        ("_private", "key_private"),
        ("__name__", "__name__"),
        (".dot", "key_dot"),
        ("..dots", "__dots"),
        ("k8s.pod/label", "k8s_pod_label"),
        ("é", "key_"),
    ] {
        assert_eq!(label_name(key), want, "{key}");
    }
}

proptest! {
    #[test]
    fn every_name_is_a_classic_one_or_empty(name: String, unit: String, key in ".+") {
        let m = metric_name(&name, &unit, NameKind::Counter);
        prop_assert!(model::labels::is_classic_metric_name(&m), "{m:?}");
        let l = label_name(&key);
        prop_assert!(model::labels::is_classic_label_name(&l), "{key:?} {l:?}");
    }
}

#[test]
fn names_without_escaping_keep_their_characters_and_get_each_suffix_once() {
    use NameKind::{Counter, Gauge, Other};
    let naming = Naming { strategy: NameStrategy::NoUtf8EscapingWithSuffixes, ..Naming::default() };
    for (name, unit, kind, want) in [
        ("http.server.duration", "s", Other, "http.server.duration_seconds"),
        ("hw.io", "By", Counter, "hw.io_bytes_total"),
        ("hw.io.total", "By", Counter, "hw.io_bytes_total"),
        ("cpu.ratio", "1", Gauge, "cpu_ratio"),
        ("net.rate_per_second", "By/s", Gauge, "net.rate_bytes_per_second"),
        ("io.bytes", "By", Gauge, "io.bytes"),
        ("日本", "m", Gauge, "日本_meters"),
        ("total", "", Counter, "total_total"),
        ("x", "{things}", Counter, "x_total"),
    ] {
        assert_eq!(naming.metric(name, unit, kind).as_deref(), Some(want), "{name} {unit}");
    }
    assert_eq!(naming.metric("", "", Other), None);
    assert_eq!(naming.label("http.method").as_deref(), Some("http.method"));
    assert_eq!(naming.label("__"), None);
}

#[test]
fn names_without_suffixes_are_only_escaped() {
    let naming = Naming { strategy: NameStrategy::UnderscoreEscapingWithoutSuffixes, ..Naming::default() };
    for (name, want) in [
        ("http.server.duration", Some("http_server_duration")),
        ("a..b__c--d.", Some("a_b__c_d")),
        ("1st", Some("_1st")),
        ("rule:sum", Some("rule:sum")),
        ("日本", None),
        ("a._", Some("a__")),
    ] {
        assert_eq!(naming.metric(name, "By", NameKind::Counter).as_deref(), want, "{name}");
    }
}

#[test]
fn underscores_in_labels_follow_the_two_switches() {
    let as_is = Naming { label_underscore_prefix: false, ..Naming::default() };
    assert_eq!(as_is.label("_private").as_deref(), Some("_private"));
    let single = Naming { label_multiple_underscores: false, ..Naming::default() };
    for (key, want) in [
        ("a..b", Some("a_b")),
        ("a__b", Some("a_b")),
        ("__reserved__", Some("__reserved__")),
        ("__a..b__", Some("__a_b__")),
        ("..x", Some("key_x")),
        ("1.2", Some("key_1_2")),
        ("plain", Some("plain")),
        ("___", None),
    ] {
        assert_eq!(single.label(key).as_deref(), want, "{key}");
    }
}

#[test]
fn strategies_are_found_by_the_names_prometheus_gives_them() {
    for s in NameStrategy::ALL {
        assert_eq!(NameStrategy::parse(s.as_str()), Some(s));
    }
    assert_eq!(NameStrategy::parse("noTranslation"), None);
}
